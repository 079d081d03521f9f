"""Small facts about the database itself, first of all whose it is."""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """The mode (``paper``, ``live``, ``embedded``) and the account number that a database belongs to."""

    mode: str
    account: str


def read_stamp(conn: sqlite3.Connection) -> Stamp | None:
    """The stamp, or None in a database that nobody has stamped."""
    mode, account = get_meta(conn, "mode"), get_meta(conn, "account")
    return None if mode is None or account is None else Stamp(mode, account)


def write_stamp(conn: sqlite3.Connection, stamp: Stamp) -> None:
    set_meta(conn, "mode", stamp.mode)
    set_meta(conn, "account", stamp.account)


def get_meta(conn: sqlite3.Connection, key: str) -> str | None:
    row = conn.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(conn: sqlite3.Connection, key: str, value: str) -> None:
    conn.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
