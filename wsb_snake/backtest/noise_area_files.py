"""The files of the noise-area comparison: minute bars, dividends, published returns."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Bar

Month = tuple[int, int]
"""Year and month."""

SYMBOL = "SPY"
_FIGURES = ("open", "high", "low", "close", "volume")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class FileError(Exception):
    """A file that cannot be used; the text is one clear line."""


@dataclass(frozen=True, slots=True)
class Published:
    """Returns in percent."""

    months: Mapping[Month, float]
    years: Mapping[int, float]


def read_bars(path: Path) -> dict[date, list[Bar]]:
    """1-minute bars by session, oldest first, without those outside its hours. Raises FileError.

    Columns open, high, low, close, volume, and caldt: the start of the minute as US/Eastern wall time.
    """
    calendar = MarketCalendar()
    found: dict[date, list[Bar]] = {}
    for place, row in _rows(path):
        try:
            wall = datetime.fromisoformat(row["caldt"])
            opens, high, low, close, volume = (float(row[name]) for name in _FIGURES)
        except (KeyError, ValueError, TypeError):
            raise FileError(f"{place}: no 1-minute bar") from None
        session = calendar.session(wall.date())
        start = from_eastern(wall.date(), wall.time())
        if session is None or not session.open <= start < session.close:
            continue
        bars = found.setdefault(session.day, [])
        follows = start > bars[-1].start if bars else start == session.open
        if not follows:
            raise FileError(f"{place}: {wall} does not follow; a session goes on from its opening bar")
        bars.append(Bar(SYMBOL, start, opens, high, low, close, volume, vwap=0.0))
    if list(found) != sorted(found):
        raise FileError(f"{path}: the days are not in order")
    return found


def read_dividends(path: Path) -> dict[date, float]:
    """Dollars a share by ex-date. Raises FileError."""
    found = {}
    for place, row in _rows(path):
        try:
            found[date.fromisoformat(row["ex_date"])] = float(row["dividend_usd"])
        except (KeyError, ValueError, TypeError):
            raise FileError(f"{place}: no dividend: ex_date and dividend_usd") from None
    return found


def read_published(path: Path) -> Published:
    """A row a year: year, jan to dec, yearly; what is not known is empty. Raises FileError."""
    months: dict[Month, float] = {}
    years: dict[int, float] = {}
    for place, row in _rows(path):
        try:
            year = int(row["year"])
            months |= {(year, n): float(row[name]) for n, name in enumerate(_MONTHS, 1) if row[name]}
            if row["yearly"]:
                years[year] = float(row["yearly"])
        except (KeyError, ValueError, TypeError):
            raise FileError(f"{place}: no year of returns: year, jan to dec, yearly") from None
    return Published(months, years)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV file, gzipped or not, each with its place for people."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
            table = csv.DictReader(text)
            for row in table:
                yield f"{path}, line {table.line_num}", row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FileError(f"{path} cannot be read: {what}") from error
