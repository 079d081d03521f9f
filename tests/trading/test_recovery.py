"""Orders whose rows a stalled disk lost: entered at the next start, with their fills, once."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL
from tests.trading.world import World, world
from wsb_snake.core.orders import ExitReason, OrderStatus, PositionState
from wsb_snake.sim.orders import NewOrder
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.order_ids import number_of


@contextmanager
def stalled_disk(w: World) -> Iterator[None]:
    """Nothing that is written inside becomes durable before the end, where the process is dead."""
    blocker = sqlite3.connect(w.settings.db_path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        yield
        w.crash()
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()


def test_a_sale_whose_row_is_lost_closes_its_position_with_its_price(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("1.10", "1.14")
        w.run(6)
        with stalled_disk(w):
            alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
            w.until(lambda: w.held() == 0, 10)
        w.start()
        assert w.position(position.position_id).state is PositionState.CLOSED
        w.until(w.outcomes, 10)
        (outcome,) = w.outcomes()
        assert (outcome["exit_reason"], outcome["exit_price"]) == ("recovered", "1.10")
        assert len(w.events("order_recovered")) == 1
        assert w.paused() == set()


@pytest.mark.parametrize("seconds", [1.0, 8.0])
def test_a_working_exit_whose_row_is_lost_is_pursued_under_a_new_name(tmp_path: Path, seconds: float) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.20", "1.22")
        w.run(6)
        with stalled_disk(w):
            alpaca_executor.execute_exit(position.position_id, ExitReason.TARGET)
            w.market.put(SPY_CALL, "0", "1.50", 50)  # not even a market order sells
            w.run(seconds)
            assert w.own("sell")
        w.price("1.00", "1.04")
        w.feed.shown.clear()
        w.start()
        w.until(w.outcomes, 60)
        assert w.broker.refusals == []
        names = [o.client_order_id for o in w.own("sell")]
        assert len(names) == len(set(names))
        assert {o.client_order_id for o in w.exits} == set(names)
        assert len(w.outcomes()) == 1


def test_a_position_whose_row_is_lost_with_its_sale_is_rebuilt(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        with stalled_disk(w):
            w.by_hand(SPY_CALL, "buy", 2)
            w.until(lambda: w.watched, 30)
            w.price("1.26", "1.30")
            w.until(lambda: w.held() == 0, 30)
        assert w.rows("SELECT * FROM positions") == []
        w.start()
        w.until(w.outcomes, 10)
        (outcome,) = w.outcomes()
        assert (outcome["qty"], outcome["entry_price"], outcome["exit_price"]) == (2, "1.05", "1.26")
        assert w.paused() == set()


def test_what_is_already_booked_is_not_entered_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.price("1.26", "1.30")
        w.until(w.outcomes, 30)
        w.restart()
        w.run(30)
        assert w.events("order_recovered") == []
        assert len(w.outcomes()) == 1


def test_the_next_number_counts_from_the_highest_that_was_used(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(lambda: w.exits, 5)
        w.until(lambda: w.held() == 0, 10)
        assert [number_of(o.client_order_id) for o in w.exits] == [1]


def test_a_name_that_is_taken_is_left_alone_and_the_next_number_is_used(tmp_path: Path) -> None:
    """The broker has an order under the name that we just chose: not ours to take over."""
    with world(tmp_path) as w:
        position = w.open()
        name = f"wsb-{position.position_id}-x-1"
        taken = w.by_hand(SPY_CALL, "sell", position.qty, "9.00", "sell_to_close")
        w.exchange.cancel(taken.id)
        w.run(1)
        w.exchange._book.put(replace(w.exchange._book.get(taken.id), client_order_id=name))
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(w.outcomes, 60)
        first, second = w.exits[:2]
        assert (first.status, first.filled_qty) == (OrderStatus.NEVER_SENT, 0)
        assert number_of(second.client_order_id) == 2
        assert w.outcomes()[0]["exit_price"] == "1.00"
        assert w.paused() == set()


@pytest.mark.parametrize("filled_before", [True, False])
@pytest.mark.parametrize(("qty", "left"), [(6, 0), (5, 1), (4, 2)])
def test_one_sale_for_the_whole_contract_closes_every_position_in_it(
    tmp_path: Path, qty: int, left: int, filled_before: bool
) -> None:
    """``flatten --direct`` has no book: it sells what the account holds with one order."""
    with world(tmp_path) as w:
        w.open()
        w.run(12)
        w.by_hand(SPY_CALL, "buy", 2)
        w.until(lambda: len(w.watched) == 2, 60)
        w.run(12)
        assert [p.qty for p in w.watched] == [4, 2]
        w.crash()
        name = "wsb-20261123-d-abcdefghijkm-x-1"
        w.exchange.place(NewOrder(SPY_CALL, "sell", qty, "limit", Decimal("0.90"), client_order_id=name))
        if filled_before:
            w.clock.advance_to(w.clock.monotonic() + 2)
            w.exchange.advance()
            assert w.held() == left
        w.start()
        w.run(60)
        assert w.paused() == set()
        assert sum(p.qty for p in w.watched) == left
        outcomes = w.outcomes()
        assert len(outcomes) == 2 - bool(left)
        assert {(o["exit_reason"], o["exit_price"]) for o in outcomes} == {("recovered", "1.00")}
