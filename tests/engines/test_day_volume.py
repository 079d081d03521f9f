"""Today's volume against the usual at the same moment of the day."""

from collections.abc import Sequence
from datetime import date, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.slow_market import HALF_DAY, MINUTE, OPEN, SESSION, dailies, minutes
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Bar
from wsb_snake.engines.day_volume import usual_share, usual_so_far

DAYS, LEAST = 20, 5
NOON = OPEN + 150 * MINUTE
CURVE_AT_NOON = 0.3839


def sessions_of(
    count: int, volume: float, length: int = 390, last: date = date(2026, 11, 20)
) -> list[list[Bar]]:
    """``count`` sessions of ``length`` minutes, a day apart, ending with ``last``."""
    opens = [from_eastern(last - timedelta(days=count - 1 - n), time(9, 30)) for n in range(count)]
    return [minutes([10.0] * length, volume, start=start) for start in opens]


def usual(earlier: Sequence[Sequence[Bar]] = (), daily: Sequence[Bar] = ()) -> float | None:
    return usual_so_far(SESSION, NOON, earlier, daily, DAYS, LEAST)


def test_sessions_of_minutes_give_what_had_traded_by_the_same_time() -> None:
    assert usual(sessions_of(5, 1000)) == 150 * 1000


def test_the_time_of_day_counts_across_a_change_of_the_clocks() -> None:
    """Summer time ended on 1 November: half past nine was an hour earlier in UTC."""
    assert usual(sessions_of(5, 1000, last=date(2026, 10, 30))) == 150 * 1000


def test_only_the_last_sessions_count() -> None:
    assert usual([*sessions_of(30, 9999, last=date(2026, 10, 20)), *sessions_of(20, 1000)]) == 150 * 1000


def test_a_half_day_that_was_over_by_then_does_not_count() -> None:
    earlier = [*sessions_of(5, 1000), *sessions_of(1, 9000, length=210, last=date(2026, 11, 22))]
    at_two = OPEN + 270 * MINUTE
    assert usual_so_far(SESSION, at_two, earlier, (), DAYS, LEAST) == 270 * 1000
    assert usual_so_far(SESSION, NOON, earlier, (), DAYS, LEAST) == (5 * 150 * 1000 + 150 * 9000) / 6


def test_what_lies_before_the_open_does_not_count() -> None:
    early = [
        [*minutes([10.0] * 30, 7777, start=tape[0].start - 30 * MINUTE), *tape]
        for tape in sessions_of(5, 1000)
    ]
    assert usual(early) == 150 * 1000


def test_a_missing_minute_is_not_the_end_of_the_session() -> None:
    thin = [tape[:100] + tape[250:] for tape in sessions_of(5, 1000)]
    assert usual(thin) == 100 * 1000
    quiet_end = [tape[:250] for tape in sessions_of(5, 1000)]
    assert usual_so_far(SESSION, OPEN + 380 * MINUTE, quiet_end, (), DAYS, LEAST) == 250 * 1000


def test_today_is_not_its_own_usual() -> None:
    assert usual([*sessions_of(5, 1000), minutes([10.0] * 390, 9000)]) == 150 * 1000


def test_with_too_few_sessions_the_daily_average_takes_its_share() -> None:
    daily = dailies([10.0] * 20, 1_000_000)
    assert usual(sessions_of(4, 1000), daily) == pytest.approx(CURVE_AT_NOON * 1_000_000)
    assert usual((), dailies([10.0] * 19, 1_000_000)) is None
    assert usual() is None


def test_of_the_daily_bars_the_last_twenty_count() -> None:
    daily = [*dailies([10.0] * 40, 9e9)[:20], *dailies([10.0] * 20, 1_000_000)]
    assert usual((), daily) == pytest.approx(CURVE_AT_NOON * 1_000_000)


def test_a_half_day_runs_through_the_same_shape() -> None:
    daily = dailies([10.0] * 20, 1_000_000)
    middle = HALF_DAY.open + 105 * MINUTE
    assert usual_so_far(HALF_DAY, middle, (), daily, DAYS, LEAST) == pytest.approx(0.45865 * 1_000_000)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.floats(-1, 2), st.floats(0, 1))
def test_the_share_only_grows_from_nothing_to_all(passed: float, more: float) -> None:
    assert 0 <= usual_share(passed) <= usual_share(passed + more) <= 1
    assert (usual_share(0), usual_share(1)) == (0, 1)


def test_the_day_is_busiest_at_its_ends() -> None:
    first, noon, last = (usual_share(at + 1 / 13) - usual_share(at) for at in (0.0, 6 / 13, 12 / 13))
    assert min(first, last) > 2 * noon
