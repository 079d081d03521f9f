"""Whether what the owner types is heard: a sign of life for /health, and one alert when it is not."""

from collections.abc import Callable

from wsb_snake.core.health import DEAF_LIMIT_S, HEARD
from wsb_snake.notifications.chat import ChatConflict

CALM_S = 60.0
"""So long after the last sign of another listener, what the owner types may have gone to that one."""

NOT_HEARD = "commands by Telegram are not heard"
WORKS = (
    "What still works: alerts, as far as Telegram takes them; the page; `python main.py status`, halt and "
    "the other verbs; the file halt in the data directory. Trading, exits and the end of day go on"
)


class Hearing:
    """One thread calls it. ``beat`` notes a sign of life, ``tell`` takes an alert (what, detail)."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        beat: Callable[[str], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._monotonic = monotonic
        self._beat = beat
        self._tell = tell
        self._heard_at = monotonic()
        self._conflict_at: float | None = None
        self._told = False

    def begins(self) -> None:
        """From here on somebody should be heard."""
        self._heard_at = self._monotonic()
        self._beat(HEARD)

    def answered(self) -> None:
        """Telegram told what people did, be it nothing."""
        now = self._monotonic()
        if self._conflict_at is not None and now - self._conflict_at < CALM_S:
            return
        self._heard_at, self._told = now, False
        self._beat(HEARD)

    def failed(self, error: Exception) -> None:
        """Telegram did not tell; the owner is told once, when that has lasted."""
        now = self._monotonic()
        if isinstance(error, ChatConflict):
            self._conflict_at = now
        if not self._told and now - self._heard_at > DEAF_LIMIT_S:
            self._told = True
            minutes = (now - self._heard_at) / 60
            self._tell(NOT_HEARD, f"{error}, for {minutes:.0f} min. {WORKS}.")
