"""The embedded exchange as market data ``Source``s, without sockets or clients.

Chains and headlines pass through the vendors' JSON shapes, and a call takes as many round trips as its
pages would, so that no depth knows more than another, or knows it sooner.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.backtest.sim_broker import HANG_S
from wsb_snake.collectors import alpaca_data, alpaca_wire, polygon_data, polygon_wire
from wsb_snake.collectors.sources import DataSilent, unavailable
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.types import Bar, ChainRow, Headline, Quote
from wsb_snake.sim.alpaca_market_data import MarketDataRoutes
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import ConnectionLost, Hung, answer_of
from wsb_snake.sim.polygon_options import PolygonOptions

_CONTRACTS_A_PAGE = 1_000
_ITEMS_A_PAGE = 50


class SimSource:
    """Implements ``Source`` in the place of Alpaca's market data."""

    name = "embedded"
    bars_a_page = 10_000

    def __init__(self, exchange: Exchange, lanes: Lanes) -> None:
        self._exchange = exchange
        self._lanes = lanes
        self._routes = MarketDataRoutes(exchange)
        self.sent = 0

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        with self._request():
            known = self._exchange.market.symbols()
            now = self._exchange.clock.now()
            found = {s: self._exchange.market.bars(s, start, end, now) if s in known else [] for s in symbols}
        self._turn_pages(sum(map(len, found.values())), self.bars_a_page)
        return found

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        market = self._exchange.market
        with self._request():
            known = market.symbols()
            found = {s: market.daily_bars(s, first, last) if s in known else [] for s in symbols}
        self._turn_pages(sum(map(len, found.values())), self.bars_a_page)
        return found

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        """As they go out, after faults. Raises DataUnavailable where a fault denies the answer."""
        exchange = self._exchange
        with self._request():
            now = exchange.clock.now()
            try:
                spoilt = answer_of(exchange.faults.before("GET /v1beta1/options/quotes/latest", now))
            except Hung:
                self._lanes.sleep(HANG_S)
                raise DataSilent("no answer within the budget") from None
            except ConnectionLost:
                raise DataSilent("the connection was lost") from None
            if spoilt is not None:
                raise unavailable(spoilt.status, "")
            true = ((s, exchange.quote(s, now)) for s in symbols)
            shown = ((s, exchange.faults.quote(q, now)) for s, q in true if q is not None)
            return {s: quote for s, quote in shown if quote is not None}

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        with self._request():
            listed = (row.contract for row in self._exchange.listings(underlying).values())
            wanted = [c for c in listed if first <= c.expiry <= last and low <= c.strike <= high]
            shapes = {c.symbol: self._routes.snapshot(c) for c in wanted}
        self._turn_pages(len(shapes), _CONTRACTS_A_PAGE)
        rows = (alpaca_wire.chain_row_or_none(symbol, shape) for symbol, shape in sorted(shapes.items()))
        return tuple(row for row in rows if row is not None)

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        return self._headlines(symbols, start, end, alpaca_data.HEADLINES, _ITEMS_A_PAGE)

    def vix(self) -> float | None:
        return None

    def _headlines(
        self, symbols: tuple[str, ...], start: datetime, end: datetime, most: int, a_page: int
    ) -> tuple[Headline, ...]:
        wanted = frozenset(symbols)
        with self._request():
            told = self._exchange.market.headlines(start, min(end, self._exchange.clock.now()))
            found = tuple(item for item in told if not wanted.isdisjoint(item.symbols))[-most:]
        self._turn_pages(len(found), a_page)
        return found

    @contextmanager
    def _request(self) -> Iterator[None]:
        self.sent += 1
        with self._lanes.network():
            yield

    def _turn_pages(self, rows: int, a_page: int) -> None:
        """The round trips after the first one."""
        for _ in range(a_page, rows, a_page):
            with self._request():
                pass


class SimVix(SimSource):
    """In the place of Polygon: knows the VIX, and the open interest of a chain."""

    name = "embedded polygon"
    bars_a_page = polygon_data.MAX_BARS

    def __init__(self, exchange: Exchange, lanes: Lanes) -> None:
        super().__init__(exchange, lanes)
        self._options = PolygonOptions(exchange)

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        """One symbol a request, as there."""
        found: dict[str, list[Bar]] = {}
        for symbol in symbols:
            found |= super().bars((symbol,), start, end)
        return found

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        found: dict[str, list[Bar]] = {}
        for symbol in symbols:
            found |= super().daily_bars((symbol,), first, last)
        return found

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        query = {
            "expiration_date.gte": first.isoformat(),
            "expiration_date.lte": last.isoformat(),
            "strike_price.gte": str(float(low)),
            "strike_price.lte": str(float(high)),
            "limit": str(polygon_data.CHAIN_PAGE),
        }
        rows: list[ChainRow] = []
        while True:
            with self._request():
                answer = self._options.chain(query, underlying)
            rows += [polygon_wire.chain_row(row) for row in answer["results"]]
            if "next_url" not in answer:
                return tuple(rows)
            query = {"cursor": polygon_data.cursor_of(answer)}

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        return self._headlines(symbols, start, end, polygon_data.HEADLINES, polygon_data.HEADLINES)

    def vix(self) -> float | None:
        with self._request():
            return round(self._exchange.market.vix(self._exchange.clock.now()), 2)
