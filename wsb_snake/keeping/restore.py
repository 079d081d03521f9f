"""Putting a backup in the place of the present state, while no daemon runs.

The new database is made whole beside the old one and takes its name in one step: a crash at any instant
leaves the old state or the new one.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wsb_snake.config import Settings
from wsb_snake.core.events import EventKind
from wsb_snake.core.process_lock import AlreadyRunning, LockUnavailable, ProcessLock
from wsb_snake.db import journal
from wsb_snake.db.database import get_connection
from wsb_snake.db.errors import DatabaseTooNew, DatabaseUnavailable
from wsb_snake.db.meta import Stamp, read_stamp
from wsb_snake.db.migrations import migrate
from wsb_snake.db.values import instant_text
from wsb_snake.keeping.copies import (
    SIDE_FILES,
    TEMPORARY,
    Contents,
    CopyDamaged,
    copy_database,
    json_fault,
    sync,
    verify,
    write_file,
)

FAILED, OTHER_ACCOUNT, RUNNING = 1, 2, 3
PRIMARY = 0xFF
"""The part of SQLite's error codes that names the kind."""


class RestoreRefused(Exception):
    """Nothing was changed; ``code`` is the exit code, the text one line."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place, its version afterwards, and where what it replaced lies (None: nothing was)."""

    file: Path
    contents: Contents
    version: int
    replaced: Path | None
    learnings: str

    def lines(self) -> tuple[str, ...]:
        stamp, rows = self.contents.stamp, self.contents.rows
        whose = "nobody's account yet" if stamp is None else f"{stamp.mode} account {stamp.account}"
        migrated = "" if self.version == self.contents.version else f" migrated to version {self.version},"
        return (
            f"restored {self.file}: {whose},{migrated} journal up to {self.contents.head}, "
            f"{rows.get('positions', 0)} positions, {rows.get('outcomes', 0)} outcomes; {self.learnings}",
            "nothing was replaced" if self.replaced is None else f"what it replaced is in {self.replaced}",
            "entries are paused (manual): start the daemon, which agrees with the broker first; look at "
            "status, then resume",
        )


def restore(
    settings: Settings, file: Path, lock: ProcessLock, now: datetime, *, anyones: bool = False
) -> Restored:
    """Verify ``file``, migrate it, set the ``manual`` pause in it, and put it in place.

    ``lock`` is the data directory's. A backup of another account or mode is put in place only with
    ``anyones``. Raises RestoreRefused.
    """
    try:
        with _held(lock):
            temporary = settings.db_path.with_name(f".{settings.db_path.name}{TEMPORARY}")
            try:
                return _restore(settings, file, temporary, now, anyones)
            finally:
                _remove(temporary)
    except AlreadyRunning as error:
        raise RestoreRefused(RUNNING, f"{error}: stop the daemon first") from error
    except (OSError, sqlite3.Error, LockUnavailable, DatabaseUnavailable, DatabaseTooNew) as error:
        raise RestoreRefused(FAILED, f"{file} cannot be restored: {_one_line(error)}") from error
    except CopyDamaged as error:
        raise RestoreRefused(FAILED, f"{error}; take another backup") from error


def _restore(settings: Settings, file: Path, temporary: Path, now: datetime, anyones: bool) -> Restored:
    if not file.is_file():
        raise RestoreRefused(FAILED, f"there is no file {file}")
    if settings.db_path.exists() and file.samefile(settings.db_path):
        raise RestoreRefused(FAILED, f"{file} is the database in use; name a backup")
    _remove(temporary)
    verify(file)
    contents = verify(temporary, copy_database(file, temporary))
    if not anyones:
        _check_owner(settings, file, contents.stamp)
    version = _prepare(temporary, file, now)
    learnings, told = _learnings_of(file)
    replaced = _keep_old(settings, now)
    _swap(settings.db_path, temporary)
    if learnings is not None:
        _write_over(settings.session_learnings_path, learnings)
    return Restored(file, contents, version, replaced, told)


