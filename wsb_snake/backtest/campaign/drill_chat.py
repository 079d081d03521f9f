"""The owner's phone in a drill: it keeps what arrived, and is now and then out of reach."""

from dataclasses import dataclass
from datetime import datetime

from wsb_snake.core.clock import Clock
from wsb_snake.core.lanes import Lanes
from wsb_snake.notifications.chat import ChatUnavailable, ChatUncertain


@dataclass(frozen=True, slots=True)
class Delivery:
    """One text that reached the phone; ``answered`` says whether the sender learnt of it."""

    at: datetime
    text: str
    answered: bool


class DrillChat:
    """Implements ``Chat``; ``down_until`` is when the present outage ends."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.delivered: list[Delivery] = []
        self.down_until = clock.now()
        self.swallows = False
        """Whether the outage lets texts through and loses the answers."""

    def on(self, lanes: Lanes) -> "_Line":
        """The line of one process to this phone."""
        return _Line(self, lanes)

    def take(self, text: str) -> None:
        now = self._clock.now()
        down = now < self.down_until
        if down and not self.swallows:
            raise ChatUnavailable("no connection")
        self.delivered.append(Delivery(now, text, not down))
        if down:
            raise ChatUncertain("no answer")


class _Line:
    def __init__(self, phone: DrillChat, lanes: Lanes) -> None:
        self._phone = phone
        self._lanes = lanes

    def send(self, text: str, silent: bool) -> None:
        with self._lanes.network():
            self._phone.take(text)
