"""What each setup family did in a day: from what the orchestrator remembers of it, and its signals."""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import date

from wsb_snake.engines.orchestrator import ENGINE
from wsb_snake.engines.orchestrator_state import OrchestratorState
from wsb_snake.engines.setup_families import TABLE

_TRADED = "executed"


@dataclass(frozen=True, slots=True)
class FamilyDay:
    """``lives``: how often it came alive, in all tickers. ``strikes`` are signals in STRIKE, ``traded``
    those for which an entry order went out."""

    family: str
    lives: int
    signals: int
    strikes: int
    traded: int


def family_days(conn: sqlite3.Connection, day: date) -> tuple[FamilyDay, ...]:
    """One row for each family that lived or gave a signal on ``day``, in the order of the table."""
    kept = conn.execute("SELECT state FROM engine_state WHERE engine = ?", (ENGINE,)).fetchone()
    lives: Counter[str] = Counter()
    state = OrchestratorState() if kept is None else OrchestratorState.from_json(kept[0])
    if state.day == day:
        for _, family, life in state.lived():
            lives[family] += life.lives
    signals: Counter[str] = Counter()
    strikes: Counter[str] = Counter()
    traded: Counter[str] = Counter()
    rows = conn.execute("SELECT setup, evidence, verdict FROM signals WHERE engine = ?", (ENGINE,))
    for setup, evidence, verdict in rows:
        signals[setup] += 1
        strikes[setup] += bool(json.loads(evidence).get("strike"))
        traded[setup] += verdict == _TRADED
    names = [row.family for row in TABLE]
    return tuple(
        FamilyDay(name, lives[name], signals[name], strikes[name], traded[name])
        for name in names
        if lives[name] or signals[name]
    )
