"""Calls to the broker that change something, and what their answers do to the book.

Everything here runs on a sender lane. The outcome of a send is accepted, rejected or unknown; unknown
is looked up under its client_order_id and never resent blindly.
"""

import logging
from dataclasses import replace

from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import Promise
from wsb_snake.core.order_tape import Waited
from wsb_snake.core.orders import LIVE, UNSETTLED, Order, OrderStatus, Purpose, Report
from wsb_snake.trading.book import Book
from wsb_snake.trading.broker import (
    BrokerError,
    BrokerOrder,
    Fatal,
    NotFound,
    OrderTicket,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)
from wsb_snake.trading.desk import SENDS, Desk
from wsb_snake.trading.entry_conditions import blind, out_of_hours, unwanted
from wsb_snake.trading.order_work import BROKER_LAG_S, ENTRY_LIFE_S, LOOK_UP_EVERY_S
from wsb_snake.trading.reconciler import matches, same_terms

EXIT_JOURNAL_WAIT_S = 0.25
"""A closing order waits this long for its journal row, then goes out all the same."""

log = logging.getLogger(__name__)


def submit(desk: Desk, order: Order) -> bool:
    """Queue the send of a planned order; False when a call for its position is already under way."""
    durable = desk.durable.get(order.client_order_id)
    return desk.senders.offer(order.position_id, lambda: _send(desk, order.client_order_id, durable))


def cancel(desk: Desk, order: Order, why: str) -> bool:
    """Queue a cancel request; without the broker's id for the order it is asked for first."""
    if order.broker_id is None:
        return look_up(desk, order)
    return desk.senders.offer(_key(desk, order), lambda: _cancel(desk, order.client_order_id, why))


def look_up(desk: Desk, order: Order) -> bool:
    """Queue a question for what became of an order; the same one is asked every 2 s at most."""
    if not _due(desk, order.client_order_id):
        return False
    return desk.senders.offer(_key(desk, order), lambda: ask(desk, order.client_order_id))


def _key(desk: Desk, order: Order) -> str:
    """What the calls about ``order`` wait for: each other and those about its position.

    Not so beside an entry whose cancel is overdue: what is held is sold meanwhile, and that sale must
    not wait for a cancel or a look-up that hangs.
    """
    overdue = order.purpose is Purpose.ENTRY and desk.signs.of(order.client_order_id).cancel_overdue(
        desk.now()
    )
    return f"entry:{order.position_id}" if overdue else order.position_id


def cancel_foreign(desk: Desk, order: BrokerOrder) -> bool:
    """Queue a cancel of somebody else's order that holds contracts we must sell; every 2 s at most."""
    if not _due(desk, order.id):
        return False
    return desk.senders.offer(f"foreign:{order.id}", lambda: _cancel_by_id(desk, order))


def _due(desk: Desk, key: str) -> bool:
    """Whether ``key`` may be asked again; if so, it counts as asked now."""
    now = desk.now()
    asked = desk.asked_at.get(key)
    if asked is not None and (now - asked).total_seconds() < LOOK_UP_EVERY_S:
        return False
    desk.asked_at[key] = now
    return True


def _send(desk: Desk, client_order_id: str, durable: Promise[None] | None) -> None:
    planned = desk.book.orders[client_order_id]
    began = desk.clock.monotonic()
    if planned.status is not OrderStatus.PLANNED or not _may_go(desk, planned, durable):
        return
    desk.book.tape.put(Waited(planned.purpose, desk.clock.monotonic() - began))
    order = desk.book.sending(client_order_id)
    try:
        found = desk.ports.broker.submit(OrderTicket.of(order))
    except (Rejected, Fatal) as error:
        _refused(desk, order, error)
    except (Throttled, Unavailable) as error:
        _not_sent(desk, order, error)
    except Unknown as error:
        desk.broker_failed(SENDS, error)
        _set(desk.book, client_order_id, OrderStatus.UNKNOWN)
        log.warning("outcome of %s is unknown: %s", client_order_id, error)
        ask(desk, client_order_id)
    else:
        desk.broker_answered(SENDS)
        take(desk, found)
        desk.pollers.orders.ask()  # from its idle pace to that of a live order


def _may_go(desk: Desk, order: Order, durable: Promise[None] | None) -> bool:
    """Last checks before the wire: an entry's row is durable and it may still be made; exits wait 250 ms."""
    if order.purpose is Purpose.EXIT:
        if durable is not None and not durable.wait(EXIT_JOURNAL_WAIT_S):
            desk.pauses.set("journal", "the database does not take writes; closing goes on without it")
        return True
    if durable is None or not durable.wait(ENTRY_LIFE_S) or not durable.succeeded():
        _abandon(desk, order, "its intent could not be made durable")
        return False
    changed = _changed(desk, order)
    if changed is not None:
        _abandon(desk, order, changed)
    return changed is None


def _changed(desk: Desk, order: Order) -> str | None:
    """Why a planned entry may not go out any more: its row may have taken seconds to become durable."""
    if desk.halted():
        return "halted by the owner"
    if desk.pauses.any:
        return "trading was paused before it went out"
    if (desk.now() - order.created_at).total_seconds() > ENTRY_LIFE_S:
        return "it waited too long to be sent"
    position = desk.book.positions[order.position_id]
    return (
        unwanted(desk, position)
        or blind(desk)
        or out_of_hours(desk, position.symbol, position.underlying, position.expiry)
    )


