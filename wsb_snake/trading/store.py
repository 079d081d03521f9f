"""Orders, positions and fills as rows."""

import sqlite3
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.core.orders import (
    ExitReason,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionIntent,
    PositionState,
    Purpose,
    Side,
)
from wsb_snake.core.signals import ExitPlan
from wsb_snake.db.values import instant, instant_text, money, money_text
from wsb_snake.trading.positions import Position, Watch


def save_order(conn: sqlite3.Connection, order: Order) -> None:
    _replace(
        conn,
        "orders",
        {
            "client_order_id": order.client_order_id,
            "position_id": order.position_id,
            "purpose": order.purpose,
            "symbol": order.symbol,
            "side": order.side,
            "intent": order.intent,
            "type": order.type,
            "qty": order.qty,
            "limit_price": _money(order.limit_price),
            "status": order.status,
            "attempt": order.attempt,
            "reason": order.reason,
            "broker_id": order.broker_id,
            "created_at": instant_text(order.created_at),
            "sent_at": _instant(order.sent_at),
            "ended_at": _instant(order.ended_at),
            "cancel_asked_at": _instant(order.cancel_asked_at),
            "filled_qty": order.filled_qty,
            "filled_avg_price": _money(order.filled_avg_price),
            "decision_price": _money(order.decision_price),
            "note": order.note,
        },
    )


def read_order(row: sqlite3.Row) -> Order:
    return Order(
        client_order_id=row["client_order_id"],
        position_id=row["position_id"],
        purpose=Purpose(row["purpose"]),
        symbol=row["symbol"],
        side=Side(row["side"]),
        intent=PositionIntent(row["intent"]),
        type=OrderType(row["type"]),
        qty=row["qty"],
        limit_price=_read_money(row["limit_price"]),
        status=OrderStatus(row["status"]),
        created_at=instant(row["created_at"]),
        attempt=row["attempt"],
        reason=row["reason"],
        broker_id=row["broker_id"],
        sent_at=_read_instant(row["sent_at"]),
        ended_at=_read_instant(row["ended_at"]),
        cancel_asked_at=_read_instant(row["cancel_asked_at"]),
        filled_qty=row["filled_qty"],
        filled_avg_price=_read_money(row["filled_avg_price"]),
        decision_price=_read_money(row["decision_price"]),
        note=row["note"],
    )


def save_position(conn: sqlite3.Connection, position: Position) -> None:
    _replace(
        conn,
        "positions",
        {
            "position_id": position.position_id,
            "symbol": position.symbol,
            "underlying": position.underlying,
            "expiry": position.expiry.isoformat(),
            "origin": position.origin,
            "engine": position.engine,
            "setup": position.setup,
            "signal_id": position.signal_id,
            "state": position.state,
            "qty": position.qty,
            "bought_qty": position.bought_qty,
            "entry_price": _money(position.entry_price),
            "decision_price": _money(position.decision_price),
            "plan": position.plan.to_json(),
            "opened_at": instant_text(position.opened_at),
            "closed_at": _instant(position.closed_at),
            "sold_qty": position.sold_qty,
            "exit_price": _money(position.exit_price),
            "exit_reason": position.exit_reason,
            "to_sell": position.to_sell,
            "half_sold": int(position.half_sold),
            "high_bid": _money(position.watch.high_bid),
            "best_mid": _money(position.watch.best_mid),
            "worst_mid": _money(position.watch.worst_mid),
            "note": position.note,
        },
    )


def read_position(row: sqlite3.Row) -> Position:
    reason = row["exit_reason"]
    return Position(
        position_id=row["position_id"],
        symbol=row["symbol"],
        underlying=row["underlying"],
        expiry=date.fromisoformat(row["expiry"]),
        origin=Origin(row["origin"]),
        engine=row["engine"],
        setup=row["setup"],
        signal_id=row["signal_id"],
        state=PositionState(row["state"]),
        plan=ExitPlan.from_json(row["plan"]),
        opened_at=instant(row["opened_at"]),
        qty=row["qty"],
        bought_qty=row["bought_qty"],
        sold_qty=row["sold_qty"],
        to_sell=row["to_sell"],
        half_sold=bool(row["half_sold"]),
        entry_price=_read_money(row["entry_price"]),
        exit_price=_read_money(row["exit_price"]),
        decision_price=_read_money(row["decision_price"]),
        exit_reason=None if reason is None else ExitReason(reason),
        closed_at=_read_instant(row["closed_at"]),
        watch=Watch(
            high_bid=_read_money(row["high_bid"]),
            best_mid=_read_money(row["best_mid"]),
            worst_mid=_read_money(row["worst_mid"]),
        ),
        note=row["note"],
    )


def save_fill(conn: sqlite3.Connection, order: Order, qty: int, price: Decimal, at: datetime) -> None:
    """Record that ``order`` (already grown) filled ``qty`` more at ``price``; a repeat changes nothing."""
    conn.execute(
        "INSERT OR IGNORE INTO fills"
        " (client_order_id, cumulative_qty, position_id, symbol, side, qty, price, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order.client_order_id,
            order.filled_qty,
            order.position_id,
            order.symbol,
            order.side,
            qty,
            money_text(price),
            instant_text(at),
        ),
    )


def load_positions(conn: sqlite3.Connection, since: datetime) -> list[Position]:
    """Every position that isn't over, and those closed at or after ``since``."""
    rows = conn.execute(
        "SELECT * FROM positions"
        " WHERE state IN ('entering', 'open', 'exiting') OR closed_at >= ? ORDER BY rowid",
        (instant_text(since),),
    )
    return [read_position(row) for row in rows]


def load_orders(conn: sqlite3.Connection, since: datetime) -> list[Order]:
    """Every order created at or after ``since``, and all orders of positions that aren't over."""
    rows = conn.execute(
        "SELECT * FROM orders WHERE created_at >= ? OR position_id IN"
        " (SELECT position_id FROM positions WHERE state IN ('entering', 'open', 'exiting')) ORDER BY rowid",
        (instant_text(since),),
    )
    return [read_order(row) for row in rows]


def _replace(conn: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    key = next(iter(row))
    columns = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    updates = ", ".join(f"{name} = excluded.{name}" for name in row if name != key)
    conn.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {updates}",
        tuple(row.values()),
    )


def _money(value: Decimal | None) -> str | None:
    return None if value is None else money_text(value)


def _instant(value: datetime | None) -> str | None:
    return None if value is None else instant_text(value)


def _read_money(text: str | None) -> Decimal | None:
    return None if text is None else money(text)


def _read_instant(text: str | None) -> datetime | None:
    return None if text is None else instant(text)
