"""Pollers: each reads one thing from the broker and publishes it as an immutable snapshot.

Whoever decides reads ``latest`` and never waits. A poller past its budget is replaced, and the late
answer of the one before is dropped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from wsb_snake.core.lanes import Flag, Lanes
from wsb_snake.trading.broker import BrokerError, Fatal, Rejected

T = TypeVar("T")

SHORTEST_INTERVAL_S = 1.0
"""However often it is asked for, a reading is taken at most this often: exits need the rate limit."""


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """``value`` as the broker gave it for a question asked at ``begun_at`` and answered at ``at``."""

    value: T
    begun_at: datetime
    at: datetime


class Poller(Generic[T]):
    """Asks ``fetch`` every ``interval()`` seconds, or at once after ``ask()``."""

    def __init__(
        self,
        name: str,
        lanes: Lanes,
        fetch: Callable[[], T],
        interval: Callable[[], float],
        published: Callable[[], None],
        failed: Callable[[str, BrokerError], None],
        succeeded: Callable[[str], None],
        budget_s: float = 20.0,
    ) -> None:
        self.name = name
        self.latest: Snapshot[T] | None = None
        self._lanes = lanes
        self._fetch = fetch
        self._interval = interval
        self._published = published
        self._failed = failed
        self._succeeded = succeeded
        self._budget_s = budget_s
        self._generation = 0
        self._asking_since: datetime | None = None
        self._wake = Flag(lanes, f"poll-{name}")
        self._stopping = False

    def start(self) -> None:
        generation = self._generation
        suffix = f"-{generation}" if generation else ""
        self._lanes.spawn(f"poll-{self.name}{suffix}", lambda: self._run(generation))

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def ask(self) -> None:
        """Read now instead of at the next interval."""
        self._wake.set()

    def replace_if_hung(self, now: datetime) -> bool:
        """Start a successor when the call under way has outlived its budget; whether it did."""
        since = self._asking_since
        if since is None or now - since < timedelta(seconds=self._budget_s):
            return False
        self._generation += 1
        self._asking_since = None
        self.start()
        return True

    def age_s(self, now: datetime) -> float | None:
        """Seconds since the question behind the latest answer was asked; None before the first."""
        return None if self.latest is None else (now - self.latest.begun_at).total_seconds()

    def _run(self, generation: int) -> None:
        while not self._stopping and generation == self._generation:
            began = self._lanes.clock.monotonic()
            self._wake.clear()
            self._once(generation)
            self._wake.wait(self._interval())
            rest = SHORTEST_INTERVAL_S - (self._lanes.clock.monotonic() - began)
            if rest > 0 and not self._stopping:
                self._lanes.sleep(rest)

    def _once(self, generation: int) -> None:
        clock = self._lanes.clock
        begun = clock.now()
        self._asking_since = begun
        try:
            value = self._fetch()
        except BrokerError as error:
            if generation == self._generation:
                self._asking_since = None
                self._failed(self.name, error)
            return
        if generation != self._generation:
            return
        self._asking_since = None
        self.latest = Snapshot(value, begun, clock.now())
        self._succeeded(self.name)
        self._published()


def counts_as_failure(error: BrokerError) -> bool:
    """Whether the circuit breaker counts it: definite refusals do not."""
    return not isinstance(error, Rejected | Fatal)
