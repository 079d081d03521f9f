"""Market data from Polygon (now Massive): the fallback for bars and chains, and the VIX.

The client builds the paths and the authorisation; its answers are decoded here, because it returns an
empty list for a 200 that is not JSON, which is no way to say "no trades". Its pools are replaced by our
transport, because it ignores its own time-outs.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from polygon import RESTClient
from polygon.exceptions import BadResponse

from wsb_snake.collectors.market_data import BAR, DataError, DataUnavailable, NotEntitled
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.occ import parse
from wsb_snake.core.transport import Budget, Clients, PolygonPool, Transport
from wsb_snake.core.types import Bar, ChainRow, Quote
from wsb_snake.core.wire import mapping, number, real, rows, text

REQUESTS_A_MINUTE = MappingProxyType({"free": 5, "starter": 3000, "developer": 3000, "advanced": 3000})
CHAIN_PAGE = 250
MAX_BARS = 50_000
MAX_PAGES = 20
VIX = "I:VIX"

Row = Mapping[str, Any]


class PolygonData:
    """Implements ``Source`` within what ``plan`` (free, starter, developer, advanced) includes.

    Safe from any lane: each call borrows a client of its own. A request is one symbol of bars: past the
    plan's budget the remaining symbols are left out, so ask for the important ones first.
    """

    name = "polygon"

    def __init__(self, key: str, base_url: str, plan: str, lanes: Lanes, transport: Transport) -> None:
        self._clock = lanes.clock
        self._plan = plan
        self._budget = Budget(REQUESTS_A_MINUTE[plan], 0)
        logging.getLogger("RESTClient").handlers.clear()  # it would write to standard output

        def client() -> tuple[RESTClient, PolygonPool]:
            made, pool = RESTClient(key, retries=0, base=base_url.rstrip("/")), transport.polygon_pool()
            made.client = made.vx.client = pool
            return made, pool

        self._clients = Clients(client)

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        found = self._bars(symbols, "minute", _milliseconds(start), _milliseconds(end - BAR))
        return {
            symbol: [bar for bar in bars if start <= bar.start and bar.start + BAR <= end]
            for symbol, bars in found.items()
        }

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        return self._bars(symbols, "day", first.isoformat(), last.isoformat())

    def _bars(
        self, symbols: tuple[str, ...], span: str, start: int | str, end: int | str
    ) -> dict[str, list[Bar]]:
        found: dict[str, list[Bar]] = {}
        for symbol in symbols:
            if not self._take():
                break

            def ask(client: Any, ticker: str = symbol) -> Any:
                return client.get_aggs(
                    ticker, 1, span, start, end, adjusted=True, sort="asc", limit=MAX_BARS, raw=True
                )

            with _unreadable():
                found[symbol] = [_bar(symbol, row) for row in _results(self._answer(ask))]
        return found

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        """Never: what the executor acts on are quotes of the broker's own feed."""
        raise NotEntitled("option quotes are not taken from Polygon")

    def chain(self, underlying: str, expiry: date, low: Decimal, high: Decimal) -> tuple[ChainRow, ...]:
        """Quotes below the advanced plan are delayed or absent; their time stamps say so."""
        if self._plan == "free":
            raise NotEntitled("the free plan has no option chains")
        asked: dict[str, Any] = {
            "expiration_date": expiry.isoformat(),
            "strike_price.gte": float(low),
            "strike_price.lte": float(high),
            "limit": CHAIN_PAGE,
        }
        found: list[ChainRow] = []
        for _ in range(MAX_PAGES):
            self._must_take()

            def ask(client: Any, params: dict[str, Any] = asked) -> Any:
                return client.list_snapshot_options_chain(underlying, params=dict(params), raw=True)

            answer = self._answer(ask)
            with _unreadable():
                found.extend(_chain_row(row) for row in _results(answer))
            cursor = parse_qs(urlsplit(str(answer.get("next_url") or "")).query).get("cursor")
            if not cursor:
                return tuple(found)
            asked = {"cursor": cursor[0]}
        raise DataUnavailable(f"the chain of {underlying} has more than {MAX_PAGES} pages")

    def vix(self) -> float | None:
        """Raises NotEntitled where the plan has no indices."""
        self._must_take()
        with _unreadable():
            for row in _results(self._answer(lambda client: client.get_snapshot_indices([VIX], raw=True))):
                if row.get("ticker") == VIX and not row.get("error"):
                    return real(row.get("value"))
                if row.get("error") == "NOT_ENTITLED":
                    raise NotEntitled(f"{VIX}: {row.get('message')}")
        raise DataUnavailable(f"Polygon's answer has no {VIX}")

    def _take(self) -> bool:
        return self._budget.take(self._clock.monotonic(), urgent=False)

    def _must_take(self) -> None:
        if not self._take():
            raise DataUnavailable(f"our own limit: {REQUESTS_A_MINUTE[self._plan]} calls a minute")

    def _answer(self, ask: Callable[[Any], Any]) -> Row:
        """The decoded body of one request."""
        try:
            with self._clients.lend() as (client, pool):
                try:
                    answer = mapping(ask(client).json())
                except BadResponse as error:
                    raise _refusal(pool.status, str(error)) from None
        except (ValueError, TypeError, KeyError) as error:
            raise DataUnavailable(f"Polygon's answer cannot be read: {error}") from None
        except requests.RequestException as error:
            raise DataUnavailable(f"no answer from Polygon: {type(error).__name__}") from None
        if answer.get("status") == "NOT_AUTHORIZED":
            raise NotEntitled(str(answer.get("message"))[:300])
        return answer


