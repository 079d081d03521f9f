"""Start-up: take up the database, read the broker, agree, and only then allow trading."""

import logging
import sqlite3
from datetime import datetime, timedelta

from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.orders import UNSETTLED, Order
from wsb_snake.trading import dispatch, recovery
from wsb_snake.trading.broker import Account, BrokerError
from wsb_snake.trading.clock_watch import REASON as CLOCK
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.order_ids import number_of
from wsb_snake.trading.pollers import Snapshot
from wsb_snake.trading.reconciling import Reconciler

ORDERS_BACK = timedelta(days=10)

WHAT_IS_HELD = "what is held is watched and closed while either says open, at the end of day by the earlier"

LOST_AT_MOST = 50
"""More closing orders than one position can have had whose rows were lost."""

log = logging.getLogger(__name__)


def load(desk: Desk, conn: sqlite3.Connection) -> None:
    """Positions, orders, pauses and the owner's flatten as the last process left them."""
    desk.book.load(conn, desk.day_start())
    desk.pauses.load(conn)
    desk.flatten.load(conn, desk.today())
    desk.unwanted |= desk.flatten.when_filled.keys()
    desk.alpaca.load(conn)
    desk.worth.load(conn, desk.today())
    desk.loaded = True


def read_calendar(desk: Desk) -> MarketCalendar:
    """The broker's calendar around today. Raises BrokerError."""
    return desk.read_calendar()


def check_calendar(desk: Desk) -> None:
    """Entries stop while the broker's calendar and the library's disagree about today."""
    disagreement = desk.calendar.disagreement(eastern_date(desk.now()))
    if disagreement is None:
        desk.pauses.clear("calendar")
    else:
        desk.pauses.set("calendar", f"{disagreement}; {WHAT_IS_HELD}")


def try_calendar(desk: Desk) -> None:
    """Take the broker's calendar; entries wait for it, closing goes by the library's meanwhile."""
    try:
        desk.calendar = read_calendar(desk)
    except BrokerError as error:
        if desk.pollers.calendar.latest is None:  # whose readings settle it
            desk.pauses.set("calendar", f"the broker's calendar cannot be read: {error}")
            desk.pollers.calendar.ask()
    else:
        check_calendar(desk)


def _try_clock(desk: Desk) -> None:
    """Compare the clocks; entries wait for that, closing does not."""
    try:
        desk.read_clock()
    except BrokerError as error:
        if desk.clock_skew_s is None:
            desk.pauses.set(CLOCK, f"the broker's clock cannot be read: {error}")
            desk.pollers.clock.ask()


def _since(desk: Desk) -> datetime:
    """From when on the broker's orders matter: the day's, and those of what is held from before."""
    live = (order.created_at for order in desk.book.view.live_orders())
    held = (position.opened_at for position in desk.book.view.held())
    return max(min((desk.day_start(), *live, *held)), desk.now() - ORDERS_BACK)


def agree(desk: Desk, reconciler: Reconciler, account: Account) -> None:
    """Read orders and positions once and bring the book into line. Raises BrokerError.

    Orders come first: a fill that they tell of explains a position, never the other way round. When
    only they cannot be read, what the database holds may be closed all the same.
    """
    broker = desk.ports.broker
    _try_clock(desk)
    try:
        recent = broker.orders_since(_since(desk) - timedelta(minutes=1))
    except BrokerError:
        if desk.loaded:
            _close_only(desk)
        raise
    begun = desk.now()
    positions = broker.positions()
    open_orders = broker.open_orders()
    for order in recent:
        dispatch.take(desk, order)
    for order in recovery.lost(desk, recent, positions):
        recovery.recover(desk, order, positions, recent)
    known = {order.client_order_id for order in recent}
    for mine in desk.book.view.live_orders():
        if mine.status in UNSETTLED and mine.client_order_id not in known:
            _ask(desk, mine)
    read_at = desk.now()
    desk.pollers.account.latest = Snapshot(account, begun, read_at)
    desk.pollers.positions.latest = Snapshot(positions, begun, read_at)
    desk.pollers.orders.latest = Snapshot(open_orders, begun, read_at)
    reconciler.run(positions, open_orders, begun, recent)
    desk.disputes.settle("start:")
    desk.numbers_above = 0
    desk.let_close()
    desk.ready = True
    desk.bell.set()  # the first pass over what is held follows at once
    held = desk.book.view.watched()
    log.info("reconciled with the broker: %d positions watched", len(held))


def _ask(desk: Desk, order: Order) -> None:
    """What became of ``order``; never beside a send of our own, whose outcome is still to come."""
    if desk.may_close:
        dispatch.look_up(desk, order)
    else:
        dispatch.ask(desk, order.client_order_id)


def _close_only(desk: Desk) -> None:
    """Let the book's positions be closed by what is live at the broker and held there. Raises BrokerError.

    Nothing is adopted and no entry goes before the orders that are over were read. The names of closing
    orders stay above any that such an order could have used.
    """
    broker = desk.ports.broker
    begun = desk.now()
    positions = broker.positions()
    open_orders = broker.open_orders()
    for order in open_orders:
        dispatch.take(desk, order)
    for order in recovery.lost(desk, open_orders, positions):
        recovery.recover(desk, order, positions, open_orders)
    listed = {order.client_order_id for order in open_orders}
    for mine in desk.book.view.live_orders():
        if mine.client_order_id not in listed:
            _ask(desk, mine)
    read_at = desk.now()
    desk.pollers.positions.latest = Snapshot(positions, begun, read_at)
    desk.pollers.orders.latest = Snapshot(open_orders, begun, read_at)
    if not desk.may_close:
        used = max((number_of(o.client_order_id) for o in desk.book.view.orders), default=0)
        desk.numbers_above = used + LOST_AT_MOST
        log.warning("the broker's past orders cannot be read: closing goes on, entries stay blocked")
    desk.let_close()
    desk.bell.set()
