"""Three opinions made one: the fused score, what it says about winning, and the tier. Pure.

Each component's score is put on one scale, on which its own signal threshold is 50 and its most is 100,
signed by its direction, and averaged with the weights; a component that looked at nothing has no weight.
Agreement of those that signal adds a little. The win probability of a scalp (+20 % before -15 %) is

    1 / (1 + exp(-(a + b * score)))

with a and b set so that score 0 gives 15 / 35, the odds of a price without drift, and score 80 gives
60 %. It is a prior: what trades really did enters by the learnt weights and boosts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from wsb_snake.engines.components import Component, direction_of, sign_of
from wsb_snake.engines.types import Direction
from wsb_snake.learning.boosts import MAX_POINTS

PRIOR: Mapping[str, float] = MappingProxyType({"ignition": 0.30, "pressure": 0.35, "surge": 0.35})
"""Weights before anything was learnt."""
LEAST_WEIGHT, MOST_WEIGHT = 0.1, 3.0
"""Bounds of a learnt weight, which multiplies the prior."""
MOVED = "weights_moved"
"""Name in the evidence of the points by which learnt weights moved the score: positive for a rise."""
_POINTS = "_points"


@dataclass(frozen=True, slots=True)
class ProbabilityRules:
    """Scores are 0 to 100."""

    ignition_from: float = 50  # score from which the component signals
    pressure_from: float = 35
    surge_from: float = 45
    agreement: tuple[float, float] = (5, 10)  # points where two, where all three signal one way
    least_known: int = 2  # components that looked at something; with fewer the score stays below normal

    strong: float = 80
    normal: float = 60
    tiers: tuple[tuple[float, str], ...] = ((80, "A+"), (60, "A"), (40, "B"), (0, "C"))  # B is a watch

    even_odds: float = 15 / 35  # win probability at score 0
    strong_odds: float = 0.60  # win probability at ``strong``


@dataclass(frozen=True, slots=True)
class Fused:
    """``score`` 0 to 100 towards ``direction``; ``win_probability`` 0 to 1; ``tier`` A+, A, B or C.

    ``evidence``: the score and points of each component, and behind its name and a dot what it rests on.
    """

    score: float
    win_probability: float
    tier: str
    direction: Direction | None
    evidence: tuple[tuple[str, float], ...] = ()

    def towards(self, direction: Direction | None) -> float:
        """The score where ``direction`` is this one's, else 0."""
        return self.score if direction is not None and direction is self.direction else 0.0

    def before(self, direction: Direction | None) -> float:
        """What ``towards`` would be with the prior weights."""
        net = self.score * _sign(self.direction) - dict(self.evidence).get(MOVED, 0.0)
        return max(0.0, net * _sign(direction))

    def told(self, direction: Direction, moved: float) -> tuple[tuple[str, float], ...]:
        """The evidence of a signal in whose confidence learnt weights gave ``moved`` points."""
        others = tuple(pair for pair in self.evidence if pair[0] != MOVED)
        return (*others, (MOVED, moved * _sign(direction))) if moved else others


def fuse(
    ignition: Component,
    pressure: Component,
    surge: Component,
    weights: Mapping[str, float] = PRIOR,
    rules: ProbabilityRules = ProbabilityRules(),
) -> Fused:
    """The three opinions as one. ``weights`` come from ``normalised``; they need not add up to 1."""
    opinions = (
        ("ignition", ignition, rules.ignition_from),
        ("pressure", pressure, rules.pressure_from),
        ("surge", surge, rules.surge_from),
    )
    known = [opinion for opinion in opinions if _looked(opinion[1])]
    total = math.fsum(weights[name] for name, _, _ in known)
    if total <= 0:
        return Fused(0.0, win_probability(0.0, rules), tier_of(0.0, rules), None)
    evidence: list[tuple[str, float]] = []
    net = 0.0
    for name, component, start in known:
        sign = _sign(component.direction)
        part = weights[name] / total * _strength(component.score, start) * sign
        net += part
        evidence += ((f"{name}_score", component.score * sign), (f"{name}{_POINTS}", part))
    direction = direction_of(net)
    votes = [one for _, one, start in known if one.score >= start and one.direction is direction]
    bonus = (0.0, 0.0, *rules.agreement)[len(votes)] if direction is not None else 0.0
    score = min(abs(net) + bonus, 100.0)
    evidence.append((f"agreement{_POINTS}", bonus * sign_of(net)))
    evidence += [(f"{name}.{key}", value) for name, one, _ in known for key, value in one.evidence]
    if len(known) < rules.least_known:
        score = min(score, rules.normal - 1)
    return Fused(score, win_probability(score, rules), tier_of(score, rules), direction, tuple(evidence))


def fuse_learnt(
    ignition: Component,
    pressure: Component,
    surge: Component,
    weights: Mapping[str, float],
    rules: ProbabilityRules = ProbabilityRules(),
) -> Fused:
    """As ``fuse``, and at most MAX_POINTS from where the prior weights put the score, either way."""
    fused = fuse(ignition, pressure, surge, weights, rules)
    if weights == PRIOR:
        return fused
    prior = fuse(ignition, pressure, surge, PRIOR, rules)
    before, after = (one.score * _sign(one.direction) for one in (prior, fused))
    net = max(before - MAX_POINTS, min(before + MAX_POINTS, after))
    evidence = [*fused.evidence, (MOVED, net - before)]
    if net != after:
        evidence.append((f"bound{_POINTS}", net - after))
    score = abs(net)
    return Fused(
        score, win_probability(score, rules), tier_of(score, rules), direction_of(net), tuple(evidence)
    )


def normalised(learnt: Mapping[str, float]) -> dict[str, float]:
    """The prior weights times what was learnt of each (1 where nothing was), within bounds, adding up to 1.

    Raises ValueError for a learnt weight that is no number.
    """
    raw = {}
    for name, prior in PRIOR.items():
        factor = learnt.get(name, 1.0)
        if math.isnan(factor):
            raise ValueError(f"the learnt weight of {name} is not a number")
        raw[name] = prior * min(max(factor, LEAST_WEIGHT), MOST_WEIGHT)
    total = math.fsum(raw.values())
    return {name: weight / total for name, weight in raw.items()}


def win_probability(score: float, rules: ProbabilityRules = ProbabilityRules()) -> float:
    """How often a scalp with this score reaches its target before its stop, 0 to 1."""
    start = _logit(rules.even_odds)
    slope = (_logit(rules.strong_odds) - start) / rules.strong
    return 1 / (1 + math.exp(-(start + slope * score)))


def tier_of(score: float, rules: ProbabilityRules = ProbabilityRules()) -> str:
    """A+ is strong, A normal, B a watch, C less."""
    return next((tier for least, tier in rules.tiers if score >= least), rules.tiers[-1][1])


def _looked(component: Component) -> bool:
    """Whether anything of it voted: a component without data has no part in the mean."""
    return component.score > 0 or any(name.endswith(_POINTS) for name, _ in component.evidence)


def _strength(score: float, start: float) -> float:
    """``score`` on the common scale: 0 to 50 below the threshold ``start``, 50 to 100 from it on."""
    if score < start:
        return 50 * score / start
    return 50 + 50 * (score - start) / (100 - start)


def _sign(direction: Direction | None) -> int:
    return 0 if direction is None else 1 if direction is Direction.LONG else -1


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
