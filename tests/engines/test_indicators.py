"""Indicators against values worked out by hand or by a slower formula."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsb_snake.core.types import Bar
from wsb_snake.engines import indicators

START = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


def bar(
    minute: int, close: float, *, high: float = 0, low: float = 0, volume: float = 100, vwap: float = 0
) -> Bar:
    return Bar(
        symbol="SPY",
        start=START + timedelta(minutes=minute),
        open=close,
        high=high or close,
        low=low or close,
        close=close,
        volume=volume,
        vwap=vwap,
    )


def test_vwap_weighs_by_volume() -> None:
    bars = [bar(0, 10, volume=100, vwap=10), bar(1, 12, volume=300, vwap=12)]
    assert indicators.vwap_path(bars) == [10, 11.5]
    assert indicators.vwap(bars) == 11.5
    assert indicators.vwap([]) is None


def test_vwap_of_bars_without_their_own_uses_the_typical_price() -> None:
    assert indicators.vwap([bar(0, 10, high=13, low=7)]) == 10
    assert indicators.vwap([bar(0, 9, high=12, low=9)]) == 10


def test_vwap_without_any_volume_is_the_last_close() -> None:
    assert indicators.vwap_path([bar(0, 10, volume=0), bar(1, 12, volume=0)]) == [10, 12]


def test_average_volume_is_over_the_bars_that_exist() -> None:
    assert indicators.average_volume([bar(0, 1, volume=100), bar(7, 1, volume=300)]) == 200
    assert indicators.average_volume([]) is None


def test_momentum() -> None:
    assert indicators.momentum([100, 100, 101], 2) == pytest.approx(0.01)
    assert indicators.momentum([100, 101], 2) is None


def test_relative_volume_is_that_of_the_busiest_bar() -> None:
    bars = [bar(n, 10, volume=volume) for n, volume in enumerate((900, 50, 150, 100, 300))]
    assert indicators.relative_volume(bars, 2, 2) == 3
    assert indicators.relative_volume(bars, 2, 4) is None
    assert indicators.relative_volume(bars, 0, 2) is None
    silent = [bar(n, 10, volume=0) for n in range(4)]
    assert indicators.relative_volume(silent, 2, 2) is None


def test_relative_range_counts_gaps_between_bars() -> None:
    bars = [bar(0, 10), bar(1, 10, high=10.5, low=9.5), bar(2, 10, high=10.5, low=9.5), bar(3, 12)]
    assert indicators.relative_range(bars, 1, 2) == 2
    assert indicators.relative_range(bars, 1, 3) is None
    assert indicators.relative_range([bar(n, 10) for n in range(4)], 1, 2) is None


def test_velocity_is_the_fastest_step_the_way_of_the_whole() -> None:
    rise = [bar(0, 100), bar(1, 101), bar(2, 98), bar(3, 100.5)]
    assert indicators.velocity(rise) == pytest.approx(100.5 / 98 - 1)
    assert indicators.velocity([bar(0, 100), bar(1, 102), bar(2, 99)]) == pytest.approx(99 / 102 - 1)
    assert indicators.velocity([bar(0, 100), bar(1, 102), bar(2, 100)]) == 0
    assert indicators.velocity([bar(0, 100), bar(4, 102)]) == pytest.approx(0.005)
    assert indicators.velocity([bar(0, 100)]) is None
    assert indicators.velocity([bar(0, 0), bar(1, 1)]) is None


def test_price_range() -> None:
    assert indicators.price_range([bar(0, 10, high=11, low=9), bar(1, 10, high=12, low=9.5)]) == (9, 12)
    assert indicators.price_range([]) is None


def test_true_range_includes_the_gap() -> None:
    assert indicators.true_range(bar(0, 10, high=11, low=9), None) == 2
    assert indicators.true_range(bar(0, 10, high=11, low=9), 12) == 3
    assert indicators.true_range(bar(0, 10, high=11, low=9), 7) == 4


def test_atr_is_wilders() -> None:
    bars = [bar(n, 10, high=10 + width, low=10) for n, width in enumerate([9, 1, 2, 3, 4])]
    # the first bar has no close before it; then (1 + 2 + 3) / 3 = 2, and 2 + (4 - 2) / 3
    assert indicators.atr(bars, 3) == pytest.approx(2 + 2 / 3)
    assert indicators.atr(bars[:3], 3) is None


def test_rsi() -> None:
    assert indicators.rsi([1, 2, 3, 4], 3) == 100
    assert indicators.rsi([4, 3, 2, 1], 3) == 0
    assert indicators.rsi([1, 1, 1, 1], 3) == 50
    # gains 2, 0, 0 and losses 0, 1, 0: 2/3 against 1/3; then a gain of 1
    assert indicators.rsi([10, 12, 11, 11], 3) == pytest.approx(100 * 2 / 3)
    assert indicators.rsi([10, 12, 11, 11, 12], 3) == pytest.approx(100 * (7 / 9) / (7 / 9 + 2 / 9))
    assert indicators.rsi([1, 2, 3], 3) is None


def test_averages() -> None:
    assert indicators.sma([1, 2, 3, 4], 2) == 3.5
    assert indicators.sma([1], 2) is None
    assert indicators.ema_path([1, 3, 5], 2) == [2, 4]
    assert indicators.ema_path([1], 2) == []


def test_macd_of_a_straight_line_is_half_the_difference_of_the_lags() -> None:
    found = indicators.macd([float(n) for n in range(80)])
    assert found is not None
    assert found.line == pytest.approx((26 - 12) / 2)  # an EMA lags a line by (periods - 1) / 2
    assert found.histogram == pytest.approx(0, abs=1e-9)
    assert indicators.macd([1.0] * 33) is None
    assert indicators.macd([1.0] * 34) is not None


def test_realised_volatility() -> None:
    closes = [100.0, 101.0, 100.0, 102.0]
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((step - mean) ** 2 for step in returns) / 2)
    assert indicators.realised_volatility(closes, 252) == pytest.approx(deviation * math.sqrt(252))
    assert indicators.realised_volatility([100.0, 100.0, 100.0]) == 0
    assert indicators.realised_volatility([100.0, 101.0]) is None


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 1000), st.integers(0, 10_000)), min_size=1, max_size=60), st.data())
def test_vwap_at_a_bar_does_not_depend_on_later_bars(
    rows: list[tuple[float, int]], data: st.DataObject
) -> None:
    bars = [bar(n, price, volume=volume) for n, (price, volume) in enumerate(rows)]
    cut = data.draw(st.integers(1, len(bars)))
    assert indicators.vwap_path(bars[:cut]) == indicators.vwap_path(bars)[:cut]
