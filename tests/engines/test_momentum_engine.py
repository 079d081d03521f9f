"""Momentum on hand-made days: what qualifies, what it is worth, when it speaks, what it remembers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

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
from wsb_snake.core.types import Headline
from wsb_snake.engines.momentum_engine import (
    ENGINE,
    MomentumRules,
    MomentumState,
    Setup,
    scan,
    traded,
    wants_execution,
)
from wsb_snake.engines.types import Direction, MarketView, Signal

RULES = MomentumRules()
NONE = MomentumState()
NOON = OPEN + 150 * MINUTE
AVERAGE = 1_000_000.0
BY_NOON = 0.3839 * AVERAGE
FLAT = (100.0,) * 25


def view(
    price: float,
    volume: float = 1.5,
    daily: Sequence[float] = FLAT,
    news: Sequence[Headline] | None = None,
    ticker: str = "MU",
) -> MarketView:
    """At noon: up from 99 in a straight line to ``price``, on ``volume`` times the usual of the curve."""
    closes = [99 + (price - 99) * n / 149 for n in range(150)]
    tape = minutes(closes, volume * BY_NOON / 150, ticker)
    return MarketView(
        now=NOON,
        session=SESSION,
        feed="hand",
        bars={ticker: tape},
        daily={ticker: dailies(daily, AVERAGE, ticker)},
        news={} if news is None else {ticker: news},
    )


def look(seen: MarketView, rules: MomentumRules = RULES) -> Signal | None:
    signals, _ = scan(seen, NONE, rules)
    return signals[0] if signals else None


def points_of(signal: Signal) -> dict[str, float]:
    return {name: value for name, value in signal.evidence if name.endswith("_points")}


@pytest.mark.parametrize(
    ("price", "volume", "daily", "setup"),
    [
        (101.6, 1.41, FLAT, Setup.DAY_MOVE),
        (101.4, 1.41, FLAT, None),  # less than 1.5 %
        (101.6, 1.39, FLAT, None),  # too little volume
        (100.2, 1.41, (*FLAT, 97.0, 98.0, 99.0, 99.5, 100.0), Setup.FIVE_DAY_RUN),  # 97 to 100.2 in five
        (99.8, 9.0, (*FLAT, 97.0, 98.0, 99.0, 99.5, 100.0), None),  # 2.9 %
        (100.2, 9.0, (97.0, *FLAT[:5]), None),  # six days ago
    ],
)
def test_what_qualifies(price: float, volume: float, daily: Sequence[float], setup: str | None) -> None:
    found = look(view(price, volume, (*FLAT, *daily)))
    assert (found and found.setup) == setup


def test_what_a_signal_says() -> None:
    found = look(view(101.6))
    assert found is not None
    assert found.signal_id == f"{DAY}-momentum_engine-MU-day_move-1200"
    assert (found.engine, found.ticker, found.direction) == (ENGINE, "MU", Direction.LONG)
    assert found.at == NOON
    assert found.price == pytest.approx(101.6)
    assert found.confidence == sum(points_of(found).values()) == 60 + 2 + 2 + 3
    told = dict(found.evidence)
    assert told["day_move"] == pytest.approx(0.016)
    assert told["run"] == pytest.approx(0.016)
    assert told["volume_ratio"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("price", "volume", "name", "given"),
    [
        (102.6, 1.5, "day_move_points", 4),
        (104.1, 1.5, "day_move_points", 7),
        (106.1, 1.5, "day_move_points", 10),
        (105.1, 1.5, "run_points", 4),
        (108.1, 1.5, "run_points", 7),
        (112.1, 1.5, "run_points", 10),
        (101.6, 2.01, "volume_points", 8),
        (101.6, 3.01, "volume_points", 12),
    ],
)
def test_each_step_has_its_points(price: float, volume: float, name: str, given: float) -> None:
    found = look(view(price, volume))
    assert found is not None
    assert points_of(found)[name] == given


def test_below_vwap_there_are_no_points_for_it() -> None:
    seen = view(103.0, 2.5)
    falling = minutes([103.5 - n / 150 for n in range(150)], 2.5 * BY_NOON / 150)
    found = look(replace(seen, bars={"MU": falling}))
    assert found is not None
    assert points_of(found)["vwap_points"] == 0


def test_a_run_that_has_turned_down_today_is_worth_less() -> None:
    run = (*FLAT, 90.0, 94.0, 97.0, 99.0, 100.0)
    down, up = look(view(99.9, 3.5, run)), look(view(100.1, 3.5, run))
    assert down is not None
    assert up is not None
    assert points_of(down)["day_move_points"] == -8
    assert up.confidence - down.confidence == 8


@pytest.mark.parametrize(
    ("hours_ago", "text", "given"),
    [
        (1, "MU wins a record order", 5),
        (1, "MU shows at a trade fair", 5),
        (1, "MU sued over fraud", -5),
        (18, "MU wins a record order", 5),  # yesterday at six in the evening
        (21, "MU wins a record order", None),  # yesterday at three: it is in yesterday's close
        (-0.1, "MU wins a record order", None),  # not out yet
    ],
)
def test_news_since_the_last_close_is_a_catalyst(hours_ago: float, text: str, given: float | None) -> None:
    item = Headline(NOON - timedelta(hours=hours_ago), text, "wire", ("MU",))
    found = look(view(104.0, 2.5, news=(item,)))
    assert found is not None
    assert points_of(found).get("catalyst_points") == given


def test_after_a_half_day_the_news_of_its_afternoon_count() -> None:
    item = Headline(NOON - timedelta(hours=21), "MU wins a record order", "wire", ("MU",))  # at three
    half = replace(YESTERDAY, close=YESTERDAY.open + timedelta(hours=3.5))
    for previous, points in ((YESTERDAY, None), (half, 5)):
        found = look(replace(view(104.0, 2.5, news=(item,)), previous=previous))
        assert found is not None
        assert points_of(found).get("catalyst_points") == points


def test_what_bad_news_pulls_below_the_alert_bar_is_not_said() -> None:
    bad = Headline(NOON - MINUTE, "MU sued over fraud", "wire", ("MU",))
    run = (*FLAT, 96.0, 97.0, 98.0, 99.0, 100.0)
    rules = replace(RULES, alert=62)
    assert look(view(99.9, 2.5, run, (bad,)), rules) is None
    assert look(view(99.9, 2.5, run), rules) is not None


def test_news_is_not_needed() -> None:
    known, unknown = look(view(104.0, 2.5, news=())), look(view(104.0, 2.5))
    assert known == unknown
    assert known is not None


def test_volume_is_compared_by_the_minute_where_earlier_sessions_are_known() -> None:
    busy = [minutes([100.0] * 390, BY_NOON / 100, start=OPEN - timedelta(days=n)) for n in (7, 6, 5, 4, 1)]
    seen = replace(view(101.6), sessions={"MU": busy})
    assert look(seen) is None
    calm = [minutes([100.0] * 390, BY_NOON / 300, start=OPEN - timedelta(days=n)) for n in (7, 6, 5, 4, 1)]
    found = look(replace(seen, sessions={"MU": calm}))
    assert found is not None
    assert dict(found.evidence)["volume_ratio"] == pytest.approx(3.0)


def test_the_usual_volume_of_another_feed_is_none() -> None:
    calm = [minutes([100.0] * 390, BY_NOON / 300, start=OPEN - timedelta(days=n)) for n in (7, 6, 5, 4, 1)]
    seen = replace(view(104.0, 3.0), sessions={"MU": calm}, sessions_feed="hand", daily_feed="hand")
    assert look(seen) is not None
    assert look(replace(seen, daily_feed="other")) is not None
    assert look(replace(seen, sessions_feed="other")) is not None
    assert look(replace(seen, daily_feed="other", sessions_feed="other")) is None


def test_daily_bars_must_reach_the_session_before() -> None:
    seen = replace(view(104.0, 3.0), previous=YESTERDAY)
    ((ticker, daily),) = seen.daily.items()
    assert look(seen) is not None
    assert look(replace(seen, daily={ticker: daily[:-1]})) is None


@pytest.mark.parametrize("spoilt", ["no bars", "no daily", "old bars", "old daily", "not in the list"])
def test_without_the_facts_there_is_no_signal(spoilt: str) -> None:
    seen = view(104.0, 3.0)
    if spoilt == "no bars":
        seen = replace(seen, bars={})
    elif spoilt == "no daily":
        seen = replace(seen, daily={"MU": ()})
    elif spoilt == "old bars":
        seen = replace(seen, now=NOON + timedelta(seconds=301))
    elif spoilt == "old daily":
        seen = replace(seen, daily={"MU": seen.daily["MU"][:-3]})
    else:
        seen = view(104.0, 3.0, ticker="SPY")
    assert look(seen) is None
    assert look(view(104.0, 3.0)) is not None


@pytest.mark.parametrize(("minute", "speaks"), [(4, False), (5, True), (374, True), (375, False)])
def test_it_speaks_in_its_hours_only(minute: int, speaks: bool) -> None:
    now = OPEN + minute * MINUTE
    tape = minutes([105.0] * minute, 3 * AVERAGE)
    assert (look(replace(view(105.0), now=now, bars={"MU": tape})) is not None) is speaks


# memory


def spoken(seen: MarketView, state: MomentumState, at: datetime) -> tuple[bool, MomentumState]:
    """Whether a pass at ``at`` speaks; the last bar goes on to be repeated until then."""
    tape = list(seen.bars["MU"])
    more = (at - NOON) // MINUTE
    tape += minutes([tape[-1].close] * more, tape[-1].volume, start=NOON)
    signals, state = scan(replace(seen, now=at, bars={"MU": tape}), state)
    return bool(signals), state


def test_a_ticker_rests_for_half_an_hour_after_a_signal() -> None:
    strong = view(105.0, 3.5)
    said, state = spoken(strong, NONE, NOON)
    assert said
    said, state = spoken(strong, state, NOON + 29 * MINUTE)
    assert not said
    said, _ = spoken(strong, state, NOON + 30 * MINUTE)
    assert said


def test_a_weak_signal_holds_up_its_like_only() -> None:
    run = (*FLAT, 96.0, 97.0, 98.0, 99.0, 100.0)
    weak, strong = view(100.1, 1.5, run), view(105.0, 3.5, run)
    rules = replace(RULES, vwap_points=0)
    signals, state = scan(weak, NONE, rules)
    assert [each.confidence for each in signals] == [64]
    assert "below the bar of 65" in (wants_execution(signals[0], NOON, SESSION) or "")
    soon = NOON + 2 * MINUTE
    assert not scan(replace(weak, now=soon), state, rules)[0]
    assert scan(replace(strong, now=soon), state, rules)[0]


def test_a_trade_begins_the_cooldown_anew() -> None:
    strong = view(105.0, 3.5)
    state = traded(NONE, "MU", NOON - 10 * MINUTE)
    assert not spoken(strong, state, NOON)[0]
    assert spoken(strong, state, NOON + 20 * MINUTE)[0]
    assert spoken(strong, traded(NONE, "INTC", NOON), NOON)[0]


def test_a_strong_signal_may_be_traded() -> None:
    found = look(view(104.0, 3.0))
    assert found is not None
    assert wants_execution(found, NOON, SESSION) is None
    assert wants_execution(found, HALF_DAY.close, HALF_DAY) == "entries ended at 12:45 ET"


def test_what_is_stored_comes_back() -> None:
    _, state = scan(view(105.0, 3.5), traded(NONE, "INTC", NOON))
    weak = replace(state, last_weak_at=(("PL", NOON),))
    assert MomentumState.from_json(weak.to_json()) == weak
    assert MomentumState.from_json(NONE.to_json()) == NONE


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        MomentumState.from_json(text)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.floats(50, 200),
    st.floats(0, 20),
    st.lists(st.floats(40, 250), min_size=1, max_size=40),
    st.lists(st.sampled_from(("MU sued", "MU wins", "MU speaks")), max_size=4),
)
def test_confidence_is_bounded_and_explained(
    price: float, volume: float, daily: list[float], texts: list[str]
) -> None:
    items = [Headline(NOON - (n + 1) * MINUTE, text, "wire", ("MU",)) for n, text in enumerate(texts)]
    found = look(view(price, volume, daily, items))
    if found is not None:
        assert RULES.alert <= found.confidence <= 100
        assert found.confidence == pytest.approx(min(sum(points_of(found).values()), 100))
        told = dict(found.evidence)
        assert told["volume_ratio"] >= 1.4
        assert told["day_move"] >= 0.015 or told["run"] >= 0.03


def test_no_minute_knows_what_comes_after_it() -> None:
    """Three seeded days with their future left in, and the same with it cut off."""
    rules = replace(RULES, tickers=("INTC", "USAR", "PL"))
    given_signals = 0
    for day in seeded(1, rules.tickers, history=6).values():
        with_future = without = NONE
        for now in passes(day):
            some, with_future = scan(replace(day, now=now), with_future, rules)
            same, without = scan(cut_off(day, now), without, rules)
            assert (some, with_future) == (same, without)
            given_signals += len(some)
    assert given_signals > 10
