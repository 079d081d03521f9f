"""The way of one ticker: which steps there are, what a strike needs, and what any row of minutes keeps."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from wsb_snake.engines.state_machine import (
    Conditions,
    Machine,
    MachineRules,
    Phase,
    closed,
    step,
    traded,
)
from wsb_snake.engines.types import Direction

START = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = MachineRules()
LONG, SHORT = Direction.LONG, Direction.SHORT
EDGES = {
    Phase.LURK: {Phase.COILED},
    Phase.COILED: {Phase.LURK, Phase.RATTLE},
    Phase.RATTLE: {Phase.COILED, Phase.STRIKE},
    Phase.STRIKE: {Phase.RATTLE},
    Phase.CONSTRICT: {Phase.VENOM},
    Phase.VENOM: {Phase.LURK},
}

QUIET = Conditions(START)
COIL = Conditions(START, coiled=True)
STIR = Conditions(START, coiled=True, stirring=True)
GO = Conditions(START, coiled=True, stirring=True, aligned=LONG, score=70)


def run(rows: Sequence[Conditions]) -> list[Machine]:
    """The machine after each of ``rows``, a minute apart."""
    machine, path = Machine(), []
    for n, row in enumerate(rows):
        machine = step(machine, replace(row, at=START + n * MINUTE))
        path.append(machine)
    return path


def phases(rows: Sequence[Conditions]) -> list[Phase]:
    return [machine.phase for machine in run(rows)]


def test_the_whole_way_takes_a_minute_a_step() -> None:
    assert phases([QUIET, COIL, STIR, GO, GO, GO, GO]) == [
        Phase.LURK,
        Phase.COILED,
        Phase.RATTLE,
        Phase.RATTLE,
        Phase.RATTLE,
        Phase.STRIKE,
        Phase.STRIKE,
    ]


def test_everything_at_once_does_not_strike_at_once() -> None:
    assert phases([GO, GO, GO]) == [Phase.COILED, Phase.RATTLE, Phase.STRIKE]
    assert phases([replace(GO, coiled=False)] * 5) == [Phase.LURK] * 5


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(replace(GO, choppy=True), id="chop"),
        pytest.param(replace(GO, score=59.9), id="score"),
        pytest.param(replace(GO, lunch=True, score=64.9), id="lunch"),
        pytest.param(replace(GO, aligned=SHORT), id="other direction"),
        pytest.param(STIR, id="nothing aligned"),
    ],
)
def test_what_keeps_it_from_a_strike(last: Conditions) -> None:
    assert phases([COIL, STIR, GO, GO, last])[-1] is Phase.RATTLE
    assert phases([COIL, STIR, GO, GO, GO])[-1] is Phase.STRIKE


def test_at_lunch_the_bar_is_higher() -> None:
    assert phases([COIL, STIR, GO, GO, replace(GO, lunch=True, score=65)])[-1] is Phase.STRIKE


def test_a_hole_in_the_bars_breaks_the_row() -> None:
    machine = run([COIL, STIR, GO, GO])[-1]
    at = START + 3 * MINUTE
    assert step(machine, replace(GO, at=at + 3 * MINUTE)).phase is Phase.STRIKE
    assert step(machine, replace(GO, at=at + 4 * MINUTE)).phase is Phase.RATTLE


@pytest.mark.parametrize(
    ("after", "phase"),
    [
        (replace(GO, score=40), Phase.STRIKE),
        (replace(GO, score=39), Phase.RATTLE),
        (replace(GO, choppy=True), Phase.RATTLE),
        (replace(GO, aligned=SHORT), Phase.RATTLE),
        (STIR, Phase.RATTLE),
    ],
)
def test_what_a_strike_needs_to_go_on(after: Conditions, phase: Phase) -> None:
    assert phases([COIL, STIR, GO, GO, GO, after])[-1] is phase


def test_a_strike_keeps_the_score_it_struck_with() -> None:
    struck = run([COIL, STIR, GO, GO, replace(GO, score=81), replace(GO, score=50)])[-1]
    assert struck.phase is Phase.STRIKE
    assert struck.score == 81


def test_a_watch_without_stirring_and_a_coil_without_compression_end() -> None:
    watched = phases([COIL, STIR, *[QUIET] * 30])
    assert watched.index(Phase.COILED, 1) == 1 + RULES.quiet_minutes + 1
    assert watched[RULES.coil_minutes + 1] is Phase.COILED
    assert watched[RULES.coil_minutes + 2] is Phase.LURK


def test_a_trade_holds_on_until_it_is_closed() -> None:
    struck = run([COIL, STIR, GO, GO, GO])[-1]
    at = START + 5 * MINUTE
    held = traded(struck, at)
    assert held.phase is Phase.CONSTRICT
    assert step(held, replace(GO, at=at + MINUTE)).phase is Phase.CONSTRICT
    over = closed(held, at + 2 * MINUTE)
    assert over.phase is Phase.VENOM
    minutes = [step(over, replace(GO, at=at + n * MINUTE)).phase for n in (3, 12, 13)]
    assert minutes == [Phase.VENOM, Phase.VENOM, Phase.LURK]


def test_a_position_of_which_nobody_speaks_again_is_given_up() -> None:
    held = traded(run([COIL, STIR, GO, GO, GO])[-1], START)
    last = START + timedelta(minutes=RULES.constrict_minutes)
    assert step(held, replace(QUIET, at=last)).phase is Phase.CONSTRICT
    assert step(held, replace(QUIET, at=last + MINUTE)).phase is Phase.VENOM


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.STRIKE])
def test_only_what_struck_can_hold(phase: Phase) -> None:
    machine = Machine(phase=phase, since=START)
    assert traded(machine, START) == machine


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.CONSTRICT])
def test_only_what_holds_can_be_closed(phase: Phase) -> None:
    machine = Machine(phase=phase, since=START)
    assert closed(machine, START) == machine


def test_a_minute_seen_before_changes_nothing() -> None:
    machine = run([COIL, STIR])[-1]
    assert step(machine, replace(GO, at=START + MINUTE)) == machine
    assert step(machine, replace(GO, at=START)) == machine


minutes = st.builds(
    Conditions,
    at=st.just(START),
    coiled=st.booleans(),
    stirring=st.booleans(),
    aligned=st.sampled_from((None, LONG, LONG, LONG, LONG, LONG, SHORT)),
    choppy=st.sampled_from((False, False, False, False, True)),
    score=st.sampled_from((0.0, 45.0, 60.0, 70.0, 90.0)),
    lunch=st.booleans(),
)
moves = st.tuples(minutes, st.sampled_from((1, 1, 1, 1, 1, 2, 5)), st.sampled_from(("", "", "", "t", "c")))


@given(st.lists(moves, min_size=5, max_size=60))
def test_any_row_of_minutes_keeps_the_promises(row: list[tuple[Conditions, int, str]]) -> None:
    """Only the drawn steps are taken, and a strike follows minutes that aligned and persisted."""
    machine, at = Machine(), START
    aligned: list[tuple[datetime, Direction | None]] = []
    for conditions, gap, act in row:
        at += gap * MINUTE
        now = replace(conditions, at=at)
        before, machine = machine, step(machine, now)
        aligned.append((at, now.aligned))
        if machine.phase is not before.phase:
            assert machine.phase in EDGES[before.phase]
            assert machine.since == at
        if machine.phase is Phase.STRIKE:
            event("strike")
            last = aligned[-RULES.persist_minutes :]
            assert {way for _, way in last} == {now.aligned} != {None}
            assert last[-1][0] - last[0][0] <= RULES.gap_minutes * (len(last) - 1) * MINUTE
            assert not now.choppy
            if before.phase is Phase.RATTLE:
                assert now.score >= RULES.strike_score + RULES.lunch_score * now.lunch
        if act:
            machine = traded(machine, at) if act == "t" else closed(machine, at)
