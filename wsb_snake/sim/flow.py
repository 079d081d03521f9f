"""Who trades the options of a name through a day: calls against puts, minute by minute, strike by strike.

Most of the flow runs after the price: it leans to calls when the last minutes rose. On some days a
smaller part knows something and leans, minutes ahead, to where the day's story goes: a trend, a turn, a
late surge, a jump on news. The rest is chance. Options are busy when the shares are, and what expires
today is traded where the price is.
"""

from math import exp, log, sqrt

import numpy as np

from wsb_snake.core.types import Right
from wsb_snake.sim.paths import MINUTE_S, Floats, Intraday

_BACK, _AHEAD = 10, 20  # minutes that the many look back, and the few look ahead
_REACTION, _KNOWLEDGE = 0.22, 0.12  # of the lean, a deviation of such minutes
_MOST_REACTION, _MOST_KNOWLEDGE = 3.0, 2.0  # deviations that count
_KNOWING = 0.5  # of all days: somebody knows something
_MOOD, _WHIM, _WHIM_MINUTES = 0.10, 0.15, 30  # of chance: the day's, and how fast the rest of it changes
_OUT = 0.25  # widths out of the money at which most is traded

_CROWD, _CROWD_DAYS, _CROWD_LUCK = 0.18, 5, 0.4
_SIDES = 0.25  # how much more open interest calls have above the money, and puts below


class Flow:
    """What was traded up to each second of the session, in shares of an at-the-money contract's usual day."""

    def __init__(self, way: Intraday, shares: Floats, width: float, draw: np.random.Generator) -> None:
        """``shares`` are those of each minute over a usual day's; ``width`` is the deviation, in
        logarithms, that the price may be from a strike that expires today and is still traded much."""
        lean = leaning(way, draw)
        self._sides = {Right.CALL: shares * (1 + lean), Right.PUT: shares * (1 - lean)}
        self._spots = way.nodes[:-1]
        self._width = width
        self._sums: dict[tuple[Right, float | None], memoryview] = {}

    def traded(self, right: Right, second: int, strike: float | None) -> float:
        """Up to the end of ``second``; ``strike`` in dollars where the contract expires today, else None."""
        sums = self._sums.get((right, strike))
        if sums is None:
            sums = self._sums[right, strike] = self._summed(right, strike)
        minute, rest = divmod(second + 1, MINUTE_S)
        done: float = sums[minute]
        return done if not rest else done + (sums[minute + 1] - done) * rest / MINUTE_S

    def _summed(self, right: Right, strike: float | None) -> memoryview:
        """Sums at the minute boundaries."""
        side = self._sides[right]
        if strike is not None:
            out = (log(strike) - self._spots) / self._width * (1 if right is Right.CALL else -1)
            side = side * np.exp(-((out - _OUT) ** 2) / 2)
        return np.concatenate(([0.0], np.cumsum(side))).data


def leaning(way: Intraday, draw: np.random.Generator) -> Floats:
    """The lean of each minute's flow, from -1 (puts alone) to 1 (calls alone)."""
    minutes = len(way.sds)
    minute_sd = sqrt(float(np.mean(way.sds**2)))
    knows = draw.random() < _KNOWING
    knots = np.arange(0, minutes + _WHIM_MINUTES, _WHIM_MINUTES)
    chance = _MOOD * draw.standard_normal() + np.interp(
        np.arange(minutes), knots, _WHIM * draw.standard_normal(len(knots))
    )
    now = np.arange(minutes)
    past = way.nodes[now] - way.nodes[np.maximum(now - _BACK, 0)]
    reaction = np.clip(past / (minute_sd * sqrt(_BACK)), -_MOST_REACTION, _MOST_REACTION)
    story = np.broadcast_to(way.story, minutes + 1)
    ahead = story[np.minimum(now + _AHEAD, minutes)] - story[now]
    knowledge = np.clip(ahead / (minute_sd * sqrt(_AHEAD)), -_MOST_KNOWLEDGE, _MOST_KNOWLEDGE)
    return np.asarray(np.tanh(_REACTION * reaction + knows * _KNOWLEDGE * knowledge + chance))


def crowd(marks: Floats, session_sd: float, luck: float) -> float:
    """The lean of the open interest, -1 to 1: the crowd holds what paid over the last five sessions.

    ``marks`` are open and close of each earlier weekday, oldest first, then today's open, in dollars;
    ``luck`` lies within 0.5 of zero.
    """
    moved = log(float(marks[-2]) / float(marks[-2 - 2 * _CROWD_DAYS]))
    return float(np.tanh(_CROWD * moved / (session_sd * sqrt(_CROWD_DAYS)) + _CROWD_LUCK * luck))


def held(right: Right, lean: float, away: float) -> float:
    """Open interest over the usual at a strike ``away`` deviations above the price."""
    sign = 1 if right is Right.CALL else -1
    return (1 + sign * lean) * (1 + sign * _SIDES * (1 - 2 / (1 + exp(2 * away))))
