"""End of day as a level: "it is past the time, and the broker has not yet shown flat". Pure.

All moments are offsets from the session's close in the broker's calendar, so half days need no code.
The latch is the proof of flat, never the attempt: two broker readings at least 10 s apart, begun after
our last order in contracts expiring today was over, both without a position and without a live order.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType

from wsb_snake.core.calendar import Session
from wsb_snake.core.occ import is_option, parse
from wsb_snake.core.orders import LIVE, Order
from wsb_snake.trading.book import BookView
from wsb_snake.trading.broker import BrokerOrder, BrokerPosition

BROAD_ETFS = frozenset({"SPY", "QQQ"})
"""Alpaca names these two; every other ETF counts as a single name."""

EOD_BEFORE_CLOSE = timedelta(minutes=5)
PROOF_GAP = timedelta(seconds=10)

_ENTRIES_END = MappingProxyType({True: timedelta(minutes=55), False: timedelta(minutes=70)})
_CUTOFF = MappingProxyType({True: timedelta(minutes=40), False: timedelta(minutes=55)})


@dataclass(frozen=True, slots=True)
class Rungs:
    """The moments of one underlying's last day (aware UTC). ``cutoff`` is None when switched off."""

    entries_end: datetime
    cutoff: datetime | None
    eod: datetime


def rungs(session: Session, underlying: str, cutoff_flatten: bool) -> Rungs:
    """When entries end, when the cut-off flatten and when the EOD close are due."""
    broad = underlying in BROAD_ETFS
    return Rungs(
        entries_end=session.close - _ENTRIES_END[broad],
        cutoff=session.close - _CUTOFF[broad] if cutoff_flatten else None,
        eod=session.close - EOD_BEFORE_CLOSE,
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the broker, for one session: what still stands in contracts expiring that day."""

    begun_at: datetime
    open_symbols: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not self.open_symbols


def read(
    positions: Iterable[BrokerPosition],
    open_orders: Iterable[BrokerOrder],
    begun_at: datetime,
    day: date,
) -> Reading:
    """Long options and live orders in contracts that expire on ``day``."""
    held = {p.symbol for p in positions if p.is_option and p.qty > 0 and _expires(p.symbol, day)}
    working = {o.symbol for o in open_orders if o.is_option and o.status in LIVE and _expires(o.symbol, day)}
    return Reading(begun_at, tuple(sorted(held | working)))


@dataclass(frozen=True, slots=True)
class EodState:
    """What is known of one session's end. ``ran_at`` None: the EOD close has not run yet.

    ``withdrawn_at`` is when a proof was last withdrawn, ``withdrawn_for`` the symbols that stood then; a
    later proof leaves both.
    """

    day: date
    ran_at: datetime | None = None
    first_clean_at: datetime | None = None
    proven_at: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawn_for: tuple[str, ...] = ()


def advance(state: EodState, reading: Reading, view: BookView) -> EodState:
    """``state`` after one reading; a dirty one withdraws the proof."""
    if state.ran_at is None:
        return state
    live, quiet_since = _own_orders(view.orders, state.day)
    held = {p.symbol for p in view.positions if p.qty > 0 and p.expiry == state.day}
    standing = {*live, *held, *reading.open_symbols}
    if standing:
        if state.proven_at is not None:
            state = replace(
                state, withdrawn_at=reading.begun_at, withdrawn_for=tuple(sorted(standing)), proven_at=None
            )
        return replace(state, first_clean_at=None)
    if state.proven_at is not None:
        return state
    since = max(filter(None, (state.ran_at, quiet_since)))
    if reading.begun_at < since:
        return state
    if state.first_clean_at is None or state.first_clean_at < since:
        return replace(state, first_clean_at=reading.begun_at)
    if reading.begun_at >= state.first_clean_at + PROOF_GAP:
        return replace(state, proven_at=reading.begun_at)
    return state


def _own_orders(orders: Iterable[Order], day: date) -> tuple[set[str], datetime | None]:
    """In which contracts expiring on ``day`` an order of ours is live, and when the last one ended."""
    live = set()
    last: datetime | None = None
    for order in orders:
        if not _expires(order.symbol, day):
            continue
        if order.live:
            live.add(order.symbol)
        if order.ended_at is not None:
            last = order.ended_at if last is None else max(last, order.ended_at)
    return live, last


def _expires(symbol: str, day: date) -> bool:
    return is_option(symbol) and parse(symbol).expiry == day
