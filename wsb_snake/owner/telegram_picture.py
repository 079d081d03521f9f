"""The picture behind the daily report: once a session, after its text; without it the text stands alone."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import Clock
from wsb_snake.core.lanes import Flag
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.db.trades import rows
from wsb_snake.db.values import instant
from wsb_snake.notifications.chat import ChatError, ChatRetryAfter, ChatUnavailable, Conversation
from wsb_snake.notifications.drawing import Picture, png_of
from wsb_snake.notifications.wording import dollars
from wsb_snake.owner.ledger import DayRow, curve, daily_rows

EVERY_S = 30.0
FRESH = timedelta(hours=6)
"""Of a report that is older no picture is sent any more."""

BACK = timedelta(days=30)
META = "picture_of"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Due:
    row: DayRow
    picture: Picture


class DayPicture:
    """``calendar`` gives the newest calendar; ``draw`` makes the PNG, or None where it cannot."""

    def __init__(
        self,
        database: Database,
        room: Conversation,
        calendar: Callable[[], MarketCalendar],
        clock: Clock,
        draw: Callable[[Picture], bytes | None] = png_of,
    ) -> None:
        self._database = database
        self._room = room
        self._calendar = calendar
        self._clock = clock
        self._draw = draw
        self._done: date | None = None

    def run(self, stopping: Flag) -> None:
        """Until the process stops."""
        while not stopping.wait(EVERY_S):
            try:
                self.step()
            except (DatabaseUnavailable, sqlite3.Error) as error:
                log.warning("the day's picture has to wait: %s", error)

    def step(self) -> None:
        """Send the picture of the newest report if that is due; its text goes first."""
        with self._database.get_connection() as conn:
            due = self._due(conn)
        if due is None:
            return
        png = self._draw(due.picture)
        if png is not None:
            try:
                self._room.picture(png, due.picture.title)
            except (ChatUnavailable, ChatRetryAfter) as error:
                log.warning("the day's picture has to wait: %s", error)
                return
            except ChatError as error:  # it may be there, or will never be taken
                log.warning("the day's picture may be missing: %s", error)
        self._finish(due.row.session)

    def _due(self, conn: sqlite3.Connection) -> _Due | None:
        now = self._clock.now()
        newest = rows(conn, "SELECT session, at FROM daily_summaries ORDER BY session DESC LIMIT 1")
        if not newest:
            return None
        day, at = date.fromisoformat(newest[0]["session"]), newest[0]["at"]
        session = self._calendar().session(day)
        if day == self._done or session is None or get_meta(conn, META) == day.isoformat():
            return None
        if now - instant(at) > FRESH or not _told(conn, at):
            return None
        (row,) = daily_rows(conn, day, day)
        days = reversed(daily_rows(conn, day - BACK, day))
        picture = Picture(
            session=session,
            title=f"{day:%a %d %b %Y}: {row.trades} trades, {dollars(row.net_pnl, signed=True)} after fees",
            curve=tuple((point.at, point.total) for point in curve(conn, day, day)),
            days=tuple((each.session, each.net_pnl) for each in days),
        )
        return _Due(row, picture)

    def _finish(self, day: date) -> None:
        self._done = day
        self._database.transact(lambda conn: set_meta(conn, META, day.isoformat()))


def _told(conn: sqlite3.Connection, at: str) -> bool:
    """Whether the text of the report that was made ``at`` has arrived."""
    query = "SELECT state FROM alerts WHERE kind = 'daily_report' AND at = ?"
    return [row["state"] for row in rows(conn, query, (at,))] == ["sent"]
