"""Follows signals that were not traded to the exit that the same rules would have taken.

Only quotes are looked at; no order, no limit and no lesson comes from here.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import ExitReason, Origin, PositionState
from wsb_snake.core.signals import ExitPlan, TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.db.database import Database
from wsb_snake.db.records import PaperTradeRecord, insert_paper_trade
from wsb_snake.learning import paper_trades
from wsb_snake.trading import exits
from wsb_snake.trading.eod_guard import rungs
from wsb_snake.trading.positions import Position, Watch

MOST = 30
"""Followed at the same time: their quotes are asked for together."""

REMEMBERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Followed:
    trade: PaperTradeRecord
    position: Position


class PaperDesk:
    """Belongs to the lane that computes."""

    def __init__(self, database: Database, cutoff_flatten: bool) -> None:
        self._database = database
        self._cutoff_flatten = cutoff_flatten
        self._followed: dict[str, _Followed] = {}
        self._known: frozenset[str] = frozenset()

    def load(self, conn: sqlite3.Connection, now: datetime) -> None:
        """Take up those without an end, and the names of the newest: a signal is followed once."""
        self._followed = {trade.paper_id: _follow(trade) for trade in paper_trades.open_trades(conn)}
        self._known = paper_trades.ids_since(conn, now - REMEMBERED) | frozenset(self._followed)

    def symbols(self) -> tuple[str, ...]:
        """The contracts whose quotes ``step`` needs."""
        return tuple(sorted({each.trade.symbol for each in self._followed.values()}))

    def offer(self, intent: TradeIntent, why_not: str, now: datetime) -> bool:
        """Follow an intent that was not executed; False where it is followed already or there are MOST."""
        trade = paper_trades.begin(intent, why_not, now)
        if trade is None or trade.paper_id in self._known or len(self._followed) >= MOST:
            return False
        self._known |= {trade.paper_id}
        self._followed[trade.paper_id] = _follow(trade)
        self._save(trade)
        return True

    def step(self, quotes: Mapping[str, Quote], now: datetime, session: Session) -> None:
        """One look at each; at the end of those whose exit has come."""
        for paper_id, each in list(self._followed.items()):
            trade, position = each.trade, each.position
            quote = quotes.get(trade.symbol)
            if now >= session.close or position.expiry < session.day:
                if position.expiry <= session.day:
                    self._end(paper_id, paper_trades.NO_QUOTE, None, now)
                continue
            verdict = exits.decide(position, quote, now, session.open)
            reason = self._by_time(position, now, session)
            if reason is None and verdict.decision is not None:
                reason = verdict.decision.reason
            if reason is not None and quote is not None and exits.usable(quote, now):
                self._end(paper_id, reason, quote, now)
            else:
                self._seen(paper_id, trade, replace(position, watch=verdict.watch))

    def _by_time(self, position: Position, now: datetime, session: Session) -> ExitReason | None:
        """The end of day takes what expires today, whatever its plan says."""
        if position.expiry != session.day:
            return None
        due = rungs(session, position.underlying, self._cutoff_flatten)
        if due.cutoff is not None and now >= due.cutoff:
            return ExitReason.CUTOFF
        return ExitReason.EOD if now >= due.eod else None

    def _end(self, paper_id: str, reason: str, quote: Quote | None, now: datetime) -> None:
        self._save(paper_trades.end(self._followed.pop(paper_id).trade, reason, quote, now))

    def _seen(self, paper_id: str, trade: PaperTradeRecord, position: Position) -> None:
        """A trail that has risen is saved: after a restart it goes on from there."""
        high = position.watch.high_bid
        if position.plan.trail is not None and high is not None and high > (trade.high_bid or 0):
            trade = replace(trade, high_bid=high)
            self._save(trade)
        self._followed[paper_id] = _Followed(trade, position)

    def _save(self, trade: PaperTradeRecord) -> None:
        self._database.transact(lambda conn: insert_paper_trade(conn, trade))


def _follow(trade: PaperTradeRecord) -> _Followed:
    contract = parse(trade.symbol)
    position = Position(
        position_id=trade.paper_id,
        symbol=trade.symbol,
        underlying=contract.underlying,
        expiry=contract.expiry,
        origin=Origin.OURS,
        engine=trade.engine,
        setup=trade.setup,
        signal_id=trade.signal_id,
        state=PositionState.OPEN,
        plan=ExitPlan.from_json(trade.plan),
        opened_at=trade.opened_at,
        qty=1,
        bought_qty=1,
        entry_price=trade.entry_price,
        watch=Watch(high_bid=trade.high_bid),
    )
    return _Followed(trade, position)
