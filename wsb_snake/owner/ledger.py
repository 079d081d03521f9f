"""What the database tells the owner: trades, days, orders, signals, performance, weights. Read-only.

Every function takes a connection, so that page, chat and reports show one truth. What is open at this
moment is in memory: see ``core/health.Facts``. Days are US/Eastern, times aware UTC, money dollars.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from wsb_snake.db.trades import (
    ALL_TRADES,
    Tally,
    Trade,
    TradeFilter,
    bounds_of,
    rows,
    slippage,
    tallies,
    tally,
    trades,
)
from wsb_snake.db.values import instant, money

__all__ = [
    "ALL_TRADES",
    "Cell",
    "CurvePoint",
    "DayRow",
    "OrderRow",
    "SignalRow",
    "Tally",
    "Trade",
    "TradeFilter",
    "Weight",
    "curve",
    "daily_rows",
    "orders",
    "performance",
    "signals",
    "slippage",
    "tallies",
    "tally",
    "trades",
    "weights",
]

AFTER_ALL = "~"
"""Comes after the name of every component."""


@dataclass(frozen=True, slots=True)
class DayRow:
    """A session's summary as the daily report wrote it; ``detail`` is all of it."""

    session: date
    trades: int
    wins: int
    losses: int
    net_pnl: Decimal
    fees: Decimal
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """Trades of one engine and setup that ended for one reason, of all time. ``sum_r``: in risks."""

    engine: str
    setup: str
    exit_reason: str
    trades: int
    wins: int
    net_pnl: Decimal
    sum_r: float


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One of our orders. Prices are dollars per share; ``purpose`` is ``entry`` or ``exit``; ``broker_id`` is
    None while the broker has not told its own name for it."""

    client_order_id: str
    broker_id: str | None
    position_id: str
    purpose: str
    symbol: str
    side: str
    type: str
    qty: int
    limit_price: Decimal | None
    status: str
    reason: str
    created_at: datetime
    filled_qty: int
    filled_avg_price: Decimal | None
    note: str


@dataclass(frozen=True, slots=True)
class SignalRow:
    """What an engine saw, the verdict on it, and the reason where it was not traded."""

    signal_id: str
    at: datetime
    engine: str
    setup: str
    ticker: str
    direction: str
    confidence: float
    price: float
    verdict: str
    reason: str
    position_id: str | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """``total`` is the sum of the net results closed up to ``at``."""

    at: datetime
    total: Decimal


@dataclass(frozen=True, slots=True)
class Weight:
    """How much a component of the orchestrator counts, after how many trades, and why."""

    feature: str
    weight: float
    trades: int
    at: datetime
    why: str


def daily_rows(
    conn: sqlite3.Connection, first: date, last: date, limit: int | None = None
) -> tuple[DayRow, ...]:
    """The summaries of the sessions from ``first`` to ``last``, the newest first; ``limit`` at most."""
    query = "SELECT * FROM daily_summaries WHERE session >= ? AND session <= ? ORDER BY session DESC LIMIT ?"
    values = (first.isoformat(), last.isoformat(), -1 if limit is None else limit)
    return tuple(
        DayRow(
            session=date.fromisoformat(row["session"]),
            trades=row["trades"],
            wins=row["wins"],
            losses=row["losses"],
            net_pnl=money(row["net_pnl"]),
            fees=money(row["fees"]),
            detail=json.loads(row["detail"]),
        )
        for row in rows(conn, query, values)
    )


def performance(conn: sqlite3.Connection) -> tuple[Cell, ...]:
    """All trades ever, by engine, setup and exit reason; cells without a trade are left out."""
    query = "SELECT * FROM trade_performance WHERE trades > 0 ORDER BY engine, setup, exit_reason"
    return tuple(
        Cell(
            engine=row["engine"],
            setup=row["setup"],
            exit_reason=row["exit_reason"],
            trades=row["trades"],
            wins=row["wins"],
            net_pnl=money(row["net_pnl"]),
            sum_r=row["sum_r"],
        )
        for row in rows(conn, query)
    )


def orders(
    conn: sqlite3.Connection, first: date, last: date, limit: int | None = None
) -> tuple[OrderRow, ...]:
    """Our orders made from the day ``first`` to the day ``last``, the newest first; ``limit`` at most."""
    query = (
        "SELECT * FROM orders WHERE created_at >= ? AND created_at < ?"
        " ORDER BY created_at DESC, client_order_id LIMIT ?"
    )
    values = (*bounds_of(first, last), -1 if limit is None else limit)
    return tuple(
        OrderRow(
            client_order_id=row["client_order_id"],
            broker_id=row["broker_id"],
            position_id=row["position_id"],
            purpose=row["purpose"],
            symbol=row["symbol"],
            side=row["side"],
            type=row["type"],
            qty=row["qty"],
            limit_price=money(row["limit_price"]),
            status=row["status"],
            reason=row["reason"],
            created_at=instant(row["created_at"]),
            filled_qty=row["filled_qty"],
            filled_avg_price=money(row["filled_avg_price"]),
            note=row["note"],
        )
        for row in rows(conn, query, values)
    )


def signals(
    conn: sqlite3.Connection,
    first: date,
    last: date,
    ticker: str | None = None,
    limit: int | None = None,
) -> tuple[SignalRow, ...]:
    """The signals from the day ``first`` to the day ``last``, the newest first; ``limit`` at most."""
    where = "at >= ? AND at < ? AND (? IS NULL OR ticker = ?)"
    query = f"SELECT * FROM signals WHERE {where} ORDER BY at DESC, signal_id LIMIT ?"
    values = (*bounds_of(first, last), ticker, ticker, -1 if limit is None else limit)
    return tuple(
        SignalRow(
            signal_id=row["signal_id"],
            at=instant(row["at"]),
            engine=row["engine"],
            setup=row["setup"],
            ticker=row["ticker"],
            direction=row["direction"],
            confidence=row["confidence"],
            price=row["price"],
            verdict=row["verdict"],
            reason=row["reason"],
            position_id=row["position_id"],
        )
        for row in rows(conn, query, values)
    )


def curve(conn: sqlite3.Connection, first: date, last: date) -> tuple[CurvePoint, ...]:
    """The running sum of what was closed from the day ``first`` to the day ``last``, the oldest first."""
    points, total = [], Decimal(0)
    for trade in reversed(trades(conn, first, last)):
        total += trade.net_pnl
        points.append(CurvePoint(trade.closed_at, total))
    return tuple(points)


def weights(conn: sqlite3.Connection) -> tuple[Weight, ...]:
    """The newest weight of each component; none before the first lesson."""
    query = "SELECT * FROM model_weights WHERE feature < ? ORDER BY feature DESC, version DESC LIMIT 1"
    found: list[Weight] = []
    while newest := rows(conn, query, (found[-1].feature if found else AFTER_ALL,)):
        (row,) = newest
        found.append(Weight(row["feature"], row["weight"], row["trades"], instant(row["at"]), row["why"]))
    return tuple(reversed(found))
