"""The kind of a day by its formula; deviation of a day here is 0.4 %."""

import math

import pytest

from tests.engines.tapes import bar, flat, history, line, tape_of
from wsb_snake.core.types import Bar
from wsb_snake.engines.day_regime import DayRegime, RegimeRules, Trend, classify
from wsb_snake.engines.types import Direction


def regime(bars: list[Bar], daily: list[Bar] | None = None) -> DayRegime | None:
    return classify(tape_of(bars, daily=daily), len(bars) - 1)


def test_z_is_the_way_in_deviations_of_a_day_without_drift() -> None:
    found = regime(line(100, 100.5, 195))  # half of the session
    assert found is not None
    deviation = math.log(100 / 99.6)
    assert found.z == pytest.approx(math.log(1.005) / (deviation * math.sqrt(0.5)))
    assert found.efficiency == pytest.approx(1)


@pytest.mark.parametrize(
    ("end", "trend", "direction"),
    [
        (100.0, Trend.NEUTRAL, None),
        (100.2, Trend.NEUTRAL, None),
        (100.25, Trend.MILD, Direction.LONG),
        (99.75, Trend.MILD, Direction.SHORT),
        (100.4, Trend.MILD, Direction.LONG),
        (100.45, Trend.STRONG, Direction.LONG),
        (99.5, Trend.STRONG, Direction.SHORT),
    ],
)
def test_trends(end: float, trend: Trend, direction: Direction | None) -> None:
    found = regime(line(100, end, 195))
    assert found is not None
    assert (found.trend, found.direction) == (trend, direction)


def test_a_way_that_zigzags_is_no_strong_trend() -> None:
    zigzag = [bar(100 + 0.8 * (n // 5 % 2)) for n in range(190)]
    found = regime([*zigzag, *line(100.8, 101, 5)])
    assert found is not None
    assert found.z > RegimeRules().strong
    assert found.efficiency < RegimeRules().strong_efficiency
    assert found.trend is Trend.MILD


def test_half_an_hour_and_a_history_are_needed() -> None:
    assert regime(flat(29)) is None
    assert regime(flat(30)) is not None
    assert regime(flat(30), history(4)) is None


def test_a_bullish_day_is_above_open_previous_close_and_average() -> None:
    def bullish(end: float, daily: list[Bar] | None = None) -> bool:
        found = regime(line(100, end, 60), daily)
        assert found is not None
        return found.bullish

    assert bullish(100.1)
    assert not bullish(99.9)
    assert not bullish(100.1, history(price=100.2))  # below the previous close
    below_average = [*history(29, price=102), *history(1, price=100)]
    assert not bullish(100.1, below_average)
    assert bullish(102, below_average)
    assert not bullish(100.1, history(19))  # the average is not known


def test_a_minute_is_judged_by_what_came_before_it() -> None:
    calm, storm = flat(60), line(100, 104, 30)
    whole, cut = tape_of([*calm, *storm]), tape_of(calm)
    assert classify(whole, 59) == classify(cut, 59)
