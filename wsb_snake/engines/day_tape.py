"""One ticker's session so far in columns, for rules that look back from each of its minutes.

A rule is given the tape and ``n``, the index of the bar that it judges, and reads nothing after it:
so the minutes between two passes can be gone through one by one. A missing minute has no index.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.types import Bar, Chain
from wsb_snake.engines.indicators import true_ranges, vwap_path
from wsb_snake.engines.types import MarketView

BAR = timedelta(minutes=1)
_RANGE_DAYS = 14
_DEVIATION_DAYS = 20
_FEWEST_DAYS = 5


@dataclass(frozen=True, slots=True)
class DayTape:
    """Prices in dollars, volumes in shares; ``daily`` are the sessions before this one, oldest first.

    Their volumes are another feed's where ``daily_compares`` is False.
    """

    ticker: str
    session: Session
    bars: Sequence[Bar]
    closes: Sequence[float]
    highs: Sequence[float]
    lows: Sequence[float]
    volumes: Sequence[float]
    ranges: Sequence[float]
    """True range of each bar."""
    vwaps: Sequence[float]
    """Session VWAP after each bar."""
    daily: Sequence[Bar]
    day_range: float | None
    """Mean of (high - low) / close of the last 14 sessions, a fraction; None with fewer than 5."""
    day_deviation: float | None
    """Root mean square of ln(close / open) of the last 20 sessions; None with fewer than 5."""
    headlines: Sequence[datetime]
    """When news of the ticker was published, ascending."""
    chain: Chain | None = None
    daily_compares: bool = True

    def end(self, n: int) -> datetime:
        return self.bars[n].start + BAR

    def at(self, moment: datetime) -> int:
        """The index of the first bar that starts at or after ``moment``."""
        return bisect_left(self.bars, moment, key=_start)

    def swing(self, n: int) -> float | None:
        """The usual range of a whole day in dollars, at the price of bar ``n``."""
        return None if self.day_range is None else self.day_range * self.closes[n]

    def whole(self, first: int, last: int, most_missing: int) -> bool:
        """Whether at most ``most_missing`` minutes are missing from bar ``first`` to bar ``last``."""
        if not 0 <= first <= last:
            return False
        return self.bars[last].start - self.bars[first].start <= (last - first + most_missing) * BAR


def read(view: MarketView, ticker: str) -> DayTape | None:
    """The tape of ``ticker`` as it was known at ``view.now``, or None without an ended bar."""
    session = view.session
    everything = view.bars.get(ticker, ())
    first = bisect_left(everything, session.open, key=_start)
    bars = everything[first : bisect_right(everything, min(view.now, session.close) - BAR, key=_start)]
    if not bars:
        return None
    daily = tuple(bar for bar in view.daily.get(ticker, ()) if eastern_date(bar.start) < session.day)
    chain = view.chains.get(ticker)
    return DayTape(
        ticker=ticker,
        session=session,
        bars=bars,
        closes=[bar.close for bar in bars],
        highs=[bar.high for bar in bars],
        lows=[bar.low for bar in bars],
        volumes=[bar.volume for bar in bars],
        ranges=true_ranges(bars),
        vwaps=vwap_path(bars),
        daily=daily,
        day_range=_day_range(daily),
        day_deviation=_day_deviation(daily),
        headlines=sorted(line.at for line in view.news.get(ticker, ()) if line.at <= view.now),
        chain=chain if chain is not None and chain.at <= view.now else None,
        daily_compares=view.daily_compares,
    )


def mean(values: Sequence[float], first: int, last: int) -> float | None:
    """Mean of ``values[first:last]``; None where that begins before the tape or is empty."""
    return math.fsum(values[first:last]) / (last - first) if 0 <= first < last else None


def _day_range(daily: Sequence[Bar]) -> float | None:
    ranges = [(bar.high - bar.low) / bar.close for bar in daily[-_RANGE_DAYS:] if bar.close > 0]
    return math.fsum(ranges) / len(ranges) if len(ranges) >= _FEWEST_DAYS and max(ranges) > 0 else None


def _day_deviation(daily: Sequence[Bar]) -> float | None:
    bars = [bar for bar in daily[-_DEVIATION_DAYS:] if bar.open > 0 and bar.close > 0]
    squares = [math.log(bar.close / bar.open) ** 2 for bar in bars]
    if len(squares) < _FEWEST_DAYS or max(squares) == 0:
        return None
    return math.sqrt(math.fsum(squares) / len(squares))


def _start(bar: Bar) -> datetime:
    return bar.start
