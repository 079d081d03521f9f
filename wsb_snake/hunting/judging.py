"""What becomes of one signal: raised or lowered by what was learnt, traded or not, and saved with why."""

import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from wsb_snake.core.calendar import Session
from wsb_snake.core.events import EventKind
from wsb_snake.core.orders import Order
from wsb_snake.core.signals import Signal, TradeIntent
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.records import SignalRecord, insert_signal
from wsb_snake.db.values import instant, instant_text
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.contracts import Contracts, NoContract
from wsb_snake.hunting.lessons import Lessons
from wsb_snake.hunting.paper_desk import PaperDesk
from wsb_snake.hunting.strategy import Memory, Strategy
from wsb_snake.learning.regime import Regime
from wsb_snake.trading.alpaca_executor import AlpacaExecutor

FOLLOWED_A_PASS = 3
"""Signals that are not traded cost a request each before they can be followed."""
FOLLOW_EVERY = timedelta(seconds=25)
"""The scalper's passes are 30 s apart."""

_MEMORY = (
    "INSERT INTO engine_state (engine, at, state) VALUES (?, ?, ?) ON CONFLICT (engine)"
    " DO UPDATE SET at = excluded.at, state = excluded.state WHERE excluded.at > engine_state.at"
)
"""An entry's memory overtakes those that were handed over before: they must not replace it."""


class Word(StrEnum):
    """What became of a signal, in one word."""

    EXECUTED = "executed"
    WATCHED = "watched"
    TOO_DEAR = "too_dear"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reason`` is empty for an executed signal; ``evidence`` is what the judging adds to the engine's."""

    word: Word
    reason: str
    order: Order | None
    evidence: Mapping[str, object]


Write = Callable[[sqlite3.Connection], None]


