"""Our clock against the broker's: every deadline and every age depends on it."""

from datetime import datetime

from wsb_snake.trading.pauses import Pauses

REASON = "clock"
TOO_FAR_S = 2.0
CLOSE_ENOUGH_S = 1.5
READINGS = 2
"""So many readings in a row must be too far apart before entries pause."""

UNCERTAIN_S = 2.0
"""The answer to a question that took longer says too little."""


class ClockWatch:
    """``skew_s`` is our clock less the broker's, in seconds; None before the first reading."""

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._far = 0
        self.skew_s: float | None = None

    def took(self, asked_at: datetime, told: datetime, answered_at: datetime) -> None:
        """A reading: the broker's ``told``, taken for the middle between question and answer."""
        took = answered_at - asked_at
        if took.total_seconds() > UNCERTAIN_S:
            return
        self.skew_s = (asked_at + took / 2 - told).total_seconds()
        apart = abs(self.skew_s)
        self._far = self._far + 1 if apart > TOO_FAR_S else 0
        if self._far >= READINGS:
            side = "ahead of" if self.skew_s > 0 else "behind"
            self._pauses.set(REASON, f"{apart:.1f} s {side} the broker's; set it by NTP")
        elif apart < CLOSE_ENOUGH_S:
            self._pauses.clear(REASON)
