"""Which expiries each engine asks for, on ordinary days, before holidays, and round the turn of the year."""

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.occ import build, parse
from wsb_snake.core.types import ChainRow, Right
from wsb_snake.engines.expiry_choice import Expiries, expiries

CALENDAR = MarketCalendar()
MOMENTUM, LEAPS = "momentum_engine", "leaps_engine"


def row(expiry: date) -> ChainRow:
    return ChainRow(parse(build("SPY", expiry, Right.CALL, Decimal(500))), None)


@pytest.mark.parametrize("engine", ["spy_scalper", "orchestrator", "institutional_scalper"])
def test_scalps_buy_what_expires_today(engine: str) -> None:
    day = date(2026, 11, 24)
    assert expiries(engine, day, CALENDAR) == Expiries(day, day)


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (date(2026, 11, 9), date(2026, 11, 13), date(2026, 11, 20)),  # Monday: four sessions to Friday
        (date(2026, 11, 10), date(2026, 11, 20), date(2026, 11, 27)),  # Tuesday: three are too few
        (date(2026, 11, 13), date(2026, 11, 20), date(2026, 11, 27)),  # Friday
        (date(2026, 11, 23), date(2026, 12, 4), date(2026, 12, 11)),  # Monday before Thanksgiving
        (date(2026, 3, 30), date(2026, 4, 10), date(2026, 4, 17)),  # Good Friday: Thursday is near
        (date(2026, 3, 23), date(2026, 3, 27), date(2026, 4, 2)),  # and ends the week after
    ],
)
def test_momentum_buys_the_weekly_with_more_than_three_sessions_to_go(
    today: date, first: date, last: date
) -> None:
    assert expiries(MOMENTUM, today, CALENDAR) == Expiries(first, last)


def test_a_sudden_closure_moves_the_week_end() -> None:
    friday = date(2026, 11, 20)
    rows = [
        Session(day, from_eastern(day, time(9, 30)), from_eastern(day, time(16)))
        for day in (date(2026, 11, 9) + timedelta(days=n) for n in range(16))
        if day.weekday() < 5 and day != friday
    ]
    assert expiries(MOMENTUM, date(2026, 11, 12), MarketCalendar(rows)).first == date(2026, 11, 19)


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (date(2026, 11, 24), date(2028, 1, 1), date(2029, 1, 31)),
        (date(2026, 1, 20), date(2028, 1, 1), date(2029, 1, 31)),  # January 2027 is a few days too near
        (date(2026, 1, 15), date(2027, 1, 15), date(2028, 1, 31)),  # twelve months to the day
        (date(2026, 1, 16), date(2028, 1, 1), date(2029, 1, 31)),
        (date(2028, 2, 29), date(2030, 1, 1), date(2031, 1, 31)),
    ],
)
def test_leaps_are_a_january_or_later_a_year_out(today: date, first: date, last: date) -> None:
    assert expiries(LEAPS, today, CALENDAR) == Expiries(first, last)


days = st.dates(date(2026, 1, 1), date(2029, 12, 31)).filter(lambda day: CALENDAR.session(day) is not None)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(days)
def test_momentum_never_buys_what_expires_within_three_sessions(today: date) -> None:
    found = expiries(MOMENTUM, today, CALENDAR)
    assert CALENDAR.sessions_between(today, found.first) > 3
    assert CALENDAR.session(found.first) is not None
    assert CALENDAR.next_session(found.first).day.isocalendar().week != found.first.isocalendar().week
    assert found.first < found.last <= today + timedelta(days=21)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(days)
def test_leaps_always_reach_twelve_months_and_hold_a_january_expiry(today: date) -> None:
    found = expiries(LEAPS, today, CALENDAR)
    assert (found.first.year, found.first.month, found.first.day) >= (today.year + 1, today.month, today.day)
    januaries = [date(year, 1, 15) for year in range(found.first.year, found.last.year + 1)]
    januaries = [day + timedelta(days=(4 - day.weekday()) % 7) for day in januaries]
    assert any(found.first <= day <= found.last for day in januaries)
    assert found.last - found.first < timedelta(days=400)


def test_closes_are_those_of_the_sessions_in_the_range_that_are_listed() -> None:
    wanted = Expiries(date(2026, 11, 25), date(2026, 11, 30))
    listed = [date(2026, 11, 24), date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 30)]
    closes = wanted.closes((row(day) for day in (*listed, *listed)), CALENDAR)
    assert closes == {
        date(2026, 11, 27): from_eastern(date(2026, 11, 27), time(13)),  # a half day
        date(2026, 11, 30): from_eastern(date(2026, 11, 30), time(16)),
    }
    assert wanted.closes((), CALENDAR) == {}
