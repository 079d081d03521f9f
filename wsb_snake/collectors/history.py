"""Bars of days that are over, by day and by minute, kept for the day.

Kept by source, symbol and day, so that feeds do not mix, another question asks only for what is lacking,
and what a small budget left out is asked for again. An answer without a bar, or without that of the last
day, may be the vendor's trouble: it is good for ten minutes only.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from wsb_snake.collectors.failover import Failover
from wsb_snake.collectors.kept import Kept, for_a_while, for_the_day
from wsb_snake.collectors.sources import DataUnavailable, Source
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.types import Bar

Minutes = tuple[Bar, ...]

T = TypeVar("T")


class OneFeed(dict[str, T]):
    """An answer by symbol, all of it of ``feed``."""

    def __init__(self, feed: str, found: Mapping[str, T]) -> None:
        super().__init__(found)
        self.feed = feed


class History:
    """Safe from several lanes."""

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._days: Kept[list[Bar]] = Kept()
        self._minutes: Kept[Minutes] = Kept()

    def daily(self, symbols: tuple[str, ...], first: date, last: date, now: datetime) -> OneFeed[list[Bar]]:
        """Daily bars of one feed; a symbol that could not be fetched is absent. Raises DataError."""
        return self._failover.ask("daily bars", lambda source: self._daily(source, symbols, first, last, now))

    def sessions(
        self, symbols: tuple[str, ...], sessions: Sequence[Session], now: datetime
    ) -> OneFeed[tuple[Minutes, ...]]:
        """The minutes of each of ``sessions`` (oldest first) for each symbol that could be fetched.

        Raises DataError, and ValueError when one of ``sessions`` is not over.
        """
        if any(session.close > now for session in sessions):
            raise ValueError("a session that is not over is no past session")
        return self._failover.ask(
            "earlier sessions", lambda source: self._sessions(source, symbols, sessions, now)
        )

    def _daily(
        self, source: Source, symbols: tuple[str, ...], first: date, last: date, now: datetime
    ) -> OneFeed[list[Bar]]:
        lacking = tuple(s for s in symbols if not self._days.has((source.name, s, first, last), now))
        if lacking:
            for symbol, bars in source.daily_bars(lacking, first, last).items():
                final = bool(bars) and eastern_date(bars[-1].start) == last < eastern_date(now)
                until = for_the_day(now) if final else for_a_while(now)
                self._days.put((source.name, symbol, first, last), bars, until, now)
        kept = ((s, self._days.find((source.name, s, first, last), now)) for s in symbols)
        found = {symbol: bars for symbol, bars in kept if bars is not None}
        return OneFeed(source.name, _some(found, symbols))

    def _sessions(
        self, source: Source, symbols: tuple[str, ...], sessions: Sequence[Session], now: datetime
    ) -> OneFeed[tuple[Minutes, ...]]:
        def keys(symbol: str) -> list[tuple[str, str, date]]:
            return [(source.name, symbol, session.day) for session in sessions]

        lacking = {s for s in symbols if not all(self._minutes.has(key, now) for key in keys(s))}
        wanted = [
            session
            for session in sessions
            if any(not self._minutes.has((source.name, s, session.day), now) for s in lacking)
        ]
        if wanted:
            asked = tuple(s for s in symbols if s in lacking)
            answer = source.bars(asked, wanted[0].open, wanted[-1].close)
            for symbol, bars in answer.items():
                until = for_the_day(now) if bars else for_a_while(now)
                for session in wanted:
                    key = (source.name, symbol, session.day)
                    self._minutes.put(key, _within(bars, session), until, now)
        found: dict[str, tuple[Minutes, ...]] = {}
        for symbol in symbols:
            kept = [self._minutes.find(key, now) for key in keys(symbol)]
            whole = tuple(minutes for minutes in kept if minutes is not None)
            if len(whole) == len(sessions):
                found[symbol] = whole
        return OneFeed(source.name, _some(found, symbols))


def _some(found: dict[str, T], symbols: tuple[str, ...]) -> dict[str, T]:
    if symbols and not found:
        raise DataUnavailable("none of the symbols could be fetched within the budget")
    return found


def _within(bars: list[Bar], session: Session) -> Minutes:
    """What of ``bars`` (oldest first) began in the session: feeds have bars before and after it."""
    first = bisect_left(bars, session.open, key=lambda bar: bar.start)
    return tuple(bars[first : bisect_left(bars, session.close, key=lambda bar: bar.start)])
