from datetime import UTC, date, datetime, time, timedelta

import pytest
from freezegun import freeze_time

from wsb_snake.core.clock import (
    ShiftedClock,
    SystemClock,
    VirtualClock,
    eastern,
    eastern_date,
    eastern_text,
    from_eastern,
)

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


@freeze_time("2026-11-24 17:00:00")
def test_the_system_clock_is_aware_utc() -> None:
    assert SystemClock().now() == NOON
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_shifted_clock_runs_on_from_its_start() -> None:
    with freeze_time("2026-01-01 00:00:00") as frozen:
        clock = ShiftedClock(eastern(NOON))
        assert clock.now() == NOON
        frozen.tick(timedelta(seconds=90))
        assert clock.now() == NOON + timedelta(seconds=90)
        assert clock.now().utcoffset() == timedelta(0)


def test_a_virtual_clock_stands_still_until_moved_and_never_goes_back() -> None:
    clock = VirtualClock(eastern(NOON))
    assert (clock.now(), clock.monotonic()) == (NOON, 0.0)
    clock.advance_to(30.5)
    clock.advance_to(10)
    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(seconds=30.5), 30.5)
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.seconds_until(NOON + timedelta(minutes=1)) == 29.5
    assert clock.seconds_until(NOON) == -30.5


@pytest.mark.parametrize(
    ("moment", "wall"),
    [
        (datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC), "2026-03-08T01:59:59"),
        (datetime(2026, 3, 8, 7, 0, tzinfo=UTC), "2026-03-08T03:00:00"),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "2026-11-01T01:30:00"),
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "2026-11-01T01:30:00"),
        (datetime(2026, 11, 24, 20, 55, tzinfo=UTC), "2026-11-24T15:55:00"),
    ],
)
def test_eastern_text_has_no_offset_and_follows_daylight_saving(moment: datetime, wall: str) -> None:
    assert eastern_text(moment) == wall


@pytest.mark.parametrize("day", [date(2026, 3, 6), date(2026, 3, 9), date(2026, 10, 30), date(2026, 11, 2)])
def test_from_eastern_undoes_eastern(day: date) -> None:
    moment = from_eastern(day, time(15, 55))
    assert moment.utcoffset() == timedelta(0)
    assert eastern_text(moment) == f"{day}T15:55:00"


def test_the_eastern_date_changes_at_eastern_midnight() -> None:
    assert eastern_date(datetime(2026, 11, 25, 4, 59, 59, tzinfo=UTC)) == date(2026, 11, 24)
    assert eastern_date(datetime(2026, 11, 25, 5, 0, tzinfo=UTC)) == date(2026, 11, 25)
