"""Each family on its own hand-made picture, both ways up, and on pictures that lack one need.

A usual day's range is one dollar (tests.engines.tapes).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.tapes import OPEN, bar, flat, history, line, mirrored, tape_of, timed, view_of
from wsb_snake.core.types import Bar, Chain, ChainRow, Contract, Right
from wsb_snake.engines.day_tape import read
from wsb_snake.engines.family_detectors import detect
from wsb_snake.engines.setup_families import Family, Finding
from wsb_snake.engines.types import Direction

Picture = Sequence[Bar]


def find(
    family: Family,
    bars: Picture,
    daily: Sequence[Bar] | None = None,
    headlines: Sequence[datetime] = (),
    chain: Chain | None = None,
) -> Finding | None:
    tape = tape_of(bars, daily=daily, headlines=headlines, chains={} if chain is None else {"SPY": chain})
    return detect(family, tape, len(bars) - 1)


def met(found: Finding | None) -> tuple[bool, ...]:
    return () if found is None else found.met


def wave(minutes: int, low: float, high: float, wick: float = 0.005) -> list[Bar]:
    """From ``low`` to ``high`` and back, four minutes up and four down."""
    turns = (0, 1, 2, 3, 4, 3, 2, 1)
    return [bar(low + (high - low) * turns[n % 8] / 4, wick=wick) for n in range(minutes)]


# one picture a family, the way up; a need that is asked for can be taken away


def reclaim(volume: float = 2.1, follow: float = 0.02) -> list[Bar]:
    cross = bar(100.0, 99.9, volume)
    return [*flat(60, 100), *flat(20, 99.7), cross, bar(100.0 + follow / 2), bar(100.0 + follow)]


def whipsaw() -> list[Bar]:
    """The cross and the volume of ``reclaim``, after bars on both sides."""
    bars = reclaim()
    return [*bars[:63], *wave(17, 99.7, 100.4), *bars[80:]]


def pin_break(volume: float = 1.6, far: float = 0.12, mature: int = 50, stray: float = 0.0) -> list[Bar]:
    before = flat(60, 100.5)
    pinned = [bar(100 + (0.04 if n % 2 else -0.04) + stray * (n % 3)) for n in range(mature)]
    return [*before, *pinned, bar(100 + far, 100.05, volume), bar(100 + far)]


def expansion(morning: float = 0.4, growth: float = 0.06, volume: float = 1.5) -> list[Bar]:
    first = [*wave(150, 100 - morning / 2, 100 + morning / 2)]
    lunch = [bar(100 + (0.02 if n % 2 else -0.02)) for n in range(80)]
    leave = [bar(100.05 + growth * (n + 1), 100.05 + growth * n, volume) for n in range(10)]
    return [*first, *lunch, *leave]


def sweep(depth: float = 0.08, back: float = 0.1, volume: float = 2.1) -> list[Bar]:
    """Below the day's low at 99.995 and back."""
    day = wave(60, 100, 100.3)
    pierce = replace(bar(100.0, 100.05, volume), low=99.995 - depth)
    return [*day, *flat(8, 100.1), pierce, bar(99.995 + back)]


def news(jump: float = 0.3, volume: float = 2.0) -> list[Bar]:
    return [*flat(40), bar(100 + jump, 100, volume), *flat(4, 100 + jump, volume=1)]


NEWS_AT = OPEN + timedelta(minutes=40, seconds=20)


def continuation(rest: float = 0.05, volume: float = 2.1, trend: float = 0.8) -> list[Bar]:
    up = line(100, 100 + trend, 120)
    resting = wave(24, 100 + trend - rest, 100 + trend)
    return [*up, *resting, bar(100 + trend + 0.05, volume=volume)]


def trap(volume: float = 1.6, fail: float = 0.12, second: float = 0.1) -> list[Bar]:
    calm = wave(50, 99.9, 100)
    first = bar(100.04, 100, 1.0)
    return [
        *calm,
        first,
        bar(100 - fail),
        *flat(30, 99.95),
        bar(100 + second, 100, volume),
    ]


