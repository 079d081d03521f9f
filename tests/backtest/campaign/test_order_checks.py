"""What is held against each order: a made-up violation is found, the good case passes."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.backtest.campaign.watching import Watch, watched
from tests.sim.bench import AAPL_CALL, IWM_CALL, SPY_CALL, SPY_LATER, SPY_PUT
from tests.trading.world import CALM, World
from wsb_snake.backtest.campaign.violation import Promise
from wsb_snake.core.orders import ExitReason, OrderType, PositionIntent, Side
from wsb_snake.sim.orders import NewOrder
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import OrderTicket, Rejected

NAME = "wsb-20261123-s-abcdefghijk{}-{}-1"


def buy(letter: str = "m", symbol: str = SPY_CALL, qty: int = 1, limit: str = "1.00") -> OrderTicket:
    return OrderTicket(
        NAME.format(letter, "e"),
        symbol,
        Side.BUY,
        PositionIntent.BUY_TO_OPEN,
        OrderType.LIMIT,
        qty,
        Decimal(limit),
    )


def sell(qty: int = 1, letter: str = "m") -> OrderTicket:
    name = NAME.format(letter, "x")
    return OrderTicket(name, SPY_CALL, Side.SELL, PositionIntent.SELL_TO_CLOSE, OrderType.MARKET, qty, None)


def sending(watch: Watch, *tickets: OrderTicket) -> None:
    for ticket in tickets:
        watch.orders.sending(ticket, watch.world.desk)


def test_a_trade_from_entry_to_exit_keeps_every_promise(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        w = watch.world
        position = w.open()
        w.price("1.30", "1.34")
        w.until(lambda: w.position(position.position_id).state == "closed")
        assert watch.findings.violations == []
        assert set(watch.findings.checked) == {
            Promise.NO_BLIND_RESEND,
            Promise.NO_ENTRY_WHEN_FORBIDDEN,
            Promise.LIMITS,
            Promise.NEVER_SHORT,
            Promise.ONE_LIVE_EXIT,
        }


def test_the_same_order_twice(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        sending(watch, buy(), buy())
        assert len(watch.broken(Promise.NO_BLIND_RESEND)) == 1


# entries


def test_an_entry_while_paused(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.world.desk.pauses.set("manual", "by the test")
        sending(watch, buy())
        assert "paused" in watch.broken(Promise.NO_ENTRY_WHEN_FORBIDDEN)[0]


def test_an_entry_while_halted(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.world.desk.halt_file.path.touch()
        sending(watch, buy())
        assert "halted" in watch.broken(Promise.NO_ENTRY_WHEN_FORBIDDEN)[0]


def test_an_entry_before_the_reconciliation(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.world.desk.ready = False
        sending(watch, buy())
        assert "reconciliation" in watch.broken(Promise.NO_ENTRY_WHEN_FORBIDDEN)[0]


@pytest.mark.parametrize(
    ("symbol", "wall", "late"),
    [
        (SPY_CALL, "15:04:50", False),
        (SPY_CALL, "15:05", True),
        (AAPL_CALL, "14:49:50", False),
        (AAPL_CALL, "14:50", True),
        (SPY_LATER, "15:30", False),
    ],
)
def test_an_entry_past_the_cutoff(tmp_path: Path, symbol: str, wall: str, late: bool) -> None:
    with watched(tmp_path, wall) as watch:
        sending(watch, buy(symbol=symbol))
        assert bool(watch.broken(Promise.NO_ENTRY_WHEN_FORBIDDEN)) is late


# limits


def test_too_much_in_one_trade(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_trade_dollars=Decimal(200)) as watch:
        sending(watch, buy("a", qty=2))
        assert watch.broken(Promise.LIMITS) == []
        sending(watch, buy("b", qty=3))
        assert "in one trade" in watch.broken(Promise.LIMITS)[0]


def test_too_many_entries_within_a_minute(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_orders_minute=2, wsb_snake_max_positions=5) as watch:
        sending(watch, buy("a"), buy("b"))
        watch.world.run(61)
        sending(watch, buy("c"), buy("d"))
        assert watch.broken(Promise.LIMITS) == []
        sending(watch, buy("e"))
        assert watch.broken(Promise.LIMITS) == [f"{NAME.format('e', 'e')}: 3 entry orders within a minute"]


def test_too_many_entries_a_day(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_orders_day=1) as watch:
        sending(watch, buy("a"))
        watch.world.run(61)
        sending(watch, buy("b"))
        assert "2 entry orders today" in watch.broken(Promise.LIMITS)[0]


def test_too_much_premium_a_day_though_it_was_sold_again(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_day_dollars=Decimal(400)) as watch:
        w = watch.world
        position = w.open()  # 3 contracts at 1.05
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.position(position.position_id).state == "closed")
        assert watch.broken(Promise.LIMITS) == []
        sending(watch, buy(symbol=IWM_CALL, limit="1.00"))
        assert "of premium today" in watch.broken(Promise.LIMITS)[0]


def test_too_many_positions(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_positions=1) as watch:
        watch.world.open()
        assert watch.broken(Promise.LIMITS) == []
        sending(watch, buy(symbol=IWM_CALL))
        assert "2 positions" in watch.broken(Promise.LIMITS)[0]


def test_too_much_in_one_name(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_ticker_dollars=Decimal(400)) as watch:
        watch.world.open()
        sending(watch, buy(symbol=IWM_CALL))
        assert watch.broken(Promise.LIMITS) == []
        sending(watch, buy("p", symbol=SPY_PUT))
        assert "in SPY" in watch.broken(Promise.LIMITS)[0]


def test_what_never_arrived_counts_for_a_moment_only(tmp_path: Path) -> None:
    with watched(tmp_path, wsb_snake_max_positions=1) as watch:
        sending(watch, buy("a"))
        watch.world.run(2)
        sending(watch, buy("b", symbol=IWM_CALL))
        assert watch.broken(Promise.LIMITS) == []


# sales


def test_more_sold_than_held(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        w = watch.world
        w.exchange.hold(SPY_CALL, 1, Decimal(1))
        w.by_hand(SPY_CALL, "sell", 1)
        w.run(2)
        assert watch.broken(Promise.NEVER_SHORT) == []
        w.exchange.account.trade(SPY_CALL, -1, Decimal(1), 100)
        watch.orders.on_update(w.updates[-1])
        assert len(watch.broken(Promise.NEVER_SHORT)) == 1
        w.exchange.account.trade(SPY_CALL, 1, Decimal(1), 100)


def test_two_live_exits_of_one_position(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        w = watch.world
        w.desk.ready = False  # it would recover and cancel them
        w.exchange.hold(SPY_CALL, 2, Decimal(1))
        for name in (NAME.format("m", "x"), NAME.format("n", "x"), NAME.format("m", "x")[:-1] + "2"):
            assert watch.broken(Promise.ONE_LIVE_EXIT) == []
            w.exchange.hold(SPY_CALL, 1, Decimal(1))
            w.exchange.place(NewOrder(SPY_CALL, "sell", 1, "limit", Decimal(9), name))
        assert len(watch.broken(Promise.ONE_LIVE_EXIT)) == 1
        for order in w.exchange.orders(limit=50):
            w.exchange.cancel(order.id)
        w.run(2)
        w.updates.clear()


@pytest.mark.parametrize(
    ("reason", "symbol", "wrong"),
    [
        (ExitReason.EOD, SPY_LATER, True),
        (ExitReason.CUTOFF, SPY_LATER, True),
        (ExitReason.MANUAL, SPY_LATER, False),
        (ExitReason.EOD, SPY_CALL, False),
    ],
)
def test_a_later_expiry_sold_for_the_day(
    tmp_path: Path, reason: ExitReason, symbol: str, wrong: bool
) -> None:
    with watched(tmp_path) as watch:
        w = watch.world
        position = w.open(symbol)
        alpaca_executor.execute_exit(position.position_id, reason)
        w.until(lambda: w.position(position.position_id).state == "closed")
        assert bool(watch.broken(Promise.LATER_UNTOUCHED)) is wrong


SHORT_OF = Rejected("insufficient qty available for order (requested: 1, available: 0)")


def test_a_sale_of_what_is_not_there(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.orders.refused(buy(), SHORT_OF)
        watch.orders.refused(sell(), Rejected("the market is closed"))
        assert watch.findings.checked[Promise.NEVER_SHORT] == 0
        watch.orders.refused(sell(), SHORT_OF)
        assert len(watch.broken(Promise.NEVER_SHORT)) == 1


def away(watch: Watch, held: int) -> World:
    """``held`` contracts at the broker, and a daemon that leaves them alone."""
    watch.world.desk.ready = False
    watch.world.exchange.hold(SPY_CALL, held, Decimal(1))
    return watch.world


def refusals(watch: Watch, qty: int, letter: str = "m") -> int:
    """How many are objected to once a sale of ``qty`` was refused."""
    watch.orders.refused(sell(qty, letter), SHORT_OF)
    return len(watch.broken(Promise.NEVER_SHORT))


@pytest.mark.parametrize(("seconds", "objections"), [(44, 0), (46, 1)])
def test_somebody_elses_sale_explains_a_refusal_for_a_while(
    tmp_path: Path, seconds: int, objections: int
) -> None:
    with watched(tmp_path) as watch:
        w = away(watch, 2)
        sold = w.by_hand(SPY_CALL, "sell", 2)
        w.until(lambda: w.held() == 0)
        ended = w.exchange.find_order(sold.client_order_id)
        assert ended is not None
        w.run(seconds - (w.clock.now() - ended.updated_at).total_seconds())
        assert refusals(watch, 2) == objections


@pytest.mark.parametrize(("starts", "seconds", "objections"), [(10, 20, 0), (10, 40, 1), (50, 0, 1)])
def test_the_time_of_an_order_of_ours_does_not_count(
    tmp_path: Path, starts: int, seconds: int, objections: int
) -> None:
    """Ours begins ``starts`` seconds after the sale; ``seconds`` after its end another is refused."""
    with watched(tmp_path) as watch:
        w = away(watch, 4)
        w.by_hand(SPY_CALL, "sell", 2)
        w.until(lambda: w.held() == 2)
        w.run(starts)
        ours = w.exchange.place(NewOrder(SPY_CALL, "sell", 1, "limit", Decimal(9), NAME.format("m", "x")))
        w.run(100)
        w.exchange.cancel(ours.id)
        w.until(lambda: not w.exchange.orders(limit=1))
        w.run(seconds)
        assert refusals(watch, 4, "n") == objections
        w.updates.clear()


@pytest.mark.parametrize(("qty", "objections"), [(4, 0), (5, 1)])
def test_somebody_elses_sale_explains_as_many_as_it_sold(tmp_path: Path, qty: int, objections: int) -> None:
    with watched(tmp_path) as watch:
        w = away(watch, 4)
        w.by_hand(SPY_CALL, "sell", 1)
        w.until(lambda: w.held() == 3)
        w.run(40)
        assert refusals(watch, qty) == objections


@pytest.mark.parametrize(("seconds", "objections"), [(9, 0), (11, 1)])
def test_somebody_elses_cancelled_sale_explains_nothing_for_long(
    tmp_path: Path, seconds: int, objections: int
) -> None:
    with watched(tmp_path) as watch:
        w = away(watch, 2)
        resting = w.by_hand(SPY_CALL, "sell", 2, "9.00")
        w.run(60)
        w.exchange.cancel(resting.id)
        w.until(lambda: not w.exchange.orders(limit=1))
        ended = w.exchange.find_order(resting.client_order_id)
        assert ended is not None
        w.run(seconds - (w.clock.now() - ended.updated_at).total_seconds())
        assert refusals(watch, 3) == objections


def test_of_a_part_filled_and_cancelled_sale_only_the_fills_explain_for_longer(tmp_path: Path) -> None:
    with watched(tmp_path, rules=replace(CALM, fills_within_size=True)) as watch:
        w = away(watch, 4)
        w.price("1.00", "1.04", size=1)
        resting = w.by_hand(SPY_CALL, "sell", 3, "1.00")
        w.until(lambda: w.held() == 3)
        w.price("0.50", "0.54")
        w.exchange.cancel(resting.id)
        w.until(lambda: not w.exchange.orders(limit=1))
        w.run(30)
        assert w.held() == 3
        assert refusals(watch, 4) == 0
        assert refusals(watch, 5) == 1


def test_a_second_exit_beside_one_that_works_for_all(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        w = away(watch, 4)
        w.by_hand(SPY_CALL, "sell", 1)
        w.until(lambda: w.held() == 3)
        w.run(40)
        w.exchange.place(NewOrder(SPY_CALL, "sell", 3, "limit", Decimal(9), NAME.format("m", "x")))
        assert refusals(watch, 1, "n") == 0  # what was sold by hand had been its
        assert refusals(watch, 3, "n") == 1
        w.exchange.cancel(w.exchange.orders(limit=1)[0].id)
        w.run(2)
        w.updates.clear()


def test_somebody_elses_purchase_explains_nothing(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        w = away(watch, 1)
        w.by_hand(SPY_CALL, "buy", 1)
        w.until(lambda: w.held() == 2)
        assert refusals(watch, 3) == 1


def test_somebody_elses_resting_sale_explains_a_refusal(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        w = watch.world
        w.exchange.hold(SPY_LATER, 1, Decimal(1))
        w.by_hand(SPY_LATER, "sell", 1, "9.00")
        w.run(60)
        watch.orders.refused(replace(sell(), symbol=SPY_LATER), SHORT_OF)
        assert watch.broken(Promise.NEVER_SHORT) == []
