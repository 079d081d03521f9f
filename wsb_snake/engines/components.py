"""What the three components of the orchestrator (ignition, pressure, surge) share and hand on.

A component is a sum of votes. Each part that is known gives points for a rise (positive) or a fall
(negative); a part that is not known is absent, which is not the same as one that gives nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.signals import Direction
from wsb_snake.core.types import Bar, Chain
from wsb_snake.engines.types import MarketView

BAR = timedelta(minutes=1)

Steps = tuple[tuple[float, float], ...]
"""(at least, points), highest first."""

_MOST = 100.0
_EXPIRY_CLOSE = time(16, 0)


@dataclass(frozen=True, slots=True)
class Component:
    """One component's opinion of one ticker at one moment.

    ``score`` is 0 to 100. ``direction`` is None where the evidence points neither way. ``evidence``
    names each figure that was looked at and, as ``…_points``, what it gave: positive for a rise,
    negative for a fall. A figure that is not known is absent.
    """

    score: float
    direction: Direction | None
    evidence: tuple[tuple[str, float], ...] = ()


NOTHING = Component(0.0, None)
"""The opinion where there is nothing to look at."""


@dataclass(frozen=True, slots=True)
class Part:
    """A figure that was looked at and its vote: ``points`` above zero speak for a rise, below for a fall."""

    name: str
    value: float
    points: float


def weigh(parts: Iterable[Part], facts: Iterable[tuple[str, float]] = ()) -> Component:
    """The votes taken together; ``facts`` are shown as evidence and vote for nothing."""
    evidence = list(facts)
    net = 0.0
    for part in parts:
        evidence += ((part.name, part.value), (f"{part.name}_points", part.points))
        net += part.points
    return Component(min(abs(net), _MOST), direction_of(net), tuple(evidence))


def direction_of(value: float) -> Direction | None:
    """Which way a signed ``value`` points."""
    if value == 0:
        return None
    return Direction.LONG if value > 0 else Direction.SHORT


def sign_of(value: float) -> int:
    """1, 0 or -1."""
    return (value > 0) - (value < 0)


def points(value: float, steps: Steps) -> float:
    """Points of the first step that ``value`` reaches, else 0."""
    return next((given for at_least, given in steps if value >= at_least), 0.0)


def ended_bars(view: MarketView, ticker: str) -> Sequence[Bar]:
    """The minutes of the session that had ended by ``view.now``, oldest first."""
    bars = view.bars.get(ticker, ())
    first = bisect_left(bars, view.session.open, key=_start)
    return bars[first : bisect_right(bars, min(view.now, view.session.close) - BAR, key=_start)]


def last_minutes(bars: Sequence[Bar], minutes: int) -> int:
    """How many bars lie within the ``minutes`` that end with the newest: fewer where minutes are missing."""
    return len(bars) - bisect_right(bars, bars[-1].start - minutes * BAR, key=_start) if bars else 0


def moved(bars: Sequence[Bar], minutes: int) -> float:
    """Change of the close over the last ``minutes`` as a fraction; 0 when there is nothing to compare."""
    tail = bars[-last_minutes(bars, minutes) - 1 :]
    return tail[-1].close / tail[0].close - 1 if tail and tail[0].close > 0 else 0.0


def age_s(bars: Sequence[Bar], now: datetime) -> float | None:
    """Seconds from the end of the newest bar to ``now``; None without bars."""
    return (now - bars[-1].start - BAR).total_seconds() if bars else None


def earlier_days(view: MarketView, ticker: str) -> Sequence[Bar]:
    """Daily bars of the sessions before this one, oldest first."""
    daily = view.daily.get(ticker, ())
    end = len(daily)
    while end and eastern_date(daily[end - 1].start) >= view.session.day:
        end -= 1
    return daily[:end]


def reaches_yesterday(view: MarketView, days: Sequence[Bar], max_gap_days: int) -> bool:
    """Whether the last of ``days`` (daily bars, oldest first) is of the session before this one.

    Where that session is not known: whether it is at most ``max_gap_days`` calendar days ago.
    """
    if not days:
        return False
    last = eastern_date(days[-1].start)
    if view.previous is not None:
        return last == view.previous.day
    return (view.session.day - last).days <= max_gap_days


def usable_chain(view: MarketView, ticker: str, max_age_s: float) -> Chain | None:
    """The newest chain of ``ticker`` that is young enough, not from the future and not expired, if any."""
    known = (view.chains.get(ticker), view.earlier_chains.get(ticker))
    usable = (
        chain
        for chain in known
        if chain is not None
        and chain.rows
        and chain.expiry >= view.session.day
        and 0 <= (view.now - chain.at).total_seconds() <= max_age_s
    )
    return next(usable, None)


def expires_at(view: MarketView, chain: Chain) -> datetime:
    """The close at which ``chain`` expires; 16:00 US/Eastern for a later day."""
    if chain.expiry == view.session.day:
        return view.session.close
    return from_eastern(chain.expiry, _EXPIRY_CLOSE)


def _start(bar: Bar) -> datetime:
    return bar.start
