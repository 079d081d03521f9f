"""One closed position, one outcome, from real fills.

``record`` is a consumer of the journal: it runs in the transaction that advances the consumer's
offset, so that nothing is lost by a crash and nothing is counted twice. A position that was closed,
got a late fill and was closed again has its one outcome written anew.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.orders import ExitReason, PositionState, Side
from wsb_snake.core.signals import ExitPlan
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.db.records import OutcomeRecord, insert_outcome
from wsb_snake.db.values import instant, money, money_text
from wsb_snake.learning.facts import regime_of
from wsb_snake.learning.fees import CENT, fees, rounded
from wsb_snake.learning.session_windows import window_of

CONSUMER = "outcomes"
FINE = Decimal("0.00000001")

WITHOUT_SALE = frozenset({ExitReason.EXPIRED, ExitReason.EXERCISED, ExitReason.UNEXPLAINED})
"""Ends in which what we did not sell was not sold by anybody, so that no fee of a sale is due."""


def record(conn: sqlite3.Connection, event: Event) -> None:
    """Write the outcome for a POSITION_CLOSED event; every other kind changes nothing, nor does a repeat."""
    if event.kind is not EventKind.POSITION_CLOSED:
        return
    position_id = str(event.data["position_id"])
    position = _one(conn, "SELECT * FROM positions WHERE position_id = ?", position_id)
    if position is None:
        raise LookupError(f"the journal closed position {position_id}, which has no row")
    if position["state"] == PositionState.CLOSED:  # else a late fill opened it again: its next end counts
        record_trade_outcome(conn, position_id, exit_fill_price(conn, position_id), event.seq)


def exit_fill_price(conn: sqlite3.Connection, position_id: str) -> Decimal | None:
    """Average price of everything that left the position, dollars per share; None when nobody knows.

    The fills decide when they account for every contract; what was closed by other means (by hand,
    by the broker, by expiry) is in the position's own average.
    """
    position = _one(conn, "SELECT bought_qty, exit_price FROM positions WHERE position_id = ?", position_id)
    if position is None:
        return None
    average = _average(_fills(conn, position_id, Side.SELL), position["bought_qty"])
    return money(position["exit_price"]) if average is None else average


def record_trade_outcome(
    conn: sqlite3.Connection, position_id: str, exit_fill_price: Decimal | None, event_seq: int
) -> OutcomeRecord:
    """Build and write the outcome of a closed position, and count it in ``trade_performance``.

    ``exit_fill_price`` is the quantity-weighted average of the exit fills, dollars per share. Without
    one the premium counts as lost and there is no R multiple to learn from. Raises LookupError when the
    position has no row, ValueError when it was never bought or is not closed.
    """
    position = _one(conn, "SELECT * FROM positions WHERE position_id = ?", position_id)
    if position is None:
        raise LookupError(f"no position {position_id}")
    outcome = replace(
        _outcome(position, _fills(conn, position_id), exit_fill_price, event_seq),
        regime=regime_of(conn, position["signal_id"]),
    )
    written = "SELECT * FROM outcomes WHERE position_id = ?"
    _count(conn, _one(conn, written, position_id), -1)  # there is one when the position was closed before
    insert_outcome(conn, outcome)
    _count(conn, _one(conn, written, position_id), +1)
    return outcome


@dataclass(frozen=True, slots=True)
class _Fill:
    """One increment of one of our orders."""

    side: Side
    qty: int
    price: Decimal
    decision_price: Decimal | None


def _outcome(
    position: sqlite3.Row, fills: Sequence[_Fill], exit_fill_price: Decimal | None, event_seq: int
) -> OutcomeRecord:
    qty = int(position["bought_qty"])
    buys = [fill for fill in fills if fill.side is Side.BUY]
    sells = [fill for fill in fills if fill.side is Side.SELL]
    average = _average(buys, qty)
    entry = money(position["entry_price"]) if average is None else average
    opened_at, closed_at = instant(position["opened_at"]), instant(position["closed_at"])
    if qty <= 0 or entry is None or closed_at is None:
        raise ValueError(f"position {position['position_id']} was never bought or is not closed")
    reason = ExitReason(position["exit_reason"] or ExitReason.UNEXPLAINED)
    exit_price = Decimal(0) if exit_fill_price is None else exit_fill_price
    gross = ((exit_price - entry) * qty * CONTRACT_SHARES).quantize(CENT, ROUND_HALF_EVEN)
    sold = min(sum(fill.qty for fill in sells), qty) if reason in WITHOUT_SALE else qty
    cost = rounded(fees(Side.BUY, qty, entry) + fees(Side.SELL, sold, exit_price))
    net = gross - cost
    risk = entry * (ExitPlan.from_json(position["plan"]).stop or 1) * qty * CONTRACT_SHARES
    best, worst = money(position["best_mid"]), money(position["worst_mid"])
    return OutcomeRecord(
        position_id=position["position_id"],
        signal_id=position["signal_id"],
        event_seq=event_seq,
        engine=position["engine"],
        setup=position["setup"],
        symbol=position["symbol"],
        underlying=position["underlying"],
        opened_at=opened_at,
        closed_at=closed_at,
        qty=qty,
        entry_price=_price(entry),
        exit_price=_price(exit_price),
        gross_pnl=gross,
        fees=cost,
        net_pnl=net,
        entry_slippage=_slippage(buys),
        exit_slippage=_slippage(sells),
        mfe=None if best is None else _price(max(best - entry, Decimal(0))),
        mae=None if worst is None else _price(min(worst - entry, Decimal(0))),
        r_multiple=None if exit_fill_price is None or risk == 0 else float(net / risk),
        exit_reason=reason,
        holding_s=(closed_at - opened_at).total_seconds(),
        session_window=window_of(opened_at),
    )


def _average(fills: Sequence[_Fill], qty: int) -> Decimal | None:
    """Quantity-weighted price when ``fills`` account for all of ``qty``, else None."""
    if qty <= 0 or sum(fill.qty for fill in fills) != qty:
        return None
    return sum((fill.price * fill.qty for fill in fills), Decimal(0)) / qty


def _slippage(fills: Sequence[_Fill]) -> Decimal | None:
    """Dollars per share that the fills were worse (positive) than the quotes decided on; None: unknown."""
    judged = [(fill, fill.decision_price) for fill in fills if fill.decision_price is not None]
    qty = sum(fill.qty for fill, _ in judged)
    if qty == 0:
        return None
    paid = sum(((fill.price - promised) * fill.qty for fill, promised in judged), Decimal(0)) / qty
    return _price(paid if judged[0][0].side is Side.BUY else -paid)


def _price(value: Decimal) -> Decimal:
    """Whole cents stay so; an average keeps eight places, enough for P&L to the cent."""
    cents = value.quantize(CENT)
    return cents if cents == value else value.quantize(FINE)


def _fills(conn: sqlite3.Connection, position_id: str, side: Side | None = None) -> list[_Fill]:
    cursor = conn.execute(
        "SELECT fills.side, fills.qty, fills.price, orders.decision_price"
        " FROM fills LEFT JOIN orders USING (client_order_id) WHERE fills.position_id = ?"
        " ORDER BY fills.client_order_id, fills.cumulative_qty",
        (position_id,),
    )
    found = [_Fill(Side(row[0]), int(row[1]), Decimal(row[2]), money(row[3])) for row in cursor]
    return [fill for fill in found if side is None or fill.side is side]


def _count(conn: sqlite3.Connection, outcome: sqlite3.Row | None, times: int) -> None:
    """Add ``outcome`` to its cell of ``trade_performance`` (``times`` = 1) or take it out again (-1)."""
    if outcome is None:
        return
    key = (outcome["engine"], outcome["setup"], outcome["exit_reason"])
    where = "WHERE engine = ? AND setup = ? AND exit_reason = ?"
    conn.execute("INSERT OR IGNORE INTO trade_performance VALUES (?, ?, ?, 0, 0, '0.00', 0.0)", key)
    (total,) = conn.execute(f"SELECT net_pnl FROM trade_performance {where}", key).fetchone()
    net = Decimal(outcome["net_pnl"])
    conn.execute(
        "UPDATE trade_performance"
        f" SET trades = trades + ?, wins = wins + ?, net_pnl = ?, sum_r = sum_r + ? {where}",
        (
            times,
            times * (net > 0),
            money_text(Decimal(total) + times * net),
            times * (outcome["r_multiple"] or 0.0),
            *key,
        ),
    )


def _one(conn: sqlite3.Connection, query: str, position_id: str) -> sqlite3.Row | None:
    cursor = conn.cursor()
    cursor.row_factory = sqlite3.Row
    row: sqlite3.Row | None = cursor.execute(query, (position_id,)).fetchone()
    return row