def shift(quiet: float = 0.005, wide: float = 0.05, bars: int = 6) -> list[Bar]:
    calm = flat(70, wick=quiet)
    storm = [bar(100 + wide * (n + 1), 100 + wide * n) for n in range(bars)]
    return [*calm, *storm, *flat(8 - bars, 100 + wide * bars)]


def crowd(volume: float = 1.6) -> list[Bar]:
    return [*flat(60, 100, volume=volume), bar(100.1, 100, volume)]


def snap(extended: float = 1.2, back: float = 0.1, volume: float = 2.1) -> list[Bar]:
    up = line(100, 100 + extended, 120)
    return [*up, *flat(5, 100 + extended), bar(100 + extended - back, 100 + extended, volume)]


PICTURES: tuple[tuple[Family, list[Bar]], ...] = (
    (Family.VWAP_RECLAIM_GAMMA_SNAP, reclaim()),
    (Family.STRIKE_MAGNET_BREAK, pin_break()),
    (Family.AFTERNOON_RANGE_EXPANSION, expansion()),
    (Family.LIQUIDITY_SWEEP_REVERSAL, sweep()),
    (Family.NEWS_GAMMA_IGNITION, news()),
    (Family.POWER_HOUR_CONTINUATION, continuation()),
    (Family.FALSE_BREAK_TRAP, trap()),
    (Family.VOLATILITY_REGIME_SHIFT, shift()),
    (Family.CROWD_IGNITION, crowd()),
    (Family.END_OF_DAY_SNAP, snap()),
)


@pytest.mark.parametrize(("family", "bars"), PICTURES)
def test_each_family_finds_all_it_needs_in_its_own_picture(family: Family, bars: list[Bar]) -> None:
    found = find(family, bars, headlines=[NEWS_AT])
    assert found is not None
    assert found.met == (True, True, True)
    down = family is Family.END_OF_DAY_SNAP
    assert found.direction is (Direction.SHORT if down else Direction.LONG)
    assert (bars[-1].close - found.level) * (-1 if down else 1) > 0
    assert 0 <= found.began < len(bars)


@pytest.mark.parametrize(("family", "bars"), PICTURES)
def test_each_picture_upside_down_is_the_other_direction(family: Family, bars: list[Bar]) -> None:
    up = find(family, bars, headlines=[NEWS_AT])
    down = find(family, mirrored(bars), headlines=[NEWS_AT])
    assert up is not None
    if family is Family.CROWD_IGNITION:  # it only buys
        assert met(down) == (True, False, True)
        return
    assert down is not None
    assert down.met == (True, True, True)
    assert down.direction is not None
    assert down.direction is not up.direction


