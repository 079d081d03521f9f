"""Old rows go, a slice at a time; what is open, unread or learnt from stays, whatever its age."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.trading.world import world
from wsb_snake.core.events import EventKind
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant_text
from wsb_snake.keeping.copies import verify
from wsb_snake.keeping.retention import EVERY, SLICE, Retention

NOW = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=31), NOW - timedelta(days=29)
KEEP_DAYS = 30


def insert(conn: sqlite3.Connection, table: str, **values: Any) -> None:
    """A row; a column that must hold something and is not named holds an empty text or 0."""
    info = conn.execute(f"PRAGMA table_info({table})").fetchall()
    row = {
        column["name"]: values.get(column["name"], 0 if column["type"] in ("INTEGER", "REAL") else "")
        for column in info
        if column["name"] in values or (column["notnull"] and column["dflt_value"] is None)
    }
    marks = ", ".join("?" * len(row))
    conn.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def trade(
    conn: sqlite3.Connection,
    name: str,
    at: datetime,
    *,
    state: str = "closed",
    outcome: bool = True,
    qty: int = 0,
) -> None:
    """A position with everything that belongs to it, in the columns that matter here."""
    moment = instant_text(at)
    closed = moment if state in ("closed", "void") else None
    insert(conn, "signals", signal_id=f"signal {name}", at=moment, position_id=name)
    opened = journal.append(conn, at, EventKind.POSITION_OPENED, {"position_id": name})
    insert(
        conn,
        "positions",
        position_id=name,
        signal_id=f"signal {name}",
        state=state,
        qty=qty,
        bought_qty=0 if state == "void" else 2,
        opened_at=moment,
        closed_at=closed,
    )
    for leg in ("e", "x"):
        order = f"{name}-{leg}"
        insert(conn, "orders", client_order_id=order, position_id=name, created_at=moment)
        insert(conn, "fills", client_order_id=order, cumulative_qty=2, position_id=name, at=moment)
    if outcome:
        insert(
            conn,
            "outcomes",
            position_id=name,
            signal_id=f"signal {name}",
            event_seq=opened,
            opened_at=moment,
            closed_at=moment,
        )


def write(database: Database, work: Callable[[sqlite3.Connection], None]) -> None:
    database.transact(work).result(60)


def consumed(conn: sqlite3.Connection) -> None:
    """Both consumers have read everything."""
    for name in ("outcomes", "alerts"):
        conn.execute("INSERT OR REPLACE INTO offsets SELECT ?, MAX(seq) FROM events", (name,))


def sweep(database: Database) -> int:
    """Remove all that is old; how many steps it took."""
    retention, steps = Retention(database, KEEP_DAYS), 0
    while retention.step(NOW):
        steps += 1
        database.transact(lambda _: None).result(60)  # the slice before it is through
    return steps


def held(database: Database, query: str) -> list[Any]:
    with database.get_connection() as conn:
        return [row[0] for row in conn.execute(query)]


def event(conn: sqlite3.Connection, at: datetime, name: str, kind: EventKind = EventKind.ERROR) -> None:
    journal.append(conn, at, kind, {"name": name})


NAMES = "SELECT json_extract(data, '$.name') FROM events WHERE data LIKE '%name%' ORDER BY seq"


def test_old_events_that_are_read_go(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        event(conn, OLD, "first start", EventKind.STARTED)
        event(conn, OLD, "old")
        event(conn, NEW, "new")
        consumed(conn)

    write(database, fill)
    sweep(database)
    assert held(database, NAMES) == ["first start", "new"]


def test_an_event_that_one_consumer_has_not_read_stays(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        for name in ("both read", "one read", "nobody read", "last"):
            event(conn, OLD, name)
        conn.execute("INSERT INTO offsets VALUES ('outcomes', 1), ('alerts', 2)")

    write(database, fill)
    sweep(database)
    assert held(database, NAMES) == ["one read", "nobody read", "last"]


def test_before_any_consumer_has_read_nothing_goes(database: Database) -> None:
    for name in "ab":
        write(database, partial(event, at=OLD, name=name))
    assert sweep(database) == 0
    assert held(database, NAMES) == ["a", "b"]


def test_the_head_of_the_journal_stays_and_the_numbers_go_on(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        for name in "abc":
            event(conn, OLD, name)
        consumed(conn)

    write(database, fill)
    sweep(database)
    assert held(database, "SELECT seq FROM events") == [3]
    write(database, partial(event, at=NOW, name="next"))
    assert held(database, "SELECT MAX(seq) FROM events") == [4]
    assert verify(database.path).head == 4


def test_alerts_go_once_they_were_sent_or_given_up(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        for state in ("pending", "sending", "sent", "failed", "unsent"):
            for age, at in (("old", OLD), ("new", NEW)):
                insert(conn, "alerts", dedupe_key=f"{age} {state}", at=instant_text(at), state=state)
        insert(conn, "alerts", dedupe_key="first start", at=instant_text(OLD), state="sent", kind="started")

    write(database, fill)
    sweep(database)
    left = held(database, "SELECT dedupe_key FROM alerts WHERE dedupe_key NOT LIKE 'new%' ORDER BY number")
    assert left == ["old pending", "old sending", "first start"]
    assert held(database, "SELECT COUNT(*) FROM alerts WHERE dedupe_key LIKE 'new%'") == [5]


def test_a_closed_trade_goes_and_what_was_learnt_from_it_stays(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        trade(conn, "old", OLD)
        trade(conn, "new", NEW)
        for table in ("pattern_memory", "time_cells", "daily_summaries", "model_weights"):
            insert(conn, table, position_id="old", session="old", feature="old", at=instant_text(OLD))
        consumed(conn)

    write(database, fill)
    sweep(database)
    assert held(database, "SELECT position_id FROM positions") == ["new"]
    assert held(database, "SELECT DISTINCT position_id FROM orders") == ["new"]
    assert held(database, "SELECT DISTINCT position_id FROM fills") == ["new"]
    assert held(database, "SELECT position_id FROM outcomes ORDER BY 1") == ["new", "old"]
    assert held(database, "SELECT signal_id FROM signals ORDER BY 1") == ["signal new", "signal old"]
    for table in ("pattern_memory", "time_cells", "daily_summaries", "model_weights"):
        assert held(database, f"SELECT COUNT(*) FROM {table}") == [1]


@pytest.mark.parametrize(
    "state", [{"state": state, "qty": 2} for state in ("entering", "open", "exiting")] + [{"outcome": False}]
)
def test_everything_of_a_trade_that_is_not_over_stays(database: Database, state: dict[str, Any]) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        trade(conn, "one", OLD, **state)
        event(conn, OLD, "last")
        consumed(conn)

    write(database, fill)
    sweep(database)
    for table, count in (("positions", 1), ("orders", 2), ("fills", 2), ("signals", 1)):
        assert held(database, f"SELECT COUNT(*) FROM {table}") == [count], table
    if state.get("qty"):
        assert held(database, "SELECT kind FROM events ORDER BY seq") == ["position_opened", "error"]


def test_a_position_outlives_the_event_that_closed_it(database: Database) -> None:
    """A journal that is read again finds the rows of every event that is left."""

    def fill(conn: sqlite3.Connection) -> None:
        trade(conn, "one", OLD)
        conn.execute("INSERT INTO offsets VALUES ('outcomes', 0)")

    write(database, fill)
    sweep(database)
    assert held(database, "SELECT position_id FROM positions") == ["one"]


def test_an_entry_that_never_filled_goes_with_its_signal(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        trade(conn, "void", OLD, state="void", outcome=False)
        event(conn, OLD, "last")
        consumed(conn)

    write(database, fill)
    sweep(database)
    for table in ("positions", "orders", "fills", "signals"):
        assert held(database, f"SELECT COUNT(*) FROM {table}") == [0], table


def test_signals_and_paper_trades_go_when_they_are_over(database: Database) -> None:
    def fill(conn: sqlite3.Connection) -> None:
        for name, at, ended in (("old", OLD, OLD), ("running", OLD, None), ("new", NEW, NEW)):
            moment = instant_text(at)
            insert(conn, "signals", signal_id=name, at=moment)
            insert(
                conn,
                "paper_trades",
                paper_id=name,
                signal_id=name,
                opened_at=moment,
                closed_at=instant_text(ended),
            )

    write(database, fill)
    sweep(database)
    for table in ("signals", "paper_trades"):
        assert held(database, f"SELECT signal_id FROM {table} ORDER BY 1") == ["new", "running"]


def test_no_transaction_removes_more_than_a_slice(database: Database) -> None:
    counts: list[int] = []

    def fill(conn: sqlite3.Connection) -> None:
        for _ in range(5 * SLICE):
            event(conn, OLD, "old")
        for number in range(25):
            trade(conn, str(number), OLD)
        event(conn, OLD, "last")
        consumed(conn)

    write(database, fill)
    retention = Retention(database, KEEP_DAYS)
    query = (
        "SELECT (SELECT COUNT(*) FROM events) + (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM fills)"
    )
    while retention.step(NOW):
        database.transact(lambda _: None).result(60)
        counts += held(database, query)
    assert all(before - after <= SLICE for before, after in pairwise(counts))
    assert counts[-1] == 1


def test_it_waits_for_its_slice_and_rests_until_the_next_night(database: Database) -> None:
    retention = Retention(database, KEEP_DAYS)
    assert retention.step(NOW) is False

    def fill(conn: sqlite3.Connection) -> None:
        event(conn, OLD, "old")
        event(conn, NEW, "new")
        consumed(conn)

    write(database, fill)
    assert retention.step(NOW + EVERY / 2) is False
    assert held(database, NAMES) == ["old", "new"]
    assert retention.step(NOW + EVERY) is True
    database.transact(lambda _: None).result(60)
    assert retention.step(NOW + EVERY) is False
    assert held(database, NAMES) == ["new"]


def test_a_database_that_cannot_be_read_keeps_its_rows(database: Database, tmp_path: Path) -> None:
    closed = Database(tmp_path / "nowhere" / "wsb_snake.db", database._writer._lanes)
    assert Retention(closed, KEEP_DAYS).step(NOW) is False


def test_the_daemon_tidies_up_outside_the_session_only(tmp_path: Path) -> None:
    with world(tmp_path, "15:40", wsb_snake_keep_days=KEEP_DAYS) as w:
        old = w.clock.now() - timedelta(days=KEEP_DAYS + 1)

        def fill(conn: sqlite3.Connection) -> None:
            for number in range(3 * SLICE):
                insert(conn, "signals", signal_id=str(number), at=instant_text(old))

        w.do(lambda: w.database.transact(fill).result())
        w.to("15:59")
        assert len(w.rows("SELECT 1 FROM signals")) == 3 * SLICE
        w.to("16:03")
        assert w.rows("SELECT 1 FROM signals") == []
