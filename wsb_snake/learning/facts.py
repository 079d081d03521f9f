"""What is learnt from one closed position: its outcome together with the signal that led to it.

Every lesson is a function of these rows, so that a journal that is replayed teaches the same again.
"""

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from wsb_snake.db.values import instant

FAMILY = "family"
WINDOW = "window"
REGIME = "regime"
SETTLING = "regime_settling"
"""Names in a signal's evidence: its family, its pattern window, the regime, and whether that was new."""

DAY = 10
"""So many letters of a moment's text are its day; no session crosses midnight UTC."""

_QUERY = (
    "SELECT outcomes.*, signals.at AS signal_at, signals.evidence AS evidence"
    " FROM outcomes LEFT JOIN signals USING (signal_id)"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One outcome. ``at`` is the moment of the signal, else of the entry; ``closed_at`` is aware UTC.

    ``net_r`` is the net result in risks; None where it is not known, which teaches nothing.
    """

    position_id: str
    engine: str
    kind: str
    at: datetime
    closed_at: datetime
    net_r: float | None
    evidence: Mapping[str, object]


def fact_of(conn: sqlite3.Connection, position_id: str) -> Fact | None:
    """The fact about a position, or None when it has no outcome."""
    row = _cursor(conn).execute(f"{_QUERY} WHERE outcomes.position_id = ?", (position_id,)).fetchone()
    return None if row is None else _fact(row)


def facts_between(conn: sqlite3.Connection, first: str, last: str) -> list[Fact]:
    """The facts closed from ``first`` to ``last``, both inclusive and as ``instant_text``, in order."""
    query = f"{_QUERY} WHERE closed_at >= ? AND closed_at <= ? ORDER BY closed_at, outcomes.position_id"
    return [_fact(row) for row in _cursor(conn).execute(query, (first, last))]


def regime_of(conn: sqlite3.Connection, signal_id: str | None) -> str | None:
    """The regime in which a signal was given; None where its row does not say."""
    row = conn.execute("SELECT evidence FROM signals WHERE signal_id = ?", (signal_id,)).fetchone()
    band = None if row is None else _evidence(row[0]).get(REGIME)
    return band if isinstance(band, str) else None


def number(value: object) -> float | None:
    """``value`` where it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _fact(row: sqlite3.Row) -> Fact:
    evidence = _evidence(row["evidence"])
    family = evidence.get(FAMILY)
    return Fact(
        position_id=row["position_id"],
        engine=row["engine"],
        kind=family if isinstance(family, str) and family else row["setup"],
        at=instant(row["signal_at"]) or instant(row["opened_at"]),
        closed_at=instant(row["closed_at"]),
        net_r=row["r_multiple"],
        evidence=evidence,
    )


def _evidence(text: str | None) -> Mapping[str, object]:
    """Raises nothing: what is no JSON object is no evidence."""
    try:
        held = json.loads(text or "{}")
    except ValueError:
        held = {}
    return MappingProxyType(held if isinstance(held, dict) else {})


def _cursor(conn: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = conn.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor
