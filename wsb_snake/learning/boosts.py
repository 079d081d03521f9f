"""What a cell of past trades adds to a signal's confidence, and what it does not.

A cell's edge is its mean net R against the mean of all other trades. Before any trade its belief is
normal around zero with a standard deviation of PRIOR_SD; the trades are taken as normal around the
true edge (the normal-normal model: A. Gelman et al., "Bayesian Data Analysis", chapter 2.5). So few
trades move little, and a boost is zero while the CREDIBLE share of the belief holds zero.

Trades of one day share their luck: where the days scatter more than so many single trades would, the
days are counted.

The scale has a bound built in. The believed edge of a cell of whatever size is at most half of PRIOR_SD
times the cell's z score, so a boost has at most as many points as its z score: without any edge six
points are six standard errors of luck.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

PRIOR_SD = 0.10
"""R. Two of three cells are believed to lie within a tenth of a risk of the mean of all trades."""

MAX_POINTS = 10.0
"""All boosts of one signal together, either way."""

POINTS_PER_R = 2 / PRIOR_SD
"""A point a standard error at most; five prior standard deviations of edge are worth all the points."""

CREDIBLE_Z = 1.2815515655446004
"""Half the width of the central 80 % of a normal distribution, in standard deviations."""

MIN_TO_LIFT = 30
"""Outcomes that a cell needs to lift a signal over the execute bar."""

TRADE_SD = 1.0
"""R. The spread of single trades that is believed before any was made, worth SPREAD_TRADES of them."""

SPREAD_TRADES = 20.0
LEVEL_TRADES = 20.0
"""The mean of all trades is believed to be zero with the weight of so many."""

STEP = 0.1
"""A signal that may not be lifted stays this far below the bar."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Net R multiples added up: their number, sum and sum of squares.

    ``clumped`` is the variance of the sum as the days show it, each day's trades taken as one.
    """

    trades: int = 0
    total: float = 0.0
    squares: float = 0.0
    clumped: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.trades if self.trades else 0.0

    @property
    def scatter(self) -> float:
        """The sum of squared distances from the mean."""
        return max(0.0, self.squares - self.total * self.mean)

    def without(self, other: "Tally") -> "Tally":
        """What is left when the trades of ``other`` are taken out; how they clump is not known."""
        return Tally(self.trades - other.trades, self.total - other.total, self.squares - other.squares)


def tally(values: Iterable[float], days: Iterable[str] | None = None) -> Tally:
    """``values`` added up, the same for every order of them; ``days`` name the day of each."""
    held = list(values)
    added = Tally(len(held), math.fsum(held), math.fsum(value * value for value in held))
    if days is None:
        return added
    by_day: dict[str, list[float]] = {}
    for value, day in zip(held, days, strict=True):
        by_day.setdefault(day, []).append(value - added.mean)
    count = len(by_day)
    if count < 2:
        return added
    clumped = math.fsum(math.fsum(day) ** 2 for day in by_day.values()) * count / (count - 1)
    return replace(added, clumped=clumped)


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of a cell: its ``edge`` in R and its standard deviation.

    ``kept`` is the share of the raw edge that shrinking leaves, ``own`` the cell's shrunk mean net R,
    against nothing.
    """

    edge: float
    sd: float
    kept: float
    own: float


@dataclass(frozen=True, slots=True)
class Boost:
    """Points that ``source`` adds to a confidence, from ``trades`` outcomes, and ``why`` in a line.

    ``lifts`` says whether it may carry a signal over the execute bar.
    """

    source: str
    points: float
    trades: int
    why: str
    lifts: bool = False


def believe(cell: Tally, everything: Tally) -> Belief:
    """The edge of ``cell`` against the trades of ``everything`` that are not in it."""
    if cell.trades <= 0:
        return Belief(0.0, PRIOR_SD, 0.0, 0.0)
    others = everything.without(cell)
    spread = _variance(cell, _variance(everything, TRADE_SD**2))
    level, level_variance = _level(others)
    noise = max(spread / cell.trades, cell.clumped / cell.trades**2) + level_variance
    kept = PRIOR_SD**2 / (PRIOR_SD**2 + noise)
    edge = kept * (cell.mean - level)
    return Belief(edge, PRIOR_SD * math.sqrt(1 - kept), kept, level + edge)


