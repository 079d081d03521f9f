"""Opening, reading, closing: on real files."""

import errno
import logging
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from wsb_snake.db import database as module
from wsb_snake.db.database import (
    Database,
    DatabaseClosed,
    DatabaseUnavailable,
    get_connection,
)
from wsb_snake.db.meta import get_meta, set_meta

NewDatabase = Callable[[], Database]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_belong_to_their_owner_alone(database: Database) -> None:
    database.transact(lambda conn: set_meta(conn, "k", "v")).result(10)
    files = list(database.path.parent.iterdir())
    assert {path.name for path in files} == {"wsb_snake.db", "wsb_snake.db-wal", "wsb_snake.db-shm"}
    assert {mode(path) for path in files} == {0o600}
    assert mode(database.path.parent) == 0o700


def test_a_readable_file_is_tightened(new_database: NewDatabase, db_path: Path) -> None:
    db_path.parent.mkdir()
    db_path.touch(0o644)
    new_database().open()
    assert mode(db_path) == 0o600


def test_the_writer_is_durable_and_the_sqlite_version_logged(
    new_database: NewDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database = new_database()
    database.open()

    def settings(conn: sqlite3.Connection) -> list[object]:
        return [conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert database.transact(settings).result(10) == ["wal", 2]
    assert sqlite3.sqlite_version in caplog.text


def test_nothing_touches_the_disk_before_open(new_database: NewDatabase, db_path: Path) -> None:
    database = new_database()
    assert not db_path.parent.exists()
    assert not database.writable()


def test_work_handed_over_before_open_is_written_after_it(new_database: NewDatabase) -> None:
    database = new_database()
    early = database.transact(lambda conn: set_meta(conn, "k", "early"))
    assert not early.done()
    database.open()
    early.result(10)
    assert database.writable()


def test_what_was_written_is_there_after_reopening(new_database: NewDatabase, db_path: Path) -> None:
    first = new_database()
    first.open()
    first.transact(lambda conn: set_meta(conn, "k", "v"))
    assert first.close()
    assert not db_path.with_name("wsb_snake.db-wal").exists()  # checkpointed by the last to leave
    second = new_database()
    second.open()
    with second.get_connection() as conn:
        assert get_meta(conn, "k") == "v"


def test_a_database_is_opened_once(database: Database) -> None:
    with pytest.raises(RuntimeError, match="open already"):
        database.open()


def test_readers_cannot_write(database: Database) -> None:
    with (
        database.get_connection() as conn,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        conn.execute("INSERT INTO meta VALUES ('k', 'v')")


def test_a_reader_is_closed_at_the_end_of_its_block(database: Database) -> None:
    with database.get_connection() as conn:
        pass
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        conn.execute("SELECT 1")


def test_the_stateless_reader_finds_the_configured_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.transact(lambda conn: set_meta(conn, "k", "v")).result(10)
    monkeypatch.setenv("WSB_SNAKE_DATA_DIR", str(database.path.parent))
    with get_connection() as conn:
        assert get_meta(conn, "k") == "v"


def test_a_reader_of_an_odd_path(tmp_path: Path) -> None:
    path = tmp_path / "50% #1?.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE t (x)")
    with get_connection(path) as conn:
        assert conn.execute("SELECT count(*) FROM t").fetchone()[0] == 0


def test_an_absent_database_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="unable to open"), get_connection(tmp_path / "none.db"):
        pass
    assert list(tmp_path.iterdir()) == []


def refusal(database: Database) -> str:
    with pytest.raises(DatabaseUnavailable) as caught:
        database.open()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_damaged_file(new_database: NewDatabase, db_path: Path) -> None:
    db_path.parent.mkdir()
    db_path.write_bytes(b"this is no database" * 1000)
    assert "restore a backup" in refusal(new_database())


def test_a_directory_that_cannot_be_made(new_database: NewDatabase, db_path: Path) -> None:
    db_path.parent.write_text("a file stands where the data directory should be")
    assert str(db_path) in refusal(new_database())


def test_a_directory_in_the_files_place(new_database: NewDatabase, db_path: Path) -> None:
    db_path.mkdir(parents=True)
    assert "cannot be written" in refusal(new_database())


def test_a_locked_file_opens_once_the_lock_is_gone(
    new_database: NewDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = new_database()
    first.open()
    assert first.close()
    monkeypatch.setattr(module, "OPEN_WAIT_S", 0.05)
    database = new_database()
    with closing(sqlite3.connect(db_path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert "locked by another program" in refusal(database)
        holder.execute("ROLLBACK")
    database.open()
    assert database.writable()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "full.db")) as conn:
        conn.execute("CREATE TABLE t (x)")
        conn.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            conn.execute("INSERT INTO t VALUES (zeroblob(100000))")
    for error in (caught.value, OSError(errno.ENOSPC, "No space left on device")):
        assert "the disk is full" in module._explain(tmp_path, error)


def test_after_close_nothing_more_is_taken(database: Database) -> None:
    last = database.transact(lambda conn: set_meta(conn, "k", "last"))
    assert database.close()
    last.result(0)
    assert database.close()
    assert not database.writable()
    with pytest.raises(DatabaseClosed):
        database.transact(lambda conn: set_meta(conn, "k", "late")).result(0)


def test_closing_what_never_opened(new_database: NewDatabase) -> None:
    assert new_database().close()
    unwritten = new_database()
    unwritten.transact(lambda conn: None)
    assert not unwritten.close()


def test_close_gives_up_on_a_held_database_but_the_work_is_still_written(database: Database) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        kept = database.transact(lambda conn: set_meta(conn, "k", "kept"))
        assert not database.close(timeout=0.1)
        holder.execute("ROLLBACK")
    kept.result(10)
    assert database.close()
