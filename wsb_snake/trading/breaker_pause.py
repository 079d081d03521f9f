"""A circuit breaker with its pause: what trips it, what heals it, and its memory across restarts.

Only a success of the group that tripped heals, or the half-open probe: a group that is called only to
open something (``sends``) has no call left that could succeed, so after the wait the pause is lifted for
one entry at a time, and the next failure sets it again at once.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from wsb_snake.core.circuit_breaker import CircuitBreaker, Trip
from wsb_snake.core.lanes import Lanes
from wsb_snake.db.database import Database
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.trading.pauses import DURABLE, Pauses

ON_PROBATION = "the wait is over: one entry at a time tries whether orders are taken again"


@dataclass(frozen=True, slots=True)
class BreakerParts:
    """``reason`` is the pause; ``on_demand`` the group that nobody calls while it is paused, if any."""

    lanes: Lanes
    database: Database
    pauses: Pauses
    reason: str
    on_demand: str | None = None


class BreakerPause:
    """One breaker, one pause reason."""

    def __init__(self, parts: BreakerParts) -> None:
        self._parts = parts
        self._clock = parts.lanes.clock
        self._lock = parts.lanes.lock(f"breaker-{parts.reason}")
        self.breaker = CircuitBreaker()

    def failed(self, group: str, what: str, *, at_once: bool = False) -> None:
        """Count a failure; the fifth in a row pauses, and one that no retry can mend (``at_once``)."""
        with self._lock:
            before = self.breaker.tripped
            trip = self.breaker.failure(group, self._clock.now(), what, at_once=at_once)
            if trip is not None:
                self._pause(trip, at_once)
            elif self.breaker.tripped != before:
                self._keep()

    def answered(self, group: str) -> None:
        """A success of ``group``; the last group that was down lifts the pause."""
        with self._lock:
            shaky = self.breaker.shaky(group)
            healed = self.breaker.success(group, self._clock.now())
            if healed:
                self._parts.pauses.clear(self._parts.reason, also=self._saves())
            elif shaky:
                self._keep()

    def try_probe(self) -> None:
        """Lift the pause for a probe when the wait is over and nobody else's call can heal."""
        group = self._parts.on_demand
        if group is None:
            return
        with self._lock:
            if self.breaker.let_probe(group, self._clock.now()):
                self._parts.pauses.clear(self._parts.reason, detail=ON_PROBATION, also=self._saves())

    @property
    def on_probation(self) -> bool:
        """The pause is lifted for a probe that has not succeeded yet."""
        group = self._parts.on_demand
        return group is not None and not self.breaker.tripped and self.breaker.shaky(group)

    def load(self, conn: sqlite3.Connection) -> None:
        """Take up what the last process left: breaker and pause hold or fall together."""
        kept = get_meta(conn, self._key)
        with self._lock:
            if kept is not None:
                self.breaker = CircuitBreaker.from_dict(json.loads(kept))
            if self.breaker.tripped:
                down = ", ".join(self.breaker.tripped)
                self._parts.pauses.set(self._parts.reason, f"{down}: down since before the restart")
            else:
                self._parts.pauses.clear(self._parts.reason)

    @property
    def _key(self) -> str:
        return f"breaker_{self._parts.reason}"

    def _pause(self, trip: Trip, at_once: bool) -> None:
        told: dict[str, object] = {"wait_s": trip.wait_s, "doubled": trip.doubled}
        if not at_once:
            told["count"] = trip.count
        new = self._parts.pauses.set(
            self._parts.reason, f"{trip.group}: {trip.what}", also=self._saves(), **told
        )
        if not new:
            self._keep()

    def _keep(self) -> None:
        self._parts.database.transact(self._saves(), urgent=True)

    def _saves(self) -> Callable[[sqlite3.Connection], None]:
        if self._parts.reason not in DURABLE:
            return lambda conn: None
        state = json.dumps(self.breaker.to_dict())
        return lambda conn: set_meta(conn, self._key, state)
