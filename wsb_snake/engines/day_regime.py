"""What kind of day it is so far: neutral, mild or strong trend, and whether it is bullish. Pure.

    z = ln(close / first open) / (d * sqrt(minutes gone / minutes of the session))

where d is the root mean square of ln(close / open) of the last 20 sessions: how far the day has gone,
in deviations of a day without drift at that hour. Half an hour of bars at least. Efficiency is
|close - first open| / sum of |steps between every fifth close|: 1 for a straight line. Mild: |z| at
least 0.75. Strong: |z| at least 1.5 and efficiency at least 0.15. Bullish: the close stands above
today's open, the previous close and the mean of the last 20 daily closes.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from wsb_snake.engines.day_tape import DayTape
from wsb_snake.engines.indicators import sma
from wsb_snake.engines.types import Direction


class Trend(StrEnum):
    NEUTRAL = "neutral"
    MILD = "mild"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class RegimeRules:
    least_bars: int = 30  # of the session
    mild: float = 0.75  # |z| at least
    strong: float = 1.5  # |z| at least
    strong_efficiency: float = 0.15  # at least
    step_bars: int = 5  # of the efficiency
    average_days: int = 20  # of the daily closes


@dataclass(frozen=True, slots=True)
class DayRegime:
    """``direction`` is the trend's, None on a neutral day."""

    trend: Trend
    direction: Direction | None
    bullish: bool
    z: float
    efficiency: float


def classify(tape: DayTape, n: int, rules: RegimeRules = RegimeRules()) -> DayRegime | None:
    """The regime after bar ``n``; None before half an hour has gone or without daily history."""
    first, close = tape.bars[0].open, tape.closes[n]
    if n + 1 < rules.least_bars or tape.day_deviation is None or first <= 0 or close <= 0:
        return None
    gone = (tape.end(n) - tape.session.open) / (tape.session.close - tape.session.open)
    z = math.log(close / first) / (tape.day_deviation * math.sqrt(gone))
    corners = [first, *tape.closes[n % rules.step_bars : n + 1 : rules.step_bars]]
    steps = math.fsum(abs(after - before) for before, after in pairwise(corners))
    efficiency = abs(close - first) / steps if steps > 0 else 0.0
    trend = Trend.NEUTRAL
    if abs(z) >= rules.strong and efficiency >= rules.strong_efficiency:
        trend = Trend.STRONG
    elif abs(z) >= rules.mild:
        trend = Trend.MILD
    direction = None
    if trend is not Trend.NEUTRAL:
        direction = Direction.LONG if z > 0 else Direction.SHORT
    return DayRegime(trend, direction, _bullish(tape, close, rules), z, efficiency)


def _bullish(tape: DayTape, close: float, rules: RegimeRules) -> bool:
    average = sma([bar.close for bar in tape.daily[-rules.average_days :]], rules.average_days)
    return average is not None and close > max(tape.bars[0].open, tape.daily[-1].close, average)
