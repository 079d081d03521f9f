"""A decided exit without an order at the broker is told; one that a rule lets wait is not."""

from datetime import datetime
from pathlib import Path

import pytest

from tests.sim.bench import IWM_CALL, SPY_CALL, SPY_LATER
from tests.trading.world import World, world
from wsb_snake.core.orders import ExitReason
from wsb_snake.trading import alpaca_executor as executor_module
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Unavailable, Unknown
from wsb_snake.trading.closing import BLOCKED_AT_MOST_S
from wsb_snake.trading.desk import Desk


def told(w: World) -> list[tuple[str, str]]:
    """What was said of exits without an order, and why."""
    found = [(event["what"], event["detail"]) for event in w.events("error")]
    return [(what, why) for what, why in found if "no order is at the broker" in what]


def test_an_exit_that_never_gets_there_is_told_after_a_minute_and_every_ten(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.broker.always["submit"] = Unavailable("HTTP 503")
        w.price("1.26", "1.30")
        w.run(50)
        assert told(w) == []
        w.run(20)
        ((what, why),) = told(w)
        assert what.startswith(f"decided to sell {position.qty} {SPY_CALL} (target) 6")
        assert "HTTP 503" in why
        w.run(500)
        assert len(told(w)) == 1
        w.run(120)
        assert len(told(w)) == 2
        w.broker.always.clear()
        w.until(w.outcomes, 60)
        assert len(told(w)) == 2
        assert any("s ago and no order is at the broker" in text for text in w.alerts())


def test_so_is_one_whose_fate_nobody_tells(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.broker.always["submit"] = Unknown("reset")
        w.broker.always["order_by_client_id"] = Unavailable("HTTP 500")
        w.price("1.26", "1.30")
        w.run(75)
        assert [why for _, why in told(w)] == ["the outcome of the closing order is unknown"]
        w.broker.always.clear()
        w.until(w.outcomes, 60)


def test_so_is_one_that_nobody_carries_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(desk: Desk) -> list[datetime]:
        return []

    with world(tmp_path) as w:
        position = w.open()
        with monkeypatch.context() as patch:
            patch.setattr(executor_module, "work_orders", nothing)
            alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
            w.run(75)
            assert [why for _, why in told(w)] == ["the order is planned and waits for its send"]
        w.until(w.outcomes, 60)


def test_where_nobody_bids_the_refusals_say_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.price("0.00", "0.05")
        w.run(10)
        w.broker.always["submit"] = Unavailable("HTTP 503")
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.run(120)
        assert told(w) == []


def test_somebodys_order_excuses_it_only_while_it_is_waited_for(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.by_hand(SPY_CALL, "sell", 1, "1.80")
        w.desk.pollers.orders.ask()
        w.run(2)
        w.broker.always["submit"] = w.broker.always["cancel"] = Unavailable("HTTP 503")
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.run(BLOCKED_AT_MOST_S + 45)
        assert told(w) == []
        w.run(30)
        ((what, why),) = told(w)
        assert what.startswith(f"decided to sell {position.qty} {SPY_CALL} (stop) 7")
        assert "HTTP 503" in why
        w.broker.always.clear()
        w.until(w.outcomes, 60)


def test_a_market_that_is_closed_is_waited_for(tmp_path: Path) -> None:
    with world(tmp_path, "15:59:30") as w:
        w.exchange.hold(SPY_LATER, 1, w.exchange.quote(SPY_LATER, w.clock.now()).ask)  # type: ignore[union-attr]
        w.until(lambda: w.watched, 29)
        w.broker.always["submit"] = Unavailable("HTTP 503")
        (position,) = w.watched
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.run(300)
        assert told(w) == []


def test_a_calm_day_tells_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "14:00") as w:
        w.open()
        w.price("0.90", "1.05")  # a wide spread: the ladder down to market
        w.run(90)
        alpaca_executor.close_all()
        w.until(lambda: not w.watched, 120)
        w.open(IWM_CALL, "two")
        w.to("15:15")
        w.until(lambda: not w.watched, 120)
        w.to("16:01")
        assert told(w) == []
        assert len(w.outcomes()) == 2
