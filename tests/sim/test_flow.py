"""Who trades the options of the seeded market: after the price, a little before it, and where it is."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from wsb_snake.core.types import Right
from wsb_snake.sim.flow import Flow, crowd, held, leaning
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.paths import Floats, Intraday, stream

MINUTES = 390
SD = 0.0004
QUIET = np.zeros(MINUTES + 1)


def way(moves: Floats = QUIET, story: Floats = QUIET) -> Intraday:
    return Intraday(np.log(100.0) + moves, np.full(MINUTES, SD), (), story)


def step(minute: int, deviations: float) -> Floats:
    """A jump at ``minute``, in deviations of a session."""
    levels = np.zeros(MINUTES + 1)
    levels[minute:] = deviations * SD * MINUTES**0.5
    return levels


def days(path: Intraday, count: int = 200) -> Floats:
    """The lean of each minute on ``count`` days of the same path."""
    return np.array([leaning(path, stream("lean", n)) for n in range(count)])


def flow(path: Intraday, seed: int = 1) -> Flow:
    return Flow(path, np.full(MINUTES, 1 / MINUTES), 0.01, stream("flow", seed))


def test_flow_follows_the_last_minutes() -> None:
    up, down = days(way(step(200, 0.5))), days(way(step(200, -0.5)))
    quiet = days(way())
    assert (up - quiet)[:, 201:205].mean() > 0.3
    assert (down - quiet)[:, 201:205].mean() < -0.3
    assert np.array_equal(up[:, 215:], quiet[:, 215:])  # what is over is over


def test_the_price_to_come_moves_nobody_who_does_not_know() -> None:
    """A jump that no story tells is not in the flow before it came."""
    assert np.array_equal(days(way(step(200, 1.0)))[:, :200], days(way())[:, :200])


def test_on_half_of_the_days_somebody_knows_a_little_some_minutes_ahead() -> None:
    told = step(200, 1.0)
    extra = days(way(story=told)) - days(way())
    assert not extra[:, :179].any()
    assert not extra[:, 200:].any()
    ahead = extra[:, 185:199].mean(axis=1)
    knowing = ahead > 0
    assert 0.35 < knowing.mean() < 0.65
    assert not ahead[~knowing].any()
    assert 0.1 < ahead[knowing].mean() < 0.3  # less than what follows the price


def test_what_expires_today_is_traded_where_the_price_is() -> None:
    path = way(step(200, 2.0))
    spot, later = 100.0, float(np.exp(path.nodes[-1]))
    made = flow(path)
    for right in Right:
        morning = [made.traded(right, 60 * 190, strike) for strike in (spot, later)]
        afternoon = [made.traded(right, 60 * 389, s) - made.traded(right, 60 * 200, s) for s in (spot, later)]
        assert morning[0] > 1.2 * morning[1]
        assert afternoon[1] > 1.2 * afternoon[0]


def test_it_adds_up_from_nothing_second_by_second() -> None:
    made = flow(way(step(100, 1.0)))
    sums = [made.traded(Right.CALL, second, 100.0) for second in range(0, MINUTES * 60, 7)]
    assert 0 < sums[0] < sums[-1]
    assert all(after > before for before, after in pairwise(sums))
    both = made.traded(Right.CALL, 23_399, None) + made.traded(Right.PUT, 23_399, None)
    assert both == pytest.approx(2.0)


def test_the_crowd_holds_what_paid() -> None:
    risen = np.repeat(np.linspace(95, 105, 12), 2)[:-1]
    assert crowd(risen, 0.01, 0.0) > 0.2
    assert crowd(risen[::-1].copy(), 0.01, 0.0) < -0.2
    assert crowd(np.full(23, 100.0), 0.01, 0.0) == 0.0
    today = risen.copy()
    today[-1] = 90.0
    assert crowd(today, 0.01, 0.0) == crowd(risen, 0.01, 0.0)  # today's gap came after it was counted


def test_calls_are_held_above_the_price_and_puts_below() -> None:
    assert held(Right.CALL, 0.0, 2.0) > 1 > held(Right.PUT, 0.0, 2.0) > 0
    assert held(Right.CALL, 0.0, -2.0) == pytest.approx(held(Right.PUT, 0.0, 2.0))
    assert held(Right.CALL, 0.3, 0.0) == pytest.approx(1.3)


def lean_of(market: SeededMarket, minute: int, before: int) -> float:
    """(calls - puts) / (calls + puts) of SPY's contracts of today between two minutes."""
    rows = [r.contract for r in market.contracts("SPY") if r.contract.expiry == market.day]
    done: dict[Right, int] = dict.fromkeys(Right, 0)
    for row in rows:
        moments = [market.session.open + timedelta(minutes=n) for n in (before, minute)]
        first, last = (market.option_volume(row.symbol, at) for at in moments)
        done[row.right] += last - first
    return (done[Right.CALL] - done[Right.PUT]) / sum(done.values())


def test_seeded_days_show_it() -> None:
    """Half hours: the lean goes with the return of the same half hour, and tells little of the next."""
    leans, moves, nexts = [], [], []
    for seed in range(8):
        market = SeededMarket(date(2026, 11, 24), seed)
        spots = [market.spot("SPY", market.session.open + timedelta(minutes=n)) for n in range(0, 391, 30)]
        returns = np.diff(np.log(spots))
        for n in range(1, 12):
            leans.append(lean_of(market, 30 * n + 30, 30 * n))
            moves.append(returns[n])
            nexts.append(returns[n + 1])
    assert np.corrcoef(leans, moves)[0, 1] > 0.35
    assert abs(np.corrcoef(leans, nexts)[0, 1]) < 0.3
    assert np.std(leans) > 0.15
