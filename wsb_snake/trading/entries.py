"""Opening: the gates an intent passes, and the planned entry order at the end of them."""

import logging
import sqlite3
from collections.abc import Callable
from decimal import Decimal

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.events import EventKind
from wsb_snake.core.orders import (
    UNSETTLED,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionIntent,
    PositionState,
    Purpose,
    Side,
)
from wsb_snake.core.signals import TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.trading import dispatch
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.entry_conditions import blind, out_of_hours
from wsb_snake.trading.order_ids import order_id
from wsb_snake.trading.order_prices import entry_limit
from wsb_snake.trading.positions import Position
from wsb_snake.trading.risk_governor import Refused, size

ENTRY_QUOTE_S = 15.0
"""An entry's quote is at most this old, by the feed's stamp."""

MAX_SPREAD = Decimal("0.10")
"""Widest spread an entry accepts, as a fraction of the mid."""

log = logging.getLogger(__name__)


Also = Callable[[Order], Callable[[sqlite3.Connection], None]]
"""What is written in the transaction of a planned entry."""


def enter(desk: Desk, intent: TradeIntent, also: Also | None = None) -> Order | None:
    """Plan and queue the entry for ``intent``; None, with the reason journalled, when it may not go.

    ``also`` is asked under the book lock, once the order is planned; what it gives is as durable as that.
    """
    quote = _newest(desk, intent)
    refusal = gate(desk, intent, quote)
    if refusal is None:
        planned = _plan(desk, intent, quote, also)
        if isinstance(planned, Order):
            dispatch.submit(desk, planned)
            return planned
        refusal = planned
    desk.refusals[intent.signal.signal_id] = refusal
    with desk.book.change() as commit:
        commit.change.event(
            EventKind.ENTRY_REFUSED,
            signal_id=intent.signal.signal_id,
            engine=intent.signal.engine,
            ticker=intent.signal.ticker,
            reason=refusal,
        )
    log.info("no entry for %s: %s", intent.signal.signal_id, refusal)
    return None


def gate(desk: Desk, intent: TradeIntent, quote: Quote) -> str | None:
    """Why nothing may be opened now, or None. Closing never asks here."""
    if desk.pauses.any:
        return "trading is paused: " + ", ".join(p.reason for p in desk.pauses.listed())
    if desk.halted():
        return "halted by the owner"
    if desk.alpaca.on_probation and any(o.status in UNSETTLED for o in desk.book.view.orders):
        return "another order tries first whether the broker takes orders again"
    contract = intent.contract
    return (
        blind(desk)
        or out_of_hours(desk, contract.symbol, contract.underlying, contract.expiry)
        or _quote_gate(desk, quote, intent)
    )


def _quote_gate(desk: Desk, quote: Quote, intent: TradeIntent) -> str | None:
    if not quote.two_sided:
        return f"the quote of {quote.symbol} is one-sided or crossed"
    if abs(quote.age_s(desk.now())) > ENTRY_QUOTE_S:
        return f"the quote of {quote.symbol} is {quote.age_s(desk.now()):.0f} s old"
    if quote.spread > MAX_SPREAD * quote.mid:
        return f"the spread of {quote.symbol} is wider than {MAX_SPREAD:.0%} of its mid"
    if entry_limit(quote, intent.quote.ask) is None:
        return f"the ask of {quote.symbol} ran more than 2 % above the decision"
    return None


def _plan(desk: Desk, intent: TradeIntent, quote: Quote, also: Also | None) -> Order | str:
    """Reserve the budget and write the intent, under the book lock; the refusal when there is none."""
    account = desk.pollers.account.latest
    limit = entry_limit(quote, intent.quote.ask)
    if account is None or limit is None:
        return "the account or the price is gone"
    now = desk.now()
    day_start = desk.day_start()
    with desk.book.change() as commit:
        loss = -desk.worth.pnl(desk.book.view, day_start)
        allowed = desk.limits.daily_loss(account.value.equity)
        qty: int | Refused
        if loss >= allowed:
            qty = Refused(f"the day's loss is ${loss:.2f}, the limit ${allowed:.2f}")
        else:
            qty = size(
                intent, limit, desk.book.view, account.value, account.begun_at, desk.limits, day_start, now
            )
        if isinstance(qty, Refused):
            return qty.reason
        position = _position(desk, intent, quote)
        order = Order(
            client_order_id=order_id(position.position_id, Purpose.ENTRY, 1),
            position_id=position.position_id,
            purpose=Purpose.ENTRY,
            symbol=position.symbol,
            side=Side.BUY,
            intent=PositionIntent.BUY_TO_OPEN,
            type=OrderType.LIMIT,
            qty=qty,
            limit_price=limit,
            status=OrderStatus.PLANNED,
            created_at=now,
            reason=intent.signal.setup,
            decision_price=intent.quote.ask,
        )
        commit.change.position(position)
        commit.change.order(order)
        commit.change.event(
            EventKind.ENTRY_SENT,
            position_id=position.position_id,
            client_order_id=order.client_order_id,
            signal_id=position.signal_id,
            symbol=position.symbol,
            engine=position.engine,
            setup=position.setup,
            qty=qty,
            limit_price=limit,
        )
        if also is not None:
            commit.change.also(also(order))
    if commit.promise is not None:
        desk.durable[order.client_order_id] = commit.promise
    return order


def _position(desk: Desk, intent: TradeIntent, quote: Quote) -> Position:
    now = desk.now()
    return Position(
        position_id=desk.ids.position(now, intent.signal.engine),
        symbol=intent.contract.symbol,
        underlying=intent.contract.underlying,
        expiry=intent.contract.expiry,
        origin=Origin.OURS,
        engine=intent.signal.engine,
        setup=intent.signal.setup,
        signal_id=intent.signal.signal_id,
        state=PositionState.ENTERING,
        plan=intent.plan,
        opened_at=now,
        decision_price=quote.ask,
        note="" if eastern_date(now) == intent.contract.expiry else "held overnight",
    )


def _newest(desk: Desk, intent: TradeIntent) -> Quote:
    known = desk.board.get(intent.contract.symbol)
    return known if known is not None and known.at > intent.quote.at else intent.quote
