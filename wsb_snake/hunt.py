"""The scalper's pass: bars in, signals judged and saved, contracts picked, intents handed down."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

from wsb_snake.collectors.market_data import DataError, MarketData
from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.events import EventKind
from wsb_snake.core.orders import Order
from wsb_snake.core.signals import ExitPlan, Signal, TradeIntent
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.records import SignalRecord, insert_signal
from wsb_snake.db.values import instant_text
from wsb_snake.engines import contract_picker, spy_scalper
from wsb_snake.engines.contract_picker import NoPick, PickRules
from wsb_snake.engines.types import right_of
from wsb_snake.trading.alpaca_executor import AlpacaExecutor

log = logging.getLogger(__name__)


class ScalperHunt:
    """Runs ``spy_scalper`` over the names that list a contract expiring today."""

    def __init__(
        self, settings: Settings, market: MarketData, executor: AlpacaExecutor, database: Database
    ) -> None:
        self._settings = settings
        self._market = market
        self._executor = executor
        self._database = database
        self._rules = spy_scalper.ScalperRules(
            alert=settings.wsb_snake_alert_confidence, execute=settings.wsb_snake_execute_confidence
        )
        self._state = spy_scalper.ScalperState()
        self.names: tuple[str, ...] = ()
        self.names_day: date | None = None

    def load(self, conn: sqlite3.Connection) -> None:
        """Restore cooldowns and what was already said."""
        row = conn.execute(
            "SELECT state FROM engine_state WHERE engine = ?", (spy_scalper.ENGINE,)
        ).fetchone()
        if row is None:
            return
        try:
            self._state = spy_scalper.ScalperState.from_json(row["state"])
        except (ValueError, KeyError, TypeError) as error:
            log.error("the scalper's memory cannot be read and begins anew: %s", error)

    def step(self, session: Session, now: datetime) -> None:
        """One pass. Raises DataError when no bars came."""
        if not self.names:
            return
        view = self._market.bars(self.names, session, now)
        signals, self._state = spy_scalper.scan(view.bars, now, session, self._state, self._rules)
        for signal in sorted(signals, key=lambda found: (-found.confidence, found.ticker)):
            self._judge(signal, session)

    def _judge(self, signal: Signal, session: Session) -> None:
        """Trade it if it may be; save it with the verdict in any case."""
        now = self._executor.desk.now()
        why_not = spy_scalper.wants_execution(signal, now, session, self._rules) or spy_scalper.crowded(
            self._state, now, self._rules
        )
        order: Order | None = None
        if why_not is None:
            intent = self._intent(signal, session)
            if isinstance(intent, TradeIntent):
                order = self._executor.execute_scalp_entry(intent)
                why_not = None if order is not None else "refused by the executor, see entry_refused"
            else:
                why_not = intent
        if order is not None:
            self._state = spy_scalper.traded(self._state, signal.ticker, now)
        self._save(signal, order, why_not or "")

    def _intent(self, signal: Signal, session: Session) -> TradeIntent | str:
        """The contract for ``signal``, or why there is none."""
        low, high = contract_picker.strike_window(signal.price)
        try:
            rows = self._market.chain(signal.ticker, session.day, low, high)
        except DataError as error:
            return f"no chain: {error}"
        picked = contract_picker.pick(
            rows,
            right_of(signal.direction),
            signal.price,
            self._executor.desk.now(),
            {session.day: session.close},
            self._pick_rules(),
        )
        if isinstance(picked, NoPick):
            return picked.reason
        plan = ExitPlan(
            target=self._settings.wsb_snake_scalp_target,
            stop=self._settings.wsb_snake_scalp_stop,
            max_hold_s=self._settings.wsb_snake_scalp_minutes * 60,
        )
        return TradeIntent(signal, picked.contract, picked.quote, plan)

    def _pick_rules(self) -> PickRules:
        cost = self._settings.wsb_snake_max_trade_dollars
        account = self._executor.desk.pollers.account.latest
        if account is not None:
            cost = min(cost, self._settings.wsb_snake_max_trade_equity * account.value.equity)
        return replace(PickRules(), stop=self._settings.wsb_snake_scalp_stop, max_cost=cost)

    def _save(self, signal: Signal, order: Order | None, reason: str) -> None:
        """The signal, what became of it, and the engine's next state, in one transaction."""
        verdict = "executed" if order is not None else "watched"
        record = SignalRecord(
            signal_id=signal.signal_id,
            at=signal.at,
            engine=signal.engine,
            setup=signal.setup,
            ticker=signal.ticker,
            direction=signal.direction,
            confidence=signal.confidence,
            price=signal.price,
            evidence=dict(signal.evidence),
            verdict=verdict,
            reason=reason,
            position_id=None if order is None else order.position_id,
        )
        self._database.transact(_writes(record, self._state, self._executor.desk.now()))


def _writes(
    record: SignalRecord, state: spy_scalper.ScalperState, now: datetime
) -> Callable[[sqlite3.Connection], None]:
    def write(conn: sqlite3.Connection) -> None:
        insert_signal(conn, record)
        conn.execute(
            "INSERT OR REPLACE INTO engine_state (engine, at, state) VALUES (?, ?, ?)",
            (record.engine, instant_text(now), state.to_json()),
        )
        journal.append(
            conn,
            now,
            EventKind.SIGNAL,
            {
                "signal_id": record.signal_id,
                "engine": record.engine,
                "setup": record.setup,
                "ticker": record.ticker,
                "direction": record.direction,
                "confidence": record.confidence,
                "verdict": record.verdict,
            },
        )

    return write
