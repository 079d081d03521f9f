"""Follows signals that were not traded to the exit that the same rules would have taken.

Only quotes are looked at; no order, no limit and no lesson comes from here.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date
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

MOST_OPEN_ENDED = 4
"""Of those of one engine, so many that neither a time nor this day's end closes: the others have room."""

PATIENCE = timedelta(days=7)
"""Then its time is over for whatever has met no other end: five sessions tell enough."""

NO_QUOTE_FOR = timedelta(days=3)
"""So long after that it ends without a price, when none comes."""

REMEMBERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Followed:
    trade: PaperTradeRecord
    position: Position
    given_up: bool = False  # by the own rule of its engine: the next quote ends it

    def open_ended(self, day: date) -> bool:
        """Whether it may go on for long after ``day``."""
        return self.position.plan.max_hold_s is None and self.position.expiry > day


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
        """Follow an intent that was not executed; False where it is followed already or there is no room.

        One of the same engine in the same contract is the same trade.
        """
        trade = paper_trades.begin(intent, why_not, now)
        if trade is None or trade.paper_id in self._known or len(self._followed) >= MOST:
            return False
        followed, day, made = list(self._followed.values()), eastern_date(now), _follow(trade)
        if any((f.trade.engine, f.trade.symbol) == (trade.engine, trade.symbol) for f in followed):
            return False
        lasting = sum(f.trade.engine == trade.engine and f.open_ended(day) for f in followed)
        if made.open_ended(day) and lasting >= MOST_OPEN_ENDED:
            return False
        self._known |= {trade.paper_id}
        self._followed[trade.paper_id] = made
        self._save(trade)
        return True

    def positions(self, engine: str) -> tuple[Position, ...]:
        """What is followed of ``engine``, as positions, for its own rule to judge."""
        return tuple(f.position for f in self._followed.values() if f.trade.engine == engine)

    def give_up(self, paper_id: str) -> None:
        """The engine's own rule closes it: at the next quote that can be used."""
        self._followed[paper_id] = replace(self._followed[paper_id], given_up=True)

    def step(self, quotes: Mapping[str, Quote], now: datetime, session: Session) -> None:
        """One look at each; at the end of those whose exit has come."""
        for paper_id, each in list(self._followed.items()):
            trade, position = each.trade, each.position
            quote = quotes.get(trade.symbol)
            silent = now - trade.opened_at >= PATIENCE + NO_QUOTE_FOR and quote is None
            if now >= session.close or position.expiry < session.day or silent:
                if position.expiry <= session.day or silent:
                    self._end(paper_id, paper_trades.NO_QUOTE, None, now)
                continue
            verdict = exits.decide(position, quote, now, session.open)
            reason = ExitReason.ENGINE if each.given_up else self._by_time(position, now, session)
            if reason is None and verdict.decision is not None:
                reason = verdict.decision.reason
            if reason is not None and quote is not None and exits.usable(quote, now):
                self._end(paper_id, reason, quote, now)
            else:
                self._seen(paper_id, each, replace(position, watch=verdict.watch))

    def _by_time(self, position: Position, now: datetime, session: Session) -> ExitReason | None:
        """The end of day takes what expires today, whatever its plan says, and patience ends for the rest."""
        if position.expiry != session.day:
            return ExitReason.TIME if now - position.opened_at >= PATIENCE else None
        due = rungs(session, position.underlying, self._cutoff_flatten)
        if due.cutoff is not None and now >= due.cutoff:
            return ExitReason.CUTOFF
        return ExitReason.EOD if now >= due.eod else None

    def _end(self, paper_id: str, reason: str, quote: Quote | None, now: datetime) -> None:
        self._save(paper_trades.end(self._followed.pop(paper_id).trade, reason, quote, now))

    def _seen(self, paper_id: str, each: _Followed, position: Position) -> None:
        """A trail that has risen is saved: after a restart it goes on from there."""
        trade = each.trade
        high = position.watch.high_bid
        if position.plan.trail is not None and high is not None and high > (trade.high_bid or 0):
            trade = replace(trade, high_bid=high)
            self._save(trade)
        self._followed[paper_id] = replace(each, trade=trade, position=position)

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
