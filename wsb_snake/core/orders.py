"""Orders and positions as state machines: which states exist, and what may follow what.

Sets of states have names; code asks ``status in LIVE``, never for a list of literals.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class PositionIntent(StrEnum):
    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class OrderStatus(StrEnum):
    """Every status an order of ours or of the broker can have.

    The first four are our own; the rest are the broker's words. ``UNRECOGNISED`` stands for a word
    that the broker added after this was written: such an order counts as live.
    """

    PLANNED = "planned"  # journalled, not yet on the wire
    SENDING = "sending"  # the POST is under way
    UNKNOWN = "unknown"  # the POST ended without an answer that can be trusted
    NEVER_SENT = "never_sent"  # given up before the wire; no risk

    PENDING_REVIEW = "pending_review"
    PENDING_NEW = "pending_new"
    ACCEPTED = "accepted"
    ACCEPTED_FOR_BIDDING = "accepted_for_bidding"
    NEW = "new"
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    STOPPED = "stopped"  # a fill is guaranteed but has not happened
    SUSPENDED = "suspended"
    DONE_FOR_DAY = "done_for_day"
    CALCULATED = "calculated"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"
    UNRECOGNISED = "unrecognised"

    @classmethod
    def from_broker(cls, word: str) -> "OrderStatus":
        """The status for the broker's ``word``; an unknown word is ``UNRECOGNISED``, never an error."""
        try:
            return cls(word)
        except ValueError:
            return cls.UNRECOGNISED


TERMINAL = frozenset(
    {
        OrderStatus.NEVER_SENT,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.REPLACED,
    }
)
"""No further fill can happen."""

QUIET = frozenset({OrderStatus.DONE_FOR_DAY, OrderStatus.CALCULATED})
"""No further fill today, although the broker may still change the order's books."""

UNSETTLED = frozenset({OrderStatus.PLANNED, OrderStatus.SENDING, OrderStatus.UNKNOWN})
"""Ours, and the broker has not confirmed that it has it."""

LIVE = frozenset(OrderStatus) - TERMINAL - QUIET
"""May still fill: its risk counts and its quantity is held."""

CANCELABLE = LIVE - UNSETTLED - {OrderStatus.PENDING_CANCEL}
"""At the broker, and a cancel request makes sense."""


class Purpose(StrEnum):
    """Why we sent an order."""

    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Order:
    """One order of ours. Prices in dollars per share, quantities in contracts, times aware UTC."""

    client_order_id: str
    position_id: str
    purpose: Purpose
    symbol: str
    side: Side
    intent: PositionIntent
    type: OrderType
    qty: int
    limit_price: Decimal | None
    status: OrderStatus
    created_at: datetime
    attempt: int = 1
    reason: str = ""
    broker_id: str | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_asked_at: datetime | None = None
    filled_qty: int = 0
    filled_avg_price: Decimal | None = None
    decision_price: Decimal | None = None  # what the quote promised when we decided; slippage counts from it
    note: str = ""

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def open_qty(self) -> int:
        """Contracts that may still fill."""
        return self.qty - self.filled_qty if self.live else 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the broker says about one order at one moment; cumulative, never increments."""

    status: OrderStatus
    filled_qty: int
    filled_avg_price: Decimal | None
    broker_id: str
    at: datetime


def apply_report(order: Order, report: Report) -> Order:
    """``order`` after ``report``.

    Idempotent and safe against duplicates and reordering: the filled quantity never falls, and a
    terminal state is left only by a larger fill (a fill that raced its cancel). ``NEVER_SENT`` is our
    own belief, which any report overrules.
    """
    grew = report.filled_qty > order.filled_qty
    over = order.status in TERMINAL and order.status is not OrderStatus.NEVER_SENT
    if over and not grew:
        return order
    status = report.status
    if over and status not in TERMINAL:
        status = order.status
    if not grew and report.filled_qty < order.filled_qty:  # older than what we know
        return replace(order, broker_id=report.broker_id)
    if order.status is OrderStatus.PARTIALLY_FILLED and status in _BEFORE_FILLS:
        status = order.status
    if order.status is OrderStatus.PENDING_CANCEL and status in LIVE - {OrderStatus.UNRECOGNISED}:
        status = order.status
    if report.filled_qty >= order.qty:
        status = OrderStatus.FILLED
    return replace(
        order,
        status=status,
        broker_id=report.broker_id,
        filled_qty=report.filled_qty,
        filled_avg_price=order.filled_avg_price
        if report.filled_avg_price is None
        else report.filled_avg_price,
        ended_at=None if status in LIVE else (report.at if order.ended_at is None else order.ended_at),
    )


_BEFORE_FILLS = frozenset(
    {OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED, OrderStatus.NEW, OrderStatus.PENDING_REVIEW}
)


class PositionState(StrEnum):
    ENTERING = "entering"  # an entry order is live, nothing or part of it filled
    OPEN = "open"  # held, watched
    EXITING = "exiting"  # claimed for exit; sticky until the broker shows it gone
    CLOSED = "closed"
    VOID = "void"  # the entry ended without a fill


HELD = frozenset({PositionState.ENTERING, PositionState.OPEN, PositionState.EXITING})
"""Counts against the limits and is watched."""

WATCHED = frozenset({PositionState.OPEN, PositionState.EXITING})


class Origin(StrEnum):
    """Who opened a position, which decides who may close it (DESIGN section 3, adoption by kind)."""

    OURS = "ours"
    FOREIGN_TODAY = "foreign_today"  # foreign long option expiring today: stop, target, 45 min, EOD
    FOREIGN_LATER = "foreign_later"  # foreign long option expiring later: monitored, never sold by a rule


class ExitReason(StrEnum):
    TARGET = "target"
    STOP = "stop"
    TIME = "time"
    TRAIL = "trail"
    PARTIAL = "partial"
    ENGINE = "engine"  # the engine's own rule (band, VWAP)
    CUTOFF = "cutoff"
    EOD = "eod"
    MANUAL = "manual"  # the owner asked
    FLATTEN = "flatten"
    RECOVERED = "recovered"  # decided by an earlier process; why is lost with it
    # found, not decided:
    MANUAL_CLOSE = "manual_close"
    BROKER_LIQUIDATION = "broker_liquidation"
    EXPIRED = "expired"
    EXERCISED = "exercised"
    UNEXPLAINED = "unexplained"
