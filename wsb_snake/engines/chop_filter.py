"""Whether a ticker only goes back and forth: in chop nothing strikes. Pure.

Choppiness index (Dreiss) over the last bars:
100 x log10(sum of true ranges / (highest high - lowest low)) / log10(bars); 100 goes nowhere, 0 is a
straight line. Chop is an index above the limit, or a close that changes sides of VWAP too often.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from wsb_snake.engines.day_tape import DayTape


@dataclass(frozen=True, slots=True)
class ChopRules:
    bars: int = 30  # that are looked at
    index: float = 61.8  # above it is chop
    crossing_bars: int = 10  # the last of the bars: what went on before a break is over
    crossings: int = 4  # of VWAP among them; from this many on it is chop


@dataclass(frozen=True, slots=True)
class Chop:
    """``index`` 0 to 100; ``crossings`` of VWAP among the last bars."""

    choppy: bool
    index: float
    crossings: int


def read(tape: DayTape, n: int, rules: ChopRules = ChopRules()) -> Chop | None:
    """The chop at bar ``n``; None where there are too few bars to tell."""
    first = n + 1 - rules.bars
    if first < 0:
        return None
    high, low = max(tape.highs[first : n + 1]), min(tape.lows[first : n + 1])
    index = 100.0
    if high > low:
        walked = math.fsum(tape.ranges[first : n + 1]) / (high - low)
        index = min(max(100 * math.log10(walked) / math.log10(rules.bars), 0.0), 100.0)
    sides = [tape.closes[k] > tape.vwaps[k] for k in range(n - rules.crossing_bars, n + 1)]
    crossings = sum(before != after for before, after in pairwise(sides))
    return Chop(index > rules.index or crossings >= rules.crossings, index, crossings)
