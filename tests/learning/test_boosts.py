"""Boosts find an edge that is there and invent none that is not."""

import math
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wsb_snake.learning.boosts import (
    MAX_POINTS,
    MIN_TO_LIFT,
    PRIOR_SD,
    SPREAD_TRADES,
    Boost,
    Tally,
    believe,
    boost,
    judged,
    tally,
)


def cell(trades: int, mean: float, sd: float = 1.0) -> Tally:
    """A tally of exactly this mean and standard deviation."""
    return Tally(trades, trades * mean, trades * (sd * sd + mean * mean))


def both(one: Tally, other: Tally) -> Tally:
    return Tally(one.trades + other.trades, one.total + other.total, one.squares + other.squares)


def points(of: Tally, others: Tally, factor: float = 1.0) -> float:
    found = boost("time", of, both(of, others), "here", factor)
    assert found is not None
    return found.points


def test_the_arithmetic_by_hand() -> None:
    """100 trades at +0.25 R against 900 at zero, all with an sd of 1.

    Prior variance 0.01; noise 1/100 + (900/920)^2/900 = 0.0110633; kept 0.01/0.0210633 = 0.47476.
    """
    ours, others = cell(100, 0.25), cell(900, 0.0)
    belief = believe(ours, both(ours, others))
    assert belief.kept == pytest.approx(0.47476, rel=0.01)
    assert belief.edge == pytest.approx(0.25 * 0.47476, rel=0.01)
    assert belief.sd == pytest.approx(PRIOR_SD * math.sqrt(1 - 0.47476), rel=0.01)
    assert points(ours, others) == pytest.approx(20 * 0.25 * 0.47476, abs=0.06)


def test_the_line_says_where_the_points_come_from() -> None:
    found = boost("time", cell(200, 0.25), both(cell(200, 0.25), cell(800, 0.0)), "in this hour and setup")
    assert found is not None
    assert (found.source, found.trades, found.lifts) == ("time", 200, True)
    assert found.why == f"{found.points:+.1f} from 200 trades in this hour and setup, shrunk to 62 %"


def test_an_edge_in_doubt_gives_nothing_and_says_so() -> None:
    found = boost("time", cell(14, 0.25), both(cell(14, 0.25), cell(800, 0.0)), "in this hour and setup")
    assert found is not None
    assert found.points == 0
    assert found.why == "0 from 14 trades in this hour and setup: their edge of +0.03 R is in doubt"


def test_no_trades_no_boost() -> None:
    assert boost("time", Tally(), cell(100, 0.1), "here") is None


def test_a_cell_of_all_trades_is_compared_with_nothing_gained() -> None:
    assert points(cell(400, 0.3), Tally()) == pytest.approx(20 * 0.3 * 400 / 500, abs=0.06)


def test_a_new_regime_halves() -> None:
    whole = points(cell(300, 0.3), cell(900, 0.0))
    assert points(cell(300, 0.3), cell(900, 0.0), factor=0.5) == pytest.approx(whole / 2, abs=0.051)


def test_the_best_cell_in_the_world_stays_within_the_bound() -> None:
    assert points(cell(5000, 3.0), cell(5000, 0.0)) == MAX_POINTS
    assert points(cell(5000, -3.0), cell(5000, 0.0)) == -MAX_POINTS


@given(
    st.lists(st.floats(-3, 6), min_size=1, max_size=60),
    st.lists(st.floats(-3, 6), max_size=60),
    st.randoms(use_true_random=False),
)
def test_a_boost_has_at_most_as_many_points_as_standard_errors(
    ours: list[float], others: list[float], luck: random.Random
) -> None:
    """Whatever the trades: this is what keeps luck small. Their order changes nothing."""
    one, rest = tally(ours), tally(others)
    everything = both(one, rest)
    belief = believe(one, everything)
    assume(0 < belief.kept < 1)
    noise = PRIOR_SD**2 * (1 / belief.kept - 1)
    z = abs(belief.edge / belief.kept) / math.sqrt(noise)
    found = boost("time", one, everything, "here")
    assert found is not None
    assert abs(found.points) <= min(MAX_POINTS, z) + 0.05
    luck.shuffle(ours)
    assert tally(ours) == one


def test_wild_trades_are_believed_less() -> None:
    """A cell's own spread counts, not only that of all trades."""
    assert believe(cell(100, 0.3, sd=3.0), both(cell(100, 0.3, sd=3.0), cell(900, 0.0))).kept < 0.2
    assert believe(cell(100, 0.3, sd=1.0), both(cell(100, 0.3, sd=1.0), cell(900, 0.0))).kept > 0.4
    assert SPREAD_TRADES < 100


def made(points: float, trades: int = 100, lifts: bool = True) -> Boost:
    return Boost("time", points, trades, f"{points:+.1f} from {trades}", lifts)


