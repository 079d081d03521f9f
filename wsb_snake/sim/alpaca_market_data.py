"""The routes of Alpaca's market data API: option quotes and chains, stock bars, quotes and trades, news.

Quotes pass through the exchange's faults; a feed is not told apart (``indicative`` gives the same
quotes as ``opra``). Only bars that have ended are served.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.pricing import greeks, price, years_to_expiry
from wsb_snake.core.types import Bar, Contract, Quote, Right
from wsb_snake.sim import alpaca_news
from wsb_snake.sim import alpaca_query as read
from wsb_snake.sim.alpaca_json import (
    Json,
    bar_json,
    encode,
    greeks_json,
    option_quote_json,
    rfc3339,
    stock_quote_json,
    stock_trade_json,
)
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.sessions import session_before, session_of

Route = Callable[[ApiRequest, str], ApiReply]

_INSTANT = timedelta(microseconds=1)
_MAX_QUOTES = 100
_MAX_SNAPSHOTS = 1_000
_MAX_BARS = 10_000
_MINUTE_FRAMES = ("1Min", "1T")
_DAY_FRAMES = ("1Day", "1D")


class MarketDataRoutes:
    """Handlers by (method, path); ``*`` in a path stands for the handler's second argument."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._market = exchange.market
        self._midnight = from_eastern(exchange.market.day, time(0))  # the start of the day's daily bar
        self._expiry_closes: dict[date, datetime] = {}
        self.routes: dict[tuple[str, str], Route] = {
            ("GET", "/v1beta1/options/quotes/latest"): self._option_quotes,
            ("GET", "/v1beta1/options/snapshots"): self._option_snapshots,
            ("GET", "/v1beta1/options/snapshots/*"): self._option_chain,
            ("GET", "/v1beta1/news"): lambda request, _: alpaca_news.news(exchange, request),
            ("GET", "/v2/stocks/bars"): self._stock_bars,
            ("GET", "/v2/stocks/quotes/latest"): self._stock_quotes,
            ("GET", "/v2/stocks/trades/latest"): self._stock_trades,
            ("GET", "/v2/stocks/snapshots"): self._stock_snapshots,
        }

    # Options

    def _option_quotes(self, request: ApiRequest, _: str) -> ApiReply:
        symbols = _symbols(request, _MAX_QUOTES)
        shown = {symbol: self._shown(symbol) for symbol in symbols}
        return _ok({"quotes": {symbol: option_quote_json(q) for symbol, q in shown.items() if q}})

    def _option_snapshots(self, request: ApiRequest, _: str) -> ApiReply:
        listed = [self._exchange.listed(symbol) for symbol in _symbols(request, _MAX_QUOTES)]
        return self._snapshots(request, [row for row in listed if row is not None])

    def _option_chain(self, request: ApiRequest, underlying: str) -> ApiReply:
        query = request.query
        exact = read.day(query, "expiration_date")
        first = exact or read.day(query, "expiration_date_gte") or date.min
        last = exact or read.day(query, "expiration_date_lte") or date.max
        low, high = read.number(query, "strike_price_gte"), read.number(query, "strike_price_lte")
        kind = read.choice(query, "type", "", "call", "put")
        chain = [
            row
            for row in self._exchange.listings(underlying).values()
            if first <= row.contract.expiry <= last
            and (not kind or (row.contract.right is Right.CALL) == (kind == "call"))
            and (low is None or row.contract.strike >= low)
            and (high is None or row.contract.strike <= high)
        ]
        return self._snapshots(request, chain)

    def _snapshots(self, request: ApiRequest, rows: list[ListedContract]) -> ApiReply:
        """One page of ``rows`` (sorted by symbol); the token names the first symbol of the next."""
        begin = read.position(request.query)
        limit = read.integer(request.query, "limit", 100, _MAX_SNAPSHOTS)
        left = [row.contract for row in rows if begin is None or row.contract.symbol >= begin]
        following = read.token(left[limit].symbol) if len(left) > limit else None
        shown = {contract.symbol: self.snapshot(contract) for contract in left[:limit]}
        return _ok({"snapshots": shown, "next_page_token": following})

    def snapshot(self, contract: Contract) -> Json:
        """Without volatility and greeks where the market has none, as at Alpaca."""
        now, symbol = self._exchange.clock.now(), contract.symbol
        shape: Json = {}
        quote = self._shown(symbol)
        if quote is not None:
            shape["latestQuote"] = option_quote_json(quote)
        if (volatility := self._market.implied_volatility(symbol, now)) is not None:
            shape["impliedVolatility"] = volatility
            shape["greeks"] = self._greeks(contract, volatility, now)
        volume = self._market.option_volume(symbol, now)
        if quote is not None and volume > 0:
            mid = float(quote.mid)
            shape["dailyBar"] = bar_json(Bar(symbol, self._midnight, mid, mid, mid, mid, volume, mid))
        return shape

    def _greeks(self, contract: Contract, volatility: float, now: datetime) -> Json:
        """Rho per percentage point: at a rate of zero it is T (S delta - value) / 100."""
        spot = self._market.spot(contract.underlying, now)
        years = years_to_expiry(now, self._expiry_close(contract.expiry))
        right, strike = contract.right, float(contract.strike)
        sensitivities = greeks(right, spot, strike, years, volatility)
        value = price(right, spot, strike, years, volatility)
        return greeks_json(sensitivities, years * (spot * sensitivities.delta - value) / 100)

    def _expiry_close(self, expiry: date) -> datetime:
        if expiry not in self._expiry_closes:
            self._expiry_closes[expiry] = (session_of(expiry) or session_before(expiry)).close
        return self._expiry_closes[expiry]

    def _shown(self, symbol: str) -> Quote | None:
        """The quote that goes out, after faults."""
        now = self._exchange.clock.now()
        true = self._exchange.quote(symbol, now)
        return None if true is None else self._exchange.faults.quote(true, now)

    # Stocks

    def _stocks(self, request: ApiRequest) -> list[str]:
        known = self._market.symbols()
        return [symbol for symbol in _symbols(request) if symbol in known]

    def _stock_quotes(self, request: ApiRequest, _: str) -> ApiReply:
        shown = {symbol: self._shown(symbol) for symbol in self._stocks(request)}
        return _ok({"quotes": {symbol: stock_quote_json(q) for symbol, q in shown.items() if q}})

    def _stock_trades(self, request: ApiRequest, _: str) -> ApiReply:
        return _ok({"trades": {symbol: self._stock_trade(symbol) for symbol in self._stocks(request)}})

    def _stock_trade(self, symbol: str) -> Json:
        now = self._exchange.clock.now()
        return stock_trade_json(self._market.spot(symbol, now), now)

    def _stock_snapshots(self, request: ApiRequest, _: str) -> ApiReply:
        return _ok({symbol: self._stock_snapshot(symbol) for symbol in self._stocks(request)})

    def _stock_snapshot(self, symbol: str) -> Json:
        now, session = self._exchange.clock.now(), self._market.session
        shape: Json = {"latestTrade": self._stock_trade(symbol)}
        quote = self._shown(symbol)
        if quote is not None:
            shape["latestQuote"] = stock_quote_json(quote)
        if minutes := self._market.bars(symbol, session.open, now, now):
            shape["minuteBar"] = bar_json(minutes[-1])
            shape["dailyBar"] = bar_json(_day_bar(minutes, self._midnight))
        before = session_before(self._market.day).day
        if previous := self._market.daily_bars(symbol, before, before):
            shape["prevDailyBar"] = bar_json(previous[-1])
        return shape

    def _stock_bars(self, request: ApiRequest, _: str) -> ApiReply:
        """By symbol, then by time; the token names the first bar of the next page."""
        query = request.query
        now = self._exchange.clock.now()
        frame = read.choice(query, "timeframe", _MINUTE_FRAMES[0], *_MINUTE_FRAMES, *_DAY_FRAMES)
        start = read.moment(query, "start") or from_eastern(eastern_date(now), time(0))
        end = read.moment(query, "end") or now
        newest_first = read.choice(query, "sort", "asc", "desc") == "desc"
        left = read.integer(query, "limit", 1_000, _MAX_BARS)
        begin_symbol, _, begin = (read.position(query) or "").partition("|")
        pages: dict[str, list[Json]] = {}
        following = None
        for symbol in self._stocks(request):
            if symbol < begin_symbol:
                continue
            bars = self._bars(symbol, frame in _DAY_FRAMES, start, end, now)
            if symbol == begin_symbol:
                edge = read.moment({"at": begin}, "at") or start
                bars = [bar for bar in bars if (bar.start <= edge if newest_first else bar.start >= edge)]
            if newest_first:
                bars = bars[::-1]
            if bars[:left]:
                pages[symbol] = [bar_json(bar) for bar in bars[:left]]
            if len(bars) > left:
                following = read.token(f"{symbol}|{rfc3339(bars[left].start)}")
                break
            left -= len(bars)
        return _ok({"bars": pages, "next_page_token": following})

    def _bars(self, symbol: str, daily: bool, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        """Ended bars with start <= bar.start <= end, oldest first."""
        if not daily:
            return self._market.bars(symbol, start, end + _INSTANT, now)
        bars = self._market.daily_bars(symbol, eastern_date(start), eastern_date(end))
        session = self._market.session
        if now >= session.close and (minutes := self._market.bars(symbol, session.open, now, now)):
            bars = [*bars, _day_bar(minutes, self._midnight)]
        return [bar for bar in bars if start <= bar.start <= end]


def _day_bar(minutes: list[Bar], start: datetime) -> Bar:
    """The day so far as one bar."""
    volume = sum(bar.volume for bar in minutes)
    return Bar(
        symbol=minutes[0].symbol,
        start=start,
        open=minutes[0].open,
        high=max(bar.high for bar in minutes),
        low=min(bar.low for bar in minutes),
        close=minutes[-1].close,
        volume=volume,
        vwap=sum(bar.vwap * bar.volume for bar in minutes) / volume if volume else minutes[-1].close,
    )


def _symbols(request: ApiRequest, most: int | None = None) -> list[str]:
    symbols = read.names(request.query, "symbols")
    if not symbols:
        raise read.BadQuery("symbols is required")
    if most is not None and len(symbols) > most:
        raise read.BadQuery(f"too many symbols: {len(symbols)}, at most {most}")
    return symbols


def _ok(body: Any) -> ApiReply:
    return ApiReply(200, encode(body))
