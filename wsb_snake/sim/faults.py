"""Where faults enter the exchange, and which kinds there are.

A ``Faults`` decides at fixed points; the default does nothing. The handlers turn an action into what
the wire would show: ``Hung`` and ``ConnectionLost`` are raised to whoever owns the socket (or the
in-process seam), an ``Answer`` is sent in place of the true one. ``seeded_faults`` strikes by seed.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from wsb_snake.core.types import Quote
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.matching import Execution
from wsb_snake.sim.orders import NewOrder, SimOrder, TradeUpdateMessage


class FaultKind(StrEnum):
    """Everything that a broker, a network, a disk or a person can do to the daemon in a campaign."""

    # a call over the network
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HTTP_429 = "http_429"
    HTTP_500_BEFORE = "http_500_before"
    HTTP_500_AFTER = "http_500_after"
    HTTP_503 = "http_503"
    HTTP_504_BEFORE = "http_504_before"
    HTTP_504_AFTER = "http_504_after"
    # the bytes of an answer or a frame
    HTML_BODY = "html_body"
    EMPTY_BODY = "empty_body"
    CUT_BODY = "cut_body"
    NULL_DATA = "null_data"
    UNKNOWN_WORD = "unknown_word"
    MALFORMED_FRAME = "malformed_frame"
    # the trade stream
    EVENT_TWICE = "event_twice"
    EVENT_LOST = "event_lost"
    EVENT_LATE = "event_late"
    EVENTS_REORDERED = "events_reordered"
    STREAM_MUTE = "stream_mute"
    STREAM_FLAPS = "stream_flaps"
    # the venue
    PARTIAL_FILL = "partial_fill"
    NO_FILL = "no_fill"
    ASYNC_REJECT = "async_reject"
    STUCK_CANCEL = "stuck_cancel"
    CANCEL_FILL_RACE = "cancel_fill_race"
    CUTOFF_OPENING = "cutoff_opening"
    CUTOFF_ALL = "cutoff_all"
    EARLY_LIQUIDATION = "early_liquidation"
    POSITIONS_LAG = "positions_lag"
    # quotes
    STALE_QUOTES = "stale_quotes"
    CROSSED_QUOTES = "crossed_quotes"
    ZERO_QUOTES = "zero_quotes"
    NO_BID = "no_bid"
    # people and the calendar
    FOREIGN_ORDER = "foreign_order"
    MANUAL_CLOSE = "manual_close"
    CALENDAR_SURPRISE = "calendar_surprise"
    # our own house
    SLOW_DISK = "slow_disk"
    DISK_FULL = "disk_full"
    CHAT_DOWN = "chat_down"


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

    def bytes_of(self, call: str, reply: ApiReply, at: datetime) -> ApiReply:
        """What goes over the wire in place of the true ``reply``."""
        ...

    def trade_update(self, message: TradeUpdateMessage) -> tuple[TradeUpdateMessage, ...]:
        """What is emitted in place of ``message``: nothing, twice, later ones first, altered."""
        ...

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        """What is handed out in place of ``quote``; None is no quote. Orders match the true one."""
        ...

    def cut_off(self, order: NewOrder, at: datetime) -> bool:
        """Whether an order in a contract that expires today is refused because it is too late."""
        ...

    def rejects_later(self, order: SimOrder, at: datetime) -> bool:
        """Whether an order that was taken never reaches the venue."""
        ...

    def execution(self, order: SimOrder, execution: Execution | None, at: datetime) -> Execution | None:
        """What fills in place of ``execution`` (None: nothing would)."""
        ...

    def holds_cancel(self, order: SimOrder, at: datetime) -> bool:
        """Whether a cancel that was asked for does not happen in this step."""
        ...

    def fill_wins(self, order: SimOrder, at: datetime) -> bool:
        """Whether an order fills at the moment of its cancel, whatever the quote has become."""
        ...

    def positions_at(self, at: datetime) -> datetime:
        """As of which moment the positions are shown."""
        ...


class NoFaults:
    def before(self, call: str, at: datetime) -> Action:
        return None

    def after(self, call: str, at: datetime) -> Action:
        return None

    def bytes_of(self, call: str, reply: ApiReply, at: datetime) -> ApiReply:
        return reply

    def trade_update(self, message: TradeUpdateMessage) -> tuple[TradeUpdateMessage, ...]:
        return (message,)

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        return quote

    def cut_off(self, order: NewOrder, at: datetime) -> bool:
        return False

    def rejects_later(self, order: SimOrder, at: datetime) -> bool:
        return False

    def execution(self, order: SimOrder, execution: Execution | None, at: datetime) -> Execution | None:
        return execution

    def holds_cancel(self, order: SimOrder, at: datetime) -> bool:
        return False

    def fill_wins(self, order: SimOrder, at: datetime) -> bool:
        return False

    def positions_at(self, at: datetime) -> datetime:
        return at


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
