"""kill -9 in the middle: one exit, one outcome, whatever was under way."""

import random
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import IWM_CALL, SPY_CALL
from tests.trading.world import Trouble, World, world
from wsb_snake.core.orders import ExitReason, OrderStatus, PositionState, Purpose
from wsb_snake.sim.orders import NewOrder
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.book import Change
from wsb_snake.trading.broker import BrokerError, Unavailable, Unknown
from wsb_snake.trading.order_ids import number_of, order_id


def test_an_open_position_is_taken_up_with_its_plan(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        before = w.open()
        w.restart()
        (after,) = w.watched
        assert (after.position_id, after.entry_price, after.plan, after.opened_at, after.qty) == (
            before.position_id,
            before.entry_price,
            before.plan,
            before.opened_at,
            before.qty,
        )
        assert w.events("position_adopted") == []
        w.price("1.26", "1.30")
        w.until(w.outcomes)
        assert len(w.own("sell")) == 1


@pytest.mark.parametrize("orders_can_be_read", [True, False])
def test_what_is_held_is_looked_at_as_soon_as_it_may_be_closed(
    tmp_path: Path, orders_can_be_read: bool
) -> None:
    with world(tmp_path) as w:
        w.open()
        w.crash()
        w.start(agree=False)
        w.run(2.5)  # no pass is due: they lie on a grid of 5 s, readings on whole ones
        w.do(w.daemon.connect_account)
        begun, before = w.clock.now(), w.daemon.monitor_at
        assert before is not None and before < begun
        if orders_can_be_read:
            w.do(w.daemon.agree)
        else:
            w.broker.always["orders_since"] = Unavailable("HTTP 503")
            with pytest.raises(Unavailable):
                w.do(w.daemon.agree)
        w.run(0.01)
        assert w.daemon.monitor_at is not None and w.daemon.monitor_at >= begun


def test_the_high_of_a_trail_survives(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("1.20", "1.24")
        w.run(65)  # high-water marks become durable every 30 s
        w.price("1.10", "1.14")
        w.run(5)
        w.restart()
        assert w.position(position.position_id).watch.high_bid == Decimal("1.20")


def test_an_exit_that_was_sent_and_not_confirmed_is_found_not_repeated(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), effect=True, seconds=30)]
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(lambda: w.own("sell"), 5)
        w.restart()
        w.until(w.outcomes, 20)
        assert len(w.own("sell")) == 1
        assert w.broker.sent() == []


def test_an_exit_that_was_planned_and_never_sent_is_sent_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), seconds=30)]
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.run(1)
        w.restart()
        w.until(w.outcomes, 60)
        assert len(w.own("sell")) == 1
        assert w.outcomes()[0]["exit_reason"] == "stop"


@pytest.mark.parametrize("by", ["owner", "quote"])
def test_a_claim_and_its_first_order_are_one_commit_and_a_crash_after_it_sells_once(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[list[str]] = []
    write = Change.write

    def noted(change: Change, conn: sqlite3.Connection) -> None:
        commits.append([kind for kind, _ in change.events])
        write(change, conn)

    monkeypatch.setattr(Change, "write", noted)
    with world(tmp_path) as w:
        position = w.open()
        if by == "owner":
            alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        else:
            w.price("1.26", "1.30")
        w.hub.run(lambda: bool(w.events("exit_condition")))
        assert ["exit_condition", "exit_sent"] in commits
        (planned,) = w.events("exit_sent")
        row = f"SELECT status FROM orders WHERE client_order_id = '{planned['client_order_id']}'"
        assert w.rows(row) == [{"status": "planned"}]
        assert w.own("sell") == []
        w.restart()
        w.until(w.outcomes, 60)
        assert [o.status for o in w.own("sell")] == ["filled"]
        assert len(w.events("exit_condition")) == 1


def test_a_claim_before_its_commit_is_decided_anew_after_a_crash(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        assert [order.status for order in w.exits] == [OrderStatus.PLANNED]
        w.restart()
        assert w.position(position.position_id).state is PositionState.OPEN
        assert w.exits == []


@pytest.mark.parametrize("arrived", [True, False])
def test_an_entry_in_flight_is_looked_up(tmp_path: Path, arrived: bool) -> None:
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), effect=arrived, seconds=30)]
        order = w.enter()
        assert order is not None
        w.run(0.5)
        w.restart()
        w.run(30)
        known = w.desk.book.orders[order.client_order_id]
        state = w.position(order.position_id).state
        if arrived:
            assert (known.status, state) == (OrderStatus.FILLED, PositionState.OPEN)
        else:
            assert (known.status, state) == (OrderStatus.NEVER_SENT, PositionState.VOID)
        assert w.broker.sent() == []
        assert w.held() == (4 if arrived else 0)


