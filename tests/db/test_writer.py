"""The writer lane: order, isolation, groups, and a disk that refuses.

``_write_lock`` is held where a test wants work to pile up before the writer may touch it.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import Promise
from wsb_snake.db import journal, writer
from wsb_snake.db.database import Database
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.db.records import SignalRecord

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
NO_LIMIT = 2**30


def note(name: str) -> Callable[[sqlite3.Connection], None]:
    """Work that appends ``name`` to what ``noted`` returns."""

    def work(conn: sqlite3.Connection) -> None:
        set_meta(conn, "noted", (get_meta(conn, "noted") or "") + name)

    return work


def noted(database: Database) -> str:
    with database.get_connection() as conn:
        return get_meta(conn, "noted") or ""


def test_work_answers_through_its_promise(database: Database) -> None:
    assert database.transact(lambda conn: conn.execute("SELECT 6 * 7").fetchone()[0]).result(10) == 42


def test_what_a_promise_confirms_others_can_read(database: Database) -> None:
    for name in "abc":
        database.transact(note(name)).result(10)
        assert noted(database).endswith(name)


def test_urgent_work_first_and_each_kind_in_its_order(database: Database) -> None:
    with database._write_lock:
        promises = [database.transact(note(name), urgent=name.isupper()) for name in "abAcBdC"]
    for promise in promises:
        promise.result(10)
    assert noted(database) == "ABCabcd"


def test_urgent_work_goes_in_between_two_pieces_of_a_running_group(database: Database) -> None:
    urgent: list[Promise[None]] = []

    def first(conn: sqlite3.Connection) -> None:
        note("a")(conn)
        urgent.append(database.transact(note("U"), urgent=True))

    with database._write_lock:
        database.transact(first)
        last = database.transact(note("b"))
    last.result(10)
    assert urgent[0].done()
    assert noted(database) == "aUb"


def test_all_that_waits_is_one_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP_S", 10.0)
    done_during_last: list[bool] = []
    with database._write_lock:
        first = database.transact(note("a"))
        last = database.transact(lambda conn: done_during_last.append(first.done()))
    last.result(10)
    assert done_during_last == [False]
    assert first.done()


def test_a_long_piece_ends_its_group(database: Database) -> None:
    done_during_last: list[bool] = []
    with database._write_lock:
        first = database.transact(lambda conn: time.sleep(2 * writer.GROUP_S))
        last = database.transact(lambda conn: done_during_last.append(first.done()))
    last.result(10)
    assert done_during_last == [True]


def test_an_urgent_piece_does_not_wait_for_a_full_group(database: Database) -> None:
    done_during_last: list[bool] = []
    with database._write_lock:
        last = database.transact(lambda conn: done_during_last.append(urgent.done()))
        urgent = database.transact(note("U"), urgent=True)
    last.result(10)
    assert done_during_last == [True]


def test_work_that_raises_does_not_harm_its_neighbours(database: Database) -> None:
    def bad(conn: sqlite3.Connection) -> None:
        note("X")(conn)
        raise LookupError("on purpose")

    def clash(conn: sqlite3.Connection) -> None:
        note("Y")(conn)
        conn.execute("INSERT INTO meta VALUES ('noted', 'twice')")

    with database._write_lock:
        promises = [database.transact(work) for work in (note("a"), bad, note("b"), clash, note("c"))]
    for index in (0, 2, 4):
        promises[index].result(10)
    with pytest.raises(LookupError, match="on purpose"):
        promises[1].result(10)
    with pytest.raises(sqlite3.IntegrityError):
        promises[3].result(10)
    assert noted(database) == "abc"
    assert database.writable()


@pytest.mark.parametrize(
    "end",
    [
        lambda conn: conn.commit(),
        lambda conn: conn.rollback(),
        lambda conn: conn.__enter__(),
        lambda conn: conn.executescript("SELECT 1"),
    ],
    ids=["commit", "rollback", "with", "executescript"],
)
def test_work_cannot_end_the_transaction(
    database: Database, end: Callable[[sqlite3.Connection], object]
) -> None:
    def meddle(conn: sqlite3.Connection) -> None:
        note("X")(conn)
        end(conn)

    with database._write_lock:
        before = database.transact(note("a"))
        meddling = database.transact(meddle)
        after = database.transact(note("b"))
    with pytest.raises(sqlite3.ProgrammingError, match="writer begins and commits"):
        meddling.result(10)
    before.result(10)
    after.result(10)
    assert noted(database) == "ab"


@pytest.mark.parametrize("hold_s", [1.0, 8.0])
def test_a_foreign_lock_delays_no_caller_and_loses_nothing(database: Database, hold_s: float) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        promise = database.transact(note("a"), urgent=True)
        assert not promise.wait(0.25)
        waited = time.monotonic() - start
        assert 0.24 < waited < 1.0, f"the caller was held for {waited:.3f} s"
        time.sleep(hold_s - waited)
        assert not promise.done()
        assert not database.writable()
        assert database.oldest_waiting_s() >= hold_s - 0.1
        assert noted(database) == ""  # readers go on
        holder.execute("ROLLBACK")
    promise.result(10)
    assert noted(database) == "a"
    assert database.writable()
    assert database.oldest_waiting_s() == 0.0


def test_work_that_waits_too_long_shows_without_any_error(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "STUCK_S", 0.5)
    with database._write_lock:
        promise = database.transact(note("a"))
        assert database.writable()
        time.sleep(0.6)
        assert not database.writable()
    promise.result(10)
    assert database.writable()


def limit_pages(database: Database, spare: int) -> None:
    """Let the database grow by ``spare`` pages and no more."""

    def limit(conn: sqlite3.Connection) -> None:
        pages = conn.execute("PRAGMA page_count").fetchone()[0]
        conn.execute(f"PRAGMA max_page_count = {pages + spare}")

    database.transact(limit).result(10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_full_disk_keeps_everything_until_there_is_room(
    database: Database, make_signal: Callable[[str], SignalRecord]
) -> None:
    limit_pages(database, spare=2)
    fits = database.transact(note("a"))
    fits.result(10)
    with database._write_lock:
        signals = [database.save_signal(make_signal(f"s-{number:04}")) for number in range(200)]
    until(lambda: not database.writable())
    tail = database.transact(note("b"))
    assert not tail.wait(0.1)
    assert noted(database) == "a"
    # urgent work goes first, so that it gets in although what comes after it does not fit
    database.transact(lambda conn: conn.execute(f"PRAGMA max_page_count = {NO_LIMIT}"), urgent=True)
    tail.result(10)
    assert all(signal.done() for signal in signals)
    assert database.writable()
    with database.get_connection() as conn:
        assert conn.execute("SELECT count(*) FROM signals").fetchone()[0] == 200
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert noted(database) == "ab"


def test_a_statement_that_meets_a_full_disk_alone_is_kept_too(database: Database) -> None:
    """A statement of many rows is undone by itself: SQLite leaves the transaction open."""
    limit_pages(database, spare=0)
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    left_open: list[bool] = []

    def many(conn: sqlite3.Connection) -> None:
        try:
            conn.execute(f"INSERT INTO meta {rows} SELECT 'many-' || i, printf('%0100d', i) FROM n")
        finally:
            left_open.append(conn.in_transaction)

    promise = database.transact(many)
    until(lambda: bool(left_open) and not database.writable())
    assert left_open[0]
    assert not promise.done()
    database.transact(lambda conn: conn.execute(f"PRAGMA max_page_count = {NO_LIMIT}"), urgent=True)
    promise.result(10)


def test_order_is_kept_when_a_group_has_to_be_written_again(database: Database) -> None:
    limit_pages(database, spare=0)
    filler = "x" * 20_000
    with database._write_lock:
        for name in "abc":
            database.transact(note(name))
        database.transact(lambda conn: set_meta(conn, "filler", filler))
        database.transact(note("d"))
        database.transact(note("A"), urgent=True)
    until(lambda: not database.writable())
    database.transact(note("B"), urgent=True)
    last = database.transact(note("e"))
    database.transact(lambda conn: conn.execute(f"PRAGMA max_page_count = {NO_LIMIT}"), urgent=True)
    last.result(10)
    assert noted(database) == "ABabcde"


FAILING_COMMIT = """
import resource, sys
from pathlib import Path
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db.database import Database
from wsb_snake.db.meta import set_meta

