"""Signs of life of the lanes: who beat last, and how long ago."""

from wsb_snake.core.clock import Clock


class Heartbeats:
    """Any lane may beat and anyone may read; neither ever waits.

    It has no lock: one dict store and one ``dict.copy`` are each a single step to other threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, float] = {}

    def beat(self, name: str) -> None:
        """``name`` is alive now."""
        self._beats[name] = self._clock.monotonic()

    def ages(self) -> dict[str, float]:
        """Seconds since the last beat of everyone who ever beat, by name."""
        beats = self._beats.copy()
        now = self._clock.monotonic()
        return {name: max(0.0, now - at) for name, at in beats.items()}
