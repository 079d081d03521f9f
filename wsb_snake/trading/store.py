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
            "limit_price": money_text(order.limit_price),
            "status": order.status,
            "attempt": order.attempt,
            "reason": order.reason,
            "broker_id": order.broker_id,
            "created_at": instant_text(order.created_at),
            "sent_at": instant_text(order.sent_at),
            "ended_at": instant_text(order.ended_at),
            "cancel_asked_at": instant_text(order.cancel_asked_at),
            "filled_qty": order.filled_qty,
            "filled_avg_price": money_text(order.filled_avg_price),
            "decision_price": money_text(order.decision_price),
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
        limit_price=money(row["limit_price"]),
        status=OrderStatus(row["status"]),
        created_at=instant(row["created_at"]),
        attempt=row["attempt"],
        reason=row["reason"],
        broker_id=row["broker_id"],
        sent_at=instant(row["sent_at"]),
        ended_at=instant(row["ended_at"]),
        cancel_asked_at=instant(row["cancel_asked_at"]),
        filled_qty=row["filled_qty"],
        filled_avg_price=money(row["filled_avg_price"]),
        decision_price=money(row["decision_price"]),
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
            "entry_price": money_text(position.entry_price),
            "decision_price": money_text(position.decision_price),
            "plan": position.plan.to_json(),
            "opened_at": instant_text(position.opened_at),
            "closed_at": instant_text(position.closed_at),
            "sold_qty": position.sold_qty,
            "exit_price": money_text(position.exit_price),
            "exit_reason": position.exit_reason,
            "to_sell": position.to_sell,
            "half_sold": int(position.half_sold),
            "high_bid": money_text(position.watch.high_bid),
            "best_mid": money_text(position.watch.best_mid),
            "worst_mid": money_text(position.watch.worst_mid),
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
        entry_price=money(row["entry_price"]),
        exit_price=money(row["exit_price"]),
        decision_price=money(row["decision_price"]),
        exit_reason=None if reason is None else ExitReason(reason),
        closed_at=instant(row["closed_at"]),
        watch=Watch(
            high_bid=money(row["high_bid"]),
            best_mid=money(row["best_mid"]),
            worst_mid=money(row["worst_mid"]),
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


# ORDER BY +rowid: without the plus SQLite would rather walk all rows in order than search by index and sort.


def load_positions(conn: sqlite3.Connection, since: datetime) -> list[Position]:
    """Every position that isn't over, and those closed at or after ``since``."""
    rows = conn.execute(
        "SELECT * FROM positions"
        " WHERE state IN ('entering', 'open', 'exiting') OR closed_at >= ? ORDER BY +rowid",
        (instant_text(since),),
    )
    return [read_position(row) for row in rows]


def load_orders(conn: sqlite3.Connection, since: datetime) -> list[Order]:
    """Every order created at or after ``since``, and all orders of positions that aren't over."""
    rows = conn.execute(
        "SELECT * FROM orders WHERE created_at >= ? OR position_id IN"
        " (SELECT position_id FROM positions WHERE state IN ('entering', 'open', 'exiting'))"
        " ORDER BY +rowid",
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
