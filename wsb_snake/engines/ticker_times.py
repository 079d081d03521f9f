"""What an engine remembers by ticker: when something last happened. The cooldowns of slow engines."""

from collections.abc import Iterable
from datetime import datetime

TickerTimes = tuple[tuple[str, datetime], ...]
"""(ticker, moment), by ticker; moments are aware UTC."""


def marked(times: TickerTimes, tickers: Iterable[str], now: datetime) -> TickerTimes:
    """``times`` with each of ``tickers`` at ``now``."""
    return tuple(sorted({**dict(times), **dict.fromkeys(tickers, now)}.items()))


def within(times: TickerTimes, now: datetime, seconds: float) -> TickerTimes:
    """Those of ``times`` that are less than ``seconds`` old."""
    return tuple((ticker, at) for ticker, at in times if (now - at).total_seconds() < seconds)


def as_rows(times: TickerTimes) -> list[list[str]]:
    """For JSON."""
    return [[ticker, at.isoformat()] for ticker, at in times]


def from_rows(rows: object) -> TickerTimes:
    """What ``as_rows`` gave. Raises ValueError or TypeError for anything else."""
    if not isinstance(rows, list):
        raise TypeError(f"a list of tickers and moments is expected, not {rows!r}")
    return tuple(_from_row(*row) for row in rows)


def _from_row(ticker: str, at: str) -> tuple[str, datetime]:
    if not isinstance(ticker, str):
        raise TypeError(f"a ticker is expected, not {ticker!r}")
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError(f"a moment without time zone: {at}")
    return ticker, moment
