"""The budget of a provider: shares, the sliding minute, the count."""

import threading

import pytest

from tests.collectors.test_market_data import OPEN
from wsb_snake.collectors.budgets import CALL_S, Meter, Stopwatch
from wsb_snake.collectors.sources import DataSilent
from wsb_snake.core.clock import VirtualClock


def test_what_can_wait_stops_at_its_share_and_what_is_urgent_never() -> None:
    clock = VirtualClock(OPEN)
    meter = Meter(5, 3, clock)
    assert [meter.take() for _ in range(4)] == [True, True, True, False]
    assert all(meter.take(urgent=True) for _ in range(10))
    assert meter.sent == 13
    with pytest.raises(DataSilent, match="3 calls a minute"):
        meter.must_take()


def test_urgent_requests_take_nothing_from_the_others_until_the_whole_is_spent() -> None:
    clock = VirtualClock(OPEN)
    meter = Meter(5, 3, clock)
    assert all(meter.take(urgent=True) for _ in range(3))
    assert [meter.take() for _ in range(3)] == [True, True, False]


def test_a_request_counts_for_sixty_seconds() -> None:
    clock = VirtualClock(OPEN)
    meter = Meter(2, 2, clock)
    assert meter.take()
    clock.advance_to(30)
    assert meter.take()
    clock.advance_to(59.9)
    assert not meter.take()
    clock.advance_to(60)
    assert meter.take()
    assert not meter.take()
    assert meter.sent == 3


def test_lanes_that_ask_at_once_share_one_budget() -> None:
    meter = Meter(400, 300, VirtualClock(OPEN))
    granted: list[bool] = []

    def ask() -> None:
        granted.extend(meter.take() for _ in range(100))

    lanes = [threading.Thread(target=ask) for _ in range(4)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert granted.count(True) == meter.sent == 300


@pytest.mark.parametrize(("a_minute", "can_wait"), [(5, 0), (5, 6)])
def test_a_share_is_part_of_the_whole(a_minute: int, can_wait: int) -> None:
    with pytest.raises(ValueError, match="cannot be those that can wait"):
        Meter(a_minute, can_wait, VirtualClock(OPEN))


def test_all_pages_of_a_call_share_its_time() -> None:
    clock = VirtualClock(OPEN)
    time = Stopwatch(clock)
    clock.advance_to(CALL_S - 0.1)
    time.must_go_on()
    clock.advance_to(CALL_S)
    assert time.over
    with pytest.raises(DataSilent, match="did not come within"):
        time.must_go_on()