def test_a_planned_entry_is_never_sent_by_the_next_process(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        order = w.enter()
        assert order is not None
        w.hub.run(lambda: bool(w.rows("SELECT 1 FROM orders")))
        assert w.own("buy") == []
        w.restart()
        assert w.desk.book.orders[order.client_order_id].status is OrderStatus.UNKNOWN
        w.run(30)
        assert w.position(order.position_id).state is PositionState.VOID
        assert w.own("buy") == []


def test_a_fill_that_happened_while_nobody_ran_is_booked(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        order = w.enter()
        assert order is not None
        w.until(lambda: w.own("buy"), 2)
        w.crash()
        w.clock.advance_to(w.clock.monotonic() + 600)
        w.exchange.advance()
        assert w.held() == 4
        w.start()
        assert w.position(order.position_id).state is PositionState.OPEN
        assert w.position(order.position_id).entry_price == Decimal("1.05")
        assert len(w.events("fill")) == 1


def test_a_sale_by_hand_while_nobody_ran_is_explained(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.crash()
        w.clock.advance_to(w.clock.monotonic() + 600)
        w.by_hand(SPY_CALL, "sell", 4)
        w.clock.advance_to(w.clock.monotonic() + 600)
        w.start()
        w.until(w.outcomes, 60)
        assert w.outcomes()[0]["exit_reason"] == "manual_close"


def test_nothing_is_sold_before_the_broker_s_orders_were_read(tmp_path: Path) -> None:
    """Also not by a position that was being closed: this could be the wrong account."""
    with world(tmp_path) as w:
        position = w.open()
        w.broker.always["submit"] = Unavailable("refused")
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.run(3)
        w.crash()
        w.start(agree=False)
        w.run(60)
        assert w.position(position.position_id).state is PositionState.EXITING
        assert w.broker.sent() == []
        w.agree()
        w.until(w.outcomes, 20)


def test_a_start_without_an_answer_trades_nothing_and_goes_on_when_it_comes(tmp_path: Path) -> None:
    w = World(tmp_path)
    w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
    w.start(agree=False)
    try:
        w.broker.always["orders_since"] = Unavailable("timed out")
        with pytest.raises(Unavailable):
            w.agree()
        assert w.enter(IWM_CALL) is None
        assert w.refusals() == ["not reconciled with the broker yet"]
        del w.broker.always["orders_since"]
        w.agree()
        assert [p.symbol for p in w.watched] == [SPY_CALL]
    finally:
        w.crash()


def restarted_without(w: World, name: str) -> None:
    """A new process for which one endpoint never answers, and its start lane."""
    w.crash()
    w.start(agree=False)
    w.broker.always[name] = Unavailable("HTTP 500")

    def lane() -> None:
        while not w.desk.ready:
            try:
                if w.daemon.account is None:
                    w.daemon.connect_account()
                w.daemon.agree()
            except BrokerError:
                w.daemon.not_agreed()
            w.hub.sleep(5)

    w.hub.spawn("start", lane)
    w.run(10)


@pytest.mark.parametrize(("name", "reason"), [("calendar", "calendar"), ("clock", "clock")])
def test_what_only_entries_need_keeps_no_position_open(tmp_path: Path, name: str, reason: str) -> None:
    with world(tmp_path) as w:
        w.open()
        restarted_without(w, name)
        assert reason in w.paused()
        assert w.enter(IWM_CALL, "two") is None
        w.price("0.40", "0.42")
        w.until(w.outcomes, 20)
        del w.broker.always[name]
        w.until(lambda: reason not in w.paused(), 1000)


def test_without_the_past_orders_what_the_database_holds_is_closed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        restarted_without(w, "orders_since")
        assert w.enter(IWM_CALL, "two") is None
        assert "open positions are watched and closed as usual" in w.alerts()[-1]
        w.price("0.40", "0.42")
        w.until(w.outcomes, 20)
        (sale,) = w.exits
        assert number_of(sale.client_order_id) > 50  # no row that was lost can have had it
        w.price("1.02", "1.04")
        del w.broker.always["orders_since"]
        w.until(lambda: w.desk.ready, 10)
        assert w.paused() == set()
        assert w.position(position.position_id).state is PositionState.CLOSED
        w.open(IWM_CALL, "three")


def test_without_the_past_orders_a_sale_whose_row_was_lost_is_not_repeated(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.exchange.place(
            NewOrder(
                SPY_CALL,
                "sell",
                position.qty,
                "limit",
                Decimal("1.10"),
                client_order_id=order_id(position.position_id, Purpose.EXIT, 1),
            )
        )
        restarted_without(w, "orders_since")
        assert number_of(w.exits[0].client_order_id) == 1  # found at the broker, and worked on
        assert w.position(position.position_id).exit_reason is ExitReason.RECOVERED
        w.until(w.outcomes, 60)
        assert w.held() == 0 and w.broker.refusals == []


def test_without_the_past_orders_no_order_is_asked_for_while_it_is_being_sent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        restarted_without(w, "orders_since")
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), seconds=25)]
        w.price("0.40", "0.42")
        w.until(w.broker.sent, 20)
        w.run(24)
        assert [name for name, _, _ in w.broker.calls if name == "order_by_client_id"] == []
        assert len(w.broker.sent()) == 1
        w.until(w.outcomes, 60)


@pytest.mark.parametrize("name", ["positions", "open_orders"])
def test_a_pause_says_so_while_nothing_can_be_closed(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        w.open()
        restarted_without(w, name)
        assert w.paused() == {"reconcile"}
        (told,) = (text for text in w.alerts() if "the broker has not been agreed with" in text)
        assert "closed only from when the broker" in told and "as usual" not in told
        w.price("0.40", "0.42")
        w.run(30)
        assert w.broker.sent() == []
        del w.broker.always[name]
        w.until(w.outcomes, 30)


def countdown(steps: int) -> Callable[[], bool]:
    """True from the ``steps``-th question on."""
    left = iter(range(steps))
    return lambda: next(left, None) is None


@pytest.mark.parametrize("seed", range(40))
def test_a_crash_at_any_step_sells_once_and_learns_once(tmp_path: Path, seed: int) -> None:
    """Two positions go through entry, stop and end of day while the process dies at random steps."""
    luck = random.Random(seed)
    with world(tmp_path, "14:30", seed=seed, rules=Rules(), wsb_snake_cutoff_flatten=False) as w:
        w.enter(SPY_CALL, "one")
        w.enter(IWM_CALL, "two")
        bought = False
        for _ in range(3):
            steps = luck.randrange(1, 400)
            w.hub.run(countdown(steps))
            if not bought and w.held():
                bought = True
                w.price("0.80", "0.84")
            w.restart()
        w.price("0.50", "0.54")
        w.price("0.50", "0.54", IWM_CALL)
        w.run(60)
        assert (w.held(SPY_CALL), w.held(IWM_CALL)) == (0, 0)
        for symbol in (SPY_CALL, IWM_CALL):
            sides = {
                side: sum(o.filled_qty for o in w.own(side) if o.symbol == symbol) for side in ("buy", "sell")
            }
            assert sides["buy"] == sides["sell"]
            spent = sum(o.filled_cost for o in w.own("buy") if o.symbol == symbol)
            got = sum(o.filled_cost for o in w.own("sell") if o.symbol == symbol)
            gross = [Decimal(o["gross_pnl"]) for o in w.outcomes() if o["symbol"] == symbol]
            assert len(gross) == (1 if sides["buy"] else 0)
            assert sum(gross) == (got - spent) * 100
        assert w.broker.refusals == []
