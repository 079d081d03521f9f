"""The disk under the daemon's database: slow, full, or gone in the middle of a commit.

It stands where SQLite's connection stands, so that the writer meets real errors at real places.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from wsb_snake.core.clock import Clock
from wsb_snake.core.lanes import Lanes
from wsb_snake.db.database import Database
from wsb_snake.db.writer import WriteConnection
from wsb_snake.sim.fault_plan import CrashKind

Crashes = Callable[[CrashKind], None]
"""Asked at each point of a commit; raises ``Crash`` when the process dies there."""


WRITTEN_WITHIN = timedelta(seconds=2)
"""A disk that takes commits has taken everything in this time."""


class Crash(BaseException):
    """The process is gone: nothing in it runs any more, nothing catches this."""


class Disk:
    """One day's disk. ``slow_until`` and ``full_until`` are the ends of its troubles."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.slow_until = self.full_until = self._troubled_since = clock.now()

    def slow(self, until: datetime) -> None:
        """No transaction begins before ``until``."""
        self._trouble()
        self.slow_until = until

    def fill(self, until: datetime) -> None:
        """No commit is taken before ``until``."""
        self._trouble()
        self.full_until = until

    def _trouble(self) -> None:
        now = self._clock.now()
        if now - self.free_since > WRITTEN_WITHIN:  # else it had no time to catch up
            self._troubled_since = now

    @property
    def free_since(self) -> datetime:
        """Since (or from) when it takes commits."""
        return max(self.slow_until, self.full_until)

    @property
    def written_until(self) -> datetime:
        """What was handed over before this moment survives a death of the process."""
        now = self._clock.now()
        return (now if now - self.free_since > WRITTEN_WITHIN else self._troubled_since) - WRITTEN_WITHIN

    def stalled(self) -> bool:
        return self._clock.now() < self.free_since

    def connection(self, crashes: Crashes) -> type[WriteConnection]:
        """The class of the writing connection on this disk."""
        disk = self

        class Connection(WriteConnection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql == "BEGIN IMMEDIATE":
                    crashes(CrashKind.BEFORE_COMMIT)
                    disk._refuse(disk.slow_until, sqlite3.SQLITE_BUSY, "database is locked")
                elif sql == "COMMIT":
                    crashes(CrashKind.INSIDE_COMMIT)
                    disk._refuse(disk.full_until, sqlite3.SQLITE_FULL, "database or disk is full")
                    done = super().execute(sql, *args)
                    crashes(CrashKind.AFTER_COMMIT)
                    return done
                return super().execute(sql, *args)

        return Connection

    def _refuse(self, until: datetime, code: int, text: str) -> None:
        if self._clock.now() < until:
            error = sqlite3.OperationalError(text)
            error.sqlite_errorcode = code
            raise error


class KeptReads(Database):
    """Keeps its reading connection: one that is made anew reads the whole schema before its first answer.

    All lanes share a thread here, and each statement sees what is committed by then, as ever.
    """

    def __init__(self, path: Path, lanes: Lanes, connection: type[WriteConnection]) -> None:
        super().__init__(path, lanes, connection)
        self._kept = ExitStack()
        self._reads: sqlite3.Connection | None = None

    @contextmanager
    def get_connection(self) -> Iterator[sqlite3.Connection]:
        if self._reads is None:
            self._reads = self._kept.enter_context(super().get_connection())
        yield self._reads

    def hang_up(self) -> None:
        """The process is over."""
        self._kept.close()


def copy_database(source: Path, target: Path) -> None:
    """What a power cut at this instant would leave of the database in ``source``."""
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.endswith("-shm"):  # SQLite makes the index of the log anew
            shutil.copy2(path, target / path.name)
