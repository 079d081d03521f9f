"""Whole days through the production daemon: one seed, one order list, at every depth."""

import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from tests.source_rules import ROOT
from wsb_snake.backtest import driver
from wsb_snake.backtest.driver import DEMO_DAY, DayPlan, Depth, DriverError, run_day
from wsb_snake.backtest.embedded import embedded_settings
from wsb_snake.backtest.summary import DayResult, order_list_hash
from wsb_snake.core.occ import parse
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.recorded import RecordedMarket

HALF_DAY = date(2026, 11, 27)
RECORDED = date(2026, 7, 29)


HOUR = (timedelta(hours=-1), timedelta(hours=-4, minutes=-30))
"""A day that starts that long before its open and ends that long after its close, 10:30 to 11:30: its
entries and exits are enough to compare depths by."""

AFTERNOON = timedelta(hours=-5)
"""A day that starts that long before its open has its end."""

HOUR_ALONE = f"""
from datetime import timedelta
from wsb_snake.backtest import driver
from wsb_snake.backtest.summary import order_list_hash
driver.STARTS_BEFORE_OPEN = timedelta(seconds={HOUR[0].total_seconds()})
driver.ENDS_AFTER_CLOSE = timedelta(seconds={HOUR[1].total_seconds()})
print(order_list_hash(driver.run_day(driver.DayPlan(driver.DEMO_DAY, 7, "port")).orders))
"""


@cache
def followed(seed: int, depth: Depth) -> tuple[DayResult, tuple[datetime, ...]]:
    """A whole day, and the moments at which its progress was told."""
    seen: list[datetime] = []
    day = run_day(DayPlan(DEMO_DAY, seed, depth), lambda facts: seen.append(facts.now))
    return day, tuple(seen)


def driven(seed: int, depth: Depth = "port") -> DayResult:
    return followed(seed, depth)[0]


@cache
def hour(seed: int, depth: Depth = "port") -> DayResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "STARTS_BEFORE_OPEN", HOUR[0])
        patch.setattr(driver, "ENDS_AFTER_CLOSE", HOUR[1])
        return run_day(DayPlan(DEMO_DAY, seed, depth))


@pytest.fixture
def afternoon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "STARTS_BEFORE_OPEN", AFTERNOON)


def test_a_day_trades_ends_flat_and_says_so() -> None:
    day = driven(7)
    summary = day.as_json(7, 1.0)
    assert day.closed_positions >= 3
    assert len(day.trades) == day.closed_positions
    assert summary["outcomes"] == summary["trades"]
    assert day.open_0dte == 0
    assert day.eod_run_et == "2026-11-24T15:55:00"
    assert day.eod_flat_proven
    assert day.alerts >= day.closed_positions


def test_wins_and_losses_are_all_trades() -> None:
    summary = driven(7).as_json(7, 1.0)
    wins, losses, trades = summary["wins"], summary["losses"], summary["trades"]
    assert isinstance(wins, int) and isinstance(losses, int)
    assert wins + losses == trades


@pytest.mark.parametrize("depth", ["wire", "http"])
def test_each_depth_gives_the_same_orders(depth: Depth) -> None:
    assert hour(7).orders and hour(7).trades
    assert order_list_hash(hour(7, depth).orders) == order_list_hash(hour(7).orders)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("depth", ["wire", "http"])
def test_each_depth_gives_the_same_orders_all_day(depth: Depth) -> None:
    assert order_list_hash(driven(7, depth).orders) == order_list_hash(driven(7).orders)


def test_another_seed_gives_other_orders() -> None:
    assert order_list_hash(hour(8).orders) != order_list_hash(hour(7).orders)


