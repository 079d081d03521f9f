"""The exit rules: pure decisions from (position, quote, now).

Percentages are of the average entry fill. A quote that is zero, crossed or stale triggers nothing;
time exits need no quote. What the rules decide is executed, and made sticky, by the executor.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.core.types import Quote
from wsb_snake.trading.positions import Position, Watch

FRESH_S = 15.0
"""A quote older than this, by the feed's own stamp, decides nothing."""

SECOND_LOOK_S = 1.0
"""A stop needs two quotes at least this far apart."""

OPENING_S = 300.0
"""Overnight positions, and what was found by then, ignore quotes of the session's first minutes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Sell ``qty`` contracts because of ``reason``."""

    reason: ExitReason
    qty: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one look gave: perhaps a decision, what is now known, when to look again at the latest."""

    decision: Decision | None
    watch: Watch
    look_again_at: datetime | None


def usable(quote: Quote | None, now: datetime) -> bool:
    """Two-sided, not crossed, and fresh."""
    return quote is not None and quote.two_sided and -FRESH_S <= quote.age_s(now) <= FRESH_S


def decide(position: Position, quote: Quote | None, now: datetime, session_open: datetime) -> Verdict:
    """Look at one held position once. ``session_open`` is today's open (aware UTC)."""
    watch = position.watch
    decision = None
    if too_early(position, now, session_open):
        watch = replace(watch, stop_seen_at=None)  # yesterday's crossing is no first look
    elif quote is not None and usable(quote, now):
        watch = _seen(position, quote)
        decision = _by_price(position, watch, quote)
    if decision is None and _time_is_up(position, now):
        decision = Decision(ExitReason.TIME, position.qty)
    return Verdict(decision, watch, _look_again(position, watch, now))


def sold_by(position: Position, quote: Quote | None, now: datetime) -> int:
    """Contracts that the rules sell at ``quote`` if it stands until the second look, and is not too early."""
    if quote is None or not usable(quote, now):
        return 0
    watch = _seen(position, quote)
    if watch.stop_seen_at is not None:
        watch = replace(watch, stop_seen_at=quote.at - timedelta(seconds=SECOND_LOOK_S))
    decision = _by_price(position, watch, quote)
    return 0 if decision is None else decision.qty


def _seen(position: Position, quote: Quote) -> Watch:
    watch = position.watch
    stop = position.stop_price
    crossed = stop is not None and quote.mid <= stop
    return Watch(
        high_bid=max(watch.high_bid or quote.bid, quote.bid),
        best_mid=max(watch.best_mid or quote.mid, quote.mid),
        worst_mid=min(watch.worst_mid or quote.mid, quote.mid),
        stop_seen_at=(watch.stop_seen_at or quote.at) if crossed else None,
    )


def _by_price(position: Position, watch: Watch, quote: Quote) -> Decision | None:
    if _stopped(position, watch, quote):
        return Decision(ExitReason.STOP, position.qty)
    target = position.target_price
    if target is not None and quote.bid >= target:
        return Decision(ExitReason.TARGET, position.qty)
    if _trailed(position, watch, quote):
        return Decision(ExitReason.TRAIL, position.qty)
    half = _half_due(position, quote)
    return Decision(ExitReason.PARTIAL, half) if half else None


def _stopped(position: Position, watch: Watch, quote: Quote) -> bool:
    if position.plan.stop is None:
        return False
    far = position.price_at(-2 * position.plan.stop)
    if far is not None and quote.bid < far:
        return True
    if watch.stop_seen_at is None:
        return False
    return (quote.at - watch.stop_seen_at).total_seconds() >= SECOND_LOOK_S


def _trailed(position: Position, watch: Watch, quote: Quote) -> bool:
    level = trail_price(position, watch)
    return level is not None and quote.bid <= level


def trail_price(position: Position, watch: Watch) -> Decimal | None:
    """A bid at or below it (dollars per share) ends the trail; None while ``position`` does not trail."""
    plan = position.plan
    if plan.trail is None or watch.high_bid is None:
        return None
    started = position.half_sold
    if not started and position.qty == 1 and plan.half_at is not None:  # one contract cannot be halved
        start = position.price_at(plan.half_at)
        started = start is not None and watch.high_bid >= start
    return watch.high_bid * (1 - plan.trail) if started else None


def _half_due(position: Position, quote: Quote) -> int:
    plan = position.plan
    if plan.half_at is None or position.half_sold or position.qty < 2:
        return 0
    if position.state is PositionState.EXITING:  # half of what a part-filled half has left is not half
        return 0
    start = position.price_at(plan.half_at)
    return position.qty // 2 if start is not None and quote.bid >= start else 0


def _time_is_up(position: Position, now: datetime) -> bool:
    limit = position.plan.max_hold_s
    return limit is not None and (now - position.opened_at).total_seconds() >= limit


def too_early(position: Position, now: datetime, session_open: datetime) -> bool:
    """Whether the session's first quotes of the position say nothing yet: it is held from before, or was
    found at the broker since, and nobody knows."""
    if (now - session_open).total_seconds() >= OPENING_S:
        return False
    return position.found or eastern_date(position.opened_at) < eastern_date(now)


def _look_again(position: Position, watch: Watch, now: datetime) -> datetime | None:
    due = []
    if watch.stop_seen_at is not None:
        due.append(max(watch.stop_seen_at + timedelta(seconds=SECOND_LOOK_S), now))
    if position.plan.max_hold_s is not None:
        due.append(position.opened_at + timedelta(seconds=position.plan.max_hold_s))
    return min(due, default=None)


def adopted(watch: Watch, price: Decimal) -> Watch:
    """The watch of a position that was found, not opened: it begins at its entry price."""
    return replace(watch, high_bid=price, best_mid=price, worst_mid=price)
