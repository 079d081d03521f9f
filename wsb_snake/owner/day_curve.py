"""Today's result minute by minute, kept in memory: the database knows only what was closed."""

import threading
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.health import Facts

EVERY = timedelta(seconds=15)
MOST = 2000
"""Points: eight hours and a little more."""


@dataclass(frozen=True, slots=True)
class DayPoint:
    """``pnl`` is the result of the day in dollars, realised and open; ``at`` is aware UTC."""

    at: datetime
    pnl: Decimal


class DayCurve:
    """Safe from any thread; one session at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._day: date | None = None
        self._points: deque[DayPoint] = deque(maxlen=MOST)

    def note(self, facts: Facts) -> None:
        """Keep the result of this moment, once in 15 s at most, while the market is open."""
        if not facts.market_open or facts.day_pnl is None:
            return
        day = eastern_date(facts.now)
        with self._lock:
            if day != self._day:
                self._day = day
                self._points.clear()
            if not self._points or facts.now - self._points[-1].at >= EVERY:
                self._points.append(DayPoint(facts.now, facts.day_pnl))

    def points(self, day: date) -> tuple[DayPoint, ...]:
        """The points of ``day`` (US/Eastern), the oldest first."""
        with self._lock:
            return tuple(self._points) if day == self._day else ()
