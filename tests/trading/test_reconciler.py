"""Book against broker: the union of both sides."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.trading.samples import NOON, SPY, at_broker, exit_order, held, money, order, position
from wsb_snake.core.orders import OrderStatus, PositionState, Side
from wsb_snake.trading.book import BookView
from wsb_snake.trading.reconciler import (
    COVERS,
    LACKING,
    SHARES,
    SHORT,
    Foreign,
    compare,
    matches,
    ours,
    same_terms,
    settling,
    unmanaged,
)

LATER = "SPY261218C00600000"


def done(seconds_ago: float, **changes: object) -> BookView:
    """A filled position whose entry ended that long ago."""
    at = NOON - timedelta(seconds=seconds_ago)
    filled = order(
        status=OrderStatus.FILLED, filled_qty=4, filled_avg_price=money("2.00"), ended_at=at, sent_at=at
    )
    return BookView((position(**changes),), (filled,))


def test_agreement_finds_nothing() -> None:
    found = compare(done(60), [held()], [], NOON)
    assert (found.surplus, found.shortfall, found.unseen, found.strays, found.foreign) == ((), (), (), (), ())


def test_what_only_the_broker_has_is_surplus() -> None:
    (surplus,) = compare(BookView(), [held(qty=3)], [], NOON).surplus
    assert (surplus.held.symbol, surplus.qty) == (SPY, 3)


def test_what_was_bought_on_top_is_surplus_too() -> None:
    (surplus,) = compare(done(60), [held(qty=7)], [], NOON).surplus
    assert surplus.qty == 3


@pytest.mark.parametrize(("left", "missing"), [(0, 4), (1, 3)])
def test_what_only_the_book_has_is_missing(left: int, missing: int) -> None:
    there = [held(qty=left)] if left else []
    (shortfall,) = compare(done(60), there, [], NOON).shortfall
    assert shortfall.qty == missing


def test_the_brokers_lag_after_a_fill_is_waited_for() -> None:
    assert compare(done(9), [], [], NOON).shortfall == ()
    assert compare(done(11), [], [], NOON).shortfall != ()


@pytest.mark.parametrize("status", [OrderStatus.NEW, OrderStatus.UNKNOWN, OrderStatus.PENDING_CANCEL])
def test_a_symbol_with_a_live_order_of_ours_is_left_alone(status: OrderStatus) -> None:
    view = BookView((position(),), (exit_order(status=status),))
    assert settling(view, SPY, NOON)
    assert compare(view, [], [], NOON).shortfall == ()


def test_a_cancelled_order_without_a_fill_delays_nothing() -> None:
    view = BookView((), (order(status=OrderStatus.CANCELED, ended_at=NOON),))
    assert not settling(view, SPY, NOON)


def test_a_live_order_that_the_broker_does_not_list_is_looked_up() -> None:
    view = BookView(
        (position(state=PositionState.EXITING),), (exit_order(sent_at=NOON - timedelta(seconds=3)),)
    )
    (unseen,) = compare(view, [held()], [], NOON).unseen
    assert unseen.client_order_id.endswith("x-1")
    young = BookView(view.positions, (replace(view.orders[0], sent_at=NOON - timedelta(seconds=1)),))
    assert compare(young, [held()], [], NOON).unseen == ()


def test_an_order_of_ours_that_the_book_lacks_is_a_stray() -> None:
    stray = at_broker(client_order_id="wsb-20261124-s-bbbbbbbbbbbb-x-2", side=Side.SELL)
    foreign = at_broker(client_order_id="by-hand")
    found = compare(done(60), [held()], [stray, foreign], NOON)
    assert found.strays == (stray,)


def test_shares_shorts_and_what_covers_them_are_foreign_and_never_adopted() -> None:
    short = "SPY261124C00650000"
    holdings = [held("AAPL", 100), held(short, -1), held(), held("QQQ261124P00500000", 1)]
    found = compare(BookView(), holdings, [], NOON)
    assert {(item.symbol, item.kind) for item in found.foreign} == {
        ("AAPL", "shares"),
        (short, "short option"),
        (SPY, "covers a short option"),
    }
    assert [surplus.held.symbol for surplus in found.surplus] == ["QQQ261124P00500000"]


def test_a_long_that_expires_before_the_short_covers_nothing() -> None:
    found = compare(BookView(), [held(LATER, -1), held()], [], NOON)
    assert [surplus.held.symbol for surplus in found.surplus] == [SPY]


@pytest.mark.parametrize(
    "other",
    [
        at_broker(symbol=LATER),
        at_broker(side=Side.SELL),
        at_broker(qty=5),
        at_broker(created_at=NOON - timedelta(hours=1)),
    ],
)
def test_an_order_counts_as_ours_only_when_everything_agrees(other: object) -> None:
    assert matches(order(), at_broker())
    assert not matches(order(), other)  # type: ignore[arg-type]


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_wrong_makes_no_stranger_of_our_own_order(hours: int) -> None:
    """Our time of making is ``hours`` off; the broker's own time is right."""
    mine = order(created_at=NOON + timedelta(hours=hours), broker_id=None)
    assert not matches(mine, at_broker())
    assert matches(mine, at_broker(), skew_s=hours * 3600)
    assert matches(order(), at_broker(), skew_s=hours * 3600)  # made before the clock went wrong


