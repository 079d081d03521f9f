import time as clock_time
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest

from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import eastern, from_eastern

HALF_DAYS = [
    date(2024, 7, 3),
    date(2024, 11, 29),
    date(2024, 12, 24),
    date(2025, 7, 3),
    date(2025, 11, 28),
    date(2025, 12, 24),
    date(2026, 11, 27),
    date(2026, 12, 24),
    date(2027, 11, 26),
    date(2028, 7, 3),
    date(2028, 11, 24),
]
"""Published by the exchange for 2024 to 2028."""


def session(day: date, opens: time = time(9, 30), closes: time = time(16, 0)) -> Session:
    return Session(day, from_eastern(day, opens), from_eastern(day, closes))


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Auckland"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process runs in this time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        clock_time.tzset()
        yield request.param
    clock_time.tzset()


def test_half_days_of_five_years_are_these_and_no_others(zone: str) -> None:
    calendar = MarketCalendar()
    day, found = date(2024, 1, 1), []
    while day < date(2029, 1, 1):
        row = calendar.session(day)
        if row is not None and calendar.is_half_day(row):
            found.append(day)
            assert eastern(row.close).time() == time(13, 0)
        elif row is not None:
            assert eastern(row.close).time() == time(16, 0)
        day += timedelta(days=1)
    assert found == HALF_DAYS


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (date(2026, 3, 6), 14.5, 21),  # the Friday before clocks go forward
        (date(2026, 3, 9), 13.5, 20),
        (date(2026, 10, 30), 13.5, 20),  # the Friday before clocks go back
        (date(2026, 11, 2), 14.5, 21),
        (date(2026, 11, 27), 14.5, 18),  # a half day
    ],
)
def test_utc_hours_follow_daylight_saving(zone: str, day: date, opens: float, closes: float) -> None:
    row = MarketCalendar().session(day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert row == Session(day, midnight + timedelta(hours=opens), midnight + timedelta(hours=closes))


def test_session_at_goes_by_the_eastern_day(zone: str) -> None:
    calendar = MarketCalendar()
    tuesday = calendar.session(date(2026, 11, 24))
    assert calendar.session_at(datetime(2026, 11, 25, 4, 59, tzinfo=UTC)) == tuesday  # 23:59 on the 24th
    assert calendar.session_at(datetime(2026, 11, 25, 5, 0, tzinfo=UTC)) != tuesday
    assert calendar.session_at(datetime(2026, 11, 28, 15, 0, tzinfo=UTC)) is None


def test_neighbours_skip_week_ends_and_holidays() -> None:
    calendar = MarketCalendar()
    assert calendar.next_session(date(2026, 11, 25)).day == date(2026, 11, 27)
    assert calendar.next_session(date(2026, 12, 31)).day == date(2027, 1, 4)
    assert calendar.previous_session(date(2026, 11, 30)).day == date(2026, 11, 27)
    assert calendar.previous_session(date(2026, 1, 2)).day == date(2025, 12, 31)


def test_sessions_between_counts_after_the_first_up_to_the_last() -> None:
    calendar = MarketCalendar()
    wednesday = date(2026, 11, 25)
    assert calendar.sessions_between(wednesday, wednesday) == 0
    assert calendar.sessions_between(wednesday, date(2026, 11, 26)) == 0  # Thanksgiving
    assert calendar.sessions_between(wednesday, date(2026, 11, 27)) == 1
    assert calendar.sessions_between(wednesday, date(2026, 12, 4)) == 6
    assert calendar.sessions_between(wednesday, date(2026, 11, 20)) == 0


def test_a_closure_that_only_the_broker_knows_wins_and_is_reported() -> None:
    days = [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 27)]  # the 25th is a sudden closure
    calendar = MarketCalendar(session(day) for day in days)
    assert calendar.session(date(2026, 11, 25)) is None
    assert calendar.next_session(date(2026, 11, 24)).day == date(2026, 11, 27)
    assert calendar.disagreement(date(2026, 11, 24)) is None
    assert calendar.disagreement(date(2026, 11, 25)) == (
        "2026-11-25: the broker says closed, exchange_calendars says 09:30-16:00 ET"
    )
    assert calendar.disagreement(date(2026, 11, 27)) == (
        "2026-11-27: the broker says 09:30-16:00 ET, exchange_calendars says 09:30-13:00 ET"
    )


def test_outside_the_brokers_rows_the_library_serves() -> None:
    calendar = MarketCalendar([session(date(2026, 11, 24))])
    friday = calendar.session(date(2026, 11, 27))
    assert friday is not None and calendar.is_half_day(friday)
    assert calendar.disagreement(date(2026, 11, 27)) is None
    assert not calendar.covers(date(2026, 11, 27))


def test_an_early_close_that_only_the_broker_knows_is_a_half_day() -> None:
    day = date(2026, 11, 24)
    calendar = MarketCalendar([session(day, closes=time(13, 0))])
    row = calendar.session(day)
    assert row is not None and calendar.is_half_day(row)


def test_what_is_held_goes_by_either_calendar_with_the_earlier_close() -> None:
    closed, longer, same = date(2026, 11, 25), date(2026, 11, 27), date(2026, 11, 24)
    calendar = MarketCalendar(session(day) for day in (date(2026, 11, 23), same, longer))
    assert calendar.session(closed) is None
    assert calendar.either(closed) == (session(closed), session(closed).close)
    early = session(longer, closes=time(13, 0))
    assert calendar.either(longer) == (early, session(longer).close)
    assert calendar.either(same) == (session(same), session(same).close)
    assert calendar.either(date(2026, 11, 26)) is None


@pytest.mark.parametrize(
    ("opens", "closes", "complaint"),
    [
        (datetime(2026, 11, 24, 14, 30), datetime(2026, 11, 24, 21, 0, tzinfo=UTC), "aware UTC"),
        (
            eastern(datetime(2026, 11, 24, 14, 30, tzinfo=UTC)),
            datetime(2026, 11, 24, 21, 0, tzinfo=UTC),
            "aware UTC",
        ),
        (
            datetime(2026, 11, 24, 21, 0, tzinfo=UTC),
            datetime(2026, 11, 24, 14, 30, tzinfo=UTC),
            "before it opens",
        ),
        (
            datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
            datetime(2026, 11, 23, 21, 0, tzinfo=UTC),
            "another day",
        ),
    ],
)
def test_a_session_that_makes_no_sense_is_refused(opens: datetime, closes: datetime, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Session(date(2026, 11, 24), opens, closes)
