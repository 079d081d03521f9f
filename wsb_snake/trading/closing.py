"""Closing: the claim of a position for exit, and the orders that carry it out.

A claim is made under the book lock, so monitor, EOD, Telegram and HTTP can all ask to close a position
and exactly one order goes out. Once claimed it is sticky until the broker shows it gone.
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from wsb_snake.core.events import EventKind
from wsb_snake.core.order_tape import Looked
from wsb_snake.core.orders import (
    LIVE,
    ExitReason,
    Order,
    OrderStatus,
    PositionIntent,
    PositionState,
    Purpose,
    Side,
)
from wsb_snake.core.types import Quote
from wsb_snake.trading import dispatch
from wsb_snake.trading.book import Change, Commit
from wsb_snake.trading.broker import BrokerOrder
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.entry_conditions import unwanted
from wsb_snake.trading.order_ids import number_of, order_id, position_of
from wsb_snake.trading.order_work import (
    BROKER_LAG_S,
    Cancel,
    LookUp,
    Step,
    Wait,
    beside_entry,
    entry_step,
    exit_step,
    next_exit,
)
from wsb_snake.trading.positions import Position
from wsb_snake.trading.reconciler import never_traded, ours

URGENT = frozenset(
    {ExitReason.STOP, ExitReason.CUTOFF, ExitReason.EOD, ExitReason.FLATTEN, ExitReason.RECOVERED}
)
"""These go to market at the second try."""

_AVAILABLE = re.compile(r"insufficient qty available .*available: ([0-9]+)")
"""In the broker's refusal of a sale: what it would let us sell (Alpaca, code 40310000)."""

MAX_BACK_OFF_S = 15.0
BLOCKED_AT_MOST_S = 10.0
READING_SERVES_S = 15.0
"""What the broker showed as available longer ago holds nothing up."""


def claim(desk: Desk, position_id: str, reason: ExitReason, qty: int | None = None) -> bool:
    """Decide that ``qty`` contracts (None: all) are to be sold; False when that is already decided.

    Where nothing must be waited for, the order is planned in the same transaction: its send then waits
    for one commit, not two. ``work_orders`` sees it off. What covers a short option is left alone,
    unless the owner asks for it by name.
    """
    known = desk.book.positions.get(position_id)
    if known is None or known.qty == 0 or _left_alone(desk, known, reason):
        return False
    free = _free_at_once(desk, known)
    planned = None
    with desk.book.change() as commit:
        position = desk.book.positions[position_id]
        if position.qty == 0:
            return False
        wanted = position.qty if qty is None else min(qty, position.qty)
        named = reason is ExitReason.MANUAL and position.exit_reason is not reason
        decided = position.state is PositionState.EXITING and position.to_sell >= wanted
        if decided and not (named and _untouchable(desk, position.symbol)):
            return False
        quote = desk.board.get(position.symbol)
        claimed = replace(position, state=PositionState.EXITING, exit_reason=reason, to_sell=wanted)
        commit.change.position(claimed)
        commit.change.event(
            EventKind.EXIT_CONDITION,
            position_id=position_id,
            symbol=position.symbol,
            reason=reason,
            qty=wanted,
            bid=None if quote is None else quote.bid,
            mid=None if quote is None else quote.mid,
            entry_price=position.entry_price,
        )
        tried = _tried(desk, claimed)
        if free is not None and _may_try(tried, commit.change.now):
            planned = _add_exit(desk, commit.change, claimed, free, len(tried) + 1, quote)
    _note_durable(desk, planned, commit)
    return True


def _free_at_once(desk: Desk, position: Position) -> int | None:
    """Contracts that the first exit of ``position`` may sell, when its order need not wait; else None."""
    if position.state is PositionState.EXITING or not desk.may_close or not desk.in_session():
        return None
    if any(order.position_id == position.position_id for order in desk.book.view.live_orders()):
        return None
    free = sellable(desk, position)
    return None if _held_up(desk, position, free) else free


