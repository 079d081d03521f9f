"""A database on a real file, threads for lanes, and rows to put into it."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db.database import Database
from wsb_snake.db.records import OutcomeRecord, SignalRecord

AT = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "wsb_snake.db"


@pytest.fixture
def new_database(db_path: Path) -> Iterator[Callable[[], Database]]:
    """Databases that are not open yet, all on one path; whatever was opened is closed at the end."""
    made = []

    def make() -> Database:
        made.append(Database(db_path, ThreadLanes(SystemClock())))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    made = new_database()
    made.open()
    return made


@pytest.fixture
def quick_switch() -> Iterator[None]:
    """The interpreter's switch interval as ``run`` sets it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def make_signal() -> Callable[[str], SignalRecord]:
    def make(signal_id: str) -> SignalRecord:
        return SignalRecord(
            signal_id=signal_id,
            at=AT,
            engine="spy_scalper",
            setup="vwap_reclaim",
            ticker="SPY",
            direction="call",
            confidence=71.5,
            price=501.25,
            evidence={"vwap": Decimal("500.10"), "since": AT},
            verdict="traded",
        )

    return make


@pytest.fixture
def make_outcome() -> Callable[[str], OutcomeRecord]:
    def make(position_id: str) -> OutcomeRecord:
        return OutcomeRecord(
            position_id=position_id,
            signal_id="s-1",
            event_seq=7,
            engine="spy_scalper",
            setup="vwap_reclaim",
            symbol="SPY261124C00500000",
            underlying="SPY",
            opened_at=AT,
            closed_at=AT + timedelta(minutes=12),
            qty=2,
            entry_price=Decimal("1.20"),
            exit_price=Decimal("1.44"),
            gross_pnl=Decimal("48.00"),
            fees=Decimal("0.08"),
            net_pnl=Decimal("47.92"),
            mfe=Decimal("0.31"),
            exit_reason="target",
            holding_s=720.0,
            session_window="open",
        )

    return make
