"""What the components share: votes, and which bars, days and chains they may look at."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.component_market import (
    DAY,
    MINUTE,
    OPEN,
    SESSION,
    TICKER,
    bar,
    chain_of,
    day_bar,
    steps,
    tape,
    view,
)
from wsb_snake.core.calendar import Session
from wsb_snake.core.types import Chain
from wsb_snake.engines import components
from wsb_snake.engines.components import Part, weigh
from wsb_snake.engines.types import Direction

parts = st.lists(st.builds(Part, st.just("part"), st.floats(-9, 9), st.integers(-60, 60).map(float)))


@given(parts)
def test_votes_add_up_to_score_and_direction(given_parts: list[Part]) -> None:
    opinion = weigh(given_parts, (("fact", 7.0),))
    net = sum(part.points for part in given_parts)
    assert opinion.score == min(abs(net), 100)
    assert (opinion.direction is Direction.LONG) == (net > 0)
    assert (opinion.direction is Direction.SHORT) == (net < 0)
    assert opinion.evidence[0] == ("fact", 7.0)
    assert sum(value for name, value in opinion.evidence if name == "part_points") == net


@pytest.mark.parametrize(("value", "points"), [(4.9, 1), (5, 3), (9, 3), (2, 1), (1.9, 0), (-9, 0)])
def test_the_first_step_that_is_reached_gives_its_points(value: float, points: float) -> None:
    assert components.points(value, ((5, 3), (2, 1))) == points


@pytest.mark.parametrize(("value", "sign"), [(0.1, 1), (0, 0), (-3, -1)])
def test_sign(value: float, sign: int) -> None:
    assert components.sign_of(value) == sign


def test_only_minutes_of_the_session_that_have_ended_count() -> None:
    bars = tape([bar(100) for _ in range(400)], OPEN - 5 * MINUTE)
    seen = components.ended_bars(view(bars, OPEN + 10 * MINUTE), TICKER)
    assert (seen[0].start, seen[-1].start) == (OPEN, OPEN + 9 * MINUTE)
    seen = components.ended_bars(view(bars, OPEN + 10 * MINUTE - timedelta(seconds=1)), TICKER)
    assert seen[-1].start == OPEN + 8 * MINUTE
    half = Session(DAY, OPEN, OPEN + 60 * MINUTE)
    seen = components.ended_bars(view(bars, OPEN + 300 * MINUTE, session=half), TICKER)
    assert seen[-1].start == OPEN + 59 * MINUTE
    assert components.ended_bars(view(bars), "OTHER") == ()


def test_the_last_minutes_hold_fewer_bars_where_minutes_are_missing() -> None:
    bars = tape([bar(100) for _ in range(10)])
    assert components.last_minutes(bars, 5) == 5
    assert components.last_minutes([*bars[:6], *bars[8:]], 5) == 3
    assert components.last_minutes(bars, 50) == 10
    assert components.last_minutes([], 5) == 0


def test_a_move_is_measured_from_the_close_before_the_minutes() -> None:
    bars = steps([100, 101, 102, 103])
    assert components.moved(bars, 2) == pytest.approx(103 / 101 - 1)
    assert components.moved(bars, 9) == pytest.approx(0.03)
    assert components.moved([], 2) == 0


def test_the_age_of_data_counts_from_the_end_of_the_newest_bar() -> None:
    bars = tape([bar(100)])
    assert components.age_s(bars, OPEN + 2 * MINUTE) == 60
    assert components.age_s([], OPEN) is None


def test_today_is_no_earlier_day() -> None:
    past = day_bar(DAY - timedelta(days=1), 99)
    shown = replace(view([bar(100)]), daily={TICKER: [past, day_bar(DAY, 100), day_bar(DAY, 101)]})
    assert components.earlier_days(shown, TICKER) == [past]
    assert components.earlier_days(shown, "OTHER") == ()


def test_a_chain_must_be_young_not_from_the_future_and_not_expired() -> None:
    now = OPEN + 60 * MINUTE
    chain = chain_of([99, 100, 101], 100, now - timedelta(seconds=900))

    def usable(kept: Chain) -> bool:
        shown = replace(view([bar(100)], now), chains={TICKER: kept})
        return components.usable_chain(shown, TICKER, 900) is kept

    assert usable(chain)
    assert not usable(replace(chain, at=now - timedelta(seconds=901)))
    assert not usable(replace(chain, at=now + timedelta(seconds=1)))
    assert not usable(replace(chain, expiry=DAY - timedelta(days=1)))
    assert not usable(replace(chain, rows=()))
    assert components.usable_chain(view([bar(100)], now), TICKER, 900) is None


def test_before_the_newest_chain_was_taken_the_one_before_it_counts() -> None:
    now = OPEN + 60 * MINUTE
    newest = chain_of([99, 100, 101], 100, now)
    before = replace(newest, at=now - 10 * MINUTE)
    whole = replace(view([bar(100)], now), chains={TICKER: newest}, earlier_chains={TICKER: before})
    used = [
        components.usable_chain(replace(whole, now=now - n * MINUTE), TICKER, 900) for n in (0, 1, 10, 11)
    ]
    assert used == [newest, before, before, None]


def test_a_chain_expires_with_the_session_or_at_four_on_a_later_day() -> None:
    shown = view([bar(100)])
    assert components.expires_at(shown, chain_of([100], 100, OPEN)) == SESSION.close
    later = chain_of([100], 100, OPEN, expiry=DAY + timedelta(days=1))
    assert components.expires_at(shown, later) == SESSION.close + timedelta(days=1)
