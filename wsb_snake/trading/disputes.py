"""What book and broker disagree about: the causes of the pause ``reconcile``, each settled by itself.

The pause holds while any cause stands, so that one good reading clears nothing but its own.
"""

from collections.abc import Callable

from wsb_snake.core.lanes import Lanes
from wsb_snake.trading.pauses import Pauses

REASON = "reconcile"


class Disputes:
    """The causes in force. ``tell`` is called with the detail of one that comes while another holds."""

    def __init__(self, lanes: Lanes, pauses: Pauses, tell: Callable[[str], None]) -> None:
        self._pauses = pauses
        self._tell = tell
        self._lock = lanes.lock("disputes")
        self._causes: dict[str, str] = {}

    def open(self, cause: str, detail: str) -> bool:
        """Pause because of ``cause``; True when it is new."""
        with self._lock:
            if cause in self._causes:
                return False
            self._causes[cause] = detail
            first = self._pauses.set(REASON, detail)
        if not first:
            self._tell(detail)
        return True

    def settle(self, cause: str) -> None:
        """Take one cause away; the last one lifts the pause."""
        with self._lock:
            self._causes.pop(cause, None)
            if not self._causes:
                self._pauses.clear(REASON)

    def causes(self, kind: str) -> tuple[str, ...]:
        """What stands after ``kind:`` in the causes of that kind, sorted."""
        held = self._causes.copy()  # one step to other lanes
        return tuple(sorted(c.removeprefix(f"{kind}:") for c in held if c.startswith(f"{kind}:")))
