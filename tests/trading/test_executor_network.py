"""What the network does to answers and updates: late, lost, doubled, out of order, never."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.sim.bench import SPY_PUT
from tests.trading.world import Trouble, World, world
from wsb_snake.backtest.sim_broker import trade_update
from wsb_snake.core.orders import ExitReason, OrderStatus, PositionState
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerError, Fatal, Throttled, Unavailable, Unknown

IN_PARTS = Rules(partial_fill_chance=1, fill_beats_cancel_chance=0)


def agrees_with_the_exchange(w: World) -> None:
    """Each order of ours in the book is what the exchange made of it."""
    book = w.desk.book.orders
    for order in (*w.own("buy"), *w.own("sell")):
        mine = book[order.client_order_id]
        assert (mine.filled_qty, str(mine.status)) == (order.filled_qty, str(order.status))
        if order.filled_qty:
            assert mine.filled_avg_price is not None
            assert abs(mine.filled_avg_price - order.filled_cost / order.filled_qty) < Decimal("0.000001")


@pytest.mark.parametrize("seconds", [0.0, 25.0])
@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_or_hanging_entry_is_looked_up_by_its_name(
    tmp_path: Path, seconds: float, effect: bool
) -> None:
    with world(tmp_path) as w:
        w.lose_updates = True
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), effect, seconds)]
        order = w.enter()
        assert order is not None
        w.run(60)
        assert len(w.broker.sent()) == 1
        looked_up = [name for call, _, name in w.broker.calls if call == "order_by_client_id"]
        assert set(looked_up) <= {order.client_order_id}
        assert looked_up or effect  # polling may have found it before
        assert w.position(order.position_id).state is (PositionState.OPEN if effect else PositionState.VOID)
        assert w.held() == (4 if effect else 0)


@pytest.mark.parametrize("seconds", [0.0, 25.0])
@pytest.mark.parametrize("effect", [True, False])
def test_a_lost_or_hanging_exit_sells_once(tmp_path: Path, seconds: float, effect: bool) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.lose_updates = True
        w.broker.once["submit"] = [Trouble(Unknown("timed out"), effect, seconds)]
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 90)
        assert sum(o.filled_qty for o in w.own("sell")) == position.qty
        assert w.held() == 0
        assert w.broker.refusals == []


@pytest.mark.parametrize("error", [Throttled("429"), Unavailable("connection refused")])
def test_an_entry_that_did_not_go_is_given_up(tmp_path: Path, error: BrokerError) -> None:
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(error)]
        order = w.enter()
        assert order is not None
        w.run(60)
        assert w.desk.book.orders[order.client_order_id].status is OrderStatus.NEVER_SENT
        assert w.position(order.position_id).state is PositionState.VOID
        assert len(w.broker.sent()) == 1


def test_a_cancel_whose_answer_is_lost_is_confirmed_before_the_next_order(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[position.symbol] = ("1.00", "1.05")
        w.price("0.90", "0.95")
        w.lose_updates = True
        w.broker.once["cancel"] = [
            Trouble(Unknown("reset"), effect=True),
            Trouble(Unknown("reset"), effect=False),
        ]
        alpaca_executor.execute_exit(position.position_id, ExitReason.TARGET)
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 90)
        sales = w.own("sell")
        for before, after in pairwise(sales):
            assert before.canceled_at is not None and before.canceled_at <= after.submitted_at
        assert w.broker.refusals == []


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("how", ["lost", "doubled", "reversed"])
def test_parts_add_up_however_the_updates_come(tmp_path: Path, how: str, seed: int) -> None:
    with world(tmp_path, rules=IN_PARTS, seed=seed, wsb_snake_max_trade_dollars=Decimal(1000)) as w:
        w.lose_updates = how != "doubled"
        w.repeat_updates = 2
        order = w.enter()
        assert order is not None
        w.until(lambda: w.own("buy") and not w.own("buy")[0].open, 30)
        if how == "reversed":
            for message in reversed(w.updates):
                w.daemon.take_update(trade_update(message))
        w.until(lambda: w.position(order.position_id).state is PositionState.OPEN, 30)
        assert w.position(order.position_id).qty == w.held()
        w.price("1.26", "1.30")
        w.until(lambda: w.position(order.position_id).state is PositionState.CLOSED, 60)
        w.run(3)
        agrees_with_the_exchange(w)
        gross = sum(o.filled_cost for o in w.own("sell")) - sum(o.filled_cost for o in w.own("buy"))
        assert Decimal(w.outcomes()[0]["gross_pnl"]) == gross * 100


def test_refused_keys_pause_entries_and_are_told(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Fatal("HTTP 401: the broker refuses the API keys"))]
        w.enter()
        w.run(5)
        assert "alpaca" in w.paused()
        assert any("refuses the API keys" in text for text in w.alerts())
        assert w.held() == 0


@pytest.mark.parametrize("name", ["positions", "open_orders", "account"])
def test_five_failures_of_one_group_pause_with_their_number_and_success_heals(
    tmp_path: Path, name: str
) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.broker.always[name] = Unavailable("timed out")
        w.until(lambda: "alpaca" in w.paused(), 400)
        w.run(1)
        told = [text for text in w.alerts() if text.startswith("Trading paused:")]
        assert len(told) == 1
        assert told[0].startswith("Trading paused: 5 consecutive Alpaca failures.")
        failed = [call for call, at, _ in w.broker.calls if call == name and at > position.opened_at]
        assert len(failed) >= 5
        assert w.enter(SPY_PUT, "two") is None
        w.price("1.26", "1.30")
        w.until(w.outcomes, 30)
        del w.broker.always[name]
        w.until(lambda: w.paused() == set(), 200)
        w.run(60)
        assert w.enter(SPY_PUT, "three") is not None


def test_four_failures_and_a_success_pause_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for _ in range(3):
            w.broker.once["positions"] = [Trouble(Unavailable("timed out"))] * 4
            w.run(150)
            assert w.broker.once["positions"] == []
        assert w.events("paused") == []


@pytest.mark.parametrize("idle_s", [31.0, 33.0, 37.0, 41.0])
def test_a_fill_that_the_stream_lost_is_learnt_within_seconds(tmp_path: Path, idle_s: float) -> None:
    """Whatever the pace of the positions: a live order that the list lacks is looked up at once."""
    with world(tmp_path) as w:
        w.run(idle_s)
        w.lose_updates = True
        order = w.enter()
        assert order is not None
        w.until(lambda: w.position(order.position_id).state is PositionState.OPEN, 8)
