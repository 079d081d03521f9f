"""The places at which faults reach into the exchange, and what the broker or the calendar does unasked."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.sim.bench import SPY_CALL, SPY_LATER, Bench
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.drill_market import DrillMarket
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import NoFaults
from wsb_snake.sim.matching import Execution
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import NewOrder, SimOrder, SimStatus
from wsb_snake.sim.rules import Rules


class Set(NoFaults):
    """Does what the test has switched on."""

    def __init__(self, *on: str) -> None:
        self.on = set(on)
        self.part = 1
        self.lag = timedelta(0)

    def bytes_of(self, call: str, reply: ApiReply, at: datetime) -> ApiReply:
        return ApiReply(200, f"instead of {call}".encode()) if "bytes" in self.on else reply

    def cut_off(self, order: NewOrder, at: datetime) -> bool:
        return "cut off" in self.on

    def rejects_later(self, order: SimOrder, at: datetime) -> bool:
        return "reject" in self.on

    def execution(self, order: SimOrder, execution: Execution | None, at: datetime) -> Execution | None:
        if "no fill" in self.on or execution is None:
            return None
        return Execution(self.part, execution.price) if "part" in self.on else execution

    def holds_cancel(self, order: SimOrder, at: datetime) -> bool:
        return "hold" in self.on

    def fill_wins(self, order: SimOrder, at: datetime) -> bool:
        return "race" in self.on

    def positions_at(self, at: datetime) -> datetime:
        return at - self.lag


def test_too_late_for_what_expires_today_only() -> None:
    bench = Bench("10:00", faults=Set("cut off"))
    with pytest.raises(Refusal) as refused:
        bench.buy(SPY_CALL)
    assert refused.value.status in {403, 422}
    bench.buy(SPY_LATER)
    bench.tick()
    assert bench.exchange.account.qty(SPY_LATER) == 1
    assert bench.exchange.account.qty(SPY_CALL) == 0


def test_an_order_that_was_taken_is_rejected_afterwards() -> None:
    faults = Set("reject")
    bench = Bench(faults=faults)
    order = bench.buy(SPY_CALL, 1, "1.20")
    assert order.status is SimStatus.PENDING_NEW
    bench.tick()
    assert bench.now(order).status is SimStatus.REJECTED
    assert bench.events() == ["rejected"]
    assert bench.exchange.account.qty(SPY_CALL) == 0


def test_a_marketable_order_does_not_fill_before_the_fault_ends() -> None:
    faults = Set("no fill")
    bench = Bench(faults=faults)
    order = bench.buy(SPY_CALL, 2, "1.20")
    bench.tick(5)
    assert bench.now(order).filled_qty == 0
    faults.on.clear()
    bench.tick()
    assert bench.now(order).status is SimStatus.FILLED


def test_an_order_fills_in_parts_of_the_faults_choice() -> None:
    faults = Set("part")
    bench = Bench(faults=faults)
    order = bench.buy(SPY_CALL, 3, "1.20")
    bench.tick()
    assert bench.now(order).filled_qty == 1
    faults.part = 2
    bench.tick()
    assert bench.now(order).status is SimStatus.FILLED
    assert bench.events() == ["new", "partial_fill", "fill"]


def test_a_cancel_is_held_and_can_fill_meanwhile() -> None:
    faults = Set("hold", "no fill")
    bench = Bench(faults=faults)
    order = bench.buy(SPY_CALL, 1, "1.20")
    bench.tick()
    bench.exchange.cancel(order.id)
    bench.tick(30)
    assert bench.now(order).status is SimStatus.PENDING_CANCEL
    faults.on.clear()
    bench.tick()
    assert bench.now(order).status is SimStatus.CANCELED


def test_a_fill_wins_against_its_cancel_at_the_orders_own_limit() -> None:
    bench = Bench(faults=Set("race"))
    order = bench.buy(SPY_CALL, 2, "0.90")  # the ask is 1.05
    bench.tick()
    bench.exchange.cancel(order.id)
    bench.tick()
    assert bench.now(order).status is SimStatus.FILLED
    assert bench.now(order).filled_avg_price == Decimal("0.90")
    assert "canceled" not in bench.events()


def test_a_fill_that_wins_takes_the_quote_where_it_is_better() -> None:
    faults = Set("no fill")
    bench = Bench(faults=faults)
    order = bench.buy(SPY_CALL, 1, "1.20")
    bench.tick()
    bench.exchange.cancel(order.id)
    faults.on = {"race"}
    bench.tick()
    assert bench.now(order).filled_avg_price == Decimal("1.05")


def test_positions_are_shown_as_they_were() -> None:
    faults = Set()
    bench = Bench(faults=faults)
    bench.buy(SPY_CALL, 2)
    bench.tick()
    bench.sell(SPY_CALL, 1)
    bench.tick(5)
    faults.lag = timedelta(seconds=4.5)
    assert [(p.holding.symbol, p.holding.qty) for p in bench.exchange.positions()] == [(SPY_CALL, 2)]
    faults.lag = timedelta(minutes=1)
    assert bench.exchange.positions() == []
    assert bench.exchange.account.qty(SPY_CALL) == 1
    faults.lag = timedelta(0)
    assert [p.holding.qty for p in bench.exchange.positions()] == [1]


def test_bytes_go_over_the_wire_in_place_of_the_answer() -> None:
    faults = Set()
    bench = Bench(faults=faults)
    true = bench.call("GET", "/v2/clock", None, {})
    faults.on = {"bytes"}
    spoilt = bench.call("GET", "/v2/clock", None, {})
    assert true.body.startswith(b"{")
    assert spoilt.body == b"instead of GET /v2/clock"


def test_the_broker_sells_a_position_whenever_it_wants() -> None:
    bench = Bench("11:00")
    bench.exchange.hold(SPY_CALL, 2, Decimal(1))
    resting = bench.sell(SPY_CALL, 1, "9.00")
    assert bench.exchange.liquidate(SPY_CALL)
    bench.tick()
    assert bench.exchange.account.qty(SPY_CALL) == 0
    assert bench.now(resting).status is SimStatus.CANCELED
    (sale,) = (o for o in bench.exchange.orders("all", 50) if o.by_broker)
    assert sale.filled_qty == 2


def test_what_is_not_held_or_has_no_bid_is_not_liquidated() -> None:
    bench = Bench("11:00")
    assert not bench.exchange.liquidate(SPY_CALL)
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.market.put(SPY_CALL, "0", "0.05")
    assert not bench.exchange.liquidate(SPY_CALL)
    assert bench.exchange.account.qty(SPY_CALL) == 1


def test_a_shortened_day_ends_early_for_everything() -> None:
    bench = Bench()
    market = DrillMarket(bench.market.day, 1)
    exchange = Exchange(bench.clock, market, 7, Rules(liquidation="never"))
    symbol = next(row.contract.symbol for row in market.contracts("SPY") if row.contract.expiry == market.day)
    market.shorten(bench.at("11:00"))
    exchange.reschedule()
    assert exchange.next_event() == bench.at("11:00")
    order = exchange.place(NewOrder(symbol, "buy", 1, "limit", Decimal("0.01")))
    bench.clock.advance_to(timedelta(hours=1, seconds=1).total_seconds())
    exchange.advance()
    assert exchange.order(order.id).status is SimStatus.EXPIRED
    assert not exchange.in_session(bench.at("11:00"))
    (today,) = exchange.sessions(market.day, market.day)
    assert today.close == bench.at("11:00")
