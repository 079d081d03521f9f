"""Proof of flat for whatever the owner flattens: the rule of the end of day, for any scope. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.orders import LIVE
from wsb_snake.trading.book import BookView
from wsb_snake.trading.broker import BrokerOrder, BrokerPosition
from wsb_snake.trading.eod_guard import EodState, Reading, advance


def in_scope(symbol: str, day: date | None) -> bool:
    """Whether ``symbol`` is an option that expires on ``day``; any option when that is None."""
    return is_option(symbol) and (day is None or parse(symbol).expiry == day)


def look(
    positions: Iterable[BrokerPosition],
    open_orders: Iterable[BrokerOrder],
    begun_at: datetime,
    day: date | None,
) -> Reading:
    """Long options and live option orders at the broker, of one expiry or all."""
    held = {p.symbol for p in positions if p.qty > 0 and in_scope(p.symbol, day)}
    working = {o.symbol for o in open_orders if o.status in LIVE and in_scope(o.symbol, day)}
    return Reading(begun_at, tuple(sorted(held | working)))


@dataclass(frozen=True, slots=True)
class FlatProof:
    """Two clean readings at least 10 s apart, both begun at or after ``since``."""

    since: datetime
    first_clean_at: datetime | None = None
    proven: bool = False

    def after(self, reading: Reading) -> "FlatProof":
        """The proof after one more reading; a dirty one begins it anew."""
        known = EodState(self.since.date(), self.since, self.first_clean_at)
        state = advance(known, reading, BookView())
        return replace(self, first_clean_at=state.first_clean_at, proven=state.proven_at is not None)
