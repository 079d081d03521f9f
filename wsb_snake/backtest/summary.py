"""What one driven day came to: the rows of the database and the orders of the exchange, and their sum."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from wsb_snake.backtest.family_days import FamilyDay, family_days
from wsb_snake.backtest.limit_check import LimitCheck
from wsb_snake.core.clock import eastern, eastern_text
from wsb_snake.core.occ import is_option, parse
from wsb_snake.daily import outcomes_of
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant, money
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.orders import SimOrder, SimStatus
from wsb_snake.sim.telegram_api import TelegramApi
from wsb_snake.trading.desk import Desk

ALL_ORDERS = 500
SYNTHETIC = (
    "Bars between recorded captures are synthetic. They lead to the next capture while quotes stand still "
    "until it, which flatters what trades on bars: this proves fills and arithmetic, no edge."
)
SCENES = (
    "This market plays scenes that the setup families look for, and its option flow knows a little of what "
    "comes: it shows that engines act, no edge."
)
ENGINE_HEAD = ("engine", "entered", "closed", "won", "gross $", "fees $", "net $")


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed position. Prices in dollars per share; ``gross``, ``fees`` and ``net`` in dollars."""

    symbol: str
    engine: str
    setup: str
    qty: int
    opened_et: str
    closed_et: str
    entry: Decimal
    exit: Decimal
    gross: Decimal
    fees: Decimal
    net: Decimal
    r_multiple: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class EngineDay:
    """What one engine did. ``entered`` positions were bought, ``trades`` were closed; dollars."""

    engine: str
    entered: int
    trades: int
    wins: int
    gross: Decimal
    fees: Decimal
    net: Decimal

    def as_json(self) -> dict[str, object]:
        return {
            "entered": self.entered,
            "trades": self.trades,
            "wins": self.wins,
            "pnl": str(self.net),
            "fees": str(self.fees),
        }


@dataclass(frozen=True, slots=True)
class DayResult:
    """Everything that the demo prints.

    ``standing`` are the contracts that are held overnight, ``too_dear`` the tickers whose contract cost
    more than a trade may. ``families`` lived or gave signals.
    """

    day: date
    trades: tuple[Trade, ...]
    closed_positions: int
    orders: tuple[SimOrder, ...]
    alerts: int
    eod_run_et: str | None
    eod_flat_proven: bool
    open_0dte: int
    synthetic_bars: bool
    engines: tuple[EngineDay, ...] = ()
    standing: tuple[str, ...] = ()
    too_dear: tuple[str, ...] = ()
    families: tuple[FamilyDay, ...] = ()
    limits: LimitCheck = field(default_factory=LimitCheck)

    @property
    def flat(self) -> bool:
        """Whether nothing of today was left over, and the broker showed it."""
        return self.eod_flat_proven and self.open_0dte == 0

    def as_json(self, seed: int, wall_seconds: float) -> dict[str, object]:
        """The object of DESIGN section 8."""
        nets = [trade.net for trade in self.trades]
        return {
            "date": self.day.isoformat(),
            "seed": seed,
            "trades": self.closed_positions,
            "wins": sum(net > 0 for net in nets),
            "losses": sum(net <= 0 for net in nets),
            "pnl": str(sum(nets, Decimal(0))),
            "orders": len(self.orders),
            "rejected_orders": sum(order.status is SimStatus.REJECTED for order in self.orders),
            "alerts": self.alerts,
            "eod_run_et": self.eod_run_et,
            "eod_flat_proven": self.eod_flat_proven,
            "open_0dte_at_close": self.open_0dte,
            "outcomes": len(self.trades),
            "engines": {each.engine: each.as_json() for each in self.engines},
            "exits_by_reason": dict(sorted(Counter(trade.reason for trade in self.trades).items())),
            "order_list_hash": order_list_hash(self.orders),
            "synthetic_bars": self.synthetic_bars,
            "note": note(self.synthetic_bars),
            "wall_seconds": round(wall_seconds, 2),
        }


def collect(database: Database, exchange: Exchange, telegram: TelegramApi, desk: Desk) -> DayResult:
    """Read the day's end from database and exchange."""
    day = exchange.market.day
    with database.get_connection() as conn:
        trades = tuple(_trade(row) for row in outcomes_of(conn, day))
        closed = conn.execute("SELECT COUNT(*) FROM positions WHERE state = 'closed'").fetchone()[0]
        bought = Counter(row[0] for row in conn.execute("SELECT engine FROM positions WHERE bought_qty > 0"))
        held = conn.execute("SELECT symbol FROM positions WHERE state = 'open' ORDER BY symbol").fetchall()
        dear = conn.execute(
            "SELECT DISTINCT ticker FROM signals WHERE verdict = 'too_dear' ORDER BY ticker"
        ).fetchall()
        families = family_days(conn, day)
    eod = desk.eod
    ran = eod is not None and eod.day == day
    return DayResult(
        day=day,
        trades=trades,
        closed_positions=closed,
        orders=tuple(exchange.orders("all", ALL_ORDERS, direction="asc")),
        alerts=len(telegram.messages),
        eod_run_et=None if eod is None or eod.ran_at is None or not ran else eastern_text(eod.ran_at),
        eod_flat_proven=eod is not None and ran and eod.proven_at is not None,
        open_0dte=open_0dte(exchange),
        synthetic_bars=exchange.market.synthetic_bars,
        engines=by_engine(trades, bought),
        standing=tuple(row[0] for row in held),
        too_dear=tuple(row[0] for row in dear),
        families=families,
    )


