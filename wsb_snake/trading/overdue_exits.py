"""Tells of a decided exit for which no order is at the broker, and of no rule that lets it wait."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from wsb_snake.core.orders import UNSETTLED, Order, OrderStatus, PositionState, Purpose
from wsb_snake.trading.closing import BLOCKED_AT_MOST_S
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_reasons import ANSWER_DUE_S, why_open
from wsb_snake.trading.positions import Position

OVERDUE = timedelta(seconds=60)
TOLD_EVERY = timedelta(minutes=10)
ANSWER_DUE = timedelta(seconds=ANSWER_DUE_S)
"""The newest try explains nothing before."""


class OverdueExits:
    """Looked at in each monitor pass."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._decided: dict[str, datetime] = {}  # by position: when the claim was first seen
        self._without: dict[str, datetime] = {}  # since when it has had no order and nothing to wait for
        self._told: dict[str, datetime] = {}

    def check(self) -> None:
        """Tell of each claim that has been without an order for a minute, again every 10 minutes."""
        desk, now = self._desk, self._desk.now()
        claimed = {p.position_id: p for p in desk.book.view.watched() if p.state is PositionState.EXITING}
        for known in (self._decided, self._without, self._told):
            for position_id in known.keys() - claimed.keys():
                del known[position_id]
        for position_id, position in claimed.items():
            orders = [o for o in desk.book.view.orders if o.position_id == position_id]
            exits = [o for o in orders if o.purpose is Purpose.EXIT]
            sent = [o.created_at for o in exits if o.reason == position.exit_reason]
            decided = self._decided.setdefault(position_id, min((now, *sent)))
            if _at_broker(exits) or _may_wait(desk, position):
                self._without.pop(position_id, None)
                continue
            since = self._without.setdefault(position_id, now)
            told = self._told.get(position_id)
            if now - since < OVERDUE or (told is not None and now - told < TOLD_EVERY):
                continue
            self._told[position_id] = now
            desk.alert(
                f"decided to sell {position.to_sell} {position.symbol} ({position.exit_reason}) "
                f"{(now - decided).total_seconds():.0f} s ago and no order is at the broker",
                _why(desk, position, orders),
            )


def _at_broker(exits: Sequence[Order]) -> bool:
    return any(o.live and o.status not in UNSETTLED for o in exits)


def _may_wait(desk: Desk, position: Position) -> bool:
    """Whether a rule lets the exit wait: it is told by itself, or nobody buys."""
    if not desk.in_session() or position.position_id in desk.left_alone:
        return True
    if not desk.broker_fresh():  # then nobody knows
        return False
    quote = desk.board.get(position.symbol)
    if quote is not None and quote.bid <= 0:
        return True
    blocked = desk.blocked_since.get(position.position_id)
    return blocked is not None and (desk.now() - blocked).total_seconds() < BLOCKED_AT_MOST_S


def _why(desk: Desk, position: Position, found: Sequence[Order]) -> str:
    now = desk.now()
    orders = [o for o in found if o.status not in UNSETTLED or now - o.created_at >= ANSWER_DUE]
    if not desk.may_close:
        return "the broker's account, positions and orders could not be read since the start"
    if any(o.status is OrderStatus.PLANNED for o in orders):
        return "the order is planned and waits for its send"
    if any(o.live and o.purpose is Purpose.ENTRY for o in orders):
        return "the end of its entry is not confirmed"
    exits = [o for o in orders if o.purpose is Purpose.EXIT]
    if exits and exits[-1].status is OrderStatus.CANCELED:
        return "its last order was cancelled and no other has gone out"
    return why_open(position, orders, desk.board.get(position.symbol), desk.broker_fresh(), now)
