"""A day as the database has it: its trades, and the journal as an audit trail. Read-only.

It works beside the daemon and without it. Days are US/Eastern.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from wsb_snake.core.clock import eastern, eastern_date
from wsb_snake.db.database import get_connection
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.trades import bounds_of
from wsb_snake.db.values import instant
from wsb_snake.owner import ledger
from wsb_snake.owner.ledger import OrderRow, Tally, Trade

Json = dict[str, Any]


class NothingToReport(Exception):
    """The text is one line for the owner."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the journal, as it was written; ``at`` aware UTC."""

    seq: int
    at: datetime
    kind: str
    data: Mapping[str, Any]

    def line(self) -> str:
        told = json.dumps(self.data, sort_keys=True, ensure_ascii=False)
        return f"{self.seq} {eastern(self.at):%Y-%m-%d %H:%M:%S} ET {self.kind} {told}"


@dataclass(frozen=True, slots=True)
class DayReport:
    """``trades`` and ``orders`` are those closed and made on ``day``, the oldest first; ``journal`` is
    None where nobody asked for it. ``slippage`` in dollars, None where unknown."""

    day: date
    trades: tuple[Trade, ...]
    orders: tuple[OrderRow, ...]
    slippage: Decimal | None
    summary: Mapping[str, Any] | None
    journal: tuple[Entry, ...] | None

    def as_json(self) -> Json:
        """JSON values: money as text, times as ISO-8601 UTC."""
        told: Json = {
            "day": self.day,
            "sum": _tally(ledger.tally(self.trades)),
            "slippage": self.slippage,
            "by_engine": {name: _tally(each) for name, each in self._by("engine").items()},
            "by_exit_reason": {name: _tally(each) for name, each in self._by("exit_reason").items()},
            "trades": [asdict(trade) for trade in self.trades],
            "orders": [asdict(order) for order in self.orders],
            "daily_report": self.summary,
        }
        if self.journal is not None:
            told["journal"] = [asdict(entry) for entry in self.journal]
        plain: Json = json.loads(json.dumps(told, default=_plain))
        return plain

    def text(self) -> str:
        total = ledger.tally(self.trades)
        lines = [f"{self.day:%A %Y-%m-%d}: {_words(total)}"]
        if self.slippage is not None:
            lines.append(f"slippage ${self.slippage:+.2f} beyond the quotes decided on")
        lines += [f"engine {name}: {_words(each)}" for name, each in self._by("engine").items()]
        lines += [f"exit {name}: {_words(each)}" for name, each in self._by("exit_reason").items()]
        lines += [_line(trade) for trade in self.trades]
        sent = sum(order.purpose == "entry" for order in self.orders)
        lines.append(f"orders: {sent} entries, {len(self.orders) - sent} exits")
        if self.journal is not None:
            lines += ["", f"journal: {len(self.journal)} events", *(entry.line() for entry in self.journal)]
        return "\n".join(lines)

    def _by(self, column: str) -> Mapping[str, Tally]:
        return ledger.tallies(self.trades, lambda trade: str(getattr(trade, column)))


def report(database: Path, day: date | None, *, journal: bool) -> DayReport:
    """The report on ``day``; without one, on the day of the newest event. Raises NothingToReport."""
    if not database.exists():
        raise NothingToReport(
            f"there is no database at {database}; it is made by the first: python main.py run"
        )
    try:
        with get_connection(database) as conn:
            conn.execute("BEGIN")  # one picture of all tables, whatever the daemon writes meanwhile
            chosen = _newest_day(conn) if day is None else day
            if chosen is None:
                raise NothingToReport("the journal is empty: nothing has happened yet")
            return _read(conn, chosen, journal=journal)
    except (DatabaseUnavailable, sqlite3.Error, ValueError, ArithmeticError) as error:
        raise NothingToReport(f"{database} cannot be read: {error}") from error


def _read(conn: sqlite3.Connection, day: date, *, journal: bool) -> DayReport:
    trades = ledger.trades(conn, day, day)[::-1]
    summaries = ledger.daily_rows(conn, day, day)
    return DayReport(
        day=day,
        trades=trades,
        orders=ledger.orders(conn, day, day)[::-1],
        slippage=ledger.slippage(trades),
        summary=summaries[0].detail if summaries else None,
        journal=_entries(conn, day) if journal else None,
    )


def _newest_day(conn: sqlite3.Connection) -> date | None:
    row = conn.execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else eastern_date(instant(row[0]))


def _entries(conn: sqlite3.Connection, day: date) -> tuple[Entry, ...]:
    query = "SELECT seq, at, kind, data FROM events WHERE at >= ? AND at < ? ORDER BY seq"
    return tuple(
        Entry(seq, instant(at), kind, json.loads(data))
        for seq, at, kind, data in conn.execute(query, bounds_of(day, day))
    )


def _tally(sums: Tally) -> Json:
    return {**asdict(sums), "losses": sums.losses, "win_rate": sums.win_rate}


def _words(sums: Tally) -> str:
    if not sums.trades:
        return "no trade was closed"
    mean = "" if sums.mean_r is None else f", {sums.mean_r:+.2f} R on average"
    return f"{sums.trades} trades, {sums.wins} won, net ${sums.net_pnl:+.2f}, fees ${sums.fees:.2f}{mean}"


def _line(trade: Trade) -> str:
    opened, closed = eastern(trade.opened_at), eastern(trade.closed_at)
    return (
        f"{opened:%m-%d %H:%M:%S} to {closed:%H:%M:%S} ET  {trade.qty} {trade.symbol}  "
        f"{trade.entry_price} to {trade.exit_price}  ${trade.net_pnl:+.2f}  "
        f"{trade.engine}/{trade.setup}  {trade.exit_reason}  {trade.position_id}"
    )


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
