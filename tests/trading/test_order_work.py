"""The next step of a live order."""

from datetime import timedelta

import pytest

from tests.trading.samples import NOON, SPY, exit_order, money, order, quote
from wsb_snake.core.orders import OrderStatus, OrderType
from wsb_snake.trading.order_work import Cancel, LookUp, Send, Wait, entry_step, exit_step, next_exit


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_an_entry_lives_twenty_seconds() -> None:
    assert entry_step(order(), NOON + later(19.9), None) == Wait(NOON + later(20))
    assert isinstance(entry_step(order(), NOON + later(20), None), Cancel)


def test_an_unwanted_entry_goes_at_once() -> None:
    assert entry_step(order(), NOON, "an exit is decided") == Cancel("an exit is decided")


def test_an_unknown_order_is_looked_up_and_nothing_else() -> None:
    unknown = order(status=OrderStatus.UNKNOWN, broker_id=None)
    assert entry_step(unknown, NOON + later(60), "unwanted") == LookUp()
    assert exit_step(unknown, None, NOON + later(60)) == LookUp()


def test_a_cancel_is_waited_for_looked_up_and_asked_again() -> None:
    asked = exit_order(cancel_asked_at=NOON)
    assert exit_step(asked, None, NOON + later(1)) == Wait(NOON + later(2))
    assert exit_step(asked, None, NOON + later(2)) == LookUp()
    assert isinstance(exit_step(asked, None, NOON + later(5)), Cancel)
    stuck = exit_order(cancel_asked_at=NOON, status=OrderStatus.PENDING_CANCEL)
    assert exit_step(stuck, None, NOON + later(3)) == LookUp()
    assert isinstance(exit_step(stuck, None, NOON + later(60)), Cancel)


def test_an_order_whose_sender_never_came_back_is_looked_up() -> None:
    sending = exit_order(status=OrderStatus.SENDING, broker_id=None)
    assert isinstance(exit_step(sending, None, NOON + later(19)), Wait)
    assert exit_step(sending, None, NOON + later(20)) == LookUp()


def test_an_exit_is_patient_for_three_seconds_a_market_order_for_ten() -> None:
    now = quote("1.90", "1.95", NOON + later(3))
    assert isinstance(exit_step(exit_order(), now, NOON + later(2.9)), Wait)
    assert isinstance(exit_step(exit_order(), now, NOON + later(3)), Cancel)
    market = exit_order(type=OrderType.MARKET, limit_price=None)
    assert isinstance(exit_step(market, now, NOON + later(9)), Wait)
    assert isinstance(exit_step(market, now, NOON + later(10)), Cancel)


def test_without_a_bid_the_minimum_limit_keeps_working_and_a_higher_one_does_not() -> None:
    at = NOON + later(30)
    nobody = quote("0", "0.05", at)
    assert isinstance(exit_step(exit_order(limit_price=money("0.01")), nobody, at), Wait)
    assert isinstance(exit_step(exit_order(limit_price=money("0.50")), nobody, at), Cancel)
    assert isinstance(exit_step(exit_order(limit_price=money("0.01")), quote("0.05", "0.10", at), at), Cancel)


@pytest.mark.parametrize(
    ("attempt", "urgent", "kind"),
    [
        (1, False, OrderType.LIMIT),
        (2, False, OrderType.LIMIT),
        (3, False, OrderType.MARKET),
        (1, True, OrderType.LIMIT),
        (2, True, OrderType.MARKET),
    ],
)
def test_the_ladder(attempt: int, urgent: bool, kind: OrderType) -> None:
    send = next_exit(SPY, attempt, quote("2.00", "2.05"), NOON, urgent)
    assert send.type is kind
    assert send.decision_price == money("2.00")
    assert (send.limit_price is None) is (kind is OrderType.MARKET)


def test_without_a_fresh_quote_it_is_a_market_order() -> None:
    market = Send(OrderType.MARKET, None, None)
    assert next_exit(SPY, 1, None, NOON, False) == market
    assert next_exit(SPY, 1, quote("2.00", "2.05", NOON - later(16)), NOON, False) == market


def test_without_a_bid_it_is_the_minimum_limit_at_any_attempt() -> None:
    assert next_exit(SPY, 9, quote("0", "0.02"), NOON, True) == Send(OrderType.LIMIT, money("0.01"), None)


def test_nobody_bidding_for_a_while_does_not_end_the_minimum_limit() -> None:
    old = quote("0", "0.02", NOON)
    assert isinstance(exit_step(exit_order(limit_price=money("0.01")), old, NOON + later(600)), Wait)


def test_where_nobody_bid_when_last_heard_of_the_minimum_limit_goes_out_at_any_age() -> None:
    old = quote("0", "0.02", NOON - later(600))
    assert next_exit(SPY, 1, old, NOON, True) == Send(OrderType.LIMIT, money("0.01"), None)


def test_where_no_quote_is_known_the_minimum_limit_follows_one_market_order_and_stays() -> None:
    assert next_exit(SPY, 2, None, NOON, True) == Send(OrderType.LIMIT, money("0.01"), None)
    resting = exit_order(limit_price=money("0.01"))
    assert isinstance(exit_step(resting, None, NOON + later(600)), Wait)
    assert isinstance(exit_step(exit_order(limit_price=money("0.50")), None, NOON + later(3)), Cancel)
    assert isinstance(exit_step(resting, quote("0.05", "0.10", NOON + later(3)), NOON + later(3)), Cancel)