database = Database(Path(sys.argv[1]), ThreadLanes(SystemClock()))
database.open()
_, ceiling = resource.getrlimit(resource.RLIMIT_FSIZE)
wal = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (wal, ceiling))  # the next page of the log cannot be written
normal = database.transact(lambda conn: set_meta(conn, "normal", "v"))
urgent = database.transact(lambda conn: set_meta(conn, "urgent", "v"), urgent=True)
print(normal.wait(0.3), urgent.done(), database.writable())
resource.setrlimit(resource.RLIMIT_FSIZE, (ceiling, ceiling))
normal.result(10)
print(urgent.done(), database.writable(), database.close())
"""


def test_an_io_error_at_the_commit_is_tried_again(db_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FAILING_COMMIT, str(db_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert child.stdout.splitlines() == ["False False False", "True True True"], child.stderr
    with closing(sqlite3.connect(db_path)) as conn:
        assert conn.execute("SELECT key FROM meta ORDER BY key").fetchall() == [("normal",), ("urgent",)]


def test_a_commit_rings_when_it_has_news(database: Database) -> None:
    for _ in range(2):
        database.news.clear()
        database.transact(lambda conn: journal.append(conn, NOW, EventKind.ERROR, {"what": "x"})).result(10)
        assert database.news.wait(10)
        database.news.clear()
        database.transact(note("a")).result(10)
        assert not database.news.is_set()