def test_the_terms_tell_an_order_from_an_earlier_one_of_its_name() -> None:
    assert same_terms(order(), at_broker())
    assert not same_terms(order(), at_broker(limit_price=money("1.99")))
    assert not same_terms(order(), at_broker(type="market", limit_price=None))


@pytest.mark.parametrize("name", ["wsb-by-hand", "wsb-my-own-little-order-1", "by-hand"])
def test_an_order_that_only_looks_like_ours_is_foreign(name: str) -> None:
    lookalike = at_broker(client_order_id=name)
    assert not ours(lookalike)
    assert compare(done(60), [held()], [lookalike], NOON).strays == ()


def test_an_order_of_ours_that_is_over_and_still_works_is_a_ghost_and_another_of_its_name_is_not() -> None:
    long_ago = NOON - timedelta(seconds=11)
    sold = exit_order(status=OrderStatus.CANCELED, ended_at=long_ago)
    never = exit_order(status=OrderStatus.NEVER_SENT, ended_at=long_ago, broker_id=None)
    same = at_broker(client_order_id=sold.client_order_id, side=Side.SELL, limit_price=money("1.98"))
    dearer = replace(same, limit_price=money("9.00"))
    assert compare(BookView((), (sold,)), [], [same], NOON).ghosts == (same,)
    assert compare(BookView((), (never,)), [], [same], NOON).ghosts == (same,)
    assert compare(BookView((), (never,)), [], [dearer], NOON).ghosts == ()
    assert compare(BookView((), (sold,)), [], [replace(same, id="b-2")], NOON).ghosts == ()
    assert compare(BookView((), (sold,)), [], [same], NOON - timedelta(seconds=2)).ghosts == ()


def test_what_nobody_manages_is_what_is_never_traded_and_what_the_book_lacks() -> None:
    covering, other = LATER.replace("C0060", "C0061"), LATER.replace("SPY", "IWM")
    shown = (held("SPY", 100), held(LATER, -1), held(covering, 1), held(other, 2), held(qty=7))
    assert unmanaged(done(60), shown, NOON) == (
        Foreign(other, Decimal(2), LACKING),
        Foreign("SPY", Decimal(100), SHARES),
        Foreign(SPY, Decimal(3), LACKING),
        Foreign(LATER, Decimal(-1), SHORT),
        Foreign(covering, Decimal(1), COVERS),
    )
    assert unmanaged(done(60), (held(),), NOON) == ()
    assert unmanaged(done(9), (held(qty=7),), NOON) == (), "the broker may lag behind our own fill"


def test_the_orders_are_gone_through_as_often_for_fifty_symbols_as_for_one() -> None:
    looks = []

    class Counted(tuple):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[object]:
            looks.append(self)
            return super().__iter__()

    def looked(symbols: int) -> int:
        names = [f"SPY261124C00{600 + n}000" for n in range(symbols)]
        view = BookView(tuple(position(position_id=name, symbol=name) for name in names), Counted())
        looks.clear()
        assert unmanaged(view, tuple(held(name) for name in names), NOON) == ()
        return len(looks)

    assert looked(50) == looked(1)
