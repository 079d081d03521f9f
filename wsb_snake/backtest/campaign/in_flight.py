"""What the daemon has under way at this moment, read from its book."""

from wsb_snake.core.orders import Order, OrderStatus, PositionState, Purpose
from wsb_snake.sim.fault_plan import InFlight
from wsb_snake.trading.book import BookView
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_guard import EodState

IDLE = frozenset({InFlight.IDLE})


class InFlightReader:
    """Keeps the last answer: it is asked at every opportunity of a fault and changes rarely."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._view: BookView | None = None
        self._eod: EodState | None = None
        self._stalled = False
        self._states = IDLE

    def read(self, *, stalled: bool) -> frozenset[InFlight]:
        desk = self._desk
        view, eod = desk.book.view, desk.eod
        if view is not self._view or eod is not self._eod or stalled != self._stalled:
            self._view, self._eod, self._stalled = view, eod, stalled
            states = _of_orders(view)
            if desk.eod_open():
                states.add(InFlight.PROOF)
            if stalled:
                states.add(InFlight.JOURNAL_STALLED)
            self._states = frozenset(states) or IDLE
        return self._states


def _of_orders(view: BookView) -> set[InFlight]:
    live = view.live_orders()
    states = {_stage(order) for order in live}
    if any(order.cancel_asked_at is not None for order in live):
        states.add(InFlight.CANCEL_PENDING)
    exiting = {p.position_id for p in view.positions if p.state is PositionState.EXITING}
    if exiting - {order.position_id for order in live if order.purpose is Purpose.EXIT}:
        states.add(InFlight.EXIT_CLAIMED)
    return states


def _stage(order: Order) -> InFlight:
    if order.purpose is Purpose.ENTRY:
        return InFlight.ENTRY_UNKNOWN if order.status is OrderStatus.UNKNOWN else InFlight.ENTRY_SENT
    if order.status is OrderStatus.PLANNED:
        return InFlight.EXIT_CLAIMED
    return InFlight.EXIT_PARTIAL if order.filled_qty else InFlight.EXIT_SENT
