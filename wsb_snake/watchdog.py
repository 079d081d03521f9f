"""What systemd is told: READY once the daemon works, WATCHDOG while it lives.

Whether the broker answers plays no part: an outage shows in ``/health``, it never restarts the daemon.
"""

import logging
from collections.abc import Callable, Sequence

from wsb_snake.core import systemd
from wsb_snake.core.health import MONITOR_LIMIT_S
from wsb_snake.core.lane_loop import LaneSpec, overdue
from wsb_snake.daemon import Daemon

log = logging.getLogger(__name__)


class Watchdog:
    """``step`` is called every second by the thread that waits for signals."""

    def __init__(self, daemon: Daemon, specs: Sequence[LaneSpec], health_answers: Callable[[], bool]) -> None:
        self._daemon = daemon
        self._specs = specs
        self._health_answers = health_answers
        self._ready = False
        self._silent: tuple[str, ...] = ()

    def step(self) -> None:
        """Send READY after the first monitor pass, then WATCHDOG while every lane shows signs of life."""
        if not self._ready:
            if self._daemon.monitor_at is None or not self._health_answers():
                return
            self._ready = True
            systemd.notify("READY=1")
        silent = self._overdue()
        if silent != self._silent:
            self._silent = silent
            if silent:
                log.error("no sign of life from: %s; systemd's watchdog is not fed", ", ".join(silent))
        if not silent:
            systemd.notify("WATCHDOG=1")

    def _overdue(self) -> tuple[str, ...]:
        daemon = self._daemon
        silent = overdue(
            self._specs,
            daemon.heartbeats.ages(),
            daemon.uptime_s(),
            disk_writes=daemon.world.database.writable(),
        )
        age = daemon.monitor_age_s()
        passed = age is not None and age < MONITOR_LIMIT_S
        return silent if passed else (*silent, "a monitor pass")
