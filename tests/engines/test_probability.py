"""Three opinions made one: scale, direction, agreement, weights, odds and tiers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.engines.components import NOTHING, Component
from wsb_snake.engines.ignition import IgnitionRules
from wsb_snake.engines.pressure import PressureRules
from wsb_snake.engines.probability import (
    MOVED,
    PRIOR,
    Fused,
    ProbabilityRules,
    fuse,
    fuse_learnt,
    normalised,
    tier_of,
    win_probability,
)
from wsb_snake.engines.surge import SurgeRules
from wsb_snake.engines.types import Direction
from wsb_snake.learning.boosts import MAX_POINTS

RULES = ProbabilityRules()
LONG, SHORT = Direction.LONG, Direction.SHORT
SILENT = Component(0.0, None, (("volume_points", 0.0),))
"""It looked, and found nothing."""


def said(score: float, direction: Direction = LONG) -> Component:
    return Component(score, direction, (("a_points", score),))


def test_the_thresholds_are_those_of_the_components() -> None:
    assert RULES.ignition_from == IgnitionRules().signal_from
    assert RULES.pressure_from == PressureRules().signal_from
    assert RULES.surge_from == SurgeRules().signal_from


def test_three_signals_at_their_thresholds_make_half_and_the_agreement() -> None:
    fused = fuse(said(50), said(35), said(45))
    assert fused.score == pytest.approx(60)
    assert fused.direction is LONG
    assert fused.tier == "A"
    assert fuse(said(50, SHORT), said(35, SHORT), said(45, SHORT)).direction is SHORT


def test_the_most_is_a_hundred() -> None:
    assert fuse(said(100), said(100), said(100)).score == 100


def test_opposed_opinions_cancel() -> None:
    one_against_two = fuse(said(50), said(35), said(45, SHORT))
    assert one_against_two.score == pytest.approx(50 * 0.30 + 5)
    balanced = fuse(said(50), SILENT, said(45, SHORT), {"ignition": 1, "pressure": 1, "surge": 1})
    assert (balanced.score, balanced.direction) == (0, None)


def test_below_the_threshold_a_score_counts_for_less_than_half_and_does_not_agree() -> None:
    fused = fuse(said(25), said(35), said(45))
    assert fused.score == pytest.approx(0.30 * 25 + 0.70 * 50 + 5)


def test_what_looked_at_nothing_has_no_weight_and_what_found_nothing_has() -> None:
    unknown = fuse(said(50), said(35), NOTHING)
    silent = fuse(said(50), said(35), SILENT)
    assert unknown.score == pytest.approx(55)
    assert silent.score == pytest.approx(50 * 0.65 + 5)


def test_one_opinion_alone_is_no_normal_signal() -> None:
    alone = fuse(NOTHING, said(100), NOTHING)
    assert alone.score == RULES.normal - 1
    assert alone.tier == "B"
    assert fuse(SILENT, said(100), NOTHING).score < RULES.normal
    assert fuse(NOTHING, NOTHING, NOTHING) == Fused(0, win_probability(0), "C", None)


def test_the_score_towards_a_direction() -> None:
    fused = fuse(said(50), said(35), said(45))
    assert fused.towards(LONG) == fused.score
    assert fused.towards(SHORT) == 0
    assert fused.towards(None) == 0


def test_evidence_adds_up() -> None:
    fused = fuse(said(80), said(20, SHORT), said(60))
    points = [value for name, value in fused.evidence if name.endswith("_points") and "." not in name]
    assert sum(points) == pytest.approx(fused.score)
    assert dict(fused.evidence)["pressure_score"] == -20
    assert dict(fused.evidence)["pressure.a_points"] == 20


def test_learnt_weights_move_the_score() -> None:
    opinions = (said(90), SILENT, SILENT)
    more = fuse(*opinions, normalised({"ignition": 3.0})).score
    less = fuse(*opinions, normalised({"ignition": 0.1})).score
    assert more > fuse(*opinions).score > less


@given(st.dictionaries(st.sampled_from((*PRIOR, "other")), st.floats(allow_nan=False)))
def test_learnt_weights_are_bounded_and_add_up(learnt: dict[str, float]) -> None:
    weights = normalised(learnt)
    assert math.fsum(weights.values()) == pytest.approx(1)
    for name, other in (("ignition", "pressure"), ("pressure", "surge")):
        ratio = (weights[name] / PRIOR[name]) / (weights[other] / PRIOR[other])
        assert 0.1 / 3.0 * 0.999 <= ratio <= 3.0 / 0.1 * 1.001


def test_without_learning_the_weights_are_the_prior() -> None:
    assert normalised({}) == pytest.approx(dict(PRIOR))
    with pytest.raises(ValueError, match="surge"):
        normalised({"surge": math.nan})


def test_the_odds() -> None:
    assert win_probability(0) == pytest.approx(15 / 35)
    assert win_probability(80) == pytest.approx(0.60)
    assert win_probability(0) < win_probability(40) < win_probability(60) < win_probability(100) < 0.65


@pytest.mark.parametrize(
    ("score", "tier"),
    [(100, "A+"), (80, "A+"), (79.9, "A"), (60, "A"), (59.9, "B"), (40, "B"), (39.9, "C"), (0, "C")],
)
def test_tiers(score: float, tier: str) -> None:
    assert tier_of(score) == tier


scores = st.floats(0, 100)
opinions = st.one_of(
    st.just(NOTHING), st.just(SILENT), st.builds(said, scores, st.sampled_from((LONG, SHORT)))
)


@given(opinions, opinions, opinions)
def test_any_three_opinions_make_a_score(one: Component, two: Component, three: Component) -> None:
    fused = fuse(one, two, three)
    assert 0 <= fused.score <= 100
    assert 0 < fused.win_probability < 1
    assert (fused.direction is None) == (fused.score == 0)
    ways = {each.direction for each in (one, two, three)} - {None}
    assert fused.direction is None or fused.direction in ways


factors = st.fixed_dictionaries({name: st.floats(0.1, 3.0) for name in PRIOR})


@given(opinions, opinions, opinions, factors)
def test_learnt_weights_move_a_score_by_ten_points_at_most(
    one: Component, two: Component, three: Component, learnt: dict[str, float]
) -> None:
    """Also where they turn it round; the evidence says by how many."""
    before = fuse(one, two, three)
    after = fuse_learnt(one, two, three, normalised(learnt))
    moved = net(after) - net(before)
    assert abs(moved) <= MAX_POINTS + 1e-9
    assert dict(after.evidence).get(MOVED, 0.0) == pytest.approx(moved)
    for way in (LONG, SHORT):
        assert after.before(way) == pytest.approx(before.towards(way))
    assert (after.direction is None) == (after.score == 0)
    assert (after.tier, after.win_probability) == (tier_of(after.score), win_probability(after.score))
    free = fuse(one, two, three, normalised(learnt))
    assert after.score == free.score or abs(moved) == pytest.approx(MAX_POINTS)


def net(fused: Fused) -> float:
    return fused.towards(LONG) - fused.towards(SHORT)


def test_what_the_bound_takes_off_is_told() -> None:
    opinions = (said(50), SILENT, said(80))
    after = fuse_learnt(*opinions, normalised({"ignition": 0.1, "pressure": 0.1, "surge": 3.0}))
    points = {name: value for name, value in after.evidence if name.endswith("_points") and "." not in name}
    assert points["bound_points"] < -5
    assert sum(points.values()) == pytest.approx(after.score) == pytest.approx(fuse(*opinions).score + 10)


def test_prior_weights_move_nothing() -> None:
    opinions = (said(50), SILENT, said(100))
    assert fuse_learnt(*opinions, normalised({})) == fuse(*opinions)