@pytest.mark.parametrize(
    ("family", "bars", "needs"),
    [
        pytest.param(Family.VWAP_RECLAIM_GAMMA_SNAP, reclaim(volume=1.9), (1, 0, 1), id="reclaim: volume"),
        pytest.param(Family.VWAP_RECLAIM_GAMMA_SNAP, reclaim(follow=0.0), (1, 1, 0), id="reclaim: follow"),
        pytest.param(Family.VWAP_RECLAIM_GAMMA_SNAP, whipsaw(), (0, 1, 0), id="reclaim: whipsaw"),
        pytest.param(Family.STRIKE_MAGNET_BREAK, pin_break(volume=1.4), (1, 1, 0), id="pin: volume"),
        pytest.param(Family.STRIKE_MAGNET_BREAK, pin_break(far=0.09), (1, 1, 0), id="pin: not left"),
        pytest.param(Family.STRIKE_MAGNET_BREAK, pin_break(mature=35), (1, 0, 1), id="pin: young"),
        pytest.param(Family.STRIKE_MAGNET_BREAK, pin_break(stray=0.1), (0, 0, 0), id="pin: none"),
        pytest.param(Family.AFTERNOON_RANGE_EXPANSION, expansion(morning=0.6), (0, 1, 1), id="wide morning"),
        pytest.param(Family.AFTERNOON_RANGE_EXPANSION, expansion(growth=0.005), (1, 0, 1), id="no growth"),
        pytest.param(Family.AFTERNOON_RANGE_EXPANSION, expansion(volume=1.3), (1, 1, 0), id="thin growth"),
        pytest.param(Family.LIQUIDITY_SWEEP_REVERSAL, sweep(volume=1.9), (1, 1, 0), id="sweep: volume"),
        pytest.param(Family.LIQUIDITY_SWEEP_REVERSAL, sweep(back=0.02), (1, 1, 0), id="sweep: not back"),
        pytest.param(Family.LIQUIDITY_SWEEP_REVERSAL, sweep(depth=0.01), (), id="sweep: no sweep"),
        pytest.param(Family.LIQUIDITY_SWEEP_REVERSAL, sweep(depth=0.3), (), id="sweep: a breakdown"),
        pytest.param(Family.NEWS_GAMMA_IGNITION, news(jump=0.1), (1, 0, 0), id="news: nobody minds"),
        pytest.param(Family.NEWS_GAMMA_IGNITION, news(volume=1.2), (1, 1, 0), id="news: volume"),
        pytest.param(Family.POWER_HOUR_CONTINUATION, continuation(rest=0.2), (1, 0, 0), id="no rest"),
        pytest.param(Family.POWER_HOUR_CONTINUATION, continuation(volume=1.9), (1, 1, 0), id="thin break"),
        pytest.param(Family.POWER_HOUR_CONTINUATION, continuation(trend=0.1), (), id="no trend"),
        pytest.param(Family.FALSE_BREAK_TRAP, trap(volume=1.4), (1, 1, 0), id="trap: weaker"),
        pytest.param(Family.FALSE_BREAK_TRAP, trap(fail=0.05), (), id="trap: the first did not fail"),
        pytest.param(Family.FALSE_BREAK_TRAP, trap(second=-0.1), (), id="trap: no second try"),
        pytest.param(Family.VOLATILITY_REGIME_SHIFT, shift(quiet=0.02, wide=0.2), (0, 1, 1), id="was loud"),
        pytest.param(Family.VOLATILITY_REGIME_SHIFT, shift(wide=0.012), (1, 0, 0), id="no shift"),
        pytest.param(Family.VOLATILITY_REGIME_SHIFT, shift(wide=0.07, bars=3), (1, 1, 0), id="one blow"),
        pytest.param(Family.CROWD_IGNITION, crowd(volume=1.4), (0, 1, 1), id="nobody there"),
        pytest.param(Family.END_OF_DAY_SNAP, snap(extended=0.7), (0, 0, 1), id="snap: not far"),
        pytest.param(Family.END_OF_DAY_SNAP, snap(volume=1.9), (1, 1, 0), id="snap: volume"),
        pytest.param(Family.END_OF_DAY_SNAP, snap(back=0.02), (1, 0, 0), id="snap: it goes on"),
    ],
)
def test_a_picture_that_lacks_a_need(family: Family, bars: list[Bar], needs: tuple[int, ...]) -> None:
    assert met(find(family, bars, headlines=[NEWS_AT])) == tuple(map(bool, needs))


def test_a_catalyst_is_an_hour_old_at_most_and_counts_from_the_price_before_it() -> None:
    bars = news()
    assert find(Family.NEWS_GAMMA_IGNITION, bars) is None
    end = OPEN + len(bars) * timedelta(minutes=1)
    old = end - timedelta(minutes=60)
    assert find(Family.NEWS_GAMMA_IGNITION, bars, headlines=[old]) is None
    found = find(Family.NEWS_GAMMA_IGNITION, bars, headlines=[NEWS_AT])
    assert found is not None
    assert found.level == 100
    after_the_jump = find(Family.NEWS_GAMMA_IGNITION, bars, headlines=[NEWS_AT + timedelta(minutes=1)])
    assert met(after_the_jump) == (True, False, False)
    before_the_open = find(Family.NEWS_GAMMA_IGNITION, bars[40:], headlines=[OPEN - timedelta(minutes=20)])
    assert before_the_open is not None
    assert before_the_open.level == 100  # the previous close