class Judge:
    """Belongs to the lane that computes."""

    def __init__(
        self,
        contracts: Contracts,
        lessons: Lessons,
        paper: PaperDesk,
        executor: AlpacaExecutor,
        database: Database,
    ) -> None:
        self._contracts = contracts
        self._lessons = lessons
        self._paper = paper
        self._executor = executor
        self._database = database
        self._kept: dict[str, str] = {}  # engine: the memory that was handed to the database last
        self._kept_at = datetime.min.replace(tzinfo=UTC)
        self._to_follow = 0  # signals of this pass whose contract may be asked for although it is not bought
        self._followed_at: datetime | None = None
        self.bar_raised = 0.0  # points that the battle plan adds to every bar

    def load(self, conn: sqlite3.Connection) -> None:
        """Take up the signals that are followed on paper, and where the memories stand."""
        for row in conn.execute("SELECT at FROM engine_state"):
            self._kept_at = max(self._kept_at, instant(row["at"]))
        self._paper.load(conn, self._executor.desk.now())

    def begin(self) -> None:
        """A pass begins."""
        self._to_follow = FOLLOWED_A_PASS
        self._contracts.begin()

    def follow(self, session: Session, now: datetime) -> None:
        """Look at what is followed on paper, every half minute at most."""
        symbols = self._paper.symbols()
        before = self._followed_at
        if not symbols or (before is not None and now - before < FOLLOW_EVERY):
            return
        self._followed_at = now
        self._paper.step(self._contracts.quotes(symbols), now, session)

    def follow_rule(self, strategy: Strategy, view: MarketView) -> None:
        """What is followed on paper leaves by its engine's own rule too."""
        held = self._paper.positions(strategy.engine)
        for position, _ in strategy.exits(view, held) if held else ():
            self._paper.give_up(position.position_id)

    def judge(self, strategy: Strategy, signal: Signal, view: MarketView, regime: Regime | None) -> None:
        """Trade it if it may be; save it with the verdict in any case.

        One that has a position was traded before a crash of which the engine knows nothing: it stays so.
        One with a figure that is no finite number goes no further: no row could hold what came of it.
        """
        positions = self._executor.desk.book.view.positions
        if any(position.signal_id == signal.signal_id for position in positions):
            return
        odd = _not_finite(signal)
        if odd:
            refused = Verdict(Word.WATCHED, f"no finite number: {', '.join(odd)}", None, {})
            self._database.transact(self._row(strategy, _finite(signal), refused, odd))
            return
        now = self._executor.desk.now()
        bar = strategy.execute_bar(signal, now, view.session) + self.bar_raised
        taught = self._lessons.apply(signal, view, bar)
        around = {} if regime is None else regime.evidence()

        def kept(verdict: Verdict) -> Write:
            if verdict.order is not None:
                strategy.traded(taught.signal, now)
            return self._row(
                strategy, taught.signal, verdict, {**taught.evidence, **around, **verdict.evidence}
            )

        verdict = self._verdict(strategy, taught.signal, view.session, bar, kept)
        if verdict.order is None:
            self._database.transact(kept(verdict))

    def remember(self, whose: Memory) -> None:
        """Save what an engine remembers, where a pass without a signal changed it."""
        memory = whose.memory()
        if self._kept.get(whose.engine) != memory:
            self._database.transact(self._keep(whose.engine, memory))

    def _verdict(
        self,
        strategy: Strategy,
        signal: Signal,
        session: Session,
        bar: float,
        kept: Callable[[Verdict], Write],
    ) -> Verdict:
        """What becomes of it; an entry takes its row with it, so that neither is there without the other."""
        executor = self._executor
        why_not = strategy.why_not(signal, executor.desk.now(), session)
        if why_not is None and signal.confidence < bar:
            why_not = (
                f"confidence {signal.confidence:g} is below the bar of {bar:g}, "
                f"{self.bar_raised:g} of them of the battle plan"
            )
        why_not = why_not or self._paused()
        if why_not is not None:
            return Verdict(Word.WATCHED, why_not, None, self._on_paper(signal, session, why_not))
        intent = self._contracts.intent(executor.desk, signal, session)
        if isinstance(intent, NoContract):
            return Verdict(Word.TOO_DEAR if intent.too_dear else Word.WATCHED, intent.reason, None, {})

        def executed(order: Order) -> Verdict:
            return Verdict(Word.EXECUTED, "", order, _said(intent, _allowed(order)))

        order = executor.execute_scalp_entry(intent, lambda planned: kept(executed(planned)))
        if order is None:
            word = executor.desk.refusals.get(signal.signal_id, "refused by the executor")
            self._paper.offer(intent, word, executor.desk.now())
            return Verdict(Word.WATCHED, word, None, _said(intent, word))
        return executed(order)

    def _on_paper(self, signal: Signal, session: Session, why_not: str) -> dict[str, object]:
        """Follow a signal that is not traded, so that it is known what was missed; a few in each pass."""
        if self._to_follow <= 0:
            return {}
        self._to_follow -= 1
        intent = self._contracts.intent(self._executor.desk, signal, session)
        if isinstance(intent, NoContract):
            return {}
        self._paper.offer(intent, why_not, self._executor.desk.now())
        return _picked(intent)

    def _paused(self) -> str | None:
        """Looked at before the chain is asked for; the executor looks again."""
        pauses = self._executor.desk.pauses.listed()
        return "trading is paused: " + ", ".join(pause.reason for pause in pauses) if pauses else None

    def _row(
        self, strategy: Strategy, signal: Signal, verdict: Verdict, added: Mapping[str, object]
    ) -> Write:
        """The signal, what became of it, and the engine's next state, in one transaction."""
        record = SignalRecord(
            signal_id=signal.signal_id,
            at=signal.at,
            engine=signal.engine,
            setup=signal.setup,
            ticker=signal.ticker,
            direction=signal.direction,
            confidence=signal.confidence,
            price=signal.price,
            evidence={**dict(signal.evidence), **added},
            verdict=verdict.word,
            reason=verdict.reason,
            position_id=None if verdict.order is None else verdict.order.position_id,
        )
        now = self._executor.desk.now()
        keep = self._keep(strategy.engine, strategy.memory())

        def write(conn: sqlite3.Connection) -> None:
            written = insert_signal(conn, record)
            keep(conn)
            if written:
                journal.append(conn, now, EventKind.SIGNAL, _told(record))

        return write

    def _keep(self, engine: str, memory: str) -> Write:
        self._kept[engine] = memory
        self._kept_at = max(self._executor.desk.now(), self._kept_at + timedelta(microseconds=1))
        row = (engine, instant_text(self._kept_at), memory)

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(_MEMORY, row)

        return write


def _not_finite(signal: Signal) -> dict[str, str]:
    """Its figures that are infinite or no number, as text by name."""
    figures = (("confidence", signal.confidence), ("price", signal.price), *signal.evidence)
    return {name: str(value) for name, value in figures if not math.isfinite(value)}


def _finite(signal: Signal) -> Signal:
    """``signal`` with 0 for a confidence or a price that is not finite: the columns hold numbers only."""
    confidence, price = (
        value if math.isfinite(value) else 0.0 for value in (signal.confidence, signal.price)
    )
    return replace(signal, confidence=confidence, price=price)


def _said(intent: TradeIntent, word: str) -> dict[str, object]:
    """What was picked, and what the executor and its governor said to it."""
    return {**_picked(intent), "governor": word}


def _picked(intent: TradeIntent) -> dict[str, object]:
    return {"contract": intent.contract.symbol, "bid": intent.quote.bid, "ask": intent.quote.ask}


def _allowed(order: Order) -> str:
    return f"allowed {order.qty} contracts at up to ${order.limit_price}"


def _told(record: SignalRecord) -> dict[str, object]:
    return {
        "signal_id": record.signal_id,
        "engine": record.engine,
        "setup": record.setup,
        "ticker": record.ticker,
        "direction": record.direction,
        "confidence": record.confidence,
        "verdict": record.verdict,
        "reason": record.reason,
    }
