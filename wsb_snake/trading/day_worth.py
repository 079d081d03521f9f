"""What the day has made, by quotes that can be believed and without what earlier days made.

What was sold of a position before today is no result of today. What is open counts from its entry, and
one that is held from before from its first mid of the session, so that neither an old gain hides a loss
nor an old loss ends a day. The limit, which stops a whole day, goes by two looks: one odd quote is none.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.core.types import Quote
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.trading.book import BookView
from wsb_snake.trading.exits import too_early, usable
from wsb_snake.trading.risk_governor import Brought, day_pnl

KEY = "day_worth"

APART_S = 4.0
"""Two looks are at least this far apart: those of neighbouring monitor passes."""

_NOTHING = Brought(Decimal(0), None)


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


class DayWorth:
    """One day's. Its dicts are replaced, never edited: any lane may read."""

    def __init__(self) -> None:
        self.day: date | None = None
        self.brought: dict[str, Brought] = {}  # by position, of those held from before
        self.looks: dict[str, Looks] = {}  # by contract held

    def load(self, conn: sqlite3.Connection, day: date) -> None:
        """Take up what an earlier process knew of ``day``; KeyError, ValueError or ArithmeticError for a
        row that cannot be read."""
        known = get_meta(conn, KEY)
        told = {} if known is None else json.loads(known)
        if told.get("day") == day.isoformat():
            self.brought = {
                position_id: Brought(Decimal(realised), None if mid is None else Decimal(mid))
                for position_id, (realised, mid) in told["brought"].items()
            }
            self.day = day

    def begin(self, view: BookView, day: date, day_start: datetime) -> bool:
        """Before anything happens on ``day``: note what is brought into it. Whether that is to be saved."""
        if self.day == day:
            return False
        held = (position for position in view.held() if position.opened_at < day_start)
        self.brought = {position.position_id: Brought(position.realised(), None) for position in held}
        self.day, self.looks = day, {}
        return bool(self.brought)

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
        brought = self.brought.copy()
        for position in view.watched():
            seen, quote = self.looks.get(position.symbol), newest(position.symbol)
            if quote is not None and usable(quote, now) and not too_early(position, now, session_open):
                seen = Looks(quote, now) if seen is None else seen.then(quote, now)
            if seen is None:
                continue
            looks[position.symbol] = seen
            known = brought.get(position.position_id, _NOTHING)
            if position.opened_at < day_start and known.mid is None and seen.before is not None:
                first = min(seen.before.mid, seen.newest.mid)
                brought[position.position_id] = Brought(known.realised, first)
        grown = brought != self.brought
        self.brought, self.looks = brought, looks
        return grown

    def pnl(self, view: BookView, day_start: datetime) -> Decimal:
        """Realised since ``day_start`` plus open by the newest look, dollars before fees."""
        mids = {symbol: seen.newest.mid for symbol, seen in self.looks.items()}
        return day_pnl(view, mids, day_start, self.brought)

    def sure_loss(self, view: BookView, day_start: datetime) -> Decimal:
        """Dollars that the day has lost at least, whichever of the last two looks is believed."""
        mids = {
            symbol: max(seen.before.mid, seen.newest.mid)
            for symbol, seen in self.looks.items()
            if seen.before is not None
        }
        return -day_pnl(view, mids, day_start, self.brought)

    def text(self) -> str:
        """For the database."""
        brought = {
            position_id: (str(each.realised), None if each.mid is None else str(each.mid))
            for position_id, each in self.brought.items()
        }
        return json.dumps({"day": None if self.day is None else self.day.isoformat(), "brought": brought})


def save(conn: sqlite3.Connection, text: str) -> None:
    """Write what ``DayWorth.text`` gave."""
    set_meta(conn, KEY, text)
