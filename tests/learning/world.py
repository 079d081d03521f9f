"""Closed positions with signals, outcomes and journal, as the daemon leaves them."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.orders import ExitReason, Origin, PositionState
from wsb_snake.core.signals import ExitPlan
from wsb_snake.db import journal
from wsb_snake.db.migrations import migrate
from wsb_snake.db.records import SignalRecord, insert_signal
from wsb_snake.db.values import instant_text
from wsb_snake.learning import learnt, outcome_recorder
from wsb_snake.trading import store
from wsb_snake.trading.positions import Position

FIRST_DAY = date(2026, 3, 2)
PLAN = ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=2700)

LEARNT = ("model_weights", "pattern_memory", "time_performance")


@dataclass(frozen=True)
class Trade:
    """One position: bought at $2.00, sold at ``exit_price``; the signal came 10 s before."""

    name: str
    opened_at: datetime
    exit_price: str = "2.10"
    engine: str = "orchestrator"
    setup: str = "vwap_reclaim"
    evidence: Mapping[str, object] | None = None
    minutes: int = 5
    state: PositionState = PositionState.CLOSED
    with_price: bool = True

    @property
    def closed_at(self) -> datetime:
        return self.opened_at + timedelta(minutes=self.minutes)


def at(day: int, wall: time) -> datetime:
    """US/Eastern ``wall`` on the ``day``-th calendar day."""
    return from_eastern(FIRST_DAY + timedelta(days=day), wall)


def new_database() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:")
    migrate(conn)
    return conn


def write_trade(conn: sqlite3.Connection, trade: Trade) -> None:
    signal_id = None if trade.evidence is None else f"signal-{trade.name}"
    if signal_id is not None:
        insert_signal(
            conn,
            SignalRecord(
                signal_id=signal_id,
                at=trade.opened_at - timedelta(seconds=10),
                engine=trade.engine,
                setup=trade.setup,
                ticker="SPY",
                direction="long",
                confidence=75,
                price=500.0,
                evidence=trade.evidence or {},
                verdict="executed",
                position_id=trade.name,
            ),
        )
    store.save_position(
        conn,
        Position(
            position_id=trade.name,
            symbol="SPY260302C00500000",
            underlying="SPY",
            expiry=FIRST_DAY,
            origin=Origin.OURS,
            engine=trade.engine,
            setup=trade.setup,
            signal_id=signal_id,
            state=trade.state,
            plan=PLAN,
            opened_at=trade.opened_at,
            bought_qty=1,
            sold_qty=1,
            entry_price=Decimal("2.00"),
            exit_price=Decimal(trade.exit_price) if trade.with_price else None,
            exit_reason=ExitReason.TIME,
            closed_at=trade.closed_at if trade.state is PositionState.CLOSED else None,
        ),
    )


def write_close(conn: sqlite3.Connection, trade: Trade, when: datetime | None = None) -> int:
    """The position as it ended, and the event that says so."""
    write_trade(conn, trade)
    told = when or trade.closed_at
    return journal.append(conn, told, EventKind.POSITION_CLOSED, {"position_id": trade.name})


def write_report(conn: sqlite3.Connection, day: int) -> int:
    now = at(day, time(16, 15))
    session = (FIRST_DAY + timedelta(days=day)).isoformat()
    conn.execute(
        "INSERT INTO daily_summaries (session, trades, wins, losses, net_pnl, fees, detail, at)"
        " VALUES (?, 0, 0, 0, '0', '0', '{}', ?)",
        (session, instant_text(now)),
    )
    return journal.append(conn, now, EventKind.DAILY_REPORT, {"session": session})


def consume(conn: sqlite3.Connection, after: int = 0, limit: int = 100_000) -> int:
    """Hand every event after ``after`` to the recorder and the learner; the newest one's number."""
    seq = after
    for event in journal.read(conn, after, limit):
        handle(conn, event)
        seq = event.seq
    return seq


def handle(conn: sqlite3.Connection, event: Event) -> None:
    outcome_recorder.record(conn, event)
    learnt.learn(conn, event)


def dump(conn: sqlite3.Connection, tables: Sequence[str] = LEARNT) -> str:
    """Every byte of every row."""
    return json.dumps(
        {name: conn.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in tables}
    )


def forget(conn: sqlite3.Connection) -> None:
    for name in (*LEARNT, "time_cells", "outcomes", "trade_performance"):
        conn.execute(f"DELETE FROM {name}")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
