"""What was learnt, as an immutable snapshot, and the consumer of the journal that learns it.

``learn`` reads the outcome that ``outcome_recorder.record`` wrote for the same event and brings the
tables ``model_weights``, ``pattern_memory`` and ``time_performance`` up to date. They are functions of
the facts: emptied and filled again from the journal's first event they hold the same bytes.
"""

import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from wsb_snake.core.calendar import Session
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.orders import PositionState
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.learning import learning_memory, pattern_memory, time_learning
from wsb_snake.learning.boosts import Boost, Tally, boost, judged
from wsb_snake.learning.facts import fact_of
from wsb_snake.learning.pattern_memory import PatternMemory, Window
from wsb_snake.learning.time_learning import cell_of

__all__ = ["CONSUMER", "Boost", "Learnt", "judged", "learn", "load", "version"]

CONSUMER = "learning"
VERSION = "learnt_seq"


def learn(conn: sqlite3.Connection, event: Event) -> None:
    """Learn from a POSITION_CLOSED event, and let a day pass with a DAILY_REPORT; others teach nothing.

    It is to be called behind the recorder. Raises LookupError when the position is closed for good and
    has no outcome.
    """
    if event.kind is EventKind.POSITION_CLOSED:
        if not _learn_position(conn, event):
            return
    elif event.kind is EventKind.DAILY_REPORT:
        learning_memory.decay(conn, event.at)
    else:
        return
    set_meta(conn, VERSION, str(event.seq))


def version(conn: sqlite3.Connection) -> int:
    """The journal's number of the newest event that taught something; 0 before the first."""
    return int(get_meta(conn, VERSION) or 0)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What counts for the next signal. ``weights`` are the components', not yet normalised, learnt from
    ``outcomes`` trades.

    ``everything`` adds up all trades of the engines, ``cells`` those of each time cell. ``factor`` (0 to
    1) is what the regime leaves of each boost. Where learning is off nothing is added and the weights are
    the prior.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: learning_memory.PRIOR)
    outcomes: int = 0
    version: int = 0
    everything: Tally = field(default_factory=Tally)
    cells: Mapping[str, Tally] = field(default_factory=lambda: MappingProxyType({}))
    patterns: PatternMemory = field(default_factory=PatternMemory)
    factor: float = 1.0

    def boosts(
        self,
        engine: str,
        setup: str,
        family: str | None,
        ticker: str,
        at: datetime,
        session: Session | None,
        window: Window | None,
    ) -> tuple[Boost, ...]:
        """What the cells of a signal add; ``at`` is the signal's own moment (aware UTC).

        ``window`` is what ``pattern_memory.window_of_bars`` made for its bars and direction. No cell
        goes by ``ticker``: one name makes too few trades to tell its edge from luck.
        """
        found = []
        here = self.cells.get(cell_of(engine, family or setup, at, session))
        if here is not None:
            found.append(
                boost(time_learning.SOURCE, here, self.everything, "in this hour and setup", self.factor)
            )
        if window is not None:
            alike = self.patterns.cell(engine, window)
            found.append(
                boost(pattern_memory.SOURCE, alike, self.everything, "after such minutes", self.factor)
            )
        return tuple(each for each in found if each is not None)


def load(conn: sqlite3.Connection, *, on: bool = True, factor: float = 1.0) -> Learnt:
    """What the tables hold now; with ``on`` False what counts where learning is off."""
    if not on:
        return Learnt(version=version(conn))
    cells, weights = time_learning.load(conn), learning_memory.load(conn)
    return Learnt(
        weights=MappingProxyType(weights.used()),
        outcomes=weights.trades,
        version=version(conn),
        everything=total(cells.values()),
        cells=cells,
        patterns=pattern_memory.load(conn),
        factor=factor,
    )


def total(cells: Iterable[Tally]) -> Tally:
    """All of ``cells`` together."""
    held = list(cells)
    return Tally(
        sum(cell.trades for cell in held),
        math.fsum(cell.total for cell in held),
        math.fsum(cell.squares for cell in held),
    )


def _learn_position(conn: sqlite3.Connection, event: Event) -> bool:
    """Whether there was something to learn: a late fill opens a position again, and its next end counts."""
    position_id = str(event.data["position_id"])
    row = conn.execute("SELECT state FROM positions WHERE position_id = ?", (position_id,)).fetchone()
    if row is None or row[0] != PositionState.CLOSED:
        return False
    fact = fact_of(conn, position_id)
    if fact is None:
        if _closed_again(conn, event):
            return False
        raise LookupError(f"position {position_id} is closed and has no outcome to learn from")
    time_learning.learn(conn, fact)
    pattern_memory.learn(conn, fact)
    learning_memory.learn(conn, fact, event.at)
    return True


def _closed_again(conn: sqlite3.Connection, event: Event) -> bool:
    """Whether the position of ``event`` ended once more, where the recorder has not come to that end."""
    query = (
        "SELECT 1 FROM events WHERE seq > ? AND kind = ? AND json_extract(data, '$.position_id') = ? LIMIT 1"
    )
    row = (event.seq, EventKind.POSITION_CLOSED.value, str(event.data["position_id"]))
    return conn.execute(query, row).fetchone() is not None
