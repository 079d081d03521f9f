"""Events in order and without gaps; each consumer handles each of them exactly once."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from wsb_snake.core.events import Event, EventKind
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.journal import Consumer, append, read

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


def add(database: Database, count: int) -> None:
    def work(conn: sqlite3.Connection) -> None:
        for number in range(count):
            append(conn, AT, EventKind.FILL, {"n": number})

    database.transact(work).result(10)


def collector(database: Database, name: str) -> tuple[Consumer, Callable[[], list[int]]]:
    """A consumer that writes each ``seq`` into a table, and a way to read that table."""
    database.transact(lambda conn: conn.execute(f"CREATE TABLE {name} (seq INTEGER)")).result(10)

    def handle(conn: sqlite3.Connection, event: Event) -> None:
        conn.execute(f"INSERT INTO {name} VALUES (?)", (event.seq,))

    def handled() -> list[int]:
        with database.get_connection() as conn:
            return [row[0] for row in conn.execute(f"SELECT seq FROM {name} ORDER BY rowid")]

    return Consumer(database, name, handle), handled


def test_an_event_comes_back_as_it_was(database: Database) -> None:
    data = {"price": Decimal("1.25"), "closed_at": AT, "expiry": date(2026, 11, 24), "legs": [{"qty": 2}]}
    seq = database.transact(lambda conn: append(conn, AT, EventKind.POSITION_CLOSED, data)).result(10)
    with database.get_connection() as conn:
        assert read(conn, 0) == [
            Event(
                seq=seq,
                at=AT,
                kind=EventKind.POSITION_CLOSED,
                data={
                    "price": "1.25",
                    "closed_at": "2026-11-24T14:30:00.000000+00:00",
                    "expiry": "2026-11-24",
                    "legs": [{"qty": 2}],
                },
            )
        ]


def test_reading_goes_on_where_it_stopped(database: Database) -> None:
    add(database, 7)
    with database.get_connection() as conn:
        first = read(conn, 0, limit=4)
        rest = read(conn, first[-1].seq)
        assert [event.seq for event in first + rest] == [1, 2, 3, 4, 5, 6, 7]
        assert read(conn, 7) == []


def test_what_is_rolled_back_leaves_no_gap(database: Database) -> None:
    def fail(conn: sqlite3.Connection) -> None:
        append(conn, AT, EventKind.ERROR, {})
        raise LookupError

    with database._write_lock:
        database.transact(lambda conn: append(conn, AT, EventKind.FILL, {}))
        failed = database.transact(fail)
        last = database.transact(lambda conn: append(conn, AT, EventKind.FILL, {}))
    assert last.result(10) == 2
    assert failed.done()


def test_data_without_a_json_form_is_refused(database: Database) -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        database.transact(lambda conn: append(conn, AT, EventKind.ERROR, {"what": object()})).result(10)


def test_a_consumer_catches_up_once(database: Database) -> None:
    consumer, handled = collector(database, "seen")
    count = 2 * journal.BATCH + 3
    add(database, count)
    assert consumer.lag() == count
    assert consumer.catch_up() == count
    assert consumer.lag() == 0
    assert consumer.catch_up() == 0
    add(database, 1)
    assert consumer.catch_up() == 1
    assert handled() == list(range(1, count + 2))


def test_a_consumer_remembers_by_name_and_others_do_not_matter(database: Database) -> None:
    one, one_handled = collector(database, "one")
    other, other_handled = collector(database, "other")
    add(database, 3)
    assert one.catch_up() == 3
    assert (one.lag(), other.lag()) == (0, 3)
    reborn = Consumer(database, "one", lambda conn, event: pytest.fail("handled twice"))
    assert reborn.catch_up() == 0
    assert other.catch_up() == 3
    assert one_handled() == other_handled() == [1, 2, 3]


def test_an_event_that_cannot_be_handled_stops_only_what_follows_it(database: Database) -> None:
    _, handled = collector(database, "seen")
    add(database, 9)
    broken = True

    def handle(conn: sqlite3.Connection, event: Event) -> None:
        conn.execute("INSERT INTO seen VALUES (?)", (event.seq,))
        if broken and event.seq == 6:
            raise LookupError("event 6")

    consumer = Consumer(database, "seen", handle)
    for _ in range(2):
        with pytest.raises(LookupError, match="event 6"):
            consumer.catch_up()
        assert handled() == [1, 2, 3, 4, 5]
        assert consumer.lag() == 4
    broken = False
    assert consumer.catch_up() == 4
    assert handled() == list(range(1, 10))


KILLED_CONSUMER = """
import os, signal, sys
from pathlib import Path
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db.database import Database
from wsb_snake.db.journal import Consumer

path, die_at = Path(sys.argv[1]), int(sys.argv[2])

def handle(conn, event):
    conn.execute("INSERT INTO seen VALUES (?)", (event.seq,))
    if event.seq == die_at:
        os.kill(os.getpid(), signal.SIGKILL)

database = Database(path, ThreadLanes(SystemClock()))
database.open()
Consumer(database, "seen", handle).catch_up()
"""


def test_a_consumer_killed_between_events_handles_each_exactly_once(
    new_database: Callable[[], Database],
) -> None:
    count = 3 * journal.BATCH
    database = new_database()
    database.open()
    collector(database, "seen")
    add(database, count)
    assert database.close()
    for die_at in (1, journal.BATCH, journal.BATCH + 1, 2 * journal.BATCH + 7, -1):
        child = subprocess.run(
            [sys.executable, "-c", KILLED_CONSUMER, str(database.path), str(die_at)],
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        assert child.returncode == (0 if die_at == -1 else -9)
    with closing(sqlite3.connect(database.path)) as conn:
        rows = conn.execute("SELECT seq FROM seen ORDER BY rowid").fetchall()
    assert rows == [(seq,) for seq in range(1, count + 1)]


def test_a_consumer_behind_another_reads_no_further_than_that_has_come(database: Database) -> None:
    add(database, 3)
    first, _ = collector(database, "first")
    handled: list[int] = []
    second = Consumer(database, "second", lambda conn, event: handled.append(event.seq), behind="first")
    assert (second.lag(), second.catch_up(), handled) == (0, 0, [])
    first.catch_up()
    add(database, 2)
    assert (second.lag(), second.catch_up(), handled) == (3, 3, [1, 2, 3])
    first.catch_up()
    assert (second.catch_up(), handled) == (2, [1, 2, 3, 4, 5])
