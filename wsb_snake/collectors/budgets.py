"""How many requests a provider takes, and how many it was sent."""

import threading
from collections import deque

from wsb_snake.collectors.sources import DataSilent
from wsb_snake.core.clock import Clock

MINUTE_S = 60.0
CALL_S = 30.0
"""All requests of one call together: pages, or one symbol after another."""


class Meter:
    """At most ``a_minute`` requests in any minute, of which ``can_wait`` are not urgent.

    An urgent one is always let through, and counted: only the vendor may refuse what an exit needs.
    """

    def __init__(self, a_minute: int, can_wait: int, clock: Clock) -> None:
        if not 0 < can_wait <= a_minute:
            raise ValueError(f"{can_wait} of {a_minute} requests a minute cannot be those that can wait")
        self._a_minute = a_minute
        self._can_wait = can_wait
        self._clock = clock
        self._lock = threading.Lock()
        self._urgent: deque[float] = deque()
        self._patient: deque[float] = deque()
        self._sent = 0

    @property
    def sent(self) -> int:
        """Requests since the start."""
        return self._sent

    def take(self, *, urgent: bool = False) -> bool:
        """Whether a request may go out; counts it if so."""
        now = self._clock.monotonic()
        with self._lock:
            for calls in (self._urgent, self._patient):
                while calls and calls[0] <= now - MINUTE_S:
                    calls.popleft()
            if not urgent and (
                len(self._patient) >= self._can_wait
                or len(self._patient) + len(self._urgent) >= self._a_minute
            ):
                return False
            (self._urgent if urgent else self._patient).append(now)
            self._sent += 1
            return True

    def must_take(self, *, urgent: bool = False) -> None:
        """Raises DataSilent where ``take`` says no."""
        if not self.take(urgent=urgent):
            raise DataSilent(f"our own limit: {self._can_wait} calls a minute")


class Stopwatch:
    """The time that one call may take in all."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.monotonic() + CALL_S

    @property
    def over(self) -> bool:
        return self._clock.monotonic() >= self._until

    def must_go_on(self) -> None:
        """Raises DataSilent when the time is over."""
        if self.over:
            raise DataSilent(f"the whole answer did not come within {CALL_S:.0f} s")
