"""Market data for the engines: one facade over a source and its fallback.

    DataError
    ├── DataUnavailable   nothing came this time: count, retry
    └── NotEntitled       keys or plan do not include it: retrying does not help, say so

Bars are cached by symbol and session, one window a source, so that what a view shows always comes from
one feed: volumes of two feeds do not compare. A request asks only for what ended since the last one, and
for one bar more, because the newest bar may still have been missing or unfinished then.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import Clock
from wsb_snake.core.types import Bar, ChainRow, Quote

PRICE_AGE = timedelta(minutes=10)

T = TypeVar("T")

BAR = timedelta(minutes=1)
FIRST = ("SPY", "QQQ", "IWM")
RETRY_PRIMARY_S = 30.0
RETRY_ENTITLEMENT_S = 3600.0
KEEP_S = 600.0


class DataError(Exception):
    """Market data did not come."""


class DataUnavailable(DataError):
    pass


class NotEntitled(DataError):
    pass


class Source(Protocol):
    """A vendor, or the embedded exchange. Every method may raise any DataError."""

    @property
    def name(self) -> str:
        """Vendor and feed, for people (``alpaca iex``)."""
        ...

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        """Ended 1-minute bars within ``start`` and ``end``, oldest first.

        A symbol without trades has an empty list; one that was not fetched (budget) is absent.
        """
        ...

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        """Daily bars, adjusted for splits, oldest first; absent symbols as in ``bars``."""
        ...

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        """The latest quotes; a symbol without one is absent."""
        ...

    def chain(self, underlying: str, expiry: date, low: Decimal, high: Decimal) -> tuple[ChainRow, ...]:
        """The contracts of one expiry with strikes from ``low`` to ``high`` dollars."""
        ...

    def vix(self) -> float | None:
        """The VIX index, or None where the source does not know it."""
        ...


@dataclass(frozen=True, slots=True)
class BarsView:
    """The session so far. ``bars`` holds the symbols that are complete up to ``as_of``; ``missing`` the
    others that were asked for. A minute without a bar had no trade on this feed, or its bar is late."""

    feed: str
    degraded: bool
    as_of: datetime
    bars: Mapping[str, tuple[Bar, ...]]
    missing: frozenset[str]


@dataclass(slots=True)
class _Window:
    """One feed's bars of one session; ``through`` is the moment up to which a symbol was fetched."""

    day: date
    bars: dict[str, tuple[Bar, ...]] = field(default_factory=dict)
    through: dict[str, datetime] = field(default_factory=dict)


class _Kept(Generic[T]):
    """Answers that are good enough for ``KEEP_S`` seconds."""

    def __init__(self) -> None:
        self._entries: dict[object, tuple[datetime, T]] = {}

    def get(self, key: object, now: datetime, make: Callable[[], T]) -> T:
        entry = self._entries.get(key)
        if entry is not None and now < entry[0]:
            return entry[1]
        value = make()
        young = {k: kept for k, kept in self._entries.copy().items() if now < kept[0]}
        self._entries = {**young, key: (now + timedelta(seconds=KEEP_S), value)}
        return value


