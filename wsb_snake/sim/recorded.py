"""A market of recorded SPY chains that expire on their day: real quotes, synthetic minutes.

A file ``SPY_YYYY-MM-DD.csv.gz`` holds a capture of the whole chain about every five minutes. Each
capture is held until the next one and stamped as fresh; before the first and after the last there is
no quote. The files have no bars: the price between captures is a seeded bridge, and what came before
the day is the seeded market, scaled to the first spot. Such a day proves fills, spreads and
arithmetic; it is no evidence of an edge.
"""

import csv
import gzip
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import isfinite, sqrt
from pathlib import Path

import numpy as np

from wsb_snake.core import occ
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.pricing import implied_volatility, years_to_expiry
from wsb_snake.core.types import Bar, Contract, Headline, Quote, Right
from wsb_snake.sim.chains import key_of, mixed
from wsb_snake.sim.market import ListedContract, SeededMarket
from wsb_snake.sim.paths import MINUTE_S, Intraday, bridge, minute_volumes, stream, to_cents, variance_shape
from wsb_snake.sim.sessions import SimSession, session_of
from wsb_snake.sim.tapes import Tape, ended_bars, stock_quote, whole_seconds

SYMBOL = "SPY"
_COLUMNS = (
    "quote_ts", "spot", "expiry", "type", "strike", "bid", "ask", "bid_size", "ask_size", "volume",
    "open_interest",
)  # fmt: skip
_STOCK_WIDTH = 0.01
_SHARES = 65e6  # of a usual day
_NOTHING = Decimal(0)


class DataError(Exception):
    """Recorded data is missing or malformed. The text is one line for the user."""


@dataclass(frozen=True, slots=True)
class _Row:
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int
    volume: int


@dataclass(frozen=True, slots=True)
class _Capture:
    """The chain as it stood ``at`` (aware UTC), by OCC symbol."""

    at: datetime
    spot: float
    rows: dict[str, _Row] = field(default_factory=dict)


def recorded_days(folder: Path) -> tuple[date, ...]:
    """The days that ``folder`` holds, oldest first. Raises DataError when there is none."""
    names = (file.name.removeprefix(f"{SYMBOL}_") for file in folder.glob(f"{SYMBOL}_????-??-??.csv.gz"))
    try:
        days = sorted(date.fromisoformat(name.removesuffix(".csv.gz")) for name in names)
    except ValueError as error:
        raise DataError(f"{folder} holds a file whose name is no day: {error}") from None
    if not days:
        raise DataError(f"{folder} holds no recorded days ({SYMBOL}_YYYY-MM-DD.csv.gz)")
    return tuple(days)


