"""Each engine in the host's shape. The engines decide; here stands only what they are given and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.occ import parse
from wsb_snake.core.signals import Direction, Signal
from wsb_snake.core.types import Right
from wsb_snake.engines import institutional_scalper, leaps_engine, momentum_engine, orchestrator, spy_scalper
from wsb_snake.engines.orchestrator_state import OrchestratorState
from wsb_snake.engines.state_machine import Phase
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.strategy import Cadence, Strategy
from wsb_snake.hunting.view import Needs
from wsb_snake.trading.positions import Position

_QUICK = timedelta(seconds=2)
"""Bars are asked for this long after the half minute, when the feed has them,"""
_LATER = timedelta(seconds=5)
"""and by the others a little later, when the scalper has asked already."""


def strategies(settings: Settings) -> tuple[Strategy, ...]:
    """The engines that are switched on, in the order in which they compute."""
    made = (SpyScalper(settings), InstitutionalScalper(), Orchestrator(), Momentum(), Leaps())
    return tuple(strategy for strategy in made if strategy.engine in settings.engines)


class SpyScalper(Strategy):
    engine = spy_scalper.ENGINE
    cadence = Cadence(timedelta(seconds=30), _QUICK)
    quick = True

    def __init__(self, settings: Settings) -> None:
        self._rules = spy_scalper.ScalperRules(
            alert=settings.wsb_snake_alert_confidence, execute=settings.wsb_snake_execute_confidence
        )
        self._state = spy_scalper.ScalperState()

    def needs(self, listed: frozenset[str]) -> Needs:
        return Needs(bars=listed)

    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        signals, self._state = spy_scalper.scan(view.bars, view.now, view.session, self._state, self._rules)
        return signals

    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        return spy_scalper.wants_execution(signal, now, session, self._rules) or spy_scalper.crowded(
            self._state, now, self._rules
        )

    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        return spy_scalper.execute_bar(signal, now, session, self._rules)[0]

    def traded(self, signal: Signal, now: datetime) -> None:
        self._state = spy_scalper.traded(self._state, signal.ticker, now)

    def memory(self) -> str:
        return self._state.to_json()

    def recall(self, text: str) -> None:
        self._state = spy_scalper.ScalperState.from_json(text)


class Orchestrator(Strategy):
    """Every name of the day, from all that is known of it."""

    engine = orchestrator.ENGINE
    cadence = Cadence(timedelta(minutes=10), _LATER)

    def __init__(self) -> None:
        self._rules = orchestrator.OrchestratorRules()
        self._state = OrchestratorState()

    def needs(self, listed: frozenset[str]) -> Needs:
        return Needs(bars=listed, daily=listed, chains=listed, news=listed, vix=True)

    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        signals, self._state = orchestrator.scan(view, self._state, self._rules, weights)
        return signals

    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        return orchestrator.wants_execution(signal, now, session, self._rules)

    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        tiers = self._rules.probability.tiers
        return min(least for least, tier in tiers if tier in orchestrator.TRADED_TIERS)

    def traded(self, signal: Signal, now: datetime) -> None:
        self._state = orchestrator.traded(self._state, signal.ticker, now)

    def settle(self, held: Sequence[Position], now: datetime) -> None:
        """A name that holds on although nothing is held any more is over."""
        names = {position.underlying for position in held}
        for ticker, state in self._state.tickers:
            if state.machine.phase is Phase.CONSTRICT and ticker not in names:
                self._state = orchestrator.closed(self._state, ticker, now)

    def memory(self) -> str:
        return self._state.to_json()

    def recall(self, text: str) -> None:
        self._state = OrchestratorState.from_json(text)


class Momentum(Strategy):
    """Its own names, whatever expires today."""

    engine = momentum_engine.ENGINE
    cadence = Cadence(timedelta(minutes=2), _LATER)

    def __init__(self) -> None:
        self._rules = momentum_engine.MomentumRules()
        self._state = momentum_engine.MomentumState()

    def needs(self, listed: frozenset[str]) -> Needs:
        names = frozenset(self._rules.tickers)
        return Needs(bars=names, daily=names, news=names)

    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        signals, self._state = momentum_engine.scan(view, self._state, self._rules)
        return signals

    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        return momentum_engine.wants_execution(signal, now, session, self._rules)

    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        return self._rules.execute

    def traded(self, signal: Signal, now: datetime) -> None:
        self._state = momentum_engine.traded(self._state, signal.ticker, now)

    def memory(self) -> str:
        return self._state.to_json()

    def recall(self, text: str) -> None:
        self._state = momentum_engine.MomentumState.from_json(text)


class Leaps(Strategy):
    """Its own names, one entry a day."""

    engine = leaps_engine.ENGINE
    cadence = Cadence(timedelta(minutes=30), _LATER)

    def __init__(self) -> None:
        self._rules = leaps_engine.LeapsRules()
        self._state = leaps_engine.LeapsState()

    def needs(self, listed: frozenset[str]) -> Needs:
        names = frozenset(self._rules.tickers)
        return Needs(bars=names, daily=names)

    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        signals, self._state = leaps_engine.scan(view, self._state, self._rules)
        return signals

    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        return leaps_engine.wants_execution(signal, now, session, self._rules, self._state)

    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        return self._rules.execute

    def traded(self, signal: Signal, now: datetime) -> None:
        self._state = leaps_engine.traded(self._state, signal.ticker, now)

    def memory(self) -> str:
        return self._state.to_json()

    def recall(self, text: str) -> None:
        self._state = leaps_engine.LeapsState.from_json(text)


class InstitutionalScalper(Strategy):
    """It is looked at each minute: it speaks once a half hour, and a bar that is late must not be missed.

    Its rule closes positions, which waits for nobody's chain.
    """

    engine = institutional_scalper.ENGINE
    cadence = Cadence(timedelta(minutes=1), _LATER)
    quick = True

    def __init__(self) -> None:
        self._rules = institutional_scalper.InstitutionalRules()
        self._state = institutional_scalper.InstitutionalState()

    def needs(self, listed: frozenset[str]) -> Needs:
        names = listed & frozenset(self._rules.tickers)
        return Needs(bars=names, daily=names, past=names)

    def scan(self, view: MarketView, weights: Mapping[str, float]) -> Sequence[Signal]:
        signals, self._state = institutional_scalper.scan(view, self._state, self._rules)
        return signals

    def why_not(self, signal: Signal, now: datetime, session: Session) -> str | None:
        return institutional_scalper.wants_execution(signal, now, session, self._rules)

    def execute_bar(self, signal: Signal, now: datetime, session: Session) -> float:
        return self._rules.execute

    def traded(self, signal: Signal, now: datetime) -> None:
        self._state = institutional_scalper.traded(self._state, signal.ticker, now)

    def exits(self, view: MarketView, held: Sequence[Position]) -> Sequence[tuple[Position, str]]:
        found: list[tuple[Position, str]] = []
        for position in held:  # each by itself: a call and a put of one name may be held at once
            way = {position.underlying: _way(position)}
            over = institutional_scalper.exits(view, way, self._rules)
            found += [(position, reason) for _, reason in over]
        return found

    def memory(self) -> str:
        return self._state.to_json()

    def recall(self, text: str) -> None:
        self._state = institutional_scalper.InstitutionalState.from_json(text)


def _way(position: Position) -> Direction:
    """The direction that a long option bets on."""
    return Direction.LONG if parse(position.symbol).right is Right.CALL else Direction.SHORT
