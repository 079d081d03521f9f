"""Schema versions: forwards, whole or not at all, and never backwards."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseTooNew
from wsb_snake.db.migrations import migrate
from wsb_snake.db.schema import MIGRATIONS

FIRST = "CREATE TABLE a (x TEXT); INSERT INTO a VALUES ('semi;colon');"
SECOND = """
    ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 5;
    CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET y = 6 WHERE x = 'b'; UPDATE a SET y = y + 1; END;
"""


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "m.db", isolation_level=None)) as made:
        yield made


def step(conn: sqlite3.Connection, *migrations: str) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        migrate(conn, migrations)
    except Exception:
        conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")


def version(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def test_from_nothing_to_the_present(conn: sqlite3.Connection) -> None:
    step(conn, *MIGRATIONS)
    assert version(conn) == len(MIGRATIONS)
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"events", "offsets", "orders", "fills", "positions", "signals", "outcomes"} <= tables


def test_only_what_is_missing_runs_and_rows_stay(conn: sqlite3.Connection) -> None:
    step(conn, FIRST)
    step(conn, FIRST, SECOND)
    step(conn, FIRST, SECOND)
    assert version(conn) == 2
    assert conn.execute("SELECT * FROM a").fetchall() == [("semi;colon", 5)]
    conn.execute("INSERT INTO a VALUES ('b', 0)")
    assert conn.execute("SELECT y FROM a").fetchall() == [(6,), (7,)]


def test_a_migration_that_fails_changes_nothing(conn: sqlite3.Connection) -> None:
    step(conn, FIRST)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        step(conn, FIRST, "CREATE TABLE b (x TEXT); INSERT INTO nowhere VALUES (1);")
    assert version(conn) == 1
    assert conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'b'").fetchone() == (0,)


def test_a_newer_database_is_refused_and_left_alone(
    db_path: Path, new_database: Callable[[], Database]
) -> None:
    new_database().open()
    with closing(sqlite3.connect(db_path)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(DatabaseTooNew, match="update the program"):
        new_database().open()
    with closing(sqlite3.connect(db_path)) as other:
        assert version(other) == len(MIGRATIONS) + 1


def test_a_database_of_the_first_version_keeps_its_paper_trades_and_weights(conn: sqlite3.Connection) -> None:
    step(conn, *MIGRATIONS[:1])
    conn.execute(
        "INSERT INTO paper_trades"
        " VALUES ('p', 's', 'SPY261124C00500000', '2026', '0.80', NULL, NULL, NULL, 'dear')"
    )
    conn.execute("INSERT INTO model_weights VALUES ('surge', 1, 0.4, 3, '2026', 'why')")
    step(conn, *MIGRATIONS)
    kept = conn.execute("SELECT paper_id, entry_price, plan, net_r FROM paper_trades").fetchall()
    assert kept == [("p", "0.80", "", None)]
    assert conn.execute("SELECT weight, cause, raw FROM model_weights").fetchall() == [(0.4, "", 0.0)]
