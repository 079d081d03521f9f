"""What the page shows, as JSON: ``/api/live`` from memory, the rest from the database.

Reading the database is read-only and bounded, on connections of its own. ``READING`` names the blueprint
of which only a few requests run at once, so that a disk that hangs leaves threads for the rest.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import ServiceUnavailable

from wsb_snake.core.clock import eastern, eastern_date
from wsb_snake.core.health import Facts
from wsb_snake.core.types import Bar
from wsb_snake.db.database import get_connection
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.learning import time_learning
from wsb_snake.owner import ledger
from wsb_snake.owner.day_curve import DayCurve
from wsb_snake.owner.ledger import SignalRow, Tally, Trade, TradeFilter
from wsb_snake.owner.live import Control, label, live_json
from wsb_snake.owner.status import Json
from wsb_snake.owner.today import FIRST_SYMBOL, today_json
from wsb_snake.owner.web_query import MOST_ROWS, query

T = TypeVar("T")

READING = "data"
TRADES_BACK = timedelta(days=90)
TRADES, DECISIONS, CELLS = 100, 60, 100


@dataclass(frozen=True, slots=True)
class Books:
    """Where the page's figures are. ``bars`` gives today's minutes of a name that are in memory."""

    read_facts: Callable[[], Facts]
    database: Path
    curve: DayCurve
    bars: Callable[[str], tuple[Bar, ...]]
    controls: tuple[Control, ...] = ()


def live_routes(books: Books) -> Blueprint:
    """``GET /api/live``: memory only, as quick as ``/health``."""
    routes = Blueprint("live", __name__)

    @routes.get("/api/live")
    def live() -> Response:
        query()
        return jsonify(live_json(books.read_facts(), books.controls))

    return routes


def data_routes(books: Books) -> Blueprint:
    """The routes that read the database; 503 in one line when it cannot be read."""
    routes = Blueprint(READING, __name__)

    @routes.get("/api/today")
    def today() -> Response:
        symbol = query("symbol").ticker("symbol") or FIRST_SYMBOL
        facts = books.read_facts()
        day = eastern_date(facts.now)
        closed = _read(books, lambda conn: ledger.trades(conn, day, day, limit=MOST_ROWS))
        return jsonify(today_json(facts, closed, books.curve.points(day), symbol, books.bars(symbol)))

    @routes.get("/api/decisions")
    def decisions() -> Response:
        asked = query("first", "last", "ticker", "limit")
        day = eastern_date(books.read_facts().now)
        first, last = asked.days(day, day)
        ticker, limit = asked.ticker("ticker"), asked.rows(DECISIONS)
        seen = _read(books, lambda conn: ledger.signals(conn, first, last, ticker, limit + 1))
        return jsonify(signals=[_signal(row) for row in seen[:limit]], more=len(seen) > limit)

    @routes.get("/api/trades")
    def trades() -> Response:
        asked = query("first", "last", "engine", "setup", "ticker", "reason", "limit")
        day = eastern_date(books.read_facts().now)
        first, last = asked.days(day - TRADES_BACK, day)
        only = TradeFilter(
            asked.word("engine"), asked.word("setup"), asked.ticker("ticker"), asked.word("reason")
        )
        limit = asked.rows(TRADES)
        found = _read(books, lambda conn: ledger.trades(conn, first, last, only, limit + 1))
        shown = found[:limit]
        return jsonify(
            first=first.isoformat(),
            last=last.isoformat(),
            trades=[_trade(trade) for trade in shown],
            more=len(found) > limit,
            sum=_tally(ledger.tally(shown), ledger.slippage(shown)),
        )

    @routes.get("/api/learning")
    def learning() -> Response:
        query()
        return jsonify(_read(books, learning_json))

    return routes


def learning_json(conn: sqlite3.Connection) -> Json:
    """Weights of the components, the cells of hours, and how engines and exits have done; R after fees."""
    cells = sorted(time_learning.load(conn).items(), key=lambda item: (-item[1].trades, item[0]))
    done = sorted(ledger.performance(conn), key=lambda cell: -cell.trades)
    return {
        "weights": [
            {
                "feature": weight.feature,
                "weight": weight.weight,
                "trades": weight.trades,
                "at_et": f"{eastern(weight.at):%Y-%m-%d %H:%M}",
                "why": weight.why,
            }
            for weight in ledger.weights(conn)
        ],
        "cells": [
            {"cell": name, "trades": held.trades, "mean_r": round(held.mean, 3)}
            for name, held in cells[:CELLS]
        ],
        "cells_in_all": len(cells),
        "performance": [
            {
                "engine": cell.engine,
                "setup": cell.setup,
                "exit_reason": cell.exit_reason,
                "trades": cell.trades,
                "wins": cell.wins,
                "net_pnl": str(cell.net_pnl),
                "mean_r": round(cell.sum_r / cell.trades, 3),
            }
            for cell in done[:CELLS]
        ],
    }


def _read(books: Books, work: Callable[[sqlite3.Connection], T]) -> T:
    """Raises ServiceUnavailable."""
    try:
        with get_connection(books.database) as conn:
            return work(conn)
    except DatabaseUnavailable as error:
        raise ServiceUnavailable(str(error)) from error
    except (sqlite3.Error, ValueError, ArithmeticError) as error:
        raise ServiceUnavailable(f"the database cannot be read: {error}") from error


def _signal(row: SignalRow) -> Json:
    return {
        "signal_id": row.signal_id,
        "at_et": f"{eastern(row.at):%Y-%m-%d %H:%M:%S}",
        "engine": row.engine,
        "setup": row.setup,
        "ticker": row.ticker,
        "direction": row.direction,
        "confidence": row.confidence,
        "price": row.price,
        "verdict": row.verdict,
        "reason": row.reason,
        "position_id": row.position_id,
    }


def _trade(trade: Trade) -> Json:
    return {
        "position_id": trade.position_id,
        "signal_id": trade.signal_id,
        "engine": trade.engine,
        "setup": trade.setup,
        "symbol": trade.symbol,
        "label": label(trade.symbol, eastern_date(trade.closed_at)),
        "ticker": trade.underlying,
        "opened_et": f"{eastern(trade.opened_at):%Y-%m-%d %H:%M:%S}",
        "closed_et": f"{eastern(trade.closed_at):%Y-%m-%d %H:%M:%S}",
        "qty": trade.qty,
        "entry_price": str(trade.entry_price),
        "exit_price": str(trade.exit_price),
        "net_pnl": str(trade.net_pnl),
        "fees": str(trade.fees),
        "net_r": trade.net_r,
        "exit_reason": trade.exit_reason,
        "holding_s": round(trade.holding_s),
        "entry_slippage": None if trade.entry_slippage is None else str(trade.entry_slippage),
        "exit_slippage": None if trade.exit_slippage is None else str(trade.exit_slippage),
    }


def _tally(sums: Tally, slipped: Decimal | None) -> Json:
    return {
        "trades": sums.trades,
        "wins": sums.wins,
        "losses": sums.losses,
        "win_rate": None if sums.win_rate is None else round(sums.win_rate, 4),
        "net_pnl": str(sums.net_pnl),
        "fees": str(sums.fees),
        "mean_r": None if sums.mean_r is None else round(sums.mean_r, 3),
        "slippage": None if slipped is None else str(slipped),
    }
