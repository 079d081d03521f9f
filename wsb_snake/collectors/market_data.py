"""Market data for the engines: one facade over a source and its fallback.

What is asked again is asked only for what is new: bars of this session and of earlier ones, daily bars,
headlines and chains are kept, each as long as it is good. Live quotes and the chain for picking a
contract never are.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from wsb_snake.collectors.chains import PressureChains
from wsb_snake.collectors.failover import OPTION_QUOTES, RETRY_ENTITLEMENT_S, RETRY_PRIMARY_S, Failover
from wsb_snake.collectors.history import History, OneFeed
from wsb_snake.collectors.kept import Kept
from wsb_snake.collectors.news import News
from wsb_snake.collectors.session_bars import BarsView, SessionBars
from wsb_snake.collectors.sources import (
    BAR,
    FIRST,
    DataError,
    DataSilent,
    DataUnavailable,
    NotEntitled,
    Source,
)
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import Clock
from wsb_snake.core.types import Bar, Chain, ChainRow, Headline, Quote

__all__ = [
    "BAR",
    "RETRY_ENTITLEMENT_S",
    "RETRY_PRIMARY_S",
    "BarsView",
    "DataError",
    "DataSilent",
    "DataUnavailable",
    "MarketData",
    "NotEntitled",
    "OneFeed",
    "Source",
]

PRICE_AGE = timedelta(minutes=10)
VIX = "vix"


class MarketData:
    """Safe from several lanes; no lock is held across a call to a source.

    Every method raises DataError when no source has the answer, where nothing else is said.
    """

    def __init__(self, primary: Source, fallback: Source | None, clock: Clock) -> None:
        self._clock = clock
        self._failover = Failover(primary, fallback, clock)
        self._bars = SessionBars()
        self._history = History(self._failover)
        self._news = News(self._failover)
        self._chains = PressureChains(self._failover)
        self._vix: Kept[float | None] = Kept()

    def bars(self, symbols: Iterable[str], session: Session, now: datetime) -> BarsView:
        """All ended 1-minute bars of ``session`` up to ``now``. Raises DataError when no source has any."""
        asked = _in_order(symbols)
        end = min(now, session.close).replace(second=0, microsecond=0)
        primary = self._failover.sources[0]
        return self._failover.ask(
            "bars",
            lambda source: self._bars.view(source, asked, session, end, degraded=source is not primary),
        )

    def past_sessions(
        self, symbols: Iterable[str], sessions: Sequence[Session]
    ) -> OneFeed[tuple[tuple[Bar, ...], ...]]:
        """1-minute bars of ``sessions``, which are over, oldest first; kept for the day, of one feed.

        A symbol that could not be fetched is absent. A minute without a bar has none, and a half day
        ends with its last one: nothing is filled in. Raises DataError, and ValueError for a session that
        is not over.
        """
        return self._history.sessions(_in_order(symbols), sessions, self._clock.now())

    def daily_bars(self, symbols: Iterable[str], first: date, last: date) -> OneFeed[list[Bar]]:
        """Daily bars of one feed, kept for the day where they reach ``last``; absent symbols as above.

        ``last`` is the day of a session: one that is under way, or has no bar yet, is asked for again
        after ten minutes. The lists are the kept ones: read them only.
        """
        return self._history.daily(_in_order(symbols), first, last, self._clock.now())

    def option_quotes(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """The latest quotes, never kept; a symbol without a quote is absent."""
        asked = tuple(symbols)
        if not asked:
            return {}
        return self._failover.ask(OPTION_QUOTES, lambda source: source.option_quotes(asked))

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        """The live chain of the expiries from ``first`` to ``last``, strikes in dollars; never kept."""
        return self._failover.ask("chain", lambda source: source.chain(underlying, first, last, low, high))

    def pressure_chain(self, underlying: str, expiry: date, spot: float, now: datetime) -> Chain:
        """The chain within 8 % of ``spot`` dollars, $60 at most, and at most ten minutes old.

        Volume and open interest are None where no source tells them, which is not zero.
        """
        return self._chains.get(underlying, expiry, spot, now)

    def news(self, symbols: Iterable[str], since: datetime, now: datetime) -> dict[str, tuple[Headline, ...]]:
        """The headlines of each symbol from ``since`` to ``now``, oldest first; up to a minute old.

        A symbol without news has an empty tuple.
        """
        return self._news.of(_in_order(symbols), since, now)

    def vix(self, now: datetime) -> float | None:
        """The VIX, at most ten minutes old, or None where no source tells it."""
        return self._vix.get(VIX, now, self._first_vix)

    def data_age_s(self, now: datetime) -> float | None:
        """Seconds since the newest bar of the session ended; None before the first one."""
        newest = self._bars.newest
        return None if newest is None else max(0.0, (now - newest).total_seconds())

    def last_price(self, symbol: str) -> Decimal | None:
        """The close of the newest bar that is known, dollars, when it is no older than ten minutes."""
        newest = self._bars.last(symbol)
        if newest is None or self._clock.now() - newest.start > PRICE_AGE:
            return None
        return Decimal(f"{newest.close:.4f}")

    def known_bars(self, symbol: str) -> tuple[Bar, ...]:
        """The minutes of ``symbol`` in memory, the oldest first, of one feed; nothing is fetched."""
        return self._bars.known(symbol)

    @property
    def errors(self) -> tuple[str, ...]:
        """What does not come as it should at present, a line each: source, kind, reason."""
        return self._failover.errors

    @property
    def last_error(self) -> str | None:
        """The first of ``errors``; None when all is well."""
        return next(iter(self.errors), None)

    @property
    def requests(self) -> Mapping[str, int]:
        """Requests since the start by source; each page of an answer is one."""
        return {source.name: source.sent for source in self._failover.sources}

    def _first_vix(self) -> float | None:
        """Nice to have: who needs it has a proxy."""
        for source in self._failover.sources:
            try:
                value = self._failover.unless_resting(source, VIX, lambda asked: asked.vix())
            except DataError as error:
                self._failover.tell(VIX, source, error)
            else:
                if value is not None:
                    self._failover.well(VIX)
                    return value
        return None


def _in_order(symbols: Iterable[str]) -> tuple[str, ...]:
    """Each once, the important ones first: a small budget ends somewhere."""
    asked = set(symbols)
    return (*(symbol for symbol in FIRST if symbol in asked), *sorted(asked.difference(FIRST)))
