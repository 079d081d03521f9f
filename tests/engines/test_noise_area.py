"""The noise area and what is decided at its edges."""

from collections.abc import Sequence
from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.signals import Direction
from wsb_snake.core.types import Bar
from wsb_snake.engines.noise_area import BAR, Bands, NoiseRules, bands, decide, last_half_hour, sigma, until

DAY = date(2024, 12, 18)
OPEN = from_eastern(DAY, time(9, 30))


def flat(close: float, minutes: int = 390, opened: float = 100.0) -> list[Bar]:
    """A session that opens at ``opened`` and closes every minute at ``close``."""
    return [
        Bar("SPY", OPEN + n * BAR, opened, max(opened, close), min(opened, close), close, 1000, 0)
        for n in range(minutes)
    ]


def moved(percents: Sequence[float], minutes: int = 390) -> list[list[Bar]]:
    return [flat(100 + percent, minutes) for percent in percents]


@pytest.mark.parametrize(
    ("after", "at"),
    [
        (timedelta(minutes=-1), None),
        (timedelta(minutes=29, seconds=59), None),
        (timedelta(minutes=30), 30),
        (timedelta(minutes=59), 30),
        (timedelta(minutes=60), 60),
        (timedelta(minutes=390), 390),
    ],
)
def test_decisions_fall_on_the_half_hours_from_half_an_hour_after_the_open(
    after: timedelta, at: int | None
) -> None:
    expected = None if at is None else OPEN + at * BAR
    assert last_half_hour(OPEN, OPEN + after) == expected


def test_what_is_known_at_a_moment_ends_with_the_bar_that_ends_there() -> None:
    bars = flat(101)
    assert until(bars, OPEN + 30 * BAR) == bars[:30]
    assert until(bars[:30], OPEN + 30 * BAR) == bars[:30]
    assert not until(bars[:29], OPEN + 30 * BAR)
    assert not until([*bars[:29], *bars[30:]], OPEN + 30 * BAR)
    assert not until([], OPEN + 30 * BAR)


def test_sigma_is_the_mean_distance_from_the_open_either_way() -> None:
    assert sigma(moved([1, -1] * 7), 30) == pytest.approx(0.01)
    assert sigma(moved([1] * 7 + [-3] * 7), 30) == pytest.approx(0.02)


def test_sigma_belongs_to_its_minute() -> None:
    widening = [
        [Bar("SPY", OPEN + n * BAR, 100, 102, 100, 100 + (n + 1) / 100, 1000, 0) for n in range(390)]
    ] * 14
    assert sigma(widening, 30) == pytest.approx(0.003)
    assert sigma(widening, 390) == pytest.approx(0.039)


def test_only_the_last_fourteen_sessions_count() -> None:
    assert sigma([*moved([50]), *moved([1] * 14)], 30) == pytest.approx(0.01)


def test_a_half_day_leaves_no_value_and_does_not_blank_the_afternoon() -> None:
    sessions = moved([1] * 13)
    sessions.insert(5, flat(109, minutes=210))
    assert sigma(sessions, 210) == pytest.approx(22 / 14 / 100)
    assert sigma(sessions, 240) == pytest.approx(0.01)


@pytest.mark.parametrize(("count", "known"), [(14, True), (13, True), (12, False), (0, False)])
def test_thirteen_of_fourteen_values_are_needed(count: int, known: bool) -> None:
    assert (sigma(moved([1] * count), 30) is not None) is known
    gaps: list[list[Bar]] = [[] for _ in range(14 - count)]
    assert (sigma([*moved([1] * count), *gaps], 30) is not None) is known


def test_two_half_days_within_fourteen_sessions_are_one_too_many() -> None:
    sessions = [*moved([1] * 12), flat(101, 210), flat(101, 210)]
    assert sigma(sessions, 210) is not None
    assert sigma(sessions, 240) is None
    assert sigma(sessions, 240, NoiseRules(needed=12)) is not None


def test_the_area_reaches_around_both_open_and_previous_close() -> None:
    for area in (bands(100, 98, 0.01), bands(98, 100, 0.01)):
        assert (area.lower, area.upper) == pytest.approx((97.02, 101))


AREA = Bands(99, 101, 0.01)


@pytest.mark.parametrize(
    ("price", "vwap", "direction", "words"),
    [
        (101.01, 100.5, Direction.LONG, "above"),
        (101.01, 101.01, None, "VWAP"),
        (101.01, 101.5, None, "VWAP"),
        (101.0, 100.5, None, "noise area of 99.00 to 101.00"),
        (100.0, 99.0, None, "noise area"),
        (99.0, 100.0, None, "noise area"),
        (98.99, 98.99, None, "VWAP"),
        (98.99, 98.5, None, "VWAP"),
        (98.99, 99.5, Direction.SHORT, "below"),
    ],
)
def test_beyond_the_area_and_vwap_or_flat(
    price: float, vwap: float, direction: Direction | None, words: str
) -> None:
    for held in (None, Direction.LONG, Direction.SHORT):
        decision = decide(price, AREA, vwap, held)
        assert decision.direction is direction
        assert words in decision.reason


def test_the_reason_of_an_exit_says_that_the_price_came_back() -> None:
    assert decide(100, AREA, 99, Direction.LONG).reason == (
        "100.00 is back inside the noise area of 99.00 to 101.00"
    )
    assert decide(102, AREA, 103, Direction.LONG).reason == "102.00 is through VWAP at 103.00"


prices = st.floats(1, 1000)


@given(prices, prices, prices, prices, st.floats(0, 0.1))
def test_up_and_down_are_mirror_images(
    price: float, opened: float, previous: float, vwap: float, distance: float
) -> None:
    area = bands(opened, previous, distance)
    mirror = Bands(-area.upper, -area.lower, distance)
    other = {Direction.LONG: Direction.SHORT, Direction.SHORT: Direction.LONG, None: None}
    assert decide(-price, mirror, -vwap).direction is other[decide(price, area, vwap).direction]
