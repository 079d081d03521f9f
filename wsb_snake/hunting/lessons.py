"""What was learnt, as it counts for the signals of this moment."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from wsb_snake.config import Settings
from wsb_snake.core.signals import Direction, Signal
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.engines.components import ended_bars
from wsb_snake.engines.probability import MOVED
from wsb_snake.engines.types import MarketView
from wsb_snake.learning import learnt
from wsb_snake.learning.boosts import MIN_TO_LIFT
from wsb_snake.learning.facts import WINDOW
from wsb_snake.learning.learning_memory import PRIOR
from wsb_snake.learning.learnt import Learnt, judged
from wsb_snake.learning.pattern_memory import window_of_bars
from wsb_snake.learning.regime import Regime

log = logging.getLogger(__name__)

LEARNT = "learnt"
"""Name in a signal's evidence of what learning added: points, words, each boost, version."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A signal as learning leaves it, and what of it belongs into the evidence."""

    signal: Signal
    evidence: Mapping[str, object]


class Lessons:
    """The newest snapshot of what was learnt. Belongs to the lane that computes."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._on = settings.wsb_snake_learning
        self._database = database
        self._known: tuple[int, float] | None = None
        self.learnt = Learnt()

    def take_up(self, regime: Regime | None) -> None:
        """Read what was learnt again where there is something new; without the database it stays."""
        factor = 1.0 if regime is None else regime.factor
        try:
            with self._database.get_connection() as conn:
                newest = (learnt.version(conn), factor)
                if newest != self._known:
                    self.learnt = learnt.load(conn, on=self._on, factor=factor)
                    self._known = newest
        except DatabaseUnavailable as error:
            log.warning("what was learnt cannot be read: %s", error)

    def weights(self) -> dict[str, float]:
        """Factors of ignition, pressure and surge over their prior weights; 1 where too little was learnt.

        A score decides over strike and tier, so that what moves it must be worth a lift over the bar.
        """
        if self.learnt.outcomes < MIN_TO_LIFT:
            return dict.fromkeys(PRIOR, 1.0)
        return {name: self.learnt.weights[name] / prior for name, prior in PRIOR.items()}

    def apply(self, signal: Signal, view: MarketView, bar: float) -> Taught:
        """``signal`` with its confidence raised or lowered; ``bar`` is what it needs to be traded."""
        window = window_of_bars(ended_bars(view, signal.ticker), signal.direction)
        boosts = self.learnt.boosts(
            signal.engine, signal.setup, None, signal.ticker, signal.at, view.session, window
        )
        confidence, words = judged(signal.confidence, boosts, bar, _moved(signal))
        evidence: dict[str, object] = _scores(signal)
        if window is not None:
            evidence[WINDOW] = list(window)
        if boosts:
            evidence[LEARNT] = {
                "points": round(confidence - signal.confidence, 1),
                "words": words,
                "boosts": [
                    {"source": each.source, "points": each.points, "trades": each.trades, "why": each.why}
                    for each in boosts
                ],
                "version": self.learnt.version,
            }
        return Taught(replace(signal, confidence=confidence), evidence)


def _scores(signal: Signal) -> dict[str, object]:
    """The components' scores in the direction of the trade, 0 to 100, where the engine has components."""
    given = dict(signal.evidence)
    return {
        name: max(0.0, given[f"{name}_score"] * _sign(signal)) for name in PRIOR if f"{name}_score" in given
    }


def _moved(signal: Signal) -> float:
    """Points that learnt weights have in the confidence already, in the direction of the trade."""
    return dict(signal.evidence).get(MOVED, 0.0) * _sign(signal)


def _sign(signal: Signal) -> int:
    return 1 if signal.direction is Direction.LONG else -1