def _check_owner(settings: Settings, file: Path, found: Stamp | None) -> None:
    """Raises RestoreRefused for a backup on which the daemon would not start, or of another directory."""
    if found is None:
        return
    wanted = settings.alpaca_account_number
    here = _present_stamp(settings.db_path)
    if found.mode != settings.mode or (wanted is not None and wanted != found.account):
        mine = f"the settings are for {settings.mode} account {wanted or '(any)'}"
    elif here is not None and here != found:
        mine = f"{settings.data_dir} belongs to {here.mode} account {here.account}"
    else:
        return
    raise RestoreRefused(
        OTHER_ACCOUNT,
        f"{file} is of {found.mode} account {found.account}, but {mine}; if you mean it: "
        f"restore {file} --yes",
    )


def _present_stamp(path: Path) -> Stamp | None:
    """Whose the present database is; None where it cannot say, which is a reason to restore."""
    if path.exists():
        with suppress(sqlite3.Error, DatabaseUnavailable), get_connection(path) as conn:
            return read_stamp(conn)
    return None


def _prepare(temporary: Path, file: Path, now: datetime) -> int:
    """Migrate the copy and pause entries in it; its version.

    Alerts that waited when the backup was made have most likely been sent since: marked as begun, they
    are repeated with the word that they are repeats.
    """
    detail = f"{file.name} was restored"
    with closing(sqlite3.connect(temporary, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        migrate(conn)
        conn.execute("UPDATE alerts SET state = 'sending' WHERE state = 'pending'")
        conn.execute(
            "INSERT OR REPLACE INTO pauses (reason, since, detail) VALUES ('manual', ?, ?)",
            (instant_text(now), detail),
        )
        journal.append(conn, now, EventKind.PAUSED, {"reason": "manual", "detail": detail})
        conn.execute("COMMIT")
        version = int(conn.execute("PRAGMA user_version").fetchone()[0])
    sync(temporary)
    return version


def _learnings_of(file: Path) -> tuple[bytes | None, str]:
    """The learnings that belong to ``file``, beside a backup or in a directory of replaced state, and what to
    say of them. Damaged ones are no reason to refuse a good database."""
    for path in (file.with_suffix(".json"), file.with_name("session_learnings.json")):
        if path.is_file():
            content = path.read_bytes()
            fault = json_fault(content)
            if fault is not None:
                return None, f"{path.name} is damaged ({fault}) and left out, the present learnings stay"
            return content, "with its session_learnings.json"
    return None, "no session_learnings.json beside it, the present one stays"


def _keep_old(settings: Settings, now: datetime) -> Path | None:
    """Give the present state a second name in a directory of its own; None when there is none."""
    path = settings.db_path
    if path.exists():
        _into_one_file(path)
    names = (path.name, *(f"{path.name}{side}" for side in SIDE_FILES), settings.session_learnings_path.name)
    present = [name for name in names if (settings.data_dir / name).exists()]
    if not present:
        return None
    kept = settings.data_dir / f"replaced_{now.astimezone(UTC):%Y%m%d_%H%M%S}"
    kept.mkdir(mode=0o700)
    for name in present:
        _second_name(settings.data_dir / name, kept / name)
    sync(kept)
    sync(settings.data_dir)
    return kept


def _into_one_file(path: Path) -> None:
    """A damaged one is kept as it is, with what lies beside it. One that somebody reads keeps its log, and
    without that it would be an older state: refused with RestoreRefused."""
    try:
        verify(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.Error, CopyDamaged) as error:
        cause = error if isinstance(error, sqlite3.Error) else error.__cause__
        if getattr(cause, "sqlite_errorcode", 0) & PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise RestoreRefused(FAILED, f"another program reads {path}: end it and try again") from error


def _second_name(file: Path, other: Path) -> None:
    try:
        os.link(file, other)
    except OSError:  # not every file system has links
        shutil.copy2(file, other)
        sync(other)


def _swap(path: Path, temporary: Path) -> None:
    """The log of the old database must be gone before the new one has its name."""
    for side in SIDE_FILES:
        path.with_name(f"{path.name}{side}").unlink(missing_ok=True)
    sync(path.parent)
    temporary.replace(path)
    sync(path.parent)


def _write_over(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    temporary.unlink(missing_ok=True)
    write_file(temporary, content)
    temporary.replace(path)
    sync(path.parent)


def _remove(temporary: Path) -> None:
    for side in ("", *SIDE_FILES):
        with suppress(OSError):
            temporary.with_name(f"{temporary.name}{side}").unlink(missing_ok=True)


@contextmanager
def _held(lock: ProcessLock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
