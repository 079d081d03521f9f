"""Ignition: each part on its own picture, noise, what is not known, and no look-ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.component_market import (
    DAY,
    MINUTE,
    OPEN,
    TICKER,
    adds_up,
    bar,
    cut,
    day_bar,
    mirrored,
    noise,
    seeded,
    sees_nothing_of_the_future,
    steps,
    tape,
    view,
    whole_day,
)
from wsb_snake.core.types import Bar, Headline
from wsb_snake.engines.ignition import IgnitionRules, score
from wsb_snake.engines.types import Direction

RULES = IgnitionRules()


def burst(volume: float = 1.0, width: float = 0.02, move: float = 0.02) -> list[Bar]:
    """Calm minutes about 100 with a range of 2 cents; in the last ten the range is ``width``, the
    busiest has ``volume`` times the usual, and the last one closes ``move`` higher."""
    calm = [bar(100) for _ in range(30)]
    # the last bar has to reach its own close from the one before
    wild = [bar(100, wick=width / 2) for _ in range(8)]
    busy = bar(100, volume=volume, wick=width / 2)
    end = replace(bar(100 + move), open=100.0, low=100.0, high=100.0 + max(width, move))
    return tape([*calm, *wild, busy, end])


def shown(bars: Sequence[Bar], **known: object) -> dict[str, float]:
    opinion = score(view(bars, **known), TICKER)  # type: ignore[arg-type]
    adds_up(opinion)
    return dict(opinion.evidence)


@pytest.mark.parametrize(
    ("bars", "part", "points"),
    [
        (burst(volume=2.49), "volume_ratio", 0),
        (burst(volume=2.5), "volume_ratio", 30),
        (burst(volume=5), "volume_ratio", 40),
        (burst(width=0.029), "range_ratio", 0),
        (burst(width=0.0301), "range_ratio", 20),
        (burst(width=0.0601), "range_ratio", 25),
        (burst(move=0.49), "velocity", 0),
        (burst(move=0.501), "velocity", 25),
        (burst(move=1.001), "velocity", 35),
        (mirrored(burst(volume=2.5)), "volume_ratio", -30),
        (mirrored(burst(width=0.0301)), "range_ratio", -20),
        (mirrored(burst(move=0.51)), "velocity", -25),
    ],
)
def test_a_part_gives_its_points_from_its_figure_on(bars: list[Bar], part: str, points: float) -> None:
    assert shown(bars)[f"{part}_points"] == points


def test_volume_and_range_together_signal() -> None:
    opinion = score(view(burst(volume=2.5, width=0.0301)), TICKER)
    assert (opinion.score, opinion.direction) == (RULES.signal_from, Direction.LONG)
    opinion = score(view(mirrored(burst(volume=2.5, width=0.0301))), TICKER)
    assert (opinion.score, opinion.direction) == (RULES.signal_from, Direction.SHORT)
    assert score(view(burst(volume=9)), TICKER).score < RULES.signal_from
    assert score(view(burst(width=0.2)), TICKER).score < RULES.signal_from


def test_a_burst_that_went_nowhere_gives_nothing() -> None:
    opinion = score(view(burst(volume=9, width=0.3, move=0)), TICKER)
    assert (opinion.score, opinion.direction) == (0, None)


def test_the_score_ends_at_100() -> None:
    bars = burst(volume=9, width=3, move=3)
    news = {TICKER: [Headline(bars[-1].start, "XYZ soars", "wire", (TICKER,))]}
    assert score(view(bars, news=news), TICKER).score == 100


def gap(opened: float = 100.51, close: float = 100.6, minutes: int = 30) -> list[Bar]:
    return steps([opened] * (minutes - 1) + [close])


@pytest.mark.parametrize(
    ("bars", "previous_close", "points"),
    [
        (gap(), 100, 15),
        (gap(opened=100.49), 100, 0),
        (gap(close=100.4), 100, 0),
        (gap(minutes=90), 100, 15),
        (gap(minutes=91), 100, 0),
        (gap(opened=99.4, close=99.3), 100, -15),
        (gap(opened=99.4, close=99.5), 100, 0),
    ],
)
def test_a_gap_counts_while_it_goes_on(bars: list[Bar], previous_close: float, points: float) -> None:
    assert shown(bars, previous_close=previous_close).get("gap_points", 0) == points


def test_without_a_recent_previous_close_or_the_opening_bar_no_gap_is_known() -> None:
    bars = gap()
    assert "gap" not in shown(bars)
    assert "gap" not in shown(bars[1:], previous_close=100)
    old = replace(view(bars), daily={TICKER: [day_bar(DAY - timedelta(days=7), 100)]})
    assert "gap" not in dict(score(old, TICKER).evidence)
    today = replace(view(bars), daily={TICKER: [day_bar(DAY, 90)]})
    assert "gap" not in dict(score(today, TICKER).evidence)


NOON = OPEN + 30 * MINUTE


def paper(text: str, at: datetime = NOON - MINUTE) -> Headline:
    return Headline(at, text, "wire", ())


@pytest.mark.parametrize(
    ("news", "headlines", "points"),
    [
        ({TICKER: [paper("XYZ beats estimates")]}, 1, 20),
        ({TICKER: [paper("XYZ misses estimates")]}, 1, -20),
        ({TICKER: [paper("XYZ holds a conference")]}, 1, 0),
        ({TICKER: [paper("XYZ beats estimates"), paper("XYZ misses estimates")]}, 2, 0),
        ({TICKER: [paper("XYZ beats estimates", NOON - 30 * MINUTE)]}, 0, 0),
        ({TICKER: [paper("XYZ beats estimates", NOON + MINUTE)]}, 0, 0),
        ({TICKER: [], "SPY": [paper("Stocks tumble on tariffs")]}, 1, -20),
        ({"QQQ": [paper("Stocks rally")], "SPY": [paper("Stocks rally")]}, 1, 20),
        ({TICKER: [], "OTHER": [paper("OTHER soars")]}, 0, 0),
    ],
)
def test_news_of_the_ticker_or_the_market(
    news: Mapping[str, Sequence[Headline]], headlines: int, points: float
) -> None:
    evidence = shown(steps([100] * 30), now=NOON, news=news)
    assert (evidence["headlines"], evidence["news_tone_points"]) == (headlines, points)


def test_no_news_known_is_not_the_absence_of_news() -> None:
    assert "headlines" not in shown(steps([100] * 30))
    assert shown(steps([100] * 30), news={TICKER: []})["headlines"] == 0


def test_old_bars_give_no_opinion() -> None:
    bars = burst(volume=9, width=0.3)
    end = bars[-1].start + MINUTE
    assert score(view(bars, end + timedelta(seconds=180)), TICKER).score > 0
    stale = score(view(bars, end + timedelta(seconds=181)), TICKER)
    assert (stale.score, stale.evidence) == (0, (("bar_age_s", 181),))
    assert score(view(bars), "OTHER").evidence == ()


def test_missing_bars_are_not_bars_without_volume() -> None:
    bars = burst(volume=2)
    thinned = [item for n, item in enumerate(bars) if n % 4 or n > 27]
    assert shown(thinned)["volume_ratio"] == shown(bars)["volume_ratio"] == 2


def test_before_there_is_a_base_its_parts_are_not_known() -> None:
    evidence = shown(burst()[-15:])
    assert "volume_ratio" not in evidence
    assert "range_ratio" not in evidence


@pytest.mark.parametrize("walks", [False, True])
def test_flat_noise_hardly_ever_ignites(walks: bool) -> None:
    passed = [
        score(view(bars, OPEN + minute * MINUTE), TICKER).score >= RULES.signal_from
        for bars in (noise(seed, walks) for seed in range(4))
        for minute in range(1, 391)
    ]
    assert sum(passed) <= 0.003 * len(passed)


def test_the_bar_is_reached_on_seeded_days_now_and_then() -> None:
    scores = []
    for seed in range(4):
        whole = whole_day(seeded(DAY, seed), "TSLA")
        scores += [score(cut(whole, OPEN + n * 10 * MINUTE), "TSLA").score for n in range(1, 39)]
    reached = sum(each >= RULES.signal_from for each in scores)
    assert 0 < reached < 0.2 * len(scores)


@pytest.mark.parametrize(("ticker", "day"), [("SPY", DAY), ("RKLB", DAY), ("SLS", date(2026, 11, 27))])
def test_no_opinion_depends_on_the_future(ticker: str, day: date) -> None:
    assert sees_nothing_of_the_future(score, ticker, 3, day) > 0


walk = st.lists(
    st.tuples(st.floats(-0.01, 0.01), st.floats(0, 8), st.booleans() | st.just(True)), min_size=1, max_size=60
)


@settings(max_examples=60)
@given(walk, st.floats(90, 110))
def test_the_evidence_adds_up_whatever_the_bars(
    moves: list[tuple[float, float, bool]], previous_close: float
) -> None:
    price, closes = 100.0, []
    for move, _, _ in moves:
        price *= 1 + move
        closes.append(price)
    bars = steps(closes, [volume for _, volume, _ in moves])
    kept = [item for item, (_, _, there) in zip(bars, moves, strict=True) if there]
    opinion = score(view(kept, OPEN + len(moves) * MINUTE, previous_close=previous_close), TICKER)
    adds_up(opinion)
