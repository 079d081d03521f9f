"""One verified backup: the database, the learnings and the configuration under the names of one minute.

Nothing old is touched before the new one is whole, so the last good backup outlives every failure.
"""

import os
import re
import shlex
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wsb_snake.config import Settings
from wsb_snake.core.process_lock import AlreadyRunning, LockUnavailable, ProcessLock
from wsb_snake.core.redaction import Redactor
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.keeping.configuration import without_secrets
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

COMMAND_S = 600.0
"""What a copy command may take."""

TOLD_CHARACTERS = 200

_NAME = re.compile(r"wsb_snake_\d{8}_\d{4}")
_SUFFIXES = (".json", ".env", ".db")  # the database last: where it is, its set is complete

Copy = Callable[[Path, Path], Contents]


class BackupFailed(Exception):
    """There is no new backup; the text is one line that also names the last good one."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was verified. ``problems`` are beside it: learnings that are damaged, what to keep away,
    what to carry off."""

    path: Path
    contents: Contents
    size: int
    kept: int
    problems: tuple[str, ...]

    def line(self) -> str:
        rows = sum(self.contents.rows.values())
        told = (
            f"{self.path}: {self.size / 1e6:.1f} MB, {rows} rows, journal up to {self.contents.head}, "
            f"verified; {self.kept} kept"
        )
        return "; ".join((told, *self.problems))


def back_up(settings: Settings, now: datetime, copy: Copy = copy_database) -> Backup:
    """Make one, verify it, remove those above ``WSB_SNAKE_BACKUPS_KEPT``, run ``BACKUP_COPY_COMMAND``.

    The daemon may run meanwhile. ``now`` (aware) names it, in UTC. Raises BackupFailed.
    """
    folder = settings.backups
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            _sweep(folder)
            made = folder / f"wsb_snake_{now.astimezone(UTC):%Y%m%d_%H%M}.db"
            contents = _make(settings, made, copy)
            problems = [*_faults(settings, made), *_prune(folder, settings.wsb_snake_backups_kept, made)]
            size, kept = made.stat().st_size, len(backups_in(folder))
    except (OSError, sqlite3.Error, DatabaseUnavailable, CopyDamaged, AlreadyRunning) as error:
        raise BackupFailed(f"{_one_line(error)}; {_last_good(folder)}") from error
    problems += carry_off(settings, made)
    return Backup(made, contents, size, kept, tuple(problems))


def backups_in(folder: Path) -> list[Path]:
    """The databases of complete backups, oldest first."""
    return sorted(file for file in folder.glob("*.db") if _NAME.fullmatch(file.stem))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Raises AlreadyRunning beside another backup."""
    lock = ProcessLock(folder / "backup.lock", f"the backup directory {folder}")
    try:
        lock.acquire()
    except LockUnavailable as error:
        raise OSError(str(error)) from error
    try:
        yield
    finally:
        lock.release()


def _sweep(folder: Path) -> None:
    """Remove what a killed backup has left."""
    for file in folder.glob(f"*{TEMPORARY}*"):
        if file.name.startswith(".wsb_snake_"):
            file.unlink(missing_ok=True)


def _make(settings: Settings, made: Path, copy: Copy) -> Contents:
    if not settings.db_path.exists():
        raise CopyDamaged(f"there is no database at {settings.db_path}")
    temporary = {suffix: made.with_name(f".{made.stem}{suffix}{TEMPORARY}") for suffix in _SUFFIXES}
    try:
        contents = copy(settings.db_path, temporary[".db"])
        verify(temporary[".db"], contents)
        write_file(temporary[".json"], _learnings(settings.session_learnings_path))
        write_file(temporary[".env"], without_secrets(settings).encode())
        for suffix in _SUFFIXES:
            temporary[suffix].replace(made.with_suffix(suffix))
        sync(made.parent)
    except BaseException:
        for file in temporary.values():
            for name in (file.name, *(f"{file.name}{side}" for side in SIDE_FILES)):
                with suppress(OSError):
                    file.with_name(name).unlink(missing_ok=True)
        raise
    return contents


def _learnings(path: Path) -> bytes:
    """The file as it is; before the first lesson there is none, and an empty one means the same."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b"{}\n"


def _faults(settings: Settings, made: Path) -> Iterator[str]:
    """What a restore of ``made`` would leave out; the database is good."""
    fault = json_fault(made.with_suffix(".json").read_bytes())
    if fault is not None:
        yield f"{settings.session_learnings_path.name} is damaged ({fault})"


def _prune(folder: Path, keep: int, made: Path) -> Iterator[str]:
    """Remove the oldest above ``keep``, never ``made``; what could not be removed."""
    others = [file for file in backups_in(folder) if file != made]
    for file in others[: max(0, len(others) - (keep - 1))]:
        try:
            for suffix in reversed(_SUFFIXES):
                file.with_suffix(suffix).unlink(missing_ok=True)
        except OSError as error:
            yield f"the old {file.name} cannot be removed ({error.strerror})"


def carry_off(settings: Settings, made: Path) -> Iterator[str]:
    """Run BACKUP_COPY_COMMAND, if there is one, on ``made``: in the place of ``{}``, else as the last word;
    what went wrong."""
    if settings.backup_copy_command is None:
        return
    words = shlex.split(settings.backup_copy_command.get_secret_value())
    given = [word.replace("{}", str(made)) for word in words]
    if given == words:
        given.append(str(made))
    try:
        code, said = _run(given)
    except subprocess.TimeoutExpired:
        yield f"BACKUP_COPY_COMMAND took more than {COMMAND_S:.0f} s and was ended"
    except OSError as error:
        yield f"BACKUP_COPY_COMMAND cannot be started: {error.strerror}"
    else:
        if code != 0:
            told = _redacted(said, settings)
            yield f"BACKUP_COPY_COMMAND failed with code {code}{f': {told}' if told else ''}"


def _run(command: list[str]) -> tuple[int, str]:
    """Exit code and standard error, which is a file: a child that lingers would keep a pipe open.

    Raises TimeoutExpired after ``COMMAND_S`` seconds, when the command and its children are ended.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = process.wait(COMMAND_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        errors.seek(0)
        return code, errors.read().decode(errors="replace")


def _redacted(text: str, settings: Settings) -> str:
    return " ".join(Redactor(settings.secrets())(text).split())[-TOLD_CHARACTERS:]


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the backup'}: {error.strerror}"
    return " ".join(str(error).split())


def _last_good(folder: Path) -> str:
    known = backups_in(folder) if folder.is_dir() else []
    return f"the last good one is {known[-1].name}" if known else "there is no older one"
