"""The exchange's own trading calendar, from the rules of NYSE Rule 7.2 (holidays and early closes).

It deliberately shares nothing with the daemon's calendar, so that the two can disagree. The rules
hold for 2022 (the first Juneteenth holiday) and later.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from wsb_snake.core.clock import from_eastern

FIRST_YEAR = 2022
_OPEN = time(9, 30)
_CLOSE = time(16, 0)
_EARLY_CLOSE = time(13, 0)
_MONDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 4, 5, 6
_THURSDAY = 3
# National day of mourning for President Carter: the only unscheduled closing since FIRST_YEAR.
_UNSCHEDULED_CLOSINGS = frozenset({date(2025, 1, 9)})


@dataclass(frozen=True, slots=True)
class SimSession:
    """One regular trading session; ``open`` and ``close`` are aware UTC moments."""

    day: date
    open: datetime
    close: datetime

    @property
    def seconds(self) -> int:
        """Length of the session: 23,400 on a full day, 12,600 on a half day."""
        return int((self.close - self.open).total_seconds())


@lru_cache(maxsize=8192)
def session_of(day: date) -> SimSession | None:
    """The session of ``day``, or None when the exchange is shut all day.

    Raises ValueError before FIRST_YEAR, where these rules do not hold.
    """
    if day.year < FIRST_YEAR:
        raise ValueError(f"the exchange's calendar begins in {FIRST_YEAR}, {day} lies before it")
    if day.weekday() >= _SATURDAY or day in _UNSCHEDULED_CLOSINGS or day in _holidays(day.year):
        return None
    close = _EARLY_CLOSE if _closes_early(day) else _CLOSE
    return SimSession(day, from_eastern(day, _OPEN), from_eastern(day, close))


def is_session(day: date) -> bool:
    """Whether the exchange opens on ``day``. Raises ValueError before FIRST_YEAR."""
    return session_of(day) is not None


def sessions(first: date, last: date) -> list[SimSession]:
    """All sessions from ``first`` to ``last``, both included, in order of time."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [session for day in days if (session := session_of(day)) is not None]


def session_before(day: date) -> SimSession:
    """The last session before ``day``."""
    return _walk(day, -1)


def session_after(day: date) -> SimSession:
    """The first session after ``day``."""
    return _walk(day, 1)


def third_friday(year: int, month: int) -> date:
    """The day on which the monthly options expire unless it is a holiday."""
    return _nth_weekday(year, month, _FRIDAY, 3)


def _walk(day: date, step: int) -> SimSession:
    while True:
        day += timedelta(days=step)
        if (session := session_of(day)) is not None:
            return session


def _holidays(year: int) -> frozenset[date]:
    days = {
        _nth_weekday(year, 1, _MONDAY, 3),  # Martin Luther King, Jr. Day
        _nth_weekday(year, 2, _MONDAY, 3),  # Washington's Birthday
        _easter(year) - timedelta(days=2),  # Good Friday
        _last_monday_of_may(year),  # Memorial Day
        _observed(date(year, 6, 19)),  # Juneteenth
        _observed(date(year, 7, 4)),  # Independence Day
        _nth_weekday(year, 9, _MONDAY, 1),  # Labor Day
        _thanksgiving(year),
        _observed(date(year, 12, 25)),  # Christmas Day
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != _SATURDAY:  # a Saturday New Year is not moved to the Friday before it
        days.add(_observed(new_year))
    return frozenset(days)


def _closes_early(day: date) -> bool:
    """The day after Thanksgiving, and the sessions before Independence Day and Christmas.

    The latter two only where the feast itself falls on a weekday: moved to a Friday it shuts the
    very day, moved to a Monday it leaves the Friday before at full length.
    """
    if day == _thanksgiving(day.year) + timedelta(days=1):
        return True
    return (day.month, day.day) in {(7, 3), (12, 24)} and day.weekday() <= _THURSDAY


def _observed(feast: date) -> date:
    """Saturday feasts are kept on the Friday before, Sunday feasts on the Monday after."""
    moves = {_SATURDAY: -1, _SUNDAY: 1}
    return feast + timedelta(days=moves.get(feast.weekday(), 0))


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _thanksgiving(year: int) -> date:
    return _nth_weekday(year, 11, _THURSDAY, 4)


def _easter(year: int) -> date:
    """Easter Sunday (anonymous Gregorian algorithm, Meeus, "Astronomical Algorithms", ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
