"""The same code in the simulated world: a journal wait is a yield point, one seed is one order."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.hub import Hub
from wsb_snake.db.database import Database
from wsb_snake.db.journal import Consumer, append, read
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.db.records import SignalRecord
from wsb_snake.db.writer import CROWD, CROWD_PAUSE_S

START = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
LANES = ("eod", "monitor", "pipeline")
STEPS = 20


def never() -> bool:
    return False


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub(VirtualClock(START), seed=1)
    yield made
    made.close()


@pytest.fixture
def hub_database(hub: Hub, db_path: Path) -> Database:
    made = Database(db_path, hub)
    made.open()
    return made


def small_day(path: Path, seed: int) -> tuple[list[Event], list[tuple[int, str]]]:
    """Lanes that write at chance moments beside a consumer: the journal, and when what was consumed."""
    hub = Hub(VirtualClock(START), seed)
    database = Database(path, hub)
    database.open()
    database.transact(lambda conn: conn.execute("CREATE TABLE seen (seq INTEGER, at TEXT)"))

    def write(name: str) -> None:
        for step in range(STEPS):
            with hub.network():
                pass
            data = {"lane": name, "step": step}
            event = partial(append, at=hub.clock.now(), kind=EventKind.FILL, data=data)
            database.transact(event, urgent=step % 3 == 0).result()

    def handle(conn: sqlite3.Connection, event: Event) -> None:
        conn.execute("INSERT INTO seen VALUES (?, ?)", (event.seq, hub.clock.now().isoformat()))

    def consume() -> None:
        consumer = Consumer(database, "seen", handle)
        handled = 0
        while handled < len(LANES) * STEPS:
            hub.sleep(0.05)
            handled += consumer.catch_up()
        assert database.close()

    for name in LANES:
        hub.spawn(name, partial(write, name))
    hub.spawn("consumer", consume)
    hub.run(never)
    hub.close()
    with database.get_connection() as conn:
        seen = [(seq, at) for seq, at in conn.execute("SELECT seq, at FROM seen ORDER BY rowid")]
        return read(conn, 0), seen


def test_one_seed_is_one_order(tmp_path: Path) -> None:
    first = small_day(tmp_path / "1.db", seed=7)
    assert small_day(tmp_path / "2.db", seed=7) == first
    assert small_day(tmp_path / "3.db", seed=8) != first
    events, seen = first
    assert [seq for seq, _ in seen] == [event.seq for event in events] == list(range(1, 61))


def test_a_journal_wait_lets_other_lanes_run(hub: Hub, hub_database: Database) -> None:
    order: list[str] = []

    def writes() -> None:
        order.append("handed over")
        hub_database.transact(lambda conn: order.append("committing"), urgent=True).result()
        order.append("durable")

    def other() -> None:
        hub.sleep(0.0002)
        order.append("other")

    hub.spawn("writes", writes)
    hub.spawn("other", other)
    hub.run(never)
    assert order == ["handed over", "other", "committing", "durable"]


def test_waiting_for_the_journal_under_a_lock_is_caught(hub: Hub, hub_database: Database) -> None:
    book = hub.lock("book")

    def wrong() -> None:
        with book:
            hub_database.transact(lambda conn: None).result()

    hub.spawn("wrong", wrong)
    with pytest.raises(AssertionError, match="wrong waits while the lock book is held"):
        hub.run(never)


def test_work_that_waits_fails_and_is_undone(hub: Hub, hub_database: Database) -> None:
    def waits(conn: sqlite3.Connection) -> None:
        set_meta(conn, "k", "half")
        hub.sleep(1.0)

    caught: list[str] = []

    def lane() -> None:
        with pytest.raises(AssertionError) as error:
            hub_database.transact(waits).result()
        caught.append(str(error.value))

    hub.spawn("lane", lane)
    hub.run(never)
    assert caught == ["lane db-writer waits while the lock database is held"]
    with hub_database.get_connection() as conn:
        assert get_meta(conn, "k") is None


def test_a_crash_keeps_what_was_confirmed_and_nothing_else(hub: Hub, hub_database: Database) -> None:
    confirmed: list[int] = []

    def lane() -> None:
        while True:
            event = partial(append, at=START, kind=EventKind.FILL, data={})
            confirmed.append(hub_database.transact(event).result())

    hub.spawn("lane", lane)
    hub.run(lambda: len(confirmed) == 5)
    waiting = hub_database.transact(lambda conn: set_meta(conn, "k", "lost"))
    hub.close()
    assert not waiting.done()
    assert not hub_database.close()
    with hub_database.get_connection() as conn:
        assert [event.seq for event in read(conn, 0)] == confirmed
        assert get_meta(conn, "k") is None


def test_saving_gives_way_to_the_order_path_and_to_a_crowd(
    hub: Hub, hub_database: Database, make_signal: Callable[[str], SignalRecord]
) -> None:
    paused: list[float] = []

    def save(key: str) -> None:
        start = hub.clock.monotonic()
        hub_database.save_signal(make_signal(key))
        paused.append(hub.clock.monotonic() - start)

    def lane() -> None:
        save("alone")
        hub_database.transact(lambda conn: None, urgent=True)
        save("beside urgent work")
        for _ in range(CROWD):
            hub_database.transact(lambda conn: None)
        save("in a crowd")

    hub.spawn("lane", lane)
    hub.run(never)
    assert paused == pytest.approx([0.0, CROWD_PAUSE_S, CROWD_PAUSE_S])
