"""The rungs of a day's end, and the proof of flat."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.samples import CLOSE, DAY, OPEN, SPY, at_broker, exit_order, held, order, position
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern
from wsb_snake.core.orders import OrderStatus, PositionState
from wsb_snake.trading.book import BookView
from wsb_snake.trading.eod_guard import EodState, Reading, advance, read, rungs

SESSION = Session(DAY, OPEN, CLOSE)
HALF_OPEN = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
HALF = Session(date(2026, 11, 27), HALF_OPEN, HALF_OPEN + timedelta(hours=3, minutes=30))
LATER = "SPY261218C00600000"
EMPTY = BookView()
RAN = CLOSE - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("session", "underlying", "entries_end", "cutoff", "eod"),
    [
        (SESSION, "TSLA", "14:50", "15:05", "15:55"),
        (SESSION, "IWM", "14:50", "15:05", "15:55"),
        (SESSION, "SPY", "15:05", "15:20", "15:55"),
        (SESSION, "QQQ", "15:05", "15:20", "15:55"),
        (HALF, "TSLA", "11:50", "12:05", "12:55"),
        (HALF, "SPY", "12:05", "12:20", "12:55"),
    ],
)
def test_rungs(session: Session, underlying: str, entries_end: str, cutoff: str, eod: str) -> None:
    steps = rungs(session, underlying, cutoff_flatten=True)
    assert steps.cutoff is not None
    shown = [f"{eastern(moment):%H:%M}" for moment in (steps.entries_end, steps.cutoff, steps.eod)]
    assert shown == [entries_end, cutoff, eod]


def test_without_the_flatten_there_is_no_cut_off() -> None:
    assert rungs(SESSION, "SPY", cutoff_flatten=False).cutoff is None


def test_a_reading_sees_long_options_and_live_orders_of_the_day_only() -> None:
    positions = [held(), held(LATER), held("AAPL", 100), held("QQQ261124P00500000", -1)]
    orders = [
        at_broker(symbol="TSLA261124C00400000"),
        at_broker(symbol=LATER),
        at_broker(symbol="IWM261124C00200000", status=OrderStatus.CANCELED),
        at_broker(symbol="GLD261124C00300000", status=OrderStatus.UNRECOGNISED),
    ]
    reading = read(positions, orders, RAN, DAY)
    assert reading.open_symbols == ("GLD261124C00300000", SPY, "TSLA261124C00400000")


def readings(*moments: float) -> list[Reading]:
    return [Reading(RAN + timedelta(seconds=seconds), ()) for seconds in moments]


def after(state: EodState, seen: list[Reading], view: BookView = EMPTY) -> EodState:
    for reading in seen:
        state = advance(state, reading, view)
    return state


def test_flat_is_proven_by_two_clean_readings_ten_seconds_apart() -> None:
    ran = EodState(DAY, ran_at=RAN)
    assert after(ran, readings(1)).proven_at is None
    assert after(ran, readings(1, 10.9)).proven_at is None
    assert after(ran, readings(1, 11)).proven_at == RAN + timedelta(seconds=11)


def test_a_reading_from_before_the_close_ran_proves_nothing() -> None:
    assert after(EodState(DAY, ran_at=RAN), readings(-1, 9.5)).proven_at is None
    assert after(EodState(DAY), readings(1, 20)).proven_at is None


def test_a_reading_begun_before_our_last_order_ended_proves_nothing() -> None:
    done = exit_order(status=OrderStatus.FILLED, ended_at=RAN + timedelta(seconds=30))
    view = BookView((), (done,))
    assert after(EodState(DAY, ran_at=RAN), readings(1, 12, 29), view).proven_at is None
    assert after(EodState(DAY, ran_at=RAN), readings(31, 41), view).proven_at is not None


def test_a_dirty_reading_between_starts_again() -> None:
    dirty = Reading(RAN + timedelta(seconds=6), (SPY,))
    seen = [*readings(1), dirty, *readings(12)]
    assert after(EodState(DAY, ran_at=RAN), seen).proven_at is None


def test_a_contract_that_appears_later_withdraws_the_proof() -> None:
    proven = after(EodState(DAY, ran_at=RAN), readings(1, 11))
    seen_at = RAN + timedelta(seconds=20)
    withdrawn = advance(proven, Reading(seen_at, (SPY,)), BookView())
    assert withdrawn == EodState(DAY, RAN, withdrawn_at=seen_at, withdrawn_for=(SPY,))
    still = advance(withdrawn, Reading(RAN + timedelta(seconds=25), (SPY, "SPY261123P00600000")), BookView())
    assert still == withdrawn, "nothing is left to withdraw"
    again = after(withdrawn, readings(31, 41))
    assert again.proven_at is not None and again.withdrawn_at == seen_at


def test_a_dirty_reading_before_any_proof_withdraws_none() -> None:
    seen = after(EodState(DAY, ran_at=RAN), [*readings(1), Reading(RAN + timedelta(seconds=6), (SPY,))])
    assert seen == EodState(DAY, ran_at=RAN)


@pytest.mark.parametrize(
    "view",
    [
        BookView((position(),), ()),
        BookView((), (exit_order(status=OrderStatus.UNKNOWN),)),
        BookView((position(qty=0, state=PositionState.ENTERING),), (order(),)),
    ],
)
def test_what_we_hold_or_have_sent_ourselves_forbids_the_proof(view: BookView) -> None:
    assert after(EodState(DAY, ran_at=RAN), readings(1, 11, 30), view).proven_at is None


def test_later_expiries_do_not_matter() -> None:
    view = BookView((position(symbol=LATER, expiry=date(2026, 12, 18)),), (order(symbol=LATER),))
    assert after(EodState(DAY, ran_at=RAN), readings(1, 11), view).proven_at is not None


def test_both_readings_begin_after_our_last_order_ended() -> None:
    """An order that came and went between the two is seen by neither."""
    first = after(EodState(DAY, ran_at=RAN), readings(1))
    done = exit_order(status=OrderStatus.FILLED, ended_at=RAN + timedelta(seconds=6))
    view = BookView((), (done,))
    assert after(first, readings(12), view).proven_at is None
    assert after(first, readings(12, 22), view).proven_at == RAN + timedelta(seconds=22)


@given(st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["clean", "dirty", "trade"])), max_size=30))
def test_the_proof_is_never_more_than_its_two_readings(steps: list[tuple[int, str]]) -> None:
    state, view, at = EodState(DAY, ran_at=RAN), EMPTY, RAN
    clean: list[datetime] = []  # readings since whatever spoils them
    for seconds, what in steps:
        at += timedelta(seconds=seconds)
        if what == "trade":
            ended = exit_order(status=OrderStatus.FILLED, ended_at=at)
            view = BookView((), (*view.orders, ended))
            if state.proven_at is None:
                clean = []
            continue
        clean = [*clean, at] if what == "clean" else []
        state = advance(state, Reading(at, () if what == "clean" else (SPY,)), view)
        enough = bool(clean) and clean[-1] - clean[0] >= timedelta(seconds=10)
        assert (state.proven_at is not None) == enough
