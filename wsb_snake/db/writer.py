"""The lane that owns the only writing connection.

Whoever wants to write hands a piece of work over and gets a promise. All that waits is committed
together: one BEGIN IMMEDIATE, a savepoint for each piece, one COMMIT with its fsync. Urgent work (the
order path) goes before the rest, also into a group that is under way, and closes it. What the disk
refuses (busy, full, I/O error) is kept and tried again; the promises stay open meanwhile.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

from wsb_snake.core.lanes import Flag, Lanes, Promise
from wsb_snake.db.errors import DatabaseClosed

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]

GROUP_S = 0.020  # a group takes nothing more after this; with its commit it stays under 50 ms
GATHER_S = 0.0005  # from idle: lets pieces of one moment share a commit; in the hub, the time a write takes
CROWD = 32  # rows waiting from which on whoever saves another one is slowed down,
CROWD_PAUSE_S = 0.002  # so that a flood leaves the interpreter to the writer and the order path
RETRY_S = (0.02, 0.5)  # first and longest pause after the disk has refused
STUCK_S = 5.0  # work that has waited longer than this means that the journal does not work

DISK_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes that blame the disk or another program, not the work."""

log = logging.getLogger(__name__)


def primary_code(error: BaseException) -> int:
    """SQLite's primary result code of ``error``, 0 when it carries none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


class WriteConnection(sqlite3.Connection):
    """Only the writer ends a transaction: a piece of work that did would commit its neighbours too.

    ``appends`` tells that the group under way adds events to the journal.
    """

    appends = False

    def _refuse(self, *_: object) -> NoReturn:
        raise sqlite3.ProgrammingError("the database writer begins and commits, not the work")

    commit = rollback = executescript = __enter__ = _refuse


class _Job(Generic[T]):
    def __init__(
        self, work: Work[T], promise: Promise[T], since: float, *, urgent: bool, single: bool
    ) -> None:
        self.work = work
        self.promise = promise
        self.since = since
        self.urgent = urgent
        self.single = single

    def run(self, conn: sqlite3.Connection) -> Callable[[], None]:
        """Do the work, all or nothing; how to settle the promise once the group is committed.

        Raises when the group as a whole cannot go on.
        """
        if not self.single:
            conn.execute("SAVEPOINT job")
        try:
            answer = partial(self.promise.resolve, self.work(conn))
        except Exception as error:  # whatever the work raises belongs to the one who handed it over
            if not conn.in_transaction or primary_code(error) in DISK_TROUBLE:
                raise
            if not self.single:
                conn.execute("ROLLBACK TO job")
            answer = partial(self.promise.fail, error)
        if not self.single:
            conn.execute("RELEASE job")
        return answer


class Writer:
    """Queues, and the lane that empties them. Work may be handed over before ``start``; it waits."""

    def __init__(self, lanes: Lanes, lock: threading.Lock) -> None:
        self.news = Flag(lanes, "db-news")  # rings after each group with new events; who waits clears it
        self._lanes = lanes
        self._lock = lock
        self._gate = lanes.lock("db-gate")  # nothing slips in once ``stop`` has returned
        self._signal = lanes.signal("db-work")
        self._urgent: deque[_Job[Any]] = deque()
        self._normal: deque[_Job[Any]] = deque()
        self._group_urgent = False  # what the group under way holds: urgent work, and since when
        self._group_since: float | None = None
        self._ended = Flag(lanes, "db-writer-ended")
        self._started = False
        self._stopped = False
        self._healthy = False  # the last commit worked

    def submit(self, work: Work[T], *, urgent: bool = False, single: bool = False) -> Promise[T]:
        """Queue ``work``. ``single`` work is one statement, which SQLite undoes without a savepoint."""
        promise: Promise[T] = Promise(self._lanes, "db-written")
        job = _Job(work, promise, self._lanes.clock.monotonic(), urgent=urgent, single=single)
        with self._gate:
            taken = not self._stopped
            if taken:
                (self._urgent if urgent else self._normal).append(job)
        if taken:
            self._signal.notify()
        else:
            promise.fail(DatabaseClosed("the database is closed"))
        return promise

    def ease(self) -> None:
        """Give way to the order path and to a crowd for a moment. Never while holding a lock."""
        if self._urgent or self._group_urgent or len(self._normal) > CROWD:
            self._lanes.sleep(CROWD_PAUSE_S)

    def start(self, conn: WriteConnection) -> None:
        """Spawn the lane; it owns ``conn`` from here on and closes it at its end."""
        if self._started:
            raise RuntimeError("the database is open already")
        self._started = self._healthy = True
        self._lanes.spawn("db-writer", partial(self._run, conn))

    def stop(self, timeout: float) -> bool:
        """Take no more work, let the lane write what waits and end; whether it has within ``timeout`` s."""
        with self._gate:
            self._stopped = True
        self._signal.notify()
        ended = not self._started or self._ended.wait(timeout)
        return ended and not self._waits()

    def writable(self) -> bool:
        return self._healthy and not self._stopped and self.oldest_waiting_s() <= STUCK_S

    def oldest_waiting_s(self) -> float:
        """Age in seconds of the oldest piece that is not committed yet, 0.0 when there is none."""
        # the queues first: a piece that has just left them is already covered by _group_since
        since = [_head(self._urgent), _head(self._normal), self._group_since]
        oldest = min((moment for moment in since if moment is not None), default=None)
        return 0.0 if oldest is None else self._lanes.clock.monotonic() - oldest

    def _run(self, conn: WriteConnection) -> None:
        pause, longest = RETRY_S
        try:
            while self._await_work():
                try:
                    self._commit_group(conn)
                    pause = RETRY_S[0]
                except Exception as error:  # the lane's top loop: nothing ends it while work waits
                    if self._healthy:
                        log.error("the database refuses to write, work is kept: %s", error)
                    self._healthy = False
                    self._lanes.sleep(pause)
                    pause = min(2 * pause, longest)
        finally:
            with self._lock:
                conn.close()
            self._ended.set()

    def _await_work(self) -> bool:
        """Wait for work; False when there is none and none can come."""
        if not self._waits():
            self._signal.wait_for(lambda: self._waits() or self._stopped, None)
            self._lanes.sleep(GATHER_S)
        return self._waits()

    def _waits(self) -> bool:
        return bool(self._urgent or self._normal)

    def _commit_group(self, conn: WriteConnection) -> None:
        """Commit a group of what waits and settle its promises; what fails to commit waits again."""
        self._group_since = self._lanes.clock.monotonic() - self.oldest_waiting_s()
        group: list[_Job[Any]] = []
        try:
            with self._lock:
                conn.appends = False
                answers = self._write(conn, group)
            if not self._healthy:
                log.info("the database writes again")
            self._healthy = True
        except Exception:
            self._urgent.extendleft(job for job in reversed(group) if job.urgent)
            self._normal.extendleft(job for job in reversed(group) if not job.urgent)
            raise
        finally:
            self._group_urgent, self._group_since = False, None
        for answer in answers:
            answer()
        if conn.appends:
            self.news.set()

    def _write(self, conn: sqlite3.Connection, group: list[_Job[Any]]) -> list[Callable[[], None]]:
        """One transaction; ``group`` lists the pieces that it took, also when it raises."""
        if conn.in_transaction:  # SQLite has not always rolled back by itself
            conn.execute("ROLLBACK")
        conn.execute("BEGIN IMMEDIATE")
        clock = self._lanes.clock
        ends = clock.monotonic() + GROUP_S
        answers = []
        while self._waits() and clock.monotonic() < ends:
            job = (self._urgent or self._normal).popleft()
            group.append(job)
            self._group_urgent |= job.urgent
            answers.append(job.run(conn))
            if job.urgent and not self._urgent:
                break  # its caller is waiting for the commit
        conn.execute("COMMIT")
        return answers


def _head(queue: deque[_Job[Any]]) -> float | None:
    """Since when the first of ``queue`` waits; the writer may take it away at any instant."""
    try:
        return queue[0].since
    except IndexError:
        return None
