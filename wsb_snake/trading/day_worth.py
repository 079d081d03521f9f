"""What the day has made, by quotes that can be believed and without what earlier days made.

What was bought today counts from its entry. What is held from before, or was found at the broker, counts
from its first mid of the session, open or sold, so that neither an old gain hides a loss nor an old loss
ends a day; an option of the owner's that got exits counts from the first mid after that. The limit, which
stops a whole day, goes by two looks: one odd quote is none.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.core.types import Quote
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.trading.book import BookView
from wsb_snake.trading.exits import too_early, usable
from wsb_snake.trading.positions import Position
from wsb_snake.trading.risk_governor import Brought, bought_today, counted, day_pnl

KEY = "day_worth"

APART_S = 4.0
"""Two looks are at least this far apart: those of neighbouring monitor passes."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The newest usable quote of a contract, looked at then, and the one of the look before."""

    newest: Quote
    at: datetime
    before: Quote | None = None

    def then(self, quote: Quote, now: datetime) -> "Looks":
        """With one look more, unless it is too soon or shows the same quote."""
        if quote.at <= self.newest.at or (now - self.at).total_seconds() < APART_S:
            return self
        return Looks(quote, now, self.newest)


@dataclass(frozen=True, slots=True)
class _Sold:
    """Dollars that the sold positions of one picture of the book have ``made``; each part of it is replaced
    when it changes, never edited."""

    view: BookView
    day_start: datetime
    brought: Mapping[str, Brought]
    made: Decimal

    def of(self, view: BookView, day_start: datetime, brought: Mapping[str, Brought]) -> bool:
        return self.view is view and self.day_start == day_start and self.brought is brought


class DayWorth:
    """One day's. Its dicts are replaced, never edited: any lane may read."""

    def __init__(self) -> None:
        self.day: date | None = None
        self.brought: dict[str, Brought] = {}  # by position, of those that were not bought today
        self.looks: dict[str, Looks] = {}  # by contract held
        self._sold: _Sold | None = None

    def load(self, conn: sqlite3.Connection, day: date) -> dict[str, Brought]:
        """Take up what an earlier process knew of ``day``, beside what is known already, and give it back;
        KeyError, ValueError or ArithmeticError for a row that cannot be read.

        A row without ``from`` says nothing: then all counts from the next mid.
        """
        known = get_meta(conn, KEY)
        told = {} if known is None else json.loads(known)
        if told.get("day") != day.isoformat():
            return {}
        earlier = {
            position_id: Brought(Decimal(made), Decimal(mid))
            for position_id, (made, mid) in told.get("from", {}).items()
        }
        self.begin(day)
        self.brought = {**earlier, **self.brought}
        return earlier

    def passed_on(self, earlier: Mapping[str, Brought], old: Iterable[Position], heir: Position) -> None:
        """``heir`` counts from the mid from which ``earlier`` counted the rows ``old``, the latest last;
        of those remains what their sales made."""
        brought = self.brought.copy()
        for row in old:
            before = earlier.get(row.position_id)
            if before is not None:
                left = before.made - row.unrealised(before.mid)
                brought[row.position_id] = Brought(left, before.mid)
                at_first = replace(heir, qty=heir.bought_qty)
                brought[heir.position_id] = Brought(at_first.unrealised(before.mid), before.mid)
        self.brought = brought

    def begin(self, day: date) -> None:
        """What an earlier day knew says nothing of ``day``."""
        if self.day not in {None, day}:
            self.brought, self.looks = {}, {}
        self.day = day

    def look(
        self,
        view: BookView,
        newest: Callable[[str], Quote | None],
        now: datetime,
        session_open: datetime,
        day_start: datetime,
    ) -> bool:
        """Look at the quotes of what is held. Whether something is to be saved."""
        looks: dict[str, Looks] = {}
        first_seen: dict[str, Brought] = {}
        for position in view.watched():
            seen, quote = self.looks.get(position.symbol), newest(position.symbol)
            if quote is not None and usable(quote, now) and not too_early(position, now, session_open):
                seen = Looks(quote, now) if seen is None else seen.then(quote, now)
            if seen is None:
                continue
            looks[position.symbol] = seen
            if seen.before is None or position.position_id in self.brought:
                continue
            if counted(position, day_start) and not bought_today(position, view, day_start):
                first = min(seen.before.mid, seen.newest.mid)
                made = position.realised() + position.unrealised(first)
                first_seen[position.position_id] = Brought(made, first)
        self.looks = looks
        if first_seen:
            self.brought = {**first_seen, **self.brought}
        return bool(first_seen)

    def pnl(self, view: BookView, day_start: datetime) -> Decimal:
        """Realised since ``day_start`` plus open by the newest look, dollars before fees."""
        mids = {symbol: seen.newest.mid for symbol, seen in self.looks.items()}
        return self._made(view, mids, day_start)

    def sure_loss(self, view: BookView, day_start: datetime) -> Decimal:
        """Dollars that the day has lost at least, whichever of the last two looks is believed."""
        mids = {
            symbol: max(seen.before.mid, seen.newest.mid)
            for symbol, seen in self.looks.items()
            if seen.before is not None
        }
        return -self._made(view, mids, day_start)

    def _made(self, view: BookView, mids: Mapping[str, Decimal], day_start: datetime) -> Decimal:
        """What is sold out is worth the same at every quote: it is added up once for each picture."""
        sold, brought = self._sold, self.brought
        if sold is None or not sold.of(view, day_start, brought):
            gone = (p for p in view.positions if not p.qty)
            sold = _Sold(view, day_start, brought, day_pnl(gone, {}, view, day_start, brought))
            self._sold = sold
        held = (p for p in view.positions if p.qty)
        return sold.made + day_pnl(held, mids, view, day_start, brought)

    def text(self) -> str:
        """For the database."""
        known = {name: (str(each.made), str(each.mid)) for name, each in self.brought.items()}
        return json.dumps({"day": None if self.day is None else self.day.isoformat(), "from": known})


def save(conn: sqlite3.Connection, text: str) -> None:
    """Write what ``DayWorth.text`` gave."""
    set_meta(conn, KEY, text)
