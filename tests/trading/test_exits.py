"""The exit rules, one look at a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.trading.samples import NOON, OPEN, money, position, quote
from wsb_snake.core.orders import ExitReason, Origin, PositionState
from wsb_snake.core.signals import NO_EXITS, ExitPlan
from wsb_snake.trading.exits import Decision, decide, trail_price
from wsb_snake.trading.positions import Watch

FRESH = position()
TRAILING = ExitPlan(half_at=money("0.50"), trail=money("0.20"))


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [
        ("2.39", "2.41", None),
        ("2.40", "2.42", ExitReason.TARGET),  # the bid, not the mid
        ("2.38", "2.60", None),
        ("1.69", "1.73", None),  # mid 1.71 above the stop at 1.70
        ("1.69", "1.71", None),  # mid at the stop: a first look only
        ("1.40", "1.80", None),  # bid at twice the distance is not below it
        ("1.39", "3.00", ExitReason.STOP),  # bid below twice the distance, whatever the mid
    ],
)
def test_one_look(bid: str, ask: str, reason: ExitReason | None) -> None:
    decision = decide(FRESH, quote(bid, ask), NOON, OPEN).decision
    assert (decision and decision.reason) == reason


@pytest.mark.parametrize(("seconds", "stopped"), [(0.9, False), (1.0, True), (5.0, True)])
def test_the_stop_needs_two_quotes_a_second_apart(seconds: float, stopped: bool) -> None:
    first = decide(FRESH, quote("1.65", "1.70"), NOON, OPEN)
    assert first.decision is None
    assert first.look_again_at == NOON + timedelta(seconds=1)
    later = NOON + timedelta(seconds=seconds)
    second = decide(position(watch=first.watch), quote("1.65", "1.70", later), later, OPEN)
    assert (second.decision == Decision(ExitReason.STOP, 4)) is stopped


def test_the_same_quote_seen_twice_is_one_quote() -> None:
    first = decide(FRESH, quote("1.65", "1.70"), NOON, OPEN)
    later = NOON + timedelta(seconds=5)
    assert decide(position(watch=first.watch), quote("1.65", "1.70"), later, OPEN).decision is None


def test_a_recovery_between_two_looks_forgets_the_first() -> None:
    first = decide(FRESH, quote("1.65", "1.70"), NOON, OPEN)
    later = NOON + timedelta(seconds=1)
    up = decide(position(watch=first.watch), quote("1.80", "1.82", later), later, OPEN)
    assert up.watch.stop_seen_at is None


@pytest.mark.parametrize(
    "bad",
    [
        quote("0", "0.01"),
        quote("0", "0"),
        quote("3.00", "2.90"),
        quote("1.00", "1.01", NOON - timedelta(seconds=16)),
        quote("9.00", "9.01", NOON + timedelta(seconds=16)),
        None,
    ],
)
def test_zero_crossed_stale_and_missing_quotes_trigger_nothing(bad: object) -> None:
    verdict = decide(FRESH, bad, NOON, OPEN)  # type: ignore[arg-type]
    assert verdict.decision is None
    assert verdict.watch == FRESH.watch


def test_time_needs_no_quote() -> None:
    old = position(opened_at=NOON - timedelta(seconds=2700))
    assert decide(old, None, NOON, OPEN).decision == Decision(ExitReason.TIME, 4)
    young = position(opened_at=NOON - timedelta(seconds=2699))
    verdict = decide(young, None, NOON, OPEN)
    assert verdict.decision is None
    assert verdict.look_again_at == NOON + timedelta(seconds=1)


def test_an_overnight_position_ignores_the_first_five_minutes() -> None:
    overnight = position(opened_at=NOON - timedelta(days=1), plan=ExitPlan(target=money("0.20")))
    early = OPEN + timedelta(seconds=299)
    assert decide(overnight, quote("9", "9.1", early), early, OPEN).decision is None
    late = OPEN + timedelta(seconds=300)
    assert decide(overnight, quote("9", "9.1", late), late, OPEN).decision is not None


@pytest.mark.parametrize("origin", Origin)
def test_what_was_found_in_the_first_five_minutes_is_as_one_held_overnight(origin: Origin) -> None:
    found = position(origin=origin, signal_id=None, opened_at=OPEN + timedelta(seconds=2))
    early = OPEN + timedelta(seconds=4)
    assert decide(found, quote("1.00", "2.90", early), early, OPEN).decision is None
    late = OPEN + timedelta(seconds=300)
    assert decide(found, quote("1.00", "2.90", late), late, OPEN).decision is not None
    bought = replace(found, signal_id="sig-1")
    assert decide(bought, quote("1.00", "2.90", early), early, OPEN).decision is not None


def test_a_position_without_a_plan_is_never_sold() -> None:
    free = position(plan=NO_EXITS, opened_at=NOON - timedelta(days=3))
    for bid, ask in (("0.01", "0.02"), ("90", "91")):
        assert decide(free, quote(bid, ask), NOON, OPEN).decision is None


def test_half_goes_at_fifty_percent_and_the_rest_trails() -> None:
    runner = position(plan=TRAILING, qty=5, bought_qty=5)
    assert decide(runner, quote("3.00", "3.10"), NOON, OPEN).decision == Decision(ExitReason.PARTIAL, 2)
    rest = position(plan=TRAILING, qty=3, bought_qty=5, half_sold=True, watch=Watch(high_bid=money("4.00")))
    assert decide(rest, quote("3.21", "3.30"), NOON, OPEN).decision is None
    assert decide(rest, quote("3.20", "3.30"), NOON, OPEN).decision == Decision(ExitReason.TRAIL, 3)


def test_the_level_of_the_trail_is_known_once_it_trails() -> None:
    rest = position(plan=TRAILING, qty=3, bought_qty=5, half_sold=True, watch=Watch(high_bid=money("4.00")))
    assert trail_price(rest, rest.watch) == money("3.20")
    assert trail_price(replace(rest, half_sold=False), rest.watch) is None
    assert trail_price(rest, Watch()) is None
    assert trail_price(replace(rest, plan=NO_EXITS), rest.watch) is None


def test_one_contract_trails_from_fifty_percent_on() -> None:
    one = position(plan=TRAILING, qty=1, bought_qty=1, watch=Watch(high_bid=money("2.99")))
    assert decide(one, quote("2.00", "2.10"), NOON, OPEN).decision is None
    high = position(plan=TRAILING, qty=1, bought_qty=1, watch=Watch(high_bid=money("3.00")))
    assert decide(high, quote("2.40", "2.50"), NOON, OPEN).decision == Decision(ExitReason.TRAIL, 1)


def test_what_came_down_to_one_contract_trails_like_one() -> None:
    """Two of three were sold by hand: nothing is left to halve."""
    left = position(plan=TRAILING, qty=1, bought_qty=3, watch=Watch(high_bid=money("3.00")))
    assert decide(left, quote("2.40", "2.50"), NOON, OPEN).decision == Decision(ExitReason.TRAIL, 1)


def test_the_watch_keeps_the_extremes() -> None:
    watch = decide(FRESH, quote("2.10", "2.20"), NOON, OPEN).watch
    watch = decide(position(watch=watch), quote("1.90", "2.00"), NOON, OPEN).watch
    assert (watch.high_bid, watch.best_mid, watch.worst_mid) == (money("2.10"), money("2.15"), money("1.95"))


def test_yesterdays_crossing_is_no_first_look_today() -> None:
    seen = position(opened_at=NOON - timedelta(days=1), watch=Watch(stop_seen_at=NOON - timedelta(days=1)))
    stops = ExitPlan(stop=money("0.15"))
    early = decide(replace(seen, plan=stops), quote("1.65", "1.70", OPEN), OPEN, OPEN)
    assert early.watch.stop_seen_at is None
    at = OPEN + timedelta(minutes=6)
    first = decide(replace(seen, plan=stops, watch=early.watch), quote("1.65", "1.70", at), at, OPEN)
    assert first.decision is None


def test_a_half_that_is_being_sold_is_not_halved_again() -> None:
    selling = position(plan=TRAILING, qty=8, bought_qty=9, state=PositionState.EXITING, to_sell=3)
    assert decide(selling, quote("3.00", "3.10"), NOON, OPEN).decision is None
