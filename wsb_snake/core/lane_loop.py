"""The loop that every lane of the daemon runs: do a step when it is due or when its bell rings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from wsb_snake.core.lanes import Flag, Lanes

BEAT_S = 15.0
"""A lane shows a sign of life at least this often."""

AFTER_ERROR_S = 5.0

MEMORY_ONLY_S = 30.0
"""A lane that waits for neither network nor disk and is silent for longer is stuck."""

NETWORK_S = 300.0
"""For lanes that compute or call a vendor in their step: several calls of 15 s each, one after the other."""


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """``step`` does what is due and says when it wants to be called again (None: when the bell rings).

    ``quiet_s``: silence up to this is no sign of death. ``needs_disk``: it waits for commits, so that
    its silence says nothing while the disk takes none.
    """

    name: str
    step: Callable[[], datetime | None]
    bell: Flag
    quiet_s: float = MEMORY_ONLY_S
    needs_disk: bool = False


def overdue(
    specs: Iterable[LaneSpec], ages: Mapping[str, float], uptime_s: float, *, disk_writes: bool
) -> tuple[str, ...]:
    """Names of the lanes whose last sign of life (``ages``, seconds) is too old; pure.

    A lane that has never shown any is as old as the process.
    """
    return tuple(
        spec.name
        for spec in specs
        if ages.get(spec.name, uptime_s) > spec.quiet_s and (disk_writes or not spec.needs_disk)
    )


def run_lane(
    lanes: Lanes,
    spec: LaneSpec,
    stopping: Flag,
    beat: Callable[[str], None],
    on_error: Callable[[str, Exception], None],
) -> None:
    """Run until ``stopping``. A step that raises is reported and tried again after 5 s."""
    due: datetime | None = lanes.clock.now()
    while not stopping.is_set():
        beat(spec.name)
        now = lanes.clock.now()
        if not spec.bell.is_set() and (due is None or now < due):
            left = BEAT_S if due is None else (due - now).total_seconds()
            spec.bell.wait(min(BEAT_S, left))
            continue
        spec.bell.clear()
        try:
            due = spec.step()
        except Exception as error:  # a lane's top loop: one bad step must not end the watching
            on_error(spec.name, error)
            lanes.sleep(AFTER_ERROR_S)
            due = lanes.clock.now()
