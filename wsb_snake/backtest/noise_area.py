"""The noise-area rule in shares on recorded 1-minute bars, at the costs of its paper.

It shows that ``engines/noise_area`` is the published rule: monthly returns come out as the paper's. It
says nothing about options. Every figure is the paper's; none is fitted to the result.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from wsb_snake.core.signals import Direction
from wsb_snake.core.types import Bar
from wsb_snake.engines.indicators import vwap
from wsb_snake.engines.noise_area import BAR, HALF_HOUR, PUBLISHED, NoiseRules, bands, decide, sigma, until


@dataclass(frozen=True, slots=True)
class ShareRules:
    """How the paper turns the rule into shares."""

    equity: float = 100_000  # dollars at the start
    daily_risk: float = 0.02  # of equity: what a usual day should move at most
    max_leverage: float = 4
    risk_sessions: int = 14  # close-to-close returns in the standard deviation
    cost: float = 0.0045  # dollars a share and side: commission 0.0035, slippage 0.001
    noise: NoiseRules = PUBLISHED


@dataclass(frozen=True, slots=True)
class Day:
    """One session. ``equity`` in dollars after it; ``traded`` is False while the history was too short.

    ``entries`` counts positions opened, a reversal included; ``shares`` is the size of each.
    """

    day: date
    equity: float
    traded: bool
    entries: int
    shares: int


def run(
    sessions: Mapping[date, Sequence[Bar]], dividends: Mapping[date, float], rules: ShareRules = ShareRules()
) -> list[Day]:
    """Trade ``sessions`` (oldest first, each from its opening bar to its close); one result a session.

    ``dividends`` in dollars by ex-date: the close before is taken less the dividend.
    """
    equity = rules.equity
    days: list[Day] = []
    past: list[Sequence[Bar]] = []
    for day, bars in sessions.items():
        size = _shares(equity, [each[-1].close for each in past], bars[0].open, rules)
        entries = 0
        if size is not None:
            previous = past[-1][-1].close - dividends.get(day, 0.0)
            gain, entries = _trade(bars, past, previous, size, rules)
            equity += gain
        days.append(Day(day, equity, size is not None, entries, size or 0))
        past.append(bars)
    return days


def _shares(equity: float, closes: Sequence[float], today_open: float, rules: ShareRules) -> int | None:
    """Whole shares for the day; None while there are too few closes."""
    known = closes[-1 - rules.risk_sessions :]
    if len(known) <= rules.risk_sessions:
        return None
    returns = [after / before - 1 for before, after in pairwise(known)]
    mean = math.fsum(returns) / len(returns)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1))
    leverage = min(rules.max_leverage, rules.daily_risk / spread) if spread > 0 else rules.max_leverage
    return math.floor(equity * leverage / today_open)


def _trade(
    bars: Sequence[Bar], past: Sequence[Sequence[Bar]], previous_close: float, size: int, rules: ShareRules
) -> tuple[float, int]:
    """Dollars gained in one session, after costs, and how often a position was opened."""
    opened, ends = bars[0].start, bars[-1].start + BAR
    gain, entries = 0.0, 0
    held: Direction | None = None
    at, last = opened + HALF_HOUR, 0.0
    while at < ends:
        wanted = _wanted(bars, past, previous_close, at, held, rules)
        if wanted is not None:
            price, direction = wanted
            gain += _moved(held, price - last) * size
            if direction is not held:
                sides = (held is not None) + (direction is not None)
                gain -= sides * size * rules.cost
                entries += direction is not None
            held, last = direction, price
        at += HALF_HOUR
    if held is not None:
        gain += (_moved(held, bars[-1].close - last) - rules.cost) * size
    return gain, entries


def _moved(held: Direction | None, change: float) -> float:
    """Dollars a share that ``change`` of the price makes for who holds ``held``."""
    if held is None:
        return 0.0
    return change if held is Direction.LONG else -change


def _wanted(
    bars: Sequence[Bar],
    past: Sequence[Sequence[Bar]],
    previous_close: float,
    at: datetime,
    held: Direction | None,
    rules: ShareRules,
) -> tuple[float, Direction | None] | None:
    """Price and direction at a half hour; None when its bar is missing: then nothing changes."""
    known = until(bars, at)
    average = vwap(known)
    distance = sigma(past, (at - bars[0].start) // BAR, rules.noise)
    if average is None or distance is None:
        return None
    area = bands(bars[0].open, previous_close, distance)
    price = known[-1].close
    return price, decide(price, area, average, held).direction
