"""The executor when the broker, the network or the disk misbehaves."""

import sqlite3
from functools import partial
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL
from tests.trading.world import Trouble, world
from wsb_snake.core.orders import ExitReason
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Throttled, Unavailable, Unknown


@pytest.mark.parametrize("effect", [True, False])
def test_an_entry_whose_answer_is_lost_is_never_sent_again(tmp_path: Path, effect: bool) -> None:
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"), effect=effect)]
        order = w.enter()
        assert order is not None
        w.run(40)
        assert len(w.broker.sent()) == 1
        assert w.position(order.position_id).state == ("open" if effect else "void")
        assert [p.symbol for p in alpaca_executor.get_options_positions()] == ([SPY_CALL] if effect else [])


@pytest.mark.parametrize("effect", [True, False])
def test_an_exit_whose_answer_is_lost_sells_once(tmp_path: Path, effect: bool) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.broker.once["submit"] = [Trouble(Unknown("reset"), effect=effect)]
        alpaca_executor.execute_exit(held.position_id, ExitReason.MANUAL)
        w.until(lambda: w.position(held.position_id).state == "closed", 60)
        w.until(lambda: w.outcomes(), 5)
        assert sum(order.filled_qty for order in w.own("sell")) == held.qty
        assert len(w.outcomes()) == 1


@pytest.mark.parametrize("error", [Throttled("429"), Unavailable("refused")])
def test_an_exit_that_did_not_go_is_tried_again(tmp_path: Path, error: Throttled | Unavailable) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.broker.once["submit"] = [Trouble(error), Trouble(error)]
        alpaca_executor.execute_exit(held.position_id, ExitReason.EOD)
        took = w.until(lambda: w.position(held.position_id).state == "closed", 60)
        assert took < 10
        assert len(w.own("sell")) == 1


def _ask(reason: ExitReason) -> None:
    alpaca_executor.close_position(SPY_CALL, reason)


@pytest.mark.parametrize("seed", range(8))
def test_everybody_may_ask_to_close_and_one_order_goes_out(tmp_path: Path, seed: int) -> None:
    with world(tmp_path, seed=seed) as w:
        held = w.open()
        for reason in (ExitReason.MANUAL, ExitReason.EOD, ExitReason.FLATTEN):
            w.hub.spawn(f"asks-{reason}", partial(_ask, reason))
        w.until(lambda: w.position(held.position_id).state == "closed", 60)
        assert len(w.own("sell")) == 1


def test_a_reading_that_fails_is_unknown_never_flat(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.broker.always["positions"] = Unavailable("no answer")
        w.run(90)
        assert w.position(held.position_id).state == "open"
        assert alpaca_executor.all_positions_monitored() is False
        assert w.enter(signal_id="two") is None


def test_lost_updates_are_found_by_polling(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.lose_updates = True
        order = w.enter()
        assert order is not None
        assert w.until(lambda: w.position(order.position_id).state == "open", 30) < 15


def test_repeated_updates_count_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.repeat_updates = 3
        held = w.open()
        assert held.qty == sum(order.filled_qty for order in w.own("buy"))


def test_with_the_disk_stuck_a_closing_order_goes_out_and_an_entry_does_not(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open()
        blocker = sqlite3.connect(w.settings.db_path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        began = w.clock.monotonic()
        alpaca_executor.execute_exit(held.position_id, ExitReason.MANUAL)
        w.until(lambda: len(w.broker.sent()) == 2, 5)
        assert w.clock.monotonic() - began < 1.0
        w.until(lambda: "journal" in {pause.reason for pause in w.desk.pauses.listed()}, 10)
        assert w.enter(signal_id="two") is None
        assert len(w.broker.sent()) == 2
        blocker.execute("ROLLBACK")
        blocker.close()
        w.until(lambda: w.outcomes(), 30)
        w.until(lambda: not alpaca_executor.trading_paused, 30)


def test_an_entry_is_durable_before_it_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        blocker = sqlite3.connect(w.settings.db_path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        order = w.enter()
        assert order is not None
        w.run(3)
        assert w.broker.sent() == []
        blocker.execute("ROLLBACK")
        blocker.close()
        w.run(30)
        sent = w.broker.sent()
        assert len(sent) <= 1  # late entries are given up, never hurried


def test_five_failures_in_a_row_pause_entries_and_closing_goes_on(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.broker.always["account"] = Unavailable("timed out")
        w.until(lambda: alpaca_executor.trading_paused, 400)
        w.run(1)
        (paused,) = w.events("paused")
        assert (paused["reason"], paused["count"]) == ("alpaca", 5)
        assert w.enter(signal_id="two") is None
        alpaca_executor.execute_exit(held.position_id, ExitReason.MANUAL)
        w.until(lambda: w.position(held.position_id).state == "closed", 30)
        del w.broker.always["account"]
        w.until(lambda: not alpaca_executor.trading_paused, 60)


def test_somebody_elses_order_is_cancelled_without_a_flood_of_calls(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open()
        w.by_hand(SPY_CALL, "sell", held.qty, "9.00", "sell_to_close")
        w.run(30)
        before = len(w.broker.calls)
        w.broker.always["cancel"] = Unavailable("timed out")
        alpaca_executor.execute_exit(held.position_id, ExitReason.EOD)
        w.run(30)
        assert len(w.broker.calls) - before < 140
        assert sum(name == "cancel" for name, _, _ in w.broker.calls) <= 16
        del w.broker.always["cancel"]
        w.until(lambda: w.position(held.position_id).state == "closed", 60)
        assert sum(order.filled_qty for order in w.own("sell")) == held.qty
