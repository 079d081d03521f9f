"""Brings a database to the version that this program knows; ``user_version`` holds where it stands."""

import sqlite3
from collections.abc import Iterator, Sequence

from wsb_snake.db.errors import DatabaseTooNew
from wsb_snake.db.schema import MIGRATIONS


def migrate(conn: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Run what is missing inside the caller's transaction.

    Writes the version also when nothing is missing, so that a commit that follows proves the disk.
    Raises DatabaseTooNew.
    """
    found = int(conn.execute("PRAGMA user_version").fetchone()[0])
    if found > len(migrations):
        raise DatabaseTooNew(
            f"the database is of version {found}, this program knows versions up to {len(migrations)}: "
            "update the program"
        )
    for script in migrations[found:]:
        for statement in _statements(script):
            conn.execute(statement)
    conn.execute(f"PRAGMA user_version = {len(migrations)}")


def _statements(script: str) -> Iterator[str]:
    """The statements of ``script`` one by one: ``executescript`` would commit between them."""
    statement = ""
    for part in script.split(";")[:-1]:
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
