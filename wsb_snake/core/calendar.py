"""When the market is open: the broker's calendar, with exchange_calendars beside it.

The broker's rows decide wherever they reach, since a closure announced at short notice is in them
first; the library's XNYS rules serve before and after those rows, and as a cross-check. Where the two
disagree, what is held is watched and closed by both. Every
deadline of the daemon is an offset from ``Session.close``, so that a half day needs no code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from types import MappingProxyType

from wsb_snake.core.clock import eastern, eastern_date

REGULAR_CLOSE = time(16, 0)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day: ``day`` is the US/Eastern date, ``open`` and ``close`` are aware UTC.

    Raises ValueError when the times are not UTC, not in order or not on ``day``.
    """

    day: date
    open: datetime
    close: datetime

    def __post_init__(self) -> None:
        if self.open.utcoffset() != timedelta(0) or self.close.utcoffset() != timedelta(0):
            raise ValueError(f"session {self.day}: open and close must be aware UTC")
        if not self.open < self.close:
            raise ValueError(f"session {self.day}: it closes at {self.close}, before it opens at {self.open}")
        if eastern_date(self.open) != self.day or eastern_date(self.close) != self.day:
            raise ValueError(f"session {self.day}: open {self.open} or close {self.close} is on another day")


class MarketCalendar:
    """Sessions by US/Eastern day; immutable, cheap to make anew whenever the broker's rows arrive.

    ``broker_rows`` cover the days from the first row to the last: a day between them without a row
    is closed.
    """

    __slots__ = ("_first", "_last", "_rows")

    def __init__(self, broker_rows: Iterable[Session] = ()) -> None:
        self._rows: Mapping[date, Session] = MappingProxyType({row.day: row for row in broker_rows})
        self._first = min(self._rows, default=None)
        self._last = max(self._rows, default=None)

    def covers(self, day: date) -> bool:
        """Whether the broker's rows say what ``day`` is."""
        return self._first is not None and self._last is not None and self._first <= day <= self._last

    def session(self, day: date) -> Session | None:
        """The session of ``day``, or None when the market is closed."""
        return self._rows.get(day) if self.covers(day) else _library(day)

    def either(self, day: date) -> tuple[Session, datetime] | None:
        """What is held goes by this: ``day`` as broker or library has it, with the earlier close, and
        the later close; None when both say that the market is closed.

        Who trusted a row that is wrong would leave a position to its expiry.
        """
        told = [session for session in (self.session(day), _library(day)) if session is not None]
        if not told:
            return None
        closes = [session.close for session in told]
        return Session(day, min(session.open for session in told), min(closes)), max(closes)

    def session_at(self, moment: datetime) -> Session | None:
        """The session of the US/Eastern day on which ``moment`` (aware) falls, whatever the hour."""
        return self.session(eastern_date(moment))

    def next_session(self, after: date) -> Session:
        """The first session after the day ``after``."""
        return self._nearest(after, _ONE_DAY)

    def previous_session(self, before: date) -> Session:
        """The last session before the day ``before``."""
        return self._nearest(before, -_ONE_DAY)

    def sessions_between(self, first: date, last: date) -> int:
        """How many sessions lie after the day ``first`` up to and including ``last``."""
        days = (last - first).days
        return sum(self.session(first + n * _ONE_DAY) is not None for n in range(1, days + 1))

    def is_half_day(self, session: Session) -> bool:
        """Whether ``session`` closes before 16:00 US/Eastern."""
        return eastern(session.close).time() < REGULAR_CLOSE

    def disagreement(self, day: date) -> str | None:
        """One line when the broker's rows cover ``day`` and the library says otherwise."""
        if not self.covers(day):
            return None
        broker, library = self._rows.get(day), _library(day)
        if broker == library:
            return None
        return f"{day}: the broker says {_hours(broker)}, exchange_calendars says {_hours(library)}"

    def _nearest(self, day: date, step: timedelta) -> Session:
        while True:
            day += step
            session = self.session(day)
            if session is not None:
                return session


def _hours(session: Session | None) -> str:
    if session is None:
        return "closed"
    return f"{eastern(session.open):%H:%M}-{eastern(session.close):%H:%M} ET"


def _library(day: date) -> Session | None:
    return _library_year(day.year).get(day)


@cache
def _library_year(year: int) -> Mapping[date, Session]:
    """The NYSE sessions of one year by the rules of exchange_calendars.

    A year at a time keeps it light, and no year is beyond the end. The import is here because it
    brings pandas, which most commands never need.
    """
    from exchange_calendars import get_calendar

    schedule = get_calendar("XNYS", start=f"{year}-01-01", end=f"{year}-12-31").schedule
    sessions = {}
    for day, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True):
        sessions[day.date()] = Session(day.date(), _utc(opens.to_pydatetime()), _utc(closes.to_pydatetime()))
    return MappingProxyType(sessions)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
