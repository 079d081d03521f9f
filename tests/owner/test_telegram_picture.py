"""The picture of the day: after its text, once, and never at the cost of anything else."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.owner.books import LOST, TUESDAY, WON
from tests.owner.room import Room
from tests.process.pair import until
from tests.source_rules import ROOT, imports, package
from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.daily import daily_report
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.records import insert_outcome
from wsb_snake.notifications.chat import ChatError, ChatUnavailable, ChatUncertain
from wsb_snake.notifications.drawing import PNG, PROGRAM, Picture, png_of
from wsb_snake.notifications.outbox import enqueue
from wsb_snake.owner.telegram_picture import FRESH, DayPicture

CALENDAR = MarketCalendar()
NOW = datetime(2026, 11, 24, 21, 15, tzinfo=UTC)


@dataclass
class Gallery(Room):
    """Takes pictures; ``plan`` holds the errors of the next ones."""

    plan: list[ChatError] = field(default_factory=list)
    pictures: list[tuple[bytes, str]] = field(default_factory=list)

    def picture(self, png: bytes, caption: str) -> None:
        if self.plan:
            raise self.plan.pop(0)
        self.pictures.append((png, caption))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    made.open()
    yield made
    made.close()


def report(database: Database) -> None:
    session = CALENDAR.session(TUESDAY)
    assert session is not None
    database.transact(lambda conn: insert_outcome(conn, WON))
    database.transact(lambda conn: insert_outcome(conn, LOST))
    daily_report(database, session, None, NOW, CALENDAR.next_session(TUESDAY))
    database.transact(lambda conn: None).result(10)
    journal.Consumer(database, "alerts", enqueue).catch_up()


def sent(database: Database) -> None:
    def write(conn: sqlite3.Connection) -> None:
        conn.execute("UPDATE alerts SET state = 'sent'")

    database.transact(write).result(10)


def pictures(
    database: Database,
    room: Gallery,
    draw: Callable[[Picture], bytes | None],
    clock: VirtualClock | None = None,
) -> DayPicture:
    return DayPicture(database, room, lambda: CALENDAR, clock or VirtualClock(NOW), draw)


def test_it_follows_the_text_and_comes_once_also_after_a_restart(database: Database) -> None:
    room, drawn = Gallery(), []

    def draw(picture: Picture) -> bytes:
        drawn.append(picture)
        return PNG

    first = pictures(database, room, draw)
    first.step()
    report(database)
    first.step()
    assert room.pictures == []  # the text waits still
    sent(database)
    first.step()
    first.step()
    database.transact(lambda conn: None).result(10)
    pictures(database, room, draw).step()
    assert room.pictures == [(PNG, "Tue 24 Nov 2026: 2 trades, +$24.70 after fees")]
    assert [str(total) for _, total in drawn[0].curve] == ["39.80", "24.70"]


def test_what_did_not_leave_is_tried_again_and_what_may_have_is_not(database: Database) -> None:
    report(database)
    sent(database)
    room = Gallery(plan=[ChatUnavailable("down"), ChatUncertain("lost")])
    picture = pictures(database, room, lambda _: PNG)
    for _ in range(4):
        picture.step()
    assert (room.plan, room.pictures) == ([], [])


def test_without_a_picture_the_text_stands_alone(database: Database) -> None:
    report(database)
    sent(database)
    tries: list[Picture] = []

    def fails(picture: Picture) -> None:
        tries.append(picture)

    room = Gallery()
    picture = pictures(database, room, fails)
    picture.step()
    picture.step()
    assert (len(tries), room.pictures) == (1, [])


def test_an_old_report_gets_no_picture(database: Database) -> None:
    report(database)
    sent(database)
    room = Gallery()
    pictures(database, room, lambda _: PNG, VirtualClock(NOW + FRESH + timedelta(seconds=1))).step()
    assert room.pictures == []


def test_the_child_draws_a_day_with_and_without_trades() -> None:
    session = CALENDAR.session(TUESDAY)
    assert session is not None
    points = ((WON.closed_at, WON.net_pnl), (LOST.closed_at, WON.net_pnl + LOST.net_pnl))
    for curve in (points, ()):
        png = png_of(Picture(session, "a day with $ and _marks_", curve, ((TUESDAY, WON.net_pnl),)))
        assert png is not None and len(png) > 5000


def test_out_of_memory_the_child_dies_first_and_not_the_daemon() -> None:
    """It offers itself before it loads what takes the memory."""
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT) as child:
        process = Path(f"/proc/{child.pid}")
        until(lambda: (process / "oom_score_adj").read_text() == "1000\n", "it has offered itself")
        assert "matplotlib" not in (process / "maps").read_text()
        child.kill()


@pytest.mark.parametrize(
    "program",
    [
        ("/no/such/program",),
        (sys.executable, "-c", "raise SystemExit(3)"),
        (sys.executable, "-c", "print('no picture')"),
    ],
)
def test_a_child_that_fails_gives_none(program: tuple[str, ...]) -> None:
    session = CALENDAR.session(TUESDAY)
    assert session is not None
    assert png_of(Picture(session, "t", (), ()), program) is None


def test_the_daemon_never_loads_the_plotting_library() -> None:
    users = {
        each.place
        for each in package()
        for name, _ in imports(each, frozenset())
        if name.startswith(("matplotlib", "wsb_snake.notifications.chart"))
    }
    assert users == {"wsb_snake/notifications/chart.py"}
    code = "import sys, wsb_snake.main; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120, check=False).returncode == 0
