"""Cells of hour, window, engine and setup."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import time

import pytest

from tests.learning.world import Trade, at, consume, new_database, write_close
from wsb_snake.learning import time_learning
from wsb_snake.learning.time_learning import cell_of


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    with closing(new_database()) as made:
        yield made


@pytest.mark.parametrize(
    ("wall", "cell"),
    [
        (time(9, 30), "orchestrator|snap|09|open"),
        (time(10, 29), "orchestrator|snap|10|open"),
        (time(10, 30), "orchestrator|snap|10|morning"),
        (time(15, 59), "orchestrator|snap|15|power"),
    ],
)
@pytest.mark.parametrize("day", [2, 120])  # winter and summer time
def test_the_hour_is_new_yorks(wall: time, cell: str, day: int) -> None:
    assert cell_of("orchestrator", "snap", at(day, wall)) == cell


def test_a_cell_adds_up_its_outcomes(conn: sqlite3.Connection) -> None:
    first = Trade("p1", at(0, time(10, 5)), "2.30")
    write_close(conn, first)
    write_close(conn, replace(first, name="p2", exit_price="1.70", opened_at=at(3, time(10, 20))))
    write_close(conn, replace(first, name="p3", opened_at=at(3, time(11, 20))))
    consume(conn)
    cells = time_learning.load(conn)
    won, lost = (30 - 0.13) / 30, (-30 - 0.12) / 30
    cell = cells["orchestrator|vwap_reclaim|10|open"]
    assert cell.trades == 2
    assert cell.total == pytest.approx(won + lost)
    assert cell.squares == pytest.approx(won**2 + lost**2)
    assert cells["orchestrator|vwap_reclaim|11|morning"].trades == 1
    (newest,) = conn.execute("SELECT at FROM time_performance WHERE trades = 2").fetchone()
    assert newest == "2026-03-05T15:25:00.000000+00:00"


def test_a_position_leaves_the_cell_that_it_was_counted_in(conn: sqlite3.Connection) -> None:
    trade = Trade("p1", at(0, time(10, 5)))
    seq = consume(conn, write_close(conn, trade) - 1)
    write_close(conn, replace(trade, opened_at=at(0, time(11, 5))))
    consume(conn, seq)
    assert list(time_learning.load(conn)) == ["orchestrator|vwap_reclaim|11|morning"]