class MarketData:
    """Safe from several lanes; the lock is never held across a call to a source."""

    def __init__(self, primary: Source, fallback: Source | None, clock: Clock) -> None:
        self._sources = (primary,) if fallback is None else (primary, fallback)
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._resting: dict[tuple[str, str], tuple[float, DataError]] = {}
        self._daily: _Kept[dict[str, list[Bar]]] = _Kept()
        self._vix: _Kept[float | None] = _Kept()
        self._errors: dict[str, str] = {}
        self._newest: datetime | None = None

    def bars(self, symbols: Iterable[str], session: Session, now: datetime) -> BarsView:
        """All ended 1-minute bars of ``session`` up to ``now``. Raises DataError when no source has any."""
        asked = tuple(sorted(set(symbols), key=lambda symbol: (symbol not in FIRST, symbol)))
        end = min(now, session.close).replace(second=0, microsecond=0)
        return self._ask("bars", lambda source: self._session_bars(source, asked, session, end))

    def daily_bars(self, symbols: Iterable[str], first: date, last: date) -> dict[str, list[Bar]]:
        """Daily bars from one feed, kept for ten minutes."""
        asked = tuple(symbols)
        return self._daily.get(
            (asked, first, last),
            self._clock.now(),
            lambda: self._ask("daily bars", lambda source: source.daily_bars(asked, first, last)),
        )

    def option_quotes(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """The latest quotes, never cached; a symbol without a quote is absent."""
        asked = tuple(symbols)
        return self._ask("option quotes", lambda source: source.option_quotes(asked)) if asked else {}

    def chain(self, underlying: str, expiry: date, low: Decimal, high: Decimal) -> tuple[ChainRow, ...]:
        """The live chain of one expiry, strikes in dollars; never cached."""
        return self._ask("chain", lambda source: source.chain(underlying, expiry, low, high))

    def vix(self, now: datetime) -> float | None:
        """The VIX, at most ten minutes old, or None where no source is entitled to it."""
        return self._vix.get("vix", now, self._first_vix)

    def data_age_s(self, now: datetime) -> float | None:
        """Seconds since the newest bar of the session ended; None before the first one."""
        newest = self._newest
        return None if newest is None else max(0.0, (now - newest).total_seconds())

    def last_price(self, symbol: str) -> Decimal | None:
        """The close of the newest bar that is known, dollars, when it is no older than ten minutes."""
        with self._lock:
            bars = [window.bars[symbol][-1] for window in self._windows.values() if window.bars.get(symbol)]
        newest = max(bars, key=lambda bar: bar.start, default=None)
        if newest is None or self._clock.now() - newest.start > PRICE_AGE:
            return None
        return Decimal(f"{newest.close:.4f}")

    @property
    def last_error(self) -> str | None:
        """What the primary source refuses at present, one line; None when all is well."""
        return next(iter(self._errors.copy().values()), None)

    def _first_vix(self) -> float | None:
        for source in self._sources:
            try:
                value = source.vix()
            except DataError:
                continue  # nice to have; who needs it has a proxy
            if value is not None:
                return value
        return None

    def _ask(self, kind: str, call: Callable[[Source], T]) -> T:
        """From the first source that answers.

        A primary that failed rests while its fallback serves; one that is not entitled rests anyway.
        """
        failed: DataError | None = None
        for source in self._sources:
            try:
                answer = self._unless_resting(source, kind, call)
            except DataError as error:
                if failed is None:
                    failed = error
                    self._errors[kind] = f"{source.name}: {kind}: {error}"
            else:
                if failed is None:
                    self._errors.pop(kind, None)
                else:
                    self._rest(self._sources[0], kind, RETRY_PRIMARY_S, failed)
                return answer
        raise failed or DataUnavailable(f"{kind}: no source")

    def _unless_resting(self, source: Source, kind: str, call: Callable[[Source], T]) -> T:
        until, error = self._resting.get((source.name, kind), (0.0, None))
        if error is not None and self._clock.monotonic() < until:
            raise error
        try:
            return call(source)
        except NotEntitled as refused:
            self._rest(source, kind, RETRY_ENTITLEMENT_S, refused)
            raise

    def _rest(self, source: Source, kind: str, seconds: float, error: DataError) -> None:
        until, _ = self._resting.get((source.name, kind), (0.0, None))
        now = self._clock.monotonic()
        if until <= now:
            self._resting[(source.name, kind)] = (now + seconds, error)

    def _session_bars(
        self, source: Source, symbols: tuple[str, ...], session: Session, end: datetime
    ) -> BarsView:
        with self._lock:
            window = self._windows.get(source.name)
            if window is None or window.day != session.day:
                window = self._windows[source.name] = _Window(session.day)
            if self._newest is not None and self._newest <= session.open:
                self._newest = None  # of an earlier session
            wanted = _by_start(window, symbols, session.open, end)
        for start, group in wanted:
            answer = source.bars(tuple(group), start, end)
            with self._lock:
                self._merge(window, answer, end)
        with self._lock:
            fresh = {s: window.bars[s] for s in symbols if s in window.through and window.through[s] >= end}
        if symbols and not fresh and end > session.open:
            raise DataUnavailable("none of the symbols could be fetched within the budget")
        return BarsView(
            feed=source.name,
            degraded=source is not self._sources[0],
            as_of=end,
            bars=MappingProxyType(fresh),
            missing=frozenset(symbols) - fresh.keys(),
        )

    def _merge(self, window: _Window, answer: Mapping[str, list[Bar]], end: datetime) -> None:
        for symbol, bars in answer.items():
            window.bars[symbol] = _joined(window.bars.get(symbol, ()), bars)
            window.through[symbol] = max(end, window.through.get(symbol, end))
            if bars and (self._newest is None or bars[-1].start + BAR > self._newest):
                self._newest = bars[-1].start + BAR


def _by_start(
    window: _Window, symbols: tuple[str, ...], opened: datetime, end: datetime
) -> list[tuple[datetime, list[str]]]:
    """What to ask for: symbols that lack the same stretch share a request, the shortest stretch first."""
    groups: dict[datetime, list[str]] = {}
    for symbol in symbols:
        through = window.through.get(symbol)
        if through is None or through < end:
            start = opened if through is None else max(opened, through - BAR)
            groups.setdefault(start, []).append(symbol)
    return sorted(groups.items(), reverse=True) if end > opened else []


def _joined(cached: tuple[Bar, ...], newer: list[Bar]) -> tuple[Bar, ...]:
    """``cached`` and ``newer`` in order of time; where both have a bar, the newer one counts."""
    if not newer:
        return cached
    cut = bisect_left(cached, newer[0].start, key=lambda bar: bar.start)
    tail = {bar.start: bar for bar in (*cached[cut:], *newer)}
    return (*cached[:cut], *(tail[start] for start in sorted(tail)))
