"""How trades have done that began in minutes of the same shape.

A window is the run-up to a signal: returns and volume of WINDOW_BARS minutes in blocks, the returns in
the direction of the trade, each part of unit length by itself. So only the shape counts, and the product
of two windows is their similarity, from -1 to 1. Trades of one engine that began at a similarity of
SIMILAR or more form the cell.
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from wsb_snake.core.signals import Direction
from wsb_snake.core.types import Bar
from wsb_snake.db.values import instant_text, json_text
from wsb_snake.learning.boosts import Tally, tally
from wsb_snake.learning.facts import DAY, WINDOW, Fact, number

SOURCE = "pattern"
SIMILAR = 0.70

WINDOW_BARS = 20
BLOCK_BARS = 4
"""Single minutes are noise: no two windows of them are alike."""

BLOCKS = WINDOW_BARS // BLOCK_BARS
LENGTH = 2 * BLOCKS

RETURNS_SHARE = 2 / 3
"""Of the similarity; the rest is the volume's."""

MAX_MISSING = 2
"""Minutes without a bar that a window may have."""

KEPT = 5_000
"""The newest windows that are compared with."""

DIGITS = 4

Window = tuple[float, ...]


def window_of_bars(bars: Sequence[Bar], direction: Direction) -> Window | None:
    """The window that ends with the newest of ``bars`` (1 minute, oldest first, ended ones only).

    None where they are too few, have holes, or show neither a move nor a change of volume.
    """
    last = bars[-WINDOW_BARS:]
    if len(last) < WINDOW_BARS or min(bar.open for bar in last) <= 0 or min(bar.close for bar in last) <= 0:
        return None
    if last[-1].start - last[0].start > (WINDOW_BARS - 1 + MAX_MISSING) * timedelta(minutes=1):
        return None
    blocks = [last[start : start + BLOCK_BARS] for start in range(0, WINDOW_BARS, BLOCK_BARS)]
    sign = 1.0 if direction is Direction.LONG else -1.0
    marks = [last[0].open, *(block[-1].close for block in blocks)]
    returns = _unit([sign * math.log(after / before) for before, after in pairwise(marks)])
    volumes = [math.fsum(bar.volume for bar in block) for block in blocks]
    mean = math.fsum(volumes) / BLOCKS
    volume = _unit([held - mean for held in volumes])
    if returns is None or volume is None:
        return None
    weighted = [math.sqrt(RETURNS_SHARE) * value for value in returns]
    weighted += [math.sqrt(1 - RETURNS_SHARE) * value for value in volume]
    return tuple(round(value, DIGITS) for value in weighted)


def window_in(value: object) -> Window | None:
    """The window that a signal's evidence holds, or None where ``value`` is none."""
    if not isinstance(value, list | tuple) or len(value) != LENGTH:
        return None
    numbers = [number(item) for item in value]
    found = tuple(item for item in numbers if item is not None)
    return found if len(found) == LENGTH else None


@dataclass(frozen=True, slots=True)
class PatternMemory:
    """Windows, net R and days by engine. Immutable."""

    windows: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=lambda: MappingProxyType({}))
    results: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))
    days: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def cell(self, engine: str, window: Window) -> Tally:
        """The trades of ``engine`` whose windows are similar."""
        known = self.windows.get(engine)
        if known is None:
            return Tally()
        alike = np.flatnonzero(known @ np.asarray(window) >= SIMILAR).tolist()
        results, days = self.results[engine], self.days[engine]
        return tally([results[n] for n in alike], [days[n] for n in alike])


def remember(rows: Iterable[tuple[str, Sequence[float], float, str]]) -> PatternMemory:
    """A memory of (engine, window, net R, day)."""
    windows: dict[str, list[Sequence[float]]] = {}
    results: dict[str, list[float]] = {}
    days: dict[str, list[str]] = {}
    for engine, window, net_r, day in rows:
        windows.setdefault(engine, []).append(window)
        results.setdefault(engine, []).append(net_r)
        days.setdefault(engine, []).append(day)
    return PatternMemory(
        MappingProxyType({engine: _fixed(held) for engine, held in windows.items()}),
        MappingProxyType({engine: tuple(held) for engine, held in results.items()}),
        MappingProxyType({engine: tuple(held) for engine, held in days.items()}),
    )


def learn(conn: sqlite3.Connection, fact: Fact) -> None:
    """Remember the window of ``fact``, in the place of what was remembered of that position."""
    conn.execute("DELETE FROM pattern_memory WHERE pattern_id = ?", (fact.position_id,))
    window = window_in(fact.evidence.get(WINDOW))
    if window is None or fact.net_r is None:
        return
    conn.execute(
        "INSERT INTO pattern_memory (pattern_id, position_id, at, window, net_r, engine)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            fact.position_id,
            fact.position_id,
            instant_text(fact.closed_at),
            json_text(window),
            fact.net_r,
            fact.engine,
        ),
    )


def load(conn: sqlite3.Connection) -> PatternMemory:
    """The newest KEPT windows, as ``learn`` wrote them."""
    query = "SELECT engine, window, net_r, at FROM pattern_memory ORDER BY at DESC, pattern_id LIMIT ?"
    rows = conn.execute(query, (KEPT,)).fetchall()
    windows = json.loads("[" + ",".join(row[1] for row in rows) + "]")  # at once: ten times as quick
    return remember((row[0], window, row[2], row[3][:DAY]) for row, window in zip(rows, windows, strict=True))


def _unit(values: Sequence[float]) -> list[float] | None:
    length = math.sqrt(math.fsum(value * value for value in values))
    return [value / length for value in values] if length > 0 else None


def _fixed(values: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
