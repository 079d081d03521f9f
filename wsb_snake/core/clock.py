"""The only place that reads the time.

Inside the program every moment is an aware UTC datetime; US/Eastern exists at the edges only
(``eastern`` and ``from_eastern``).
"""

import time as _time
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import pytz

EASTERN = pytz.timezone("US/Eastern")


class Clock(Protocol):
    """Where "now" comes from."""

    def now(self) -> datetime:
        """The present moment, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for ages and time-outs."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return _time.monotonic()


class ShiftedClock:
    """The machine's clock moved by a constant, for rehearsals.

    ``start`` is the moment that "now" means at construction (aware).
    """

    def __init__(self, start: datetime) -> None:
        self._offset = start.astimezone(UTC) - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        return _time.monotonic()


class VirtualClock:
    """A clock that stands still until it is moved; it never moves back."""

    def __init__(self, start: datetime) -> None:
        self._epoch = self._now = start.astimezone(UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def advance_to(self, elapsed: float) -> None:
        """Move to ``elapsed`` seconds after the start; an earlier moment changes nothing."""
        if elapsed > self._elapsed:
            self._elapsed = elapsed
            self._now = self._epoch + timedelta(seconds=elapsed)

    def seconds_until(self, moment: datetime) -> float:
        """Seconds from now to ``moment`` (negative when it has passed)."""
        return (moment - self.now()).total_seconds()


def eastern(moment: datetime) -> datetime:
    """``moment`` (aware) as US/Eastern wall time, aware."""
    return moment.astimezone(EASTERN)


def eastern_text(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SS`` US/Eastern without offset, the form of ``last_eod_run_et``."""
    return eastern(moment).strftime("%Y-%m-%dT%H:%M:%S")


def from_eastern(day: date, wall: time) -> datetime:
    """The UTC moment of a US/Eastern wall time on ``day``."""
    return EASTERN.localize(datetime.combine(day, wall)).astimezone(UTC)


def eastern_date(moment: datetime) -> date:
    """The US/Eastern calendar day on which ``moment`` (aware) falls."""
    return eastern(moment).date()
