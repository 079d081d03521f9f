"""Which faults and crashes a day holds ready."""

import itertools
import random
from collections import Counter
from datetime import date, timedelta

import pytest

from wsb_snake.sim.fault_plan import (
    AIMED_CRASHES,
    BYTES,
    CALL_AFTER,
    CALL_BEFORE,
    HARD,
    HARDER,
    HARDEST,
    OPENERS,
    POSSIBLE,
    POSSIBLE_CRASHES,
    PROFILES,
    RARE,
    Armed,
    ArmedCrash,
    CrashKind,
    InFlight,
    plan_crashes,
    plan_faults,
)
from wsb_snake.sim.faults import FaultKind
from wsb_snake.sim.sessions import SimSession, session_of

DAYS = 400


def session() -> SimSession:
    found = session_of(date(2026, 11, 24))
    assert found is not None
    return found


def faults(number: int, profile: str = "all", *, wire: bool = False) -> list[Armed]:
    return plan_faults(profile, number, session(), random.Random(number), wire=wire)


def crashes(number: int) -> list[ArmedCrash]:
    return plan_crashes(number, session(), random.Random(number))


def test_every_kind_can_strike_at_some_stage() -> None:
    assert {kind for kind, _ in POSSIBLE} == set(FaultKind)
    assert {kind for kind, _ in POSSIBLE_CRASHES} == set(CrashKind)
    assert {state for _, state in POSSIBLE_CRASHES} == set(InFlight)


def test_the_profiles_together_are_everything() -> None:
    parts = [kinds for name, kinds in PROFILES.items() if name != "all"]
    assert frozenset().union(*parts) == PROFILES["all"] == frozenset(FaultKind)
    assert not PROFILES["none"]


def test_the_aimed_faults_go_round_every_pair() -> None:
    aimed = Counter((a.kind, a.state) for n in range(DAYS) for a in faults(n) if a.state is not None)
    openers = {(kind, state) for rows in OPENERS.values() for kind, state, _ in rows}
    aimable = {pair for pair in POSSIBLE if pair[0] not in BYTES | RARE}
    common = aimable - openers - HARD - HARDER - HARDEST
    assert set(aimed) == {pair for pair in POSSIBLE if pair[0] not in BYTES}
    counts = [aimed[pair] for pair in common]
    assert max(counts) - min(counts) <= max(counts) // 3
    steps = [aimable & HARDEST, aimable & HARDER, (aimable & HARD) - HARDER - HARDEST - openers, common]
    for often, less in itertools.pairwise(steps):
        assert min(aimed[pair] for pair in often) > max(aimed[pair] for pair in less)
    rare = [aimed[pair] for pair in POSSIBLE if pair[0] in RARE]
    assert max(rare) < min(counts)


def test_wire_days_go_round_every_pair_of_bytes() -> None:
    aimed = Counter((a.kind, a.state) for n in range(DAYS) for a in faults(n, wire=True) if a.kind in BYTES)
    pairs = {pair for pair in POSSIBLE if pair[0] in BYTES}
    assert pairs <= set(aimed)
    assert min(aimed[p] for p in pairs & HARDEST) > 2 * max(aimed[p] for p in pairs - HARDEST)


def test_in_the_proof_a_word_is_spoilt_first_and_there_is_an_order_to_tell_of() -> None:
    """All wait for one hour there, and few of its answers hold a word."""
    for number in range(20):
        armed = faults(number, wire=True)
        waiting = [a.kind for a in armed if a.state is InFlight.PROOF and a.kind in BYTES]
        words = waiting.count(FaultKind.UNKNOWN_WORD)
        assert waiting.index(FaultKind.HTML_BODY) >= words > 0
        told_of = [a for a in armed if (a.kind, a.state) == (FaultKind.FOREIGN_ORDER, InFlight.PROOF)]
        assert len(told_of) >= words


def test_bytes_are_spoilt_on_wire_days_only() -> None:
    assert not [a for n in range(DAYS) for a in faults(n) if a.kind in BYTES]


def test_the_crashes_go_round_every_pair() -> None:
    days = len(POSSIBLE_CRASHES)
    seen = Counter((crash.kind, crash.state) for n in range(days) for crash in crashes(n))
    assert seen == dict.fromkeys(POSSIBLE_CRASHES, AIMED_CRASHES)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("wire", [False, True])
def test_a_profile_arms_its_own_kinds_only(profile: str, wire: bool) -> None:
    armed = {a.kind for n in range(100) for a in faults(n, profile, wire=wire)}
    expected = PROFILES[profile] if wire else PROFILES[profile] - BYTES
    assert armed == expected


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(KeyError):
        faults(0, "some")


def test_all_is_in_order_of_time_and_within_the_session() -> None:
    hours = session()
    for number in range(20):
        armed = [a.not_before for a in faults(number, wire=True)]
        dying = [crash.not_before for crash in crashes(number)]
        assert armed == sorted(armed)
        assert dying == sorted(dying)
        assert all(hours.open <= moment < hours.close for moment in armed + dying)


def test_what_aims_at_the_proof_waits_for_its_hour() -> None:
    from_then = session().close - timedelta(minutes=5)
    for number in range(50):
        waits = [(a.state, a.not_before) for a in faults(number)]
        waits += [(crash.state, crash.not_before) for crash in crashes(number)]
        assert all(moment == from_then for state, moment in waits if state is InFlight.PROOF)


def test_what_spoils_an_answer_waits_for_a_call_that_changes_something() -> None:
    armed = [a for n in range(50) for a in faults(n)]
    after = {a.call for a in armed if a.kind in CALL_AFTER}
    assert after == {"POST /v2/orders", "DELETE"}
    calm = {a.call for a in armed if a.kind in CALL_BEFORE and a.state is InFlight.IDLE}
    assert calm == {""}


def test_the_same_number_and_luck_give_the_same_day() -> None:
    assert faults(3) == faults(3)
    assert faults(3) != faults(4)
    assert crashes(3) == crashes(3)


def test_a_rare_stage_is_brought_about() -> None:
    """Whatever waits for a part-filled exit has a partial fill beside it, ready at the same hour."""
    for number in range(20):
        armed = faults(number)
        waiting = [a for a in armed if a.state is InFlight.EXIT_PARTIAL]
        opening = [a.not_before for a in armed if a.kind is FaultKind.PARTIAL_FILL]
        assert all(a.not_before in opening for a in waiting)


def test_what_waits_for_the_end_of_day_finds_one_contract_without_bids() -> None:
    close = session().close
    for number in range(20):
        armed = faults(number)
        bare = [a for a in armed if a.kind is FaultKind.NO_BID and a.state is None]
        early = [a for a in bare if timedelta(minutes=42) <= close - a.not_before <= timedelta(minutes=60)]
        assert not any(a.state is InFlight.PROOF for a in armed) or early
