"""Closed trades as the database has them, and what they sum to. Read-only.

A trade is a row of ``outcomes``: a closed position by its real fills. Days are US/Eastern.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.db.values import instant, instant_text, money


@dataclass(frozen=True, slots=True)
class Trade:
    """Prices and slippage in dollars per share, ``net_pnl`` and ``fees`` in dollars, times aware UTC.

    ``net_r`` is the result after fees in risks, None where it is not known; slippage counts as
    positive when the fill was worse than the quote decided on.
    """

    position_id: str
    signal_id: str | None
    engine: str
    setup: str
    symbol: str
    underlying: str
    opened_at: datetime
    closed_at: datetime
    qty: int
    entry_price: Decimal
    exit_price: Decimal
    net_pnl: Decimal
    fees: Decimal
    entry_slippage: Decimal | None
    exit_slippage: Decimal | None
    net_r: float | None
    exit_reason: str
    holding_s: float

    @property
    def won(self) -> bool:
        return self.net_pnl > 0


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """What is asked for; None leaves a column alone."""

    engine: str | None = None
    setup: str | None = None
    underlying: str | None = None
    exit_reason: str | None = None


ALL_TRADES = TradeFilter()


@dataclass(frozen=True, slots=True)
class Tally:
    """The sum of some trades. ``mean_r`` is over those whose R is known; None without any."""

    trades: int
    wins: int
    net_pnl: Decimal
    fees: Decimal
    mean_r: float | None

    @property
    def losses(self) -> int:
        return self.trades - self.wins

    @property
    def win_rate(self) -> float | None:
        """Between 0 and 1; None without trades."""
        return self.wins / self.trades if self.trades else None


def bounds_of(first: date, last: date) -> tuple[str, str]:
    """The beginning of the US/Eastern day ``first`` and the end of ``last``, as the tables write moments."""
    start, end = from_eastern(first, time.min), from_eastern(last + timedelta(days=1), time.min)
    return instant_text(start), instant_text(end)


def trades(
    conn: sqlite3.Connection,
    first: date,
    last: date,
    only: TradeFilter = ALL_TRADES,
    limit: int | None = None,
) -> tuple[Trade, ...]:
    """The trades closed from the day ``first`` to the day ``last``, the newest first; ``limit`` at most."""
    where, values = ["closed_at >= ?", "closed_at < ?"], [*bounds_of(first, last)]
    for column in TradeFilter.__slots__:
        wanted = getattr(only, column)
        if wanted is not None:
            where.append(f"{column} = ?")
            values.append(wanted)
    query = f"SELECT * FROM outcomes WHERE {' AND '.join(where)} ORDER BY closed_at DESC, position_id LIMIT ?"
    return tuple(_trade(row) for row in rows(conn, query, (*values, -1 if limit is None else limit)))


def tally(chosen: Iterable[Trade]) -> Tally:
    """What ``chosen`` sum to."""
    held = tuple(chosen)
    known = [trade.net_r for trade in held if trade.net_r is not None]
    return Tally(
        trades=len(held),
        wins=sum(trade.won for trade in held),
        net_pnl=sum((trade.net_pnl for trade in held), Decimal(0)),
        fees=sum((trade.fees for trade in held), Decimal(0)),
        mean_r=sum(known) / len(known) if known else None,
    )


def tallies(chosen: Iterable[Trade], key: Callable[[Trade], str]) -> Mapping[str, Tally]:
    """A tally for each value of ``key``, in the order of the values."""
    groups: dict[str, list[Trade]] = {}
    for trade in chosen:
        groups.setdefault(key(trade), []).append(trade)
    return {name: tally(groups[name]) for name in sorted(groups)}


def slippage(chosen: Iterable[Trade]) -> Decimal | None:
    """Dollars that the fills of ``chosen`` cost beyond the quotes decided on; None where none is known."""
    paid = [
        each * trade.qty * CONTRACT_SHARES
        for trade in chosen
        for each in (trade.entry_slippage, trade.exit_slippage)
        if each is not None
    ]
    return sum(paid, Decimal(0)) if paid else None


def rows(conn: sqlite3.Connection, query: str, values: Iterable[object] = ()) -> list[sqlite3.Row]:
    """Rows by name, whatever the connection gives by itself."""
    cursor = conn.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(query, tuple(values)).fetchall()


def _trade(row: sqlite3.Row) -> Trade:
    return Trade(
        position_id=row["position_id"],
        signal_id=row["signal_id"],
        engine=row["engine"],
        setup=row["setup"],
        symbol=row["symbol"],
        underlying=row["underlying"],
        opened_at=instant(row["opened_at"]),
        closed_at=instant(row["closed_at"]),
        qty=row["qty"],
        entry_price=money(row["entry_price"]),
        exit_price=money(row["exit_price"]),
        net_pnl=money(row["net_pnl"]),
        fees=money(row["fees"]),
        entry_slippage=money(row["entry_slippage"]),
        exit_slippage=money(row["exit_slippage"]),
        net_r=row["r_multiple"],
        exit_reason=row["exit_reason"],
        holding_s=row["holding_s"],
    )
