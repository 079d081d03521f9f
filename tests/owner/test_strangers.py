"""Who else writes to the bot: one alert for each of them and day, a few of them at most."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.owner.strangers import MOST, Strangers

DAY_S = timedelta(days=1).total_seconds()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    made.open()
    yield made
    made.close()


def told(database: Database) -> list[int]:
    database.transact(lambda conn: None).result(10)
    with database.get_connection() as conn:
        return [e.data["user"] for e in journal.read(conn, 0) if e.kind is EventKind.STRANGER]


def test_each_is_told_once_a_day_also_after_a_restart(database: Database) -> None:
    clock = VirtualClock(datetime(2026, 11, 24, 15, tzinfo=UTC))
    first = Strangers(database.transact, clock)
    for user, chat in ((1, 1), (1, 1), (1, 9), (2, 2)):
        first.came(user, chat)
    assert told(database) == [1, 2]
    again = Strangers(database.transact, clock)
    for user in (1, 2, 3):
        again.came(user, user)
    assert told(database) == [1, 2, 3]
    clock.advance_to(DAY_S)
    again.came(1, 1)
    assert told(database) == [1, 2, 3, 1]


def test_a_crowd_gives_a_few_alerts(database: Database) -> None:
    clock = VirtualClock(datetime(2026, 11, 24, 15, tzinfo=UTC))
    for _ in range(3):  # processes
        strangers = Strangers(database.transact, clock)
        for user in range(100):
            strangers.came(user, user)
    assert told(database) == list(range(MOST))
