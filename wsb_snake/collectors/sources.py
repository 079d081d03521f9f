"""What a source of market data offers, and how it fails.

DataError
├── DataUnavailable   nothing came this time: count, retry
│   └── DataSilent        whatever had been asked: no answer, a vendor in trouble, our own limit
└── NotEntitled       keys or plan do not include it: retrying does not help, say so
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from wsb_snake.core.types import Bar, ChainRow, Headline, Quote

BAR = timedelta(minutes=1)
FIRST = ("SPY", "QQQ", "IWM")
"""What a source with a small budget is asked for before all else."""


class DataError(Exception):
    """Market data did not come."""


class DataUnavailable(DataError):
    pass


class DataSilent(DataUnavailable):
    pass


class NotEntitled(DataError):
    pass


def unavailable(status: int, why: str) -> DataUnavailable:
    """For an answer with HTTP ``status`` that is no data; ``why`` follows the status in its text."""
    kind = DataSilent if status in (408, 429) or status >= 500 else DataUnavailable
    return kind(f"HTTP {status}{why}")


class Source(Protocol):
    """A vendor, or the embedded exchange. Every method may raise any DataError, from any lane."""

    @property
    def name(self) -> str:
        """Vendor and feed, for people (``alpaca iex``)."""
        ...

    @property
    def sent(self) -> int:
        """How many requests went out since the start; each page of an answer is one."""
        ...

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        """Ended 1-minute bars within ``start`` and ``end``, oldest first; any number of days.

        A symbol without trades has an empty list; one that was not fetched (budget) is absent.
        """
        ...

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        """Daily bars, adjusted for splits, oldest first; absent symbols as in ``bars``."""
        ...

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        """The latest quotes; a symbol without one is absent."""
        ...

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        """What expires from ``first`` to ``last``, with strikes from ``low`` to ``high`` dollars."""
        ...

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        """The newest headlines from ``start`` to ``end`` that name one of ``symbols``, in any order."""
        ...

    def vix(self) -> float | None:
        """The VIX index, or None where the source does not know it."""
        ...
