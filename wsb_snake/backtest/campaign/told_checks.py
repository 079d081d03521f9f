"""Check of the telling: what stood at the close was named in time, and to the end with its quantity.

What the daemon said is in the journal, what was true is in the exchange's books. A word that died with its
process, before the disk had it, was never said; a new process gets the time to say it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wsb_snake.backtest.campaign.closing_checks import SEEN_LATE
from wsb_snake.core.events import Event, EventKind
from wsb_snake.sim.account import Holding
from wsb_snake.sim.exchange import Exchange

TOLD_WITHIN, TOLD_EVERY = timedelta(seconds=61), timedelta(seconds=65)
"""What is promised is a minute; the rest is for the second in which a lane looks."""

EARLY = timedelta(seconds=1)
"""So much before this check saw a contract the daemon may have seen it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of this time may have died with their process; at its end the next one ran."""

    first: datetime
    last: datetime


class Holdings:
    """How many of each contract the exchange held, from when on."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._known: dict[str, list[tuple[datetime, int]]] = {}
        self._last: list[Holding] = []

    def look(self) -> None:
        """Note what has changed."""
        now, account = self._exchange.clock.now(), self._exchange.account
        before, self._last = self._last, account.holdings
        if self._last == before:
            return
        for symbol in {holding.symbol for holding in (*before, *self._last)}:
            known, qty = self._known.setdefault(symbol, []), account.qty(symbol)
            if not known or known[-1][1] != qty:
                known.append((now, qty))

    def within(self, symbol: str, first: datetime, last: datetime) -> tuple[int, int]:
        """The least and the most of ``symbol`` held at any moment from ``first`` to ``last``."""
        known = self._known.get(symbol, [])
        before = [qty for at, qty in known if at <= first]
        held = [before[-1] if before else 0, *(qty for at, qty in known if first < at <= last)]
        return min(held), max(held)


class Telling:
    """What the journal tells of contracts left open, against ``holdings``."""

    def __init__(
        self, events: Iterable[Event], holdings: Holdings, gaps: Sequence[Gap], close: datetime
    ) -> None:
        self._said = [e for e in events if e.kind is EventKind.EOD_NOT_FLAT and e.at <= close]
        self._holdings = holdings
        self._gaps = gaps
        self._close = close

    def lacks(self, symbol: str, since: datetime) -> str:
        """What is wrong with how ``symbol``, due and held since ``since``, was told; empty: nothing."""
        limit = self._limit(symbol, since)
        if limit <= self._close and not any(
            since - EARLY <= event.at <= limit and _rows(event, symbol) and self._true(event, symbol)
            for event in self._said
        ):
            return f"not told from {since} to {limit}"
        last, ends = self._said[-1:], self._close - TOLD_EVERY
        lost = any(gap.last >= ends and gap.first <= self._close for gap in self._gaps)
        if not lost and (not last or last[0].at < ends):
            return f"last told {[str(event.at) for event in last]}"
        if last and not self._true(last[0], symbol):
            return f"last told as {last[0].data['open']}"
        return ""

    def _limit(self, symbol: str, since: datetime) -> datetime:
        """When it must have been told. A word by a reading from before leaves it to the next one."""
        limit = since + TOLD_WITHIN
        for event in self._said:
            soon = since - EARLY <= event.at <= since + SEEN_LATE
            if soon and not _rows(event, symbol) and self._true(event, symbol):
                limit = max(limit, event.at + TOLD_EVERY)
        for gap in self._gaps:
            if gap.first <= limit and gap.last >= since:
                limit = max(limit, gap.last + TOLD_WITHIN)
        return limit

    def _true(self, event: Event, symbol: str) -> bool:
        """Whether ``event`` names as many as were held, by a reading that may be some seconds old."""
        rows = _rows(event, symbol)
        least, most = self._holdings.within(symbol, event.at - SEEN_LATE, event.at)
        named = bool(rows) or least == 0
        return named and least <= sum(row["qty"] for row in rows) <= most and all(r["why"] for r in rows)


def _rows(event: Event, symbol: str) -> list[dict[str, Any]]:
    """What ``event`` names of ``symbol``."""
    return [row for row in event.data["open"] if row["symbol"] == symbol]
