"""The disk of a drill: the writer meets SQLite's own errors, keeps the work, and heals; copies are whole."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wsb_snake.backtest.campaign.disk import Crash, Disk, KeptReads, copy_database
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lanes import Promise
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.sim.fault_plan import CrashKind

START = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


class Process:
    """A database on a drill's disk, in a hub; it dies at ``deadly``, once that is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(START)
        self.disk = Disk(self.clock)
        self.hub = Hub(self.clock, 1)
        self.deadly: CrashKind | None = None
        self.points: list[CrashKind] = []
        self.database = KeptReads(folder / "wsb_snake.db", self.hub, self.disk.connection(self._at))
        self.database.open()
        self.points.clear()

    def _at(self, kind: CrashKind) -> None:
        self.points.append(kind)
        if kind is self.deadly:
            raise Crash

    def write(self, value: str) -> Promise[None]:
        return self.database.transact(lambda conn: set_meta(conn, "word", value), urgent=True)

    def run(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        self.hub.spawn("wait", lambda: self.hub.sleep(seconds))
        self.hub.run(lambda: self.clock.monotonic() >= end)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path / "here")
    yield made
    made.hub.close()
    made.database.hang_up()


def word(folder: Path) -> str | None:
    conn = sqlite3.connect(folder / "wsb_snake.db")
    try:
        return get_meta(conn, "word")
    finally:
        conn.close()


def test_the_kept_connection_reads_what_was_written_since_it_was_made(process: Process) -> None:
    def read() -> tuple[str | None, sqlite3.Connection]:
        with process.database.get_connection() as conn:
            return get_meta(conn, "word"), conn

    before, first = read()
    process.write("kept")
    process.run(1)
    after, second = read()
    assert (before, after) == (None, "kept")
    assert first is second
    process.database.hang_up()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        read()


def test_a_commit_passes_its_three_points(process: Process) -> None:
    written = process.write("kept")
    process.run(1)
    assert written.succeeded()
    assert process.points == [CrashKind.BEFORE_COMMIT, CrashKind.INSIDE_COMMIT, CrashKind.AFTER_COMMIT]
    assert not process.disk.stalled()


@pytest.mark.parametrize("trouble", ["slow", "fill"])
def test_what_the_disk_refuses_is_kept_and_written_later(
    process: Process, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    getattr(process.disk, trouble)(START + timedelta(seconds=10))
    assert process.disk.stalled()
    written = process.write("kept")
    process.run(9)
    assert not written.done()
    assert not process.database.writable()
    assert word(process.folder) is None
    expected = "locked" if trouble == "slow" else "full"
    assert expected in caplog.text
    process.run(3)
    assert written.succeeded()
    assert process.database.writable()
    assert word(process.folder) == "kept"
    assert not process.disk.stalled()


def test_the_errors_carry_the_codes_of_sqlite(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    disk = Disk(clock)
    conn = sqlite3.connect(
        tmp_path / "a.db", isolation_level=None, factory=disk.connection(lambda kind: None)
    )
    disk.slow(START + timedelta(seconds=1))
    with pytest.raises(sqlite3.OperationalError) as busy:
        conn.execute("BEGIN IMMEDIATE")
    assert busy.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
    clock.advance_to(1)
    conn.execute("BEGIN IMMEDIATE")
    disk.fill(START + timedelta(seconds=2))
    with pytest.raises(sqlite3.OperationalError) as full:
        conn.execute("COMMIT")
    assert full.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    conn.close()


def test_up_to_when_everything_is_written() -> None:
    clock = VirtualClock(START)
    disk = Disk(clock)

    def written_until() -> float:
        return (disk.written_until - START).total_seconds()

    clock.advance_to(100)
    assert written_until() == 98
    disk.fill(START + timedelta(seconds=120))
    clock.advance_to(110)
    assert written_until() == 98  # what was older than the trouble is there
    disk.slow(START + timedelta(seconds=115))
    assert written_until() == 98
    clock.advance_to(121)
    assert written_until() == 98
    disk.slow(START + timedelta(seconds=125))  # before it had caught up
    clock.advance_to(127)
    assert written_until() == 98
    clock.advance_to(128)
    assert written_until() == 126


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (CrashKind.BEFORE_COMMIT, "old"),
        (CrashKind.INSIDE_COMMIT, "old"),
        (CrashKind.AFTER_COMMIT, "new"),
    ],
)
def test_what_a_death_leaves_in_the_copy(
    process: Process, kind: CrashKind, left: str, tmp_path: Path
) -> None:
    process.write("old")
    process.run(1)
    process.deadly = kind
    process.write("new")
    with pytest.raises(Crash):
        process.run(1)
    copy_database(process.folder, tmp_path / "copy")
    assert word(tmp_path / "copy") == left
    assert not list((tmp_path / "copy").glob("*-shm"))
