"""Faults that strike by seed: each armed one waits for its hour, its stage and its opportunity.

``struck`` keeps what happened, with everything that was in flight at that moment; ``trouble_until`` says
when the broker was last in the way of a close, which the end-of-day invariant needs.
"""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.occ import is_option
from wsb_snake.core.types import Quote
from wsb_snake.sim.api import ApiReply
from wsb_snake.sim.fault_plan import (
    ANSWER_BYTES,
    CALL_AFTER,
    CALL_BEFORE,
    EVENTS,
    OPENERS,
    QUOTES,
    WORLD,
    Armed,
    InFlight,
)
from wsb_snake.sim.faults import Action, Answer, FaultKind, Hang, NoFaults, Reset
from wsb_snake.sim.matching import Execution
from wsb_snake.sim.orders import NewOrder, SimOrder

OURS = "wsb-"
CALL_COSTS = timedelta(seconds=8)
"""A call that hangs costs the transport's whole budget."""

CALLS = CALL_BEFORE | CALL_AFTER | ANSWER_BYTES

_CHANCE = 0.5  # that an opportunity is taken, so that not always the first one is
_STATUS = re.compile(rb'("status":\s*)"(new|accepted|pending_new|partially_filled|filled|pending_cancel)"')
_HTML = b"<html><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that happened, and what was in flight."""

    kind: FaultKind
    at: datetime
    states: frozenset[InFlight]
    detail: str


