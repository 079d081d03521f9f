"""The book: every position and order that matters today, in memory and in the database at once.

All changes go through ``Book.change``: under the book lock the change edits memory and hands one
transaction (rows and events together) to the database writer; nobody waits under the lock. Readers
use ``view``, an immutable picture that is replaced at each change.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.clock import Clock
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import Lanes, Promise
from wsb_snake.core.order_tape import Moved, OrderTape
from wsb_snake.core.orders import (
    HELD,
    ExitReason,
    Order,
    OrderStatus,
    PositionState,
    Purpose,
    Report,
    apply_report,
)
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.trading import store
from wsb_snake.trading.positions import Position, Watch, bought, sold

RECOVERED = "recovered"
"""The reason of an order that was found at the broker without its row."""


@dataclass(frozen=True, slots=True)
class BookView:
    """One consistent picture. ``positions`` and ``orders`` hold today's, over or not.

    A picture is asked far more often than it changes, so what is asked for is sorted out once.
    """

    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    _held: tuple[Position, ...] = field(init=False, repr=False, compare=False)
    _watched: tuple[Position, ...] = field(init=False, repr=False, compare=False)
    _live: tuple[Order, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sorted_out = {
            "_held": tuple(p for p in self.positions if p.state in HELD),
            "_watched": tuple(p for p in self.positions if p.watched),
            "_live": tuple(o for o in self.orders if o.live),
        }
        for name, value in sorted_out.items():
            object.__setattr__(self, name, value)  # frozen for everybody else

    def held(self) -> tuple[Position, ...]:
        """Positions that count against the limits."""
        return self._held

    def watched(self) -> tuple[Position, ...]:
        """Positions in which contracts are held."""
        return self._watched

    def live_orders(self) -> tuple[Order, ...]:
        return self._live

    def live_order(self, position_id: str, purpose: Purpose) -> Order | None:
        """The live order of that purpose; there is never more than one closing order."""
        for order in self._live:
            if order.position_id == position_id and order.purpose is purpose:
                return order
        return None


class Change:
    """One edit of the book: collects what must become durable together."""

    def __init__(self, book: "Book", now: datetime) -> None:
        self._book = book
        self.now = now
        self.orders: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self.fills: list[tuple[Order, int, Decimal]] = []
        self.events: list[tuple[EventKind, Mapping[str, object]]] = []
        self._also: list[Callable[[sqlite3.Connection], None]] = []

    def order(self, order: Order) -> None:
        self._book.orders[order.client_order_id] = order
        self.orders[order.client_order_id] = order

    def position(self, position: Position) -> None:
        self._book.positions[position.position_id] = position
        self.positions[position.position_id] = position

    def latest(self, position: Position) -> Position:
        """The position as it is now, whatever picture the caller has."""
        return self._book.positions[position.position_id]

    def sold_by_us(self, position_id: str) -> int:
        """Contracts of the position that orders of ours have sold."""
        return sum(order.filled_qty for order in self.exits_of(position_id))

    def exits_of(self, position_id: str) -> tuple[Order, ...]:
        """The closing orders of the position, oldest first."""
        exits = (o for o in self._book.orders.values() if o.purpose is Purpose.EXIT)
        return tuple(o for o in exits if o.position_id == position_id)

    def began(self, position: Position) -> datetime:
        """The earliest moment at which the broker may have had the position."""
        entries = (o for o in self._book.orders.values() if o.purpose is Purpose.ENTRY)
        born = (o.sent_at or o.created_at for o in entries if o.position_id == position.position_id)
        return min((position.opened_at, *born))

    def event(self, kind: EventKind, **data: object) -> None:
        self.events.append((kind, data))

    def also(self, write: Callable[[sqlite3.Connection], None]) -> None:
        """Have ``write`` run in the same transaction."""
        self._also.append(write)

    def report(self, client_order_id: str, report: Report) -> Order:
        """Apply what the broker says about one order of ours, with everything that follows from it."""
        old = self._book.orders[client_order_id]
        new = apply_report(old, report)
        grown = new.filled_qty - old.filled_qty
        new = replace(new, filled_avg_price=_price(new) if grown > 0 else old.filled_avg_price)
        if new == old:
            return old
        self.order(new)
        if grown > 0:
            self._filled(old, new, grown)
        if old.live and not new.live:
            self._ended(new)
        elif new.live and not old.live:
            self._reappeared(new)
        return new

    def revive(self, client_order_id: str, status: OrderStatus, broker_id: str) -> None:
        """The broker works an order that is over for us."""
        order = self._book.orders[client_order_id]
        order = replace(order, status=status, broker_id=broker_id, ended_at=None)
        self.order(order)
        self._reappeared(order)

    def end_order(self, order: Order, status: OrderStatus, why: str, at: datetime | None = None) -> None:
        """Our own verdict about an order, over since ``at`` (now): it never reached the broker, was
        refused by it, or is not heard of any more."""
        ended = replace(order, status=status, ended_at=at or self.now, note=why)
        self.order(ended)
        self._ended(ended)

    def _filled(self, old: Order, new: Order, qty: int) -> None:
        price = _increment_price(old, new, qty)
        position = self._book.positions[new.position_id]
        if new.purpose is Purpose.ENTRY:
            if position.bought_qty == 0:
                position = replace(position, opened_at=self.now)
            position = bought(position, qty, price)
        else:  # what was found gone and explained is not sold a second time
            beyond = qty - position.qty
            position = sold(position, min(qty, position.qty), price)
            if position.qty == 0 and position.exit_reason is None:  # others sold what else there was
                position = replace(position, exit_reason=ExitReason(new.reason))
            if beyond > 0 and new.reason == RECOVERED:
                self._sold_beyond(position, beyond, price)
        self.position(position)
        self.fills.append((new, qty, price))
        self.event(
            EventKind.FILL,
            position_id=new.position_id,
            client_order_id=new.client_order_id,
            symbol=new.symbol,
            purpose=new.purpose,
            side=new.side,
            qty=qty,
            price=price,
            cumulative_qty=new.filled_qty,
            order_qty=new.qty,
        )
        if new.purpose is Purpose.EXIT:
            if position.state is not PositionState.CLOSED:
                self.close_if_sold(position)
        elif position.state in {
            PositionState.VOID,
            PositionState.CLOSED,
        }:  # a fill raced the end of its entry
            self._open(replace(position, state=PositionState.OPEN, closed_at=None))

    def _sold_beyond(self, position: Position, qty: int, price: Decimal) -> None:
        """What an order sold beyond its ``position``: without a book one is sent for the whole contract."""
        for other in list(self._book.positions.values()):
            part = min(qty, other.qty)
            if part <= 0 or other.symbol != position.symbol or other.position_id == position.position_id:
                continue
            qty -= part
            left = sold(other, part, price)
            reason = ExitReason.RECOVERED if left.qty == 0 else left.exit_reason
            left = replace(left, exit_reason=reason)
            self.position(left)
            self.close_if_sold(left)

    def _ended(self, order: Order) -> None:
        position = self._book.positions[order.position_id]
        why = order.note or order.reason
        self.event(
            EventKind.ENTRY_ENDED if order.purpose is Purpose.ENTRY else EventKind.EXIT_ENDED,
            position_id=order.position_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            status=order.status,
            qty=order.qty,
            filled_qty=order.filled_qty,
            why=why,
        )
        if order.purpose is Purpose.EXIT and (
            position.state is not PositionState.ENTERING or self._book.entry_live(position.position_id)
        ):
            return
        if position.state is PositionState.EXITING:  # the exit waited for this entry's end
            self.close_if_sold(position)
        elif position.state is PositionState.ENTERING and position.qty > 0:
            self._open(replace(position, state=PositionState.OPEN))
        elif position.state is PositionState.ENTERING:
            self.position(replace(position, state=PositionState.VOID, closed_at=self.now, note=why))

    def _open(self, position: Position) -> None:
        self.position(position)
        hold = position.plan.max_hold_s
        self.event(
            EventKind.POSITION_OPENED,
            position_id=position.position_id,
            symbol=position.symbol,
            engine=position.engine,
            setup=position.setup,
            qty=position.qty,
            entry_price=position.entry_price,
            target_price=position.target_price,
            stop_price=position.stop_price,
            time_exit_at=None if hold is None else position.opened_at + timedelta(seconds=hold),
        )

    def _reappeared(self, order: Order) -> None:
        """The broker works an order that was over for us: its risk counts again."""
        position = self._book.positions[order.position_id]
        if order.purpose is Purpose.ENTRY and order.live and position.state is PositionState.VOID:
            self.position(replace(position, state=PositionState.ENTERING, closed_at=None))

    def close_if_sold(self, position: Position) -> None:
        """After a sale: over when nothing is held, open again when only a part was meant to go."""
        if position.qty == 0 and position.bought_qty and not self._book.entry_live(position.position_id):
            self.close(position)
        elif position.state is PositionState.EXITING and position.to_sell == 0 and position.qty > 0:
            half = position.half_sold or position.exit_reason is ExitReason.PARTIAL
            self.position(replace(position, state=PositionState.OPEN, half_sold=half, exit_reason=None))

    def close(self, position: Position) -> None:
        """Everything is sold or otherwise gone; the event feeds outcomes, alerts and reports."""
        closed = replace(position, state=PositionState.CLOSED, closed_at=self.now, to_sell=0, qty=0)
        self.position(closed)
        self.event(
            EventKind.POSITION_CLOSED,
            position_id=closed.position_id,
            symbol=closed.symbol,
            qty=closed.sold_qty,
            entry_price=closed.entry_price,
            exit_price=closed.exit_price,
            gross_pnl=closed.realised(),
            reason=closed.exit_reason,
            opened_at=closed.opened_at,
            closed_at=closed.closed_at,
        )

    def write(self, conn: sqlite3.Connection) -> None:
        for position in self.positions.values():
            store.save_position(conn, position)
        for order in self.orders.values():
            store.save_order(conn, order)
        for order, qty, price in self.fills:
            store.save_fill(conn, order, qty, price, self.now)
        for kind, data in self.events:
            journal.append(conn, self.now, kind, data)
        for write in self._also:
            write(conn)

    @property
    def empty(self) -> bool:
        return not (self.orders or self.positions or self.fills or self.events or self._also)


class Book:
    """Positions and orders under one lock; see the module's text."""

    def __init__(self, lanes: Lanes, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database
        self.lock: threading.Lock = lanes.lock("book")
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, Order] = {}
        self.view = BookView()
        self.last_event = ""
        self.tape = OrderTape()

    def load(self, conn: sqlite3.Connection, since: datetime) -> None:
        """Take up what the database holds: all that isn't over, and what happened since ``since``."""
        with self.lock:
            self.positions = {p.position_id: p for p in store.load_positions(conn, since)}
            self.orders = {o.client_order_id: o for o in store.load_orders(conn, since)}
            for order in self.orders.values():
                if order.status in {OrderStatus.PLANNED, OrderStatus.SENDING}:
                    # the process died around the POST: only the broker knows, and it counts as sent
                    sent_at = order.sent_at or order.created_at
                    self.orders[order.client_order_id] = replace(
                        order, status=OrderStatus.UNKNOWN, sent_at=sent_at
                    )
            self._publish()

    @contextmanager
    def change(self) -> Iterator["Commit"]:
        """Edit under the lock; on leaving, the transaction is with the writer and the view is new."""
        commit = Commit(Change(self, self._clock.now()))
        with self.lock:
            before = self.positions.copy(), self.orders.copy()
            try:
                yield commit
            except BaseException:  # half a change would be neither durable nor tried again
                self.positions, self.orders = before
                raise
            if not commit.change.empty:
                for kind, data in commit.change.events:
                    self.last_event = f"{kind} {data.get('symbol') or data.get('ticker') or ''}".strip()
                commit.promise = self._database.transact(commit.change.write, urgent=True)
                self._publish()
                for name, order in commit.change.orders.items():
                    self.tape.put(Moved(before[1].get(name), order, commit.change.now))

    def sending(self, client_order_id: str) -> Order:
        """Note that the POST is under way. In memory only: after a crash PLANNED is looked up as well."""
        with self.lock:
            planned, now = self.orders[client_order_id], self._clock.now()
            order = replace(planned, status=OrderStatus.SENDING, sent_at=now)
            self.orders[client_order_id] = order
            self._publish()
            self.tape.put(Moved(planned, order, now))
        return order

    def watch(self, position_id: str, watch: Watch) -> None:
        """Keep what a quote has shown. In memory; it becomes durable with the position's next change."""
        with self.lock:
            position = self.positions.get(position_id)
            if position is not None and position.watch != watch:
                self.positions[position_id] = replace(position, watch=watch)
                self._publish()

    def entry_live(self, position_id: str) -> bool:
        """Whether an entry of the position may still fill (lock held)."""
        return any(
            o.position_id == position_id and o.purpose is Purpose.ENTRY and o.live
            for o in self.orders.values()
        )

    def forget_before(self, day_start: datetime) -> None:
        """Drop from memory what was over before ``day_start``; the database keeps it."""
        with self.lock:
            over = {
                p.position_id
                for p in self.positions.values()
                if p.state not in HELD and p.closed_at is not None and p.closed_at < day_start
            }
            self.positions = {k: p for k, p in self.positions.items() if k not in over}
            self.orders = {
                k: o
                for k, o in self.orders.items()
                if o.position_id in self.positions or o.created_at >= day_start
            }
            self._publish()

    def _publish(self) -> None:
        self.view = BookView(tuple(self.positions.values()), tuple(self.orders.values()))


class Commit:
    """A change under way and, once handed over, the promise of its durability."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self.promise: Promise[None] | None = None


def premium(qty: int, price: Decimal) -> Decimal:
    """Dollars that ``qty`` contracts cost at ``price`` a share."""
    return price * qty * CONTRACT_SHARES


def _price(order: Order) -> Decimal:
    """The average price of its fills; its limit, or what was decided on, should the broker not tell.

    A price that moves without a fill is not taken over: positions, fills and events add up at any time.
    """
    told = (order.filled_avg_price, order.limit_price, order.decision_price)
    return next((price for price in told if price is not None), Decimal(0))


def _increment_price(old: Order, new: Order, qty: int) -> Decimal:
    """Price of the increment, from two cumulative averages; exact to the broker's rounding."""
    before = (old.filled_avg_price or Decimal(0)) * old.filled_qty
    return (_price(new) * new.filled_qty - before) / qty
