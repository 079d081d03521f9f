"""The watch over the day's loss, in the daemon."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sim.bench import AAPL_LATER, IWM_CALL, SPY_CALL, SPY_LATER, SPY_PUT
from tests.trading.world import SCALP, World, world
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.trading.alpaca_executor import alpaca_executor

RICH: dict[str, Any] = {
    "wsb_snake_max_trade_dollars": Decimal(1500),
    "wsb_snake_trade_dollars": Decimal(1500),
}


def pauses(w: World) -> list[str]:
    return [event["reason"] for event in w.events("paused")]


def test_one_odd_quote_does_not_end_the_day(tmp_path: Path) -> None:
    with world(tmp_path, **RICH) as w:
        w.price("4.95", "5.00")
        w.open(plan=NO_EXITS)
        w.to("10:00:33")  # between two monitor passes
        w.price("0.05", "5.60")
        w.run(5)
        w.price("4.95", "5.00")
        w.run(60)
        assert pauses(w) == []
        w.price("1.95", "2.00")
        w.run(20)
        assert w.paused() == {"daily_loss"}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_night_without_bids_does_not_end_the_next_day(tmp_path: Path, restarted: bool) -> None:
    with world(tmp_path, "15:40", **RICH) as w:
        w.price("6.95", "7.00", SPY_LATER)
        w.open(SPY_LATER, plan=NO_EXITS)
        w.to("16:05:00")
        w.price("0", "14.00", SPY_LATER)
        w.run(3600)
        w.price("0.05", "14.00", SPY_LATER)
        w.run(16 * 3600 + 24 * 60)  # to 09:29
        if restarted:
            w.restart()
        w.run(5 * 60)  # through the first minutes of the session
        assert pauses(w) == []
        w.price("3.45", "3.50", SPY_LATER)  # the night's loss is not the day's
        w.run(10 * 60)
        assert pauses(w) == []
        if restarted:
            w.restart()
        w.price("0.10", "0.15", SPY_LATER)
        w.run(60)
        assert w.paused() == {"daily_loss"}


def test_the_pause_lasts_until_the_next_day_also_where_the_loss_is_made_up_for(tmp_path: Path) -> None:
    with world(tmp_path, "15:40", **RICH) as w:
        w.price("4.95", "5.00", SPY_LATER)
        w.open(SPY_LATER, plan=NO_EXITS)
        w.price("1.95", "2.00", SPY_LATER)
        w.run(60)
        assert w.paused() == {"daily_loss"}
        w.price("4.95", "5.00", SPY_LATER)
        w.run(60)
        w.restart()
        w.run(60)
        assert w.paused() == {"daily_loss"}
        assert w.enter() is None
        w.run(17 * 3600 + 50 * 60)  # to 09:33
        assert "daily_loss" not in w.paused()


def test_what_the_daemon_never_trades_hides_no_loss(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_daily_loss_dollars=Decimal(100)) as w:
        w.price("9.95", "10.00", AAPL_LATER)
        w.by_hand(AAPL_LATER, "buy", 3)
        w.until(lambda: w.watched, 60)
        w.price("17.00", "17.10", AAPL_LATER)
        w.run(20)
        assert alpaca_executor.day_pnl() == 0
        for number, symbol in enumerate((SPY_CALL, IWM_CALL, SPY_PUT)):
            if "daily_loss" in w.paused():
                break
            w.price("1.00", "1.05", symbol)
            w.run(5)
            w.open(symbol, f"s{number}", SCALP)
            w.price("0.70", "0.75", symbol)
            w.run(60)
        assert "daily_loss" in w.paused()


def test_an_old_loss_that_is_adopted_and_sold_today_ends_no_day(tmp_path: Path) -> None:
    w = World(tmp_path)
    w.price("6.95", "7.00")
    w.exchange.hold(SPY_CALL, 1, Decimal("14.00"))
    w.start()
    w.until(lambda: w.events("position_closed"), 120)  # its stop counts from what it cost
    w.run(30)
    assert w.events("position_adopted") and alpaca_executor.day_pnl() <= 0
    assert pauses(w) == []
    w.crash()
