"""Removing old rows, a slice at a time, through the writer like everything else.

What stays whatever its age: outcomes and all that was learnt, with the signals they were learnt from;
everything of a position that is not over or has no outcome yet; events that a consumer has not read;
alerts that were not sent; the last event, and the events of starts, by which the first start is known.
"""

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from wsb_snake.core.lanes import Promise
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.values import instant_text

SLICE = 50
"""Rows that one transaction removes: a few milliseconds, far below the 50 that the writer allows."""

EVERY = timedelta(hours=20)

_OPEN = "SELECT position_id FROM positions WHERE state IN ('entering', 'open', 'exiting')"
_READ = "SELECT MIN(seq) FROM offsets"
_HEAD = "SELECT MAX(seq) FROM events"

_OLD = (
    # the order matters: a position goes after the event that closed it, a signal after its position
    (
        "events",
        "seq",
        "SELECT seq FROM (SELECT seq, at FROM events"
        f" WHERE seq <= ({_READ}) AND seq < ({_HEAD}) AND kind <> 'started'"
        f" AND COALESCE(json_extract(data, '$.position_id'), '') NOT IN ({_OPEN})"
        " ORDER BY seq LIMIT :slice) WHERE at < :before",
    ),
    (
        "alerts",
        "number",
        "SELECT number FROM (SELECT number, at FROM alerts"
        " WHERE state NOT IN ('pending', 'sending') AND kind <> 'started'"
        " ORDER BY number LIMIT :slice) WHERE at < :before",
    ),
    (
        "positions",
        "position_id",
        "SELECT position_id FROM positions LEFT JOIN outcomes USING (position_id)"
        " WHERE positions.state IN ('closed', 'void') AND positions.qty = 0"
        " AND COALESCE(positions.closed_at, positions.opened_at) < :before"
        " AND (positions.bought_qty = 0 OR outcomes.position_id IS NOT NULL)"
        " AND NOT EXISTS (SELECT 1 FROM events WHERE seq = outcomes.event_seq) LIMIT :slice / 10",
    ),
    (
        "paper_trades",
        "paper_id",
        "SELECT paper_id FROM paper_trades WHERE opened_at < :before AND closed_at < :before LIMIT :slice",
    ),
    (
        "signals",
        "signal_id",
        "SELECT signal_id FROM signals WHERE at < :before"
        " AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.signal_id = signals.signal_id)"
        " AND NOT EXISTS (SELECT 1 FROM positions WHERE positions.signal_id = signals.signal_id)"
        " AND NOT EXISTS (SELECT 1 FROM paper_trades WHERE paper_trades.signal_id = signals.signal_id)"
        " LIMIT :slice",
    ),
)
"""Table, key, and which of its rows are old: found by a reader, so that the writer only deletes by key."""

log = logging.getLogger(__name__)


class Retention:
    """Takes old rows away, one slice a ``step``. One lane steps."""

    def __init__(self, database: Database, keep_days: int) -> None:
        self._database = database
        self._keep = timedelta(days=keep_days)
        self._slice: Promise[int] | None = None
        self._not_before: datetime | None = None
        self._removed = 0

    def step(self, now: datetime) -> bool:
        """Hand one slice to the writer, without waiting for it; whether to be called again soon.

        Without old rows, and after trouble, it rests until the next night.
        """
        if self._not_before is not None and now < self._not_before:
            return False
        if self._slice is not None and not self._slice.done():
            return True
        try:
            if self._slice is not None:
                self._removed += self._slice.result(0)
                self._slice = None
            found = self._find(now - self._keep)
        except (DatabaseUnavailable, sqlite3.Error) as error:
            log.warning("old rows stay for now: %s", error)
            found = None
        if found is None:
            self._rest(now)
            return False
        self._slice = self._database.transact(found)
        return True

    def _rest(self, now: datetime) -> None:
        if self._removed:
            log.info("removed %d rows older than %d days", self._removed, self._keep.days)
        self._slice, self._removed, self._not_before = None, 0, now + EVERY

    def _find(self, before: datetime) -> Callable[[sqlite3.Connection], int] | None:
        """What removes the next slice; None when nothing is old."""
        bounds = {"before": instant_text(before), "slice": SLICE}
        with self._database.get_connection() as conn:
            for table, key, query in _OLD:
                keys = [(row[0],) for row in conn.execute(query, bounds)]
                if keys:
                    return _remover(table, key, keys)
        return None


def _remover(table: str, key: str, keys: list[tuple[object]]) -> Callable[[sqlite3.Connection], int]:
    statements = [f"DELETE FROM {table} WHERE {key} = ?"]
    if table == "positions":
        of_position = "SELECT client_order_id FROM orders WHERE position_id = ?"
        statements = [
            f"DELETE FROM fills WHERE client_order_id IN ({of_position})",
            "DELETE FROM orders WHERE position_id = ?",
            *statements,
        ]

    def remove(conn: sqlite3.Connection) -> int:
        return sum(conn.executemany(statement, keys).rowcount for statement in statements)

    return remove
