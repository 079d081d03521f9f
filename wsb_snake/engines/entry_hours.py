"""When the engines that hold overnight may enter, and whether one of their signals may still be traded."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern
from wsb_snake.core.signals import Signal


@dataclass(frozen=True, slots=True)
class EntryHours:
    """Seconds: from the open, to the close, and how old a signal may be."""

    after_open_s: int = 300  # quotes are wide and prices still looked for
    before_close_s: int = 900
    max_signal_age_s: int = 180

    def closed(self, now: datetime, session: Session) -> str | None:
        """Why no entry may be sent at ``now`` (aware), or None; offsets, so half days need no rule."""
        begin = session.open + timedelta(seconds=self.after_open_s)
        end = session.close - timedelta(seconds=self.before_close_s)
        if now < begin:
            return f"entries begin at {eastern(begin):%H:%M} ET"
        return f"entries ended at {eastern(end):%H:%M} ET" if now >= end else None


def not_tradable(
    signal: Signal, now: datetime, session: Session, hours: EntryHours, execute: float
) -> str | None:
    """Why ``signal`` may not be traded at ``now``, or None; ``execute`` is the bar of its confidence."""
    closed = hours.closed(now, session)
    if closed is not None:
        return closed
    age = (now - signal.at).total_seconds()
    if age > hours.max_signal_age_s:
        return f"the signal is {age:.0f} s old, limit {hours.max_signal_age_s} s"
    if signal.confidence < execute:
        return f"confidence {signal.confidence:g} is below the bar of {execute:g}"
    return None