@pytest.mark.parametrize(
    ("confidence", "boosts", "after"),
    [
        (65.0, (), 65.0),
        (65.0, (made(4.0),), 69.0),
        (65.0, (made(6.0),), 71.0),
        (65.0, (made(6.0, 14, lifts=False),), 69.9),  # up to the bar and no further
        (71.0, (made(6.0, 14, lifts=False),), 77.0),  # it was over the bar by itself
        (65.0, (made(3.0), made(6.0, 14, lifts=False)), 69.9),  # the stronger counts, and may not lift
        (65.0, (made(6.0, 14, lifts=False), made(6.0)), 71.0),
        (65.0, (made(6.0), made(3.0, 14, lifts=False)), 71.0),  # of two that pull one way the stronger
        (72.0, (made(-3.0), made(-6.0)), 66.0),
        (72.0, (made(5.0), made(-3.0), made(-2.0), made(4.0)), 74.0),  # and both ways are weighed up
        (72.0, (made(-6.0, 14, lifts=False),), 66.0),
        (65.0, (made(12.0),), 75.0),  # at most ten in all
        (65.0, (made(-12.0),), 55.0),
        (95.0, (made(9.0),), 100.0),
        (69.95, (made(6.0, 14, lifts=False),), 69.95),  # never lowered for being held
    ],
)
def test_judged(confidence: float, boosts: tuple[Boost, ...], after: float) -> None:
    assert judged(confidence, boosts, 70.0)[0] == pytest.approx(after)


def test_judged_says_what_was_added_and_what_was_not() -> None:
    assert judged(65.0, (made(6.0), made(0.0)), 70.0)[1] == "+6.0 from 100"
    assert judged(65.0, (), 70.0)[1] == ""
    twice = judged(65.0, (made(3.0), made(6.0)), 90.0)[1]
    assert twice == "+6.0 from 100; +3.0 by time not added: much of it is the same trades"
    held = judged(65.0, (made(6.0, 14, lifts=False),), 70.0)[1]
    assert held == f"+6.0 from 14; not lifted over 70: no cell of {MIN_TO_LIFT} earning trades carries it"


def test_it_takes_thirty_outcomes_that_earn_to_lift() -> None:
    few = boost("time", cell(29, 1.5), both(cell(29, 1.5), cell(900, 0.0)), "here")
    enough = boost("time", cell(30, 1.5), both(cell(30, 1.5), cell(900, 0.0)), "here")
    losing = boost("time", cell(2000, -0.05), both(cell(2000, -0.05), cell(2000, -0.4)), "here")
    assert few is not None
    assert enough is not None
    assert losing is not None
    assert (few.points > 3, few.lifts) == (True, False)
    assert (enough.points > 3, enough.lifts) == (True, True)
    assert (losing.points > 3, losing.lifts) == (True, False)  # less bad than the rest, and still bad


# what the promises say, measured


@pytest.mark.parametrize("first_seed", [0, 50_000])
@pytest.mark.parametrize("others", [0, 800])
@pytest.mark.parametrize("a_day", [1, 10])
def test_an_edge_is_found_within_two_hundred_trades(first_seed: int, others: int, a_day: int) -> None:
    """The mean boost over 50 seeds after 200 trades is at least half of that after 5,000."""

    def mean_boost(trades: int) -> float:
        found = []
        days = [str(number // a_day) for number in range(trades)]
        for seed in range(first_seed, first_seed + 50):
            luck = np.random.default_rng(seed)
            ours = tally(luck.normal(0.25, 1.0, trades).tolist(), days)
            found.append(points(ours, tally(luck.normal(0.0, 1.0, others).tolist())))
        return math.fsum(found) / len(found)

    early, late = mean_boost(200), mean_boost(5000)
    assert late > 4
    assert early >= late / 2


def test_a_run_of_lucky_days_is_not_many_lucky_trades() -> None:
    """Five trades a day that share nine tenths of their luck: taken one by one they boost every second cell.

    Counted by days, no more come through than from trades that are each on their own.
    """
    alone = by_trades = by_days = 0
    days = [str(number // 5) for number in range(400)]
    for seed in range(400):
        luck = np.random.default_rng(seed)
        shocks = np.repeat(luck.normal(0.0, 0.9**0.5, 80), 5) + luck.normal(0.0, 0.1**0.5, 400)
        alone += points(tally(luck.normal(0.0, 1.0, 400).tolist()), Tally()) != 0
        by_trades += points(tally(shocks.tolist()), Tally()) != 0
        by_days += points(tally(shocks.tolist(), days), Tally()) != 0
    assert by_trades > 2 * alone
    assert by_days <= 1.2 * alone


def test_trades_of_a_single_day_are_counted_as_they_are() -> None:
    assert tally([1.0, 2.0], ["a", "a"]) == tally([1.0, 2.0])
    clumped = tally([1.0, 1.0, -1.0, -1.0], ["a", "a", "b", "b"]).clumped
    assert clumped == (2**2 + 2**2) * 2  # two days instead of four trades
