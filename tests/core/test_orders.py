from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wsb_snake.core.orders import (
    CANCELABLE,
    LIVE,
    QUIET,
    TERMINAL,
    UNSETTLED,
    Order,
    OrderStatus,
    OrderType,
    PositionIntent,
    Purpose,
    Report,
    Side,
    apply_report,
)

AT = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
QTY = 5
ENDINGS = sorted(TERMINAL - {OrderStatus.NEVER_SENT, OrderStatus.FILLED})
BROKERS = sorted(set(OrderStatus) - UNSETTLED - {OrderStatus.NEVER_SENT})
WORKING = sorted(LIVE - UNSETTLED)


def order(status: OrderStatus = OrderStatus.SENDING, filled: int = 0) -> Order:
    return Order(
        client_order_id="wsb-20261124-s-abcdefghijkl-e-1",
        position_id="p1",
        purpose=Purpose.ENTRY,
        symbol="SPY261124C00672500",
        side=Side.BUY,
        intent=PositionIntent.BUY_TO_OPEN,
        type=OrderType.LIMIT,
        qty=QTY,
        limit_price=Decimal("1.25"),
        status=status,
        created_at=AT,
        filled_qty=filled,
        filled_avg_price=Decimal("1.20") if filled else None,
    )


def report(status: OrderStatus, filled: int = 0, seconds: int = 0) -> Report:
    price = Decimal("1.20") + Decimal(filled) / 100 if filled else None
    return Report(status, filled, price, "broker-1", AT + timedelta(seconds=seconds))


@st.composite
def histories(draw: st.DrawFn) -> list[Report]:
    """What a broker says about one order from first to last: fills that grow, then an end."""
    fills = sorted(draw(st.lists(st.integers(1, QTY), max_size=4)))
    told = [report(draw(st.sampled_from([OrderStatus.ACCEPTED, OrderStatus.NEW, OrderStatus.PENDING_NEW])))]
    told += [report(OrderStatus.FILLED if n == QTY else OrderStatus.PARTIALLY_FILLED, n, n) for n in fills]
    last = fills[-1] if fills else 0
    if last < QTY:
        told.append(report(draw(st.sampled_from(ENDINGS)), last, 10))
    return told


def after(start: Order, told: list[Report]) -> Order:
    for each in told:
        start = apply_report(start, each)
    return start


@given(histories(), st.data())
def test_any_order_and_any_duplication_of_reports_end_in_the_same_fill(
    told: list[Report], data: st.DataObject
) -> None:
    straight = after(order(), told)
    again = told + data.draw(st.lists(st.sampled_from(told), max_size=5))
    shuffled = after(order(), data.draw(st.permutations(again)))
    assert shuffled.filled_qty == straight.filled_qty == max(each.filled_qty for each in told)
    assert shuffled.filled_avg_price == straight.filled_avg_price
    assert shuffled.status is straight.status
    assert shuffled.status in TERMINAL
    assert not shuffled.live and shuffled.open_qty == 0
    assert shuffled.ended_at is not None


@given(histories())
def test_a_report_told_twice_changes_nothing(told: list[Report]) -> None:
    now = order()
    for each in told:
        now = apply_report(now, each)
        assert apply_report(now, each) == now


class AnyReports(RuleBasedStateMachine):
    """Reports of every kind, also ones that contradict each other; what may never happen."""

    def __init__(self) -> None:
        super().__init__()
        self.order = order()
        self.before = self.order

    @rule(status=st.sampled_from(BROKERS), filled=st.integers(0, QTY), seconds=st.integers(0, 60))
    def hear(self, status: OrderStatus, filled: int, seconds: int) -> None:
        self.before = self.order
        self.order = apply_report(self.order, report(status, filled, seconds))

    @rule()
    def ask_for_a_cancel(self) -> None:
        self.before = self.order
        if self.order.status in CANCELABLE:
            self.order = replace(self.order, status=OrderStatus.PENDING_CANCEL)

    @invariant()
    def the_fill_never_falls_nor_exceeds_the_order(self) -> None:
        assert self.before.filled_qty <= self.order.filled_qty <= QTY
        assert (self.order.filled_avg_price is not None) == (self.order.filled_qty > 0)

    @invariant()
    def a_terminal_state_changes_only_by_a_larger_fill_into_a_terminal_state(self) -> None:
        if self.before.status in TERMINAL:
            assert self.order.status in TERMINAL
            if self.order.filled_qty == self.before.filled_qty:
                assert self.order == self.before

    @invariant()
    def a_full_fill_is_filled(self) -> None:
        assert self.order.filled_qty < QTY or self.order.status is OrderStatus.FILLED

    @invariant()
    def only_what_is_over_has_an_end(self) -> None:
        assert (self.order.ended_at is not None) == (self.order.status not in LIVE)

    @invariant()
    def what_was_asked_to_cancel_is_not_taken_for_working_again(self) -> None:
        if self.before.status is OrderStatus.PENDING_CANCEL:
            assert self.order.status not in CANCELABLE - {OrderStatus.UNRECOGNISED}


