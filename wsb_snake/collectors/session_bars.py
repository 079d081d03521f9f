"""The bars of the session under way, each fetched once.

One window a source, so that what a view shows always comes from one feed: volumes of two feeds do not
compare. A request asks only for what ended since the last bar that came, and for that bar again, because it
may have been unfinished then: an answer without bars may be the vendor's trouble and not silence.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType

from wsb_snake.collectors.sources import BAR, DataUnavailable, Source
from wsb_snake.core.calendar import Session
from wsb_snake.core.types import Bar

LAG = timedelta(minutes=2)
"""How far behind a view may be when the budget lets nothing newer come."""

REACH = timedelta(minutes=15)
"""How far back what did not come is asked for again: a thin name is silent for longer than that."""


@dataclass(frozen=True, slots=True)
class BarsView:
    """The session so far. ``bars`` holds the symbols that are complete up to ``as_of``; ``missing`` the
    others that were asked for. ``as_of`` is the last whole minute or, where a small budget is spent, up to
    two minutes before. A minute without a bar had no trade on this feed, or its bar is late. ``degraded``
    says that they are the fallback's."""

    feed: str
    degraded: bool
    as_of: datetime
    bars: Mapping[str, tuple[Bar, ...]]
    missing: frozenset[str]


@dataclass(slots=True)
class _Window:
    """One feed's bars of one session; ``through`` is the moment up to which a symbol was asked for."""

    day: date
    bars: dict[str, tuple[Bar, ...]] = field(default_factory=dict)
    through: dict[str, datetime] = field(default_factory=dict)

    def lacks_from(self, symbol: str, opened: datetime, end: datetime) -> datetime:
        """From where on to ask for ``symbol``, up to ``end``."""
        known = self.bars.get(symbol)
        came = known[-1].start + BAR if known else opened
        through = self.through.get(symbol, opened)
        return max(opened, max(came, min(through, end - REACH)) - BAR)


class SessionBars:
    """Safe from several lanes; the lock is never held across a call to a source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._newest: datetime | None = None

    @property
    def newest(self) -> datetime | None:
        """When the newest bar of the session ended."""
        return self._newest

    def last(self, symbol: str) -> Bar | None:
        """The newest bar of ``symbol`` on any feed."""
        with self._lock:
            bars = [window.bars[symbol][-1] for window in self._windows.values() if window.bars.get(symbol)]
        return max(bars, key=lambda bar: bar.start, default=None)

    def known(self, symbol: str) -> tuple[Bar, ...]:
        """The bars of ``symbol`` that were fetched: of the feed that has the newest."""
        with self._lock:
            held = [window.bars[symbol] for window in self._windows.values() if window.bars.get(symbol)]
        return max(held, key=lambda bars: bars[-1].start, default=())

    def view(
        self, source: Source, symbols: tuple[str, ...], session: Session, end: datetime, *, degraded: bool
    ) -> BarsView:
        """All of ``symbols`` up to ``end``, a whole minute. Raises DataError when nothing came."""
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
            as_of = _complete_to(window, symbols, end)
            fresh = {s: window.bars[s] for s in symbols if s in window.through and window.through[s] >= as_of}
        if symbols and not fresh and end > session.open:
            raise DataUnavailable("none of the symbols could be fetched within the budget")
        return BarsView(
            feed=source.name,
            degraded=degraded,
            as_of=as_of,
            bars=MappingProxyType(fresh),
            missing=frozenset(symbols) - fresh.keys() if end > session.open else frozenset(),
        )

    def _merge(self, window: _Window, answer: Mapping[str, list[Bar]], end: datetime) -> None:
        for symbol, bars in answer.items():
            window.bars[symbol] = _joined(window.bars.get(symbol, ()), bars)
            window.through[symbol] = max(end, window.through.get(symbol, end))
            if bars and (self._newest is None or bars[-1].start + BAR > self._newest):
                self._newest = bars[-1].start + BAR


def _complete_to(window: _Window, symbols: tuple[str, ...], end: datetime) -> datetime:
    """``end``, or what the foremost of ``symbols`` reaches when none reaches that far and it is not old."""
    newest = max((window.through[s] for s in symbols if s in window.through), default=end)
    return newest if end - LAG <= newest < end else end


def _by_start(
    window: _Window, symbols: tuple[str, ...], opened: datetime, end: datetime
) -> list[tuple[datetime, list[str]]]:
    """What to ask for: symbols that lack the same stretch share a request, the shortest stretch first.

    Short stretches all share one: silent symbols cost no further request.
    """
    if end <= opened:
        return []
    behind = [symbol for symbol in symbols if window.through.get(symbol, opened) < end]
    starts = {symbol: window.lacks_from(symbol, opened, end) for symbol in behind}
    reach = end - REACH - BAR
    shared = min((start for start in starts.values() if start >= reach), default=reach)
    groups: dict[datetime, list[str]] = {}
    for symbol, start in starts.items():
        groups.setdefault(shared if start >= reach else start, []).append(symbol)
    return sorted(groups.items(), reverse=True)


def _joined(cached: tuple[Bar, ...], newer: list[Bar]) -> tuple[Bar, ...]:
    """``cached`` and ``newer`` in order of time; where both have a bar, the newer one counts."""
    if not newer:
        return cached
    cut = bisect_left(cached, newer[0].start, key=lambda bar: bar.start)
    tail = {bar.start: bar for bar in (*cached[cut:], *newer)}
    return (*cached[:cut], *(tail[start] for start in sorted(tail)))
