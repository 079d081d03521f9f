"""What the owner's ``flatten`` still has to sell, kept across a crash.

It is of its day: what was asked yesterday closes nothing today, and the owner is told that it was dropped.
"""

import json
import sqlite3
from collections.abc import Iterable
from datetime import date

from wsb_snake.core.orders import ExitReason
from wsb_snake.db.meta import get_meta, set_meta

KEY = "flatten"
_ANY = "any"


class FlattenMemory:
    """``when_filled``: entries that worked when it was asked for, by position; what fills of them is sold.
    ``unread``: by expiry (None: any), what was asked on ``unread_day`` and the broker not read since.
    ``dropped``: something that an earlier day asked ended undone, and nobody was told yet."""

    def __init__(self) -> None:
        self.when_filled: dict[str, ExitReason] = {}
        self.unread: dict[date | None, ExitReason] = {}
        self.unread_day: date | None = None
        self.dropped = False

    def remember(self, expiry: date | None, reason: ExitReason, day: date) -> None:
        """It was asked on ``day``, and the broker was not read since."""
        self.forget_before(day)
        self.unread[expiry], self.unread_day = reason, day

    def forget_before(self, day: date) -> None:
        """Drop of ``unread`` what an earlier day asked."""
        if self.unread and self.unread_day != day:
            self.unread.clear()
            self.dropped = True

    def text(self, day: date) -> str:
        """For the database."""
        unread = {_ANY if expiry is None else expiry.isoformat(): why for expiry, why in self.unread.items()}
        return json.dumps({"day": day.isoformat(), "when_filled": self.when_filled, "unread": unread})

    def load(self, conn: sqlite3.Connection, day: date) -> None:
        """Take up what was asked on ``day``; what this process was asked is newer. Raises ValueError and
        LookupError for a row that cannot be read."""
        known = get_meta(conn, KEY)
        told = {} if known is None else json.loads(known)
        if told.get("day") != day.isoformat():
            self.dropped |= bool(told.get("unread") or told.get("when_filled"))
            return
        self.forget_before(day)
        self.unread_day = day
        for position_id, why in told["when_filled"].items():
            self.when_filled.setdefault(position_id, ExitReason(why))
        for expiry, why in told["unread"].items():
            key = None if expiry == _ANY else date.fromisoformat(expiry)
            self.unread.setdefault(key, ExitReason(why))

    def passed_on(self, old: Iterable[str], heir: str) -> None:
        """Contracts of the positions ``old`` are those of ``heir`` from here on."""
        for position_id in old:
            why = self.when_filled.pop(position_id, None)
            if why is not None:
                self.when_filled[heir] = why


def save(conn: sqlite3.Connection, text: str) -> None:
    """Write what ``FlattenMemory.text`` gave."""
    set_meta(conn, KEY, text)
