"""The pool that speaks to the broker for those who decide: submits, cancels, looks up.

At most one call is in flight per position; a job for a position that has one is refused, and the
monitor, which decides by level and not by edge, asks again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wsb_snake.core.lanes import Lanes, Mailbox

SENDERS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """One call for one position (or another key that must not overlap itself)."""

    key: str
    run: Callable[[], None]


class Senders:
    """Eight lanes that take jobs in order."""

    def __init__(
        self, lanes: Lanes, done: Callable[[], None], on_error: Callable[[str, Exception], None]
    ) -> None:
        self._lanes = lanes
        self._jobs: Mailbox[Job | None] = Mailbox(lanes, "senders")  # None: the lane that takes it ends
        self._busy: dict[str, float] = {}  # since when (monotonic) a job is queued or in flight
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
            try:
                job.run()
            except Exception as error:  # a lane's top loop: the job is lost, the pool is not
                self._on_error("sender", error)
            finally:
                with self._lock:
                    self._busy.pop(job.key, None)
            self._done()
