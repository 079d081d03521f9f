"""Stops new entries when an API keeps failing; it never stands in the way of closing.

Pure: the caller passes ``now`` (aware UTC), stores ``to_dict()``, and serialises its calls (the
breaker has no lock). Time-outs, resets, 429, 5xx and unparsable answers are failures; a definite
rejection is an answer and is reported as success.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

THRESHOLD = 5
WAIT = timedelta(minutes=15)
RELAPSE = timedelta(minutes=30)
MAX_WAIT = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Trip:
    """Why entries stop: ``count`` consecutive failures of ``group``, the last of them ``what``.

    ``wait_s`` seconds from now one probe may pass; ``doubled`` says that this is a relapse within
    30 minutes and the wait twice the one before.
    """

    group: str
    count: int
    wait_s: float
    doubled: bool
    what: str


class CircuitBreaker:
    """Counts consecutive failures for each endpoint group (account, positions, orders, quotes).

    Five in one group trip it. A group that reaches five while it is tripped joins without a new trip.
    It heals when every group in it has had a success, or, after the wait, through the probe that
    ``let_probe`` lets pass; a failed probe trips it again.
    """

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._tripped: set[str] = set()
        self._tripped_at: datetime | None = None
        self._probe_at: datetime | None = None
        self._wait = WAIT

    @property
    def tripped(self) -> tuple[str, ...]:
        """The groups that are down, sorted; empty when entries may go."""
        return tuple(sorted(self._tripped))

    def is_open(self, now: datetime) -> bool:
        """Whether no entry may go at ``now``. It is False too while the probe waits for a taker."""
        return bool(self._tripped) and not self.probe_due(now)

    def probe_due(self, now: datetime) -> bool:
        """Whether one call may pass to try the water."""
        return bool(self._tripped) and self._probe_at is not None and now >= self._probe_at

    def shaky(self, group: str) -> bool:
        """Whether the last call of ``group`` that counted failed, and enough before it to trip."""
        return self._failures.get(group, 0) >= THRESHOLD

    def let_probe(self, group: str, now: datetime) -> bool:
        """Once the wait is over, and when ``group`` alone is down: close the breaker for its probe.

        The group stays shaky: its next failure trips at once, its next success ends that.
        """
        if self.tripped != (group,) or not self.probe_due(now):
            return False
        self._tripped.clear()
        return True

    def failure(self, group: str, now: datetime, what: str, *, at_once: bool = False) -> Trip | None:
        """Count a failure of ``group``; the trip when this one trips the breaker.

        ``at_once``: one such failure is enough.
        """
        count = self._failures.get(group, 0) + 1
        if at_once:
            count = max(count, THRESHOLD)
        self._failures[group] = count
        if count < THRESHOLD or group in self._tripped:
            return None
        joins = bool(self._tripped)
        self._tripped.add(group)
        if joins:
            return None
        doubled = self._tripped_at is not None and now - self._tripped_at <= RELAPSE
        self._wait = min(self._wait * 2, MAX_WAIT) if doubled else WAIT
        self._tripped_at = now
        self._probe_at = now + self._wait
        return Trip(group, count, self._wait.total_seconds(), doubled, what)

    def success(self, group: str, now: datetime) -> bool:
        """``group`` answered at ``now``; True when that healed the breaker.

        An answer from before the trip that is reported late heals nothing.
        """
        if self._tripped and self._tripped_at is not None and now < self._tripped_at:
            return False
        self._failures.pop(group, None)
        if not self._tripped:
            return False
        self._tripped.discard(group)
        return not self._tripped

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON values."""
        return {
            "failures": dict(self._failures),
            "tripped": sorted(self._tripped),
            "tripped_at": self._tripped_at.isoformat() if self._tripped_at else None,
            "probe_at": self._probe_at.isoformat() if self._probe_at else None,
            "wait_s": self._wait.total_seconds(),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "CircuitBreaker":
        """A breaker in the state that ``to_dict`` gave."""
        breaker = cls()
        breaker._failures.update(state["failures"])
        breaker._tripped.update(state["tripped"])
        breaker._tripped_at = _moment(state["tripped_at"])
        breaker._probe_at = _moment(state["probe_at"])
        breaker._wait = timedelta(seconds=state["wait_s"])
        return breaker


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