def _results(answer: Row) -> list[Row]:
    """An answer without results is empty only when it says so."""
    results = answer.get("results")
    return [] if results is None and answer.get("resultsCount") == 0 else rows(results)


@contextlib.contextmanager
def _unreadable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DataUnavailable(f"Polygon's answer cannot be read: {error}") from None


def _refusal(status: int, body: str) -> DataError:
    try:
        answer = mapping(json.loads(body))
        message = text(answer.get("message") or answer.get("error"))[:300]
    except ValueError:
        return DataUnavailable(f"HTTP {status} without a readable answer")
    kind = NotEntitled if status in (401, 403) else DataUnavailable
    return kind(f"HTTP {status}: {message}")


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _bar(symbol: str, row: Row) -> Bar:
    close = real(row.get("c"))
    return Bar(
        symbol=symbol,
        start=datetime.fromtimestamp(real(row.get("t")) / 1000, UTC),
        open=real(row.get("o")),
        high=real(row.get("h")),
        low=real(row.get("l")),
        close=close,
        volume=real(row.get("v")),
        vwap=real(row.get("vw", close)),
    )


def _symbol(ticker: object) -> str:
    return text(ticker).removeprefix("O:")


def _quote(symbol: str, row: Row) -> Quote | None:
    """From ``last_quote``, whose time stamp is in nanoseconds; plans without quotes lack it."""
    last = row.get("last_quote")
    if not isinstance(last, dict) or not last.get("last_updated"):
        return None
    return Quote(
        symbol=symbol,
        bid=number(last.get("bid")),
        ask=number(last.get("ask")),
        bid_size=int(number(last.get("bid_size", 0))),
        ask_size=int(number(last.get("ask_size", 0))),
        at=datetime.fromtimestamp(real(last["last_updated"]) / 1e9, UTC),
    )


def _chain_row(row: Row) -> ChainRow:
    contract = parse(_symbol(mapping(row.get("details")).get("ticker")))
    volatility = row.get("implied_volatility")
    delta = mapping(row.get("greeks") or {}).get("delta")
    interest = row.get("open_interest")
    volume = mapping(row.get("day") or {}).get("volume")
    return ChainRow(
        contract=contract,
        quote=_quote(contract.symbol, row),
        implied_volatility=None if volatility is None else real(volatility),
        delta=None if delta is None else real(delta),
        open_interest=None if interest is None else int(real(interest)),
        volume=None if volume is None else int(real(volume)),
    )
