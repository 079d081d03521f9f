"""What the owner's ``flatten`` still has to sell, kept across a crash.

It is of its day: what was asked yesterday closes nothing today, and the owner is told that it was dropped.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from wsb_snake.core.orders import ExitReason
from wsb_snake.db.meta import get_meta, set_meta

KEY = "flatten"
_ANY = "any"


@dataclass(frozen=True, slots=True)
class Asked:
    """``at``: None when an older row does not say. ``left``: the contracts that the first reading since
    showed and the book lacks; None before."""

    reason: ExitReason
    at: datetime | None
    left: frozenset[str] | None = None

    def as_json(self) -> dict[str, object]:
        left = None if self.left is None else sorted(self.left)
        return {"at": None if self.at is None else self.at.isoformat(), "left": left}


class FlattenMemory:
    """``when_filled``: entries that worked when it was asked for, by position; what fills of them is sold.
    ``unread``: by expiry (None: any), what was asked on ``unread_day`` and is not all in the book.
    ``dropped``: something that an earlier day asked ended undone, and nobody was told yet."""

    def __init__(self) -> None:
        self.when_filled: dict[str, ExitReason] = {}
        self.unread: dict[date | None, Asked] = {}
        self.unread_day: date | None = None
        self.dropped = False

    def remember(self, expiry: date | None, asked: Asked, day: date) -> None:
        """It was asked on ``day``, and the broker was not read since."""
        self.forget_before(day)
        self.unread[expiry], self.unread_day = asked, day

    def forget_before(self, day: date) -> None:
        """Drop of ``unread`` what an earlier day asked."""
        if self.unread and self.unread_day != day:
            self.unread.clear()
            self.dropped = True

    def text(self, day: date) -> str:
        """For the database."""
        unread = {_ANY if expiry is None else expiry.isoformat(): it for expiry, it in self.unread.items()}
        return json.dumps(
            {
                "day": day.isoformat(),
                "when_filled": self.when_filled,
                "unread": {name: it.reason for name, it in unread.items()},
                "asked": {name: it.as_json() for name, it in unread.items()},
            }
        )

    def load(self, conn: sqlite3.Connection, day: date) -> None:
        """``join`` what the database holds of ``day``. Raises as ``read`` does."""
        self.join(read(conn, day), day)

    def join(self, earlier: "FlattenMemory", day: date) -> None:
        """Take up what an earlier process was asked on ``day``; what this one was asked is newer."""
        self.forget_before(day)
        self.unread_day = day
        self.dropped |= earlier.dropped
        for position_id, why in earlier.when_filled.items():
            self.when_filled.setdefault(position_id, why)
        for expiry, asked in earlier.unread.items():
            self.unread.setdefault(expiry, asked)

    def passed_on(self, old: Iterable[str], heir: str) -> None:
        """Contracts of the positions ``old`` are those of ``heir`` from here on."""
        for position_id in old:
            why = self.when_filled.pop(position_id, None)
            if why is not None:
                self.when_filled[heir] = why


def read(conn: sqlite3.Connection, day: date) -> FlattenMemory:
    """What was asked on ``day``. Raises ValueError and LookupError for a row that cannot be read."""
    memory = FlattenMemory()
    known = get_meta(conn, KEY)
    told = {} if known is None else json.loads(known)
    if told.get("day") != day.isoformat():
        memory.dropped = bool(told.get("unread") or told.get("when_filled"))
        return memory
    memory.when_filled = {name: ExitReason(why) for name, why in told["when_filled"].items()}
    for expiry, why in told["unread"].items():
        more = told.get("asked", {}).get(expiry, {})
        at, left = more.get("at"), more.get("left")
        memory.unread[None if expiry == _ANY else date.fromisoformat(expiry)] = Asked(
            ExitReason(why),
            None if at is None else datetime.fromisoformat(at),
            None if left is None else frozenset(left),
        )
    return memory


def save(conn: sqlite3.Connection, text: str) -> None:
    """Write what ``FlattenMemory.text`` gave."""
    set_meta(conn, KEY, text)
