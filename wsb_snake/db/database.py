"""The one SQLite file: one writing connection behind the writer lane, many short readers.

WAL, ``synchronous=FULL``: what a promise has confirmed survives a power cut. The writer's connection
is also the only one that checkpoints (SQLite before 3.51.3 can corrupt a WAL that two connections
write or checkpoint at once).
"""

import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from wsb_snake import config
from wsb_snake.core.lanes import Lanes, Promise
from wsb_snake.db.errors import DatabaseClosed, DatabaseError, DatabaseTooNew, DatabaseUnavailable
from wsb_snake.db.migrations import migrate
from wsb_snake.db.records import (
    OutcomeRecord,
    PaperTradeRecord,
    SignalRecord,
    insert_outcome,
    insert_paper_trade,
    insert_signal,
)
from wsb_snake.db.writer import Work, WriteConnection, Writer, primary_code

__all__ = [
    "Database",
    "DatabaseClosed",
    "DatabaseError",
    "DatabaseTooNew",
    "DatabaseUnavailable",
    "get_connection",
]

T = TypeVar("T")

OPEN_WAIT_S = 5.0  # for another program's lock, while opening and reading
WRITE_WAIT_MS = 200  # while writing: the writer keeps the work and comes back instead
WAL_BYTES = 16 * 2**20  # a larger WAL is cut back after its checkpoint

log = logging.getLogger(__name__)


class Database:
    """The database of one data directory. Reads work at any time, writes are handed to the writer.

    ``connection`` is the class of the one writing connection; a simulated disk stands there.
    """

    def __init__(self, path: Path, lanes: Lanes, connection: type[WriteConnection] = WriteConnection) -> None:
        self.path = path
        self._connection = connection
        self._write_lock = lanes.lock("database")
        self._writer = Writer(lanes, self._write_lock)
        self.news = self._writer.news

    def open(self, take_up: Callable[[sqlite3.Connection], None] | None = None) -> None:
        """Create what is missing, migrate, let ``take_up`` read what is there, start the writer.

        Proves that the disk takes a commit. May be called again after DatabaseUnavailable; work handed
        over before then waits, and what ``take_up`` raises keeps it waiting. Raises DatabaseUnavailable
        and DatabaseTooNew.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create(self.path)
            conn = sqlite3.connect(
                self.path,
                timeout=OPEN_WAIT_S,
                isolation_level=None,
                check_same_thread=False,  # opened here, used by the writer lane under _write_lock
                factory=self._connection,
            )
            try:
                _prepare(conn, take_up)
            except BaseException:
                conn.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnavailable(_explain(self.path, error)) from error
        log.info("database %s, SQLite %s", self.path, sqlite3.sqlite_version)
        self._writer.start(conn)

    def close(self, timeout: float = 5.0) -> bool:
        """Take no more work and write what waits; whether all was written within ``timeout`` seconds.

        In the hub this must be called from a lane.
        """
        return self._writer.stop(timeout)

    def transact(self, work: Work[T], *, urgent: bool = False) -> Promise[T]:
        """Have the writer run ``work`` in a transaction; settled once that is durable.

        ``urgent`` work (the order path) goes before the rest; each kind keeps its order. ``work`` gets
        the writing connection, neither waits nor commits, stays well under 50 ms, and may be run
        again when the disk refuses the commit, so its effects belong into the database only. What it
        raises fails the promise and undoes this piece alone. A busy or full disk never does: the
        promise stays open; how long to wait for it is the caller's choice.
        """
        return self._writer.submit(work, urgent=urgent)

    def get_connection(self) -> AbstractContextManager[sqlite3.Connection]:
        """See the function of that name."""
        return get_connection(self.path)

    def writable(self) -> bool:
        """Whether the last commit worked and nothing has waited for more than 5 s; no I/O."""
        return self._writer.writable()

    def oldest_waiting_s(self) -> float:
        """Age in seconds of the oldest transaction that is not durable yet; no I/O."""
        return self._writer.oldest_waiting_s()

    def save_signal(self, signal: SignalRecord) -> Promise[bool]:
        """Write the row as ``insert_signal`` does. Like the other ``save_``s it pauses for 2 ms while urgent
        work or many rows wait, so call it from a lane and under no lock; ``transact`` never pauses."""
        return self._save(lambda conn: insert_signal(conn, signal))

    def save_outcome(self, outcome: OutcomeRecord) -> Promise[None]:
        return self._save(lambda conn: insert_outcome(conn, outcome))

    def save_paper_trade(self, trade: PaperTradeRecord) -> Promise[None]:
        return self._save(lambda conn: insert_paper_trade(conn, trade))

    def _save(self, insert: Work[T]) -> Promise[T]:
        promise = self._writer.submit(insert, single=True)
        self._writer.ease()
        return promise


@contextmanager
def get_connection(path: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A read-only connection for the calling thread, closed at the end of the block; keep it short.

    ``path`` defaults to ``config.DB_PATH``. Rows are ``sqlite3.Row``. Raises DatabaseUnavailable.
    """
    path = config.DB_PATH if path is None else path
    try:
        uri = path.absolute().as_uri() + "?mode=ro"
        conn = sqlite3.connect(uri, uri=True, timeout=OPEN_WAIT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise DatabaseUnavailable(_explain(path, error)) from error
    with closing(conn):
        conn.row_factory = sqlite3.Row
        yield conn


def _create(path: Path) -> None:
    """Only its owner may read it; SQLite gives ``-wal`` and ``-shm`` the mode of the database."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        path.chmod(0o600)


def _prepare(conn: sqlite3.Connection, take_up: Callable[[sqlite3.Connection], None] | None) -> None:
    conn.row_factory = sqlite3.Row
    (mode,) = conn.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError("its file system does not support write-ahead logging")
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    conn.execute("BEGIN IMMEDIATE")
    migrate(conn)
    if take_up is not None:
        take_up(conn)
    conn.execute("COMMIT")
    conn.execute(f"PRAGMA busy_timeout = {WRITE_WAIT_MS}")


def _explain(path: Path, error: OSError | sqlite3.Error) -> str:
    """One line for the owner: what is wrong and what to do."""
    number = error.errno if isinstance(error, OSError) else None
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL or number == errno.ENOSPC:
        return f"{path}: the disk is full; free some space"
    if code == sqlite3.SQLITE_BUSY:
        return f"{path} is locked by another program; end that program"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path} is damaged ({error}); restore a backup with: python main.py restore"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or number in (
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
    ):
        return f"{path} cannot be written ({error}); check the disk and who owns the directory"
    return f"{path} cannot be opened: {error}"
