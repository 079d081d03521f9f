"""Runs whichever engines are due.

What takes long to fetch is gathered in another lane than the one that computes: all engines compute in
one lane, and neither the scalper's half minutes nor the exits of the band rule wait for the chains of
the others, or for anything of earlier sessions.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_

from wsb_snake.core.calendar import Session
from wsb_snake.core.orders import ExitReason
from wsb_snake.core.signals import Signal
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.climate import Climate
from wsb_snake.hunting.judging import Judge
from wsb_snake.hunting.lessons import Lessons
from wsb_snake.hunting.strategy import Memory, Strategy
from wsb_snake.hunting.view import Look, Needs, Viewer, narrowed
from wsb_snake.trading.alpaca_executor import AlpacaExecutor
from wsb_snake.trading.positions import Position

HISTORY_AGAIN = timedelta(minutes=1)
"""What the quick engines lack of earlier sessions is asked for again after so long."""

NAMELESS = timedelta(minutes=10)
"""The owner is told when a session has gone on for so long without the day's names."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What some engines are to look at, and what of it each asked for."""

    look: Look
    due: tuple[tuple[Strategy, Needs], ...]


class Host:
    """The engines of one daemon. ``scan`` and ``gather`` belong to one lane each."""

    def __init__(
        self,
        strategies: Sequence[Strategy],
        viewer: Viewer,
        judge: Judge,
        lessons: Lessons,
        climate: Climate,
        executor: AlpacaExecutor,
    ) -> None:
        self.strategies = tuple(strategies)
        self._viewer = viewer
        self._judge = judge
        self._lessons = lessons
        self._climate = climate
        self._executor = executor
        self._gathered: deque[_Gathered] = deque()
        self._passed: dict[
            str, tuple[datetime, int | None]
        ] = {}  # engine: session and number of its last pass
        self.names: tuple[str, ...] = ()
        """The names that list a contract expiring on ``names_day``,"""
        self.names_day: date | None = None
        """the day for which they were read: on another one they count for nothing."""
        self._nameless: datetime | None = None  # since when they lack, within a session
        self._nameless_told: date | None = None  # the session of which the owner knows it

    def load(self, conn: sqlite3.Connection) -> None:
        """Restore what the engines remember."""
        kept = {row["engine"]: row["state"] for row in conn.execute("SELECT engine, state FROM engine_state")}
        memories: tuple[Memory, ...] = (*self.strategies, self._climate)
        for memory in memories:
            try:
                if memory.engine in kept:
                    memory.recall(kept[memory.engine])
            except (ValueError, KeyError, TypeError) as error:
                log.error("the memory of %s cannot be read and begins anew: %s", memory.engine, error)
        self._judge.load(conn)

    def raise_bar(self, points: float) -> None:
        """Ask for so much more confidence today, in every engine."""
        self._judge.bar_raised = points

    def prepare(self, session: Session) -> bool:
        """Before the open: fetch what is of earlier sessions, so that the first passes wait for little.

        False while the day's names are not known.
        """
        if self.names_day != session.day:
            return False
        needs = _together([(strategy, self._needs(strategy, session)) for strategy in self.strategies])
        for lack in self._viewer.history(needs, session):
            log.warning("before the open: %s", lack)
        return True

    def scan(self, session: Session, now: datetime) -> bool:
        """Compute what is due: the quick engines on what is fetched here, then what was gathered.

        Whether anything was fetched. Raises DataError when no bars came.
        """
        try:
            fetched = self._fetch(session, now, quick=True)
            if fetched is not None:
                self._compute(fetched)
        finally:  # what was gathered is there whether bars come or not
            while self._gathered:
                self._compute(self._gathered.popleft())
        self._judge.follow(session, now)
        return fetched is not None

    def gather(self, session: Session, now: datetime) -> bool:
        """Fetch what the other engines that are due look at, and for all what is of earlier sessions.

        ``scan`` computes it: the quick engines look at what of earlier sessions is here by then.
        Whether anything was fetched. Raises DataError when no bars came.
        """
        self._tell_nameless(session, now)
        try:
            for lack in self._viewer.history(self._quick_needs(session), session):
                log.warning("for the quick engines: %s", lack)
        finally:  # the others look, whatever becomes of it
            fetched = self._fetch(session, now, quick=False)
            if fetched is not None:
                self._gathered.append(fetched)
        return fetched is not None

    def next_pass(self, session: Session, now: datetime, *, quick: bool) -> datetime | None:
        """When the next of those engines is due, None when there are none.

        The others come back also for what the quick ones lack of earlier sessions.
        """
        moments = [s.cadence.after(now, session) for s in self.strategies if s.quick is quick]
        if not quick and self._lacks_history(session):
            moments.append(now + HISTORY_AGAIN)
        return min(moments, default=None)

    def _lacks_history(self, session: Session) -> bool:
        """Whether a quick engine waits for something of earlier sessions, or for the names to ask for."""
        if not any(strategy.quick for strategy in self.strategies):
            return False
        named = self.names_day == session.day
        return not named or not self._viewer.has_history(self._quick_needs(session), session)

    def _quick_needs(self, session: Session) -> Needs:
        return _together([(s, self._needs(s, session)) for s in self.strategies if s.quick])

    def _fetch(self, session: Session, now: datetime, *, quick: bool) -> _Gathered | None:
        strategies = [s for s in self.strategies if s.quick is quick and self._due(s, session, now)]
        due = tuple((strategy, self._needs(strategy, session)) for strategy in strategies)
        needs = _together(due)
        if not needs.bars:
            return None
        look = self._viewer.look(needs, session, now, kept=quick)
        for strategy in strategies:  # only now: a pass that got no bars is tried again
            self._passed[strategy.engine] = session.open, strategy.cadence.slot(now, session)
        for lack in look.lacks:
            log.warning("%s: %s", ", ".join(strategy.engine for strategy in strategies), lack)
        return _Gathered(look, due)

    def _needs(self, strategy: Strategy, session: Session) -> Needs:
        """What it looks at: what it holds is watched also while the day's names are not known."""
        held = frozenset(position.underlying for position in self._held(strategy))
        return strategy.needs(held.union(self.names if self.names_day == session.day else ()))

    def _held(self, strategy: Strategy) -> list[Position]:
        return [p for p in self._executor.desk.book.view.held() if p.engine == strategy.engine]

    def _tell_nameless(self, session: Session, now: datetime) -> None:
        """Once a session: without the day's names nothing is hunted that expires today."""
        if session.day in (self.names_day, self._nameless_told):
            return
        if self._nameless is None or self._nameless < session.open:
            self._nameless = now
        elif now - self._nameless >= NAMELESS:
            self._nameless_told = session.day
            self._executor.desk.alert(
                "the day's contracts",
                "the broker has not told them, so that nothing is hunted that expires today;"
                " it is asked again every minute",
            )

    def _due(self, strategy: Strategy, session: Session, now: datetime) -> bool:
        """Whether the present pass of ``strategy`` has not been made."""
        slot = strategy.cadence.slot(now, session)
        return slot is not None and self._passed.get(strategy.engine) != (session.open, slot)

    def _compute(self, gathered: _Gathered) -> None:
        if any(needs.vix for _, needs in gathered.due):
            self._climate.follow(gathered.look)
            self._judge.remember(self._climate)
        regime = self._climate.regime
        self._lessons.take_up(regime)
        self._judge.begin()
        seen: list[tuple[Strategy, MarketView, Sequence[Signal]]] = []
        for strategy, needs in gathered.due:  # every exit before any signal: judging waits for chains
            view = narrowed(gathered.look.view, needs)
            held = self._held(strategy)
            strategy.settle(held, view.now)
            self._close(strategy, view, held)
            self._judge.follow_rule(strategy, view)
            seen.append((strategy, view, strategy.scan(view, self._lessons.weights())))
        for strategy, view, signals in seen:
            for signal in sorted(signals, key=lambda found: (-found.confidence, found.ticker)):
                self._judge.judge(strategy, signal, view, regime)
            self._judge.remember(strategy)

    def _close(self, strategy: Strategy, view: MarketView, held: Sequence[Position]) -> None:
        """Close what the engine's own rule gives up."""
        watched = [position for position in held if position.watched]
        for position, reason in strategy.exits(view, watched) if watched else ():
            if self._executor.execute_exit(position.position_id, ExitReason.ENGINE):
                log.info("%s closes %s: %s", strategy.engine, position.symbol, reason)


def _together(each: Sequence[tuple[Strategy, Needs]]) -> Needs:
    return reduce(or_, (needs for _, needs in each), Needs())