def test_headlines_are_attention_and_a_poor_name_has_no_liquidity() -> None:
    three = [OPEN + timedelta(minutes=n) for n in range(3)]
    assert met(find(Family.CROWD_IGNITION, crowd(volume=1.0), headlines=three)) == (True, True, True)
    poor = history(volume=1000)
    few = [replace(each, volume=each.volume / 3) for each in crowd()]
    assert met(find(Family.CROWD_IGNITION, few, poor)) == (True, True, False)


def test_a_crowd_is_not_counted_by_the_volumes_of_another_feed() -> None:
    seen = view_of(timed(crowd()))
    for feed, found in (("sip", (True, True, True)), ("other", ())):
        tape = read(replace(seen, daily_feed=feed), "SPY")
        assert tape is not None
        assert met(detect(Family.CROWD_IGNITION, tape, len(tape.bars) - 1)) == found


def row(strike: str, held: int | None) -> ChainRow:
    contract = Contract(f"SPY{strike}", "SPY", date(2026, 11, 24), Right.CALL, Decimal(strike))
    return ChainRow(contract, None, open_interest=held)


def test_a_break_that_passes_the_next_strike_is_still_one() -> None:
    """Strikes lie so close that a price that leaves one is soon near another."""
    chain = Chain("SPY", date(2026, 11, 24), OPEN, (row("99.85", 500), row("100", 500), row("100.15", 500)))
    going = [*pin_break(far=0.12), bar(100.15), bar(100.18)]
    for bars in (going, mirrored(going)):
        found = find(Family.STRIKE_MAGNET_BREAK, bars, chain=chain)
        assert met(found) == (True, True, True)
        assert found is not None
        assert found.level == 100


def test_the_magnet_is_the_strike_with_the_most_open_interest() -> None:
    chain = Chain("SPY", date(2026, 11, 24), OPEN, (row("99.95", 500), row("100", 20), row("100.02", None)))
    found = find(Family.STRIKE_MAGNET_BREAK, pin_break(), chain=chain)
    assert found is not None
    assert found.level == 99.95
    unknown = replace(chain, rows=(row("99.95", None),))
    found = find(Family.STRIKE_MAGNET_BREAK, pin_break(), chain=unknown)
    assert found is not None
    assert found.level == 100


@pytest.mark.parametrize("family", Family)
def test_without_a_history_nothing_is_found(family: Family) -> None:
    bars = dict(PICTURES)[family]
    assert find(family, bars, daily=history(4), headlines=[NEWS_AT]) is None


@pytest.mark.parametrize(("family", "bars"), PICTURES)
def test_a_picture_full_of_holes_is_none(family: Family, bars: list[Bar]) -> None:
    """Missing minutes are no small volumes: with a hole in the setup the finding is not whole."""
    tape = tape_of(bars, headlines=[NEWS_AT])
    if family in (Family.NEWS_GAMMA_IGNITION, Family.AFTERNOON_RANGE_EXPANSION, Family.END_OF_DAY_SNAP):
        return
    start = len(bars) - 8
    torn = replace(
        tape,
        bars=[
            each if n < start else replace(each, start=each.start + timedelta(minutes=6))
            for n, each in enumerate(tape.bars)
        ],
    )
    found = detect(family, torn, len(bars) - 1)
    assert found is None or not found.whole


steps = st.tuples(st.floats(-0.1, 0.1), st.floats(0, 4))
Walk = list[tuple[float, float]]


def walked(walk: Walk) -> list[Bar]:
    bars, price = [], 100.0
    for change, volume in walk:
        bars.append(bar(price + change, price, volume))
        price += change
    return bars


@given(st.lists(steps, min_size=5, max_size=20), st.lists(steps, min_size=5, max_size=20))
def test_no_detector_looks_past_its_bar(walk: Walk, future: Walk) -> None:
    moments = [OPEN + timedelta(minutes=n) for n in (100, 235, 245)]
    walk = walk * 12
    short, long = (tape_of(walked(rows), headlines=moments) for rows in (walk, [*walk, *future]))
    for family in Family:
        for n in (0, 1, 29, len(walk) // 2, len(walk) - 1):
            assert detect(family, short, n) == detect(family, long, n)
