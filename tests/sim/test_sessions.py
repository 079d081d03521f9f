"""The exchange's calendar against an independent one."""

from datetime import UTC, date, datetime

import exchange_calendars
import pytest

from wsb_snake.sim.sessions import (
    is_session,
    session_after,
    session_before,
    session_of,
    sessions,
    third_friday,
)


def test_every_session_of_five_years_agrees_with_exchange_calendars() -> None:
    first, last = date(2024, 1, 2), date(2028, 12, 29)
    table = exchange_calendars.get_calendar("XNYS", start=str(first), end=str(last)).schedule
    expected = [
        (label.date(), opens.to_pydatetime(), closes.to_pydatetime())
        for label, opens, closes in zip(table.index, table["open"], table["close"], strict=True)
    ]
    assert len(expected) > 1250
    assert [(s.day, s.open, s.close) for s in sessions(first, last)] == expected


@pytest.mark.parametrize(
    "day",
    [
        date(2026, 11, 26),  # Thanksgiving
        date(2026, 7, 3),  # Independence Day, kept on the Friday
        date(2027, 7, 5),  # and on the Monday
        date(2027, 12, 24),  # Christmas, kept on the Friday
        date(2026, 4, 3),  # Good Friday
        date(2025, 1, 9),  # national day of mourning
        date(2026, 11, 28),  # a Saturday
    ],
)
def test_days_without_a_session(day: date) -> None:
    assert session_of(day) is None
    assert not is_session(day)


@pytest.mark.parametrize("day", [date(2026, 11, 27), date(2026, 12, 24), date(2028, 7, 3)])
def test_half_days_close_at_thirteen_hours(day: date) -> None:
    session = session_of(day)
    assert session is not None
    assert session.seconds == 3.5 * 3600


@pytest.mark.parametrize("day", [date(2027, 12, 31), date(2027, 7, 2), date(2027, 12, 23)])
def test_full_days_that_look_like_holidays_or_half_days(day: date) -> None:
    session = session_of(day)
    assert session is not None
    assert session.seconds == 6.5 * 3600


def test_hours_follow_daylight_saving() -> None:
    winter, summer = session_of(date(2026, 11, 24)), session_of(date(2026, 7, 17))
    assert winter is not None
    assert summer is not None
    assert winter.open == datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
    assert summer.close == datetime(2026, 7, 17, 20, 0, tzinfo=UTC)


def test_neighbours_skip_what_is_shut() -> None:
    assert session_before(date(2026, 11, 27)).day == date(2026, 11, 25)
    assert session_after(date(2026, 11, 27)).day == date(2026, 11, 30)


def test_third_friday() -> None:
    assert third_friday(2026, 11) == date(2026, 11, 20)
    assert third_friday(2027, 1) == date(2027, 1, 15)


def test_years_before_the_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="begins in 2022"):
        session_of(date(2021, 12, 31))
