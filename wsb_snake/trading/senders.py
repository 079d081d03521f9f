"""The pool that speaks to the broker for those who decide: submits, cancels, looks up.

At most one call is in flight per position; a job for a position that has one is refused, and the
monitor, which decides by level and not by edge, asks again. Questions and cancels of others' orders get
a part of the lanes only: they can be many, and no sale waits behind them.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from wsb_snake.core.lanes import Lanes, Mailbox

SENDERS = 8
AT_MOST = 2
"""Lanes that one group of jobs may hold at a time."""

GROUPS = MappingProxyType({"shares": "questions", "explain": "questions", "foreign": "others' orders"})
"""By what stands before the colon of a key. Every other job takes any lane."""


@dataclass(frozen=True, slots=True)
class Job:
    """One call for one position (or another key that must not overlap itself)."""

    key: str
    run: Callable[[], None]

    @property
    def group(self) -> str | None:
        return GROUPS.get(self.key.partition(":")[0])


class Senders:
    """Eight lanes that take jobs in order; what exceeds its group's lanes steps aside for the rest."""

    def __init__(
        self, lanes: Lanes, done: Callable[[], None], on_error: Callable[[str, Exception], None]
    ) -> None:
        self._lanes = lanes
        self._jobs: Mailbox[Job | None] = Mailbox(lanes, "senders")  # None: the lane that takes it ends
        self._busy: dict[str, float] = {}  # since when (monotonic) a job is queued or in flight
        self._running = dict.fromkeys(GROUPS.values(), 0)  # lanes that each group holds
        self._aside: dict[str, deque[Job]] = {group: deque() for group in self._running}
        self._lock = lanes.lock("senders")
        self._done = done
        self._on_error = on_error
        self._stopping = False

    def start(self) -> None:
        for number in range(1, SENDERS + 1):
            self._lanes.spawn(f"sender-{number}", self._work)

    def stop(self) -> None:
        """Take no more jobs; the lanes end when those under way are over."""
        self._stopping = True
        for _ in range(SENDERS):
            self._jobs.put(None)

    def offer(self, key: str, run: Callable[[], None]) -> bool:
        """Queue a call; False when one for ``key`` is already queued or in flight."""
        with self._lock:
            if key in self._busy or self._stopping:
                return False
            self._busy[key] = self._lanes.clock.monotonic()
        self._jobs.put(Job(key, run))
        return True

    def busy(self, key: str) -> bool:
        return key in self._busy

    def idle(self) -> bool:
        """No call is queued or in flight."""
        return not self._busy

    def oldest_s(self) -> float:
        """Age in seconds of the job that has waited longest for its end, 0.0 when there is none."""
        began = min(self._busy.copy().values(), default=None)
        return 0.0 if began is None else self._lanes.clock.monotonic() - began

    def _work(self) -> None:
        while not self._stopping:
            job = self._jobs.get()
            if job is None or self._stopping:
                return
            if not self._begins(job):
                continue
            try:
                job.run()
            except Exception as error:  # a lane's top loop: the job is lost, the pool is not
                self._on_error("sender", error)
            finally:
                self._ended(job)
            self._done()

    def _begins(self, job: Job) -> bool:
        """Whether ``job`` may have a lane; else it waits until its group has one to spare."""
        with self._lock:
            if job.group is None:
                return True
            if self._running[job.group] >= AT_MOST:
                self._aside[job.group].append(job)
                return False
            self._running[job.group] += 1
            return True

    def _ended(self, job: Job) -> None:
        waiting = None
        with self._lock:
            self._busy.pop(job.key, None)
            if job.group is not None:
                self._running[job.group] -= 1
                waiting = self._aside[job.group].popleft() if self._aside[job.group] else None
        if waiting is not None:
            self._jobs.put(waiting)
