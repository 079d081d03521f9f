"""Exits that the owner gives to what no rule sells: foreign options that expire later."""

from dataclasses import replace
from datetime import datetime

from wsb_snake.config import Settings
from wsb_snake.core.events import EventKind
from wsb_snake.core.orders import Origin, PositionState
from wsb_snake.core.signals import NO_EXITS, ExitPlan
from wsb_snake.core.types import Quote
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.engine_plans import RUNNER_PLAN, scalp_plan
from wsb_snake.trading.exits import sold_by
from wsb_snake.trading.positions import Position

RUNNER, SCALP = "runner", "scalp"


def give_exits(desk: Desk, symbol: str, kind: str) -> int:
    """Have the rules of ``kind`` sell the foreign positions in ``symbol``; how many there were.

    They count from this moment: the trail from the present bid, a scalp's minutes from now.
    """
    quote = desk.board.get(symbol)
    given = 0
    with desk.book.change() as commit:
        change = commit.change
        for known in desk.book.view.watched():
            position = change.latest(known)
            if position.symbol != symbol or not without_exits(position):
                continue
            change.position(_given(desk.ports.settings, position, kind, quote, change.now))
            change.event(
                EventKind.POSITION_ADOPTED,
                position_id=position.position_id,
                symbol=symbol,
                qty=position.qty,
                entry_price=position.entry_price,
                origin=position.origin,
                treatment=f"by your order: {words(desk.ports.settings, kind)}",
            )
            given += 1
    return given


def sold_at_once(
    settings: Settings, position: Position, quote: Quote | None, now: datetime
) -> dict[str, int]:
    """How many contracts the exits of each kind would sell at ``quote`` where quotes count already; without
    those that sell none."""
    sales = {
        kind: sold_by(_given(settings, position, kind, quote, now), quote, now) for kind in (RUNNER, SCALP)
    }
    return {kind: qty for kind, qty in sales.items() if qty}


def words(settings: Settings, kind: str) -> str:
    """The exits of ``kind`` for a person."""
    if kind == RUNNER:
        half, trail = RUNNER_PLAN.half_at or 0, RUNNER_PLAN.trail or 0
        return f"half off at +{half:.0%}, a {trail:.0%} trailing stop on the rest"
    plan = scalp_plan(settings)
    minutes = settings.wsb_snake_scalp_minutes
    return f"target +{plan.target or 0:.0%}, stop -{plan.stop or 0:.0%}, {minutes} minutes from now"


def without_exits(position: Position) -> bool:
    """Whether no rule sells it until the owner gives it exits."""
    foreign = position.origin is Origin.FOREIGN_LATER and position.state is PositionState.OPEN
    return foreign and position.plan == NO_EXITS


def _given(settings: Settings, position: Position, kind: str, quote: Quote | None, now: datetime) -> Position:
    """``position`` with the exits of ``kind`` from ``now`` on."""
    bid = position.entry_price if quote is None or not quote.two_sided else quote.bid
    watch = replace(position.watch, high_bid=bid, stop_seen_at=None)
    return replace(position, plan=_plan(settings, position, kind, now), watch=watch)


def _plan(settings: Settings, position: Position, kind: str, now: datetime) -> ExitPlan:
    if kind == RUNNER:
        return RUNNER_PLAN
    plan = scalp_plan(settings)
    held_s = int((now - position.opened_at).total_seconds())
    return replace(plan, max_hold_s=(plan.max_hold_s or 0) + held_s)
