"""Chop: bars that go nowhere, and closes that change sides of VWAP."""

import math

import pytest

from tests.engines.tapes import bar, flat, line, tape_of
from wsb_snake.core.types import Bar
from wsb_snake.engines.chop_filter import Chop, read


def chop(bars: list[Bar]) -> Chop | None:
    return read(tape_of(bars), len(bars) - 1)


def test_a_straight_way_is_no_chop() -> None:
    found = chop(line(100, 103, 40))
    assert found is not None
    assert not found.choppy
    assert found.index < 20


def test_back_and_forth_is_chop() -> None:
    found = chop([bar(100 + 0.3 * (n % 2), 100.3 - 0.3 * (n % 2)) for n in range(40)])
    assert found is not None
    assert found.choppy
    assert found.index == pytest.approx(100)
    assert found.crossings == 10


def test_the_index_is_dreiss() -> None:
    """True ranges of 1.25 and 1.75 dollars in turn, all within two dollars."""
    found = chop([bar(100.5 + n % 2, 100 + n % 2, wick=0.25) for n in range(40)])
    assert found is not None
    assert found.index == pytest.approx(100 * math.log10(30 * 1.5 / 2.0) / math.log10(30))


def test_many_crossings_alone_are_chop() -> None:
    def path(crossings: int) -> list[Bar]:
        """A rise, whose last bars cross VWAP so many times by leaps."""
        leaps = [bar(100.6 + 0.02 * n + (-0.5 if n % 2 else 0.5), volume=0.01) for n in range(crossings)]
        return [*line(100, 101.2, 60), *leaps]

    few, many = chop(path(3)), chop(path(6))
    assert few is not None
    assert many is not None
    assert few.crossings < 4 <= many.crossings
    assert (few.choppy, many.choppy) == (False, True)


def test_bars_that_do_not_move_at_all_are_chop() -> None:
    found = chop(flat(30, wick=0))
    assert found == Chop(True, 100.0, 0)


def test_too_few_bars_tell_nothing() -> None:
    assert chop(line(100, 101, 29)) is None
    assert chop(line(100, 101, 30)) is not None
