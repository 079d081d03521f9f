"""The disk: locked at the worst moment, copied while it is written, and days that must agree."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.source_rules import ROOT
from tests.trading.world import World, world
from wsb_snake.backtest import driver
from wsb_snake.backtest.driver import DayPlan, Depth, run_day
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.db.database import Database, get_connection
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerOrder, OrderTicket

# 19: the order is there, the row is not


class Lock:
    """Another program that holds the database for writing."""

    def __init__(self, w: World) -> None:
        self._conn = sqlite3.connect(w.settings.db_path, isolation_level=None)
        self._conn.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._conn.execute("ROLLBACK")
        self._conn.close()


def lock_at_post(w: World, monkeypatch: pytest.MonkeyPatch) -> list[Lock]:
    """From the next order's POST on the database takes no writes."""
    locks: list[Lock] = []
    submit = w.broker.submit

    def locked(ticket: OrderTicket) -> BrokerOrder:
        if not locks:
            locks.append(Lock(w))
        return submit(ticket)

    monkeypatch.setattr(w.broker, "submit", locked)
    return locks


@pytest.mark.parametrize("then", ["killed", "goes on"])
def test_19_an_entry_whose_answer_could_not_be_written_is_one_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """The order was live at the exchange and nowhere in the database."""
    with world(tmp_path) as w:
        locks = lock_at_post(w, monkeypatch)
        order = w.enter()
        assert order is not None
        w.until(lambda: w.held() == 4, 10)
        w.run(2)
        if then == "killed":
            w.crash()
            locks[0].release()
            w.start()
        else:
            locks[0].release()
        w.until(lambda: w.position(order.position_id).state is PositionState.OPEN, 30)
        assert [(p.position_id, p.qty) for p in w.watched] == [(order.position_id, 4)]
        assert len(w.own("buy")) == 1
        w.until(lambda: w.paused() == set(), 60)
        w.price("1.26", "1.30")
        w.until(w.outcomes, 30)
        assert sum(o.filled_qty for o in w.own("sell")) == 4
        assert len(w.rows("SELECT * FROM fills")) == 2


@pytest.mark.parametrize("filled", [True, False])
def test_19b_an_exit_without_its_row_is_found_and_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled: bool
) -> None:
    """The disk stood still, the exit went out, the process died."""
    with world(tmp_path, rules=Rules(partial_fill_chance=0, fill_beats_cancel_chance=0)) as w:
        position = w.open()
        w.run(2)
        lock = Lock(w)
        if not filled:
            w.feed.shown[position.symbol] = ("1.00", "1.05")
            w.price("0.90", "0.95")
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.own("sell"), 5)
        w.run(2 if filled else 0.2)
        w.crash()
        lock.release()
        w.feed.shown.clear()
        w.price("1.00", "1.05")
        w.start()
        w.until(lambda: w.held() == 0, 30)
        w.until(w.outcomes, 60)
        assert sum(o.filled_qty for o in w.own("sell")) == position.qty
        assert len(w.outcomes()) == 1
        assert Decimal(w.outcomes()[0]["exit_price"]) == w.own("sell")[-1].filled_avg_price
        assert w.broker.refusals == []


def test_19c_somebody_who_reads_for_long_holds_nothing_up(tmp_path: Path) -> None:
    """A page that was open kept the database locked."""
    with world(tmp_path) as w:
        reader = sqlite3.connect(f"file:{w.settings.db_path}?mode=ro", uri=True, isolation_level=None)
        with closing(reader):
            reader.execute("BEGIN")
            seen = reader.execute("SELECT COUNT(*) FROM events").fetchone()
            w.open()
            w.price("0.80", "0.84")
            assert w.until(w.outcomes, 30) < 10
            assert w.paused() == set()
            assert reader.execute("SELECT COUNT(*) FROM events").fetchone() == seen


# 23: the rehearsal is the performance

HALF_DAY = date(2026, 11, 27)


LATE_MORNING = timedelta(hours=-2)
"""A day that starts that long before its open still has entries, exits and its end."""


@pytest.mark.parametrize(
    ("depth", "seed", "starts_before_open"),
    [
        ("wire", 12, LATE_MORNING),
        pytest.param("wire", 12, driver.STARTS_BEFORE_OPEN, marks=pytest.mark.slow),
        pytest.param("http", 3, driver.STARTS_BEFORE_OPEN, marks=pytest.mark.slow),
    ],
)
def test_23_one_day_gives_the_same_decisions_at_every_depth(
    depth: Depth, seed: int, starts_before_open: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulation, rehearsal and the real thing decided differently on the same day.

    In process and through the real clients it is one daemon and one order path.
    """
    monkeypatch.setenv("WSB_SNAKE_HALF_DAY_ENTRIES", "true")
    monkeypatch.setattr(driver, "STARTS_BEFORE_OPEN", starts_before_open)
    inside, through = (run_day(DayPlan(HALF_DAY, seed, each)) for each in ("port", depth))
    assert inside.orders and inside.trades
    assert inside.orders == through.orders
    assert inside.trades == through.trades
    assert (inside.eod_run_et, inside.eod_flat_proven) == (through.eod_run_et, through.eod_flat_proven)


# 25: copies of a database that is being written


def test_25_a_copy_that_is_taken_while_rows_are_written_is_whole(tmp_path: Path) -> None:
    """Copied as files, it was torn or empty; "verified" meant that it had a size."""
    lanes = ThreadLanes(SystemClock())
    live = Database(tmp_path / "live" / "wsb_snake.db", lanes)
    live.open()
    over = threading.Event()

    def write() -> None:
        number = 50
        while not over.is_set():
            number += 1
            live.transact(pair(number)).result(30)

    def pair(number: int) -> Callable[[sqlite3.Connection], None]:
        def work(conn: sqlite3.Connection) -> None:
            set_meta(conn, f"row {number}", "x")
            set_meta(conn, "rows", str(number))

        return work

    for number in range(1, 51):
        live.transact(pair(number)).result(30)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [tmp_path / f"copy{n}" / "wsb_snake.db" for n in range(5)]
        for copy in copies:
            copy.parent.mkdir()
            with get_connection(live.path) as source, closing(sqlite3.connect(copy)) as target:
                before = int(get_meta(source, "rows") or 0)
                source.backup(target, pages=5)
                assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            with get_connection(copy) as restored:
                told = int(get_meta(restored, "rows") or 0)
                rows = restored.execute("SELECT COUNT(*) FROM meta WHERE key LIKE 'row %'").fetchone()[0]
            assert rows == told >= before
    finally:
        over.set()
        writer.join(30)
        live.close()
    again = Database(copies[-1], lanes)  # and the daemon starts on it
    again.open()
    assert again.close()


def test_25b_no_script_copies_the_database_as_a_file() -> None:
    """With write-ahead logging the file alone is not the database."""
    scripts = [path for path in (ROOT / "script").rglob("*") if path.is_file()]
    assert scripts
    for path in scripts:
        for line in path.read_text(errors="replace").splitlines():
            words = line.split("#")[0].split()
            copies = {"cp", "rsync", "tar", "mv", "dd"} & set(words)
            assert not (copies and (".db" in line or "DB_PATH" in line)), f"{path.name}: {line}"