def _abandon(desk: Desk, order: Order, why: str) -> None:
    with desk.book.change() as commit:
        commit.change.end_order(desk.book.orders[order.client_order_id], OrderStatus.NEVER_SENT, why)


def _refused(desk: Desk, order: Order, error: BrokerError) -> None:
    if isinstance(error, Fatal):
        desk.broker_failed(SENDS, error)
    else:
        desk.broker_answered(SENDS)
    with desk.book.change() as commit:
        known = desk.book.orders[order.client_order_id]
        if known.status in UNSETTLED:
            commit.change.end_order(known, OrderStatus.REJECTED, str(error))
            commit.change.event(
                EventKind.ERROR,
                what=f"the broker refused to {order.side} {order.qty} {order.symbol}",
                detail=str(error),
            )


def _not_sent(desk: Desk, order: Order, error: BrokerError) -> None:
    """Nothing happened at the broker: an entry is given up, an exit is tried again by the monitor."""
    desk.broker_failed(SENDS, error)
    with desk.book.change() as commit:
        known = desk.book.orders[order.client_order_id]
        if known.status in UNSETTLED:
            commit.change.end_order(known, OrderStatus.NEVER_SENT, str(error))


def ask(desk: Desk, client_order_id: str) -> None:
    """Look one order up and apply what the broker says; also used at start-up."""
    order = desk.book.orders[client_order_id]
    try:
        found = desk.ports.broker.order_by_client_id(client_order_id)
    except NotFound:
        desk.broker_answered("orders")
        _not_found(desk, order)
    except BrokerError as error:
        desk.broker_failed("orders", error)
    else:
        desk.broker_answered("orders")
        take(desk, found, polled=True)


def _not_found(desk: Desk, order: Order) -> None:
    """The broker has no such order. Its lists may lag, so only time turns that into "never arrived"."""
    now = desk.now()
    since = order.sent_at or order.created_at
    if (now - since).total_seconds() < BROKER_LAG_S:
        return
    with desk.book.change() as commit:
        known = desk.book.orders[order.client_order_id]
        if known.status in UNSETTLED:
            commit.change.end_order(known, OrderStatus.NEVER_SENT, "the broker never had it")
        elif known.live:
            desk.signs.of(order.client_order_id).unfound_at = now


def _cancel(desk: Desk, client_order_id: str, why: str) -> None:
    order = desk.book.orders[client_order_id]
    if not order.live or order.broker_id is None:
        return
    with desk.book.change() as commit:
        order = replace(desk.book.orders[client_order_id], cancel_asked_at=desk.now(), note=why)
        commit.change.order(order)
    signs = desk.signs.of(client_order_id)
    signs.cancel_since = signs.cancel_since or desk.now()
    try:
        desk.ports.broker.cancel(order.broker_id or "")
    except Rejected as refusal:  # already over: the look-up says how
        signs.refused_at = desk.now()
        if isinstance(refusal, NotFound):
            signs.nothing_at = signs.refused_at
        desk.broker_answered(SENDS)
        ask(desk, client_order_id)
    except BrokerError as error:
        desk.broker_failed(SENDS, error)
    else:
        desk.broker_answered(SENDS)


def _cancel_by_id(desk: Desk, order: BrokerOrder) -> None:
    try:
        desk.ports.broker.cancel(order.id)
    except Rejected:
        desk.broker_answered(SENDS)
    except BrokerError as error:
        desk.broker_failed(SENDS, error)
    desk.pollers.orders.ask()
    desk.pollers.positions.ask()


def take(desk: Desk, found: BrokerOrder, *, polled: bool = False) -> None:
    """Apply one broker order to ours of the same client_order_id, if the book has it.

    ``polled``: it was read, not streamed; a fill or an end that is new to us is one that the stream
    should have told.
    """
    order = desk.book.orders.get(found.client_order_id)
    if order is None:
        return
    if order.broker_id != found.id:
        strange = not matches(order, found, desk.clock_skew_s)
        if strange or not same_terms(order, found):
            _taken(desk, order, strange)
            return
    report = Report(found.status, int(found.filled_qty), found.filled_avg_price, found.id, desk.now())
    with desk.book.change() as commit:
        before = desk.book.orders[found.client_order_id]
        after = commit.change.report(found.client_order_id, report)
    if after.live and found.status in LIVE - {OrderStatus.UNRECOGNISED}:
        desk.signs.of(found.client_order_id).shown_at = desk.now()
    if polled and desk.ready and (after.filled_qty > before.filled_qty or before.live > after.live):
        desk.stream.missed()


def _taken(desk: Desk, order: Order, strange: bool) -> None:
    """Another order stands under our name: ours never arrived, and nothing of the other's is taken over.

    One that we cannot have sent at all stops entries until the broker no longer works it.
    """
    with desk.book.change() as commit:
        known = desk.book.orders[order.client_order_id]
        if known.status in UNSETTLED:
            commit.change.end_order(known, OrderStatus.NEVER_SENT, "the broker has another order of its name")
            log.warning("the name %s is taken by another order", order.client_order_id)
    if strange:
        desk.disputes.open(
            f"order:{order.client_order_id}",
            f"order {order.client_order_id} at the broker is not the one we sent",
        )


def _set(book: Book, client_order_id: str, status: OrderStatus) -> None:
    with book.change() as commit:
        order = book.orders[client_order_id]
        if order.status in UNSETTLED:
            commit.change.order(replace(order, status=status))
