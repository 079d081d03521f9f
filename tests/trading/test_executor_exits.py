"""From the entry's fill to the last sale: when the executor sells, and with which orders."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL, SPY_LATER
from tests.trading.world import SCALP, Trouble, World, world
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.core.signals import ExitPlan
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Unavailable, Unknown


def closed(w: World, limit_s: float = 60.0) -> float:
    """Run until the one position is closed and its outcome written; the seconds it took."""
    return w.until(w.outcomes, limit_s)


def test_a_target_is_anchored_at_the_fill_and_met_by_the_bid(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.enter()
        w.price("0.98", "1.00")  # the venue fills below the limit of 1.05
        w.until(lambda: w.watched and w.watched[0].state is PositionState.OPEN)
        (opened,) = w.events("position_opened")
        plan = [Decimal(opened[name]) for name in ("entry_price", "target_price", "stop_price")]
        assert plan == [Decimal("1.00"), Decimal("1.20"), Decimal("0.85")]
        w.price("1.19", "1.29")  # the mid is above the target, the bid is not
        w.run(10)
        assert w.exits == []
        w.price("1.20", "1.30")
        assert closed(w) < 4
        (sale,) = w.own("sell")
        (outcome,) = w.outcomes()
        assert outcome["exit_reason"] == "target"
        assert Decimal(outcome["exit_price"]) == sale.filled_avg_price == Decimal("1.20")
        assert Decimal(outcome["gross_pnl"]) == Decimal("0.20") * 100 * sale.qty


def test_a_stop_needs_two_looks_a_second_apart(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.price("0.86", "0.90")
        crossed = w.clock.now()
        closed(w)
        (condition,) = w.events("exit_condition")
        assert condition["reason"] == "stop"
        (exit_order,) = w.exits
        assert timedelta(seconds=1) <= exit_order.created_at - crossed <= timedelta(seconds=2.5)


def test_a_stop_that_was_crossed_for_one_look_only_does_not_sell(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("0.86", "0.90")
        w.until(lambda: w.position(position.position_id).watch.stop_seen_at is not None, 5)
        w.price("1.00", "1.05")
        w.run(10)
        assert w.exits == []
        assert w.position(position.position_id).watch.stop_seen_at is None


def test_a_bid_far_below_the_stop_sells_at_the_first_look(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.price("0.70", "1.30")  # the mid is not even at the stop
        fallen = w.clock.now()
        closed(w)
        (exit_order,) = w.exits
        assert exit_order.created_at - fallen <= timedelta(seconds=1)
        assert w.outcomes()[0]["exit_reason"] == "stop"


@pytest.mark.parametrize(("bid", "ask"), [("0.00", "0.40"), ("0.90", "0.40")])
def test_zero_and_crossed_quotes_trigger_nothing(tmp_path: Path, bid: str, ask: str) -> None:
    with world(tmp_path) as w:
        w.open()
        w.price(bid, ask)
        w.run(20)
        assert w.exits == []


def test_stale_quotes_trigger_nothing_are_told_once_and_time_goes_on(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.market.stale[SPY_CALL] = w.clock.now() - timedelta(seconds=30)
        w.price("0.50", "0.55")
        w.to("10:44")
        assert w.exits == []
        (silent,) = w.events("no_quote")
        assert silent["position_id"] == position.position_id
        closed(w, 120)
        assert w.outcomes()[0]["exit_reason"] == "time"


def test_the_time_exit_is_claimed_at_forty_five_minutes_exactly(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.until(lambda: w.position(position.position_id).state is PositionState.EXITING, 3000)
        (exit_order,) = w.exits
        assert exit_order.created_at - position.opened_at < timedelta(minutes=45, milliseconds=50)
        assert exit_order.created_at - position.opened_at >= timedelta(minutes=45)
        closed(w)
        assert w.outcomes()[0]["exit_reason"] == "time"


def test_the_ladder_is_limit_then_lower_limit_then_market(tmp_path: Path) -> None:
    """The feed shows 1.00 bid, the venue pays 0.90."""
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        w.price("0.90", "0.95")
        alpaca_executor.execute_exit(position.position_id, ExitReason.TARGET)
        closed(w)
        first, second, third = w.own("sell")
        assert [o.type for o in (first, second, third)] == ["limit", "limit", "market"]
        assert (first.limit_price, second.limit_price) == (Decimal("0.99"), Decimal("0.95"))
        assert [o.status for o in (first, second)] == [SimStatus.CANCELED] * 2
        assert third.submitted_at - first.submitted_at < timedelta(seconds=15)
        for before, after in ((first, second), (second, third)):  # each is over before the next goes out
            assert before.canceled_at is not None and before.canceled_at <= after.submitted_at
        assert Decimal(w.outcomes()[0]["exit_price"]) == Decimal("0.90")


def test_a_stop_goes_to_market_at_the_second_try(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        w.price("0.90", "0.95")
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        assert closed(w) < 10
        assert [o.type for o in w.own("sell")] == ["limit", "market"]


def test_partial_exit_fills_lower_what_is_left_to_sell(tmp_path: Path) -> None:
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, fills_within_size=True)
    with world(tmp_path, rules=rules) as w:
        w.open()
        w.price("1.30", "1.35", size=1)
        w.until(lambda: w.own("sell") and w.own("sell")[0].filled_qty == 1, 20)
        w.feed.shown[SPY_CALL] = ("1.30", "1.35")
        w.price("1.10", "1.15", size=50)  # the rest is no longer to be had at the first limit
        closed(w)
        sales = w.own("sell")
        assert sales[0].filled_qty == 1
        assert [o.qty for o in sales[1:]] == [3] * len(sales[1:])
        assert sum(o.filled_qty for o in sales) == 4
        gross = sum(o.filled_cost for o in sales) - w.own("buy")[0].filled_cost
        assert Decimal(w.outcomes()[0]["gross_pnl"]) == gross * 100


def test_without_a_bid_one_limit_at_the_minimum_tick_waits_for_a_buyer(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("0.00", "0.05")
        w.run(2)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.run(120)
        (resting,) = w.own("sell")
        assert (resting.type, resting.limit_price, resting.open) == ("limit", Decimal("0.01"), True)
        w.price("0.02", "0.05")
        assert closed(w, 10) < 4
        assert len(w.own("sell")) == 1
        assert Decimal(w.outcomes()[0]["exit_price"]) == Decimal("0.02")


def test_an_old_quote_without_a_bid_is_met_with_one_limit_too(tmp_path: Path) -> None:
    """A contract that nobody bids for is rarely quoted anew; a market order would only be refused."""
    with world(tmp_path) as w:
        position = w.open()
        w.price("0.00", "0.05")
        w.run(3)
        w.market.stale[SPY_CALL] = w.clock.now()
        w.run(60)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.run(60)
        (resting,) = w.own("sell")
        assert (resting.type, resting.limit_price, resting.open) == ("limit", Decimal("0.01"), True)
        w.market.stale.clear()
        w.price("0.02", "0.05")
        closed(w, 30)


def test_a_foreign_order_that_holds_the_contracts_is_cancelled_first(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        foreign = w.by_hand(SPY_CALL, "sell", position.qty, "5.00", "sell_to_close")
        w.run(15)
        w.price("1.30", "1.35")
        closed(w)
        assert w.exchange.order(foreign.id).status is SimStatus.CANCELED
        (sale,) = w.own("sell")
        assert sale.submitted_at > foreign.submitted_at
        assert w.broker.refusals == []


def test_a_foreign_order_that_nobody_has_read_yet_only_costs_a_refusal(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.by_hand(SPY_CALL, "sell", position.qty, "5.00", "sell_to_close")
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        assert closed(w) < 30
        assert w.held() == 0
        assert all("insufficient qty" in text for text in w.broker.refusals)


def test_contracts_that_the_broker_shows_as_taken_are_offered_to_it_all_the_same(tmp_path: Path) -> None:
    """Whatever holds them in its books, only the broker can say that they cannot be sold."""
    with world(tmp_path) as w:
        position = w.open()
        w.run(12)
        shown = w.do(w.broker.positions)
        w.broker.shown["positions"] = tuple(replace(p, qty_available=Decimal(0)) for p in shown)
        w.run(12)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.run(8)
        assert w.own("sell") == []
        w.until(lambda: w.held() == 0, 10)
        w.broker.shown.clear()
        assert w.broker.refusals == []


def test_a_reading_that_is_not_renewed_holds_up_no_exit(tmp_path: Path) -> None:
    """The last one showed the contracts as held by an order that is gone since."""
    with world(tmp_path) as w:
        w.open()
        w.run(15)
        w.by_hand(SPY_CALL, "sell", 4, "2.00")
        w.run(30)
        w.broker.always["positions"] = Unavailable("HTTP 500")
        w.price("0.40", "0.42")
        closed(w, 30)


def test_half_is_sold_and_the_rest_trails(tmp_path: Path) -> None:
    runner = ExitPlan(half_at=Decimal("0.50"), trail=Decimal("0.20"))
    with world(tmp_path) as w:
        position = w.open(SPY_LATER, plan=runner)
        w.price("1.60", "1.65", SPY_LATER)
        w.until(lambda: w.position(position.position_id).half_sold, 20)
        w.run(10)
        assert (w.held(SPY_LATER), w.position(position.position_id).state) == (2, PositionState.OPEN)
        w.price("2.00", "2.05", SPY_LATER)
        w.run(5)
        w.price("1.61", "1.66", SPY_LATER)
        w.run(5)
        assert w.held(SPY_LATER) == 2
        w.price("1.60", "1.65", SPY_LATER)
        closed(w)
        (outcome,) = w.outcomes()
        assert (outcome["qty"], outcome["exit_reason"]) == (4, "trail")
        assert Decimal(outcome["exit_price"]) == Decimal("1.60")


@pytest.mark.parametrize("seed", range(12))
def test_lanes_that_all_ask_at_once_make_one_order(tmp_path: Path, seed: int) -> None:
    """Monitor, quotes, owner, EOD and the pipeline, each at a moment of its own."""
    with world(tmp_path, "15:19:30", seed=seed, rules=Rules(), cash="5000") as w:
        w.exchange.hold(SPY_CALL, 4, Decimal("1.05"))
        w.until(lambda: w.watched, 30)

        def ask() -> None:
            w.hub.sleep((seed % 5) * 0.003)
            for reason in (ExitReason.MANUAL, ExitReason.FLATTEN, ExitReason.TIME):
                alpaca_executor.close_position(SPY_CALL, reason)
                w.hub.sleep(0.002)

        w.to("15:19:59")
        w.price("0.70", "0.75")
        for name in ("one", "two", "three"):
            w.hub.spawn(name, ask)
        w.daemon.ask("flatten", None)
        closed(w)
        assert w.held() == 0
        assert sum(o.filled_qty for o in w.own("sell")) == 4
        assert w.broker.refusals == []
        assert len(w.events("exit_condition")) == 1


def test_a_lost_race_of_cancel_and_fill_is_a_fill(tmp_path: Path) -> None:
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=1)
    with world(tmp_path, rules=rules) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        w.price("0.90", "0.95")
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: w.own("sell") and w.own("sell")[0].status is SimStatus.PENDING_CANCEL, 20)
        w.price("1.00", "1.05")
        closed(w)
        (sale,) = w.own("sell")
        assert sale.filled_qty == position.qty


def test_a_hanging_send_delays_no_other_position(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_ticker_dollars=Decimal(2000)) as w:
        first = w.open(SPY_CALL, "one")
        second = w.open(SPY_LATER, "two", SCALP)
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), effect=True, seconds=25)]
        alpaca_executor.execute_exit(first.position_id, ExitReason.STOP)
        w.run(0.5)
        alpaca_executor.execute_exit(second.position_id, ExitReason.STOP)
        w.until(lambda: w.position(second.position_id).state is PositionState.CLOSED, 5)
        w.until(lambda: len(w.outcomes()) == 2, 60)
        assert len(w.own("sell")) == 2
