"""Rows of ``signals``, ``outcomes`` and ``paper_trades``: one field a column, in the column's name.

Prices are dollars per share, profits dollars of the whole position, times aware UTC.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal

from wsb_snake.db.values import instant_text, json_text, money_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """What an engine saw and what became of it. ``confidence`` 0 to 100; ``evidence`` is JSON."""

    signal_id: str
    at: datetime
    engine: str
    setup: str
    ticker: str
    direction: str
    confidence: float
    price: float
    evidence: Mapping[str, object] = field(default_factory=dict)
    verdict: str
    reason: str = ""
    position_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """A closed position by its real fills. MFE, MAE and slippage are dollars per share."""

    position_id: str
    signal_id: str | None = None
    event_seq: int | None = None
    engine: str
    setup: str
    symbol: str
    underlying: str
    opened_at: datetime
    closed_at: datetime
    qty: int
    entry_price: Decimal
    exit_price: Decimal
    gross_pnl: Decimal
    fees: Decimal
    net_pnl: Decimal
    entry_slippage: Decimal | None = None
    exit_slippage: Decimal | None = None
    mfe: Decimal | None = None
    mae: Decimal | None = None
    r_multiple: float | None = None
    exit_reason: str
    holding_s: float
    session_window: str
    regime: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTradeRecord:
    """What one contract of a signal would have done had it been traded; ``why_not``: why it was not.

    ``plan`` is the exit plan as JSON, ``high_bid`` the highest bid so far. ``fees`` are dollars, ``net_r``
    is the net result in risks; both are None until the end, and when the end had no price.
    """

    paper_id: str
    signal_id: str
    symbol: str
    opened_at: datetime
    entry_price: Decimal
    closed_at: datetime | None = None
    exit_price: Decimal | None = None
    exit_reason: str | None = None
    why_not: str
    engine: str = ""
    setup: str = ""
    plan: str = ""
    high_bid: Decimal | None = None
    fees: Decimal | None = None
    net_r: float | None = None


Record = SignalRecord | OutcomeRecord | PaperTradeRecord


def _statement(table: str, record: type[Record]) -> str:
    names = [column.name for column in fields(record)]
    marks = ", ".join("?" * len(names))
    return f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks})"


def _signal_statement() -> str:
    names = [column.name for column in fields(SignalRecord)]
    marks = ", ".join("?" * len(names))
    new = ", ".join(f"{name} = excluded.{name}" for name in names)
    return (
        f"INSERT INTO signals ({', '.join(names)}) VALUES ({marks}) ON CONFLICT (signal_id) DO UPDATE"
        f" SET {new} WHERE signals.position_id IS NULL OR excluded.position_id IS NOT NULL"
    )


_SIGNAL = _signal_statement()
_OUTCOME = _statement("outcomes", OutcomeRecord)
_PAPER_TRADE = _statement("paper_trades", PaperTradeRecord)


def insert_signal(conn: sqlite3.Connection, signal: SignalRecord) -> bool:
    """Write the row; one of the same ``signal_id`` is replaced, but not a traded one by one that is not.

    Whether it was written.
    """
    return conn.execute(_SIGNAL, _row(signal)).rowcount > 0


def insert_outcome(conn: sqlite3.Connection, outcome: OutcomeRecord) -> None:
    """Write the row; one of the same ``position_id`` is replaced."""
    conn.execute(_OUTCOME, _row(outcome))


def insert_paper_trade(conn: sqlite3.Connection, trade: PaperTradeRecord) -> None:
    """Write the row; one of the same ``paper_id`` is replaced."""
    conn.execute(_PAPER_TRADE, _row(trade))


def _row(record: Record) -> list[object]:
    return [_cell(getattr(record, column.name)) for column in fields(record)]


def _cell(value: object) -> object:
    if isinstance(value, Decimal):
        return money_text(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Mapping):
        return json_text(value)
    return value
