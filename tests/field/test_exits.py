"""Exits that were decided and not carried out: timed out, given up, blocked, all or nothing."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import AAPL_CALL, IWM_CALL, SPY_CALL, SPY_LATER, SPY_PUT, XYZ_CALL
from tests.trading.world import Trouble, World, world
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Rejected, Throttled, Unavailable, Unknown

IN_SIZE = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, fills_within_size=True)
TODAY = (SPY_CALL, SPY_PUT, IWM_CALL, AAPL_CALL, XYZ_CALL)


def sold(w: World, symbol: str = SPY_CALL) -> int:
    return sum(o.filled_qty for o in w.own("sell") if o.symbol == symbol)


@pytest.mark.parametrize("effect", [True, False])
def test_07_one_answer_that_does_not_come_delays_no_other_contract(tmp_path: Path, effect: bool) -> None:
    """Everything was closed by one call for all, it timed out, and nobody knew what was left."""
    with world(tmp_path) as w:
        for symbol in TODAY:
            w.exchange.hold(symbol, 2, Decimal("1.05"))
        w.until(lambda: len(w.watched) == len(TODAY), 30)
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), effect, 8.0)]
        w.do(lambda: w.daemon.ask("flatten", "all").result(5))
        w.run(5)
        left = [symbol for symbol in TODAY if w.held(symbol)]
        assert len(left) <= 1
        w.until(lambda: len(w.outcomes()) == len(TODAY), 90)
        assert [symbol for symbol in TODAY if w.held(symbol)] == []
        assert [sold(w, symbol) for symbol in TODAY] == [2] * len(TODAY)


def test_07b_the_close_of_the_day_is_bounded_and_verified_contract_by_contract(tmp_path: Path) -> None:
    """Closed means that the broker shows nothing any more, twice."""
    with world(tmp_path, "15:54:40", wsb_snake_cutoff_flatten=False) as w:
        for symbol in TODAY:
            w.exchange.hold(symbol, 2, Decimal("1.05"))
        w.exchange.hold(SPY_LATER, 1, Decimal("1.05"))
        w.to("15:55:05")
        assert [symbol for symbol in TODAY if w.held(symbol)] == []
        assert w.held(SPY_LATER) == 1
        assert w.events("eod_proven") == []
        w.until(lambda: w.events("eod_proven"), 60)
        proven = datetime.fromisoformat(w.events("eod_proven")[0]["at"])
        last = max(order.updated_at for order in w.own("sell"))
        for name in ("positions", "open_orders"):
            read = [at for called, at, _ in w.broker.calls if called == name and last <= at <= proven]
            assert max(read) - min(read) >= timedelta(seconds=10)
        assert {ticket.symbol for ticket in w.broker.sent()} == set(TODAY)


def test_21_a_decided_exit_goes_on_when_its_reason_is_gone(tmp_path: Path) -> None:
    """Triggered, not filled in a fast market, forgotten when the price came back."""
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.30", "1.34")  # the feed is ahead of the venue
        w.until(lambda: w.own("sell"), 10)
        del w.feed.shown[SPY_CALL]
        w.price("1.10", "1.14")  # between stop and target
        took = w.until(w.outcomes, 60)
        assert took < 30
        assert w.outcomes()[0]["exit_reason"] == "target"
        kinds = [order.type for order in w.own("sell")]
        assert kinds == sorted(kinds)  # limits, then market
        limits = [order.limit_price for order in w.own("sell") if order.limit_price is not None]
        assert limits == sorted(limits, reverse=True)
        assert sold(w) == position.qty


@pytest.mark.parametrize("error", [Throttled("429"), Unavailable("refused"), Rejected("try later", 403)])
def test_21b_no_number_of_failures_ends_an_exit(
    tmp_path: Path, error: Throttled | Unavailable | Rejected
) -> None:
    """After so many time-outs the exit was given up."""
    with world(tmp_path) as w:
        position = w.open()
        w.broker.always["submit"] = error
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.run(300)
        assert w.position(position.position_id).state is PositionState.EXITING
        sent = len(w.broker.sent()) - 1
        assert 15 <= sent <= 60  # again and again, at a pace
        del w.broker.always["submit"]
        assert w.until(w.outcomes, 60) <= 30
        assert sold(w) == position.qty


def test_21c_an_exit_that_fills_in_many_parts_ends_at_nothing(tmp_path: Path) -> None:
    """A partial exit with a counter of time-outs ran for ever, or stopped too early."""
    with world(tmp_path, rules=IN_SIZE, wsb_snake_max_trade_dollars=Decimal(1000)) as w:
        position = w.open()
        assert position.qty == 9
        w.price("0.80", "0.84", size=1)
        w.until(w.outcomes, 120)
        assert sold(w) == 9
        (outcome,) = w.outcomes()
        assert outcome["qty"] == 9
        assert {order.status for order in w.own("sell")[:-1]} <= {SimStatus.CANCELED}


def test_22_a_stop_does_not_wait_for_an_entry_that_is_half_filled(tmp_path: Path) -> None:
    """The rest of an entry rested, and every exit was refused until it was gone."""
    with world(tmp_path, rules=IN_SIZE) as w:
        w.price("1.00", "1.05", size=1)
        order = w.enter()
        assert order is not None
        w.until(lambda: w.held() == 1, 5)
        w.price("0.60", "1.40", size=50)  # far below the stop; the rest would not fill
        began = w.clock.now()
        w.until(lambda: w.held() == 0, 15)
        assert w.clock.now() - began < timedelta(seconds=8)
        (entry,) = w.own("buy")
        assert (entry.status, entry.filled_qty) == (SimStatus.CANCELED, 1)
        w.until(w.outcomes, 5)
        assert sold(w) == 1
        assert w.broker.refusals == []


def test_22b_a_resting_exit_gives_way_to_a_more_urgent_one(tmp_path: Path) -> None:
    """A target order stood at the venue, and the stop could not sell what it held."""
    with world(tmp_path, rules=IN_SIZE) as w:
        position = w.open()
        w.price("1.30", "1.34", size=1)
        w.until(lambda: sold(w) == 1, 10)
        w.price("0.50", "0.54", size=50)  # nobody takes the rest at its limit
        assert w.until(w.outcomes, 60) < 20
        assert sold(w) == position.qty


def test_22c_somebody_else_s_resting_order_is_cleared_away_first(tmp_path: Path) -> None:
    """A limit order placed by hand held the contracts for half an hour."""
    with world(tmp_path) as w:
        position = w.open()
        foreign = w.by_hand(SPY_CALL, "sell", position.qty, "9.00", "sell_to_close")
        w.run(20)
        w.price("0.60", "0.64")
        assert w.until(w.outcomes, 60) < 20
        assert w.exchange.order(foreign.id).status is SimStatus.CANCELED
        assert sold(w) == position.qty
