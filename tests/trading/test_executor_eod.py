"""End of day as a level: rungs to the second, the run that is always recorded, the proof of flat."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import AAPL_CALL, DAY, HALF_DAY, SPY_CALL, SPY_LATER
from tests.trading.world import Trouble, World, world
from wsb_snake.core.clock import eastern
from wsb_snake.core.occ import build
from wsb_snake.core.orders import ExitReason
from wsb_snake.core.types import Right
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Unavailable
from wsb_snake.trading.end_of_day import EndOfDay

FULL = {"AAPL cutoff": "15:05:00", "SPY cutoff": "15:20:00", "eod": "15:55:00", "close": "16:00:00"}
HALF = {"AAPL cutoff": "12:05:00", "SPY cutoff": "12:20:00", "eod": "12:55:00", "close": "13:00:00"}
RUNGS = pytest.mark.parametrize(("day", "rung"), [(DAY, FULL), (HALF_DAY, HALF)])


def calls(day: date) -> tuple[str, str]:
    return (
        build("SPY", day, Right.CALL, Decimal(670)),
        build("AAPL", day, Right.CALL, Decimal(250)),
    )


def hold(w: World, *symbols: str, qty: int = 1) -> None:
    for symbol in symbols:
        w.exchange.hold(symbol, qty, Decimal("1.05"))


@RUNGS
def test_each_rung_is_taken_at_its_second(tmp_path: Path, day: date, rung: dict[str, str]) -> None:
    spy, aapl = calls(day)
    begin = f"{int(rung['AAPL cutoff'][:2])}:04:20"
    with world(tmp_path, begin, day=day) as w:
        hold(w, spy, aapl, SPY_LATER)
        w.to(rung["AAPL cutoff"])
        assert w.own("sell") == []
        w.until(lambda: len(w.outcomes()) == 1, 10)
        w.to(rung["SPY cutoff"])
        assert [o.symbol for o in w.own("sell")] == [aapl]
        w.until(lambda: len(w.outcomes()) == 2, 10)
        for sale, name in zip(w.own("sell"), ("AAPL cutoff", "SPY cutoff"), strict=True):
            assert timedelta(0) <= sale.submitted_at - w.at(rung[name]) < timedelta(seconds=1)
        assert {o["exit_reason"] for o in w.outcomes()} == {"cutoff"}
        w.to(rung["close"])
        assert w.held(SPY_LATER) == 1
        (ran,) = w.events("eod_ran")
        assert ran["closing"] == []


@RUNGS
def test_the_eod_close_is_the_guarantee_without_the_cutoff(
    tmp_path: Path, day: date, rung: dict[str, str]
) -> None:
    spy, aapl = calls(day)
    begin = (datetime.strptime(rung["eod"], "%H:%M:%S") - timedelta(seconds=45)).strftime("%H:%M:%S")
    with world(tmp_path, begin, day=day, wsb_snake_cutoff_flatten=False) as w:
        hold(w, spy, aapl, SPY_LATER)
        w.to(rung["eod"])
        assert w.own("sell") == []
        w.until(lambda: len(w.outcomes()) == 2, 10)
        assert {o["exit_reason"] for o in w.outcomes()} == {"eod"}
        assert all(o.submitted_at - w.at(rung["eod"]) < timedelta(seconds=1) for o in w.own("sell"))
        assert w.held(SPY_LATER) == 1
        (ran,) = w.events("eod_ran")
        assert sorted(item["symbol"] for item in ran["closing"]) == sorted([aapl, spy])
        assert ran["trigger"] == "scheduled"
        w.until(lambda: w.events("eod_proven"), 60)
        assert w.held(SPY_LATER) == 1


def test_the_eod_close_runs_and_is_recorded_with_nothing_to_close(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30") as w:
        w.to("15:55:01")
        (row,) = w.rows("SELECT * FROM eod_runs")
        assert (row["session"], row["closing"]) == (DAY.isoformat(), 0)
        assert w.desk.last_eod_run_at is not None
        assert f"{eastern(w.desk.last_eod_run_at):%H:%M:%S}" == "15:55:00"
        w.to("15:56")
        assert len(w.events("eod_ran")) == len(w.events("eod_proven")) == 1
        assert any(text.startswith("EOD close ran (scheduled).") for text in w.alerts())


def test_flat_is_proven_by_two_readings_ten_seconds_apart_after_the_last_order(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30", wsb_snake_cutoff_flatten=False) as w:
        hold(w, SPY_CALL)
        w.until(lambda: w.events("eod_proven"), 120)
        (sale,) = w.own("sell")
        (proof,) = w.events("eod_proven")
        proven = datetime.fromisoformat(proof["at"])
        assert sale.filled_at is not None
        assert proven - sale.filled_at >= timedelta(seconds=10)
        for name in ("positions", "open_orders"):
            after = [at for called, at, _ in w.broker.calls if called == name and at >= sale.filled_at]
            assert any(at <= proven - timedelta(seconds=10) for at in after), name
            assert any(at >= proven for at in after), name


def test_failed_readings_prove_nothing_and_are_told_each_minute(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30") as w:
        w.broker.always["positions"] = Unavailable("timed out")
        w.to("15:58:30")
        assert w.events("eod_proven") == []
        assert len(w.events("eod_not_flat")) == 3  # 15:55:45, 15:56:45, 15:57:45
        assert any("the account: the broker does not answer" in text for text in w.alerts())
        del w.broker.always["positions"]
        w.until(lambda: w.events("eod_proven"), 60)


def test_somebody_else_s_order_that_could_still_open_is_called_back(tmp_path: Path) -> None:
    with world(tmp_path, "15:24") as w:
        foreign = w.by_hand(SPY_CALL, "buy", 1, "0.10")
        later = w.by_hand(SPY_LATER, "buy", 1, "0.10")
        w.broker.always["cancel"] = Unavailable("timed out")
        w.to("15:57")
        assert w.events("eod_proven") == []
        del w.broker.always["cancel"]
        w.until(lambda: w.desk.eod is not None and w.desk.eod.proven_at, 60)
        assert w.exchange.order(foreign.id).status is SimStatus.CANCELED
        assert w.exchange.order(later.id).open


def test_an_order_that_buys_a_short_option_back_is_left_alone(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30") as w:
        w.exchange.hold(SPY_CALL, -1, Decimal("1.05"))
        back = w.by_hand(SPY_CALL, "buy", 1, "0.10", "buy_to_close")
        w.to("15:59")
        assert w.exchange.order(back.id).open


def test_a_contract_that_appears_later_withdraws_the_proof_and_is_closed(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30") as w:
        w.to("15:56")
        assert len(w.events("eod_proven")) == 1
        hold(w, SPY_CALL)
        w.until(lambda: w.events("eod_proof_withdrawn"), 30)
        (told,) = w.events("eod_proof_withdrawn")
        assert told["symbols"] == [SPY_CALL]
        gone = w.daemon.facts()
        assert not gone.eod_flat_proven and gone.eod_withdrawn_at is not None
        w.until(w.outcomes, 30)
        assert (w.held(), w.outcomes()[0]["exit_reason"]) == (0, "eod")
        w.until(lambda: len(w.events("eod_proven")) == 2, 60)
        assert len(w.events("eod_ran")) == 1
        (row,) = w.rows("SELECT * FROM eod_runs")
        assert datetime.fromisoformat(row["withdrawn_at"]) == gone.eod_withdrawn_at
        assert row["proven_at"] > row["withdrawn_at"] and row["detail"] == SPY_CALL
        kept = w.desk.eod
        assert kept is not None and (kept.withdrawn_at, kept.withdrawn_for) == (
            gone.eod_withdrawn_at,
            (SPY_CALL,),
        )
        w.desk.eod = None
        with w.database.get_connection() as conn:
            EndOfDay(w.desk).load(conn)
        assert w.desk.eod == replace(kept, first_clean_at=None)


def test_without_a_bid_it_is_told_each_minute_and_sold_when_one_comes(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30", wsb_snake_cutoff_flatten=False) as w:
        w.price("0.00", "0.03")
        hold(w, SPY_CALL)
        w.to("15:57:30")
        assert [event["open"][0]["why"] for event in w.events("eod_not_flat")] == ["no bid"] * 2
        w.price("0.01", "0.03")
        w.until(w.outcomes, 15)
        w.until(lambda: w.events("eod_proven"), 60)


def test_a_broker_that_refuses_every_order_is_tried_until_it_takes_one(tmp_path: Path) -> None:
    rules = Rules(partial_fill_chance=0, cutoff_reading="all_orders", liquidation="never")
    with world(tmp_path, "15:54:30", rules=rules, wsb_snake_cutoff_flatten=False) as w:
        hold(w, SPY_CALL)
        w.to("15:58")
        assert w.held() == 1
        assert len(w.events("eod_not_flat")) == 3  # 15:55:45, 15:56:45, 15:57:45
        assert 5 <= len(w.broker.refusals) <= 40  # tried again, at a pace


@pytest.mark.parametrize("name", ["quotes", "account", "positions", "open_orders"])
def test_a_hanging_reader_does_not_delay_the_eod_close(tmp_path: Path, name: str) -> None:
    with world(tmp_path, "15:53:30", wsb_snake_cutoff_flatten=False) as w:
        hold(w, SPY_CALL)
        w.until(lambda: w.watched, 30)
        w.broker.once[name] = [Trouble(Unavailable("timed out"), seconds=3600)] * 20
        w.to("15:55:05")
        assert w.held() == 0
        assert w.own("sell")[0].submitted_at < w.at("15:55:01")


def test_before_the_eod_time_nothing_is_run_whoever_asks(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30") as w:
        for trigger in ("pipeline", "scheduled", "owner"):
            alpaca_executor.run_eod_check(trigger)
        w.to("15:54:59")
        assert w.events("eod_ran") == []


def test_no_run_is_recorded_before_the_broker_was_read(tmp_path: Path) -> None:
    w = World(tmp_path, "15:56:00", wsb_snake_cutoff_flatten=False)
    hold(w, SPY_CALL)
    w.start(agree=False)
    try:
        w.run(70)
        assert w.events("eod_ran") == []
        assert w.events("eod_not_flat")
        w.agree()
        (ran,) = w.events("eod_ran")
        assert ran["closing"] == [{"symbol": SPY_CALL, "qty": 1}]
    finally:
        w.crash()


def test_a_broker_that_was_never_read_is_told_of_each_minute(tmp_path: Path) -> None:
    w = World(tmp_path, "14:40")
    w.start()
    w.open()
    w.crash()
    w.start(agree=False)
    try:
        for name in ("account", "calendar", "clock", "positions", "open_orders", "orders_since"):
            w.broker.always[name] = Unavailable("no route")
        w.to("15:58:30")
        told = w.events("eod_not_flat")
        assert len(told) == 3
        assert all(
            event["open"] == [{"symbol": SPY_CALL, "qty": 4, "why": "the broker does not answer"}]
            for event in told
        )
    finally:
        w.crash()


def test_a_start_after_the_eod_time_runs_it_at_once(tmp_path: Path) -> None:
    w = World(tmp_path, "15:57:00", wsb_snake_cutoff_flatten=False)
    hold(w, SPY_CALL)
    w.start()
    try:
        w.until(w.outcomes, 10)
        (ran,) = w.events("eod_ran")
        assert ran["trigger"] == "start"
        w.until(lambda: w.events("eod_proven"), 60)
        w.check()
    finally:
        w.crash()


def test_run_and_proof_survive_a_restart(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30") as w:
        w.to("15:56")
        w.restart()
        w.run(30)
        assert len(w.events("eod_ran")) == len(w.events("eod_proven")) == 1
        assert w.desk.eod is not None and w.desk.eod.proven_at is not None
        assert w.desk.last_eod_run_at is not None


def test_a_restart_between_the_run_and_the_fill_goes_on_closing(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30", wsb_snake_cutoff_flatten=False) as w:
        hold(w, SPY_CALL, AAPL_CALL, qty=3)
        w.to("15:55:00")
        w.run(0.015)
        w.restart()
        w.until(lambda: len(w.outcomes()) == 2, 30)
        assert (w.held(), w.held(AAPL_CALL)) == (0, 0)
        assert len(w.events("eod_ran")) == 1
        w.until(lambda: w.events("eod_proven"), 60)


def test_flatten_means_today_and_all_means_all(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        hold(w, SPY_CALL, SPY_LATER)
        w.until(lambda: len(w.watched) == 2, 30)
        assert alpaca_executor.close_all_0dte_positions() == 1
        w.until(lambda: w.held() == 0, 10)
        w.run(30)
        assert w.held(SPY_LATER) == 1
        assert alpaca_executor.close_all(ExitReason.FLATTEN) == 1
        w.until(lambda: w.held(SPY_LATER) == 0, 10)
        assert alpaca_executor.close_all() == 0