def by_engine(trades: tuple[Trade, ...], bought: Mapping[str, int]) -> tuple[EngineDay, ...]:
    """One row an engine that bought or closed something, by name."""
    rows = []
    for engine in sorted({*bought, *(trade.engine for trade in trades)}):
        its = [trade for trade in trades if trade.engine == engine]
        rows.append(
            EngineDay(
                engine=engine,
                entered=bought.get(engine, 0),
                trades=len(its),
                wins=sum(trade.net > 0 for trade in its),
                gross=sum((trade.gross for trade in its), Decimal(0)),
                fees=sum((trade.fees for trade in its), Decimal(0)),
                net=sum((trade.net for trade in its), Decimal(0)),
            )
        )
    return tuple(rows)


def open_0dte(exchange: Exchange) -> int:
    """Contracts expiring today that the account still held at the close: sold by expiry or standing now."""
    day = exchange.market.day
    standing = [p.holding for p in exchange.positions() if is_option(p.holding.symbol)]
    left = sum(abs(h.qty) for h in standing if parse(h.symbol).expiry == day)
    settled = [a for a in exchange.activities() if a.type in {"OPEXP", "OPEXC", "OPASN"}]
    return left + sum(abs(a.qty) for a in settled)


def order_list_hash(orders: tuple[SimOrder, ...]) -> str:
    """SHA-256 over the orders in order of submission; no broker id and no wall time enters."""
    rows = [
        [
            order.client_order_id,
            order.symbol,
            order.side,
            order.intent,
            order.type,
            order.qty,
            None if order.limit_price is None else str(order.limit_price.normalize()),
            order.submitted_at.isoformat(),
            order.filled_qty,
            None if order.filled_avg_price is None else f"{order.filled_avg_price:.6f}",
            order.status.value,
        ]
        for order in orders
    ]
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def table(result: DayResult) -> str:
    """The trades and the EOD proof, for a person."""
    head = ("contract", "setup", "qty", "in", "out", "entry", "exit", "net $", "R", "why")
    lines = [*columns([head, *(_cells(trade) for trade in result.trades)]), ""]
    lines += columns([ENGINE_HEAD, *(engine_cells(each) for each in result.engines)])
    if result.standing:
        lines.append(f"Held overnight: {', '.join(result.standing)}")
    if result.too_dear:
        lines.append(f"Too dear for a trade: {', '.join(result.too_dear)}")
    net = sum((trade.net for trade in result.trades), Decimal(0))
    proof = "proven flat by the broker" if result.eod_flat_proven else "NOT proven flat"
    ran = "did not run" if result.eod_run_et is None else f"ran at {result.eod_run_et[11:]} ET"
    lines += [
        "",
        f"{len(result.trades)} trades, net ${net:.2f} after fees; {len(result.orders)} orders, "
        f"{result.alerts} alerts",
        f"EOD close {ran}, {proof}; {result.open_0dte} contracts of today open at the close",
    ]
    lines.append(note(result.synthetic_bars))
    return "\n".join(line.rstrip() for line in lines)


def note(synthetic_bars: bool) -> str:
    """What a result does not prove, on recorded days or on the seeded market."""
    return SYNTHETIC if synthetic_bars else SCENES


def _trade(row: sqlite3.Row) -> Trade:
    return Trade(
        symbol=row["symbol"],
        engine=row["engine"],
        setup=row["setup"] or row["engine"],
        qty=row["qty"],
        opened_et=f"{eastern(instant(row['opened_at'])):%H:%M:%S}",
        closed_et=f"{eastern(instant(row['closed_at'])):%H:%M:%S}",
        entry=money(row["entry_price"]),
        exit=money(row["exit_price"]),
        gross=money(row["gross_pnl"]),
        fees=money(row["fees"]),
        net=money(row["net_pnl"]),
        r_multiple=row["r_multiple"],
        reason=row["exit_reason"],
    )


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """``rows`` as lines, each column as wide as its widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def engine_cells(each: EngineDay) -> tuple[str, ...]:
    """One line under ENGINE_HEAD."""
    rate = f"{each.wins / each.trades:.0%}" if each.trades else ""
    counts = (str(each.entered), str(each.trades), rate)
    return (each.engine, *counts, f"{each.gross:+.2f}", f"{each.fees:.2f}", f"{each.net:+.2f}")


def _cells(trade: Trade) -> tuple[str, ...]:
    r = "" if trade.r_multiple is None else f"{trade.r_multiple:+.2f}"
    return (
        trade.symbol,
        trade.setup,
        str(trade.qty),
        trade.opened_et,
        trade.closed_et,
        f"{trade.entry:.2f}",
        f"{trade.exit:.2f}",
        f"{trade.net:+.2f}",
        r,
        trade.reason,
    )
