"""When engines that hold overnight may enter."""

from datetime import datetime, timedelta

import pytest

from tests.engines.slow_market import DAY, HALF_DAY, OPEN, SESSION
from wsb_snake.core.calendar import Session
from wsb_snake.core.signals import Direction, Signal
from wsb_snake.engines.entry_hours import EntryHours, not_tradable

HOURS = EntryHours()


def after(minutes: float) -> datetime:
    return OPEN + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("session", "minutes", "reason"),
    [
        (SESSION, -30, "entries begin at 09:35 ET"),
        (SESSION, 4.99, "entries begin at 09:35 ET"),
        (SESSION, 5, None),
        (SESSION, 374.99, None),
        (SESSION, 375, "entries ended at 15:45 ET"),
        (SESSION, 500, "entries ended at 15:45 ET"),
        (HALF_DAY, 194.99, None),
        (HALF_DAY, 195, "entries ended at 12:45 ET"),
    ],
)
def test_the_hours_hang_on_open_and_close(session: Session, minutes: float, reason: str | None) -> None:
    assert HOURS.closed(after(minutes), session) == reason


def signal(confidence: float, at: datetime) -> Signal:
    return Signal(f"{DAY}-x", at, "x", "y", "MU", Direction.LONG, confidence, 100.0, ())


def test_a_signal_is_traded_when_it_is_fresh_and_strong_enough_in_the_hours() -> None:
    now = after(60)
    assert not_tradable(signal(65, now), now, SESSION, HOURS, 65) is None
    assert (
        not_tradable(signal(64.9, now), now, SESSION, HOURS, 65) == "confidence 64.9 is below the bar of 65"
    )
    assert not_tradable(signal(65, after(57)), now, SESSION, HOURS, 65) is None
    assert (
        not_tradable(signal(65, after(56)), now, SESSION, HOURS, 65) == "the signal is 240 s old, limit 180 s"
    )
    early = after(1)
    assert not_tradable(signal(99, early), early, SESSION, HOURS, 65) == "entries begin at 09:35 ET"
