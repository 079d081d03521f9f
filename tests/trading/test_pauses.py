"""Why nothing may be opened, and what of it survives a restart."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.trading.pauses import DURABLE, REASONS, Pauses

LANES = ThreadLanes(SystemClock())
NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "wsb_snake.db", LANES)
    made.open()
    yield made
    made.close()


def reborn(database: Database) -> Pauses:
    database.transact(lambda conn: None, urgent=True).result(10)  # what waits before it is written
    found = Pauses(LANES, database)
    with database.get_connection() as conn:
        found.load(conn)
    return found


def test_reasons_are_a_set(database: Database) -> None:
    pauses = Pauses(LANES, database)
    assert not pauses.any
    assert pauses.set("stream", "down") and pauses.set("manual", "owner")
    assert not pauses.set("stream", "still down")
    assert [(p.reason, p.detail) for p in pauses.listed()] == [("manual", "owner"), ("stream", "down")]
    assert [pauses.clear("manual"), pauses.clear("manual")] == [True, False]
    assert [pause.reason for pause in pauses.listed()] == ["stream"]
    assert pauses.clear("stream")
    assert pauses.listed() == ()


def test_a_word_that_is_no_reason_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="weather"):
        Pauses(LANES, database).set("weather", "")


def test_what_a_person_or_a_limit_set_survives_a_restart(database: Database) -> None:
    pauses = Pauses(LANES, database)
    for reason in sorted(REASONS):
        pauses.set(reason, f"because of {reason}")
    again = reborn(database)
    assert {p.reason for p in again.listed()} == DURABLE == {"manual", "daily_loss", "alpaca"}
    assert all(p in pauses.listed() for p in again.listed())
    again.clear("manual")
    assert not reborn(database).has("manual")


def test_each_change_is_journalled_once(database: Database) -> None:
    pauses = Pauses(LANES, database)
    pauses.set("alpaca", "orders: timed out", count=5)
    pauses.set("alpaca", "again")
    pauses.clear("alpaca")
    pauses.clear("alpaca")
    reborn(database)
    with database.get_connection() as conn:
        told = [(event.kind, event.data) for event in journal.read(conn, 0)]
    assert told == [
        (EventKind.PAUSED, {"reason": "alpaca", "detail": "orders: timed out", "count": 5}),
        (EventKind.RESUMED, {"reason": "alpaca"}),
    ]


def test_a_pause_with_an_end_survives_a_restart_and_ends_by_itself(database: Database) -> None:
    clock = VirtualClock(NOON)
    lanes = ThreadLanes(clock)
    pauses = Pauses(lanes, database)
    assert pauses.hold("manual", "lunch", NOON + timedelta(minutes=30)).until == NOON + timedelta(minutes=30)
    database.transact(lambda conn: None, urgent=True).result(10)
    again = Pauses(lanes, database)
    with database.get_connection() as conn:
        again.load(conn)
    assert again.listed() == pauses.listed()
    clock.advance_to(30 * 60 - 1)
    again.end_those_over()
    assert again.has("manual")
    clock.advance_to(30 * 60)
    again.end_those_over()
    assert not again.any and not reborn(database).any
    with database.get_connection() as conn:
        told = [(event.kind, event.data.get("until")) for event in journal.read(conn, 0)]
    assert told == [(EventKind.PAUSED, "2026-11-24T17:30:00.000000+00:00"), (EventKind.RESUMED, None)]


def test_a_pause_without_an_end_outlasts_one_with_an_end(database: Database) -> None:
    pauses = Pauses(ThreadLanes(VirtualClock(NOON)), database)
    pauses.hold("manual", "lunch", NOON + timedelta(minutes=30))
    pauses.hold("manual", "a long lunch", NOON + timedelta(minutes=90))
    assert [(p.detail, p.until) for p in pauses.listed()] == [("a long lunch", NOON + timedelta(minutes=90))]
    pauses.hold("manual", "halted", None)
    assert pauses.hold("manual", "lunch", NOON + timedelta(minutes=5)).detail == "halted"
    assert reborn(database).listed() == pauses.listed()
    assert [p.until for p in pauses.listed()] == [None]
