"""Which expiries an engine asks for.

Scalps buy what expires today. Momentum buys the weekly contract: of this week while more than 3 sessions
are left to its expiry, else of the next week, and up to a week later where that one has nothing to buy.
LEAPS are bought for a January, or for an expiry after it, at least 12 calendar months out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType

from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.types import ChainRow
from wsb_snake.engines import leaps_engine, momentum_engine

MOMENTUM_SESSIONS = 3
"""Momentum buys nothing that expires within so many sessions."""
LEAPS_MONTHS = 12

_FRIDAY = 4
_WEEK = timedelta(weeks=1)
_JANUARY = 1


@dataclass(frozen=True, slots=True)
class Expiries:
    """The days ``first`` to ``last``, both included, US/Eastern: what expires then may be bought."""

    first: date
    last: date

    def closes(self, rows: Iterable[ChainRow], calendar: MarketCalendar) -> Mapping[date, datetime]:
        """The expiries of ``rows`` within the range, each with the close of its session (aware UTC).

        That is what ``contract_picker.pick`` wants. A day that the calendar has no session for is left out.
        """
        days = sorted({row.contract.expiry for row in rows})
        sessions = (calendar.session(day) for day in days if self.first <= day <= self.last)
        return MappingProxyType({found.day: found.close for found in sessions if found is not None})


def expiries(engine: str, today: date, calendar: MarketCalendar) -> Expiries:
    """What ``engine`` may buy on the session day ``today``."""
    if engine == momentum_engine.ENGINE:
        return _weekly(today, calendar)
    if engine == leaps_engine.ENGINE:
        return _leaps(today)
    return Expiries(today, today)


def _weekly(today: date, calendar: MarketCalendar) -> Expiries:
    """From the end of the first week that ends more than MOMENTUM_SESSIONS sessions away to the next one's.

    Weekly contracts expire on Fridays, and on the session before where the Friday is a holiday.
    """
    friday = today + timedelta(days=(_FRIDAY - today.weekday()) % 7)
    while calendar.sessions_between(today, _week_end(friday, calendar)) <= MOMENTUM_SESSIONS:
        friday += _WEEK
    return Expiries(_week_end(friday, calendar), _week_end(friday + _WEEK, calendar))


def _week_end(friday: date, calendar: MarketCalendar) -> date:
    return friday if calendar.session(friday) else calendar.previous_session(friday).day


def _leaps(today: date) -> Expiries:
    """From the first January whose monthly expiry is far enough away to the end of the January after it.

    The third Friday is the January expiry, or the day before it, should that be a holiday.
    """
    nearest = _months_later(today, LEAPS_MONTHS)
    year = nearest.year if _third_friday(nearest.year, _JANUARY) >= nearest else nearest.year + 1
    return Expiries(max(nearest, date(year, _JANUARY, 1)), date(year + 1, _JANUARY, 31))


def _months_later(day: date, months: int) -> date:
    """The same day of a later month; 29 February becomes 1 March, so that no month is short."""
    year, month = divmod(day.month - 1 + months, 12)
    try:
        return day.replace(year=day.year + year, month=month + 1)
    except ValueError:
        return date(day.year + year, month + 2, 1)


def _third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)
