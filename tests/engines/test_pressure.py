"""Pressure: technicals alone, each figure of the chain, what is not known, noise, and no look-ahead."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.component_market import (
    DAY,
    MINUTE,
    OPEN,
    TICKER,
    adds_up,
    chain_of,
    cut,
    mirrored,
    noise,
    seeded,
    sees_nothing_of_the_future,
    steps,
    view,
    whole_day,
)
from wsb_snake.core.types import Bar, Chain
from wsb_snake.engines.pressure import PressureRules, score
from wsb_snake.engines.types import Direction

RULES = PressureRules()
STRIKES = [90 + n / 2 for n in range(41)]


def trend(rise: float = 0.03, swing: float = 0.05, minutes: int = 30, wick: float = 0.01) -> list[Bar]:
    """An hour of going up and down in place, then ``minutes`` of rising by ``rise`` each."""
    calm = [100 + swing * (n % 2) for n in range(60)]
    return steps([*calm, *(100 + rise * n + swing * (n % 2) for n in range(1, minutes + 1))], wick=wick)


def still(minutes: int = 90) -> list[Bar]:
    """Up and down in place: the technicals say nothing."""
    return trend(0, 0.05, minutes - 60)


def chain(
    calls: Callable[[float], int | None] = lambda _: 100,
    puts: Callable[[float], int | None] = lambda _: 100,
    traded: tuple[int | None, int | None] = (100, 100),
    spot: float = 100.05,
    minutes: int = 90,
) -> Chain:
    return chain_of(STRIKES, spot, OPEN + minutes * MINUTE, calls=calls, puts=puts, traded=traded)


def shown(bars: list[Bar], of: Chain | None = None) -> dict[str, float]:
    opinion = score(view(bars, chain=of), TICKER)
    adds_up(opinion)
    return dict(opinion.evidence)


def test_technicals_alone_reach_the_bar_and_the_evidence_says_so() -> None:
    for bars, direction in ((trend(), Direction.LONG), (mirrored(trend()), Direction.SHORT)):
        opinion = score(view(bars), TICKER)
        assert opinion.score >= RULES.signal_from
        assert opinion.direction is direction
        evidence = dict(opinion.evidence)
        assert evidence["chain_known"] == 0
        assert not {"volume_lean", "interest_lean", "dealer_gamma"} & evidence.keys()


def test_averages_macd_and_vwap_vote_with_the_trend_and_rsi_against_it() -> None:
    for bars, sign in ((trend(), 1), (mirrored(trend()), -1)):
        evidence = shown(bars)
        assert evidence["averages_points"] * sign == 25
        assert evidence["macd_points"] * sign == 20
        assert evidence["vwap_distance_points"] * sign == 5
        assert evidence["rsi_points"] * sign == -5


@pytest.mark.parametrize(
    ("bars", "low", "high", "points"),
    [
        (trend(swing=0.08), 50, 70, 0),
        (trend(), 70, 80, -5),
        (trend(rise=0.05), 80, 100, -10),
        (mirrored(trend()), 20, 30, 5),
        (mirrored(trend(rise=0.05)), 0, 20, 10),
    ],
)
def test_rsi_speaks_at_its_extremes(bars: list[Bar], low: float, high: float, points: float) -> None:
    evidence = shown(bars)
    assert low <= evidence["rsi"] <= high
    assert evidence["rsi_points"] == points


def test_a_market_in_place_pushes_nowhere() -> None:
    opinion = score(view(still(300)), TICKER)
    assert (opinion.score, opinion.direction) == (0, None)
    flat = score(view(steps([100] * 100, wick=0)), TICKER)
    assert (flat.score, flat.direction) == (0, None)


def test_a_trend_of_next_to_nothing_is_flat() -> None:
    parts = ("macd_points", "averages_points", "vwap_distance_points")
    tiny = shown(trend(rise=0.0003, swing=0.0005, wick=0.0001))
    assert [tiny[part] for part in parts] == [0, 0, 0]
    same_in_large = shown(trend())
    assert [same_in_large[part] for part in parts] == [20, 25, 5]


def test_macd_is_silent_when_the_trend_fades() -> None:
    bars = trend()
    rest = [bars[-1].close + 0.05 * (n % 2) for n in range(8)]
    fading = shown(steps([item.close for item in bars] + rest))
    assert fading["macd"] > 0
    assert (fading["macd_points"], fading["averages_points"] > 0) == (0, True)


@pytest.mark.parametrize(
    ("traded", "points"),
    [
        ((150, 100), 10),
        ((149, 100), 0),
        ((240, 100), 15),
        ((100, 150), -10),
        ((100, 240), -15),
        ((0, 5), -15),
    ],
)
def test_volume_leans(traded: tuple[int, int], points: float) -> None:
    evidence = shown(still(), chain(traded=traded))
    assert evidence["chain_known"] == 1
    assert evidence["volume_lean"] == (traded[0] - traded[1]) / sum(traded)
    assert evidence["volume_lean_points"] == points


@pytest.mark.parametrize(
    ("calls", "puts", "points"),
    [(150, 100, 8), (149, 100, 0), (240, 100, 12), (100, 150, -8), (100, 240, -12)],
)
def test_open_interest_leans(calls: int, puts: int, points: float) -> None:
    evidence = shown(still(), chain(lambda _: calls, lambda _: puts))
    assert evidence["interest_lean_points"] == points


def test_leans_are_those_of_the_strikes_near_the_money() -> None:
    evidence = shown(still(), chain(lambda k: 9000 if abs(k - 100) > 4 else 100))
    assert evidence["interest_lean"] == 0


def test_what_is_not_known_of_the_chain_is_absent() -> None:
    evidence = shown(still(), chain(traded=(None, 100)))
    assert "volume_lean" not in evidence
    assert "interest_lean" in evidence
    evidence = shown(still(), chain(lambda _: None, traded=(300, 100)))
    assert not {"interest_lean", "dealer_gamma", "call_wall"} & evidence.keys()
    assert evidence["volume_lean_points"] == 15
    few = chain(lambda k: None if 98 < k < 100 else 300)
    assert "interest_lean" not in shown(still(), few)  # 3 of the 10 nearest are not known
    nothing = shown(still(), chain(traded=(0, 0)))
    assert "volume_lean" not in nothing


def test_options_add_to_a_trend_and_do_not_make_one() -> None:
    bought = {"calls": lambda _: 240, "traded": (240, 100)}
    alone = score(view(still(), chain=chain(**bought)), TICKER)  # type: ignore[arg-type]
    assert 0 < alone.score < RULES.signal_from
    bars = trend()
    with_flow = chain(traded=(240, 100), spot=bars[-1].close)
    assert score(view(bars, chain=with_flow), TICKER).score == score(view(bars), TICKER).score + 15


def test_a_wall_holds_a_price_that_is_near_it() -> None:
    def wall(strike: float) -> Callable[[float], int]:
        return lambda k: 5000 if k == strike else 100

    bars = still(91)
    assert bars[-1].close == 100.05
    near = shown(bars, chain(calls=wall(100.5), puts=wall(100), minutes=91))
    assert (near["call_wall"], near["call_wall_points"]) == (100.5, 0)  # 0.45 % away
    assert (near["put_wall"], near["put_wall_points"]) == (100, 8)
    near = shown(mirrored(bars), chain(calls=wall(100), puts=wall(99), spot=99.95, minutes=91))
    assert near["call_wall_points"] == -8
    assert near["put_wall_points"] == 0


def test_dealers_short_of_gamma_push_a_move_on_and_others_hold_it() -> None:
    for bars, sign in ((trend(), 1), (mirrored(trend()), -1)):
        spot = bars[-1].close
        short = shown(bars, chain(puts=lambda _: 140, spot=spot))
        assert short["dealer_gamma"] < 0
        assert short["dealer_gamma_points"] * sign == 10
        long = shown(bars, chain(calls=lambda _: 140, spot=spot))
        assert long["dealer_gamma"] > 0
        assert long["dealer_gamma_points"] * sign == -10
    calm = shown(still(), chain(puts=lambda _: 140))
    assert calm["dealer_gamma_points"] == 0  # nothing moves
    even = shown(trend(), chain(lambda k: 140 if k % 1 else 60, spot=trend()[-1].close))
    assert even["dealer_gamma"] != 0
    assert even["dealer_gamma_points"] == 0


def test_an_old_chain_is_no_chain() -> None:
    bars = still(106)
    assert shown(bars, chain(minutes=91))["chain_known"] == 1
    assert shown(bars, chain(minutes=90))["chain_known"] == 0
    assert shown(bars, chain(minutes=107))["chain_known"] == 0


def test_old_bars_give_no_opinion() -> None:
    bars = trend()
    end = bars[-1].start + MINUTE
    assert score(view(bars, end + timedelta(seconds=180)), TICKER).score > 0
    stale = score(view(bars, end + timedelta(seconds=181)), TICKER)
    assert (stale.score, stale.evidence) == (0, (("bar_age_s", 181),))
    assert score(view(bars), "OTHER").evidence == ()


def test_before_there_are_bars_enough_a_figure_is_not_known() -> None:
    evidence = shown(trend()[:30])
    assert "rsi" in evidence
    assert not {"macd", "averages"} & evidence.keys()


@pytest.mark.parametrize("walks", [False, True])
def test_flat_noise_hardly_ever_pushes(walks: bool) -> None:
    passed = [
        score(view(bars, OPEN + minute * MINUTE), TICKER).score >= RULES.signal_from
        for bars in (noise(seed, walks) for seed in range(6))
        for minute in range(1, 391, 3)
    ]
    assert sum(passed) <= 0.01 * len(passed)


def test_the_bar_is_reached_on_a_seeded_day_without_a_chain() -> None:
    whole = whole_day(seeded(DAY, 3), "SPY")
    best = max(score(cut(whole, whole.session.open + n * 5 * MINUTE), "SPY").score for n in range(1, 79))
    assert best >= RULES.signal_from


@pytest.mark.parametrize(("ticker", "day"), [("SPY", DAY), ("RKLB", DAY), ("TSLA", date(2026, 11, 27))])
def test_no_opinion_depends_on_the_future(ticker: str, day: date) -> None:
    assert sees_nothing_of_the_future(score, ticker, 3, day) > 0


counts = st.none() | st.integers(0, 900)


@settings(max_examples=60)
@given(
    st.lists(st.floats(-0.004, 0.004), min_size=1, max_size=130),
    st.lists(st.tuples(counts, counts), min_size=41, max_size=41),
    counts,
    counts,
)
def test_the_evidence_adds_up_whatever_the_market(
    moves: list[float], held: list[tuple[int | None, int | None]], calls: int | None, puts: int | None
) -> None:
    price, closes = 100.0, []
    for move in moves:
        price *= 1 + move
        closes.append(price)
    by_strike = dict(zip(STRIKES, held, strict=True))
    of = chain(lambda k: by_strike[k][0], lambda k: by_strike[k][1], (calls, puts), price, len(moves))
    adds_up(score(view(steps(closes), chain=of), TICKER))


def test_rules_are_settings() -> None:
    bars = trend()
    soft = replace(RULES, macd_steps=((0, 1),), average_steps=((0, 1),), vwap_steps=(), rsi_steps=())
    assert score(view(bars), TICKER, soft).score == 2
