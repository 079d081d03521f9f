"""A database that opens long after the start: what it holds joins what was adopted meanwhile.

The daemon has read the broker without it, so positions of an earlier process stand in the book as
adopted ones. Their old rows end as continued; a contract must not be counted twice.
"""

import sqlite3
from dataclasses import replace

from wsb_snake.core.orders import HELD, TERMINAL, PositionState
from wsb_snake.trading import store
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.end_of_day import EndOfDay


def load(desk: Desk, conn: sqlite3.Connection) -> None:
    """Take up pauses, today's end and the rows of earlier processes, beside what the book holds."""
    desk.pauses.load(conn)
    desk.loaded = True
    if desk.eod is None or desk.eod.ran_at is None:
        EndOfDay(desk).load(conn)
    since = desk.day_start()
    positions = store.load_positions(conn, since)
    orders = store.load_orders(conn, since)
    with desk.book.change() as commit:
        book = desk.book
        adopted = {position.symbol: position.position_id for position in book.positions.values()}
        for position in positions:
            if position.position_id in book.positions:
                continue
            heir = adopted.get(position.symbol)
            if heir is not None and position.state in HELD:
                position = replace(
                    position,
                    state=PositionState.VOID,
                    qty=0,
                    to_sell=0,
                    closed_at=commit.change.now,
                    note=f"continued as {heir}",
                )
            commit.change.position(position)
        for order in orders:  # what may still be live at the broker was recovered from there
            known = order.client_order_id in book.orders
            if not known and order.status in TERMINAL and order.position_id in book.positions:
                commit.change.order(order)
