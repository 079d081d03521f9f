"""LEAPS on hand-made histories: what qualifies, what it is worth, and one entry a day."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.slow_market import (
    DAY,
    HALF_DAY,
    MINUTE,
    OPEN,
    SESSION,
    YESTERDAY,
    cut_off,
    dailies,
    minutes,
    passes,
    seeded,
)
from wsb_snake.core.calendar import Session
from wsb_snake.engines.leaps_engine import (
    ENGINE,
    LeapsRules,
    LeapsState,
    scan,
    traded,
    wants_execution,
)
from wsb_snake.engines.types import Direction, MarketView, Signal

RULES = LeapsRules()
NONE = LeapsState()
NOON = OPEN + 150 * MINUTE
FLAT = (100.0,) * 70


def view(price: float, daily: Sequence[float] = FLAT, ticker: str = "SLV") -> MarketView:
    return MarketView(
        now=NOON,
        session=SESSION,
        feed="hand",
        bars={ticker: minutes([price] * 150, ticker=ticker)},
        daily={ticker: dailies(daily, ticker=ticker)},
    )


def rising(step: float) -> tuple[float, ...]:
    return tuple(100 * (1 + step) ** n for n in range(70))


def look(seen: MarketView) -> Signal | None:
    signals, _ = scan(seen, NONE)
    return signals[0] if signals else None


def points_of(signal: Signal) -> dict[str, float]:
    return {name: value for name, value in signal.evidence if name.endswith("_points")}


@pytest.mark.parametrize(
    ("price", "qualifies"),
    [
        (100.50, False),  # the average of 49 times 100 and 100.50 is 100.01
        (100.52, True),
        (101.00, True),
        (99.00, False),
    ],
)
def test_half_a_percent_above_the_average_of_fifty_days(price: float, qualifies: bool) -> None:
    assert (look(view(price)) is not None) is qualifies


def test_the_average_is_of_the_last_forty_nine_closes_and_now() -> None:
    daily = (*(50.0,) * 30, *(100.0,) * 49)
    found = look(view(101.0, daily))
    assert found is not None
    assert dict(found.evidence)["average"] == pytest.approx((49 * 100 + 101) / 50)
    assert look(view(101.0, FLAT[:48])) is None


def test_what_a_signal_says() -> None:
    found = look(view(101.0))
    assert found is not None
    assert found.signal_id == f"{DAY}-leaps_engine-SLV-above_average-1200"
    assert (found.engine, found.ticker, found.direction) == (ENGINE, "SLV", Direction.LONG)
    assert (found.at, found.price) == (NOON, 101.0)
    assert found.confidence == sum(points_of(found).values()) == 58 + 2 + 0 + 0
    assert "below the bar of 62" in (wants_execution(found, NOON, SESSION, RULES, NONE) or "")


@pytest.mark.parametrize(
    ("step", "above", "slope", "confidence"),
    [(0.0005, 2, 4, 70), (0.001, 5, 7, 76), (0.0015, 8, 7, 79), (0.0025, 10, 10, 84)],
)
def test_a_steeper_rise_is_worth_more(step: float, above: float, slope: float, confidence: float) -> None:
    daily = rising(step)
    found = look(view(daily[-1] * (1 + step), daily))
    assert found is not None
    given_points = points_of(found)
    assert given_points["above_average_points"] == above
    assert given_points["average_slope_points"] == slope
    assert given_points["held_above_points"] == 6
    assert found.confidence == confidence
    assert wants_execution(found, NOON, SESSION, RULES, NONE) is None


def test_a_jump_over_a_falling_average_is_no_trend() -> None:
    falling = rising(-0.001)
    found = look(view(falling[-1] * 1.05, falling))
    assert found is None or points_of(found)["average_slope_points"] == -4
    assert look(view(falling[-1] * 1.12, falling)) is not None


def test_a_short_history_tells_no_slope_and_gives_nothing_for_it() -> None:
    found = look(view(102.0, FLAT[:49]))
    assert found is not None
    assert "average_slope" not in dict(found.evidence)


def test_daily_bars_must_reach_the_session_before() -> None:
    seen = replace(view(103.0), previous=YESTERDAY)
    ((ticker, daily),) = seen.daily.items()
    assert look(seen) is not None
    assert look(replace(seen, daily={ticker: daily[:-1]})) is None


@pytest.mark.parametrize("spoilt", ["no bars", "no daily", "old bars", "old daily", "not in the list"])
def test_without_the_facts_there_is_no_signal(spoilt: str) -> None:
    seen = view(103.0)
    if spoilt == "no bars":
        seen = replace(seen, bars={"SLV": ()})
    elif spoilt == "no daily":
        seen = replace(seen, daily={})
    elif spoilt == "old bars":
        seen = replace(seen, now=NOON + timedelta(seconds=601))
    elif spoilt == "old daily":
        seen = replace(seen, daily={"SLV": seen.daily["SLV"][:-3]})
    else:
        seen = view(103.0, ticker="MU")
    assert look(seen) is None
    assert look(view(103.0)) is not None


def test_a_ticker_speaks_again_after_two_hours() -> None:
    signals, state = scan(view(103.0), NONE)
    assert signals
    seen = view(103.0)
    for minute, again in ((119, False), (120, True)):
        tape = minutes([103.0] * (150 + minute))
        later = replace(seen, now=NOON + minute * MINUTE, bars={"SLV": tape})
        assert bool(scan(later, state)[0]) is again


def test_there_is_one_entry_a_day() -> None:
    daily = rising(0.001)
    found = look(view(daily[-1], daily))
    assert found is not None
    state = traded(NONE, "GDX", NOON - 30 * MINUTE)
    reason = wants_execution(found, NOON, SESSION, RULES, state)
    assert reason == "one entry a day: GDX was entered at 11:30 ET"
    signals, after = scan(view(daily[-1], daily), state)
    assert signals  # told, and followed on paper
    assert after.last_entry == state.last_entry
    day = timedelta(days=1)
    tomorrow = Session(DAY + day, SESSION.open + day, SESSION.close + day)
    next_day = replace(found, at=found.at + day)
    assert wants_execution(next_day, NOON + day, tomorrow, RULES, after) is None
    _, forgotten = scan(replace(view(daily[-1], daily), session=tomorrow, now=NOON + day), after)
    assert forgotten.last_entry == ()


def test_the_hours_and_the_age_of_a_signal() -> None:
    daily = rising(0.001)
    found = look(view(daily[-1], daily))
    assert found is not None
    assert wants_execution(found, HALF_DAY.close, HALF_DAY, RULES, NONE) == "entries ended at 12:45 ET"
    assert "old" in (wants_execution(found, NOON + 16 * MINUTE, SESSION, RULES, NONE) or "")
    early = replace(view(daily[-1], daily), now=OPEN + 4 * MINUTE)
    assert not scan(early, NONE)[0]


def test_what_is_stored_comes_back() -> None:
    _, state = scan(view(103.0), traded(NONE, "GDX", NOON))
    assert LeapsState.from_json(state.to_json()) == state
    assert LeapsState.from_json(NONE.to_json()) == NONE
    two = json.dumps({"last_signal_at": [], "last_entry": [[t, NOON.isoformat()] for t in "AB"]})
    with pytest.raises(ValueError, match="one last entry"):
        LeapsState.from_json(two)


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        LeapsState.from_json(text)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.floats(20, 400), st.lists(st.floats(50, 200), min_size=1, max_size=80))
def test_confidence_is_bounded_and_explained(price: float, daily: list[float]) -> None:
    found = look(view(price, daily))
    if found is not None:
        assert RULES.alert <= found.confidence <= 100
        assert found.confidence == pytest.approx(sum(points_of(found).values()))
        average = (sum(daily[-49:]) + price) / 50
        assert len(daily) >= 49
        assert price >= average * 1.005 * (1 - 1e-9)


def test_no_minute_knows_what_comes_after_it() -> None:
    """Three seeded days with their future left in, and the same with it cut off."""
    rules = replace(RULES, tickers=("SLV", "AMZN", "XLE", "IWM"), again_s=600)
    given_signals = 0
    for day in seeded(1, rules.tickers, history=1).values():
        with_future = without = NONE
        for now in passes(day):
            some, with_future = scan(replace(day, now=now), with_future, rules)
            same, without = scan(cut_off(day, now), without, rules)
            assert (some, with_future) == (same, without)
            given_signals += len(some)
    assert given_signals > 10
