"""Who else writes to the bot: no answer for them, one alert a day for the owner."""

import json
from collections.abc import Callable
from sqlite3 import Connection

from wsb_snake.core.clock import Clock, eastern_date
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import Promise
from wsb_snake.db import journal
from wsb_snake.db.meta import get_meta, set_meta

MOST = 5
"""Strangers of one day that are told of; so many alerts a stranger can cause, whatever he does."""

META = "strangers"
Transact = Callable[[Callable[[Connection], None]], Promise[None]]


class Strangers:
    """``transact`` hands a transaction to the database's writer. One thread uses it."""

    def __init__(self, transact: Transact, clock: Clock) -> None:
        self._transact = transact
        self._clock = clock
        self._day = ""
        self._known: set[int] = set()

    def came(self, user_id: int, chat_id: int) -> None:
        """Somebody else wrote: tell the owner, once for each of them and day, also across restarts."""
        now = self._clock.now()
        day = eastern_date(now).isoformat()
        if day != self._day:
            self._day, self._known = day, set()
        if user_id in self._known or len(self._known) >= MOST:
            return
        self._known.add(user_id)

        def write(conn: Connection) -> None:
            held = json.loads(get_meta(conn, META) or "{}")
            told = held.get("told", []) if held.get("day") == day else []
            if user_id in told or len(told) >= MOST:
                return
            set_meta(conn, META, json.dumps({"day": day, "told": [*told, user_id]}))
            journal.append(conn, now, EventKind.STRANGER, {"user": user_id, "chat": chat_id, "most": MOST})

        self._transact(write)
