"""The tape of one name in one session: a price each second, and the minute bars made from it."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.types import Bar, Quote
from wsb_snake.sim.paths import MINUTE_S, Floats
from wsb_snake.sim.sessions import SimSession

PRE_MARKET = timedelta(hours=5, minutes=30)  # before the open: 04:00
AFTER_HOURS = timedelta(hours=4)  # after the close
_MINUTE = timedelta(minutes=1)


def whole_seconds(span: timedelta) -> int:
    """``span`` in seconds, rounded down."""
    return span.days * 86_400 + span.seconds


class Tape:
    """Prices of a session. ``prices`` hold dollars for each second of it, ``volumes`` shares a minute."""

    def __init__(self, symbol: str, session: SimSession, prices: Floats, volumes: Floats) -> None:
        self._open = session.open
        self._prices = prices.data
        self.bars = _minute_bars(symbol, session, prices, volumes)
        self.opening = float(prices[0])
        self.close = float(prices[-1])

    def second(self, at: datetime) -> int:
        """The second of the session that ``at`` falls in; the first or last one outside of it."""
        return min(max(whole_seconds(at - self._open), 0), len(self._prices) - 1)

    def price(self, second: int) -> float:
        """Dollars at ``second`` of the session."""
        dollars: float = self._prices[second]
        return dollars


def ended_bars(bars: Sequence[Bar], start: datetime, end: datetime, now: datetime) -> Sequence[Bar]:
    """Those of ``bars`` (minutes, ascending) with start <= bar.start < end that have ended by ``now``."""
    first = bisect_left(bars, start, key=_start)
    return bars[first : bisect_left(bars, min(end, now - _MINUTE + timedelta.resolution), key=_start)]


def stock_quote(symbol: str, dollars: float, width: float, noise: int, at: datetime) -> Quote:
    """A quote around ``dollars``, about ``width`` dollars wide, of one cent at least."""
    cents = round(dollars * 100)
    spread = max(1, round(width * 100))
    bid = max(cents - spread // 2 - (noise & 1), 1)
    return Quote(
        symbol,
        Decimal(bid).scaleb(-2),
        Decimal(bid + spread).scaleb(-2),
        100 * (1 + (noise >> 8) % 9),
        100 * (1 + (noise >> 16) % 9),
        at,
    )


def _start(bar: Bar) -> datetime:
    return bar.start


def _minute_bars(symbol: str, session: SimSession, prices: Floats, volumes: Floats) -> tuple[Bar, ...]:
    """The bars of ``prices``, left out where nothing traded."""
    table = prices.reshape(-1, MINUTE_S)
    means = table.mean(axis=1).round(4)
    columns = (table[:, 0], table.max(axis=1), table.min(axis=1), table[:, -1], volumes, means)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(
        Bar(symbol, session.open + minute * _MINUTE, *row) for minute, row in enumerate(rows) if row[4] > 0
    )