def _untouchable(desk: Desk, symbol: str) -> bool:
    """Whether the broker's newest reading shows ``symbol`` as something that is never traded."""
    reading = desk.pollers.positions.latest
    return reading is not None and any(item.symbol == symbol for item in never_traded(reading.value))


def _left_alone(desk: Desk, position: Position, reason: ExitReason | None) -> bool:
    """Whether the exit of ``position`` must not go out; the owner is told once why."""
    if reason is ExitReason.MANUAL or not _untouchable(desk, position.symbol):
        desk.left_alone.discard(position.position_id)
        return False
    if position.position_id not in desk.left_alone:
        desk.left_alone.add(position.position_id)
        desk.alert(
            f"{position.qty} {position.symbol} are due to be sold ({reason}) and are left alone",
            "they cover a short option, which the daemon never touches: "
            f"close both by hand, or only these with: close {position.symbol}",
        )
    return True


def work_orders(desk: Desk) -> list[datetime]:
    """Take every live order and every claimed position one step further; when to look again.

    Not before the broker was read: what an earlier process sent must be known, and whose account this is.
    """
    due: list[datetime] = []
    if not desk.may_close:
        return due
    desk.signs.keep(order.client_order_id for order in desk.book.view.live_orders())
    for position in desk.book.view.held():
        step = _work(desk, position)
        if isinstance(step, Wait):
            due.append(step.until)
    return due


def _work(desk: Desk, position: Position) -> Step | None:
    entry = desk.book.view.live_order(position.position_id, Purpose.ENTRY)
    if entry is not None:  # confirmed over before anything is sold in this contract
        step = _tend(desk, entry, entry_step(entry, desk.now(), unwanted(desk, position)))
        if position.qty == 0 or not desk.signs.of(entry.client_order_id).cancel_overdue(desk.now()):
            return step
    if position.state is not PositionState.EXITING or not desk.in_session():
        return None
    working = desk.book.view.live_order(position.position_id, Purpose.EXIT)
    if working is not None:
        return _tend(desk, working, exit_step(working, desk.board.get(position.symbol), desk.now()))
    return _send_exit(desk, position)


def _tend(desk: Desk, order: Order, step: Step) -> Step:
    """Take ``step`` about a live order, unless nothing has shown it alive for too long."""
    now = desk.now()
    signs = desk.signs.of(order.client_order_id)
    reading = desk.pollers.orders.latest
    if signs.over(order, None if reading is None else reading.begun_at, now):
        _give_up(desk, order, signs.alive_at(order))
        return Wait(now)
    if isinstance(step, Wait) and signs.missing(order, now) and order.cancel_asked_at is None:
        step = Cancel("the broker does not find it")
    if signs.tell(now):
        desk.alert(
            f"the cancel of the order to {order.side} {order.qty} {order.symbol} is not confirmed",
            f"{order.filled_qty} filled, the broker says {order.status}; it is asked again every 5 s. "
            + (
                "What is held is sold all the same."
                if order.purpose is Purpose.ENTRY
                else "Its contracts cannot be sold by another order before."
            ),
        )
    return _apply(desk, order, step)


def _give_up(desk: Desk, order: Order, alive_at: datetime) -> None:
    """End an order that the broker no longer works, and never reported as over."""
    unknown = order.status is OrderStatus.UNRECOGNISED
    why = (
        "its status is unknown to us, and the broker neither lists nor cancels it: taken for ended"
        if unknown
        else "the broker neither lists nor finds it: taken for ended"
    )
    with desk.book.change() as commit:
        known = desk.book.orders[order.client_order_id]
        if known.live:
            commit.change.end_order(known, OrderStatus.CANCELED, why, alive_at)
            commit.change.event(
                EventKind.ERROR, what=f"order to {order.side} {order.qty} {order.symbol}", detail=why
            )


