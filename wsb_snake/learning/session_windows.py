"""The parts of a trading day, by US/Eastern wall time (ENGINES, "Universe and sessions")."""

from datetime import datetime, time
from enum import StrEnum

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern


class Window(StrEnum):
    PREMARKET = "premarket"
    OPEN = "open"
    MORNING = "morning"
    LUNCH = "lunch"
    EARLY_POWER = "early_power"
    POWER = "power"
    AFTER_HOURS = "after_hours"


_ENDS = (
    (time(9, 30), Window.PREMARKET),
    (time(10, 30), Window.OPEN),
    (time(12, 0), Window.MORNING),
    (time(13, 0), Window.LUNCH),
    (time(15, 0), Window.EARLY_POWER),
    (time(16, 0), Window.POWER),
)


def window_of(moment: datetime, session: Session | None = None) -> Window:
    """The window in which ``moment`` (aware) falls; its start belongs to it, its end does not.

    With ``session`` the windows end at that session's close, which matters on half days only. The
    night before 04:00 counts as premarket.
    """
    if session is not None and moment >= session.close:
        return Window.AFTER_HOURS
    wall = eastern(moment).time()
    return next((window for end, window in _ENDS if wall < end), Window.AFTER_HOURS)
