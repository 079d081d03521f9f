"""The noise area: how far a price usually is from the day's open at a minute, and what lies beyond it.

The rule of Zarattini, Barbon and Aziz (2024), "Beat the Market: An Effective Intraday Momentum Strategy
for S&P500 ETF (SPY)". Sigma of a minute is the mean of |price / open - 1| at that minute over the last 14
sessions; the area reaches from the lower of open and previous close, less sigma, to the higher of them,
plus sigma. A price beyond the area and beyond the day's VWAP shows demand that is out of the ordinary.
Decisions fall on the half hours. Everything here is pure, and serves options and shares alike.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wsb_snake.core.signals import Direction
from wsb_snake.core.types import Bar

BAR = timedelta(minutes=1)
HALF_HOUR = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class NoiseRules:
    """How sigma is measured."""

    sessions: int = 14  # the last so many sessions are looked at
    needed: int = 13  # so many of them must have a bar at the minute: half days have none late


PUBLISHED = NoiseRules()


@dataclass(frozen=True, slots=True)
class Bands:
    """The edges of the noise area in dollars; ``sigma`` is a fraction, 0.005 = 0.5 %."""

    lower: float
    upper: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Where to be from this half hour on; None is flat. ``reason`` is one clear line."""

    direction: Direction | None
    reason: str


def last_half_hour(session_open: datetime, now: datetime) -> datetime | None:
    """The newest half hour at or before ``now``; None in the first half hour of the session."""
    passed = (now - session_open) // HALF_HOUR
    return session_open + passed * HALF_HOUR if passed >= 1 else None


def until(bars: Sequence[Bar], at: datetime) -> Sequence[Bar]:
    """The 1-minute ``bars`` (oldest first) up to the one that ends exactly ``at``; empty without that one."""
    index = bisect_left(bars, at - BAR, key=lambda bar: bar.start)
    return bars[: index + 1] if index < len(bars) and bars[index].start == at - BAR else ()


def sigma(sessions: Sequence[Sequence[Bar]], minutes: int, rules: NoiseRules = PUBLISHED) -> float | None:
    """Mean distance from the open after ``minutes`` of a session, as a fraction.

    ``sessions`` are earlier sessions, oldest first, each from its opening bar on. A session without a bar
    at that minute gives no value, so a half day does not blank the afternoon; None with too few values.
    """
    moves = []
    for bars in sessions[-rules.sessions :]:
        known = until(bars, bars[0].start + minutes * BAR) if bars else ()
        if known and bars[0].open > 0:
            moves.append(abs(known[-1].close / bars[0].open - 1))
    return math.fsum(moves) / len(moves) if len(moves) >= max(rules.needed, 1) else None


def bands(today_open: float, previous_close: float, distance: float) -> Bands:
    """The noise area of a minute whose sigma is ``distance``; prices in dollars.

    On an ex-dividend day ``previous_close`` is the close less the dividend.
    """
    return Bands(
        lower=min(today_open, previous_close) * (1 - distance),
        upper=max(today_open, previous_close) * (1 + distance),
        sigma=distance,
    )


def decide(price: float, area: Bands, vwap: float, held: Direction | None = None) -> Decision:
    """Where to be at a half hour: beyond the area and on the same side of VWAP, else flat.

    ``held`` is where one is now: what is held stays while the same rule would enter it, and is out once
    the price is back inside the area or through VWAP. It shapes the reason, never the direction.
    """
    if price > area.upper and price > vwap:
        return Decision(Direction.LONG, f"{price:.2f} is above the noise area's {area.upper:.2f} and VWAP")
    if price < area.lower and price < vwap:
        return Decision(Direction.SHORT, f"{price:.2f} is below the noise area's {area.lower:.2f} and VWAP")
    if area.lower <= price <= area.upper:
        back = "back inside" if held is not None else "inside"
        return Decision(None, f"{price:.2f} is {back} the noise area of {area.lower:.2f} to {area.upper:.2f}")
    through = "through" if held is not None else "on the wrong side of"
    return Decision(None, f"{price:.2f} is {through} VWAP at {vwap:.2f}")
