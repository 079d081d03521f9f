"""When a close is overdue, what excuses it, and when a proof of flat is untrue."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from tests.backtest.campaign.watching import Watch, watched
from tests.sim.bench import SPY_CALL, SPY_LATER
from wsb_snake.backtest.campaign.violation import Promise
from wsb_snake.core.orders import ExitReason
from wsb_snake.trading import alpaca_executor as executor_module
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.end_of_day import EndOfDay
from wsb_snake.trading.eod_guard import EodState


@pytest.fixture
def careless(monkeypatch: MonkeyPatch) -> None:
    """A daemon that closes nothing at the end of the day."""

    def never(self: EndOfDay, trigger: str) -> None:
        return

    monkeypatch.setattr(EndOfDay, "check", never)


@pytest.fixture
def idle(monkeypatch: MonkeyPatch) -> None:
    """A daemon that decides exits and carries none of them out."""

    def nothing(desk: Desk) -> list[datetime]:
        return []

    monkeypatch.setattr(executor_module, "work_orders", nothing)


def hold(watch: Watch, symbol: str = SPY_CALL) -> None:
    """A contract at the broker; quotes stay where no rule is met."""
    watch.world.exchange.hold(symbol, 1, Decimal("1.00"))
    watch.each_second()


def proven_now(watch: Watch) -> None:
    desk, now = watch.world.desk, watch.world.clock.now()
    ran_at = now - timedelta(seconds=10)
    desk.eod = EodState(watch.world.market.day, ran_at, None, now)
    watch.closing.step(desk)


# the end of the day


def test_a_daemon_that_closes_in_time(tmp_path: Path) -> None:
    with watched(tmp_path, "15:18") as watch:
        hold(watch)
        watch.world.to("15:25")
        assert watch.world.held() == 0
        assert watch.findings.violations == []


def test_what_stands_two_good_minutes_after_its_rung(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:18") as watch:
        hold(watch)
        watch.world.to("15:22")
        assert watch.broken(Promise.GONE_AT_THE_END) == []
        watch.world.to("15:24")
        assert len(watch.broken(Promise.GONE_AT_THE_END)) == 1


def test_without_the_cutoff_flatten_the_close_is_due_later(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:50", wsb_snake_cutoff_flatten=False) as watch:
        hold(watch)
        watch.world.to("15:57")
        assert watch.broken(Promise.GONE_AT_THE_END) == []
        watch.world.to("15:58")
        assert len(watch.broken(Promise.GONE_AT_THE_END)) == 1


def test_a_later_expiry_may_stand(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:18") as watch:
        hold(watch, SPY_LATER)
        watch.world.to("15:24")
        assert watch.findings.violations == []


def test_trouble_begins_a_new_minute(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:18") as watch:
        hold(watch)
        watch.world.to("15:20:40")
        watch.faults.hinder(watch.world.at("15:21:10"))
        watch.world.to("15:23:05")
        assert watch.broken(Promise.GONE_AT_THE_END) == []
        watch.world.to("15:23:15")
        assert len(watch.broken(Promise.GONE_AT_THE_END)) == 1


def test_trouble_after_a_good_minute_excuses_nothing(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:18") as watch:
        hold(watch)
        watch.world.to("15:21:10")
        watch.faults.hinder(watch.world.at("15:25"))
        watch.world.to("15:22:10")
        assert len(watch.broken(Promise.GONE_AT_THE_END)) == 1


def test_a_new_process_gets_a_minute_of_its_own(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:18") as watch:
        hold(watch)
        watch.world.to("15:20:50")
        watch.closing.started()
        watch.world.to("15:22:45")
        assert watch.broken(Promise.GONE_AT_THE_END) == []


def test_a_bid_that_leaves_after_its_good_minute_excuses_nothing(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:50", wsb_snake_cutoff_flatten=False) as watch:
        hold(watch)
        close = watch.world.at("16:00")
        watch.world.to("15:56:30")
        watch.world.price("0", "0.05")
        watch.world.to("15:59:59")
        qty, _ = watch.closing.still_held()[SPY_CALL]
        assert qty == 1
        assert watch.closing.why_excused(SPY_CALL, close) is None


@pytest.mark.parametrize("trouble", ["15:57:59.050", "15:57:59.950"])
def test_what_was_due_in_the_last_second_is_excused_or_found(
    tmp_path: Path, careless: None, trouble: str
) -> None:
    with watched(tmp_path, "15:50", wsb_snake_cutoff_flatten=False) as watch:
        hold(watch)
        watch.world.to("15:55:30")
        watch.faults.hinder(watch.world.at(trouble))
        watch.world.to("16:00:01")
        why = watch.closing.why_excused(SPY_CALL, watch.world.at("16:00"))
        assert bool(why) is not bool(watch.findings.violations)


def test_nobody_bid(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:50", wsb_snake_cutoff_flatten=False) as watch:
        watch.world.price("0", "0.05")
        hold(watch)
        watch.world.to("15:59:59")
        assert watch.closing.why_excused(SPY_CALL, watch.world.at("16:00")) == "nobody bid"
        assert watch.findings.violations == []


# how often it was put to the test


def went_at(folder: Path, wall: str, trouble: str = "") -> tuple[int, int]:
    """How often I-105 was checked, and how often not, when a contract due at 15:55 goes at ``wall`` and
    something else is in the way at ``trouble``."""
    with watched(folder, "15:50", wsb_snake_cutoff_flatten=False) as watch:
        w = watch.world
        hold(watch)
        w.to(wall)
        w.by_hand(SPY_CALL, "sell", 1)
        w.run(5)
        assert w.held() == 0
        if trouble == "no bid":
            w.price("0", "0.05")
        elif trouble:
            w.to(trouble)
            watch.faults.hinder(w.clock.now())
        w.to("16:00:10")
        assert watch.broken(Promise.GONE_AT_THE_END) == []
        counts = watch.findings.checked, watch.findings.before_due
        return counts[0][Promise.GONE_AT_THE_END], counts[1][Promise.GONE_AT_THE_END]


@pytest.mark.parametrize(
    ("wall", "trouble", "counted"),
    [
        ("15:55:30", "", (1, 0)),
        ("15:56:30", "", (1, 0)),
        ("15:55:10", "15:55:40", (0, 1)),  # nobody knows what would have been
        ("15:55:10", "15:56:20", (1, 0)),
        ("15:56:10", "15:56:20", (1, 0)),
        ("15:55:10", "no bid", (0, 1)),
    ],
)
def test_a_premise_is_a_minute_that_was_good_to_its_end(
    tmp_path: Path, careless: None, wall: str, trouble: str, counted: tuple[int, int]
) -> None:
    assert went_at(tmp_path, wall, trouble) == counted


def test_the_close_cuts_the_minute_short(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:58", wsb_snake_cutoff_flatten=False) as watch:
        w = watch.world
        w.run(70)
        hold(watch)
        w.run(10)
        w.by_hand(SPY_CALL, "sell", 1)
        w.to("16:01:30")
        assert watch.findings.checked[Promise.GONE_AT_THE_END] == 0
        assert watch.findings.before_due[Promise.GONE_AT_THE_END] == 1


# exits that were decided


def test_a_decided_exit_that_nobody_carries_out(tmp_path: Path, idle: None) -> None:
    with watched(tmp_path) as watch:
        hold(watch)
        watch.world.until(lambda: watch.world.watched)
        (position,) = watch.world.watched
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        watch.world.run(115)
        assert watch.broken(Promise.EXITS_GET_DONE) == []
        watch.world.run(10)
        assert len(watch.broken(Promise.EXITS_GET_DONE)) == 1


def test_a_decided_exit_that_gets_done(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        position = watch.world.open()
        watch.each_second()
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        watch.world.run(150)
        assert watch.findings.violations == []


# the proof


def test_a_proof_while_something_is_held(tmp_path: Path, careless: None) -> None:
    with watched(tmp_path, "15:50", wsb_snake_cutoff_flatten=False) as watch:
        hold(watch)
        watch.world.run(30)
        proven_now(watch)
        assert len(watch.broken(Promise.PROOF_IS_TRUE)) == 1


def test_a_proof_while_an_order_works(tmp_path: Path) -> None:
    with watched(tmp_path, "10:00") as watch:
        watch.world.by_hand(SPY_CALL, "buy", 1, "0.50")
        watch.world.run(30)
        proven_now(watch)
        assert len(watch.broken(Promise.PROOF_IS_TRUE)) == 1


def test_a_proof_cannot_know_of_what_came_just_now(tmp_path: Path) -> None:
    with watched(tmp_path, "10:00") as watch:
        watch.world.run(30)
        watch.world.by_hand(SPY_CALL, "buy", 1, "0.50")
        watch.world.run(5)
        proven_now(watch)
        assert watch.broken(Promise.PROOF_IS_TRUE) == []
        assert watch.findings.checked[Promise.PROOF_IS_TRUE] == 2


def test_a_proof_is_looked_at_when_it_is_latched(tmp_path: Path) -> None:
    with watched(tmp_path, "10:00") as watch:
        watch.each_second()
        watch.world.run(2)
        proven_now(watch)
        watch.world.run(5)
        assert watch.findings.checked[Promise.PROOF_IS_TRUE] == 2
        state = watch.world.desk.eod
        assert state is not None
        watch.world.desk.eod = replace(state, proven_at=None)
        watch.world.run(timedelta(seconds=2).total_seconds())
        proven_now(watch)
        assert watch.findings.checked[Promise.PROOF_IS_TRUE] == 4


@pytest.mark.parametrize(("seconds", "broken"), [(9, True), (10, False)])
def test_a_proof_needs_a_second_reading_ten_seconds_after_the_close(
    tmp_path: Path, seconds: int, broken: bool
) -> None:
    with watched(tmp_path, "10:00") as watch:
        now = watch.world.clock.now()
        ran_at = now - timedelta(seconds=seconds)
        watch.world.desk.eod = EodState(watch.world.market.day, ran_at, None, now)
        watch.closing.step(watch.world.desk)
        assert bool(watch.broken(Promise.PROOF_IS_TRUE)) is broken


@pytest.mark.parametrize(("seconds", "broken"), [(3, True), (15, False)])
def test_a_proof_is_read_after_our_last_order_was_over(tmp_path: Path, seconds: int, broken: bool) -> None:
    with watched(tmp_path, "10:00") as watch:
        position = watch.world.open()
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        watch.world.until(lambda: watch.world.held() == 0)
        watch.world.run(seconds)
        proven_now(watch)
        assert bool(watch.broken(Promise.PROOF_IS_TRUE)) is broken
