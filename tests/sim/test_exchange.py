"""The exchange as a whole: time, streams, liquidation, expiry, figures, determinism."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.sim.bench import (
    AAPL_CALL,
    AAPL_LATER,
    HALF_DAY,
    SPY_CALL,
    SPY_LATER,
    SPY_PUT,
    Bench,
)
from wsb_snake.core.occ import build
from wsb_snake.core.types import Quote, Right
from wsb_snake.sim.faults import NoFaults
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import SimStatus, TradeUpdateMessage
from wsb_snake.sim.rules import Rules

NO_SALE = Rules(liquidation="never")


def activities(bench: Bench) -> list[tuple[str, str, int]]:
    return [(a.type, a.symbol, a.qty) for a in bench.exchange.activities()]


# Time


def test_nothing_to_do_leads_from_moment_to_moment() -> None:
    bench = Bench("08:00", NO_SALE)
    seen: list[datetime] = []
    while (due := bench.exchange.next_event()) is not None:
        seen.append(due)
        bench.clock.advance_to((due - bench.at("08:00")).total_seconds())
        bench.exchange.advance()
    assert seen == [bench.at("09:30"), bench.at("16:00"), bench.at("16:45")]


def test_a_working_order_or_a_subscription_makes_every_second_an_event() -> None:
    bench = Bench("10:00:00.3")
    assert bench.exchange.next_event() == bench.at("15:30")
    bench.exchange.subscribe_quotes(frozenset({SPY_CALL}))
    assert bench.exchange.next_event() == bench.at("10:00:01")
    bench.exchange.subscribe_quotes(frozenset())
    assert bench.exchange.next_event() == bench.at("15:30")
    bench.buy(SPY_CALL, 1, "0.90")
    assert bench.exchange.next_event() == bench.at("10:00:01")


def test_subscribed_quotes_are_sent_each_second_of_the_session() -> None:
    bench = Bench("15:59:57")
    bench.exchange.subscribe_quotes(frozenset({SPY_LATER, "SPY", AAPL_LATER, "NOPE"}))
    bench.to("16:05")
    assert [q.symbol for q in bench.quotes] == [AAPL_LATER, "SPY", SPY_LATER] * 2
    assert [q.at for q in bench.quotes[::3]] == [bench.at("15:59:58"), bench.at("15:59:59")]
    assert bench.exchange.emitted_quotes == 6


def scenario(step_s: float, seed: int = 7) -> Bench:
    """The same requests at the same moments; in between the clock moves in steps of ``step_s``."""
    bench = Bench("15:00", Rules(partial_fill_chance=0.5, liquidation="always"), seed=seed)
    bench.exchange.subscribe_quotes(frozenset({SPY_CALL}))
    bench.exchange.hold(AAPL_CALL, 3, Decimal(1))

    def run_to(wall: str) -> None:
        while bench.clock.now() + timedelta(seconds=step_s) < bench.at(wall):
            bench.tick(step_s)
        bench.to(wall)

    bench.buy(SPY_CALL, 9, "1.10", client_id="a")
    run_to("15:00:30.5")
    resting = bench.sell(SPY_CALL, 5, "1.50", client_id="b")
    run_to("15:03")
    bench.exchange.cancel(resting.id)
    bench.sell(SPY_CALL, 4)
    run_to("15:50")
    bench.buy(SPY_LATER, 2, "0.80")
    run_to("17:00")
    return bench


def test_the_size_of_the_steps_changes_nothing() -> None:
    one, other = scenario(0.5), scenario(3600)
    assert one.updates == other.updates
    assert one.quotes == other.quotes
    assert one.exchange.activities() == other.exchange.activities()
    assert one.exchange.account.cash == other.exchange.account.cash
    assert "fill" in one.events()


def test_the_seed_is_all_there_is() -> None:
    assert scenario(60).updates == scenario(60).updates
    assert scenario(60).updates != scenario(60, seed=8).updates
    assert Bench(seed=1).exchange.account_number == Bench(seed=1).exchange.account_number
    assert Bench(seed=1).exchange.account_number != Bench(seed=2).exchange.account_number


def test_updates_come_in_order_with_the_order_as_it_then_was() -> None:
    bench = scenario(60)
    assert len({update.execution_id for update in bench.updates}) == len(bench.updates)
    assert all(earlier.at <= later.at for earlier, later in pairwise(bench.updates))
    assert bench.exchange.emitted_updates == len(bench.updates)
    for earlier, later in pairwise([u for u in bench.updates if u.order.client_order_id == "a"]):
        assert earlier.order.filled_qty <= later.order.filled_qty


# Faults


class Meddling(NoFaults):
    """Loses each "new", doubles each fill, and shifts quotes."""

    def trade_update(self, message: TradeUpdateMessage) -> tuple[TradeUpdateMessage, ...]:
        return {"new": (), "fill": (message, message)}.get(message.event, (message,))

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        return None if quote.symbol == "SPY" else replace(quote, bid=Decimal(0))


def test_whoever_hears_of_a_fill_may_let_time_pass() -> None:
    """It reaches the next second from inside this one, and what filled there is not filled again."""
    bench = Bench()
    for symbol in (SPY_CALL, SPY_PUT):
        bench.buy(symbol)
    slow = iter([True])
    bench.exchange.on_trade_update(lambda told: bench.tick(2) if told.qty and next(slow, False) else None)
    bench.tick(1)
    assert bench.events().count("fill") == 2
    assert [position.holding.qty for position in bench.exchange.positions()] == [1, 1]


def test_faults_meddle_with_what_is_told_but_not_with_what_is() -> None:
    bench = Bench(faults=Meddling())
    bench.exchange.subscribe_quotes(frozenset({"SPY", SPY_CALL}))
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    order = bench.sell(SPY_CALL)
    bench.tick()
    assert bench.events() == ["fill", "fill"]
    assert bench.exchange.emitted_updates == 2
    assert [(q.symbol, q.bid) for q in bench.quotes] == [(SPY_CALL, Decimal(0))]
    assert bench.now(order).filled_avg_price == 1  # matched against the true bid


# Positions and figures


def test_a_position_put_there_by_hand() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 2, Decimal("1.02"))
    position = bench.exchange.position(SPY_CALL)
    assert (position.holding.qty, position.available, position.price) == (2, 2, Decimal("1.025"))
    figures = bench.exchange.figures()
    assert (figures.cash, figures.equity) == (Decimal("99796.00"), Decimal("100001.00"))
    assert figures.last_equity == 100_000
    assert bench.exchange.activities() == []
    assert bench.exchange.orders(status="all") == []
    bench.exchange.hold("SPY", -5, Decimal(670))
    assert [p.holding.symbol for p in bench.exchange.positions()] == ["SPY", SPY_CALL]
    assert bench.exchange.figures().short_value == -3350


def test_what_is_held_can_be_sold_though_it_is_not_listed() -> None:
    bench = Bench()
    delisted = build("SPY", bench.market.day, Right.CALL, Decimal(1))
    bench.exchange.hold(delisted, 1, Decimal(1))
    assert bench.sell(delisted, 1, "1.00").qty == 1


def test_average_entry_prices() -> None:
    bench = Bench()

    def after(qty: int, price: int) -> tuple[int, Decimal]:
        bench.exchange.hold(SPY_CALL, qty, Decimal(price))
        holding = bench.exchange.position(SPY_CALL).holding
        return holding.qty, holding.avg_price

    assert after(2, 1) == (2, Decimal(1))
    assert after(2, 2) == (4, Decimal("1.5"))
    assert after(-3, 9) == (1, Decimal("1.5"))
    assert after(-2, 4) == (-1, Decimal(4))
    assert after(-1, 2) == (-2, Decimal(3))


def test_what_cannot_be_held() -> None:
    bench = Bench("16:00")
    for symbol in ("NOPE", SPY_CALL, build("NOPE", HALF_DAY, Right.CALL, Decimal(1))):
        with pytest.raises(ValueError, match=symbol):
            bench.exchange.hold(symbol, 1, Decimal(1))


def test_a_position_is_found_by_symbol_or_asset_id() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    assert bench.exchange.position(bench.exchange.asset_id(SPY_CALL)).holding.symbol == SPY_CALL
    with pytest.raises(Refusal) as refused:
        bench.exchange.position(SPY_PUT)
    assert (refused.value.status, refused.value.code) == (404, 40410000)


def test_a_short_position_is_bought_back() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, -2, Decimal("1.00"))
    assert bench.exchange.account.cash == 100_200
    with pytest.raises(Refusal, match="insufficient qty"):
        bench.buy(SPY_CALL, 3, "1.10")
    order = bench.exchange.close_position(SPY_CALL)
    assert (order.side, order.intent, order.qty) == ("buy", "buy_to_close", 2)
    bench.tick()
    assert bench.exchange.positions() == []
    assert bench.exchange.account.cash == Decimal(100_200) - 210


def test_close_all_tells_what_became_of_each() -> None:
    bench = Bench()
    for symbol in (AAPL_CALL, SPY_CALL):
        bench.exchange.hold(symbol, 1, Decimal(1))
    resting = bench.sell(SPY_CALL, 1, "2.00")
    outcome = dict(bench.exchange.close_all(cancel_orders=False))
    refused = outcome[SPY_CALL]
    assert isinstance(refused, Refusal)
    assert refused.extra["related_orders"] == [resting.id]
    bench.tick()
    assert [p.holding.symbol for p in bench.exchange.positions()] == [SPY_CALL]
    bench.exchange.close_all(cancel_orders=True)
    bench.tick()
    assert bench.exchange.positions() == []
    assert bench.now(resting).status is SimStatus.CANCELED


# The last minutes


@pytest.mark.parametrize(("symbol", "first"), [(AAPL_CALL, "15:30"), (SPY_CALL, "15:45")])
def test_the_broker_sells_what_it_could_not_exercise(symbol: str, first: str) -> None:
    bench = Bench("15:00")
    bench.market.spots |= {"AAPL": 260.0, "SPY": 680.0}  # in the money
    bench.exchange.hold(symbol, 5, Decimal(1))  # 5 x 100 x 250 is more than the cash
    resting = bench.sell(symbol, 2, "9.00")
    bench.tick((bench.at(first) - bench.at("15:00")).total_seconds() - 1)
    assert bench.events() == ["new"]
    bench.to(first)
    assert bench.now(resting).status is SimStatus.CANCELED
    (sale,) = bench.exchange.orders()
    assert (sale.by_broker, sale.side, sale.type, sale.qty) == (True, "sell", "market", 5)
    assert (sale.intent, sale.submitted_at) == ("sell_to_close", bench.at(first))
    bench.tick()
    assert bench.exchange.positions() == []
    assert bench.events() == ["new", "canceled", "new", "fill"]
    assert activities(bench) == [("FILL", symbol, 5)]


def test_what_is_affordable_declined_or_out_of_the_money_is_not_sold() -> None:
    bench = Bench("15:44")
    bench.market.spots["SPY"] = 680.0
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))  # 67,000 of 100,000
    bench.exchange.hold(SPY_PUT, 1, Decimal(1))  # out of the money
    declined = build("SPY", bench.market.day, Right.CALL, Decimal(660))
    bench.exchange.hold(declined, 9, Decimal(10))
    bench.exchange.do_not_exercise(declined)
    bench.to("15:59")
    assert bench.updates == []


def test_affordable_positions_share_the_money() -> None:
    bench = Bench("15:44")
    bench.market.spots["SPY"] = 690.0
    second = build("SPY", bench.market.day, Right.CALL, Decimal(680))
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.exchange.hold(second, 1, Decimal(1))  # either could be paid for, both cannot
    bench.to("15:46")
    assert [p.holding.symbol for p in bench.exchange.positions()] == [SPY_CALL]


def test_a_put_in_the_money_needs_its_shares() -> None:
    for shares, sold in ((99, True), (100, False)):
        bench = Bench("15:44")
        bench.market.spots["SPY"] = 660.0
        bench.exchange.hold("SPY", shares, Decimal(660))
        bench.exchange.hold(SPY_PUT, 1, Decimal(1))
        bench.to("15:46")
        assert (bench.exchange.account.qty(SPY_PUT) == 0) is sold


def test_the_broker_looks_every_minute() -> None:
    bench = Bench("15:44")
    bench.exchange.hold(SPY_CALL, 5, Decimal(1))
    bench.to("15:50:30")
    assert bench.updates == []
    bench.market.spots["SPY"] = 680.0
    bench.market.put(SPY_CALL, "0", "0.05")  # in the money, but nobody bids
    bench.to("15:52:30")
    assert bench.updates == []
    bench.market.put(SPY_CALL, "9.00", "9.10")
    bench.to("15:53:01")
    assert bench.exchange.positions() == []


def test_the_broker_sells_once_and_never_a_short_position() -> None:
    bench = Bench("15:44", Rules(liquidation="always", fills_within_size=True, partial_fill_chance=0))
    bench.market.put(SPY_CALL, "1.00", "1.05", size=1)
    bench.exchange.hold(SPY_CALL, 100, Decimal(1))
    bench.exchange.hold(SPY_PUT, -1, Decimal(1))
    bench.to("15:46:10")  # ten seconds after the broker looked again
    (sale,) = bench.exchange.orders(status="all")
    assert (sale.filled_qty, sale.status) == (70, SimStatus.PARTIALLY_FILLED)
    assert bench.exchange.account.qty(SPY_PUT) == -1


@pytest.mark.parametrize(("policy", "left"), [("always", [SPY_LATER]), ("never", [SPY_CALL, SPY_LATER])])
def test_the_other_readings_of_liquidation(policy: str, left: list[str]) -> None:
    assert policy in ("always", "never")
    bench = Bench("15:44", Rules(liquidation="always" if policy == "always" else "never"))
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.exchange.hold(SPY_LATER, 1, Decimal(1))
    bench.to("15:46")
    assert [p.holding.symbol for p in bench.exchange.positions()] == left


def test_liquidation_on_a_half_day() -> None:
    bench = Bench("12:44", Rules(liquidation="always"), day=HALF_DAY)
    call = build("SPY", HALF_DAY, Right.CALL, Decimal(670))
    bench.exchange.hold(call, 1, Decimal(1))
    bench.to("12:45:01")
    assert bench.exchange.positions() == []


# After the close


def test_out_of_the_money_options_vanish() -> None:
    bench = Bench("15:59", NO_SALE)
    bench.market.settlements["SPY"] = 670.0  # at the money
    for symbol, qty in ((SPY_CALL, 2), (SPY_PUT, -1), (SPY_LATER, 1)):
        bench.exchange.hold(symbol, qty, Decimal(1))
    cash = bench.exchange.account.cash
    bench.to("16:44:59")
    assert len(bench.exchange.positions()) == 3
    bench.to("16:45")
    assert [p.holding.symbol for p in bench.exchange.positions()] == [SPY_LATER]
    assert activities(bench) == [("OPEXP", SPY_CALL, -2), ("OPEXP", SPY_PUT, 1)]
    assert bench.exchange.account.cash == cash


def test_a_cent_in_the_money_is_exercised() -> None:
    bench = Bench("15:59", NO_SALE)
    bench.market.settlements["SPY"] = 670.01
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.to("17:00")
    assert activities(bench) == [("OPEXC", SPY_CALL, -1), ("OPTRD", "SPY", 100)]
    trade = bench.exchange.activities()[-1]
    assert (trade.price, trade.net_amount) == (Decimal(670), Decimal(-67_000))
    (shares,) = bench.exchange.positions()
    assert (shares.holding.symbol, shares.holding.qty, shares.holding.avg_price) == ("SPY", 100, Decimal(670))
    assert bench.exchange.account.cash == 100_000 - 100 - 67_000


def test_a_put_sells_its_shares() -> None:
    bench = Bench("15:59", NO_SALE)
    bench.market.settlements["SPY"] = 660.0
    bench.exchange.hold("SPY", 100, Decimal(665))
    bench.exchange.hold(SPY_PUT, 1, Decimal(1))
    cash = bench.exchange.account.cash
    bench.to("17:00")
    assert activities(bench) == [("OPEXC", SPY_PUT, -1), ("OPTRD", "SPY", -100)]
    assert bench.exchange.positions() == []
    assert bench.exchange.account.cash == cash + 67_000


def test_what_cannot_be_paid_for_or_was_declined_expires() -> None:
    bench = Bench("15:59", NO_SALE)
    bench.market.settlements |= {"SPY": 680.0, "AAPL": 260.0}
    bench.exchange.hold(SPY_CALL, 2, Decimal(1))
    bench.exchange.hold(AAPL_CALL, 1, Decimal(1))
    bench.exchange.do_not_exercise(AAPL_CALL)
    bench.to("17:00")
    assert activities(bench) == [("OPEXP", AAPL_CALL, -1), ("OPEXP", SPY_CALL, -2)]
    assert bench.exchange.positions() == []


def test_short_options_in_the_money_are_assigned() -> None:
    bench = Bench("15:59", NO_SALE)
    bench.market.settlements["SPY"] = 680.0
    bench.exchange.hold(SPY_CALL, -1, Decimal(1))
    bench.to("17:00")
    assert activities(bench) == [("OPASN", SPY_CALL, 1), ("OPTRD", "SPY", -100)]
    assert bench.exchange.account.qty("SPY") == -100
    assert bench.exchange.account.cash == 100_000 + 100 + 67_000


def test_do_not_exercise_is_taken_until_half_past() -> None:
    bench = Bench("15:59", NO_SALE)
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.exchange.hold(SPY_LATER, 1, Decimal(1))
    bench.exchange.hold(SPY_PUT, -1, Decimal(1))
    bench.exchange.hold("SPY", 1, Decimal(670))

    def answer(name: str) -> tuple[int, int, str]:
        with pytest.raises(Refusal) as refused:
            bench.exchange.do_not_exercise(name)
        return refused.value.status, refused.value.code, refused.value.message

    assert answer(AAPL_CALL) == (404, 40410000, f"long position not found: {AAPL_CALL}")
    assert answer(SPY_LATER) == (403, 40310000, "dne requests are only accepted on the expiration day")
    assert answer(SPY_PUT) == (403, 40310001, "cannot submit DNE for short position")
    assert answer("SPY") == (422, 42210000, "invalid symbol")
    bench.to("16:29:59")
    bench.exchange.do_not_exercise(SPY_CALL)
    bench.to("16:30")
    assert answer(SPY_CALL) == (403, 40310000, "dne requests are not accepted after 16:30")


def test_a_half_day_settles_after_its_own_close() -> None:
    bench = Bench("12:59", NO_SALE, day=HALF_DAY)
    bench.exchange.hold(build("SPY", HALF_DAY, Right.CALL, Decimal(670)), 1, Decimal(1))
    later = bench.buy(SPY_LATER, 1, "0.50")
    bench.to("13:00")
    assert bench.now(later).expired_at == bench.at("13:00")
    bench.to("13:45")
    assert bench.exchange.positions() == []
    assert [kind for kind, _, _ in activities(bench)] == ["OPEXP"]
