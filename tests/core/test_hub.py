import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.hub import NETWORK_DELAY_S, Hub
from wsb_snake.core.lanes import Flag, Mailbox, Promise

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def make(seed: int = 1, settle: Callable[[], None] | None = None) -> Hub:
    return Hub(VirtualClock(START), seed, settle)


def never() -> bool:
    return False


def order_of_events(seed: int) -> list[tuple[str, float]]:
    """Ten lanes that all become due at the same moments, and call the network between."""
    hub, seen = make(seed), []

    def lane(name: str) -> Callable[[], None]:
        def run() -> None:
            for _ in range(5):
                seen.append((name, hub.clock.monotonic()))
                with hub.network():
                    seen.append((name, hub.clock.monotonic()))
                hub.sleep(1 - hub.clock.monotonic() % 1)

        return run

    for n in range(10):
        hub.spawn(f"lane {n}", lane(f"lane {n}"))
    hub.run(until=never)
    return seen


def test_one_seed_gives_one_order_and_another_seed_another() -> None:
    assert order_of_events(7) == order_of_events(7)
    assert order_of_events(7) != order_of_events(8)
    assert [name for name, _ in order_of_events(7)] != [name for name, _ in order_of_events(8)]


def test_what_one_lane_does_never_shifts_the_luck_of_another() -> None:
    def delays_of_a(busy: bool) -> list[float]:
        hub, delays = make(), []

        def a() -> None:
            for _ in range(20):
                before = hub.clock.monotonic()
                with hub.network():
                    delays.append(hub.clock.monotonic() - before)

        def b() -> None:
            for _ in range(100 if busy else 1):
                with hub.network():
                    pass

        hub.spawn("a", a)
        hub.spawn("b", b)
        hub.run(until=never)
        return delays

    quiet, busy = delays_of_a(False), delays_of_a(True)
    assert busy == pytest.approx(quiet, abs=1e-12)
    low, high = NETWORK_DELAY_S
    assert all(low - 1e-9 <= delay <= high + 1e-9 for delay in quiet)


def test_time_jumps_to_what_is_due_next() -> None:
    hub, seen = make(), []
    for seconds in (3600.0, 0.5, 20.0):

        def run(seconds: float = seconds) -> None:
            hub.sleep(seconds)
            seen.append(hub.clock.monotonic())

        hub.spawn(f"sleeper {seconds}", run)
    hub.run(until=never)
    assert seen == [0.5, 20.0, 3600.0]


def test_a_lane_that_hangs_blocks_only_itself() -> None:
    hub, passes = make(), []
    answer = Flag(hub, "an answer that never comes")

    def monitor() -> None:
        for _ in range(12):
            hub.sleep(5)
            passes.append(hub.clock.monotonic())

    def hung() -> None:
        answer.wait()

    hub.spawn("hung call", hung)
    hub.spawn("monitor", monitor)
    hub.run(until=never)
    assert passes == [5.0 * n for n in range(1, 13)]
    hub.close()


def test_a_timeout_fires_at_its_moment_and_a_notify_cancels_it() -> None:
    hub, seen = make(), []
    flag = Flag(hub, "flag")

    def waits() -> None:
        seen.append((flag.wait(2), hub.clock.monotonic()))
        seen.append((flag.wait(100), hub.clock.monotonic()))
        hub.sleep(1000)  # the timer of the second wait must not end this sleep
        seen.append((True, hub.clock.monotonic()))

    def sets() -> None:
        hub.sleep(10)
        flag.set()

    hub.spawn("waits", waits)
    hub.spawn("sets", sets)
    hub.run(until=never)
    assert seen == [(False, 2.0), (True, 10.0), (True, 1010.0)]


def test_the_condition_is_looked_at_again_after_every_notify() -> None:
    hub, got = make(), []
    box: Mailbox[int] = Mailbox(hub, "box")

    def take() -> None:
        got.append(box.get(5))

    hub.spawn("first", take)
    hub.spawn("second", take)
    hub.spawn("putter", lambda: box.put(1))
    hub.run(until=never)
    assert sorted(got, key=str) == [1, None]
    assert hub.clock.monotonic() == 5.0


def test_waiting_while_a_lock_is_held_is_a_defect() -> None:
    hub = make()
    book = hub.lock("book")

    def careless() -> None:
        with book:
            hub.sleep(1)

    hub.spawn("monitor", careless)
    with pytest.raises(AssertionError, match="lane monitor waits while the lock book is held"):
        hub.run(until=never)


