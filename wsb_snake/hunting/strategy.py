"""The shape in which the host runs an engine: when, on what, and what its signals may lead to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from wsb_snake.core.calendar import Session
from wsb_snake.core.signals import Signal
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.view import Needs
from wsb_snake.trading.positions import Position


@dataclass(frozen=True, slots=True)
class Cadence:
    """Passes at ``session open + offset + n * every``."""

    every: timedelta
    offset: timedelta

    def slot(self, now: datetime, session: Session) -> int | None:
        """The number of the pass that ``now`` belongs to; None before the first."""
        passed = now - session.open - self.offset
        return None if passed < timedelta(0) else passed // self.every

    def after(self, now: datetime, session: Session) -> datetime:
        """The next moment of a pass, later than ``now``."""
        first = session.open + self.offset
        return max(first, first + ((now - first) // self.every + 1) * self.every)


class Memory(Protocol):
    """What is kept under a name in ``engine_state``."""

    engine: str

    def memory(self) -> str:
        """It as text."""
        ...

    def recall(self, text: str) -> None:
        """Take up what ``memory`` gave. Raises ValueError, KeyError or TypeError for anything else."""
        ...


class Strategy(ABC):
    """One engine with its memory. Every method computes only; the host fetches, trades and saves."""

    engine: str
    cadence: Cadence
    quick = False
    """Needs no chain, news or VIX, and must not wait for those that do."""

    @abstractmethod
    def needs(self, listed: frozenset[str]) -> Needs:
        """What a pass looks at; ``listed`` are the names with a contract that expires today."""

    @abstractmethod
    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        """The signals of this pass; the memory goes on to the next one.

        ``weights`` are learnt factors of the components, 1 where nothing was learnt.
        """

    @abstractmethod
    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        """Why ``signal`` may not be traded, in one line; None when it may."""

    @abstractmethod
    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        """The confidence from which on ``signal`` may be traded, with whatever the hour and the name add."""

    @abstractmethod
    def traded(self, signal: Signal, now: datetime) -> None:
        """Remember that an entry for ``signal`` was sent."""

    @abstractmethod
    def memory(self) -> str:
        """The state as text."""

    @abstractmethod
    def recall(self, text: str) -> None:
        """Take up what ``memory`` gave. Raises ValueError, KeyError or TypeError for anything else."""

    def settle(self, held: Sequence[Position], now: datetime) -> None:
        """Take note of what the engine holds, entries under way included, before a pass."""
        return

    def exits(self, view: MarketView, held: Sequence[Position]) -> Sequence[tuple[Position, str]]:
        """Which of the engine's positions its own rule closes at this moment, each with the reason."""
        return ()
