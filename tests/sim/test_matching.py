"""When an order fills, at what price, how much of it; and how orders end."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.sim.bench import AAPL_CALL, SPY_CALL, SPY_LATER, XYZ_CALL, Bench
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import SimOrder, SimStatus
from wsb_snake.sim.rules import Rules

CALM = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0)


def price_of(order: SimOrder) -> Decimal | None:
    return order.filled_avg_price


def test_the_answer_precedes_the_venue_and_the_fill_comes_a_second_later() -> None:
    bench = Bench()
    answered = bench.buy(SPY_CALL, 2, "1.10")
    assert (answered.status, answered.filled_qty) == (SimStatus.PENDING_NEW, 0)
    assert bench.now(answered).status is SimStatus.NEW
    assert bench.events() == ["new"]
    bench.exchange.advance()
    assert bench.now(answered).status is SimStatus.NEW
    bench.tick()
    filled = bench.now(answered)
    assert (filled.status, filled.filled_qty, price_of(filled)) == (SimStatus.FILLED, 2, Decimal("1.05"))
    assert filled.filled_at == bench.clock.now()
    assert bench.events() == ["new", "fill"]
    update = bench.updates[-1]
    assert (update.price, update.qty, update.position_qty, update.order) == (
        Decimal("1.05"),
        2,
        2,
        filled,
    )


def test_orders_match_at_whole_seconds_only() -> None:
    bench = Bench()
    bench.tick(0.4)
    order = bench.buy(SPY_CALL)
    bench.tick(0.5)
    assert bench.now(order).status is SimStatus.NEW
    bench.tick(0.1)
    assert bench.now(order).status is SimStatus.FILLED
    assert bench.now(order).filled_at == bench.at("10:00:01")


@pytest.mark.parametrize(
    ("side", "limit", "bid", "ask", "price"),
    [
        ("buy", "1.05", "1.00", "1.05", "1.05"),
        ("buy", "1.04", "1.00", "1.05", None),
        ("buy", "9.99", "1.00", "1.05", "1.05"),
        ("buy", None, "1.00", "1.05", "1.05"),
        ("buy", "1.00", "0", "0.05", "0.05"),
        ("buy", "1.00", "0", "0", None),
        ("buy", "2.00", "1.20", "1.10", None),  # crossed
        ("sell", "1.00", "1.00", "1.05", "1.00"),
        ("sell", "1.01", "1.00", "1.05", None),
        ("sell", "0.01", "1.00", "1.05", "1.00"),
        ("sell", None, "1.00", "1.05", "1.00"),
        ("sell", None, "0", "0.05", None),
        ("sell", "0.01", "0", "0.05", None),
        ("sell", None, "1.00", "0", "1.00"),
        ("sell", None, "1.20", "1.10", None),  # crossed
    ],
)
def test_fills_at_the_far_side(side: str, limit: str | None, bid: str, ask: str, price: str | None) -> None:
    bench = Bench(rules=CALM)
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.market.put(SPY_CALL, bid, ask)
    order = bench.buy(SPY_CALL, 1, limit) if side == "buy" else bench.sell(SPY_CALL, 1, limit)
    bench.tick()
    assert price_of(bench.now(order)) == (None if price is None else Decimal(price))


def test_no_quote_no_fill() -> None:
    bench = Bench()
    bench.market.quotes[SPY_CALL] = None
    order = bench.buy(SPY_CALL, 1, "5.00")
    bench.tick(5)
    assert bench.now(order).status is SimStatus.NEW


def test_partial_fills_add_up() -> None:
    bench = Bench(rules=Rules(partial_fill_chance=1))
    order = bench.buy(SPY_CALL, 7, "1.10")
    ticks = 0
    while bench.now(order).open:
        bench.tick()
        ticks += 1
    assert ticks > 1  # in parts, until a single one is left, which cannot be parted
    assert bench.events() == ["new", *["partial_fill"] * (ticks - 1), "fill"]
    fills = bench.updates[1:]
    assert all((update.order.filled_at is None) == update.order.open for update in fills)
    assert sum(update.qty or 0 for update in fills) == 7
    assert [update.order.filled_qty for update in fills] == [update.position_qty for update in fills]
    cash = 100_000 - sum((u.qty or 0) * (u.price or Decimal(0)) * 100 for u in fills)
    assert bench.exchange.account.cash == cash


def test_a_part_is_less_than_the_whole() -> None:
    bench = Bench(rules=Rules(partial_fill_chance=1))
    orders = [bench.buy(SPY_CALL, 3, "1.10", client_id=f"id-{n}") for n in range(40)]
    bench.tick()
    assert {bench.now(order).filled_qty for order in orders} == {1, 2}


def test_partial_fills_are_rare_and_every_order_completes() -> None:
    bench = Bench(rules=Rules(fill_beats_cancel_chance=0))
    orders = [bench.buy(SPY_CALL, 4, "1.10", client_id=f"id-{n}") for n in range(150)]
    bench.tick()
    parts = [bench.now(order).status for order in orders].count(SimStatus.PARTIALLY_FILLED)
    assert 3 <= parts <= 35  # 10 % of 150
    bench.tick(20)
    assert all(bench.now(order).status is SimStatus.FILLED for order in orders)


def test_displayed_size_bounds_a_fill_where_the_rules_say_so() -> None:
    for within, first in ((True, 3), (False, 5)):
        bench = Bench(rules=Rules(fills_within_size=within, partial_fill_chance=0))
        bench.market.put(SPY_CALL, "1.00", "1.05", size=3)
        order = bench.buy(SPY_CALL, 5, "1.10")
        bench.tick()
        assert bench.now(order).filled_qty == first
        bench.tick()
        assert bench.now(order).filled_qty == 5


def test_average_price_of_several_fills() -> None:
    bench = Bench(rules=Rules(fills_within_size=True, partial_fill_chance=0))
    bench.market.put(SPY_CALL, "1.00", "1.05", size=1)
    order = bench.buy(SPY_CALL, 3, "1.20")
    bench.tick()
    bench.market.put(SPY_CALL, "1.10", "1.20", size=9)
    bench.tick()
    assert price_of(bench.now(order)) == Decimal("1.15")
    assert bench.exchange.position(SPY_CALL).holding.avg_price == Decimal("1.15")


def test_a_cancel_is_a_request() -> None:
    bench = Bench()
    order = bench.buy(SPY_CALL, 1, "0.90")
    bench.exchange.cancel(order.id)
    assert bench.now(order).status is SimStatus.PENDING_CANCEL
    bench.exchange.cancel(order.id)  # asked again
    bench.tick()
    bench.exchange.cancel(order.id)  # and once more, too late
    assert bench.now(order).status is SimStatus.CANCELED
    assert bench.now(order).canceled_at == bench.clock.now()
    assert bench.events() == ["new", "pending_cancel", "canceled"]
    assert [update.order.reserved for update in bench.updates] == [90, 90, 0]


@pytest.mark.parametrize(("chance", "status"), [(1, SimStatus.FILLED), (0, SimStatus.CANCELED)])
def test_a_fill_may_win_the_race_against_a_cancel(chance: float, status: SimStatus) -> None:
    bench = Bench(rules=Rules(fill_beats_cancel_chance=chance, partial_fill_chance=0))
    order = bench.buy(SPY_CALL, 2, "1.10")
    bench.exchange.cancel(order.id)
    bench.tick()
    assert bench.now(order).status is status


def test_a_part_filled_in_the_race_stays_filled() -> None:
    bench = Bench(rules=Rules(fill_beats_cancel_chance=1, partial_fill_chance=1))
    order = bench.buy(SPY_CALL, 5, "1.10")
    bench.exchange.cancel(order.id)
    bench.tick()
    ended = bench.now(order)
    assert ended.status is SimStatus.CANCELED
    assert 0 < ended.filled_qty < 5
    assert bench.events() == ["new", "pending_cancel", "partial_fill", "canceled"]
    assert bench.updates[2].order.status is SimStatus.PENDING_CANCEL
    assert bench.exchange.account.qty(SPY_CALL) == ended.filled_qty


def test_what_has_ended_cannot_be_cancelled() -> None:
    bench = Bench()
    filled, rejected = bench.buy(SPY_CALL), bench.buy(XYZ_CALL, 1, "0.99")
    bench.tick()
    for order, state in ((filled, "filled"), (rejected, "rejected")):
        with pytest.raises(Refusal) as refused:
            bench.exchange.cancel(order.id)
        assert (refused.value.status, refused.value.code) == (422, 42210000)
        assert refused.value.message == f'order is already in "{state}" state'


def test_an_unknown_order_is_not_found() -> None:
    for look in (Bench().exchange.order, Bench().exchange.order_by_client_id, Bench().exchange.cancel):
        with pytest.raises(Refusal) as refused:
            look("nothing")
        assert (refused.value.status, refused.value.code) == (404, 40410000)
    bench = Bench()
    order = bench.buy(SPY_CALL, 1, "0.50", client_id="mine")
    assert bench.exchange.order_by_client_id("mine").id == order.id
    with pytest.raises(Refusal):
        bench.exchange.order_by_client_id(order.id)


def test_day_orders_expire_at_the_close() -> None:
    bench = Bench("15:00")
    order = bench.buy(SPY_LATER, 1, "0.90")
    bench.market.put(AAPL_CALL, "0", "0.05")
    bench.exchange.hold(AAPL_CALL, 1, Decimal(1))
    worthless = bench.sell(AAPL_CALL)
    bench.to("15:59:59")
    assert bench.now(order).status is SimStatus.NEW
    bench.to("16:00")
    for ended in (bench.now(order), bench.now(worthless)):
        assert (ended.status, ended.expired_at) == (SimStatus.EXPIRED, bench.at("16:00"))
    assert bench.events()[-2:] == ["expired", "expired"]
    assert bench.exchange.buying_power == bench.exchange.account.cash


def test_an_order_before_the_open_waits_for_it() -> None:
    bench = Bench("09:00")
    order, off_tick = bench.buy(SPY_CALL, 1, "1.10"), bench.buy(XYZ_CALL, 1, "0.99")
    assert order.status is off_tick.status is SimStatus.ACCEPTED
    assert bench.events() == []
    assert bench.exchange.next_event() == bench.at("09:30")
    bench.to("09:30")
    assert bench.now(order).status is SimStatus.NEW
    assert bench.now(off_tick).status is SimStatus.REJECTED
    bench.tick()
    assert bench.now(order).status is SimStatus.FILLED


def test_a_cancel_outside_hours() -> None:
    bench = Bench("09:00")
    order = bench.buy(SPY_CALL, 1, "1.10")
    bench.exchange.cancel(order.id)
    assert bench.exchange.next_event() == bench.at("09:00:01")
    bench.tick()
    assert bench.now(order).status is SimStatus.CANCELED


def test_an_order_after_the_close_is_for_the_next_session() -> None:
    bench = Bench("17:00")
    order = bench.buy(SPY_LATER, 1, "1.10")
    assert order.status is SimStatus.ACCEPTED
    assert order.expires_at == bench.at("16:00") + timedelta(days=1)
    bench.to("23:00")
    assert bench.now(order).status is SimStatus.ACCEPTED


def test_shares_trade_at_their_own_quote() -> None:
    bench = Bench()
    order = bench.buy("SPY", 3, "671.00")
    bench.tick()
    assert price_of(bench.now(order)) == Decimal("670.01")
    assert bench.now(order).intent is None
    assert bench.exchange.account.cash == Decimal(100_000) - 3 * Decimal("670.01")
    out = bench.exchange.close_position("SPY", 2)
    bench.tick()
    assert price_of(bench.now(out)) == Decimal("669.99")
    assert bench.exchange.position("SPY").holding.qty == 1
