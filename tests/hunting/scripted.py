"""An engine that says what the test wants, in the host of the real daemon."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tests.trading.world import World
from wsb_snake.core.calendar import Session
from wsb_snake.core.signals import Direction, Signal
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.strategy import Cadence, Strategy
from wsb_snake.hunting.view import Needs
from wsb_snake.trading.positions import Position


class Scripted(Strategy):
    """Gives its ``signals`` in one pass, and closes what is in ``over``."""

    engine = "spy_scalper"
    cadence = Cadence(timedelta(seconds=30), timedelta(seconds=2))
    quick = True

    def __init__(self, engine: str = "spy_scalper", *, quick: bool = True, bar: float = 70) -> None:
        self.engine = engine
        self.quick = quick
        self.bar = bar
        self.wants = Needs(bars=frozenset({"SPY"}))
        self.signals: list[Signal] = []
        self.over: dict[str, str] = {}
        self.views: list[MarketView] = []
        self.weights: list[Mapping[str, float]] = []
        self.held: list[tuple[str, ...]] = []
        self.state = "0"

    def needs(self, listed: frozenset[str]) -> Needs:
        return self.wants

    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        self.views.append(view)
        self.weights.append(weights)
        found, self.signals = self.signals, []
        return found

    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        return None if signal.confidence >= self.bar else f"confidence {signal.confidence:g} is too low"

    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        return self.bar

    def traded(self, signal: Signal, now: datetime) -> None:
        self.state = f"traded {signal.ticker}"

    def settle(self, held: Sequence[Position], now: datetime) -> None:
        self.held.append(tuple(position.symbol for position in held))

    def exits(self, view: MarketView, held: Sequence[Position]) -> Sequence[tuple[Position, str]]:
        return [(p, self.over[p.underlying]) for p in held if p.underlying in self.over]

    def memory(self) -> str:
        return self.state

    def recall(self, text: str) -> None:
        if text.startswith("broken"):
            raise ValueError("it is broken")
        self.state = text


def host(w: World, *engines: Scripted) -> None:
    """Put ``engines`` in the place of the daemon's own, once it has agreed and knows the day's names."""
    w.until(lambda: w.daemon.hunt.names)
    w.daemon.hunt.strategies = engines


def signal(w: World, confidence: float = 80, ticker: str = "SPY", **changes: object) -> Signal:
    """A rise of ``ticker``, seen just now."""
    now = w.clock.now()
    engine = str(changes.pop("engine", "spy_scalper"))
    made = Signal(
        f"{engine}-{ticker}-{now:%H%M%S}",
        now,
        engine,
        "made_up",
        ticker,
        Direction.LONG,
        confidence,
        w.market.spots[ticker],
        (("base_points", 60.0), ("volume_ratio", 2.5)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
