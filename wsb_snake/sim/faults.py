"""Where faults enter the exchange.

A ``Faults`` decides at four points; the default does nothing. The handlers turn an action into what
the wire would show: ``Hung`` and ``ConnectionLost`` are raised to whoever owns the socket (or the
in-process seam), an ``Answer`` is sent in place of the true one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wsb_snake.core.types import Quote
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.orders import TradeUpdateMessage


class Hung(Exception):
    """The caller gets no answer, and the connection stays open."""


class ConnectionLost(Exception):
    """The connection is reset before an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    pass


@dataclass(frozen=True, slots=True)
class Reset:
    pass


@dataclass(frozen=True, slots=True)
class Answer:
    """``reply`` goes out in place of the true one: a 5xx with HTML, a 429, half a body."""

    reply: ApiReply


Action = Hang | Reset | Answer | None
"""None lets the call pass."""


class Faults(Protocol):
    def before(self, call: str, at: datetime) -> Action:
        """Before ``call`` ("POST /v2/orders") has any effect; an action means that it has none."""
        ...

    def after(self, call: str, at: datetime) -> Action:
        """After ``call`` took effect; an action only spoils its answer."""
        ...

    def trade_update(self, message: TradeUpdateMessage) -> tuple[TradeUpdateMessage, ...]:
        """What is emitted in place of ``message``: nothing, twice, later ones first, altered."""
        ...

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        """What is handed out in place of ``quote``; None is no quote. Orders match the true one."""
        ...


class NoFaults:
    def before(self, call: str, at: datetime) -> Action:
        return None

    def after(self, call: str, at: datetime) -> Action:
        return None

    def trade_update(self, message: TradeUpdateMessage) -> tuple[TradeUpdateMessage, ...]:
        return (message,)

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        return quote


def answer_of(action: Action) -> ApiReply | None:
    """The reply that ``action`` puts in place of the true one, or None. Raises Hung, ConnectionLost."""
    match action:
        case None:
            return None
        case Answer(reply):
            return reply
        case Hang():
            raise Hung
        case Reset():
            raise ConnectionLost
