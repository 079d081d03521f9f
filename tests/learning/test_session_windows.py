"""Windows of the day."""

from datetime import date, datetime, time

import pytest

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import from_eastern
from wsb_snake.learning.session_windows import Window, window_of

DAY = date(2026, 11, 27)  # a half day


def at(hour: int, minute: int = 0) -> datetime:
    return from_eastern(DAY, time(hour, minute))


@pytest.mark.parametrize(
    ("moment", "window"),
    [
        (at(4), Window.PREMARKET),
        (at(9, 29), Window.PREMARKET),
        (at(9, 30), Window.OPEN),
        (at(10, 30), Window.MORNING),
        (at(11, 59), Window.MORNING),
        (at(12), Window.LUNCH),
        (at(13), Window.EARLY_POWER),
        (at(15), Window.POWER),
        (at(15, 59), Window.POWER),
        (at(16), Window.AFTER_HOURS),
        (at(23), Window.AFTER_HOURS),
    ],
)
def test_a_window_begins_with_its_first_minute(moment: datetime, window: Window) -> None:
    assert window_of(moment) is window


def test_windows_end_with_a_half_day() -> None:
    session = Session(DAY, at(9, 30), at(13))
    assert window_of(at(12, 59), session) is Window.LUNCH
    assert window_of(at(13), session) is Window.AFTER_HOURS


def test_summer_time_is_eastern_time() -> None:
    july = from_eastern(date(2026, 7, 20), time(12, 30))
    assert july.hour == 16  # UTC
    assert window_of(july) is Window.LUNCH
