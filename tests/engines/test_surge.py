"""Surge: each part on its own picture late in the day, noise, what is not known, and no look-ahead."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.component_market import (
    DAY,
    MINUTE,
    OPEN,
    SESSION,
    TICKER,
    adds_up,
    bar,
    chain_of,
    cut,
    mirrored,
    noise,
    seeded,
    sees_nothing_of_the_future,
    steps,
    tape,
    view,
    whole_day,
)
from wsb_snake.core.calendar import Session
from wsb_snake.core.types import Bar, Chain
from wsb_snake.engines.surge import SurgeRules, score
from wsb_snake.engines.types import Direction, MarketView

RULES = SurgeRules()
STRIKES = [90 + n / 2 for n in range(41)]


def late(last: list[Bar], minutes: int = 300) -> list[Bar]:
    """A quiet day between 99.9 and 100.1 that ends at ``minutes`` with ``last``."""
    calm = [bar(100, wick=0.1) for _ in range(minutes - len(last))]
    return tape([*calm, *last])


def reclaim(volume: float = 2.0, ago: int = 0, back: bool = False) -> list[Bar]:
    """Twenty minutes below VWAP, then a close above it on ``volume``, ``ago`` minutes before the end."""
    below = [bar(99.95) for _ in range(25)]
    after = [bar(100.05) for _ in range(ago)]
    end = [bar(99.95)] if back else []
    return late([*below, bar(100.05, opened=99.95, volume=volume), *after, *end])


def broken(by: float, speed: bool = False) -> list[Bar]:
    """Beyond the range of the day by ``by``, in half an hour of equal steps or in one."""
    target = 100.1 * (1 + by)
    if speed:
        return late([bar(target, opened=100, wick=0)])
    rise = [bar(100 + (target - 100) * n / 25, wick=0) for n in range(1, 26)]
    return late(rise)


def shown(bars: list[Bar], **known: object) -> dict[str, float]:
    opinion = score(view(bars, **known), TICKER)  # type: ignore[arg-type]
    adds_up(opinion)
    return dict(opinion.evidence)


@pytest.mark.parametrize(
    ("bars", "points"),
    [
        (reclaim(), 30),
        (reclaim(volume=1.99), 0),
        (reclaim(ago=20), 30),
        (reclaim(ago=29), 30),
        (reclaim(ago=30), 0),
        (reclaim(back=True), 0),
        (mirrored(reclaim()), -30),
    ],
)
def test_vwap_reclaimed_on_volume_and_kept(bars: list[Bar], points: float) -> None:
    assert shown(bars).get("reclaim_volume_points", 0) == points


def test_volume_long_after_the_crossing_is_not_its_volume() -> None:
    bars = reclaim(volume=1, ago=20)
    bars[-1] = bar(100.05, volume=9)
    assert shown(tape(bars))["reclaim_volume_points"] == 0


@pytest.mark.parametrize(
    ("bars", "points"),
    [
        (broken(0.0051), 45),
        (broken(0.0049), 20),
        (broken(0.0001), 20),
        (broken(-0.0001), 0),
        (mirrored(broken(0.0052)), -45),
        (mirrored(broken(0.0001)), -20),
    ],
)
def test_a_break_of_the_range_that_the_day_had(bars: list[Bar], points: float) -> None:
    assert shown(bars)["range_break_points"] == points


@pytest.mark.parametrize(
    ("move", "points"), [(0.29, 0), (0.301, 25), (0.601, 35), (-0.301, -25), (-0.601, -35)]
)
def test_speed(move: float, points: float) -> None:
    assert shown(late([bar(100 + move, opened=100)]))["velocity_points"] == points


def test_a_full_break_signals_and_so_do_an_edge_with_speed_and_a_reclaim_with_a_break() -> None:
    for bars in (broken(0.0051), late([bar(100.4, opened=100)])):
        for seen, direction in ((bars, Direction.LONG), (mirrored(bars), Direction.SHORT)):
            opinion = score(view(seen), TICKER)
            assert opinion.score >= RULES.signal_from
            assert opinion.direction is direction
    assert score(view(reclaim()), TICKER).score < RULES.signal_from
    crossed = [*reclaim(ago=5)[:-1], bar(100.2, opened=100.05)]
    assert score(view(tape(crossed)), TICKER).score == 50


def at(minute: int, session: Session = SESSION) -> float:
    """The score of a full break that ends at ``minute`` of the session."""
    moved = broken(0.01)[-130:]
    bars = tape(moved, OPEN + (minute - len(moved)) * MINUTE)
    return score(view(bars, session=session), TICKER).score


def test_only_late_in_the_day() -> None:
    assert at(209) == 0
    assert at(210) > 0
    half_day = Session(DAY, OPEN, OPEN + 210 * MINUTE)
    assert at(140) == 0
    assert at(140, half_day) > 0
    early = score(view(broken(0.01)[:200]), TICKER)
    assert early.evidence == (("minutes_to_close", 190),)


def chain(minutes: int, calls: int = 100, puts: int = 140, expiry: date = DAY) -> Chain:
    return chain_of(
        STRIKES, 100.3, OPEN + minutes * MINUTE, calls=lambda _: calls, puts=lambda _: puts, expiry=expiry
    )


def closing(minutes: int = 350, move: float = 0.15) -> list[Bar]:
    return late([bar(100 + move, opened=100)], minutes)


def test_gamma_accelerates_a_move_in_the_last_hour_when_dealers_are_short() -> None:
    assert shown(closing(), chain=chain(350))["gamma_acceleration_points"] == 15
    assert shown(mirrored(closing()), chain=chain(350))["gamma_acceleration_points"] == -15
    assert shown(closing(), chain=chain(350, calls=200))["gamma_acceleration_points"] == 0
    assert shown(closing(), chain=chain(350, calls=140))["gamma_acceleration_points"] == 0
    assert shown(closing(move=0.05), chain=chain(350))["gamma_acceleration_points"] == 0
    assert "gamma_acceleration" in shown(closing(330), chain=chain(330))
    assert "gamma_acceleration" not in shown(closing(329), chain=chain(329))


def test_gamma_is_not_known_without_a_chain_that_expires_today() -> None:
    assert "gamma_acceleration" not in shown(closing())
    later = chain(350, expiry=DAY + timedelta(days=1))
    assert "gamma_acceleration" not in shown(closing(), chain=later)
    assert "gamma_acceleration" not in shown(closing(), chain=chain(334))  # 16 minutes old
    assert "gamma_acceleration" not in shown(closing(), chain=chain(351))


def test_old_bars_give_no_opinion() -> None:
    bars = broken(0.01)
    end = bars[-1].start + MINUTE
    assert score(view(bars, end + timedelta(seconds=180)), TICKER).score > 0
    stale = score(view(bars, end + timedelta(seconds=181)), TICKER)
    assert (stale.score, stale.evidence) == (0, (("bar_age_s", 181),))
    assert score(view(bars), "OTHER").evidence == ()


@pytest.mark.parametrize("walks", [False, True])
def test_flat_noise_does_not_surge(walks: bool) -> None:
    for seed in range(4):
        bars = noise(seed, walks)
        for minute in range(1, 391):
            assert score(view(bars, OPEN + minute * MINUTE), TICKER).score < RULES.signal_from


def best(whole: MarketView, ticker: str) -> float:
    close = whole.session.close
    return max(score(cut(whole, close - n * 10 * MINUTE), ticker).score for n in range(19))


def test_the_bar_is_reached_on_a_seeded_day_and_not_on_every_one() -> None:
    days = [whole_day(seeded(DAY, seed), "TSLA") for seed in range(8)]
    reached = [best(whole, "TSLA") >= RULES.signal_from for whole in days]
    assert 0 < sum(reached) < len(reached)


@pytest.mark.parametrize(("ticker", "day"), [("SPY", DAY), ("RKLB", DAY), ("SPY", date(2026, 11, 27))])
def test_no_opinion_depends_on_the_future(ticker: str, day: date) -> None:
    assert sees_nothing_of_the_future(score, ticker, 3, day) > 0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-0.006, 0.006), st.floats(0, 6)), min_size=1, max_size=90),
    st.integers(0, 400),
    st.integers(0, 400),
)
def test_the_evidence_adds_up_whatever_the_market(
    moves: list[tuple[float, float]], calls: int, puts: int
) -> None:
    price, closes = 100.0, []
    for move, _ in moves:
        price *= 1 + move
        closes.append(price)
    bars = steps(closes, [volume for _, volume in moves])
    bars = tape(bars, SESSION.close - len(bars) * MINUTE)
    adds_up(score(view(bars, chain=chain(385, calls, puts)), TICKER))
