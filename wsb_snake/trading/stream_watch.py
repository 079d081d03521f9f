"""Whether the trade stream is up, and whether it tells: a stream can be connected and mute.

Polling and look-ups are the net under it. A change that they show and that no message has told of for
15 s means mute: entries pause until a message arrives, or a minute after a reconnect has been clean.
"""

from datetime import datetime, timedelta

from wsb_snake.core.lanes import Lanes
from wsb_snake.trading.pauses import Pauses

REASON = "stream"
DOWN_GRACE = timedelta(seconds=30)
MUTE_AFTER = timedelta(seconds=15)
CLEAN_AFTER_RECONNECT = timedelta(seconds=60)
CLEAN_WITHOUT = timedelta(minutes=10)
"""Nobody trades while entries pause, so that silence proves nothing: after this long it is tried again."""


class StreamWatch:
    """``up`` as the stream's reader says; ``mute`` as found here."""

    def __init__(self, lanes: Lanes, pauses: Pauses) -> None:
        self._clock = lanes.clock
        self._pauses = pauses
        self._lock = lanes.lock("stream")
        self.up = False
        self.mute = False
        self._since = self._clock.now()  # when it came up or went down
        self._untold_at: datetime | None = None
        self._clean_from = self._since
        self._reconnected = False

    def connected(self, up: bool) -> None:
        """The reader connected (also anew) or lost the connection."""
        now = self._clock.now()
        with self._lock:
            if up or self.up:
                self._since = now
            self.up = up
            self._untold_at = None
            if up and self.mute:
                self._clean_from, self._reconnected = now, True
            elif up:
                self._pauses.clear(REASON)

    def heard(self) -> None:
        """A message arrived."""
        with self._lock:
            self._untold_at = None
            if self.mute:
                self.mute = False
                self._pauses.clear(REASON)

    def missed(self) -> None:
        """A list or a look-up shows a fill or an end that no message has told of yet."""
        now = self._clock.now()
        with self._lock:
            if self.mute:
                self._clean_from = now
            elif self.up and self._untold_at is None and now - self._since > MUTE_AFTER:
                self._untold_at = now  # what happened before it was up it need not tell

    def check(self) -> None:
        """Draw the conclusions that time alone brings."""
        now = self._clock.now()
        with self._lock:
            if not self.up and now - self._since > DOWN_GRACE:
                self._pauses.set(REASON, "the trade stream is down; fills are polled")
            elif self._untold_at is not None and now - self._untold_at > MUTE_AFTER:
                self._untold_at = None
                self.mute, self._clean_from, self._reconnected = True, now, False
                self._pauses.set(
                    REASON,
                    "mute: it is connected, but the broker shows what it did not tell; fills are polled",
                )
            elif self.mute and self.up:
                clean = CLEAN_AFTER_RECONNECT if self._reconnected else CLEAN_WITHOUT
                if now - self._clean_from >= clean:
                    self.mute = False
                    self._pauses.clear(REASON)
