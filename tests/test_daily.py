"""The day's sum: what the report holds, and how it reads."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.owner.books import LOST, TUESDAY, WON
from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.daily import daily_report
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.records import OutcomeRecord, PaperTradeRecord, insert_outcome, insert_paper_trade
from wsb_snake.notifications.messages import alerts_for
from wsb_snake.owner.ledger import daily_rows
from wsb_snake.trading.eod_guard import EodState

CALENDAR = MarketCalendar()
NOW = datetime(2026, 11, 24, 21, 15, tzinfo=UTC)
PAPER = PaperTradeRecord(
    paper_id="paper-1",
    signal_id="s-1",
    symbol=WON.symbol,
    opened_at=WON.opened_at,
    entry_price=Decimal("1.00"),
    closed_at=WON.closed_at,
    exit_price=Decimal("1.30"),
    exit_reason="target",
    why_not="confidence 64 is too low",
    engine="spy_scalper",
    plan="{}",
    net_r=1.9,
)
OLD_RUN = """
    INSERT INTO eod_runs (session, ran_at, closing, detail)
        VALUES ('2025-11-24', '2025-11-24T20:55:00.000000+00:00', 0, '')
"""
WEIGHTS = """
    INSERT INTO model_weights (feature, version, weight, trades, at, why) VALUES
        ('surge', 1, 0.350, 4, '2026-11-23T15:00:00.000000+00:00', ''),
        ('pressure', 1, 0.350, 4, '2026-11-23T15:00:00.000000+00:00', ''),
        ('surge', 2, 0.360, 5, '2026-11-24T15:10:00.000000+00:00', ''),
        ('surge', 3, 0.372, 6, '2026-11-24T15:30:00.000000+00:00', ''),
        ('ignition', 3, 0.310, 2, '2026-11-24T15:30:00.000000+00:00', '')
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    made.open()
    yield made
    made.close()


def _insert(outcome: OutcomeRecord, conn: sqlite3.Connection) -> None:
    insert_outcome(conn, outcome)


def _weigh(conn: sqlite3.Connection) -> None:
    conn.execute(WEIGHTS)


def reported(database: Database, eod: EodState | None, day: date = TUESDAY) -> tuple[dict[str, Any], str]:
    """What the journal's one report holds, and its alert."""
    session = CALENDAR.session(day)
    assert session is not None
    for _ in range(2):  # once a session, however often it is asked for
        daily_report(database, session, eod, NOW, CALENDAR.next_session(day))
    database.transact(lambda conn: None).result(10)
    with database.get_connection() as conn:
        (event,) = [e for e in journal.read(conn, 0) if e.kind is EventKind.DAILY_REPORT]
        (row,) = daily_rows(conn, day, day)
    assert dict(row.detail) == event.data
    (alert,) = alerts_for(event)
    return event.data, alert.text


@pytest.mark.parametrize(("minute", "missed"), [(54, True), (56, True), (61, False)])
def test_a_first_evening_has_missed_no_eod(database: Database, minute: int, missed: bool) -> None:
    began = datetime(2026, 11, 24, 20, tzinfo=UTC) + timedelta(minutes=minute)
    database.transact(lambda conn: journal.append(conn, began, EventKind.STARTED, {})).result(10)
    _, text = reported(database, None)
    assert ("EOD close did NOT run; flat NOT proven." in text) is missed
    later = "The daemon was first started at 16:01:00 ET, after the close: no EOD close was due yet."
    assert (later in text) is not missed


def test_a_journal_whose_first_rows_are_gone_excuses_no_missing_eod(database: Database) -> None:
    began = datetime(2026, 11, 24, 21, tzinfo=UTC)

    def write(conn: sqlite3.Connection) -> None:
        conn.execute(OLD_RUN)
        journal.append(conn, began, EventKind.STARTED, {})

    database.transact(write).result(10)
    assert "EOD close did NOT run" in reported(database, None)[1]


def test_a_day_with_trades_is_told_in_full(database: Database) -> None:
    third = replace(LOST, position_id="p-3", exit_reason="target", net_pnl=Decimal("2.00"), r_multiple=0.1)
    for outcome in (WON, LOST, third):
        database.transact(partial(_insert, outcome))
    database.transact(lambda conn: insert_paper_trade(conn, PAPER))
    database.transact(_weigh).result(10)
    eod = EodState(
        TUESDAY,
        ran_at=datetime(2026, 11, 24, 20, 55, tzinfo=UTC),
        proven_at=datetime(2026, 11, 24, 20, 55, 20, tzinfo=UTC),
        withdrawn_at=datetime(2026, 11, 24, 20, 55, 12, tzinfo=UTC),
        withdrawn_for=("SPY261124C00600000",),
    )
    held, text = reported(database, eod)
    assert (held["eod_withdrawn_et"], held["eod_withdrawn_for"]) == (
        "2026-11-24T15:55:12",
        ["SPY261124C00600000"],
    )
    assert (held["trades"], held["wins"], held["net_pnl"]) == (3, 2, "26.70")
    assert held["mean_r"] == pytest.approx(0.7)
    assert text.splitlines()[:9] == [
        "Daily report 2026-11-24: 3 trades, 2 won, 1 lost (67% won); +$26.70 after $0.40 fees, "
        "+0.70R on average.",
        "EOD close ran 15:55:00 ET; flat proven 15:55:20 ET (an earlier proof was withdrawn 15:55:12 ET: "
        "SPY261124C00600000 (SPY 600 call, 24 Nov)).",
        "Best: SPY261124C00600000 (SPY 600 call, 24 Nov) +$39.80, +1.30R (target).",
        "Worst: QQQ261124P00500000 (QQQ 500 put, 24 Nov) -$15.10 (stop).",
        "By engine: orchestrator 1/2 won -$13.10; spy_scalper 1/1 won +$39.80.",
        "By exit: stop 0/1 won -$15.10; target 2/2 won +$41.80.",
        "Slippage: fills were $2.00 better than the quotes decided on.",
        "Not traded, on paper: spy_scalper 1 (1 won, +1.9R).",
        "Learnt: ignition new → 0.310; surge 0.350 → 0.372.",
    ]
    assert "Next session: Wednesday 25 Nov, 09:30-16:00 ET, EOD at 15:55 ET." in text


def test_a_day_without_trades_is_told_too(database: Database) -> None:
    _, text = reported(database, None)
    assert text.startswith(
        "Daily report 2026-11-24: no trade.\n"
        "EOD close did NOT run; flat NOT proven.\n"
        "Learnt: no weight moved.\n"
    )


def test_the_report_before_a_half_day_says_so(database: Database) -> None:
    _, text = reported(database, None, date(2026, 11, 25))  # Thanksgiving lies between
    assert "Next session: Friday 27 Nov, HALF DAY, 09:30-13:00 ET, EOD at 12:55 ET." in text
