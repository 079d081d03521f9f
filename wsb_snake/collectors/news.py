"""Headlines, kept: a question asks only for what was published since the last one.

Vendors enter an item minutes after the time stamped on it, so the last stretch is asked for again.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from wsb_snake.collectors.failover import Failover
from wsb_snake.collectors.sources import Source
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.types import Headline

FRESH = timedelta(seconds=60)
"""How long an answer is good."""

LATE = timedelta(minutes=10)


@dataclass(slots=True)
class _Read:
    """What one source has told of ``symbols`` from ``since`` to ``through``."""

    day: date
    symbols: frozenset[str]
    since: datetime
    through: datetime
    items: dict[tuple[datetime, str], Headline] = field(default_factory=dict)


class News:
    """Safe from several lanes; the lock is never held across a call to a source."""

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._lock = threading.Lock()
        self._read: dict[str, _Read] = {}

    def of(self, symbols: tuple[str, ...], since: datetime, now: datetime) -> dict[str, tuple[Headline, ...]]:
        """By symbol, oldest first, none from after ``now``. Raises DataError."""
        items = self._failover.ask("news", lambda source: self._items(source, frozenset(symbols), since, now))
        found: dict[str, list[Headline]] = defaultdict(list)
        for item in items:
            for symbol in item.symbols:
                found[symbol].append(item)
        return {symbol: tuple(found.get(symbol, ())) for symbol in symbols}

    def _items(
        self, source: Source, symbols: frozenset[str], since: datetime, now: datetime
    ) -> list[Headline]:
        with self._lock:
            read = self._read.get(source.name)
            if read is not None and read.day != eastern_date(now):
                read = None
        if read is None or not (symbols <= read.symbols and read.since <= since):
            wider = read or _Read(eastern_date(now), symbols, since, now)
            wanted, start = symbols | wider.symbols, min(since, wider.since)
            read = self._fetch(source, _Read(wider.day, wanted, start, now), start, now)
        elif now - read.through >= FRESH:
            read = self._fetch(source, read, max(read.since, read.through - LATE), now)
        told = [item for item in read.items.values() if since <= item.at <= now]
        return sorted(told, key=lambda item: (item.at, item.text))

    def _fetch(self, source: Source, known: _Read, start: datetime, now: datetime) -> _Read:
        """``known`` and what came since; a new object, because other lanes read the old one."""
        told = source.news(tuple(sorted(known.symbols)), start, now)
        items = known.items | {(item.at, item.text): item for item in told}
        read = _Read(known.day, known.symbols, known.since, now, items)
        with self._lock:
            self._read[source.name] = read
        return read
