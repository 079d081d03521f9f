"""A copy of a database by SQLite's online backup, and the proof that it is whole."""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from wsb_snake.db.database import get_connection
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.meta import Stamp, read_stamp

SIDE_FILES = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database; none of them may stand beside another one of that name."""

TEMPORARY = ".tmp"


class CopyDamaged(Exception):
    """A file is no whole database of this project; the text is one line."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: its schema's version, the newest event's ``seq``, rows by table, whose it is."""

    version: int
    head: int
    rows: Mapping[str, int]
    stamp: Stamp | None


def copy_database(source: Path, target: Path) -> Contents:
    """Copy ``source``, which others may be writing, to the new file ``target``; what was copied.

    Everything committed before the call is in the copy, and nothing by half. The reader's snapshot is
    taken before the first page, so that no writer makes the copy start anew. Only the owner may read the
    copy; it is one file, and durable. Raises OSError, sqlite3.Error and DatabaseUnavailable.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with get_connection(source) as conn, closing(sqlite3.connect(target, isolation_level=None)) as copy:
        conn.execute("BEGIN")
        contents = contents_of(conn)
        conn.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    sync(target)
    return contents


def contents_of(conn: sqlite3.Connection) -> Contents:
    """Raises sqlite3.Error where the tables are not ours."""
    tables = [
        row[0]
        for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        if not row[0].startswith("sqlite_")
    ]
    return Contents(
        version=conn.execute("PRAGMA user_version").fetchone()[0],
        head=conn.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0],
        rows=MappingProxyType(
            {name: conn.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in tables}
        ),
        stamp=read_stamp(conn),
    )


def verify(file: Path, wanted: Contents | None = None) -> Contents:
    """Open ``file`` and read every page: what it holds, which is ``wanted`` where that is given.

    The journal's head must be the last number that was given out, and no consumer may be ahead of it.
    Raises CopyDamaged.
    """
    try:
        with get_connection(file) as conn:
            (word,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
            if word != "ok":
                raise CopyDamaged(f"{file.name} is damaged: {' '.join(word.split())}")
            found = contents_of(conn)
            (given,) = conn.execute(
                "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'events'"
            ).fetchone()
            (ahead,) = conn.execute("SELECT COALESCE(MAX(seq), 0) FROM offsets").fetchone()
    except (sqlite3.Error, DatabaseUnavailable) as error:
        raise CopyDamaged(f"{file.name} cannot be read as a database of this project: {error}") from error
    if found.head != given or found.head < ahead:
        raise CopyDamaged(f"{file.name} lacks events: it ends at {found.head} of {max(given, ahead)}")
    if wanted is not None and found != wanted:
        raise CopyDamaged(f"{file.name} is not what was copied: {_difference(found, wanted)}")
    return found


def _difference(found: Contents, wanted: Contents) -> str:
    for table in sorted({*found.rows, *wanted.rows}):
        if found.rows.get(table) != wanted.rows.get(table):
            return f"{table} has {found.rows.get(table, 0)} rows of {wanted.rows.get(table, 0)}"
    return f"its journal ends at {found.head}, not at {wanted.head}"


def json_fault(content: bytes) -> str | None:
    """What is wrong with ``content`` as JSON, in one line; None: nothing."""
    try:
        json.loads(content)
    except (ValueError, RecursionError) as error:
        return str(error)
    return None


def write_file(path: Path, content: bytes) -> None:
    """A new file for its owner alone, durable. Raises OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
