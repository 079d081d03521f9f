"""Book against broker: adoption by kind, what vanished explained, what is never traded."""

import shutil
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL, SPY_LATER, SPY_PUT
from tests.trading.world import Trouble, World, world
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Rejected, Unavailable, Unknown


def adopted(w: World) -> dict[str, object]:
    w.until(lambda: w.events("position_adopted"), 40)
    (event,) = w.events("position_adopted")
    return event


def test_what_was_bought_by_hand_for_today_gets_the_scalp_s_exits(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.by_hand(SPY_CALL, "buy", 3)
        event = adopted(w)
        assert (event["origin"], event["qty"], event["entry_price"]) == ("foreign_today", 3, "1.05")
        w.price("1.26", "1.30")
        w.until(w.outcomes)
        assert (w.outcomes()[0]["exit_reason"], w.outcomes()[0]["engine"]) == ("target", "adopted")
        assert w.held() == 0


def test_what_was_bought_by_hand_goes_after_forty_five_minutes(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.by_hand(SPY_CALL, "buy", 1)
        adopted(w)
        (position,) = w.watched
        w.until(lambda: not w.watched, 2800)
        w.run(1)
        (exit_order,) = w.exits
        assert w.outcomes()[0]["exit_reason"] == "time"
        assert timedelta(minutes=45) <= exit_order.created_at - position.opened_at < timedelta(minutes=46)


def test_a_foreign_later_expiry_is_watched_and_never_sold_by_a_rule(tmp_path: Path) -> None:
    with world(tmp_path, "14:30") as w:
        w.by_hand(SPY_LATER, "buy", 2)
        assert adopted(w)["origin"] == "foreign_later"
        w.price("5.00", "5.10", SPY_LATER)
        w.run(60)
        w.price("0.10", "0.15", SPY_LATER)
        w.to("15:59")
        assert w.held(SPY_LATER) == 2
        assert w.exits == []
        assert alpaca_executor.all_positions_monitored()


def test_ours_found_after_the_database_was_lost_keeps_its_engine_s_exits(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.crash()
        for file in tmp_path.glob("wsb_snake.db*"):
            file.unlink()
        w.start()
        (position,) = w.watched
        assert (position.origin, position.engine, position.qty) == ("ours", "spy_scalper", 4)
        assert position.entry_price == Decimal("1.05")
        w.price("1.26", "1.30")
        w.until(w.outcomes)
        assert w.held() == 0


def test_our_working_orders_are_found_after_the_database_was_lost(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.enter()
        w.price("1.10", "1.15")
        w.run(5)
        w.crash()
        for file in tmp_path.glob("wsb_snake.db*"):
            file.unlink()
        w.start()
        w.run(40)
        assert len(w.events("order_recovered")) == 1
        assert [o.status for o in w.own("buy")] == ["canceled"]
        assert w.watched == ()


def test_an_exit_of_ours_without_its_row_is_recovered_and_no_second_one_sent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        kept = tmp_path / "kept"
        kept.mkdir()
        w.crash()
        for file in tmp_path.glob("wsb_snake.db*"):
            shutil.copy(file, kept)
        w.start()
        w.price("0.00", "0.05")
        w.run(3)
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.run(5)
        w.crash()
        for file in tmp_path.glob("wsb_snake.db*"):  # a disk that lost what came after
            file.unlink()
        for file in kept.iterdir():
            shutil.copy(file, tmp_path)
        w.start()
        assert len(w.events("order_recovered")) == 1
        w.price("1.30", "1.35")
        w.until(w.outcomes, 30)
        assert len(w.own("sell")) == 1
        assert w.held() == 0


def test_contracts_added_by_hand_are_adopted_beside_ours(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.by_hand(SPY_CALL, "buy", 2)
        adopted(w)
        assert sorted(p.qty for p in w.watched) == [2, 4]
        w.price("1.40", "1.45")
        w.until(lambda: len(w.outcomes()) == 2)
        assert w.held() == 0
        assert w.broker.refusals == []


def test_a_close_by_hand_is_explained_by_its_fill(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("1.15", "1.20")
        w.by_hand(SPY_CALL, "sell", 4)
        w.until(w.outcomes, 60)
        (outcome,) = w.outcomes()
        assert (outcome["exit_reason"], outcome["exit_price"]) == ("manual_close", "1.15")
        assert outcome["position_id"] == position.position_id
        assert w.own("sell") == []
        assert w.paused() == set()


def test_a_part_closed_by_hand_leaves_the_rest_watched(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.by_hand(SPY_CALL, "sell", 1)
        w.until(lambda: w.position(position.position_id).qty == 3, 60)
        assert w.position(position.position_id).state is PositionState.OPEN
        w.price("1.26", "1.30")
        w.until(w.outcomes)
        (sale,) = w.own("sell")
        assert sale.qty == 3
        (outcome,) = w.outcomes()
        assert Decimal(outcome["gross_pnl"]) == 3 * 21 - 5  # three at 1.26, one at 1.00
        assert outcome["exit_reason"] == "target"


def test_a_close_by_hand_while_we_are_closing_sells_nothing_twice(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.by_hand(SPY_CALL, "sell", 4)
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(w.outcomes, 90)
        assert w.held() == 0
        assert sum(o.filled_qty for o in w.own("sell")) == 0
        assert len(w.outcomes()) == 1


def test_a_sale_that_nobody_here_made_in_the_last_hour_is_the_broker_s_liquidation(tmp_path: Path) -> None:
    """Every order of ours is lost on the way, so the broker comes first."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, liquidation="always")
    with world(tmp_path, "15:30", rules=rules, wsb_snake_cutoff_flatten=False) as w:
        w.exchange.hold(SPY_CALL, 2, Decimal("1.05"))
        w.run(60)
        assert w.watched
        w.to("15:46:30")
        (outcome,) = w.outcomes()
        assert outcome["exit_reason"] == "broker_liquidation"
        assert w.own("sell") == []


def test_what_cannot_be_explained_pauses_entries_and_is_not_called_closed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.exchange.account.trade(SPY_CALL, -4, Decimal(1), 100)  # gone, and no activity tells of it
        w.until(lambda: "reconcile" in w.paused(), 60)
        assert w.position(position.position_id).qty == 4
        assert w.outcomes() == []
        assert any("unexplained" in text for text in w.alerts())
        w.exchange.account.trade(SPY_CALL, 4, Decimal(1), 100)
        w.until(lambda: w.paused() == set(), 60)


def test_an_unexplained_gap_keeps_its_pause_while_its_symbol_settles(tmp_path: Path) -> None:
    """An exit order at work makes the symbol one that no reading judges; that explains nothing."""
    with world(tmp_path) as w:
        position = w.open()
        w.run(15)
        w.exchange.account.trade(SPY_CALL, -1, Decimal(1), 100)
        w.until(lambda: "reconcile" in w.paused(), 60)
        w.feed.shown[SPY_CALL] = ("2.00", "2.02")
        w.until(lambda: w.exits, 30)
        w.market.put(SPY_CALL, "0", "2.50", 50)
        for _ in range(60):
            w.run(1)
            assert "reconcile" in w.paused()
        assert w.events("resumed") == []
        w.feed.shown.clear()
        w.price("1.00", "1.04")
        w.exchange.account.trade(SPY_CALL, 1, Decimal(1), 100)
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 60)
        w.until(lambda: w.paused() == set(), 60)


def test_a_stranger_s_order_under_our_name_stops_entries_until_it_is_gone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        name = f"wsb-{position.position_id}-x-1"
        other = w.by_hand(SPY_PUT, "buy", 1, "0.01", "buy_to_open")
        w.exchange._book.put(replace(w.exchange._book.get(other.id), client_order_id=name))
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(w.outcomes, 60)
        for _ in range(40):
            w.run(1)
            assert "reconcile" in w.paused()
        w.exchange.cancel(other.id)
        w.until(lambda: w.paused() == set(), 60)


def test_activities_that_cannot_be_read_explain_nothing_yet(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.broker.once["activities"] = [Trouble(Unavailable("timed out"))] * 2
        w.by_hand(SPY_CALL, "sell", 4)
        w.until(w.outcomes, 90)
        assert w.outcomes()[0]["exit_reason"] == "manual_close"


def test_the_broker_s_lag_after_a_fill_is_no_finding(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.broker.shown["positions"] = ()
        position = w.open()
        w.run(9)
        del w.broker.shown["positions"]
        w.run(30)
        assert w.position(position.position_id).state is PositionState.OPEN
        held = w.do(w.broker.positions)
        w.broker.shown["positions"] = held
        w.price("1.26", "1.30")
        w.until(w.outcomes)
        w.run(8)
        del w.broker.shown["positions"]
        w.run(30)
        assert w.events("position_adopted") == []
        assert len(w.outcomes()) == 1


@pytest.mark.parametrize(
    ("symbol", "qty", "kind"),
    [("SPY", 100, "shares"), (SPY_PUT, -1, "short option")],
)
def test_what_is_never_traded_pauses_entries_and_is_told(
    tmp_path: Path, symbol: str, qty: int, kind: str
) -> None:
    with world(tmp_path) as w:
        ours = w.open()
        w.exchange.hold(symbol, qty, Decimal("1.00"))
        w.until(lambda: "reconcile" in w.paused(), 40)
        (risk,) = w.events("foreign_risk")
        assert [item["kind"] for item in risk["items"]] == [kind]
        assert w.enter(SPY_LATER, "two") is None
        w.run(3700)
        assert len(w.events("foreign_risk")) == 2  # hourly
        w.until(lambda: w.position(ours.position_id).state is PositionState.CLOSED, 60)
        assert w.exchange.account.qty(symbol) == qty
        w.exchange.account.trade(symbol, -qty, Decimal(1), 1)
        w.until(lambda: w.paused() == set(), 60)


def test_a_long_that_covers_a_short_is_left_alone(tmp_path: Path) -> None:
    with world(tmp_path, "15:10") as w:
        short = SPY_CALL.replace("00670000", "00680000")
        w.exchange.hold(short, -1, Decimal("0.50"))
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.to("15:59")
        assert w.held() == 1
        assert w.broker.sent() == []
        kinds = [item["kind"] for item in w.events("foreign_risk")[-1]["items"]]
        assert kinds == ["covers a short option", "short option"]
        assert len(w.events("foreign_risk")) >= 4  # every ten minutes of the last hour


def test_an_unknown_entry_that_shows_up_late_is_taken_back(tmp_path: Path) -> None:
    """Looked up and not found for more than ten seconds; then the broker has it after all."""
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"), effect=False)]
        order = w.enter()
        assert order is not None
        w.run(1)
        ticket = w.broker.sent()[0]
        w.until(lambda: w.position(order.position_id).state is PositionState.VOID, 40)
        w.do(lambda: w.broker._broker.submit(ticket))
        w.until(lambda: w.position(order.position_id).state is PositionState.OPEN, 40)
        assert w.events("position_adopted") == []
        assert [p.qty for p in w.watched] == [w.held()]


@pytest.mark.parametrize("first", ["the short", "the exit"])
def test_our_long_that_comes_to_cover_a_short_is_sold_by_name_only(tmp_path: Path, first: str) -> None:
    with world(tmp_path, "14:40") as w:
        ours = w.open()
        short = SPY_CALL.replace("00670000", "00680000")
        if first == "the exit":  # decided, and refused at first
            w.broker.always["submit"] = Rejected("halted")
            w.price("0.40", "0.42")
            w.until(lambda: w.position(ours.position_id).state is PositionState.EXITING, 60)
        w.exchange.hold(short, -ours.qty, Decimal("0.50"))
        w.until(lambda: w.events("foreign_risk"), 60)
        w.broker.always.clear()
        sales = len(w.exits)
        w.price("0.40", "0.42")  # far below the stop
        w.to("15:56")
        assert alpaca_executor.close_all() == 0
        w.run(10)
        assert w.held() == ours.qty and len(w.exits) == sales
        assert sum("are left alone" in text for text in w.alerts()) == 1
        (row,) = w.events("eod_not_flat")[-1]["open"]
        assert (row["symbol"], row["why"]) == (SPY_CALL, "not the daemon's to trade")
        assert alpaca_executor.close_position(SPY_CALL) == 1
        w.until(lambda: not w.held(), 60)
        assert w.exchange.account.qty(short) == -ours.qty


def test_where_many_shares_came_from_is_one_question_at_a_pace(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.broker.always["activities"] = Unavailable("timed out")
        for symbol in ("NVDA", "SPY", "TSLA"):
            w.exchange.account.trade(symbol, 100, Decimal(10), 1)
        w.run(300)
        asked = [at for name, at, _ in w.broker.calls if name == "activities"]
        assert 3 <= len(asked) <= 6
        w.broker.always.clear()
        w.run(120)
        before = len(w.broker.calls)
        w.run(120)
        assert "activities" not in {name for name, _, _ in w.broker.calls[before:]}
