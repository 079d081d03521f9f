"""The owner's ``cancel``: every open order that could open something, ours and foreign.

Closing orders of ours are not called back: a decided exit is pursued until nothing is left, so that the
next would go out at once; ``halt`` and ``flatten`` are the verbs beside this one.
"""

from dataclasses import dataclass

from wsb_snake.core.orders import LIVE, Purpose
from wsb_snake.trading import dispatch
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.reconciler import ours


@dataclass(frozen=True, slots=True)
class CalledBack:
    """How many orders a cancel was asked for, and how many of our closing orders go on."""

    entries: int
    foreign: int
    closing: int

    @property
    def asked(self) -> int:
        return self.entries + self.foreign

    def text(self) -> str:
        """One line for the owner."""
        head = (
            f"cancel asked for {self.entries} entries of ours and {self.foreign} foreign orders"
            if self.asked
            else "no order to cancel"
        )
        stay = f"; {self.closing} closing orders of ours go on working" if self.closing else ""
        return f"{head}{stay}"


def call_back(desk: Desk) -> CalledBack:
    """Have every working entry and every foreign option order cancelled; returns at once."""
    entries = [o for o in desk.book.view.live_orders() if o.purpose is Purpose.ENTRY]
    desk.unwanted |= {order.position_id for order in entries}
    reading = desk.pollers.orders.latest
    found = () if reading is None else reading.value
    foreign = [o for o in found if o.is_option and o.status in LIVE and not ours(o)]
    for order in foreign:
        dispatch.cancel_foreign(desk, order)
    closing = sum(1 for o in desk.book.view.live_orders() if o.purpose is Purpose.EXIT)
    desk.pollers.orders.ask()
    desk.bell.set()
    return CalledBack(len(entries), len(foreign), closing)
