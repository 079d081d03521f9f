"""What happens to orders, taken down for whoever measures it later.

Nobody on the order path waits for a measurement or fails by it: an entry is one append to a bounded
queue. What nobody reads in time is forgotten, the oldest first.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from wsb_snake.core.orders import Order, Purpose

KEPT = 4096


@dataclass(frozen=True, slots=True)
class Moved:
    """An order changed at ``at`` (aware UTC); ``before`` is None when it is new."""

    before: Order | None
    after: Order
    at: datetime


@dataclass(frozen=True, slots=True)
class Looked:
    """The closing order was decided on a quote that the daemon first looked at then; aware UTC."""

    client_order_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Waited:
    """Seconds between a sender and the wire: for the journal's row, and the last checks."""

    purpose: Purpose
    seconds: float


Entry = Moved | Looked | Waited


class OrderTape:
    """Any thread writes; one reader takes."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)

    def put(self, entry: Entry) -> None:
        self._entries.append(entry)

    def take(self) -> list[Entry]:
        """Everything that waits, the oldest first; it is gone from the tape then."""
        taken: list[Entry] = []
        while self._entries:
            taken.append(self._entries.popleft())
        return taken
