"""The day as a picture: its result over time, and a price with the entries and exits; pure functions."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.health import Facts
from wsb_snake.core.types import Bar
from wsb_snake.owner.day_curve import DayPoint
from wsb_snake.owner.ledger import Trade
from wsb_snake.owner.live import label
from wsb_snake.owner.status import Json, price

FIRST_SYMBOL = "SPY"
MINUTE = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry or an exit. ``t`` in Unix seconds, ``pnl`` in dollars, None for an entry."""

    t: int
    kind: str
    text: str
    pnl: float | None


def today_json(
    facts: Facts, closed: tuple[Trade, ...], known: tuple[DayPoint, ...], symbol: str, bars: Iterable[Bar]
) -> Json:
    """``closed`` are the trades of today, the newest first; moments are Unix seconds."""
    session, day = facts.session, eastern_date(facts.now)
    held = [position for position in facts.positions if position.qty > 0]
    opening = None if facts.equity is None or facts.day_pnl is None else facts.equity - facts.day_pnl
    return {
        "day": day.isoformat(),
        "open": None if session is None else _seconds(session.open),
        "close": None if session is None else _seconds(session.close),
        "opening_equity": None if opening is None else str(opening),
        "curve": curve(facts, closed, known),
        "symbol": symbol,
        "symbols": sorted(
            {FIRST_SYMBOL, symbol, *(t.underlying for t in closed), *(p.underlying for p in held)}
        ),
        "bars": [
            [_seconds(bar.start), bar.open, bar.high, bar.low, bar.close]
            for bar in bars
            if eastern_date(bar.start) == day
        ],
        "marks": [asdict(mark) for mark in marks(facts, closed, symbol)],
    }


def curve(facts: Facts, closed: tuple[Trade, ...], known: tuple[DayPoint, ...]) -> list[tuple[int, float]]:
    """The result at each full minute since the open, and now.

    Before the first known point it is what was closed until then: a restart leaves no gap.
    """
    session = facts.session
    if session is None or facts.now < session.open:
        return []
    opened, end = _seconds(session.open), _seconds(min(facts.now, session.close))
    points = {opened: 0.0}
    total = Decimal(0)
    for trade in reversed(closed):
        total += trade.net_pnl
        if session.open < trade.closed_at and not (known and trade.closed_at >= known[0].at):
            points[_seconds(trade.closed_at)] = float(total)
    points.update((_seconds(point.at), float(point.pnl)) for point in known)
    if facts.day_pnl is not None:
        points[end] = float(facts.day_pnl)
    told = sorted(points.items())
    moments = sorted({*range(opened, end, MINUTE), end})
    return [(moment, told[bisect_right(told, (moment, math.inf)) - 1][1]) for moment in moments]


def marks(facts: Facts, closed: tuple[Trade, ...], symbol: str) -> list[Mark]:
    """Today's entries and exits in ``symbol``, in order of time."""
    day = eastern_date(facts.now)
    found = [mark for trade in closed if trade.underlying == symbol for mark in _of_trade(trade, day)]
    for position in facts.positions:
        if position.underlying == symbol and position.qty > 0 and eastern_date(position.opened_at) == day:
            bought = f"{position.qty} × {label(position.symbol, day)} bought at {price(position.entry_price)}"
            found.append(Mark(_seconds(position.opened_at), "entry", bought, None))
    return sorted(found, key=lambda mark: (mark.t, mark.kind, mark.text))


def _of_trade(trade: Trade, day: date) -> Iterable[Mark]:
    what = f"{trade.qty} × {label(trade.symbol, day)}"
    if eastern_date(trade.opened_at) == day:
        yield Mark(_seconds(trade.opened_at), "entry", f"{what} bought at {price(trade.entry_price)}", None)
    sold = f"{what} sold at {price(trade.exit_price)}: {trade.exit_reason}"
    yield Mark(_seconds(trade.closed_at), "exit", sold, float(trade.net_pnl))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
