"""What spans processes and days: pauses over a restart, stale entries, what stood at the close."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from pytest import MonkeyPatch

from tests.sim.bench import SPY_CALL
from tests.trading.world import World, world
from wsb_snake.backtest.campaign.disk import Disk
from wsb_snake.backtest.campaign.drill_chat import DrillChat
from wsb_snake.backtest.campaign.in_flight import IDLE
from wsb_snake.backtest.campaign.invariants import Checker
from wsb_snake.backtest.campaign.violation import Promise
from wsb_snake.core.orders import OrderType, PositionIntent, Side
from wsb_snake.sim.drillable import MarketUnderDrill
from wsb_snake.sim.seeded_faults import SeededFaults
from wsb_snake.trading.broker import OrderTicket
from wsb_snake.trading.end_of_day import EndOfDay


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, wsb_snake_cutoff_flatten=False) as made:
        yield made


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, "15:52", wsb_snake_cutoff_flatten=False) as made:
        yield made


def checker(w: World) -> Checker:
    faults = SeededFaults((), random.Random(1), lambda: IDLE, w.clock.now())
    return Checker(w.exchange, cast(MarketUnderDrill, w.market), faults, DrillChat(w.clock))


def broken(checks: Checker) -> list[tuple[Promise, str]]:
    return [(found.promise, found.text) for found in checks.findings.violations]


def test_a_pause_that_survives_the_restart(w: World) -> None:
    checks, disk = checker(w), Disk(w.clock)
    w.desk.pauses.set("manual", "by the test")
    w.run(5)
    checks.died(disk)
    w.restart()
    checks.loaded()
    assert broken(checks) == []
    assert checks.findings.checked[Promise.PAUSES_SURVIVE] == 1


FORGOTTEN = [(Promise.PAUSES_SURVIVE, "forgotten by the restart: ['manual']")]


def test_a_pause_that_the_restart_forgets(w: World) -> None:
    checks, disk = checker(w), Disk(w.clock)
    w.desk.pauses.set("manual", "by the test")
    w.run(5)
    checks.died(disk)
    w.desk.pauses.clear("manual")
    checks.loaded()
    assert broken(checks) == FORGOTTEN


@pytest.mark.parametrize(("reason", "seconds"), [("manual", 1), ("data", 5)])
def test_what_need_not_survive(w: World, reason: str, seconds: int) -> None:
    checks, disk = checker(w), Disk(w.clock)
    w.run(10)
    w.desk.pauses.set(reason, "by the test")
    w.run(seconds)
    checks.died(disk)
    w.desk.pauses.clear(reason)
    checks.loaded()
    assert broken(checks) == []


@pytest.mark.parametrize(
    ("before_s", "stalled_s", "after_s", "survives"),
    [
        (600, 40, 5, True),  # it was in the database long before the disk stalled
        (3, 40, 5, True),
        (1, 40, 5, False),
        (0, 40, 30, False),
        (0, 4, 5, False),  # the disk has only just begun to take commits
        (0, 4, 7, True),
    ],
)
def test_a_pause_and_a_disk_that_stalls(
    w: World, before_s: int, stalled_s: int, after_s: int, survives: bool
) -> None:
    checks, disk = checker(w), Disk(w.clock)
    w.run(10)
    w.desk.pauses.set("manual", "by the test")
    w.run(before_s)
    disk.fill(w.clock.now() + timedelta(seconds=stalled_s))
    w.run(after_s)
    checks.died(disk)
    w.desk.pauses.clear("manual")
    checks.loaded()
    assert broken(checks) == (FORGOTTEN if survives else [])


def test_a_pause_outlives_a_process_that_dies_before_it_has_loaded(w: World) -> None:
    checks, disk = checker(w), Disk(w.clock)
    w.desk.pauses.set("manual", "by the test")
    w.run(5)
    checks.died(disk)
    w.desk.pauses.clear("manual")
    w.desk.loaded = False
    checks.died(disk)
    w.desk.loaded = True
    checks.loaded()
    assert broken(checks) == FORGOTTEN


def test_a_pause_that_never_reached_the_database(w: World) -> None:
    checks = checker(w)
    w.desk.pauses.set("manual", "by the test")
    w.run(1)
    checks.day_is_over(w.database)
    assert broken(checks) == []
    w.database.transact(lambda conn: conn.execute("DELETE FROM pauses"))
    w.run(1)
    checks.day_is_over(w.database)
    assert broken(checks) == [(Promise.PAUSES_SURVIVE, "not in the database: ['manual']")]


def test_a_name_is_free_again_once_its_process_is_dead_and_not_when_the_database_opens_late(w: World) -> None:
    checks, disk = checker(w), Disk(w.clock)
    name = "wsb-20261123-s-abcdefghijkm-e-1"
    ticket = OrderTicket(
        name, SPY_CALL, Side.BUY, PositionIntent.BUY_TO_OPEN, OrderType.LIMIT, 1, Decimal("1.00")
    )
    checks.sending(ticket)
    checks.died(disk)
    checks.sending(ticket)
    twice = (Promise.NO_BLIND_RESEND, f"{name} is sent a second time")
    assert twice not in broken(checks)
    checks.loaded()
    checks.sending(ticket)
    assert twice in broken(checks)


def test_an_entry_on_a_stale_quote(w: World) -> None:
    checks = checker(w)
    intent = w.intent()
    order = w.enter()
    assert order is not None
    checks.attempted(intent, None)
    assert checks.findings.checked[Promise.NO_ENTRY_WHEN_FORBIDDEN] == 0
    checks.attempted(intent, order)
    assert broken(checks) == []
    stale = replace(intent, quote=replace(intent.quote, at=intent.quote.at - timedelta(seconds=16)))
    w.desk.board.keep(frozenset())
    checks.attempted(stale, order)
    assert [promise for promise, _ in broken(checks)] == [Promise.NO_ENTRY_WHEN_FORBIDDEN]


def test_a_lane_that_fails(w: World) -> None:
    checks = checker(w)
    checks.lane_failed("monitor", ValueError("x"))
    assert broken(checks) == [(Promise.NO_LANE_FAILS, "monitor: ValueError('x')")]


def stand_at_the_close(w: World, checks: Checker) -> None:
    """A contract that nobody bids for, through the last minutes."""
    w.price("0", "0.05")
    w.exchange.hold(SPY_CALL, 1, Decimal(1))
    w.to("15:54:30")

    def look() -> None:
        while True:
            checks.step()
            w.hub.sleep(1.0)

    w.hub.spawn("checks", look)
    w.to("16:00:30")


def day_is_over(w: World, checks: Checker) -> list[Promise]:
    checks.findings.violations.clear()
    checks.day_is_over(w.database)
    wanted = {Promise.TOLD_WHEN_NOT, Promise.GONE_AT_THE_END}
    return [promise for promise, _ in broken(checks) if promise in wanted]


def test_what_stands_for_want_of_a_bid_is_excused_once_it_was_told(evening: World) -> None:
    checks = checker(evening)
    stand_at_the_close(evening, checks)
    assert day_is_over(evening, checks) == []
    assert checks.findings.excused == {"nobody bid": 1}
    assert checks.findings.checked[Promise.TOLD_WHEN_NOT] == 1


def test_what_stands_and_was_not_told(evening: World, monkeypatch: MonkeyPatch) -> None:
    def silent(self: EndOfDay, session: object) -> None:
        return

    monkeypatch.setattr(EndOfDay, "_tell_if_not_flat", silent)
    checks = checker(evening)
    stand_at_the_close(evening, checks)
    assert day_is_over(evening, checks) == [Promise.TOLD_WHEN_NOT]


def test_deliveries_are_looked_at(w: World) -> None:
    checks = checker(w)
    checks._chat.take("nothing with a number")
    checks.day_is_over(w.database)
    assert [promise for promise, _ in broken(checks)] == [Promise.ALERTS_IN_ORDER]
