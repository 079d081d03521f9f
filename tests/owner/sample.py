"""Facts of a quiet healthy session, to be changed one at a time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from wsb_snake.core.calendar import Session
from wsb_snake.core.health import Facts, PositionFacts

CALL = "SPY261123C00600000"
PUT = "QQQ261123P00500000"

NOW = datetime(2026, 11, 23, 16, 0, 0, tzinfo=UTC)  # 11:00 ET


def position(symbol: str = CALL, **changes: Any) -> PositionFacts:
    held = PositionFacts(
        position_id="p1",
        symbol=symbol,
        underlying=symbol[:3],
        engine="spy_scalper",
        origin="ours",
        state="open",
        qty=2,
        entry_price=Decimal("1.25"),
        bid=Decimal("1.30"),
        ask=Decimal("1.32"),
        mid=Decimal("1.31"),
        unrealised=Decimal("12"),
        target_price=Decimal("1.50"),
        stop_price=Decimal("1.0625"),
        trail_price=None,
        time_exit_at=datetime(2026, 11, 23, 16, 30, tzinfo=UTC),
        day_end_at=datetime(2026, 11, 23, 20, 20, tzinfo=UTC),
        opened_at=datetime(2026, 11, 23, 15, 45, tzinfo=UTC),
        monitored=True,
    )
    return replace(held, **changes)


def facts(**changes: Any) -> Facts:
    healthy = Facts(
        mode="paper",
        snake_running=True,
        started_at=datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC),
        now=NOW,
        version="0.1.0",
        account="PA0TEST",
        feeds={"options": "indicative", "stocks": "iex"},
        session=Session(
            date(2026, 11, 23),
            datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
            datetime(2026, 11, 23, 21, 0, tzinfo=UTC),
        ),
        market_open=True,
        next_eod_at=datetime(2026, 11, 23, 20, 55, tzinfo=UTC),
        last_eod_run_et="2026-11-20T15:55:00",
        eod_flat_proven=True,
        eod_due_not_proven_s=None,
        positions=(),
        broker_positions=0,
        all_positions_monitored=True,
        broker_read_at=NOW - timedelta(seconds=2),
        broker_open=(),
        trading_paused=False,
        pause_reasons=(),
        heartbeats={"monitor": 1.234, "eod": 20.0},
        monitor_age_s=1.234,
        broker_age_s=2.0,
        clock_skew_s=0.1,
        data_age_s=3.0,
        stream_up=True,
        chat_up=True,
        db_writable=True,
        db_waiting_s=0.0,
        limits={"per trade": "$1,500"},
        warnings=(),
        equity=Decimal("25000"),
        day_pnl=Decimal("-12.5"),
        last_event="awake",
    )
    return replace(healthy, **changes)
