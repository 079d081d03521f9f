"""Ticks, and every refusal with Alpaca's status, code and message."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sim.bench import (
    AAPL_CALL,
    AAPL_LATER,
    DAY,
    HALF_DAY,
    IWM_CALL,
    SPY_CALL,
    SPY_LATER,
    SPY_PUT,
    XYZ_CALL,
    Bench,
)
from wsb_snake.core.occ import build, parse
from wsb_snake.core.types import Right
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.order_entry import Refusal, parse_order
from wsb_snake.sim.orders import NewOrder, SimStatus
from wsb_snake.sim.rules import Rules, on_tick, tick

BODY = {
    "symbol": SPY_CALL,
    "qty": 1.0,
    "side": "buy",
    "type": "limit",
    "time_in_force": "day",
    "client_order_id": "abc",
    "position_intent": "buy_to_open",
    "limit_price": 1.15,
}


@pytest.mark.parametrize(
    ("symbol", "penny", "price", "expected"),
    [
        ("SPY", True, "2.99", "0.01"),
        ("SPY", True, "3.01", "0.01"),
        ("IWM", False, "7.77", "0.01"),
        ("AAPL", True, "2.99", "0.01"),
        ("AAPL", True, "3.00", "0.05"),
        ("XYZ", False, "2.95", "0.05"),
        ("XYZ", False, "3.00", "0.10"),
    ],
)
def test_ticks(symbol: str, penny: bool, price: str, expected: str) -> None:
    listed = ListedContract(parse(build(symbol, DAY, Right.CALL, Decimal(100))), 1, penny)
    assert tick(listed, Decimal(price)) == Decimal(expected)
    assert on_tick(listed, Decimal(price)) == (Decimal(price) % Decimal(expected) == 0)


def test_an_order_as_the_client_sends_it() -> None:
    expected = NewOrder(SPY_CALL, "buy", 1, "limit", Decimal("1.15"), "abc", "buy_to_open")
    assert parse_order(BODY) == expected
    assert parse_order(BODY | {"qty": "1", "limit_price": "1.15", "extended_hours": False}) == expected
    assert parse_order(BODY | {"order_class": "", "notional": None, "client_order_id": None}).qty == 1


@pytest.mark.parametrize(
    ("change", "status", "code", "message"),
    [
        ({"symbol": None}, 422, 40010001, "symbol is required"),
        ({"qty": None}, 422, 40010001, "qty is required"),
        ({"qty": "one"}, 422, 40010001, "qty must be a number"),
        ({"qty": "NaN"}, 422, 40010001, "qty must be a number"),
        ({"qty": 1.5}, 422, 42210000, "qty must be integer for options trading"),
        ({"qty": 0}, 422, 42210000, "qty must be > 0"),
        ({"side": "hold"}, 422, 40010001, "side must be buy or sell"),
        ({"notional": "100"}, 422, 42210000, "notional orders are not supported for options trading"),
        ({"extended_hours": True}, 422, 42210000, "extended hours is not supported for options trading"),
        ({"order_class": "bracket"}, 422, 42210000, "complex orders not supported for options trading"),
        ({"order_class": "mleg"}, 422, 42210000, "complex orders not supported for options trading"),
        ({"type": "stop"}, 422, 42210000, "invalid options order_type"),
        ({"type": "trailing_stop"}, 422, 42210000, "invalid options order_type"),
        (
            {"time_in_force": "gtc"},
            422,
            42210000,
            "order_time_in_force provided not supported for options trading",
        ),
        ({"limit_price": None}, 422, 40010001, "limit orders require a limit price"),
        ({"type": "market"}, 422, 40010001, "market orders must not have limit price"),
        ({"position_intent": "open"}, 422, 40010001, "invalid position_intent open"),
        (
            {"client_order_id": "x" * 129},
            422,
            40010001,
            "client_order_id must be no more than 128 characters",
        ),
    ],
)
def test_malformed_orders_are_refused(change: dict[str, Any], status: int, code: int, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_order(BODY | change)
    assert (refused.value.status, refused.value.code, refused.value.message) == (status, code, message)


def refusal(bench: Bench, request: NewOrder) -> Refusal:
    """What the exchange says to ``request``, of which it keeps nothing."""
    before = bench.exchange.orders(status="all"), list(bench.updates)
    with pytest.raises(Refusal) as refused:
        bench.exchange.place(request)
    assert (bench.exchange.orders(status="all"), bench.updates) == before
    return refused.value


def limit(symbol: str, side: str = "buy", qty: int = 1, price: str = "1.00", **more: Any) -> NewOrder:
    assert side in ("buy", "sell")
    return NewOrder(symbol, "buy" if side == "buy" else "sell", qty, "limit", Decimal(price), **more)


def said(refused: Refusal) -> tuple[int, int, str]:
    return refused.status, refused.code, refused.message


def test_client_order_ids_are_used_once_for_ever() -> None:
    bench = Bench()
    first = bench.buy(SPY_CALL, 1, "0.50", client_id="mine")
    again = limit(SPY_CALL, client_order_id="mine")
    assert said(refusal(bench, again)) == (422, 40010001, "client_order_id must be unique")
    bench.exchange.cancel(first.id)
    bench.tick()
    assert bench.now(first).status is SimStatus.CANCELED
    assert refusal(bench, again).code == 40010001


def test_a_refused_order_leaves_its_id_free() -> None:
    bench = Bench()
    with pytest.raises(Refusal):
        bench.buy(SPY_CALL, 10_000, "1.00", client_id="mine")
    assert bench.buy(SPY_CALL, 1, "1.00", client_id="mine").client_order_id == "mine"


@pytest.mark.parametrize("price", ["1.155", "0.30000000000000004"])
def test_more_than_two_decimals_are_refused(price: str) -> None:
    why = "sub-penny increment does not fulfill minimum pricing criteria"
    expected = (422, 42210000, f"invalid limit_price {price}. {why}")
    assert said(refusal(Bench(), limit(SPY_CALL, price=price))) == expected


@pytest.mark.parametrize("price", ["0", "-1"])
def test_a_limit_must_be_positive(price: str) -> None:
    assert said(refusal(Bench(), limit(SPY_CALL, price=price)))[:2] == (422, 42210000)


def test_a_price_off_the_tick_is_taken_and_rejected_later() -> None:
    bench = Bench()
    order = bench.buy(XYZ_CALL, 1, "1.02")
    assert order.status is SimStatus.PENDING_NEW
    assert bench.now(order).status is SimStatus.PENDING_NEW
    bench.tick()
    assert bench.now(order).status is SimStatus.REJECTED
    assert bench.now(order).failed_at == bench.clock.now()
    assert bench.events() == ["rejected"]
    assert bench.exchange.account.cash == Decimal(100_000)


def test_unknown_and_expired_contracts() -> None:
    unlisted = build("SPY", DAY, Right.CALL, Decimal(1))
    nobodys = build("NOPE", DAY, Right.CALL, Decimal(1))
    yesterday = build("SPY", DAY.replace(day=20), Right.CALL, Decimal(670))
    for symbol, what in ((unlisted, "not found"), (nobodys, "not found"), (yesterday, "is expired")):
        expected = (422, 42210000, f'contract "{symbol}" {what}')
        assert said(refusal(Bench(), limit(symbol))) == expected
    assert said(refusal(Bench(), limit("NOPE"))) == (422, 42210000, 'asset "NOPE" not found')


def test_a_contract_of_today_is_expired_after_the_close() -> None:
    late = Bench("16:00")
    assert said(refusal(late, limit(SPY_CALL))) == (422, 42210000, f'contract "{SPY_CALL}" is expired')
    assert late.buy(SPY_LATER, 1, "1.00").status is SimStatus.ACCEPTED


@pytest.mark.parametrize("wall", ["09:29:59", "16:00"])
def test_market_orders_need_market_hours(wall: str) -> None:
    bench = Bench(wall)
    expected = "options market orders are only allowed during market hours"
    assert said(refusal(bench, NewOrder(SPY_LATER, "buy", 1, "market"))) == (422, 42210000, expected)


def test_a_position_cannot_be_closed_at_market_outside_hours() -> None:
    bench = Bench("09:00")
    bench.exchange.hold(SPY_CALL, 2, Decimal("1.00"))
    with pytest.raises(Refusal) as refused:
        bench.exchange.close_position(SPY_CALL)
    assert refused.value.message == "options market orders are only allowed during market hours"


def test_buying_power() -> None:
    bench = Bench(cash="150")
    refused = refusal(bench, limit(SPY_CALL, qty=2))
    assert said(refused) == (
        403,
        40310000,
        "insufficient options buying power (required: 200, available: 150)",
    )
    assert refused.extra == {"options_buying_power": "150", "cost_basis": "200"}
    bench.buy(SPY_CALL, 1, "0.90")  # not marketable: it only reserves
    assert bench.exchange.buying_power == 60
    assert refusal(bench, limit(SPY_LATER, price="0.70")).code == 40310000
    assert refusal(bench, NewOrder(SPY_LATER, "buy", 1, "market")).extra["cost_basis"] == "105"


def test_the_last_dollar_may_be_spent() -> None:
    bench = Bench(cash="200")
    bench.buy(SPY_CALL, 2, "1.00")
    assert bench.exchange.buying_power == 0


def test_what_is_set_aside() -> None:
    """An open buy withholds what may still fill of it; a sale withholds nothing."""
    bench = Bench(rules=Rules(fills_within_size=True, partial_fill_chance=0))
    bench.market.put(SPY_CALL, "1.00", "1.05", size=1)
    bench.buy(SPY_CALL, 3, "1.10")
    assert bench.exchange.buying_power == Decimal(100_000) - 330
    bench.tick()
    assert bench.exchange.buying_power == Decimal(100_000) - 105 - 220
    bench.sell(SPY_CALL, 1, "2.00")
    assert bench.exchange.buying_power == Decimal(100_000) - 105 - 220
    assert bench.exchange.position(SPY_CALL).available == 0


def test_an_open_buy_does_not_hold_what_is_there() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 3, Decimal(1))
    bench.buy(SPY_CALL, 2, "0.50")
    assert bench.exchange.position(SPY_CALL).available == 3
    assert bench.sell(SPY_CALL, 3, "2.00").qty == 3


def test_a_market_buy_needs_an_ask_to_be_priced_by() -> None:
    bench = Bench()
    bench.market.put(SPY_CALL, "0", "0")
    assert refusal(bench, NewOrder(SPY_CALL, "buy", 9_999, "market")).status == 422
    bench.market.quotes[SPY_CALL] = None
    assert refusal(bench, NewOrder(SPY_CALL, "buy", 9_999, "market")).status == 422


def test_the_options_level_must_allow_buying() -> None:
    assert refusal(Bench(rules=Rules(options_level=1)), limit(SPY_CALL)).status == 403
    assert Bench(rules=Rules(options_level=2)).buy(SPY_CALL, 1, "1.00").qty == 1


def test_selling_what_is_not_held() -> None:
    expected = (403, 40310000, "account not eligible to trade uncovered option contracts")
    assert said(refusal(Bench(), limit(SPY_CALL, "sell"))) == expected
    assert said(refusal(Bench(), limit(SPY_PUT, "sell"))) == expected
    assert refusal(Bench(), limit("SPY", "sell")).status == 403


def test_position_intent_mismatch() -> None:
    bench = Bench()
    wrong = limit(SPY_CALL, "sell", position_intent="sell_to_close")
    expected = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
    assert said(refusal(bench, wrong)) == (422, 42210000, expected)
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    wrong = limit(SPY_CALL, "sell", position_intent="sell_to_open")
    expected = "position intent mismatch, inferred: sell_to_close, specified: sell_to_open"
    assert said(refusal(bench, wrong)) == (422, 42210000, expected)


def test_quantity_held_by_another_order() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 3, Decimal(1))
    resting = bench.sell(SPY_CALL, 2, "2.00")
    refused = refusal(bench, limit(SPY_CALL, "sell", 2))
    assert said(refused) == (
        403,
        40310000,
        "insufficient qty available for order (requested: 2, available: 1)",
    )
    assert refused.extra == {
        "available": "1",
        "existing_qty": "3",
        "held_for_orders": "2",
        "related_orders": [resting.id],
        "symbol": SPY_CALL,
    }
    assert bench.exchange.position(SPY_CALL).available == 1
    bench.exchange.cancel(resting.id)
    assert refusal(bench, limit(SPY_CALL, "sell", 2)).code == 40310000  # until the cancel is confirmed
    bench.tick()
    assert bench.sell(SPY_CALL, 3, "2.00").qty == 3


def test_more_than_is_held() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    assert "(requested: 2, available: 1)" in refusal(bench, limit(SPY_CALL, "sell", 2)).message


@pytest.mark.parametrize(
    ("entry", "exit_", "blocked"),
    [("0.90", "0.90", True), ("0.90", "0.91", False), ("0.90", None, True)],
)
def test_wash_trades(entry: str, exit_: str | None, blocked: bool) -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    resting = bench.buy(SPY_CALL, 1, entry)
    if not blocked:
        assert bench.sell(SPY_CALL, 1, exit_).qty == 1
        return
    with pytest.raises(Refusal) as refused:
        bench.sell(SPY_CALL, 1, exit_)
    assert said(refused.value) == (403, 40310000, "potential wash trade detected. use complex orders")
    assert refused.value.extra["existing_order_id"] == resting.id
    bench.exchange.cancel(resting.id)
    bench.tick()
    assert bench.sell(SPY_CALL, 1, exit_).qty == 1


def test_a_buy_against_a_resting_exit_is_a_wash_trade_too() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.sell(SPY_CALL, 1, "1.50")
    assert refusal(bench, limit(SPY_CALL, price="1.50")).status == 403
    assert bench.buy(SPY_CALL, 1, "1.49").qty == 1


@pytest.mark.parametrize(
    ("symbol", "cutoff", "before"),
    [
        (AAPL_CALL, "15:15", "15:14:59"),
        (IWM_CALL, "15:15", "15:14:59"),
        (SPY_CALL, "15:30", "15:29:59"),
    ],
)
@pytest.mark.parametrize("reading", ["open_only", "all_orders"])
def test_cutoffs(symbol: str, cutoff: str, before: str, reading: Any) -> None:
    bench = Bench(before, Rules(cutoff_reading=reading, liquidation="never"))
    bench.exchange.hold(symbol, 2, Decimal(1))
    assert bench.buy(symbol, 1, "0.90").qty == 1
    bench.to(cutoff)
    expected = (422, 42210000, f'contract "{symbol}" expires soon, unable to open new positions')
    assert said(refusal(bench, limit(symbol, price="0.90"))) == expected
    closing = limit(symbol, "sell", price="1.50", position_intent="sell_to_close")
    if reading == "open_only":
        assert bench.exchange.place(closing).qty == 1
    else:
        assert said(refusal(bench, closing)) == expected


def test_a_sale_of_what_is_not_held_counts_as_opening_after_the_cutoff() -> None:
    bench = Bench("15:20")
    assert refusal(bench, limit(AAPL_CALL, "sell")).message.endswith("unable to open new positions")


def test_cutoffs_spare_what_expires_later() -> None:
    bench = Bench("15:59", Rules(cutoff_reading="all_orders"))
    assert bench.buy(AAPL_LATER, 1, "0.90").qty == 1


def test_cutoffs_on_a_half_day_count_from_its_close() -> None:
    spy, aapl = (build(s, HALF_DAY, Right.CALL, Decimal(k)) for s, k in (("SPY", 670), ("AAPL", 250)))
    bench = Bench("12:14:59", day=HALF_DAY)
    assert bench.buy(aapl, 1, "0.90").qty == 1
    bench.to("12:15")
    assert refusal(bench, limit(aapl)).message.endswith("unable to open new positions")
    assert bench.buy(spy, 1, "0.90").qty == 1
    bench.to("12:30")
    assert refusal(bench, limit(spy)).message.endswith("unable to open new positions")
