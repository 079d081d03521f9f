"""Why a contract that expires today still stands after the EOD time, told truthfully. Pure."""

from collections.abc import Iterable
from datetime import datetime

from wsb_snake.core.orders import UNSETTLED, Order, OrderStatus, Purpose
from wsb_snake.core.types import Quote
from wsb_snake.trading.positions import Position

NO_ANSWER = "the broker does not answer"
FOREIGN = "not the daemon's to trade"
NOT_BOOKED = "it has just appeared at the broker"

ANSWER_DUE_S = 5.0
CONFIRM_DUE_S = 15.0


def why_open(
    position: Position, orders: Iterable[Order], quote: Quote | None, answering: bool, now: datetime
) -> str:
    """Why ``position`` is not closed yet; ``orders`` are its own, oldest first."""
    if not answering:
        return NO_ANSWER
    own = tuple(orders)
    for order in own:
        if order.live:
            stuck = _waits_for(order, now)
            if stuck is not None:
                return stuck
    exits = [order for order in own if order.purpose is Purpose.EXIT]
    last = exits[-1] if exits else None
    if last is not None and last.status in {OrderStatus.REJECTED, OrderStatus.NEVER_SENT}:
        return f"the broker refuses: {last.note}" if last.note else "the broker refuses the closing order"
    if quote is None:
        return "no quote is known"
    if quote.bid <= 0:
        return "no bid"
    return "the closing order is not filled yet" if last is not None else "no closing order has gone out yet"


def _waits_for(order: Order, now: datetime) -> str | None:
    """What a live order waits for, beyond its fill."""
    name = "closing" if order.purpose is Purpose.EXIT else "entry"
    since = order.sent_at or order.created_at
    if order.status in UNSETTLED and (now - since).total_seconds() >= ANSWER_DUE_S:
        return f"the outcome of the {name} order is unknown"
    asked = order.cancel_asked_at
    if order.status is OrderStatus.PENDING_CANCEL and asked is None:
        asked = since
    if asked is not None and (now - since).total_seconds() >= CONFIRM_DUE_S:
        return f"the cancel of the {name} order is not confirmed"
    return None
