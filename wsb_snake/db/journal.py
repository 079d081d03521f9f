"""The journal: events that only ever get appended, and consumers that read them in order.

A consumer's offset moves in the transaction that holds what it wrote, so each event takes effect
exactly once, whatever crashes in between.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from wsb_snake.core.events import Event, EventKind
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant, instant_text, json_text
from wsb_snake.db.writer import WriteConnection

BATCH = 20  # events a transaction, so that it stays far below 50 ms


def append(conn: sqlite3.Connection, at: datetime, kind: EventKind, data: Mapping[str, object]) -> int:
    """Add an event inside the caller's transaction; its ``seq``.

    ``data``: JSON values, Decimals, datetimes (aware) and dates. Raises TypeError or ValueError for others.
    """
    row = (instant_text(at), kind.value, json_text(data))
    seq = conn.execute("INSERT INTO events (at, kind, data) VALUES (?, ?, ?)", row).lastrowid
    assert seq is not None
    if isinstance(conn, WriteConnection):
        conn.appends = True
    return seq


def read(conn: sqlite3.Connection, after: int, limit: int = 500) -> list[Event]:
    """At most ``limit`` events with a ``seq`` above ``after``, in order."""
    query = "SELECT seq, at, kind, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
    return [
        Event(seq, instant(at), EventKind(kind), json.loads(data))
        for seq, at, kind, data in conn.execute(query, (after, limit))
    ]


class Consumer:
    """A reader of the journal that remembers under ``name`` how far it has come.

    ``handle`` writes through the connection it is given and nowhere else: a batch that fails is rolled
    back and its events are handed over again. With ``behind`` it reads no further than the consumer of
    that name has come.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        handle: Callable[[sqlite3.Connection, Event], None],
        *,
        behind: str | None = None,
    ) -> None:
        self._database = database
        self._name = name
        self._handle = handle
        self._behind = behind

    def catch_up(self) -> int:
        """Hand over every event that waits, and wait until that is durable; how many there were.

        When ``handle`` raises, everything before that event is kept and the error is passed on; the
        next call begins with that event. Raises DatabaseUnavailable and DatabaseClosed.
        """
        handled = 0
        batch = BATCH
        while self.lag():
            try:
                taken = self._database.transact(partial(self._take, batch)).result()
            except Exception:
                if batch == 1:
                    raise
                batch = 1  # go singly up to the event that cannot be handled
            else:
                handled += taken
                if batch > 1 and taken < batch:
                    break  # that was all
        return handled

    def lag(self) -> int:
        """How many events wait. Raises DatabaseUnavailable."""
        with self._database.get_connection() as conn:
            return self._end(conn) - _offset(conn, self._name)

    def _take(self, batch: int, conn: sqlite3.Connection) -> int:
        end = self._end(conn)
        events = [event for event in read(conn, _offset(conn, self._name), batch) if event.seq <= end]
        for event in events:
            self._handle(conn, event)
        if events:
            row = (self._name, events[-1].seq)
            conn.execute("INSERT OR REPLACE INTO offsets (consumer, seq) VALUES (?, ?)", row)
        return len(events)

    def _end(self, conn: sqlite3.Connection) -> int:
        """The newest event that may be read."""
        if self._behind is not None:
            return _offset(conn, self._behind)
        return int(conn.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0])


def _offset(conn: sqlite3.Connection, name: str) -> int:
    row = conn.execute("SELECT seq FROM offsets WHERE consumer = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])
