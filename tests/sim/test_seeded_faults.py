"""Faults that wait for their hour, their stage and their call, and what each of them does."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.sim.bench import SPY_CALL, Bench
from wsb_snake.core.types import Quote
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.fault_plan import CALL_AFTER, CALL_BEFORE, EVENTS, Armed, InFlight
from wsb_snake.sim.faults import Answer, FaultKind, Hang, Reset
from wsb_snake.sim.matching import Execution
from wsb_snake.sim.orders import NewOrder, SimOrder
from wsb_snake.sim.seeded_faults import CALL_COSTS, SeededFaults

START = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
LATER = START + timedelta(minutes=10)
POST, DELETE = "POST /v2/orders", "DELETE /v2/orders/1"
OURS, THEIRS = "wsb-20261124-s-abcdefghijkm-x-1", "by-hand"
IDLE = frozenset({InFlight.IDLE})

K = FaultKind


class Drill:
    """Seeded faults, and a daemon that has under way what the test says."""

    def __init__(self, *armed: Armed) -> None:
        self.states = IDLE
        self.faults = SeededFaults(armed, random.Random(1), lambda: self.states, START)

    def kinds(self) -> list[FaultKind]:
        return [strike.kind for strike in self.faults.struck]


def ready(kind: FaultKind, state: InFlight | None = None, call: str = "", at: datetime = START) -> Armed:
    return Armed(kind, state, at, call)


def until(ask: Callable[[], object], quiet: object = None, tries: int = 40) -> object:
    """Not every opportunity is taken: the first answer that is not ``quiet``."""
    for _ in range(tries):
        answer = ask()
        if answer != quiet:
            return answer
    return quiet


def order(client_id: str = OURS, qty: int = 3) -> SimOrder:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, qty, Decimal(1))
    return bench.sell(SPY_CALL, qty, "9.00", client_id)


# waiting


def test_a_fault_waits_for_its_hour() -> None:
    drill = Drill(ready(K.HTTP_503, at=LATER))
    assert until(lambda: drill.faults.before(POST, LATER - timedelta(seconds=1))) is None
    assert until(lambda: drill.faults.before(POST, LATER)) is not None


def test_a_fault_waits_for_its_stage() -> None:
    drill = Drill(ready(K.HTTP_503, InFlight.EXIT_SENT))
    assert until(lambda: drill.faults.before(POST, LATER)) is None
    drill.states = frozenset({InFlight.ENTRY_SENT, InFlight.EXIT_SENT})
    assert until(lambda: drill.faults.before(POST, LATER)) is not None


def test_a_fault_waits_for_its_call() -> None:
    drill = Drill(ready(K.HTTP_503, call="DELETE"))
    assert until(lambda: drill.faults.before(POST, LATER)) is None
    assert until(lambda: drill.faults.before(DELETE, LATER)) is not None


def test_a_fault_strikes_once() -> None:
    drill = Drill(ready(K.HTTP_503))
    assert until(lambda: drill.faults.before(POST, LATER)) is not None
    assert until(lambda: drill.faults.before(POST, LATER)) is None


def test_what_waits_does_not_hold_up_others() -> None:
    drill = Drill(ready(K.HTTP_503, InFlight.PROOF), ready(K.HTTP_429), ready(K.RESET_BEFORE, at=LATER))
    until(lambda: drill.faults.before(POST, LATER - timedelta(seconds=1)))
    assert drill.kinds() == [K.HTTP_429]


def test_a_strike_counts_with_all_that_was_in_flight() -> None:
    drill = Drill(ready(K.HTTP_503))
    drill.states = frozenset({InFlight.EXIT_PARTIAL, InFlight.CANCEL_PENDING})
    until(lambda: drill.faults.before(POST, LATER))
    (strike,) = drill.faults.struck
    assert (strike.kind, strike.at, strike.states, strike.detail) == (K.HTTP_503, LATER, drill.states, POST)


# calls


@pytest.mark.parametrize("kind", sorted(CALL_BEFORE | CALL_AFTER))
def test_a_spoilt_call_is_what_it_is_called(kind: FaultKind) -> None:
    drill = Drill(ready(kind))
    side = drill.faults.before if kind in CALL_BEFORE else drill.faults.after
    other = drill.faults.after if kind in CALL_BEFORE else drill.faults.before
    assert until(lambda: other(POST, LATER)) is None
    action = until(lambda: side(POST, LATER))
    word = kind.value.removesuffix("_before").removesuffix("_after")
    if isinstance(action, Answer):
        assert word == f"http_{action.reply.status}"
    else:
        assert action == {"hang": Hang(), "reset": Reset()}[word]
    assert drill.faults.trouble_until == LATER + CALL_COSTS


def test_the_answer_of_a_question_is_never_lost_after_its_effect() -> None:
    drill = Drill(ready(K.RESET_AFTER))
    assert until(lambda: drill.faults.after("GET /v2/orders", LATER)) is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (K.HTML_BODY, b"<html>"),
        (K.EMPTY_BODY, b""),
        (K.CUT_BODY, b'{"id": "1", "stat'),
        (K.NULL_DATA, b"null"),
        (K.UNKNOWN_WORD, b'{"id": "1", "status": "entangled"}'),
    ],
)
def test_bytes_are_spoilt_as_the_name_says(kind: FaultKind, body: bytes) -> None:
    drill = Drill(ready(kind))
    true = ApiReply(200, b'{"id": "1", "status": "filled"    }')
    spoilt = until(lambda: drill.faults.bytes_of(POST, true, LATER), true)
    assert isinstance(spoilt, ApiReply)
    assert spoilt.body.replace(b"    }", b"}").startswith(body)
    assert spoilt.status == 200
    assert drill.kinds() == [kind]


def test_an_unknown_word_needs_a_word_to_stand_for() -> None:
    drill = Drill(ready(K.UNKNOWN_WORD))
    true = ApiReply(200, b"[]")
    assert until(lambda: drill.faults.bytes_of("GET /v2/positions", true, LATER), true) == true


# the trade stream


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_events_arrive_as_the_name_says(kind: FaultKind) -> None:
    drill = Drill(ready(kind))
    delays = until(lambda: drill.faults.deliveries(LATER), (0.0,))
    assert isinstance(delays, tuple)
    match kind:
        case K.EVENT_LOST:
            assert delays == ()
        case K.EVENT_TWICE:
            assert len(delays) == 2
        case K.EVENT_LATE:
            assert len(delays) == 1
            assert delays[0] >= 3
        case _:
            assert len(delays) == 1
            assert 0 < delays[0] < 3
    assert drill.faults.deliveries(LATER) == (0.0,)


def test_a_frame_is_garbled_once() -> None:
    drill = Drill(ready(K.MALFORMED_FRAME))
    assert until(lambda: drill.faults.garbles(LATER), False) is True
    assert until(lambda: drill.faults.garbles(LATER), False) is False


# the venue


def test_cut_offs_are_for_ours_and_for_their_side() -> None:
    drill = Drill(ready(K.CUTOFF_OPENING), ready(K.CUTOFF_ALL))
    mine = NewOrder(SPY_CALL, "buy", 1, "limit", Decimal(1), OURS)
    theirs = NewOrder(SPY_CALL, "sell", 1, "market", None, THEIRS)
    sale = NewOrder(SPY_CALL, "sell", 1, "market", None, OURS)
    assert until(lambda: drill.faults.cut_off(theirs, LATER), False) is False
    assert until(lambda: drill.faults.cut_off(mine, LATER), False) is True
    assert drill.kinds() == [K.CUTOFF_OPENING]
    assert until(lambda: drill.faults.cut_off(sale, LATER), False) is True
    assert drill.faults.cut_off(sale, LATER + timedelta(seconds=2))
    assert not drill.faults.cut_off(sale, LATER + timedelta(seconds=41))
    assert drill.faults.trouble_until > LATER


def test_a_late_reject_strikes_ours_only() -> None:
    drill = Drill(ready(K.ASYNC_REJECT))
    assert until(lambda: drill.faults.rejects_later(order(THEIRS), LATER), False) is False
    assert until(lambda: drill.faults.rejects_later(order(), LATER), False) is True


def test_an_order_that_does_not_fill_stays_so_for_a_while() -> None:
    drill, mine = Drill(ready(K.NO_FILL)), order()
    whole = Execution(3, Decimal(1))
    assert until(lambda: drill.faults.execution(mine, whole, LATER), whole) is None
    assert drill.faults.execution(mine, whole, LATER + timedelta(seconds=1)) is None
    assert drill.faults.execution(mine, whole, LATER + timedelta(seconds=21)) == whole


def test_a_partial_fill_leaves_something() -> None:
    drill, mine = Drill(ready(K.PARTIAL_FILL)), order()
    whole = Execution(3, Decimal(1))
    part = until(lambda: drill.faults.execution(mine, whole, LATER), whole)
    assert isinstance(part, Execution)
    assert 1 <= part.qty < 3
    assert part.price == whole.price


def test_one_contract_cannot_fill_in_part() -> None:
    drill, single = Drill(ready(K.PARTIAL_FILL)), Execution(1, Decimal(1))
    assert until(lambda: drill.faults.execution(order(qty=1), single, LATER), single) == single


def test_what_would_not_fill_anyway_spends_no_fault() -> None:
    drill = Drill(ready(K.NO_FILL))
    assert until(lambda: drill.faults.execution(order(), None, LATER)) is None
    assert drill.kinds() == []


def test_a_stuck_cancel_holds_and_lets_go() -> None:
    drill, mine = Drill(ready(K.STUCK_CANCEL), ready(K.CANCEL_FILL_RACE)), order()
    assert until(lambda: drill.faults.holds_cancel(mine, LATER), False) is True
    assert drill.faults.holds_cancel(mine, LATER + timedelta(seconds=5))
    assert not drill.faults.holds_cancel(mine, LATER + timedelta(seconds=46))
    assert until(lambda: drill.faults.fill_wins(mine, LATER), False) is False


def test_a_fill_wins_once() -> None:
    drill, mine = Drill(ready(K.CANCEL_FILL_RACE)), order()
    assert until(lambda: drill.faults.fill_wins(mine, LATER), False) is True
    assert until(lambda: drill.faults.fill_wins(mine, LATER), False) is False


def test_positions_lag_by_at_most_ten_seconds_and_for_as_long() -> None:
    drill = Drill(ready(K.POSITIONS_LAG))
    shown = until(lambda: drill.faults.positions_at(LATER), LATER)
    assert isinstance(shown, datetime)
    assert timedelta(seconds=2) <= LATER - shown < timedelta(seconds=10)
    soon, after = LATER + timedelta(seconds=9), LATER + timedelta(seconds=10)
    assert soon - drill.faults.positions_at(soon) == LATER - shown
    assert drill.faults.positions_at(after) == after


# quotes


@pytest.mark.parametrize("kind", [K.STALE_QUOTES, K.CROSSED_QUOTES, K.ZERO_QUOTES])
def test_quotes_are_spoilt_for_a_while_in_one_contract(kind: FaultKind) -> None:
    drill = Drill(ready(kind))
    true = Quote(SPY_CALL, Decimal("1.00"), Decimal("1.05"), 5, 5, LATER)
    spoilt = until(lambda: drill.faults.quote(true, LATER), true)
    assert isinstance(spoilt, Quote)
    match kind:
        case K.STALE_QUOTES:
            assert spoilt.age_s(LATER) >= 20
        case K.CROSSED_QUOTES:
            assert spoilt.bid > spoilt.ask > 0
        case _:
            assert spoilt.bid == 0
    assert drill.faults.quote(true, LATER + timedelta(seconds=1)) != true
    assert drill.faults.quote(true, LATER + timedelta(seconds=26)) == true


def test_shares_are_quoted_truly() -> None:
    drill = Drill(ready(K.ZERO_QUOTES))
    true = Quote("SPY", Decimal(670), Decimal(671), 5, 5, LATER)
    assert until(lambda: drill.faults.quote(true, LATER), true) == true


# the world


def test_what_cannot_be_done_now_waits() -> None:
    drill = Drill(ready(K.MANUAL_CLOSE), ready(K.HTTP_503))
    assert until(lambda: drill.faults.due_in_the_world(LATER, lambda kind: False)) is None
    assert until(lambda: drill.faults.due_in_the_world(LATER, lambda kind: True)) is K.MANUAL_CLOSE


def test_trouble_only_grows() -> None:
    drill = Drill()
    drill.faults.hinder(LATER)
    drill.faults.hinder(START)
    assert drill.faults.trouble_until == LATER
