"""Matching against the market's quote, and what a fill, a cancel or an end does to an order. Pure.

As on Alpaca's paper account an order fills only when it is marketable, at the far side of the quote,
and now and then in two parts. Nothing matches against a crossed quote or a side that is not there.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from wsb_snake.core.types import Quote
from wsb_snake.sim.dice import Dice
from wsb_snake.sim.orders import SimOrder, SimStatus
from wsb_snake.sim.rules import Rules


@dataclass(frozen=True, slots=True)
class Execution:
    qty: int
    price: Decimal


def match(order: SimOrder, quote: Quote | None, rules: Rules, dice: Dice) -> Execution | None:
    """The execution that ``quote`` gives ``order`` in one step, or None.

    The price is the quote's own far side, which a limit can only be better than. The rest of a
    partial fill is looked at again in the next step.
    """
    if quote is None or 0 < quote.ask < quote.bid:
        return None
    buys = order.side == "buy"
    price, size = (quote.ask, quote.ask_size) if buys else (quote.bid, quote.bid_size)
    if price <= 0 or _beyond_limit(order, price):
        return None
    qty = min(order.remaining, size) if rules.fills_within_size else order.remaining
    if qty > 1 and dice.roll("partial", order.id, order.executions) < rules.partial_fill_chance:
        qty = 1 + dice.below(qty - 1, "part", order.id, order.executions)
    return Execution(qty, price) if qty > 0 else None


def _beyond_limit(order: SimOrder, price: Decimal) -> bool:
    if order.limit_price is None:
        return False
    return price > order.limit_price if order.side == "buy" else price < order.limit_price


def filled(order: SimOrder, execution: Execution, at: datetime) -> SimOrder:
    """``order`` after ``execution``; one whose cancel is pending stays so unless it is complete."""
    done = execution.qty == order.remaining
    if done:
        status = SimStatus.FILLED
    elif order.status is SimStatus.PENDING_CANCEL:
        status = SimStatus.PENDING_CANCEL
    else:
        status = SimStatus.PARTIALLY_FILLED
    return replace(
        order,
        status=status,
        filled_qty=order.filled_qty + execution.qty,
        filled_cost=order.filled_cost + execution.qty * execution.price,
        executions=order.executions + 1,
        filled_at=at if done else None,
        updated_at=at,
    )


def moved(order: SimOrder, status: SimStatus, at: datetime) -> SimOrder:
    """``order`` in ``status``, with the time stamp that belongs to it."""
    return replace(
        order,
        status=status,
        updated_at=at,
        canceled_at=at if status is SimStatus.CANCELED else order.canceled_at,
        expired_at=at if status is SimStatus.EXPIRED else order.expired_at,
        failed_at=at if status is SimStatus.REJECTED else order.failed_at,
    )
