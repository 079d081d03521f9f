"""What to do next about an order, as pure decisions from (order, quote, now).

Entries live 20 s, then are cancelled and confirmed. Exits are sticky: a marketable limit, a second
one further down, then market, each cancelled and confirmed before the next; without a bid a limit at
the minimum tick keeps working. An order whose fate is unknown is looked up, never resent blindly.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.orders import Order, OrderStatus, OrderType
from wsb_snake.core.types import Quote
from wsb_snake.trading.exits import FRESH_S
from wsb_snake.trading.order_prices import CENT, exit_limit, on_tick_up, tick

ENTRY_LIFE_S = 20.0
LIMIT_PATIENCE_S = 3.0
MARKET_PATIENCE_S = 10.0
LOOK_UP_EVERY_S = 2.0
RECANCEL_S = 5.0
SEND_LOST_S = 20.0
LIMIT_ATTEMPTS = 2
BROKER_LAG_S = 10.0
"""How long the broker's positions may lag behind its orders."""


@dataclass(frozen=True, slots=True)
class Cancel:
    why: str


@dataclass(frozen=True, slots=True)
class LookUp:
    pass


@dataclass(frozen=True, slots=True)
class Send:
    """The next closing order; ``decision_price`` is the bid that it was decided on."""

    type: OrderType
    limit_price: Decimal | None
    decision_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Wait:
    until: datetime


Step = Cancel | LookUp | Wait


def entry_step(order: Order, now: datetime, unwanted: str | None) -> Step:
    """The next step for a live entry; ``unwanted`` says why it must go at once, if it must."""
    pending = _unconfirmed(order, now)
    if pending is not None:
        return pending
    dies_at = (order.sent_at or order.created_at) + timedelta(seconds=ENTRY_LIFE_S)
    if unwanted is not None:
        return Cancel(unwanted)
    return Cancel("not filled within 20 s") if now >= dies_at else Wait(dies_at)


def exit_step(order: Order, quote: Quote | None, now: datetime) -> Step:
    """The next step for a live closing order."""
    pending = _unconfirmed(order, now)
    if pending is not None:
        return pending
    patience = MARKET_PATIENCE_S if order.type is OrderType.MARKET else LIMIT_PATIENCE_S
    impatient_at = (order.sent_at or order.created_at) + timedelta(seconds=patience)
    if now < impatient_at:
        return Wait(impatient_at)
    if _resting_without_bid(order, quote):
        return Wait(now + timedelta(seconds=LOOK_UP_EVERY_S))
    return Cancel("not filled, price again")


def next_exit(symbol: str, attempt: int, quote: Quote | None, now: datetime, urgent: bool) -> Send:
    """The closing order for the ``attempt``-th try; ``urgent`` goes to market at the second.

    Market orders need no quote and are used when there is no fresh one. Where nobody bid when last heard
    of, however long ago, or no quote is known and a try has failed, a limit at the minimum tick sells to
    the first who bids; the broker refuses or lets lie a market order there.
    """
    if quote is None:
        if attempt > 1:
            return Send(OrderType.LIMIT, tick(symbol, CENT, None), None)
        return Send(OrderType.MARKET, None, None)
    if quote.bid <= 0:
        return Send(OrderType.LIMIT, exit_limit(symbol, quote, attempt), None)
    if abs(quote.age_s(now)) > FRESH_S:
        return Send(OrderType.MARKET, None, None)
    if attempt > (1 if urgent else LIMIT_ATTEMPTS):
        return Send(OrderType.MARKET, None, quote.bid)
    return Send(OrderType.LIMIT, exit_limit(symbol, quote, attempt), quote.bid)


def beside_entry(entry: Order, send: Send, quote: Quote | None) -> Send:
    """``send`` beside an entry that cannot be called back: above its limit where the bid allows.

    A sale at or below a working buy is a wash trade, which the broker refuses; so is a market order.
    """
    if entry.limit_price is None or quote is None or send.decision_price is None:
        return send
    above = on_tick_up(entry.symbol, entry.limit_price + CENT, quote)
    if above > quote.bid:
        return send
    return Send(OrderType.LIMIT, max(above, send.limit_price or above), send.decision_price)


def _unconfirmed(order: Order, now: datetime) -> Step | None:
    """The step for an order whose send or cancel the broker has not confirmed yet."""
    if order.status is OrderStatus.UNKNOWN:
        return LookUp()
    if order.status is OrderStatus.SENDING and order.sent_at is not None:
        if (now - order.sent_at).total_seconds() >= SEND_LOST_S:
            return LookUp()  # its sender never came back
        return Wait(now + timedelta(seconds=LOOK_UP_EVERY_S))
    if order.status is OrderStatus.PLANNED:
        return Wait(now + timedelta(seconds=LOOK_UP_EVERY_S))
    if order.cancel_asked_at is None:
        return None
    asked_s = (now - order.cancel_asked_at).total_seconds()
    if asked_s >= RECANCEL_S:
        return Cancel("cancel not confirmed")
    if asked_s >= LOOK_UP_EVERY_S:
        return LookUp()
    return Wait(order.cancel_asked_at + timedelta(seconds=LOOK_UP_EVERY_S))


def _resting_without_bid(order: Order, quote: Quote | None) -> bool:
    """A limit at the minimum tick already, and still nobody bids, or nobody knows.

    The age of the quote doesn't matter: a contract that nobody bids for is rarely quoted anew.
    """
    if order.limit_price is None:
        return False
    if quote is None:
        return order.limit_price <= tick(order.symbol, CENT, None)
    if quote.bid > 0:
        return False
    return order.limit_price <= exit_limit(order.symbol, quote, order.attempt)
