"""Calls that overlap: order, errors, lanes, and an end in time."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest

from wsb_snake.collectors.market_data import DataError, DataUnavailable
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lanes import Lanes, ThreadLanes
from wsb_snake.hunting.fetching import BEGIN_WITHIN_S, WIDTH, overlapped

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def in_hub(work: Callable[[Hub], object]) -> float:
    """Do ``work`` in a lane; the virtual seconds that it took."""
    hub = Hub(VirtualClock(START), 7)
    done: list[object] = []
    failed: list[Exception] = []

    def lane() -> None:
        try:
            done.append(work(hub))
        except Exception as error:  # carried to the test
            failed.append(error)

    hub.spawn("test", lane)
    hub.run(lambda: bool(done or failed))
    if failed:
        raise failed[0]
    return hub.clock.monotonic()


def slow(lanes: Lanes, seconds: float, answer: int) -> int:
    lanes.sleep(seconds)
    return answer


def test_answers_come_in_the_order_of_the_calls_whoever_is_first() -> None:
    luck = random.Random(3)
    waits = [luck.uniform(0.0, 0.02) for _ in range(30)]
    lanes = ThreadLanes(SystemClock())
    calls = [partial(slow, lanes, wait, number) for number, wait in enumerate(waits)]
    assert overlapped(lanes, calls) == list(range(30))


def test_waiting_overlaps_in_a_few_lanes() -> None:
    def work(hub: Hub) -> None:
        at_once = {"now": 0, "most": 0}

        def call() -> int:
            at_once["now"] += 1
            at_once["most"] = max(at_once.values())
            hub.sleep(1.0)
            at_once["now"] -= 1
            return 1

        assert overlapped(hub, [call] * (3 * WIDTH)) == [1] * (3 * WIDTH)
        assert at_once["most"] == WIDTH

    assert in_hub(work) == pytest.approx(3.0)


def test_one_call_and_none_need_no_lane_of_their_own() -> None:
    def work(hub: Hub) -> None:
        here = hub.current()
        assert overlapped(hub, [hub.current]) == [here]
        assert overlapped(hub, []) == []

    in_hub(work)


def test_data_errors_are_answers_and_other_errors_are_raised() -> None:
    def refuse() -> int:
        raise DataUnavailable("503")

    def break_down() -> int:
        raise ZeroDivisionError

    def work(hub: Hub) -> None:
        calls: list[Callable[[], int]] = [partial(slow, hub, 1.0, 7), refuse]
        told = overlapped(hub, calls)
        assert told[0] == 7
        assert isinstance(told[1], DataError) and str(told[1]) == "503"
        with pytest.raises(ZeroDivisionError):
            overlapped(hub, [calls[0], break_down])

    in_hub(work)


def test_a_vendor_that_hangs_is_not_asked_on_and_on() -> None:
    def work(hub: Hub) -> None:
        told = overlapped(hub, [partial(slow, hub, BEGIN_WITHIN_S - 1, n) for n in range(4 * WIDTH)])
        assert told[: 2 * WIDTH] == list(range(2 * WIDTH))
        assert all(isinstance(each, DataUnavailable) for each in told[2 * WIDTH :])

    assert in_hub(work) == pytest.approx(2 * (BEGIN_WITHIN_S - 1))