def _apply(desk: Desk, order: Order, step: Step) -> Step:
    if order.status is OrderStatus.PLANNED:
        dispatch.submit(desk, order)
    elif isinstance(step, Cancel):
        dispatch.cancel(desk, order, step.why)
    elif isinstance(step, LookUp):
        dispatch.look_up(desk, order)
    return step


def _send_exit(desk: Desk, position: Position) -> Step | None:
    """Plan and queue the next closing order, unless something must be waited for."""
    now = desk.now()
    if _left_alone(desk, position, position.exit_reason):
        return Wait(now + timedelta(seconds=2))
    tried = _tried(desk, position)
    wait_until = back_off(tried)
    if wait_until is not None and not _may_try(tried, now):
        return Wait(wait_until)
    free = sellable(desk, position)
    if _held_up(desk, position, free):
        return Wait(now + timedelta(seconds=2))
    planned = _plan_exit(desk, position.position_id, free, len(tried) + 1, desk.board.get(position.symbol))
    if planned is not None:
        dispatch.submit(desk, planned)
    return Wait(now + timedelta(seconds=1))


def _plan_exit(desk: Desk, position_id: str, free: int, attempt: int, quote: Quote | None) -> Order | None:
    with desk.book.change() as commit:
        order = _add_exit(desk, commit.change, desk.book.positions[position_id], free, attempt, quote)
    _note_durable(desk, order, commit)
    return order


def _note_durable(desk: Desk, order: Order | None, commit: Commit) -> None:
    """Keep when the row of ``order`` is durable, for its send to wait for, and what it was decided on."""
    if order is None:
        return
    if commit.promise is not None:
        desk.durable[order.client_order_id] = commit.promise
    looked_at = desk.quote_seen_at.get(order.symbol)
    if looked_at is not None:
        desk.book.tape.put(Looked(order.client_order_id, looked_at))


def _add_exit(
    desk: Desk, change: Change, position: Position, free: int, attempt: int, quote: Quote | None
) -> Order | None:
    """Plan the next closing order within ``change``, of no more than the ``free`` contracts (0: nobody
    knows); None when one is live. The book lock makes that certain, whoever else decides meanwhile."""
    position_id, reason, now = position.position_id, position.exit_reason, change.now
    legs = change.exits_of(position_id)
    if position.state is not PositionState.EXITING or reason is None or any(o.live for o in legs):
        return None  # another lane was first
    send = next_exit(position.symbol, attempt, quote, now, reason in URGENT)
    entry = desk.book.view.live_order(position_id, Purpose.ENTRY)
    if entry is not None:
        send = beside_entry(entry, send, quote)
    order = Order(
        client_order_id=order_id(position_id, Purpose.EXIT, _next_number(desk, position_id, legs)),
        position_id=position_id,
        purpose=Purpose.EXIT,
        symbol=position.symbol,
        side=Side.SELL,
        intent=PositionIntent.SELL_TO_CLOSE,
        type=send.type,
        qty=min(position.to_sell, free or position.qty),
        limit_price=send.limit_price,
        status=OrderStatus.PLANNED,
        created_at=now,
        attempt=attempt,
        reason=reason,
        decision_price=send.decision_price,
    )
    change.order(order)
    change.event(
        EventKind.EXIT_SENT,
        position_id=position_id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        qty=order.qty,
        type=order.type,
        limit_price=order.limit_price,
        reason=reason,
        attempt=attempt,
    )
    return order


def _next_number(desk: Desk, position_id: str, legs: tuple[Order, ...]) -> int:
    """Above every number that was used in the position's name, also by an order booked elsewhere."""
    used = (number_of(o.client_order_id) for o in desk.book.orders.values() if _named_after(o, position_id))
    return max(len(legs), *used, desk.numbers_above) + 1


def _named_after(order: Order, position_id: str) -> bool:
    return order.purpose is Purpose.EXIT and position_of(order.client_order_id) == position_id