class SeededFaults(NoFaults):
    """Implements ``Faults`` for one day; see the module's text."""

    def __init__(
        self,
        armed: Iterable[Armed],
        luck: random.Random,
        in_flight: Callable[[], frozenset[InFlight]],
        start: datetime,
    ) -> None:
        self.struck: list[Strike] = []
        self.trouble_until = start
        self._armed = list(armed)
        self._waiting: dict[frozenset[FaultKind], list[Armed]] = {}
        self._luck = luck
        self._in_flight = in_flight
        self._quote_windows: dict[str, tuple[FaultKind, datetime, datetime]] = {}
        self._no_fill: dict[str, datetime] = {}
        self._stuck: dict[str, datetime] = {}
        self._refused: dict[str, datetime] = {}
        self._lag = (start, timedelta(0))

    # calls

    def before(self, call: str, at: datetime) -> Action:
        return _action(self._take(CALL_BEFORE, at, call))

    def after(self, call: str, at: datetime) -> Action:
        if call.startswith("GET"):
            return None
        return _action(self._take(CALL_AFTER, at, call))

    def bytes_of(self, call: str, reply: ApiReply, at: datetime) -> ApiReply:
        usable = ANSWER_BYTES if _STATUS.search(reply.body) else ANSWER_BYTES - {FaultKind.UNKNOWN_WORD}
        match self._take(usable, at, call):
            case FaultKind.HTML_BODY:
                return replace(reply, status=200, body=_HTML, content_type="text/html")
            case FaultKind.EMPTY_BODY:
                return replace(reply, status=200, body=b"")
            case FaultKind.CUT_BODY:
                return replace(reply, body=reply.body[: len(reply.body) // 2])
            case FaultKind.NULL_DATA:
                return replace(reply, status=200, body=b"null")
            case FaultKind.UNKNOWN_WORD:
                return replace(reply, body=_STATUS.sub(rb'\1"entangled"', reply.body))
        return reply

    # the trade stream

    def deliveries(self, at: datetime) -> tuple[float, ...]:
        """After how many seconds an event arrives, once for each time; nothing: it is lost."""
        match self._take(EVENTS, at):
            case FaultKind.EVENT_TWICE:
                return (0.0, self._luck.uniform(0.0, 3.0))
            case FaultKind.EVENT_LOST:
                return ()
            case FaultKind.EVENT_LATE:
                return (self._luck.uniform(3.0, 40.0),)
            case FaultKind.EVENTS_REORDERED:
                return (self._luck.uniform(0.05, 2.5),)  # later ones overtake it
        return (0.0,)

    def garbles(self, at: datetime) -> bool:
        """Whether a frame arrives as something that is no event."""
        return self._take(frozenset({FaultKind.MALFORMED_FRAME}), at) is not None

    # the venue

    def cut_off(self, order: NewOrder, at: datetime) -> bool:
        if not (order.client_order_id or "").startswith(OURS):
            return False
        if order.side == "buy":
            return self._take(frozenset({FaultKind.CUTOFF_OPENING}), at) is not None
        if self._refused.get(order.symbol, at) > at:
            return True
        if self._take(frozenset({FaultKind.CUTOFF_ALL}), at) is None:
            return False
        self._refused[order.symbol] = self._hinder(at, 3.0, 40.0)
        return True

    def rejects_later(self, order: SimOrder, at: datetime) -> bool:
        ours = order.client_order_id.startswith(OURS)
        if not ours or self._take(frozenset({FaultKind.ASYNC_REJECT}), at) is None:
            return False
        self._hinder(at, 1.0, 1.0)
        return True

    def execution(self, order: SimOrder, execution: Execution | None, at: datetime) -> Execution | None:
        if execution is None or not order.client_order_id.startswith(OURS):
            return execution
        if order.id in self._no_fill:
            return None if at < self._no_fill[order.id] else execution
        divisible = execution.qty > 1
        kinds = {FaultKind.NO_FILL, FaultKind.PARTIAL_FILL} if divisible else {FaultKind.NO_FILL}
        kind = self._take(frozenset(kinds), at)
        if kind is None:
            return execution
        self._no_fill[order.id] = self._hinder(at, 2.0, 20.0)
        if kind is FaultKind.NO_FILL:
            return None
        return Execution(self._luck.randint(1, execution.qty - 1), execution.price)

    def holds_cancel(self, order: SimOrder, at: datetime) -> bool:
        if order.id in self._stuck:
            return at < self._stuck[order.id]
        ours = order.client_order_id.startswith(OURS)
        if not ours or self._take(frozenset({FaultKind.STUCK_CANCEL}), at) is None:
            return False
        self._stuck[order.id] = self._hinder(at, 6.0, 45.0)
        return True

    def fill_wins(self, order: SimOrder, at: datetime) -> bool:
        if not order.client_order_id.startswith(OURS) or order.id in self._stuck:
            return False
        return self._take(frozenset({FaultKind.CANCEL_FILL_RACE}), at) is not None

    def positions_at(self, at: datetime) -> datetime:
        until, lag = self._lag
        if at < until:
            return at - lag
        if self._take(frozenset({FaultKind.POSITIONS_LAG}), at) is None:
            return at
        lag = timedelta(seconds=self._luck.uniform(2.0, 9.5))
        self._lag = (at + timedelta(seconds=10), lag)
        return at - lag

    # quotes

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        if not is_option(quote.symbol):
            return quote
        window = self._quote_windows.get(quote.symbol)
        if window is None or at >= window[2]:
            kind = self._take(QUOTES, at, detail=quote.symbol)
            if kind is None:
                return quote
            window = (kind, at, self._hinder(at, 2.0, 25.0))
            self._quote_windows[quote.symbol] = window
        return _spoilt(quote, window[0], window[1])

    # what whoever drives the day carries out

    def due_in_the_world(self, at: datetime, can: Callable[[FaultKind], bool]) -> FaultKind | None:
        """One fault from outside any call whose time has come and which ``can`` be done now."""
        return self._take(WORLD, at, can=can)

    def hinder(self, until: datetime) -> None:
        """Note that nothing can be closed before ``until``, whoever is to blame."""
        self.trouble_until = max(self.trouble_until, until)

    def _hinder(self, at: datetime, shortest: float, longest: float) -> datetime:
        until = at + timedelta(seconds=self._luck.uniform(shortest, longest))
        self.hinder(until)
        return until

    def _take(
        self,
        kinds: frozenset[FaultKind],
        at: datetime,
        call: str = "",
        detail: str = "",
        can: Callable[[FaultKind], bool] | None = None,
    ) -> FaultKind | None:
        """The first armed fault of ``kinds`` that fits the moment; it is spent."""
        waiting = self._of(kinds)
        if not waiting or waiting[0].not_before > at:
            return None
        states = self._in_flight()
        for armed in waiting:
            if armed.not_before > at:
                return None  # they are in order of time
            if not call.startswith(armed.call) or (armed.state is not None and armed.state not in states):
                continue
            if can is not None and not can(armed.kind):
                continue
            if armed.state not in OPENERS and self._luck.random() > _CHANCE:
                continue  # a stage that is rare is not let pass
            self._armed.remove(armed)
            self._waiting.clear()
            self.struck.append(Strike(armed.kind, at, states, call or detail))
            if armed.kind in CALLS:
                self.hinder(at + CALL_COSTS)
            return armed.kind
        return None

    def _of(self, kinds: frozenset[FaultKind]) -> list[Armed]:
        """The armed ones of ``kinds`` in order of time, sorted out anew once one is spent."""
        if kinds not in self._waiting:
            self._waiting[kinds] = [armed for armed in self._armed if armed.kind in kinds]
        return self._waiting[kinds]


def _action(kind: FaultKind | None) -> Action:
    match kind:
        case FaultKind.HANG_BEFORE | FaultKind.HANG_AFTER:
            return Hang()
        case FaultKind.RESET_BEFORE | FaultKind.RESET_AFTER:
            return Reset()
        case FaultKind.HTTP_429:
            return Answer(ApiReply(429, b'{"code":42910000,"message":"rate limit exceeded"}'))
        case FaultKind.HTTP_500_BEFORE | FaultKind.HTTP_500_AFTER:
            return Answer(ApiReply(500, b'{"code":50010000,"message":"internal server error"}'))
        case FaultKind.HTTP_503:
            return Answer(ApiReply(503, b"", "text/plain"))
        case FaultKind.HTTP_504_BEFORE | FaultKind.HTTP_504_AFTER:
            return Answer(ApiReply(504, _HTML, "text/html"))
    return None


def _spoilt(quote: Quote, kind: FaultKind, since: datetime) -> Quote:
    match kind:
        case FaultKind.STALE_QUOTES:
            return replace(quote, at=since - timedelta(seconds=20))
        case FaultKind.CROSSED_QUOTES:
            return replace(quote, bid=quote.ask + Decimal("0.01"), ask=max(quote.bid, Decimal("0.01")))
        case _:
            return replace(quote, bid=Decimal(0), bid_size=0)
