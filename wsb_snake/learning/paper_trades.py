"""Signals that were not traded, as one contract would have done: bought at the ask, sold at the bid.

They tell what was missed. No weight, no cell and no outcome ever comes from them.
"""

import sqlite3
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.orders import Side
from wsb_snake.core.signals import ExitPlan, TradeIntent
from wsb_snake.core.types import CONTRACT_SHARES, Quote
from wsb_snake.db.records import PaperTradeRecord
from wsb_snake.db.values import instant, instant_text, money
from wsb_snake.learning.fees import fees, rounded

NO_QUOTE = "no_quote"
"""Why a paper trade ended whose contract had no quote until it expired."""

PREFIX = "paper-"


def begin(intent: TradeIntent, why_not: str, now: datetime) -> PaperTradeRecord | None:
    """The paper trade of an intent that was not executed; None where nobody offers the contract."""
    if not intent.quote.two_sided:
        return None
    return PaperTradeRecord(
        paper_id=PREFIX + intent.signal.signal_id,
        signal_id=intent.signal.signal_id,
        symbol=intent.contract.symbol,
        opened_at=now,
        entry_price=intent.quote.ask,
        why_not=why_not,
        engine=intent.signal.engine,
        setup=intent.signal.setup,
        plan=intent.plan.to_json(),
        high_bid=intent.quote.bid,
    )


def end(trade: PaperTradeRecord, reason: str, quote: Quote | None, now: datetime) -> PaperTradeRecord:
    """``trade`` after its exit at the bid of ``quote``; without one its result stays unknown."""
    ended = replace(trade, closed_at=now, exit_reason=reason)
    if quote is None:
        return ended
    cost = rounded(fees(Side.BUY, 1, trade.entry_price) + fees(Side.SELL, 1, quote.bid))
    net = (quote.bid - trade.entry_price) * CONTRACT_SHARES - cost
    risk = trade.entry_price * (ExitPlan.from_json(trade.plan).stop or 1) * CONTRACT_SHARES
    return replace(ended, exit_price=quote.bid, fees=cost, net_r=float(net / risk))


def open_trades(conn: sqlite3.Connection) -> list[PaperTradeRecord]:
    """Those without an end, oldest first."""
    return _read(conn, "closed_at IS NULL AND plan <> ''", ())


def ids_since(conn: sqlite3.Connection, moment: datetime) -> frozenset[str]:
    """The names of those that began at or after ``moment``."""
    rows = conn.execute("SELECT paper_id FROM paper_trades WHERE opened_at >= ?", (instant_text(moment),))
    return frozenset(row[0] for row in rows)


@dataclass(frozen=True, slots=True)
class Missed:
    """What the signals of one engine that were not traded would have done, in risks after fees."""

    engine: str
    trades: int
    wins: int
    total_r: float


def missed(conn: sqlite3.Connection, day: date) -> tuple[Missed, ...]:
    """By engine, the paper trades that ended on a US/Eastern day with a known result."""
    start = from_eastern(day, time.min)
    bounds = (instant_text(start), instant_text(start + timedelta(days=1)))
    ended = _read(conn, "closed_at >= ? AND closed_at < ? AND net_r IS NOT NULL", bounds)
    results: dict[str, list[float]] = {}
    for trade in ended:
        results.setdefault(trade.engine, []).append(trade.net_r or 0.0)
    return tuple(
        Missed(engine, len(held), sum(value > 0 for value in held), sum(held))
        for engine, held in sorted(results.items())
    )


def _read(conn: sqlite3.Connection, where: str, bounds: tuple[str, ...]) -> list[PaperTradeRecord]:
    cursor = conn.cursor()
    cursor.row_factory = sqlite3.Row
    query = f"SELECT * FROM paper_trades WHERE {where} ORDER BY opened_at, paper_id"
    return [_trade(row) for row in cursor.execute(query, bounds)]


def _trade(row: sqlite3.Row) -> PaperTradeRecord:
    return PaperTradeRecord(
        paper_id=row["paper_id"],
        signal_id=row["signal_id"],
        symbol=row["symbol"],
        opened_at=instant(row["opened_at"]),
        entry_price=Decimal(row["entry_price"]),
        closed_at=instant(row["closed_at"]),
        exit_price=money(row["exit_price"]),
        exit_reason=row["exit_reason"],
        why_not=row["why_not"],
        engine=row["engine"],
        setup=row["setup"],
        plan=row["plan"],
        high_bid=money(row["high_bid"]),
        fees=money(row["fees"]),
        net_r=row["net_r"],
    )