class RecordedMarket:
    """One recorded day of SPY. Only the contracts that expire on it are listed."""

    synthetic_bars = True

    def __init__(self, folder: Path, day: date, seed: int) -> None:
        """Reads ``SPY_<day>.csv.gz`` of ``folder``; ``seed`` draws what lies between the captures.

        Raises DataError when there is no such file or session, or the file is malformed.
        """
        session = session_of(day)
        if session is None:
            raise DataError(f"the exchange was shut on {day}: nothing can be replayed")
        self.day = day
        self.session = session
        self._listed: dict[str, ListedContract] = {}
        self._captures = self._read(folder / f"{SYMBOL}_{day}.csv.gz")
        self._times = [capture.at for capture in self._captures]
        self._key = key_of(seed, day, SYMBOL, "stock")
        self._tape = _tape(session, self._captures, stream(seed, SYMBOL, day, "between captures"))
        self._past = SeededMarket(day, seed)
        self._scale = self._tape.opening / self._past.spot(SYMBOL, session.open)

    def symbols(self) -> tuple[str, ...]:
        return (SYMBOL,)

    def latest_capture_at(self, at: datetime) -> datetime | None:
        """When the latest capture at or before ``at`` was taken; None before the first."""
        capture = self._capture(at)
        return None if capture is None else capture.at

    def spot(self, symbol: str, at: datetime) -> float:
        _known(symbol)
        if at < self.session.open:
            return round(self._past.spot(symbol, at) * self._scale, 2)
        return self._tape.price(self._tape.second(at))

    def stock_quote(self, symbol: str, at: datetime) -> Quote:
        stamp = self._whole(at)
        noise = mixed(self._key + whole_seconds(at - self.session.open))
        return stock_quote(symbol, self.spot(symbol, at), _STOCK_WIDTH, noise, stamp)

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        _known(symbol)
        past = self._past.bars(symbol, start, min(end, self.session.open), now)
        today = ended_bars(self._tape.bars, start, end, now)
        return [*(self._scaled(bar) for bar in past), *today]

    def daily_bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        _known(symbol)
        return [self._scaled(bar) for bar in self._past.daily_bars(symbol, first, last)]

    def contracts(self, underlying: str) -> tuple[ListedContract, ...]:
        if underlying != SYMBOL:
            return ()
        return tuple(self._listed[symbol] for symbol in sorted(self._listed))

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        """As ``Market.option_quote``; bid and ask are 0 where the latest capture has no such row."""
        if symbol not in self._listed:
            return None
        stamp = self._whole(at)
        capture = self._capture(at)
        if stamp > self._times[-1]:
            return Quote(symbol, _NOTHING, _NOTHING, 0, 0, self._times[-1])
        row = None if capture is None else capture.rows.get(symbol)
        if row is None:
            return Quote(symbol, _NOTHING, _NOTHING, 0, 0, stamp)
        return Quote(symbol, row.bid, row.ask, row.bid_size, row.ask_size, stamp)

    def option_volume(self, symbol: str, at: datetime) -> int:
        capture = self._capture(at)
        row = None if capture is None else capture.rows.get(symbol)
        return 0 if row is None else row.volume

    def implied_volatility(self, symbol: str, at: datetime) -> float | None:
        """From the mid of the latest capture; the file's own column is not to be trusted."""
        capture = self._capture(at)
        row = None if capture is None else capture.rows.get(symbol)
        if capture is None or row is None or not 0 < row.bid <= row.ask:
            return None
        contract = self._listed[symbol].contract
        mid, years = float(row.bid + row.ask) / 2, years_to_expiry(capture.at, self.session.close)
        return implied_volatility(contract.right, mid, capture.spot, float(contract.strike), years)

    def vix(self, at: datetime) -> float:
        """The seeded market's at the previous close: the chains hold no volatility of a month."""
        return self._past.vix(min(at, self.session.open - timedelta(hours=6)))

    def headlines(self, start: datetime, end: datetime) -> tuple[Headline, ...]:
        """None: what was in the papers of that day is not recorded."""
        return ()

    def settlement(self, underlying: str) -> float:
        """The close the seeded path comes to: the files end some minutes before it."""
        _known(underlying)
        return self._tape.close

    def _whole(self, at: datetime) -> datetime:
        """``at`` rounded down to the second."""
        return self.session.open + timedelta(seconds=whole_seconds(at - self.session.open))

    def _capture(self, at: datetime) -> _Capture | None:
        index = bisect_right(self._times, at)
        return self._captures[index - 1] if index else None

    def _scaled(self, bar: Bar) -> Bar:
        """``bar`` of the seeded past at this day's price level."""
        opened, high, low, close, vwap = (
            round(price * self._scale, 2) for price in (bar.open, bar.high, bar.low, bar.close, bar.vwap)
        )
        return replace(bar, open=opened, high=high, low=low, close=close, vwap=vwap)

    def _read(self, file: Path) -> list[_Capture]:
        """The captures of ``file`` that fall into the session, in order; fills the listing."""
        captures: dict[str, _Capture] = {}
        for line, cells in _lines(file):
            try:
                self._take(cells, captures)
            except ValueError as error:
                raise DataError(f"{file.name} line {line}: {error}") from None
        within = [c for c in captures.values() if self.session.open <= c.at < self.session.close]
        if not within:
            raise DataError(f"{file.name} holds no capture of the session of {self.day}")
        return sorted(within, key=lambda capture: capture.at)

    def _take(self, cells: dict[str, str], captures: dict[str, _Capture]) -> None:
        """Enter one row. A repeated capture (the feed stood still) is entered over itself."""
        stamp = cells["quote_ts"]
        if stamp not in captures:
            captures[stamp] = _Capture(self._moment(stamp), _spot(cells))
        if date.fromisoformat(cells["expiry"]) != self.day:
            raise ValueError(f"expiry {cells['expiry']} is not the day of the file")
        right, strike = Right(cells["type"]), _price(cells, "strike")
        symbol = occ.build(SYMBOL, self.day, right, strike)
        contract = Contract(symbol, SYMBOL, self.day, right, strike)
        self._listed[symbol] = ListedContract(contract, int(_number(cells, "open_interest")), True)
        captures[stamp].rows[symbol] = _Row(
            _price(cells, "bid"),
            _price(cells, "ask"),
            int(_number(cells, "bid_size")),
            int(_number(cells, "ask_size")),
            int(_number(cells, "volume")),
        )

    def _moment(self, stamp: str) -> datetime:
        wall = datetime.fromisoformat(stamp)
        if wall.tzinfo is not None or wall.date() != self.day:
            raise ValueError(f"quote_ts {stamp} is not a naive US/Eastern moment of {self.day}")
        return from_eastern(wall.date(), wall.time())


