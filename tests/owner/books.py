"""A database with a few days of the owner's trades in it."""

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from wsb_snake.db.migrations import migrate
from wsb_snake.db.records import OutcomeRecord, SignalRecord, insert_outcome, insert_signal

MONDAY = date(2026, 11, 23)
TUESDAY = date(2026, 11, 24)
OPENED = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)

WON = OutcomeRecord(
    position_id="p-won",
    signal_id="s-won",
    engine="spy_scalper",
    setup="vwap_reclaim",
    symbol="SPY261124C00600000",
    underlying="SPY",
    opened_at=OPENED,
    closed_at=OPENED + timedelta(minutes=10),
    qty=2,
    entry_price=Decimal("1.00"),
    exit_price=Decimal("1.20"),
    gross_pnl=Decimal("40.00"),
    fees=Decimal("0.20"),
    net_pnl=Decimal("39.80"),
    entry_slippage=Decimal("0.01"),
    exit_slippage=Decimal("-0.02"),
    r_multiple=1.3,
    exit_reason="target",
    holding_s=600.0,
    session_window="morning",
)
LOST = replace(
    WON,
    position_id="p-lost",
    signal_id=None,
    engine="orchestrator",
    symbol="QQQ261124P00500000",
    underlying="QQQ",
    closed_at=OPENED + timedelta(minutes=30),
    qty=1,
    net_pnl=Decimal("-15.10"),
    fees=Decimal("0.10"),
    entry_slippage=None,
    exit_slippage=None,
    r_multiple=None,
    exit_reason="stop",
)
DAY_BEFORE = replace(
    WON,
    position_id="p-before",
    closed_at=datetime(2026, 11, 24, 4, 59, tzinfo=UTC),  # 23:59 on Monday in New York
    net_pnl=Decimal("5.00"),
    r_multiple=0.2,
)
SEEN = SignalRecord(
    signal_id="s-seen",
    at=OPENED,
    engine="spy_scalper",
    setup="vwap_reclaim",
    ticker="SPY",
    direction="long",
    confidence=64.0,
    price=600.5,
    verdict="watched",
    reason="confidence 64 is too low",
)


def books() -> sqlite3.Connection:
    """Two trades on Tuesday, one on Monday, and two signals."""
    conn = sqlite3.connect(":memory:")
    migrate(conn)
    for outcome in (WON, LOST, DAY_BEFORE):
        insert_outcome(conn, outcome)
    insert_signal(conn, SEEN)
    later = replace(SEEN, signal_id="s-won", ticker="QQQ", at=OPENED + timedelta(minutes=1), verdict="traded")
    insert_signal(conn, later)
    return conn