def boost(source: str, cell: Tally, everything: Tally, of: str, factor: float = 1.0) -> Boost | None:
    """What ``cell`` adds; None where it holds no trade. ``of`` says which trades it holds.

    ``factor`` (0 to 1) is what the regime leaves of it.
    """
    if cell.trades <= 0:
        return None
    belief = believe(cell, everything)
    doubtful = abs(belief.edge) <= CREDIBLE_Z * belief.sd
    full = 0.0 if doubtful else max(-MAX_POINTS, min(MAX_POINTS, belief.edge * POINTS_PER_R))
    points = round(full * factor, 1)
    why = f"{points:+.1f} from {cell.trades} trades {of}, shrunk to {belief.kept * 100:.0f} %"
    if doubtful:
        why = f"0 from {cell.trades} trades {of}: their edge of {belief.edge:+.2f} R is in doubt"
    elif factor < 1:
        why += f", {factor * 100:.0f} % of it in a new regime"
    return Boost(source, points, cell.trades, why, cell.trades >= MIN_TO_LIFT and belief.own > 0)


def judged(
    confidence: float, boosts: Sequence[Boost], execute_bar: float, moved: float = 0.0
) -> tuple[float, str]:
    """The confidence (0 to 100) after ``boosts``, and what was added, in a line; empty: nothing.

    ``execute_bar`` is the bar that counts for this very signal, with whatever the hour and the name add.
    Over it a signal is carried only by cells of MIN_TO_LIFT outcomes that earn money themselves.
    ``moved`` are the points of learnt weights in ``confidence``; boosts have what they leave of the ten.
    """
    counted = _counted(boosts)
    told = [boost.why for boost in counted]
    told += [
        f"{boost.points:+.1f} by {boost.source} not added: much of it is the same trades"
        for boost in boosts
        if boost.points and boost not in counted
    ]
    raised = _after(confidence, boosts, moved)
    if confidence < execute_bar <= raised:
        lifted = _after(confidence, [boost for boost in boosts if boost.lifts or boost.points < 0], moved)
        if lifted < execute_bar:
            raised = max(confidence, execute_bar - STEP)
            told.append(
                f"not lifted over {execute_bar:g}: no cell of {MIN_TO_LIFT} earning trades carries it"
            )
    return raised, "; ".join(told)


def _counted(boosts: Sequence[Boost]) -> list[Boost]:
    """The strongest either way: cells overlap, and a trade does not prove more for being in two of them."""
    most = max((boost.points for boost in boosts), default=0.0)
    least = min((boost.points for boost in boosts), default=0.0)
    up = [boost for boost in boosts if boost.points == most > 0]
    down = [boost for boost in boosts if boost.points == least < 0]
    return up[:1] + down[:1]


def _after(confidence: float, boosts: Sequence[Boost], moved: float) -> float:
    points = math.fsum(boost.points for boost in _counted(boosts))
    points = max(-MAX_POINTS - min(moved, 0.0), min(MAX_POINTS - max(moved, 0.0), points))
    return round(max(0.0, min(100.0, confidence + points)), 6)


def _variance(of: Tally, before: float) -> float:
    """The variance of single trades: ``before`` with the weight of SPREAD_TRADES, and their own scatter."""
    return (SPREAD_TRADES * before + of.scatter) / (SPREAD_TRADES + max(0, of.trades - 1))


def _level(others: Tally) -> tuple[float, float]:
    """The mean to compare with, and its variance; without other trades it is zero for certain."""
    if others.trades <= 0:
        return 0.0, 0.0
    weight = others.trades / (others.trades + LEVEL_TRADES)
    return weight * others.mean, weight**2 * _variance(others, TRADE_SD**2) / others.trades
