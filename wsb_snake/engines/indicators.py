"""Indicators: pure functions over sequences ordered oldest first.

The last element is the newest that is known; nothing looks past it. A function returns None when the
sequence is too short for its formula, never a guess. A missing bar is simply not in the sequence: it
is not a bar of zero volume.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from wsb_snake.core.types import Bar

MINUTES_A_YEAR = 252 * 390
"""One-minute periods of regular trading in a year."""


def vwap_path(bars: Sequence[Bar]) -> list[float]:
    """Volume-weighted average price from the first bar to each bar, in dollars.

    Sum of (bar VWAP x volume) over sum of volume; a bar without VWAP counts with its typical price
    (high + low + close) / 3. While no volume has traded the value is the last close.
    """
    path: list[float] = []
    dollars = shares = 0.0
    for bar in bars:
        price = bar.vwap if bar.vwap > 0 else (bar.high + bar.low + bar.close) / 3
        dollars += price * bar.volume
        shares += bar.volume
        path.append(dollars / shares if shares > 0 else bar.close)
    return path


def vwap(bars: Sequence[Bar]) -> float | None:
    """Volume-weighted average price of ``bars`` in dollars (pass one session's bars)."""
    return vwap_path(bars)[-1] if bars else None


def average_volume(bars: Sequence[Bar]) -> float | None:
    """Mean volume of ``bars`` in shares a bar."""
    return math.fsum(bar.volume for bar in bars) / len(bars) if bars else None


def momentum(closes: Sequence[float], periods: int) -> float | None:
    """Change over the last ``periods`` steps as a fraction: close / close[periods ago] - 1."""
    if len(closes) <= periods or closes[-1 - periods] <= 0:
        return None
    return closes[-1] / closes[-1 - periods] - 1


def relative_volume(bars: Sequence[Bar], recent: int, base: int) -> float | None:
    """The busiest of the last ``recent`` bars over the mean of the ``base`` bars before them."""
    if recent < 1 or len(bars) < recent + base:
        return None
    average = average_volume(bars[-recent - base : -recent])
    return max(bar.volume for bar in bars[-recent:]) / average if average else None


def relative_range(bars: Sequence[Bar], recent: int, base: int) -> float | None:
    """Mean true range of the last ``recent`` bars over that of the ``base`` bars before them.

    One bar more has to come before those: its close is where the first true range begins.
    """
    if recent < 1 or len(bars) <= recent + base:
        return None
    ranges = true_ranges(bars[-recent - base - 1 :])[1:]
    before = math.fsum(ranges[:base]) / base
    return math.fsum(ranges[base:]) / recent / before if before > 0 else None


def velocity(bars: Sequence[Bar]) -> float | None:
    """The fastest step from close to close that goes the way of the whole, as a signed fraction a minute.

    The whole is the change from the first close to the last one: a spike that was given back does not
    count. A step over missing minutes is spread over them. 0 when there was no change.
    """
    if len(bars) < 2 or min(bar.close for bar in bars) <= 0:
        return None
    sign = math.copysign(1.0, bars[-1].close - bars[0].close)
    steps = (
        sign * (after.close / before.close - 1) * 60 / (after.start - before.start).total_seconds()
        for before, after in pairwise(bars)
    )
    return sign * max(steps) if bars[-1].close != bars[0].close else 0.0


def price_range(bars: Sequence[Bar]) -> tuple[float, float] | None:
    """Lowest low and highest high of ``bars`` in dollars."""
    if not bars:
        return None
    return min(bar.low for bar in bars), max(bar.high for bar in bars)


def true_range(bar: Bar, previous_close: float | None) -> float:
    """High - low, widened by a gap from the close before (Wilder 1978), in dollars."""
    if previous_close is None:
        return bar.high - bar.low
    return max(bar.high, previous_close) - min(bar.low, previous_close)


def true_ranges(bars: Sequence[Bar]) -> list[float]:
    """The true range of each bar; the first has no close before it."""
    closes = [None, *(bar.close for bar in bars)]
    return [true_range(bar, before) for bar, before in zip(bars, closes, strict=False)]


def atr(bars: Sequence[Bar], periods: int = 14) -> float | None:
    """Average true range in dollars, with Wilder's smoothing (see ``_wilder``)."""
    return _wilder(true_ranges(bars)[1:], periods)


def rsi(closes: Sequence[float], periods: int = 14) -> float | None:
    """Relative strength index 0 to 100 (Wilder 1978): 100 x gains / (gains + losses), both smoothed.

    50 when nothing moved.
    """
    steps = [after - before for before, after in pairwise(closes)]
    gains = _wilder([max(step, 0.0) for step in steps], periods)
    losses = _wilder([max(-step, 0.0) for step in steps], periods)
    if gains is None or losses is None:
        return None
    return 100 * gains / (gains + losses) if gains + losses > 0 else 50.0


def sma(values: Sequence[float], periods: int) -> float | None:
    """Mean of the last ``periods`` values."""
    return math.fsum(values[-periods:]) / periods if len(values) >= periods else None


def ema_path(values: Sequence[float], periods: int) -> list[float]:
    """Exponential moving average from the ``periods``-th value on, weight 2 / (periods + 1).

    The first value is the simple mean of the first ``periods``; empty when there are fewer.
    """
    if len(values) < periods:
        return []
    path = [math.fsum(values[:periods]) / periods]
    weight = 2 / (periods + 1)
    for value in values[periods:]:
        path.append(path[-1] + weight * (value - path[-1]))
    return path


@dataclass(frozen=True, slots=True)
class Macd:
    """Dollars. ``histogram`` is line - signal."""

    line: float
    signal: float
    histogram: float


def macd(closes: Sequence[float], fast: int = 12, slow: int = 26, smooth: int = 9) -> Macd | None:
    """Moving average convergence divergence (Appel): EMA(fast) - EMA(slow), and its EMA(smooth)."""
    slow_path = ema_path(closes, slow)
    fast_path = ema_path(closes, fast)[slow - fast :]
    lines = [quick - steady for quick, steady in zip(fast_path, slow_path, strict=True)] if slow_path else []
    signals = ema_path(lines, smooth)
    if not signals:
        return None
    return Macd(lines[-1], signals[-1], lines[-1] - signals[-1])


def realised_volatility(closes: Sequence[float], periods_a_year: float = MINUTES_A_YEAR) -> float | None:
    """Annualised standard deviation (n - 1) of the log returns between ``closes``; 0.20 = 20 %."""
    if len(closes) < 3 or min(closes) <= 0:
        return None
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((step - mean) ** 2 for step in returns) / (len(returns) - 1)
    return math.sqrt(variance * periods_a_year)


def _wilder(values: Sequence[float], periods: int) -> float | None:
    """Wilder's smoothing: the mean of the first ``periods`` values, then
    (previous x (periods - 1) + value) / periods."""
    if len(values) < periods:
        return None
    smoothed = math.fsum(values[:periods]) / periods
    for value in values[periods:]:
        smoothed += (value - smoothed) / periods
    return smoothed
