"""Windows: the shape of the run-up, in the trade's direction, and its neighbours."""

import math
from dataclasses import replace
from datetime import datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.learning.world import at
from wsb_snake.core.signals import Direction
from wsb_snake.core.types import Bar
from wsb_snake.learning.boosts import Tally
from wsb_snake.learning.pattern_memory import (
    LENGTH,
    SIMILAR,
    WINDOW_BARS,
    Window,
    remember,
    window_in,
    window_of_bars,
)

START = at(1, time(10, 0))


def bars(closes: list[float], volumes: list[float], start: datetime = START) -> list[Bar]:
    opens = [closes[0], *closes[:-1]]
    rows = zip(opens, closes, volumes, strict=True)
    return [
        Bar("SPY", start + n * timedelta(minutes=1), o, max(o, c), min(o, c), c, v, c)
        for n, (o, c, v) in enumerate(rows)
    ]


RISING = [500 * 1.0005**n for n in range(WINDOW_BARS)]
FALLING = [500 * 1.0005**-n for n in range(WINDOW_BARS)]
GROWING = [1000.0 + 100 * n for n in range(WINDOW_BARS)]


def window(closes: list[float], volumes: list[float], direction: Direction = Direction.LONG) -> Window:
    found = window_of_bars(bars(closes, volumes), direction)
    assert found is not None
    return found


def alike(one: Window, other: Window) -> float:
    return float(np.dot(one, other))


def test_a_window_by_hand() -> None:
    """Five equal returns and five steps of volume: (-2, -1, 0, 1, 2) / sqrt(10)."""
    steady = [500 * 1.0005 ** (n + 1) for n in range(WINDOW_BARS)]
    made = bars(steady, GROWING)
    made[0] = replace(made[0], open=500.0)
    found = window_of_bars(made, Direction.LONG)
    returns = [math.sqrt(2 / 3) * 0.2**0.5] * 5
    volume = [math.sqrt(1 / 3) * step / math.sqrt(10) for step in (-2, -1, 0, 1, 2)]
    assert found == pytest.approx([*returns, *volume], abs=1e-4)


def test_only_the_shape_counts() -> None:
    small = [500 * 1.00005**n for n in range(WINDOW_BARS)]
    assert alike(window(RISING, GROWING), window(small, [v * 7 for v in GROWING])) == pytest.approx(
        1, abs=1e-3
    )


def test_a_fall_before_a_put_is_like_a_rise_before_a_call() -> None:
    put = window(FALLING, GROWING, Direction.SHORT)
    assert alike(window(RISING, GROWING), put) == pytest.approx(1, abs=1e-3)
    assert alike(window(FALLING, GROWING), put) < 0


def test_only_the_newest_minutes_count() -> None:
    long = [*(700.0, 300.0, 650.0), *RISING]
    assert window_of_bars(bars(long, [9.0, 9.0, 9.0, *GROWING])[3:], Direction.LONG) == window_of_bars(
        bars(long, [9.0, 9.0, 9.0, *GROWING]), Direction.LONG
    )


@pytest.mark.parametrize(
    "made",
    [
        bars(RISING, GROWING)[1:],
        bars([500.0] * WINDOW_BARS, GROWING),
        bars(RISING, [1000.0] * WINDOW_BARS),
        bars(RISING, [0.0] * WINDOW_BARS),
        bars([0.0, *RISING[1:]], GROWING),
        [*bars(RISING, GROWING)[:10], *bars(RISING, GROWING, START + timedelta(minutes=3))[10:]],
        [],
    ],
)
def test_no_window_where_there_is_none(made: list[Bar]) -> None:
    assert window_of_bars(made, Direction.LONG) is None


def test_two_missing_minutes_are_no_hole() -> None:
    made = [*bars(RISING, GROWING)[:10], *bars(RISING, GROWING, START + timedelta(minutes=2))[10:]]
    assert window_of_bars(made, Direction.LONG) is not None


@given(
    st.lists(st.floats(1, 1000), min_size=WINDOW_BARS, max_size=WINDOW_BARS),
    st.lists(st.floats(0, 1e6), min_size=WINDOW_BARS, max_size=WINDOW_BARS),
)
def test_a_window_is_of_unit_length_and_survives_its_journey(
    closes: list[float], volumes: list[float]
) -> None:
    found = window_of_bars(bars(closes, volumes), Direction.SHORT)
    if found is not None:
        assert len(found) == LENGTH
        assert alike(found, found) == pytest.approx(1, abs=2e-3)
        assert window_in(list(found)) == found


@pytest.mark.parametrize(
    "held", [None, "text", [], [0.1] * (LENGTH - 1), [0.1] * (LENGTH - 1) + ["x"], [math.nan] * LENGTH]
)
def test_what_is_no_window_is_refused(held: object) -> None:
    assert window_in(held) is None


def test_the_cell_holds_the_neighbours_of_the_same_engine() -> None:
    up, down = window(RISING, GROWING), window(FALLING, GROWING)
    half = tuple(SIMILAR * a + math.sqrt(1 - SIMILAR**2) * b for a, b in zip(up, ortho(up), strict=True))
    edge = tuple(value * 1.001 for value in half)
    below = tuple(value * 0.999 for value in half)
    day = "2026-11-24"
    memory = remember(
        [
            ("a", up, 1.0, day),
            ("a", edge, 0.5, day),
            ("a", below, 9.0, day),
            ("a", down, 9.0, day),
            ("b", up, 9.0, day),
        ]
    )
    assert memory.cell("a", up) == Tally(2, 1.5, 1.25)
    assert memory.cell("c", up) == Tally()


def ortho(of: Window) -> Window:
    """A window that is not like ``of`` at all."""
    return (-of[1], of[0], *(-of[3], of[2]), *(-of[5], of[4]), *(-of[7], of[6]), *(-of[9], of[8]))
