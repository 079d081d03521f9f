"""The loop of every lane, on a virtual clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lane_loop import AFTER_ERROR_S, BEAT_S, NETWORK_S, LaneSpec, overdue, run_lane
from wsb_snake.core.lanes import Flag

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


class Bench:
    """One lane whose steps are scripted: each entry is its next due time in seconds, None or an error."""

    def __init__(self, script: list[float | Exception | None]) -> None:
        self.hub = Hub(VirtualClock(START), seed=1)
        self.bell = Flag(self.hub, "bell")
        self.stopping = Flag(self.hub, "stopping")
        self.script = script
        self.steps: list[float] = []
        self.beats: list[float] = []
        self.errors: list[tuple[str, str]] = []
        self.after_step: Callable[[], None] = lambda: None

    def step(self) -> datetime | None:
        self.steps.append(self.hub.clock.monotonic())
        self.after_step()
        answer = self.script.pop(0) if self.script else None
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else START + timedelta(seconds=answer)

    def run(self, until: float) -> None:
        spec = LaneSpec("lane", self.step, self.bell)

        def lane() -> None:
            run_lane(
                self.hub,
                spec,
                self.stopping,
                lambda name: self.beats.append(self.hub.clock.monotonic()),
                lambda name, error: self.errors.append((name, str(error))),
            )

        def end() -> None:
            self.hub.sleep(until)
            self.stopping.set()
            self.bell.set()

        self.hub.spawn("lane", lane)
        self.hub.spawn("end", end)
        self.hub.run(lambda: False)

    def ring_at(self, *moments: float) -> None:
        def ringer() -> None:
            for moment in moments:
                self.hub.sleep(moment - self.hub.clock.monotonic())
                self.bell.set()

        self.hub.spawn("ringer", ringer)


def test_it_steps_at_once_and_then_when_due() -> None:
    bench = Bench([3.0, 33.5, None])
    bench.run(until=100)
    assert bench.steps == [0.0, 3.0, 33.5]


def test_the_bell_calls_at_once_and_only_once() -> None:
    bench = Bench([50.0, 50.0])
    bench.ring_at(7.25)
    bench.run(until=49)
    assert bench.steps == [0.0, 7.25]


def test_a_bell_during_a_step_is_not_lost() -> None:
    bench = Bench([None, None])
    bench.after_step = lambda: bench.bell.set() if len(bench.steps) == 1 else None
    bench.run(until=30)
    assert bench.steps == [0.0, 0.0]


def test_it_shows_life_also_when_nothing_is_due() -> None:
    bench = Bench([None])
    bench.run(until=95)
    gaps = [b - a for a, b in zip(bench.beats, bench.beats[1:], strict=False)]
    assert len(bench.beats) > 95 // BEAT_S
    assert max(gaps) == pytest.approx(BEAT_S)


def test_a_step_that_raises_is_reported_and_tried_again() -> None:
    bench = Bench([RuntimeError("first"), ValueError("second"), None])
    bench.run(until=60)
    assert bench.errors == [("lane", "first"), ("lane", "second")]
    assert bench.steps == [0.0, AFTER_ERROR_S, 2 * AFTER_ERROR_S]


def test_a_due_time_in_the_past_means_now() -> None:
    bench = Bench([-100.0, -100.0, None])
    bench.run(until=5)
    assert bench.steps == [0.0, 0.0, 0.0]


def test_it_ends_when_told_without_another_step() -> None:
    bench = Bench([200.0])
    bench.run(until=5)
    assert bench.steps == [0.0]
    assert bench.hub.clock.monotonic() < 5 + BEAT_S


def test_silence_is_judged_by_what_a_lane_waits_for() -> None:
    clock = VirtualClock(datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    bell = Flag(Hub(clock, 1), "bell")
    specs = (
        LaneSpec("monitor", lambda: None, bell),
        LaneSpec("scan", lambda: None, bell, NETWORK_S),
        LaneSpec("journal", lambda: None, bell, NETWORK_S, needs_disk=True),
    )
    fresh = {"monitor": 30.0, "scan": 300.0, "journal": 300.0, "poll-orders": 9999.0}
    assert overdue(specs, fresh, 9999.0, disk_writes=True) == ()
    late = {"monitor": 30.1, "scan": 300.1, "journal": 300.1}
    assert overdue(specs, late, 9999.0, disk_writes=True) == ("monitor", "scan", "journal")
    assert overdue(specs, late, 9999.0, disk_writes=False) == ("monitor", "scan")
    assert overdue(specs, {}, 20.0, disk_writes=True) == ()
    assert overdue(specs, {}, 31.0, disk_writes=True) == ("monitor",)
