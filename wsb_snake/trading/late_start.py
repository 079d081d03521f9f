"""A database that opens long after the start: what it holds joins what was adopted meanwhile.

The daemon has read the broker without it, so positions of an earlier process stand in the book as
adopted or recovered ones. Their old rows end as continued, for a contract must not be counted twice;
how and since when they were watched, and what was decided about them, passes to who continues them.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from wsb_snake.core.orders import (
    HELD,
    TERMINAL,
    ExitReason,
    Order,
    OrderStatus,
    PositionState,
)
from wsb_snake.trading import flatten_memory, loss_watch, store
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.end_of_day import EndOfDay
from wsb_snake.trading.positions import Position, Watch


def load(desk: Desk, conn: sqlite3.Connection) -> None:
    """Take up pauses, today's end, the owner's flatten and the rows of earlier processes, beside what the
    book holds."""
    desk.pauses.load(conn)
    today = desk.today()
    flatten = flatten_memory.read(conn, today)
    if not desk.alpaca.breaker.tripped:  # what has tripped since is nearer the truth
        desk.alpaca.load(conn)
    if desk.eod is None or desk.eod.ran_at is None:
        EndOfDay(desk).load(conn)
    since = desk.day_start()
    positions = store.load_positions(conn, since)
    orders = store.load_orders(conn, since)
    counted_from = desk.worth.load(conn, today)
    with desk.book.change() as commit:
        book, now = desk.book, commit.change.now
        heirs = {position.symbol: position.position_id for position in book.positions.values()}
        continued: dict[str, list[Position]] = {}
        alone: set[str] = set()  # nobody continues them
        for position in positions:
            if position.position_id in book.positions:
                if position.state in HELD:
                    continued.setdefault(position.position_id, []).append(position)
                continue
            heir = heirs.get(position.symbol)
            if heir is not None and position.state in HELD:
                continued.setdefault(heir, []).append(position)
                position = _ended(position, heir, now)
            else:
                alone.add(position.position_id)
            commit.change.position(position)
        for heir, rows in continued.items():
            flatten.passed_on([row.position_id for row in rows], heir)
            desk.worth.passed_on(counted_from, rows, book.positions[heir])
            if book.positions[heir].watched:
                commit.change.position(continuing(book.positions[heir], rows))
        for order in orders:
            if order.client_order_id in book.orders or order.position_id not in book.positions:
                continue
            # what else may still be live at the broker was recovered from there
            if order.status in TERMINAL or order.position_id in alone:
                commit.change.order(_as_sent(order))
    desk.flatten.join(flatten, today)  # it goes by the age of what is held, which the rows have told
    desk.unwanted |= desk.flatten.when_filled.keys()
    loss_watch.save(desk)
    desk.loaded = True


def continuing(heir: Position, rows: Sequence[Position]) -> Position:
    """``heir`` with the plan and the past of the rows that it continues, the latest last. Pure.

    Contracts that have gone since were the first of those to be sold.
    """
    last = rows[-1]
    merged = replace(
        heir,
        plan=last.plan,
        half_sold=heir.half_sold or last.half_sold,
        watch=_seen(heir.watch, last.watch),
        opened_at=min(heir.opened_at, last.opened_at),
    )
    claimed = [row for row in rows if row.state is PositionState.EXITING]
    if not claimed or (heir.state is PositionState.EXITING and heir.to_sell >= heir.qty):
        return merged
    gone = max(0, sum(row.qty for row in rows) - heir.qty)
    to_sell = min(heir.qty, sum(row.to_sell for row in claimed) - gone)
    reason = claimed[-1].exit_reason
    if to_sell > heir.to_sell:
        return replace(merged, state=PositionState.EXITING, exit_reason=reason, to_sell=to_sell)
    half = to_sell <= 0 and reason is ExitReason.PARTIAL
    return replace(merged, half_sold=merged.half_sold or half)


def _seen(one: Watch, other: Watch) -> Watch:
    """What both have seen; a crossing of the stop is looked at anew."""
    return Watch(
        high_bid=max(_told(one.high_bid, other.high_bid), default=None),
        best_mid=max(_told(one.best_mid, other.best_mid), default=None),
        worst_mid=min(_told(one.worst_mid, other.worst_mid), default=None),
    )


def _told(*prices: Decimal | None) -> list[Decimal]:
    return [price for price in prices if price is not None]


def _ended(position: Position, heir: str, now: datetime) -> Position:
    return replace(
        position,
        state=PositionState.VOID,
        qty=0,
        to_sell=0,
        closed_at=now,
        note=f"continued as {heir}",
    )


def _as_sent(order: Order) -> Order:
    """Only the broker knows what became of an order around whose POST the process died."""
    if order.status not in {OrderStatus.PLANNED, OrderStatus.SENDING}:
        return order
    return replace(order, status=OrderStatus.UNKNOWN, sent_at=order.sent_at or order.created_at)
