"""Pollers in the simulated world: snapshots, hung calls, failures."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.trading.broker import (
    BrokerError,
    Fatal,
    NotFound,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from wsb_snake.trading.pollers import Poller, Snapshot, counts_as_failure

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Bench:
    """One poller whose n-th answer takes ``takes[n]`` seconds (then 0.5) and is n, or an error."""

    def __init__(self) -> None:
        self.hub = Hub(VirtualClock(START), seed=1)
        self.takes: dict[int, float] = {}
        self.errors: dict[int, BrokerError] = {}
        self.asked: list[float] = []
        self.published: list[int] = []
        self.failed: list[tuple[str, str]] = []
        self.succeeded: list[str] = []
        self.every = 10.0
        self.poller: Poller[int] = Poller(
            "orders",
            self.hub,
            self.fetch,
            lambda: self.every,
            self.on_published,
            lambda name, error: self.failed.append((name, str(error))),
            self.succeeded.append,
        )
        self.poller.start()

    def fetch(self) -> int:
        number = len(self.asked)
        self.asked.append(self.hub.clock.monotonic())
        self.hub.sleep(self.takes.get(number, 0.5))
        if number in self.errors:
            raise self.errors[number]
        return number

    def on_published(self) -> None:
        assert self.poller.latest is not None
        self.published.append(self.poller.latest.value)

    def run(self, until: float, *acts: tuple[float, Callable[[], object]]) -> None:
        """Run to ``until`` seconds; each act happens at its own second on the way."""
        for moment, act in (*acts, (until, lambda: None)):

            def lane(moment: float = moment, act: Callable[[], object] = act) -> None:
                self.hub.sleep(moment - self.hub.clock.monotonic())
                act()

            self.hub.spawn(f"at {moment}", lane)
        self.hub.run(lambda: self.hub.clock.monotonic() >= until)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.hub.close()


def test_a_snapshot_is_stamped_when_it_was_asked_for(bench: Bench) -> None:
    assert bench.poller.age_s(START) is None
    bench.run(5)
    assert bench.poller.latest == Snapshot(0, at(0), at(0.5))
    assert bench.poller.age_s(at(5)) == 5
    bench.run(15)
    assert bench.poller.latest == Snapshot(1, at(10.5), at(11))
    assert (bench.published, bench.succeeded) == ([0, 1], ["orders", "orders"])


def test_asking_reads_at_once_but_never_more_than_once_a_second(bench: Bench) -> None:
    bench.run(9, (3, bench.poller.ask), (3.2, bench.poller.ask))
    assert bench.asked == [0.0, 3.0, 4.0]


def test_the_interval_is_asked_for_each_time(bench: Bench) -> None:
    def busy() -> None:
        bench.every = 2.0
        bench.poller.ask()

    bench.run(9, (1, busy))
    assert bench.asked == [0.0, 1.0, 3.5, 6.0, 8.5]


def test_a_failure_leaves_the_last_answer_and_its_age(bench: Bench) -> None:
    bench.errors = {1: Unavailable("503"), 2: Throttled("429")}
    bench.run(25)
    assert bench.poller.latest == Snapshot(0, at(0), at(0.5))
    assert bench.poller.age_s(at(25)) == 25
    assert bench.failed == [("orders", "503"), ("orders", "429")]
    assert bench.published == [0]


def test_a_hung_call_is_replaced_and_its_late_answer_dropped(bench: Bench) -> None:
    bench.takes = {0: 50.0}
    assert not bench.poller.replace_if_hung(START)
    replaced: list[bool] = []

    def look(moment: float) -> tuple[float, Callable[[], None]]:
        return moment, lambda: replaced.append(bench.poller.replace_if_hung(at(moment)))

    bench.run(45, look(19.9), look(20), look(20.3), look(40))
    assert replaced == [False, True, False, False]
    assert bench.asked == [0.0, 20.0, 30.5, 41.0]
    known = bench.poller.latest
    bench.run(51)
    assert bench.poller.latest == known == Snapshot(3, at(41), at(41.5))
    bench.run(100)
    assert bench.asked == [0.0, 20.0, 30.5, 41.0, 51.5, 62.0, 72.5, 83.0, 93.5]  # one poller, not two
    assert bench.published == list(range(1, 9))


def test_a_late_error_of_a_replaced_call_is_nobodys(bench: Bench) -> None:
    bench.takes, bench.errors = {0: 50.0}, {0: Unavailable("timed out")}
    bench.run(60, (20, lambda: bench.poller.replace_if_hung(at(20))))
    assert bench.failed == []


def test_it_ends_when_told(bench: Bench) -> None:
    bench.run(30, (5, bench.poller.stop))
    assert bench.asked == [0.0]


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (Rejected("no"), False),
        (NotFound("gone"), False),
        (Fatal("keys"), False),
        (Unknown("reset"), True),
        (Throttled("429"), True),
        (Unavailable("503"), True),
    ],
)
def test_definite_refusals_are_no_failures(error: BrokerError, counts: bool) -> None:
    assert counts_as_failure(error) is counts