def alone(hash_seed: str, *words: str) -> str:
    """The last line of a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=400,
    )
    return done.stdout.splitlines()[-1]


def test_the_hash_of_strings_changes_nothing() -> None:
    seen = {alone(hash_seed, "-c", HOUR_ALONE) for hash_seed in ("0", "1")}
    assert seen == {order_list_hash(hour(7).orders)}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_hash_of_strings_changes_nothing_all_day() -> None:
    demo = ("main.py", "demo", "--seed", "7", "--in-process", "--json")
    seen = {json.loads(alone(hash_seed, *demo))["order_list_hash"] for hash_seed in ("0", "1")}
    assert seen == {order_list_hash(driven(7).orders)}


def test_every_order_of_a_day_is_over() -> None:
    over = {SimStatus.FILLED, SimStatus.CANCELED, SimStatus.EXPIRED, SimStatus.REJECTED}
    assert {order.status for order in driven(7).orders} <= over


def test_no_order_sells_more_than_was_bought() -> None:
    held: dict[str, int] = {}
    for order in driven(7).orders:
        sign = 1 if order.side == "buy" else -1
        held[order.symbol] = held.get(order.symbol, 0) + sign * order.filled_qty
        assert held[order.symbol] >= 0
    left = {symbol for symbol, qty in held.items() if qty}
    assert left == set(driven(7).standing)
    assert all(parse(symbol).expiry > DEMO_DAY for symbol in left)


def test_without_the_cut_off_flatten_the_end_of_day_closes(
    afternoon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSB_SNAKE_CUTOFF_FLATTEN", "false")
    day = run_day(DayPlan(DEMO_DAY, 1, "port"))
    assert "eod" in {trade.reason for trade in day.trades}
    assert day.open_0dte == 0
    assert day.eod_flat_proven


def test_the_cut_off_closes_before_the_broker_would(afternoon: None) -> None:
    day = run_day(DayPlan(DEMO_DAY, 1, "port"))
    closed = [trade for trade in day.trades if trade.reason == "cutoff"]
    assert closed
    assert all(trade.closed_et.startswith("15:20:") for trade in closed if trade.symbol.startswith("SPY"))


def test_a_half_day_has_no_entries_and_its_end_all_the_same() -> None:
    day = run_day(DayPlan(HALF_DAY, 7, "port"))
    bought = [parse(order.symbol).expiry for order in day.orders if order.side == "buy"]
    assert HALF_DAY not in bought
    assert day.eod_run_et == "2026-11-27T12:55:00"
    assert day.eod_flat_proven


def test_a_half_day_trades_when_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSB_SNAKE_HALF_DAY_ENTRIES", "true")
    day = run_day(DayPlan(HALF_DAY, 7, "port"))
    assert HALF_DAY in [parse(trade.symbol).expiry for trade in day.trades]
    assert day.open_0dte == 0
    assert day.eod_run_et == "2026-11-27T12:55:00"


def test_a_closed_day_is_refused_in_one_line() -> None:
    with pytest.raises(DriverError, match="2026-11-26 is not a trading day"):
        run_day(DayPlan(date(2026, 11, 26), 7, "port"))


def test_the_environment_cannot_point_a_demo_at_a_real_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALPACA_TRADING_URL", "https://api.alpaca.markets")
    monkeypatch.setenv("ALPACA_API_KEY", "real-key")
    monkeypatch.setenv("ALPACA_LIVE_TRADING", "true")
    monkeypatch.setenv("ALPACA_ACCOUNT_NUMBER", "123456789")
    local = "127.0.0.1:1"
    urls = {
        "ALPACA_TRADING_URL": f"http://{local}",
        "ALPACA_DATA_URL": f"http://{local}",
        "ALPACA_STREAM_URL": f"ws://{local}/stream",
        "ALPACA_OPTION_STREAM_URL": f"ws://{local}/v1beta1/indicative",
        "ALPACA_API_KEY": "embedded",
        "ALPACA_SECRET_KEY": "embedded",
    }
    settings = embedded_settings(urls, tmp_path)
    assert settings.mode == "embedded"
    assert settings.require_keys()[0] == "embedded"
    assert settings.data_dir == tmp_path


@cache
def recorded(folder: Path) -> DayResult:
    return run_day(DayPlan(RECORDED, 7, "port", folder))


@pytest.fixture
def chains(shared_dir: Path) -> Path:
    return shared_dir / "data" / "spy_0dte_chains"


def test_a_recorded_day_trades_and_says_that_its_bars_are_synthetic(chains: Path) -> None:
    day = recorded(chains)
    assert day.trades
    assert day.as_json(7, 1.0)["synthetic_bars"] is True
    assert day.open_0dte == 0


def test_every_fill_of_a_recorded_day_lies_within_the_latest_capture(chains: Path) -> None:
    market = RecordedMarket(chains, RECORDED, 7)
    filled = [order for order in recorded(chains).orders if order.filled_qty]
    assert filled
    for order in filled:
        at, price = order.filled_at, order.filled_avg_price
        assert at is not None and price is not None
        capture = market.latest_capture_at(at)
        assert capture is not None and capture <= at
        quote = market.option_quote(order.symbol, capture)
        assert quote is not None
        assert quote.bid <= price <= quote.ask, (order.symbol, at, price, quote)


def test_the_profit_of_the_fills_is_the_profit_of_the_outcomes(chains: Path) -> None:
    day = recorded(chains)
    bought = sum((o.filled_cost for o in day.orders if o.side == "buy"), Decimal(0))
    sold = sum((o.filled_cost for o in day.orders if o.side == "sell"), Decimal(0))
    assert sum((trade.gross for trade in day.trades), Decimal(0)) == (sold - bought) * CONTRACT_SHARES
    assert all(trade.net == trade.gross - trade.fees for trade in day.trades)


def test_the_progress_of_a_day_can_be_followed() -> None:
    _, seen = followed(7, "port")
    assert list(seen) == sorted(seen)
    assert len(seen) > 200
