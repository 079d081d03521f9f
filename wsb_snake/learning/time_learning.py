"""How trades of one hour, session window, engine and setup have done.

A cell is recomputed as a whole from its outcomes, so that a correction replaces and never adds.
"""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern
from wsb_snake.learning.boosts import Tally, tally
from wsb_snake.learning.facts import DAY, Fact
from wsb_snake.learning.session_windows import window_of

SOURCE = "time"
BY_HAND = "adopted"
"""The engine's name of what the owner bought by hand: no engine chose it, so it is no measure of one."""


def cell_of(engine: str, kind: str, at: datetime, session: Session | None = None) -> str:
    """The name of the cell; ``kind`` is the setup family where there is one, else the setup."""
    return f"{engine}|{kind}|{eastern(at):%H}|{window_of(at, session)}"


def learn(conn: sqlite3.Connection, fact: Fact) -> None:
    """Bring the cell of ``fact`` up to date, and the one in which the position was counted before."""
    where = (fact.position_id,)
    before = conn.execute("SELECT cell FROM time_cells WHERE position_id = ?", where).fetchone()
    cell = cell_of(fact.engine, fact.kind, fact.at)
    conn.execute("INSERT OR REPLACE INTO time_cells (position_id, cell) VALUES (?, ?)", (*where, cell))
    for name in {cell} if before is None else {cell, str(before[0])}:
        _recompute(conn, name)


def load(conn: sqlite3.Connection) -> Mapping[str, Tally]:
    """Every cell of the engines by its name."""
    rows = conn.execute("SELECT cell, trades, sum_r, sum_r2, clumped FROM time_performance ORDER BY cell")
    cells = {row[0]: Tally(row[1], row[2], row[3], row[4]) for row in rows}
    return MappingProxyType({name: cell for name, cell in cells.items() if name.partition("|")[0] != BY_HAND})


def _recompute(conn: sqlite3.Connection, cell: str) -> None:
    rows = conn.execute(
        "SELECT r_multiple, closed_at FROM time_cells JOIN outcomes USING (position_id)"
        " WHERE cell = ? AND r_multiple IS NOT NULL",
        (cell,),
    ).fetchall()
    conn.execute("DELETE FROM time_performance WHERE cell = ?", (cell,))
    if rows:
        held = tally([row[0] for row in rows], [row[1][:DAY] for row in rows])
        newest = max(row[1] for row in rows)
        conn.execute(
            "INSERT INTO time_performance (cell, trades, sum_r, sum_r2, at, clumped)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (cell, held.trades, held.total, held.squares, newest, held.clumped),
        )