TestAnyReports = AnyReports.TestCase


def test_a_fill_that_raced_its_cancel_counts() -> None:
    cancelled = after(order(), [report(OrderStatus.NEW), report(OrderStatus.CANCELED, 0, 3)])
    part = apply_report(cancelled, report(OrderStatus.PARTIALLY_FILLED, 2, 4))
    assert (part.status, part.filled_qty, part.ended_at) == (OrderStatus.CANCELED, 2, cancelled.ended_at)
    full = apply_report(cancelled, report(OrderStatus.FILLED, QTY, 4))
    assert (full.status, full.filled_qty) == (OrderStatus.FILLED, QTY)


def test_a_late_message_does_not_undo_a_partial_fill() -> None:
    part = apply_report(order(), report(OrderStatus.PARTIALLY_FILLED, 2))
    for late in (OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED, OrderStatus.NEW):
        assert apply_report(part, report(late, 2)).status is OrderStatus.PARTIALLY_FILLED
        assert apply_report(part, report(late, 0)).filled_qty == 2


def test_a_pending_cancel_yields_to_a_word_that_we_do_not_know() -> None:
    """The word may mean that it is over; only the broker's lists can tell."""
    asked = apply_report(order(), report(OrderStatus.PENDING_CANCEL))
    assert apply_report(asked, report(OrderStatus.UNRECOGNISED)).status is OrderStatus.UNRECOGNISED
    assert apply_report(asked, report(OrderStatus.NEW)).status is OrderStatus.PENDING_CANCEL


def test_a_fill_without_a_price_keeps_the_price_that_is_known() -> None:
    part = apply_report(order(), report(OrderStatus.PARTIALLY_FILLED, 2))
    told = replace(report(OrderStatus.CANCELED, 2), filled_avg_price=None)
    assert apply_report(part, told).filled_avg_price == part.filled_avg_price


@pytest.mark.parametrize("status", WORKING)
def test_a_report_of_an_order_that_we_had_given_up_brings_it_back(status: OrderStatus) -> None:
    given_up = replace(order(OrderStatus.NEVER_SENT), ended_at=AT)
    found = apply_report(given_up, report(status))
    assert found.status is status
    assert found.live and found.open_qty == QTY and found.ended_at is None


@pytest.mark.parametrize("status", OrderStatus)
def test_every_status_is_live_quiet_or_terminal(status: OrderStatus) -> None:
    assert sum(status in group for group in (LIVE, QUIET, TERMINAL)) == 1
    assert order(status, filled=2).open_qty == (3 if status in LIVE else 0)


def test_the_words_that_cost_others_money_are_sorted_rightly() -> None:
    assert {OrderStatus.EXPIRED, OrderStatus.REPLACED, OrderStatus.REJECTED} <= TERMINAL
    assert {OrderStatus.UNKNOWN, OrderStatus.SUSPENDED, OrderStatus.HELD, OrderStatus.STOPPED} <= LIVE
    assert OrderStatus.DONE_FOR_DAY in QUIET
    assert UNSETTLED.isdisjoint(CANCELABLE)
    assert OrderStatus.PENDING_CANCEL in LIVE - CANCELABLE


def test_a_word_that_the_broker_adds_later_counts_as_live() -> None:
    assert OrderStatus.from_broker("partially_filled") is OrderStatus.PARTIALLY_FILLED
    assert OrderStatus.from_broker("quantum_entangled") is OrderStatus.UNRECOGNISED
    assert OrderStatus.UNRECOGNISED in LIVE and OrderStatus.UNRECOGNISED in CANCELABLE