def sellable(desk: Desk, position: Position) -> int:
    """Contracts that the broker would let us sell: never more than it shows, once it has caught up and
    while it is read."""
    most = min(position.qty, _left_to_sell(desk, position) or position.qty)
    reading = desk.pollers.positions.latest
    if reading is None or (desk.now() - reading.begun_at).total_seconds() > READING_SERVES_S:
        return most
    caught_up = reading.begun_at - timedelta(seconds=BROKER_LAG_S)
    shown = [p for p in reading.value if p.symbol == position.symbol]
    orders = [o for o in desk.book.view.orders if o.symbol == position.symbol]
    if caught_up >= _last_end(position, orders):
        return min(position.qty, max(0, sum(int(p.qty_available) for p in shown)))
    bought = [o for o in orders if o.side is Side.BUY and o.filled_qty]
    if caught_up >= _last_end(position, bought) and not any(o.live for o in bought):
        # since then contracts can only have been freed or sold: as many as it shows are held at most;
        # a list without any may be a slip of the broker's, and costs a refused sale
        return min(most, max(0, sum(int(p.qty) for p in shown))) or most
    return most


def _last_end(position: Position, orders: list[Order]) -> datetime:
    """When the position was opened or, if later, the last of ``orders`` ended."""
    return max([position.opened_at, *(o.ended_at for o in orders if o.ended_at is not None)])


def _left_to_sell(desk: Desk, position: Position) -> int | None:
    """Contracts that the broker's own word left us when it refused the newest closing order for want of
    them: truer than a reading from before."""
    tried = _tried(desk, position)
    refused = tried[-1] if tried and tried[-1].status is OrderStatus.REJECTED else None
    found = None if refused is None else _AVAILABLE.search(refused.note)
    return None if found is None else int(found.group(1))


def _tried(desk: Desk, position: Position) -> list[Order]:
    """The closing orders of the present claim that are over without having sold everything."""
    return [
        o
        for o in desk.book.view.orders
        if o.position_id == position.position_id
        and o.purpose is Purpose.EXIT
        and o.reason == position.exit_reason
        and not o.live
    ]


def _may_try(tried: list[Order], now: datetime) -> bool:
    wait_until = back_off(tried)
    return wait_until is None or now >= wait_until


def back_off(tried: list[Order]) -> datetime | None:
    """After refusals in a row: when the next try may go."""
    refused = 0
    for order in reversed(tried):
        if order.status not in {OrderStatus.REJECTED, OrderStatus.NEVER_SENT}:
            break
        refused += 1
    if not refused or tried[-1].ended_at is None:
        return None
    return tried[-1].ended_at + timedelta(seconds=min(2.0 ** (refused - 1), MAX_BACK_OFF_S))


def _held_up(desk: Desk, position: Position, free: int) -> bool:
    """Cancel somebody else's orders in the contract; whether to wait for that, or until the broker shows
    any contract as available (``free``), first.

    After ``BLOCKED_AT_MOST_S`` nothing of that holds up an exit any more: the readings may be old, and
    whether contracts are really held is the broker's to say.
    """
    blocking = _foreign_orders(desk, position.symbol)
    if not blocking and free:
        desk.blocked_since.pop(position.position_id, None)
        return False
    for order in blocking:
        dispatch.cancel_foreign(desk, order)
    now = desk.now()
    since = desk.blocked_since.setdefault(position.position_id, now)
    return (now - since).total_seconds() < BLOCKED_AT_MOST_S


def _foreign_orders(desk: Desk, symbol: str) -> list[BrokerOrder]:
    """Somebody else's live orders in ``symbol``: they hold contracts, or would be a wash trade."""
    reading = desk.pollers.orders.latest
    if reading is None:
        return []
    return [o for o in reading.value if o.symbol == symbol and o.status in LIVE and not _booked(desk, o)]


def _booked(desk: Desk, found: BrokerOrder) -> bool:
    """Whether an order of our making is one that the book works, or will take up as a stray."""
    mine = desk.book.orders.get(found.client_order_id)
    return ours(found) and (mine is None or mine.broker_id == found.id or mine.live)