def _known(symbol: str) -> None:
    if symbol != SYMBOL:
        raise KeyError(symbol)


def _lines(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells of ``file``. Raises DataError when it cannot be read."""
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            table = csv.DictReader(text)
            missing = [column for column in _COLUMNS if column not in (table.fieldnames or ())]
            if missing:
                raise DataError(f"{file.name} has no column {missing[0]}")
            for cells in table:
                if None in cells or None in cells.values():
                    raise DataError(f"{file.name} line {table.line_num}: not as many cells as columns")
                yield table.line_num, cells
    except FileNotFoundError:
        raise DataError(f"no recorded chain: {file} does not exist") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file.name} cannot be read: {error}") from None


def _number(cells: dict[str, str], column: str) -> float:
    value = float(cells[column])
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{column} is {cells[column]}")
    return value


def _spot(cells: dict[str, str]) -> float:
    if (spot := _number(cells, "spot")) == 0:
        raise ValueError("spot is 0")
    return spot


def _price(cells: dict[str, str], column: str) -> Decimal:
    _number(cells, column)
    return Decimal(cells[column])


def _tape(session: SimSession, captures: list[_Capture], draw: np.random.Generator) -> Tape:
    """A seeded path through the recorded spots, as volatile between them as they are."""
    minutes = session.seconds // MINUTE_S
    shape = variance_shape(minutes)
    clock = np.concatenate(([0.0], np.cumsum(np.repeat(shape, MINUTE_S)))) / (minutes * MINUTE_S)
    seconds = np.array([whole_seconds(capture.at - session.open) for capture in captures])
    logs = np.log([capture.spot for capture in captures])
    seen = clock[seconds]
    span = float(seen[-1] - seen[0])
    sd = sqrt(float((np.diff(logs) ** 2).sum()) / span) if span > 0 else 0.0
    before, after = sd * np.sqrt([seen[0], 1 - seen[-1]]) * draw.standard_normal(2)
    if seconds[0] > 0:
        seconds, logs = np.insert(seconds, 0, 0), np.insert(logs, 0, logs[0] - before)
    seconds, logs = np.append(seconds, session.seconds), np.append(logs, logs[-1] + after)

    sds = sd * np.sqrt(shape / minutes)
    path = bridge(seconds, logs, np.repeat(sds, MINUTE_S) / sqrt(MINUTE_S), draw)
    path[-2] = path[-1]  # the close is the last print of the last minute
    way = Intraday(path[::MINUTE_S], sds, ())
    return Tape(SYMBOL, session, to_cents(path[:-1]), minute_volumes(way, _SHARES, 0.0, draw))
