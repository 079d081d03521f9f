"""The pool that speaks to the broker, in the simulated world."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.trading.senders import SENDERS, Senders

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


class Bench:
    def __init__(self) -> None:
        self.hub = Hub(VirtualClock(START), seed=1)
        self.done: list[float] = []
        self.errors: list[str] = []
        self.log: list[tuple[str, float, float]] = []
        self.senders = Senders(
            self.hub, lambda: self.done.append(self.now()), lambda _, error: self.errors.append(str(error))
        )
        self.senders.start()

    def now(self) -> float:
        return self.hub.clock.monotonic()

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            begun = self.now()
            self.hub.sleep(seconds)
            self.log.append((name, begun, self.now()))

        return run

    def run(self, seconds: float) -> None:
        end = self.now() + seconds
        self.hub.spawn("end", lambda: self.hub.sleep(seconds))
        self.hub.run(lambda: self.now() >= end)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.hub.close()


def test_a_key_has_one_call_at_a_time(bench: Bench) -> None:
    assert bench.senders.offer("p1", bench.call("first", 2))
    assert not bench.senders.offer("p1", bench.call("second", 2))
    bench.run(1)
    assert not bench.senders.offer("p1", bench.call("third", 2)) and bench.senders.busy("p1")
    bench.run(2)
    assert bench.senders.idle()
    assert bench.senders.offer("p1", bench.call("fourth", 2))
    bench.run(3)
    assert [name for name, _, _ in bench.log] == ["first", "fourth"]


def test_a_hanging_call_delays_no_other_position(bench: Bench) -> None:
    bench.senders.offer("hangs", bench.call("hangs", 600))
    for n in range(20):
        bench.senders.offer(f"p{n}", bench.call(f"p{n}", 0.1))
    bench.run(5)
    assert len(bench.log) == 20
    assert bench.senders.busy("hangs") and not bench.senders.idle()


def test_eight_calls_run_at_once_and_the_rest_in_order(bench: Bench) -> None:
    for n in range(SENDERS + 3):
        bench.senders.offer(f"p{n}", bench.call(f"p{n}", 1))
    bench.run(0.5)
    assert bench.log == []
    bench.run(0.75)
    assert {name for name, _, _ in bench.log} == {f"p{n}" for n in range(SENDERS)}
    bench.run(1)
    assert [name for name, begun, _ in bench.log if begun > 0.5] and len(bench.log) == SENDERS + 3


def test_an_error_is_reported_and_frees_its_key(bench: Bench) -> None:
    def fails() -> None:
        raise RuntimeError("broken")

    for n in range(2 * SENDERS):  # more than there are lanes: none may die of it
        bench.senders.offer(f"p{n}", fails)
    bench.run(1)
    assert bench.errors == ["broken"] * 2 * SENDERS
    assert bench.senders.idle()
    assert bench.senders.offer("p0", bench.call("after", 0.1))
    bench.run(1)
    assert [name for name, _, _ in bench.log] == ["after"]


def test_whoever_decides_is_told_once_the_key_is_free(bench: Bench) -> None:
    free: list[bool] = []
    told = Senders(bench.hub, lambda: free.append(not told.busy("p1")), lambda *_: None)
    told.start()
    told.offer("p1", bench.call("p1", 1))
    bench.run(2)
    assert free == [True]


def test_after_the_stop_nothing_new_is_taken(bench: Bench) -> None:
    bench.senders.offer("p1", bench.call("under way", 2))
    bench.run(1)
    bench.senders.stop()
    assert not bench.senders.offer("p2", bench.call("late", 1))
    bench.run(5)
    assert [name for name, _, _ in bench.log] == ["under way"]
    assert bench.senders.idle()


def test_an_idle_pool_waits_without_waking(bench: Bench) -> None:
    bench.hub.run(lambda: bench.now() > 100)  # returns as soon as nothing is due any more
    assert bench.now() < 1


def test_a_stop_ends_the_lanes_that_wait() -> None:
    lanes = ThreadLanes(SystemClock())
    senders = Senders(lanes, lambda: None, lambda *_: None)
    before = set(threading.enumerate())
    senders.start()
    started = set(threading.enumerate()) - before
    assert len(started) == SENDERS
    senders.stop()
    for thread in started:
        thread.join(30)
    assert not any(thread.is_alive() for thread in started)


def test_the_oldest_job_has_an_age_until_its_end(bench: Bench) -> None:
    assert bench.senders.oldest_s() == 0
    bench.senders.offer("p1", bench.call("long", 9))
    bench.run(2)
    bench.senders.offer("p2", bench.call("short", 1))
    bench.run(3)
    assert bench.senders.oldest_s() == 5
    bench.run(5)
    assert bench.senders.oldest_s() == 0


@pytest.mark.parametrize("kind", ["shares", "explain", "foreign"])
def test_questions_that_hang_leave_lanes_for_the_orders(bench: Bench, kind: str) -> None:
    for n in range(30):
        bench.senders.offer(f"{kind}:{n}", bench.call(f"{kind}:{n}", 10))
    bench.run(1)
    for n in range(12):
        bench.senders.offer(f"p{n}", bench.call(f"p{n}", 0.1))
    bench.run(1)
    assert {name for name, _, _ in bench.log} == {f"p{n}" for n in range(12)}
    bench.run(160)  # two at a time, and none is forgotten
    began = sorted(begun for name, begun, _ in bench.log if name.startswith(kind))
    assert began == [10.0 * (n // 2) for n in range(30)]
    assert bench.senders.idle()


def test_what_waits_in_its_group_is_refused_a_second_time_and_survives_an_error(bench: Bench) -> None:
    def fails() -> None:
        bench.hub.sleep(1)
        raise RuntimeError("broken")

    for n in range(5):
        bench.senders.offer(f"shares:{n}", fails)
    bench.run(0.5)
    assert not bench.senders.offer("shares:4", fails)
    bench.run(5)
    assert bench.errors == ["broken"] * 5 and bench.senders.idle()
