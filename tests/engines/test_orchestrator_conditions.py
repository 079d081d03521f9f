"""What the minutes hand to families and state machine: the day's kind, coil, chop, lunch, holes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.engines.tapes import OPEN, SESSION, bar, flat, history, tape_of, timed
from tests.engines.test_family_detectors import NEWS_AT, PICTURES
from tests.engines.test_orchestrator import RULES, day, expansion, view, wave
from wsb_snake.engines.chop_filter import ChopRules
from wsb_snake.engines.day_tape import BAR
from wsb_snake.engines.family_detectors import detect
from wsb_snake.engines.orchestrator import OrchestratorRules, scan, wants_execution
from wsb_snake.engines.orchestrator_state import OrchestratorState
from wsb_snake.engines.setup_families import TABLE, Family, Life, Stage
from wsb_snake.engines.state_machine import Phase
from wsb_snake.engines.types import Direction

EXPANSION = Family.AFTERNOON_RANGE_EXPANSION


def test_a_family_begins_only_on_a_day_that_suits_it() -> None:
    """Where days usually go ten times as far, the same bars are a neutral day."""
    bars = {"SPY": timed(expansion())}
    _, trending = day(bars)
    _, neutral = day(bars, daily=history(move=4.0))
    assert EXPANSION in {family for _, family, _ in trending.lived()}
    assert EXPANSION not in {family for _, family, _ in neutral.lived()}
    assert Family.VOLATILITY_REGIME_SHIFT in {family for _, family, _ in neutral.lived()}


def test_what_never_coiled_never_strikes() -> None:
    """At 13:35 the power hour is far, and these bars were as wide as ever before."""
    signals, state = day({"SPY": timed(expansion(at=245))})
    assert EXPANSION in {family for _, family, _ in state.lived()}
    assert state.ticker("SPY").machine.phase is Phase.LURK
    assert signals != []
    assert {dict(signal.evidence)["phase"] for signal in signals} == {0.0}


def test_in_chop_nothing_strikes() -> None:
    rules = replace(RULES, chop=ChopRules(index=0))
    signals, state = day({"SPY": timed(expansion())}, rules=rules)
    assert state.ticker("SPY").machine.phase is Phase.RATTLE
    assert signals != []


@pytest.mark.parametrize("direction", Direction)
def test_a_strike_is_for_what_is_aligned_and_for_nothing_else(direction: Direction) -> None:
    """A reclaim that is still alive, and has lost its needs or points the other way, may only watch."""
    bars = {"SPY": timed(expansion())}
    _, state = day({"SPY": bars["SPY"][:290]})
    held = state.ticker("SPY")
    lives = {family: replace(life, struck=True, watched=True) for family, life in held.lives}
    level = 0.0 if direction is Direction.LONG else 1000.0
    lives[Family.VWAP_RECLAIM_GAMMA_SNAP] = Life(
        Stage.ALIVE, OPEN, direction, level, best_at=OPEN + 290 * BAR
    )
    state = state.with_ticker("SPY", replace(held, lives=tuple(sorted(lives.items()))))
    signals, after = scan(view(bars, OPEN + 291 * BAR), state, replace(RULES, alert=0))
    assert after.ticker("SPY").machine.phase is Phase.STRIKE
    assert [signal.setup for signal in signals] == [Family.VWAP_RECLAIM_GAMMA_SNAP]
    why = wants_execution(signals[0], signals[0].at, SESSION)
    assert why == "SPY is in STRIKE for another setup"


def test_at_lunch_a_strike_needs_more() -> None:
    """News at 12:05 out of a coil."""
    leave = [bar(100.05 + 0.06 * (n + 1), 100.05 + 0.06 * n, 6) for n in range(16)]
    bars = {"SPY": timed([*wave(130, 99.8, 100.2), *flat(25), *leave])}
    headlines = (OPEN + 155 * BAR,)

    def phase(more: float) -> Phase:
        machine = replace(RULES.machine, strike_score=30, keep_score=0, lunch_score=more)
        _, state = day(bars, rules=replace(RULES, machine=machine), headlines=headlines)
        return state.ticker("SPY").machine.phase

    assert phase(0) is Phase.STRIKE
    assert phase(70) is Phase.RATTLE


def test_minutes_on_both_sides_of_a_hole_are_not_in_a_row() -> None:
    bars = timed(expansion())

    def life(state: OrchestratorState) -> Life:
        return dict(state.ticker("SPY").lives).get(EXPANSION, Life())

    state, minute = OrchestratorState(), 270
    while (life(state).stage, life(state).held) != (Stage.AWAKENING, 1):
        minute += 1
        _, state = scan(view({"SPY": bars}, OPEN + minute * BAR), state)
    torn = [*bars[:minute], *(replace(each, start=each.start + 4 * BAR) for each in bars[minute:])]
    whole = life(scan(view({"SPY": bars}, OPEN + (minute + 1) * BAR), state)[1])
    broken = life(scan(view({"SPY": torn}, OPEN + (minute + 5) * BAR), state)[1])
    assert (whole.stage, whole.held) == (Stage.ALIVE, 2)
    assert (broken.stage, broken.held) == (Stage.AWAKENING, 1)


def test_each_piece_of_evidence_has_a_name_of_its_own() -> None:
    """What decides about execution is read by name: no detector may say something else under it."""
    signals, _ = day({"SPY": timed(expansion())})
    names = [name for name, _ in signals[-1].evidence]
    assert len(set(names)) == len(names)
    expanding = dict(PICTURES)[EXPANSION]
    shown = detect(EXPANSION, tape_of(expanding), len(expanding) - 1)
    assert shown is not None
    rows = {row.family: row.needs for row in TABLE}
    own = set(names) - {name for name, _ in shown.evidence} - set(rows[EXPANSION])
    assert "strike" in own
    for family, picture in PICTURES:
        found = detect(family, tape_of(picture, headlines=[NEWS_AT]), len(picture) - 1)
        assert found is not None
        theirs = [*rows[family], *(name for name, _ in found.evidence)]
        assert len(set(theirs)) == len(theirs)
        assert own.isdisjoint(theirs), family


def test_the_figures_of_the_parts_are_settings() -> None:
    bars = {"SPY": timed(expansion())}
    machine = replace(RULES.machine, strike_score=99)
    signals, state = day(bars, rules=OrchestratorRules(machine=machine, alert=0))
    assert state.ticker("SPY").machine.phase is Phase.RATTLE
    assert signals[0].at - OPEN <= timedelta(minutes=280)