@pytest.mark.parametrize("wait", ["network", "flag", "promise", "mailbox"])
def test_every_kind_of_wait_checks_the_locks(wait: str) -> None:
    hub = make()
    book = hub.lock("book")

    def careless() -> None:
        with book:
            if wait == "network":
                with hub.network():
                    pass
            elif wait == "flag":
                Flag(hub, "flag").wait(1)
            elif wait == "promise":
                Promise[int](hub, "promise").wait(1)
            else:
                Mailbox[int](hub, "box").get(1)

    hub.spawn("monitor", careless)
    with pytest.raises(AssertionError, match="lock book is held"):
        hub.run(until=never)


def test_an_error_in_a_lane_comes_out_of_run() -> None:
    hub = make()

    def broken() -> None:
        raise ZeroDivisionError

    hub.spawn("broken", broken)
    with pytest.raises(ZeroDivisionError):
        hub.run(until=never)


def test_run_stops_when_it_is_told_and_goes_on_when_called_again() -> None:
    hub, ticks = make(), []

    def tick() -> None:
        while True:
            hub.sleep(1)
            ticks.append(hub.clock.monotonic())

    hub.spawn("ticker", tick)
    hub.run(until=lambda: len(ticks) == 3)
    assert ticks == [1.0, 2.0, 3.0]
    hub.run(until=lambda: len(ticks) == 5)
    assert ticks[-1] == 5.0
    hub.close()


def test_a_foreign_thread_can_wake_a_lane_and_takes_effect_when_the_hub_settles() -> None:
    threads: list[threading.Thread] = []

    def settle() -> None:
        for thread in threads:
            thread.join()

    hub = make(settle=settle)
    box: Mailbox[str] = Mailbox(hub, "stream")
    got: list[str | None] = []

    def reader() -> None:
        while len(got) < 3:
            got.append(box.get(60))

    def outside() -> None:
        for word in ("new", "partial_fill", "fill"):
            box.put(word)

    hub.spawn("reader", reader)
    hub.run(until=lambda: hub.clock.monotonic() == 0)
    threads.append(threading.Thread(target=outside))
    threads[0].start()
    hub.run(until=never)
    assert got == ["new", "partial_fill", "fill"]
    assert hub.clock.monotonic() == 0


def _after_the_start(hub: Hub, started: Flag) -> None:
    hub.sleep(1)
    started.set()


def order_of_waking(names: tuple[str, ...]) -> list[str]:
    """Foreign threads set one flag after another, in this order; who woke when."""
    hub = make()
    woken: list[str] = []
    flags = {name: Flag(hub, name) for name in names}

    def wait(name: str) -> None:
        flags[name].wait(60)
        woken.append(name)

    for name in sorted(names):
        hub.spawn(name, partial(wait, name))
    started = Flag(hub, "all wait")
    hub.spawn("last", partial(_after_the_start, hub, started))
    hub.run(until=started.is_set)
    for name in names:
        thread = threading.Thread(target=flags[name].set)
        thread.start()
        thread.join()
    hub.run(until=never)
    return woken


def test_the_order_in_which_foreign_threads_knock_does_not_matter() -> None:
    assert order_of_waking(("a", "b", "c", "d")) == order_of_waking(("d", "b", "c", "a"))
    assert sorted(order_of_waking(("a", "b", "c", "d"))) == ["a", "b", "c", "d"]


def test_closing_ends_every_lane_where_it_stands_and_runs_its_clean_up() -> None:
    hub, ended = make(), []
    flag = Flag(hub, "never set")

    def waits() -> None:
        try:
            flag.wait()
        finally:
            ended.append("waits")

    def calls() -> None:
        try:
            with hub.network():
                flag.wait()
        finally:
            ended.append("calls")

    def clings() -> None:
        try:
            flag.wait()
        finally:
            try:
                hub.sleep(1)  # a lane that is being ended waits for nothing any more
            finally:
                ended.append("clings")

    for run in (waits, calls, clings):
        hub.spawn(run.__name__, run)
    hub.run(until=never)
    hub.spawn("not started", lambda: ended.append("not started"))
    hub.close()
    assert sorted(ended) == ["calls", "clings", "waits"]


def test_outside_of_lanes_the_name_is_hub() -> None:
    assert make().current() == "hub"
