"""What buying and selling do to a position."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.trading.samples import money, position
from wsb_snake.core.orders import PositionState
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.trading.positions import bought, sold

EMPTY = position(qty=0, bought_qty=0, entry_price=None)
parts = st.lists(st.tuples(st.integers(1, 20), st.decimals("0.01", "90", places=2)), min_size=1, max_size=8)


@given(buys=parts, sales=parts)
def test_averages_and_profit_are_those_of_the_fills(
    buys: list[tuple[int, Decimal]], sales: list[tuple[int, Decimal]]
) -> None:
    held = EMPTY
    for qty, price in buys:
        held = bought(held, qty, price)
    cost = sum((qty * price for qty, price in buys), Decimal(0))
    assert held.entry_price is not None
    assert abs(held.entry_price * held.bought_qty - cost) < money("1e-18")
    proceeds, gone = Decimal(0), 0
    for qty, price in sales:
        part = min(qty, held.qty)
        held, proceeds, gone = sold(held, part, price), proceeds + part * price, gone + part
    assert (held.qty, held.sold_qty) == (held.bought_qty - gone, gone)
    assert abs(held.realised() - (proceeds - cost * gone / held.bought_qty) * 100) < money("1e-18")


def test_a_sale_of_nothing_changes_nothing() -> None:
    assert sold(position(), 0, money("9")) == position()


def test_what_fills_while_an_exit_waits_is_sold_too() -> None:
    leaving = position(state=PositionState.EXITING, to_sell=2)
    assert bought(leaving, 3, money("2.00")).to_sell == 5
    assert bought(position(), 3, money("2.00")).to_sell == 0


def test_target_and_stop_are_of_the_average_fill() -> None:
    assert (position().target_price, position().stop_price) == (money("2.40"), money("1.70"))
    assert (position(plan=NO_EXITS).target_price, position(plan=NO_EXITS).stop_price) == (None, None)
    assert (EMPTY.target_price, EMPTY.stop_price) == (None, None)


def test_open_profit_is_of_what_is_held() -> None:
    assert position(qty=3).unrealised(money("2.10")) == 30
    assert position(qty=3).unrealised(money("1.90")) == -30
    assert (EMPTY.unrealised(money("2.10")), EMPTY.realised(), position().realised()) == (Decimal(0),) * 3


def test_whatever_holds_contracts_is_watched() -> None:
    watched = {state for state in PositionState if position(state=state).watched}
    assert watched == {PositionState.ENTERING, PositionState.OPEN, PositionState.EXITING}
    assert not any(position(state=state, qty=0).watched for state in PositionState)
