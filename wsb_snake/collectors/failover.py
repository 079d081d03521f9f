"""Which source is asked: the first that answers, and none again at once that has just refused.

One refusal says little about the plan: a vendor in trouble answers 401 and 403 as well. So the rest is short
at first and doubles with each refusal in a row. The exits live on option quotes, which hardly rest at all.
"""

from collections.abc import Callable
from typing import TypeVar

from wsb_snake.collectors.sources import DataError, DataUnavailable, NotEntitled, Source
from wsb_snake.core.clock import Clock

OPTION_QUOTES = "option quotes"

RETRY_PRIMARY_S = 30.0
RETRY_ENTITLEMENT_S = 3600.0
"""The longest rest of a source that says again and again that it is not entitled; the first is the above."""
RETRY_QUOTES_S = 5.0
"""The longest rest for option quotes, whatever the reason."""

T = TypeVar("T")


class Failover:
    """Safe from several lanes: every change of its books is one assignment."""

    def __init__(self, primary: Source, fallback: Source | None, clock: Clock) -> None:
        self.sources = (primary,) if fallback is None else (primary, fallback)
        self._clock = clock
        self._resting: dict[tuple[str, str], tuple[float, DataError]] = {}
        self._refused: dict[tuple[str, str], float] = {}  # how long the last refusal in a row rests, seconds
        self._errors: dict[str, str] = {}

    @property
    def errors(self) -> tuple[str, ...]:
        """What is refused at present, a line each: of the primary, or of the only source that has it."""
        return tuple(self._errors.copy().values())

    def ask(self, kind: str, call: Callable[[Source], T]) -> T:
        """From the first source that answers.

        A primary that failed rests while its fallback serves; one that is not entitled rests anyway.
        Raises the primary's DataError when none answers.
        """
        failed: DataError | None = None
        for source in self.sources:
            try:
                answer = self.unless_resting(source, kind, call)
            except DataError as error:
                if failed is None:
                    failed = error
                    self.tell(kind, source, error)
            else:
                if failed is None:
                    self.well(kind)
                else:
                    self.rest(self.sources[0], kind, RETRY_PRIMARY_S, failed)
                return answer
        raise failed or DataUnavailable(f"{kind}: no source")

    def unless_resting(self, source: Source, kind: str, call: Callable[[Source], T]) -> T:
        """What ``source`` answers. Raises what it raised last time while it rests."""
        until, error = self._resting.get((source.name, kind), (0.0, None))
        if error is not None and self._clock.monotonic() < until:
            raise error
        try:
            answer = call(source)
        except NotEntitled as refused:
            before = self._refused.get((source.name, kind), RETRY_PRIMARY_S / 2)
            seconds = min(2 * before, RETRY_ENTITLEMENT_S)
            if self.rest(source, kind, seconds, refused):  # those that were asked at once refuse but once
                self._refused[(source.name, kind)] = seconds
            raise
        self._refused.pop((source.name, kind), None)
        return answer

    def rest(self, source: Source, kind: str, seconds: float, error: DataError) -> bool:
        """Do not ask ``source`` for ``kind`` again that soon; ``error`` stands for its answer.

        Whether the rest begins; False while one is under way.
        """
        until, _ = self._resting.get((source.name, kind), (0.0, None))
        now = self._clock.monotonic()
        if now < until:
            return False
        longest = RETRY_QUOTES_S if kind == OPTION_QUOTES else seconds
        self._resting[(source.name, kind)] = (now + min(seconds, longest), error)
        return True

    def tell(self, kind: str, source: Source, error: DataError) -> None:
        """Enter a refusal under ``errors``."""
        self._errors[kind] = f"{source.name}: {kind}: {error}"

    def well(self, kind: str) -> None:
        """``kind`` comes as it should."""
        self._errors.pop(kind, None)
