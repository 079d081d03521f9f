"""Book against broker in quiet hours, and positions that go on entering."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.backtest.campaign.watching import Watch, watched
from tests.sim.bench import IWM_CALL
from wsb_snake.backtest.campaign.violation import Promise
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.trading.alpaca_executor import alpaca_executor


def look(watch: Watch, times: int = 1) -> None:
    """The check as of now; it looks every five seconds."""
    for _ in range(times):
        watch.book.step(watch.world.desk, watch.orders.last_fill_at)
        watch.world.run(5)


def test_book_and_broker_agree_when_all_is_quiet(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.world.open()
        look(watch)
        assert watch.findings.checked[Promise.BOOK_IS_BROKER] == 0  # too soon after the fill
        watch.world.run(65)
        look(watch)
        assert watch.findings.checked[Promise.BOOK_IS_BROKER] == 1
        assert watch.findings.violations == []


def test_contracts_that_the_book_lacks(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.world.run(65)
        watch.world.exchange.hold(IWM_CALL, 2, Decimal(1))
        look(watch)
        assert watch.broken(Promise.BOOK_IS_BROKER) == [f"broker {{'{IWM_CALL}': 2}}, book {{}}"]


def test_contracts_that_the_broker_lacks(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        position = watch.world.open()
        watch.world.run(65)
        watch.world.desk.ready = False  # nobody puts it right
        with watch.world.desk.book.change() as commit:
            commit.change.position(replace(position, qty=position.qty + 1))
        look(watch)
        assert len(watch.broken(Promise.BOOK_IS_BROKER)) == 1
        with watch.world.desk.book.change() as commit:
            commit.change.position(position)


def test_nothing_is_judged_while_something_is_in_the_way(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.world.run(65)
        watch.faults.hinder(watch.world.clock.now())
        watch.world.exchange.hold(IWM_CALL, 2, Decimal(1))
        look(watch)
        watch.world.run(65)
        watch.book.started()
        look(watch)
        assert watch.findings.checked[Promise.BOOK_IS_BROKER] == 0


def test_nothing_is_judged_when_the_market_is_shut(tmp_path: Path) -> None:
    with watched(tmp_path, "08:00") as watch:
        watch.world.run(65)
        look(watch)
        assert watch.findings.checked == {}


def test_a_position_that_enters_for_ever(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        position = watch.world.open()
        with watch.world.desk.book.change() as commit:
            commit.change.position(replace(position, state=PositionState.ENTERING))
        look(watch, 12)
        assert watch.broken(Promise.RESERVATIONS_END) == []
        look(watch, 13)
        assert (
            watch.broken(Promise.RESERVATIONS_END)[0]
            == f"entering without an order: {[position.position_id]}"
        )
        with watch.world.desk.book.change() as commit:
            commit.change.position(position)


def test_a_position_enters_as_long_as_its_order_works(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        intent = watch.world.intent()
        watch.world.price("1.02", "1.07")  # above what it was decided on, and above its limit soon
        order = alpaca_executor.execute_scalp_entry(intent)
        watch.world.price("1.20", "1.25")
        assert order is not None
        look(watch, 3)
        assert watch.world.position(order.position_id).state is PositionState.ENTERING
        assert watch.findings.checked[Promise.RESERVATIONS_END] == 3
        assert watch.findings.violations == []


@pytest.mark.parametrize(("seconds", "broken"), [(5, False), (25, True)])
def test_a_position_closed_in_the_book_that_is_held(tmp_path: Path, seconds: int, broken: bool) -> None:
    with watched(tmp_path) as watch:
        position = watch.world.open()
        watch.world.run(seconds)
        with watch.world.desk.book.change() as commit:
            commit.change.close(replace(position, exit_reason=ExitReason.UNEXPLAINED))
        look(watch)
        assert bool(watch.broken(Promise.BOOK_IS_BROKER)) is broken


def test_a_position_sold_by_hand_is_closed_rightly(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        position = watch.world.open()
        watch.world.run(30)
        watch.world.by_hand(position.symbol, "sell", position.qty)
        watch.world.until(lambda: watch.world.position(position.position_id).state == "closed")
        watch.world.run(30)
        look(watch)
        assert watch.findings.checked[Promise.BOOK_IS_BROKER] >= 1
        assert watch.findings.violations == []
