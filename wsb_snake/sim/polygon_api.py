"""Polygon's REST API without a socket, over the market of the embedded exchange.

Paths, result keys and units are those that polygon-api-client 1.16.3 asks for: bars are stamped in
milliseconds, quotes and snapshots in nanoseconds. The plan served is entitled to everything but
single trades and quotes (``/v3/trades``, ``/v3/quotes``, ``/v2/last/trade``).
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from wsb_snake.core.clock import eastern, eastern_date, from_eastern
from wsb_snake.core.types import CONTRACT_SHARES, Bar, Quote
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.paths import FIRST_DAY
from wsb_snake.sim.polygon_news import PolygonNews
from wsb_snake.sim.polygon_options import (
    HOST,
    Json,
    Params,
    PolygonError,
    PolygonOptions,
    bad_request,
    not_found,
    page_limit,
    unix_ns,
)
from wsb_snake.sim.sessions import session_before, session_of, sessions

VIX = "I:VIX"
_NOT_ENTITLED = ("/v3/trades/", "/v3/quotes/", "/v2/last/trade/")
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_PRE_MARKET, _AFTER_HOURS_END = time(4), time(20)

_MINUTE_S = 60
_FULL_DAY_S = 23_400


class PolygonApi:
    """Every call answers as of the exchange's clock. The caller holds the exchange's lock."""

    def __init__(self, exchange: Exchange, key: str) -> None:
        self.key = key
        self._clock = exchange.clock
        self._market = exchange.market
        self._requests = 0
        options = PolygonOptions(exchange)
        ticker = r"([A-Z0-9:.]+)"
        self._routes: tuple[tuple[re.Pattern[str], Callable[..., Any]], ...] = tuple(
            (re.compile(pattern), answer)
            for pattern, answer in (
                (rf"/v2/aggs/ticker/{ticker}/range/(\d+)/(\w+)/([\d-]+)/([\d-]+)", self._aggregates),
                (rf"/v2/aggs/ticker/{ticker}/prev", self._previous_day),
                (rf"/v1/open-close/{ticker}/([\d-]+)", self._open_close),
                (rf"/v2/last/nbbo/{ticker}", self._last_quote),
                (rf"/v2/snapshot/locale/us/markets/stocks/tickers/{ticker}", self._stock_snapshot),
                (r"/v3/snapshot/indices", self._index_snapshots),
                (rf"/v3/snapshot/options/{ticker}", options.chain),
                (rf"/v3/snapshot/options/{ticker}/{ticker}", options.one_of_chain),
                (r"/v3/reference/options/contracts", options.contracts),
                (rf"/v3/reference/options/contracts/{ticker}", options.one_contract),
                (r"/v1/marketstatus/now", self._status_now),
                (r"/v1/marketstatus/upcoming", self._status_upcoming),
                (r"/v2/reference/news", PolygonNews(exchange).items),
            )
        )

    def handle(self, request: ApiRequest) -> ApiReply:
        """Answer one call."""
        self._requests += 1
        stamp = {"request_id": f"{self._requests:032x}"}
        try:
            self._authorize(request)
            body = self._answer(request)
        except PolygonError as error:
            return ApiReply(error.http, json.dumps(error.body | stamp).encode())
        if isinstance(body, dict):
            body = {"status": "OK"} | body | stamp
        return ApiReply(200, json.dumps(body).encode())

    def _authorize(self, request: ApiRequest) -> None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key not in (bearer, request.query.get("apiKey")):
            raise PolygonError(401, "ERROR", "error", "Unknown API Key")
        if request.path.startswith(_NOT_ENTITLED):
            raise PolygonError(
                403,
                "NOT_AUTHORIZED",
                "message",
                "You are not entitled to this data. Please upgrade your plan at https://polygon.io/pricing",
            )

    def _answer(self, request: ApiRequest) -> Any:
        if request.method == "GET":
            for pattern, answer in self._routes:
                if match := pattern.fullmatch(request.path):
                    return answer(request.query, *match.groups())
        raise not_found("Route not found.")

    # bars

    def _aggregates(
        self, query: Params, ticker: str, multiplier: str, timespan: str, first: str, last: str
    ) -> Json:
        newest_first = query.get("sort", "asc") == "desc"
        limit = page_limit(query, 5000, 50000)
        bars = self._buckets(ticker, int(multiplier), timespan, _start(first), _end(last))
        rows = [_bar_row(bar) for bar in (reversed(bars) if newest_first else bars)]
        body: Json = {"ticker": ticker, "adjusted": True, "queryCount": len(rows)}
        if rows[limit:]:
            span = (first, rows[limit]["t"]) if newest_first else (rows[limit]["t"], last)
            path = f"/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{span[0]}/{span[1]}"
            body["next_url"] = f"{HOST}{path}?{urlencode({**query, 'limit': limit})}"
            rows = rows[:limit]
        body |= {"resultsCount": len(rows), "count": len(rows)}
        return body | ({"results": rows} if rows else {})  # without bars the real one omits the key

    def _buckets(
        self, ticker: str, multiplier: int, timespan: str, start: datetime, end: datetime
    ) -> list[Bar]:
        if timespan in ("minute", "hour"):
            width = multiplier * (_MINUTE_S if timespan == "minute" else 60 * _MINUTE_S)
            bars = self._minutes(ticker, start, end)
            if width == _MINUTE_S:
                return bars
            keyed = groupby(bars, lambda bar: int(bar.start.timestamp()) // width * width)
            return [_merged(list(group), datetime.fromtimestamp(key, UTC)) for key, group in keyed]
        if timespan == "day" and multiplier == 1:
            return self._days(ticker, start, end)
        raise bad_request("Only minute, hour and 1-day aggregates are served by this exchange.")

    def _minutes(self, ticker: str, start: datetime, end: datetime) -> list[Bar]:
        now = self._clock.now()
        if ticker in self._market.symbols():
            return self._market.bars(ticker, start, end, now)
        if ticker != VIX:
            return []
        session = self._market.session
        minute = max(session.open, start + (session.open - start) % _MINUTE)
        bars = []
        while minute < min(end, session.close) and minute + _MINUTE <= now:
            bars.append(self._vix_bar(minute, minute + _MINUTE))
            minute += _MINUTE
        return bars

    def _vix_bar(self, start: datetime, end: datetime) -> Bar:
        """An index has no volume: open, high, low and close of five looks at it."""
        step = (end - _SECOND - start) / 4
        values = [self._market.vix(start + step * n) for n in range(5)]
        return Bar(VIX, start, values[0], max(values), min(values), values[-1], 0.0, 0.0)

    def _vix_days(self, first: date, last: date) -> list[Bar]:
        """Of earlier days the market knows one level each."""
        days = sessions(max(first, FIRST_DAY), last)
        levels = [(from_eastern(day.day, time()), self._market.vix(day.close)) for day in days]
        return [Bar(VIX, start, level, level, level, level, 0.0, 0.0) for start, level in levels]

    def _days(self, ticker: str, start: datetime, end: datetime) -> list[Bar]:
        """Earlier sessions and, once it has traded, today's so far; stamped 00:00 Eastern."""
        session, first, last = self._market.session, eastern_date(start), eastern_date(end - _SECOND)
        if ticker in self._market.symbols():
            days = self._market.daily_bars(ticker, first, last)
        elif ticker == VIX:
            days = self._vix_days(first, min(last, session.day - timedelta(days=1)))
        else:
            return []
        today = self._minutes(ticker, session.open, session.close)
        midnight = from_eastern(session.day, time())
        return [*days, *([_merged(today, midnight)] if today and start <= midnight < end else [])]

    def _day_before(self, ticker: str) -> Bar:
        if ticker not in self._market.symbols():
            raise not_found("Ticker not found.")
        day = session_before(self._market.day).day
        return self._market.daily_bars(ticker, day, day)[-1]

    def _previous_day(self, _: Params, ticker: str) -> Json:
        row = _bar_row(self._day_before(ticker)) | {"T": ticker}
        return {"ticker": ticker, "adjusted": True, "queryCount": 1, "resultsCount": 1, "results": [row]}

    def _open_close(self, _: Params, ticker: str, day: str) -> Json:
        bars = self._days(ticker, _start(day), _end(day))
        if not bars:
            raise not_found("Data not found.")
        bar = bars[0]
        prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
        return {"from": day, "symbol": ticker, "volume": bar.volume} | prices

    # quotes and snapshots

    def _last_quote(self, _: Params, ticker: str) -> Json:
        quote = self._stock_quote(ticker)
        sides = {"p": float(quote.bid), "s": quote.bid_size, "P": float(quote.ask), "S": quote.ask_size}
        return {
            "results": {"T": ticker, "t": unix_ns(quote.at), "y": unix_ns(quote.at), "x": 11, "X": 11} | sides
        }

    def _stock_quote(self, ticker: str) -> Quote:
        if ticker not in self._market.symbols():
            raise not_found("Ticker not found.")
        return self._market.stock_quote(ticker, self._clock.now())

    def _stock_snapshot(self, _: Params, ticker: str) -> Json:
        quote, before, session = self._stock_quote(ticker), self._day_before(ticker), self._market.session
        today = self._minutes(ticker, session.open, session.close)
        row: Json = {
            "ticker": ticker,
            "updated": unix_ns(quote.at),
            "lastQuote": {
                "p": float(quote.bid),
                "s": quote.bid_size,
                "P": float(quote.ask),
                "S": quote.ask_size,
                "t": unix_ns(quote.at),
            },
            "prevDay": _bar_row(before),
        }
        if today:
            change = today[-1].close - before.close
            row["day"] = _bar_row(_merged(today, session.open))
            row["min"] = _bar_row(today[-1]) | {"av": sum(bar.volume for bar in today)}
            row |= {"todaysChange": change, "todaysChangePerc": 100 * change / before.close}
        return {"ticker": row}

    def _index_snapshots(self, query: Params) -> Json:
        tickers = query.get("ticker.any_of") or query.get("ticker") or VIX
        return {"results": [self._index_snapshot(ticker) for ticker in tickers.split(",")]}

    def _index_snapshot(self, ticker: str) -> Json:
        if ticker != VIX:
            return {"ticker": ticker, "error": "NOT_FOUND", "message": "Ticker not found."}
        value = self._market.vix(self._clock.now())
        return {
            "ticker": VIX,
            "name": "Cboe Volatility Index",
            "type": "indices",
            "value": value,
            "market_status": self._market_word(),
            "session": {"open": self._market.vix(self._market.session.open), "close": value},
        }

    # the exchange's hours

    def _market_word(self) -> str:
        now = self._clock.now()
        session = session_of(eastern_date(now))
        if session is None:
            return "closed"
        if session.open <= now < session.close:
            return "open"
        return "extended-hours" if _PRE_MARKET <= eastern(now).time() < _AFTER_HOURS_END else "closed"

    def _status_now(self, _: Params) -> Json:
        now, word = self._clock.now(), self._market_word()
        extended = word == "extended-hours"
        before_open = extended and now < self._market.session.open
        return {
            "market": word,
            "earlyHours": before_open,
            "afterHours": extended and not before_open,
            "serverTime": eastern(now).isoformat(timespec="seconds"),
            "exchanges": dict.fromkeys(("nyse", "nasdaq", "otc"), word),
            "currencies": {"crypto": "open", "fx": "open"},
            "indicesGroups": {"s_and_p": "open" if word == "open" else "closed"},
        }

    def _status_upcoming(self, _: Params) -> list[Json]:
        """Full and early closings of the coming year, nearest first."""
        today = eastern_date(self._clock.now())
        rows: list[Json] = []
        for day in (today + timedelta(days=n) for n in range(1, 366)):
            session = session_of(day)
            if day.weekday() >= 5 or (session is not None and session.seconds >= _FULL_DAY_S):
                continue
            row = {"date": day.isoformat(), "name": "Holiday", "status": "closed"}
            if session is not None:
                hours = {"open": _iso_z(session.open), "close": _iso_z(session.close)}
                row |= {"name": "Early close", "status": "early-close"} | hours
            rows += [row | {"exchange": exchange} for exchange in ("NYSE", "NASDAQ")]
        return rows


def _merged(bars: list[Bar], start: datetime) -> Bar:
    """One bar out of several of one symbol."""
    volume = sum(bar.volume for bar in bars)
    turnover = sum(bar.vwap * bar.volume for bar in bars)
    return Bar(
        bars[0].symbol,
        start,
        bars[0].open,
        max(bar.high for bar in bars),
        min(bar.low for bar in bars),
        bars[-1].close,
        volume,
        round(turnover / volume, 4) if volume else 0.0,
    )


def _bar_row(bar: Bar) -> Json:
    row: Json = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "t": _ms(bar.start)}
    if bar.symbol != VIX:
        row |= {"v": bar.volume, "vw": bar.vwap, "n": max(1, int(bar.volume / CONTRACT_SHARES))}
    return row


def _start(text: str) -> datetime:
    """``YYYY-MM-DD`` (00:00 Eastern) or epoch milliseconds."""
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        return from_eastern(date.fromisoformat(text), time())
    except ValueError:
        raise bad_request(f"Could not parse the time {text}.") from None


def _end(text: str) -> datetime:
    """The first moment after ``text``, which is included itself: a whole day or one millisecond."""
    return _start(text) + (timedelta(milliseconds=1) if text.isdigit() else timedelta(days=1))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _iso_z(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
