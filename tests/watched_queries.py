"""What the product asks of SQLite: its statements, how they are carried out, and the steps that they take."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

READING = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


class Watch:
    """``steps``: instructions of SQLite's machine; ``largest``: the most of them in one transaction."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.steps = self.largest = 0
        self._began = 0

    def attach(self, conn: sqlite3.Connection) -> None:
        conn.set_progress_handler(self._step, 1)
        conn.set_trace_callback(self._statement)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def _statement(self, text: str) -> None:
        if text.startswith("BEGIN"):
            self._began = self.steps
        elif text == "COMMIT":
            self.largest = max(self.largest, self.steps - self._began)
        elif text.lstrip().upper().startswith(READING):
            self.statements.append(text)

    def whole_tables(self, path: Path, small: frozenset[str]) -> list[str]:
        """The statements that look at every row of a table that is not in ``small``, each with its plan.

        Rows that are taken in the order of a key until there are enough are not every row.
        """
        with closing(sqlite3.connect(path)) as conn:
            found = []
            for statement in dict.fromkeys(self.statements):
                plan = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {statement}")]
                enough = " LIMIT " in statement and "USE TEMP B-TREE FOR ORDER BY" not in plan
                scans = [line for line in plan if line.startswith("SCAN") and line.split()[1] not in small]
                if scans and not enough:
                    found.append(f"{statement}: {'; '.join(plan)}")
            return found


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, *, writer_only: bool = False) -> Iterator[Watch]:
    """Every connection that is opened within, or only those that write."""
    watch, connect = Watch(), sqlite3.connect

    def connect_and_watch(*given: Any, **named: Any) -> sqlite3.Connection:
        conn: sqlite3.Connection = connect(*given, **named)
        if "factory" in named or not writer_only:
            watch.attach(conn)
        return conn

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect_and_watch)
        yield watch
