"""The table of the ten families, and the life of one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from wsb_snake.engines.day_regime import DayRegime, Trend
from wsb_snake.engines.setup_families import (
    TABLE,
    Family,
    Finding,
    Kind,
    Life,
    LifeRules,
    Stage,
    at_peak,
    broken,
    in_hours,
    may_speak,
    spoken,
    step,
    suits,
)
from wsb_snake.engines.types import Direction

START = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = LifeRules()
LONG, SHORT = Direction.LONG, Direction.SHORT

HALF = Finding((True, True, False), LONG, 100.0, 0)
WHOLE = Finding((True, True, True), LONG, 100.0, 0)
FALL = Finding((True, True, True), SHORT, 100.0, 0)
ROWS = {row.family: row for row in TABLE}


def test_the_table_holds_every_family_once() -> None:
    assert [row.family for row in TABLE] == list(Family)


@pytest.mark.parametrize(
    ("family", "kind", "hours", "trends"),
    [
        (Family.VWAP_RECLAIM_GAMMA_SNAP, Kind.CONSISTENT, (14, 16), "mild strong"),
        (Family.STRIKE_MAGNET_BREAK, Kind.ASYMMETRIC, (14, 16), "neutral mild"),
        (Family.AFTERNOON_RANGE_EXPANSION, Kind.CONSISTENT, (13, 16), "mild strong"),
        (Family.LIQUIDITY_SWEEP_REVERSAL, Kind.ASYMMETRIC, (13, 16), "neutral mild"),
        (Family.NEWS_GAMMA_IGNITION, Kind.ASYMMETRIC, (9, 16), "neutral mild strong"),
        (Family.POWER_HOUR_CONTINUATION, Kind.CONSISTENT, (15, 16), "mild strong"),
        (Family.FALSE_BREAK_TRAP, Kind.ASYMMETRIC, (14, 16), "neutral mild"),
        (Family.VOLATILITY_REGIME_SHIFT, Kind.ASYMMETRIC, (13, 16), "neutral"),
        (Family.CROWD_IGNITION, Kind.ASYMMETRIC, (14, 16), "neutral mild strong"),
        (Family.END_OF_DAY_SNAP, Kind.CONSISTENT, (15, 16), "strong"),
    ],
)
def test_hours_days_and_kinds_are_those_of_the_engines_page(
    family: Family, kind: Kind, hours: tuple[int, int], trends: str
) -> None:
    row = ROWS[family]
    assert row.kind is kind
    assert (row.first, row.last) == (time(hours[0]), time(hours[1]))
    first, last = time(hours[0]), time(hours[1])
    assert in_hours(row, first)
    assert in_hours(row, time(hours[1] - 1, 59))
    assert not in_hours(row, last)
    assert not in_hours(row, time(hours[0] - 1, 59))
    fit = {trend for trend in Trend if suits(row, DayRegime(trend, None, True, 0.0, 0.0))}
    assert fit == {Trend(name) for name in trends.split()}
    down = DayRegime(Trend.MILD, SHORT, False, -1.0, 0.5)
    assert suits(row, down) is (family is not Family.CROWD_IGNITION and Trend.MILD in fit)
    assert suits(row, None) is (family is Family.NEWS_GAMMA_IGNITION)


def test_peaks() -> None:
    reclaim, expansion = ROWS[Family.VWAP_RECLAIM_GAMMA_SNAP], ROWS[Family.AFTERNOON_RANGE_EXPANSION]
    assert at_peak(reclaim, time(14, 30))
    assert not at_peak(reclaim, time(14, 29))
    assert at_peak(expansion, time(14, 30))
    assert not at_peak(expansion, time(14, 31))
    assert not at_peak(ROWS[Family.END_OF_DAY_SNAP], time(15, 30))


Minute = tuple[Finding | None, float]


def lead(minutes: Sequence[Minute], life: Life = Life(), start: datetime = START) -> list[Life]:  # noqa: B008
    """The life after each of ``minutes`` (what was found, the close)."""
    path = []
    for n, (found, close) in enumerate(minutes):
        life = step(life, start + n * MINUTE, close, True, found, RULES)
        path.append(life)
    return path


def stages(minutes: Sequence[Minute]) -> list[Stage]:
    return [life.stage for life in lead(minutes)]


def test_a_family_wakes_and_comes_alive_after_two_whole_minutes() -> None:
    nothing = Finding((True, False, False), LONG, 100.0, 0)
    path = lead([(None, 100), (nothing, 100), (HALF, 100), (WHOLE, 100.1), (WHOLE, 100.2)])
    assert [life.stage for life in path] == [
        Stage.DORMANT,
        Stage.DORMANT,
        Stage.AWAKENING,
        Stage.AWAKENING,
        Stage.ALIVE,
    ]
    assert path[-1].lives == 1
    assert path[-1].direction is LONG


def test_turning_or_a_hole_begins_the_count_anew() -> None:
    assert stages([(WHOLE, 100), (FALL, 100), (FALL, 100)]) == [
        Stage.AWAKENING,
        Stage.AWAKENING,
        Stage.ALIVE,
    ]
    woken = broken(lead([(WHOLE, 100)])[-1])
    assert step(woken, START + 9 * MINUTE, 100, True, WHOLE, RULES).stage is Stage.AWAKENING


def test_an_awakening_one_sleeps_again() -> None:
    path = stages([(HALF, 100), *[(None, 100)] * 5])
    assert path == [*[Stage.AWAKENING] * 5, Stage.DORMANT]


def alive(minutes: int = 0) -> list[Minute]:
    """Alive after the second, and then for ``minutes`` with ever better closes."""
    return [(WHOLE, 100.1), (WHOLE, 100.2), *[(WHOLE, 100.3 + n / 10) for n in range(minutes)]]


def test_one_that_gets_no_further_has_peaked_and_a_new_best_revives_it() -> None:
    still = [(WHOLE, 100.2)] * 10
    assert stages([*alive(), *still])[-2:] == [Stage.ALIVE, Stage.PEAKED]
    assert stages([*alive(), *still, (WHOLE, 100.3)])[-1] is Stage.ALIVE
    assert stages([*alive(), *still, *[(WHOLE, 100.2)] * 10])[-1] is Stage.DYING


def test_one_that_loses_its_needs_dies_and_may_recover() -> None:
    lost: list[Minute] = [(HALF, 100.1)] * 3
    assert stages([*alive(), *lost])[-2:] == [Stage.ALIVE, Stage.DYING]
    assert stages([*alive(), *lost, (WHOLE, 100.3)])[-1] is Stage.ALIVE
    assert stages([*alive(), *lost, *[(None, 100.1)] * 5])[-2:] == [Stage.DYING, Stage.DEAD]


def test_what_points_the_other_way_keeps_no_family_alive() -> None:
    assert stages([*alive(), *[(FALL, 100.1)] * 3])[-1] is Stage.DYING


def test_behind_its_level_it_is_dead_at_once() -> None:
    assert stages([*alive(5), (WHOLE, 99.99)])[-1] is Stage.DEAD
    assert stages([*alive(5), (WHOLE, 100.0)])[-1] is Stage.ALIVE
    assert stages([(FALL, 99.9), (FALL, 99.8), (FALL, 100.01)])[-1] is Stage.DEAD


def test_a_dead_one_cools_down_for_half_an_hour() -> None:
    died = [*alive(), (None, 99.0)]
    path = stages([*died, *[(WHOLE, 100.1)] * 40])
    assert path[2:34] == [Stage.DEAD, *[Stage.COOLDOWN] * 30, Stage.DORMANT]
    assert path[34:36] == [Stage.AWAKENING, Stage.ALIVE]
    assert lead([*died, *[(WHOLE, 100.1)] * 40])[-1].lives == 2


def test_after_its_hours_it_dies_and_stays_dead() -> None:
    life = lead(alive())[-1]
    path = []
    for n in range(2, 60):
        life = step(life, START + n * MINUTE, 100.2, False, WHOLE, RULES)
        path.append(life.stage)
    assert path == [*[Stage.DYING] * 5, *[Stage.DEAD] * 53]
    assert step(Life(), START, 100.2, False, WHOLE, RULES) == Life()


def test_after_three_signals_it_stays_dead() -> None:
    life = replace(lead(alive())[-1], signals=3)
    last = lead([(None, 99.0), *[(WHOLE, 100.1)] * 60], life, START + 2 * MINUTE)[-1]
    assert last.stage is Stage.DEAD


def test_one_watch_and_one_strike_a_life_and_the_last_for_a_strike() -> None:
    life = lead(alive())[-1]
    assert may_speak(life, False, RULES)
    watched = spoken(life, strike=False)
    assert not may_speak(watched, False, RULES)
    assert may_speak(watched, True, RULES)
    struck = spoken(watched, strike=True)
    assert not may_speak(struck, True, RULES)
    assert not may_speak(spoken(life, strike=True), False, RULES)
    again = replace(life, signals=2)
    assert not may_speak(again, False, RULES)
    assert may_speak(again, True, RULES)
    assert not may_speak(replace(life, signals=3), True, RULES)
    assert not may_speak(replace(life, stage=Stage.PEAKED), True, RULES)


EDGES = {
    Stage.DORMANT: {Stage.AWAKENING},
    Stage.AWAKENING: {Stage.DORMANT, Stage.ALIVE},
    Stage.ALIVE: {Stage.PEAKED, Stage.DYING, Stage.DEAD},
    Stage.PEAKED: {Stage.ALIVE, Stage.DYING, Stage.DEAD},
    Stage.DYING: {Stage.ALIVE, Stage.DEAD},
    Stage.DEAD: {Stage.COOLDOWN},
    Stage.COOLDOWN: {Stage.DORMANT},
}

found = st.one_of(
    st.none(),
    st.builds(
        Finding,
        st.tuples(*[st.sampled_from((True, True, True, False))] * 3),
        st.sampled_from((LONG, LONG, LONG, SHORT)),
        st.sampled_from((99.8, 100.0)),
        st.just(0),
    ),
)


@given(
    st.lists(st.tuples(found, st.floats(99.7, 101), st.integers(1, 2)), min_size=20, max_size=120),
    st.booleans(),
)
def test_any_day_keeps_the_promises(day: list[tuple[Finding | None, float, int]], strike: bool) -> None:
    """Only the drawn steps; whole minutes before it is alive; half an hour after death; three signals."""
    life, at = Life(), START
    died: datetime | None = None
    whole: list[bool] = []
    for seen, close, gap in day:
        at += gap * MINUTE
        before, life = life, step(life, at, close, True, seen, RULES)
        whole.append(seen is not None and seen.whole)
        if life.stage is not before.stage:
            assert life.stage in EDGES[before.stage]
        if before.stage is Stage.AWAKENING and life.alive:
            event("alive")
            assert all(whole[-RULES.alive_minutes :])
            assert died is None or at - died > timedelta(minutes=RULES.cooldown_minutes)
        if life.stage is Stage.DEAD and before.stage is not Stage.DEAD:
            died = at
        if may_speak(life, strike, RULES):
            life = spoken(life, strike)
        assert life.signals <= RULES.signals_a_day
