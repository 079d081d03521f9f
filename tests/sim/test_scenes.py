"""Scenes: what some days of a character look like between their open and their close."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from wsb_snake.sim.paths import (
    Factor,
    Intraday,
    hushed,
    minute_volumes,
    pinned,
    stream,
    variance_shape,
    weekday_index,
)
from wsb_snake.sim.scenes import FULL_MINUTES, SCENES, Kind, Part, Scene
from wsb_snake.sim.sessions import SimSession, sessions

LAST = date(2026, 12, 31)
SHAPE = variance_shape(FULL_MINUTES)
SCENE = Scene((Part(100, 0.5, -0.2), Part(200, 0.5, -0.2, calm=0.1, busy=0.5), Part(210, 1.0, 0.3, busy=4.0)))
TURNING = Scene((*SCENE.parts, Part(240, 1.0, 0.8)))
DAYS = sessions(date(2026, 1, 2), LAST)


def factors(count: int = 6) -> list[Factor]:
    return [Factor(seed, "market", 0.16, 0.3, LAST) for seed in range(count)]


def played() -> list[tuple[Factor, SimSession, Scene]]:
    """Full days with a scene, of several seeds."""
    found = [(factor, session, factor.scene(session.day)) for factor in factors() for session in DAYS]
    return [(f, s, scene) for f, s, scene in found if scene is not None and s.seconds == FULL_MINUTES * 60]


def test_a_scene_goes_from_nothing_to_the_move_through_its_parts() -> None:
    for move, sign in ((0.02, 1), (-0.02, -1)):
        way = SCENE.way(move, 0.01, 0.0)
        assert len(way) == FULL_MINUTES + 1
        assert way[[0, 100, 200, 210, 390]] == pytest.approx(
            [0, sign * 0.008, sign * 0.008, sign * 0.023, move]
        )
    late = SCENE.way(0.02, 0.01, 0.99)
    assert late[119] == pytest.approx(0.008)
    assert late[-1] == pytest.approx(0.02)


def test_chance_and_volume_follow_the_parts() -> None:
    assert SCENE.calm(0.0)[[99, 100, 199, 200]].tolist() == [1.0, 0.1, 0.1, 1.0]
    assert SCENE.busy(0.0)[[99, 100, 200, 209, 210]].tolist() == [1.0, 0.5, 4.0, 4.0, 1.0]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_scene_fits_into_a_day_however_late(kind: Kind) -> None:
    for scene in filter(None, SCENES[kind]):
        minutes = [part.minute for part in scene.parts]
        assert minutes == sorted(set(minutes))
        assert len(scene.calm(0.999)) == len(scene.busy(0.999)) == FULL_MINUTES
        assert len(scene.way(0.01, 0.01, 0.999)) == FULL_MINUTES + 1


def test_a_fair_part_of_the_days_has_a_scene_of_its_character() -> None:
    full = [s for s in DAYS if s.seconds == FULL_MINUTES * 60]
    days = played()
    assert 0.3 < len(days) / (len(full) * 6) < 0.6
    for factor, session, scene in days:
        index = weekday_index(session.day)
        assert replace(scene, fails=False) in SCENES[Kind(int(factor._kinds[index]))]
        assert not (scene.rising and factor.closes[index] < factor.opens[index])
    seen = {scene for *_, scene in days}
    plain = {scene for row in SCENES.values() for scene in row if scene}
    assert seen == plain | {scene.failing() for scene in plain}


def test_about_a_third_of_the_scenes_goes_against_whoever_followed_it() -> None:
    days = played()
    assert 0.25 < sum(scene.fails for *_, scene in days) / len(days) < 0.42
    for move, sign in ((0.02, 1), (-0.02, -1)):
        way = TURNING.failing().way(move, 0.01, 0.0)
        assert way[:211] == pytest.approx(TURNING.way(move, 0.01, 0.0)[:211])
        assert way[[200, 210, 240, 390]] == pytest.approx([sign * 0.008, sign * 0.023, sign * 0.0005, move])


def test_without_reach_there_is_none() -> None:
    factor = Factor(1, "SPY", 0.01, 0.2, LAST, reach=0.0)
    assert not any(factor.scene(session.day) for session in DAYS)


def test_a_scene_moves_neither_open_nor_close() -> None:
    for factor, session, _ in played()[::9]:
        nodes = factor.intraday(session.day, SHAPE).nodes
        index = weekday_index(session.day)
        assert nodes[0] == pytest.approx(factor.opens[index], abs=1e-12)
        assert nodes[-1] == pytest.approx(factor.closes[index], abs=1e-12)


def test_a_half_day_plays_none() -> None:
    halves = [s for s in sessions(date(2023, 1, 3), LAST) if s.seconds < FULL_MINUTES * 60]
    for factor in factors(3):
        for session in halves:
            way = factor.intraday(session.day, variance_shape(session.seconds // 60))
            assert isinstance(way.calm, float)
            assert way.pin is None


def flat(nodes: np.ndarray | None = None) -> Intraday:
    nodes = np.log(100.0) + np.zeros(FULL_MINUTES + 1) if nodes is None else nodes
    return Intraday(nodes, np.full(FULL_MINUTES, 0.0004), ())


def test_what_is_hushed_moves_less_and_ends_where_it_did() -> None:
    steps = 0.0004 * stream("hush").standard_normal(FULL_MINUTES)
    steps[200] = hop = 0.005
    way = Intraday(np.concatenate(([0.0], np.cumsum(steps))), np.full(FULL_MINUTES, 0.0004), ((12_001, hop),))
    calm = np.ones(FULL_MINUTES)
    calm[150:250] = 0.2
    quiet = hushed(way, calm)
    inside = np.r_[150:200, 201:250]
    assert np.diff(quiet.nodes)[inside].std() < 0.25 * np.diff(way.nodes)[inside].std()
    assert np.diff(quiet.nodes)[200] == pytest.approx(hop, rel=0.1)  # news is told to everybody
    assert quiet.nodes[[0, -1]] == pytest.approx(way.nodes[[0, -1]])
    assert hushed(way, 1.0) is way


def test_a_pin_holds_a_name_at_a_strike() -> None:
    way = pinned(flat(), 200, 260, 7.0)
    assert np.exp(way.nodes[200:261]) == pytest.approx(98.0)
    assert np.exp(way.nodes[[0, -1]]) == pytest.approx(100.0)


def test_busy_minutes_trade_more() -> None:
    busy = np.ones(FULL_MINUTES)
    busy[200:210] = 5.0
    plain, other = (
        minute_volumes(way, 1e6, 0.0, stream("busy"))
        for way in (flat(), Intraday(flat().nodes, flat().sds, (), busy=busy))
    )
    assert other[200:210].sum() / plain[200:210].sum() > 4
    assert other.sum() == pytest.approx(1e6, rel=1e-3)
