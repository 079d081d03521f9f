"""The seeded model's paths: shapes, bridges, streams."""

from datetime import date

import numpy as np
import pytest

from wsb_snake.sim.paths import (
    FIRST_DAY,
    INTRADAY_SHARE,
    Factor,
    Intraday,
    bridge,
    combine,
    second_prices,
    stream,
    stress,
    variance_shape,
    volume_shape,
    weekday_index,
)
from wsb_snake.sim.sessions import sessions

DAY = date(2026, 11, 24)
SHAPE = variance_shape(390)


def test_equal_names_give_equal_streams_and_others_do_not() -> None:
    assert stream(1, "SPY", DAY).random(4).tolist() == stream(1, "SPY", DAY).random(4).tolist()
    assert stream(1, "SPY", DAY).random() != stream(2, "SPY", DAY).random()
    assert stream(1, "SPY", DAY).random() != stream(1, "QQQ", DAY).random()


def test_a_later_last_day_only_adds_days() -> None:
    short = Factor(5, "market", 0.16, 0.3, DAY)
    long = Factor(5, "market", 0.16, 0.3, date(2028, 3, 1))
    count = weekday_index(DAY) + 1
    assert np.array_equal(short.closes, long.closes[:count])
    assert np.array_equal(short.intraday(DAY, SHAPE).nodes, long.intraday(DAY, SHAPE).nodes)


def test_a_session_leads_from_its_open_to_its_close() -> None:
    factor = Factor(5, "market", 0.16, 0.3, DAY)
    for session in sessions(date(2026, 9, 1), DAY):
        nodes = factor.intraday(session.day, SHAPE).nodes
        index = weekday_index(session.day)
        assert nodes[0] == pytest.approx(factor.opens[index], abs=1e-12)
        assert nodes[-1] == pytest.approx(factor.closes[index], abs=1e-12)


def test_weekdays_are_counted_without_weekends() -> None:
    friday, saturday, monday = date(2026, 11, 27), date(2026, 11, 28), date(2026, 11, 30)
    assert weekday_index(saturday) == weekday_index(friday)
    assert weekday_index(monday) == weekday_index(friday) + 1


@pytest.mark.parametrize("minutes", [390, 210])
def test_shapes_are_u_shaped_with_mean_one(minutes: int) -> None:
    for weights in (variance_shape(minutes), volume_shape(minutes)):
        assert weights.mean() == pytest.approx(1.0)
        lunch = weights[int(minutes * 0.4) : int(minutes * 0.7)].mean()
        assert weights[: minutes // 13].mean() > 1.5 * lunch
        assert weights[-minutes // 26 :].mean() > 1.5 * lunch


def test_minutes_are_as_volatile_as_the_shape_says() -> None:
    """Over 400 days: the open and the close move more than lunch, the day as much as its variance."""
    factor = Factor(9, "market", 0.16, 0.3, date(2026, 12, 31))
    days = [session.day for session in sessions(date(2025, 5, 1), date(2026, 12, 31))]
    moves = np.array([np.diff(factor.intraday(day, SHAPE).nodes) for day in days])
    sds = np.array([factor.sds[weekday_index(day)] for day in days]) * INTRADAY_SHARE**0.5
    power = np.mean((moves / sds[:, None]) ** 2, axis=0)
    lunch = power[150:240].mean()
    assert power[:30].mean() > 1.5 * lunch
    assert power[-10:].mean() > 1.2 * lunch
    assert 0.7 < power.sum() < 1.5


def test_a_bridge_goes_through_its_nodes() -> None:
    at, logs = np.array([0, 7, 100, 600]), np.array([0.0, 0.01, -0.02, 0.005])
    path = bridge(at, logs, np.full(600, 0.001), stream("bridge"))
    assert len(path) == 601
    assert path[at] == pytest.approx(logs, abs=1e-12)
    assert path[50] != pytest.approx(np.interp(50, at, logs), abs=1e-6)


def test_seconds_keep_to_the_minutes_and_to_the_range() -> None:
    factor = Factor(5, "TSLA", 0.4, 0.2, DAY)
    way = combine(430.0, ((1.0, factor.intraday(DAY, SHAPE)),))
    prices = second_prices(way, stream("seconds"))
    minutes = np.round(np.exp(way.nodes), 2)
    assert len(prices) == 23_400
    assert np.array_equal(prices[::60], minutes[:-1])
    assert prices[-1] == minutes[-1]
    assert prices.max() == minutes.max()
    assert prices.min() == minutes.min()
    assert np.array_equal(prices, np.round(prices, 2))


def test_seconds_move_within_the_minute() -> None:
    factor = Factor(5, "TSLA", 0.4, 0.2, DAY)
    way = combine(430.0, ((1.0, factor.intraday(DAY, SHAPE)),))
    changes = np.diff(second_prices(way, stream("seconds")))
    assert np.count_nonzero(changes) > 0.5 * len(changes)


def test_quotes_are_stressed_at_the_open_and_after_a_hop() -> None:
    way = Intraday(np.zeros(391), np.full(390, 0.0004), ((7201, 0.002),))
    wide = stress(way)
    assert len(wide) == 23_400
    assert wide[0] > 2
    assert wide[7200] == pytest.approx(1.0, abs=1e-3)
    assert wide[7201] > 2
    assert wide[7201 + 600] == pytest.approx(1.0, abs=1e-3)


def test_history_engines_ask_for_lies_behind_the_first_day() -> None:
    assert weekday_index(FIRST_DAY) > 80
