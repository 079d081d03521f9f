"""Answers that are good for a while."""

import threading
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Generic, TypeVar

from wsb_snake.core.clock import eastern_date, from_eastern

KEEP_S = 600.0

T = TypeVar("T")


def for_a_while(now: datetime) -> datetime:
    """When an answer of ``now`` is asked for again that may change within the day."""
    return now + timedelta(seconds=KEEP_S)


def for_the_day(now: datetime) -> datetime:
    """Midnight in New York after ``now``."""
    return from_eastern(eastern_date(now) + timedelta(days=1), time())


class Kept(Generic[T]):
    """Values with the moment at which each is no longer good.

    Safe from several lanes. Two that lack the same value at once both fetch it: nobody waits for another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[object, tuple[datetime, T]] = {}
        self._swept: datetime | None = None

    def find(self, key: object, now: datetime) -> T | None:
        """The value, or None where there is no good one."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and now < entry[0] else None

    def has(self, key: object, now: datetime) -> bool:
        """Whether there is a good value; it may be None."""
        entry = self._entries.get(key)
        return entry is not None and now < entry[0]

    def put(self, key: object, value: T, until: datetime, now: datetime) -> None:
        """Keep ``value``; what is past is dropped now and then."""
        with self._lock:
            if self._swept is None or now >= for_a_while(self._swept):
                self._entries = {k: kept for k, kept in self._entries.items() if now < kept[0]}
                self._swept = now
            self._entries[key] = (until, value)

    def get(self, key: object, now: datetime, make: Callable[[], T]) -> T:
        """The value, made where there is no good one, for ``KEEP_S`` seconds."""
        entry = self._entries.get(key)
        if entry is not None and now < entry[0]:
            return entry[1]
        value = make()
        self.put(key, value, for_a_while(now), now)
        return value
