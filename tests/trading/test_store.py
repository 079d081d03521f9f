"""Orders and positions survive the database unchanged."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.trading.samples import NOON, exit_order, money, order, position
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.orders import ExitReason, OrderStatus, PositionState
from wsb_snake.db.database import Database
from wsb_snake.trading import store
from wsb_snake.trading.positions import Watch


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    made.open()
    return made


def test_round_trip_and_update(database: Database) -> None:
    bare = order(limit_price=None, broker_id=None, sent_at=None, status=OrderStatus.PLANNED)
    full = exit_order(
        filled_qty=1,
        filled_avg_price=money("1.97"),
        cancel_asked_at=NOON,
        ended_at=NOON,
        decision_price=money("1.99"),
        note="why",
    )
    plain = position()
    rich = position(
        position_id="20261124-s-rrrrrrrrrrrr",
        state=PositionState.EXITING,
        exit_reason=ExitReason.STOP,
        to_sell=2,
        half_sold=True,
        sold_qty=2,
        exit_price=money("1.97"),
        decision_price=money("2.01"),
        watch=Watch(money("2.2"), money("2.3"), money("1.9")),
    )

    def write(conn: sqlite3.Connection) -> None:
        store.save_order(conn, bare)
        store.save_order(conn, full)
        store.save_order(conn, replace(bare, status=OrderStatus.NEW))
        store.save_position(conn, plain)
        store.save_position(conn, rich)

    database.transact(write).result(5)
    with database.get_connection() as conn:
        assert store.load_orders(conn, NOON) == [replace(bare, status=OrderStatus.NEW), full]
        assert store.load_positions(conn, NOON) == [plain, rich]


def test_what_is_over_is_loaded_for_its_day_only(database: Database) -> None:
    today = position(position_id="t", state=PositionState.CLOSED, qty=0, closed_at=NOON)
    before = position(position_id="b", state=PositionState.CLOSED, qty=0, closed_at=NOON - timedelta(days=1))
    old_but_open = position(position_id="o", opened_at=NOON - timedelta(days=30))
    old_order = order(position_id="o", created_at=NOON - timedelta(days=30))

    def write(conn: sqlite3.Connection) -> None:
        for each in (today, before, old_but_open):
            store.save_position(conn, each)
        store.save_order(conn, old_order)

    database.transact(write).result(5)
    with database.get_connection() as conn:
        since = NOON - timedelta(hours=12)
        assert {p.position_id for p in store.load_positions(conn, since)} == {"t", "o"}
        assert store.load_orders(conn, since) == [old_order]


def test_a_fill_is_written_once(database: Database) -> None:
    grown = order(filled_qty=2, filled_avg_price=money("2.00"))
    for _ in range(2):
        database.transact(lambda conn: store.save_fill(conn, grown, 2, money("2.00"), NOON)).result(5)
    with database.get_connection() as conn:
        assert conn.execute("SELECT COUNT(*), SUM(qty) FROM fills").fetchone()[:] == (1, 2)
