"""Market data from Polygon (now Massive): the fallback for bars, chains and news; open interest, the VIX.

The client builds the paths and the authorisation; its answers are decoded here, because it returns an
empty list for a 200 that is not JSON, which is no way to say "no trades". Its pools are replaced by our
transport, because it ignores its own time-outs.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from wsb_snake.collectors import polygon_wire as wire
from wsb_snake.collectors.budgets import Meter, Stopwatch
from wsb_snake.collectors.sources import BAR, DataError, DataSilent, DataUnavailable, NotEntitled, unavailable
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.libraries import BROKEN, told
from wsb_snake.core.transport import Clients, PolygonPool, Transport
from wsb_snake.core.types import Bar, ChainRow, Headline, Quote
from wsb_snake.core.wire import mapping, real, text

REQUESTS_A_MINUTE = MappingProxyType({"free": 5, "starter": 3000, "developer": 3000, "advanced": 3000})
CHAIN_PAGE = 250
MAX_BARS = 50_000
MAX_PAGES = 20
HEADLINES = 1000
VIX = "I:VIX"

Row = Mapping[str, Any]


def load_library() -> None:
    """Import Polygon's client, some 0.15 s: here rather than in the first request.

    Raises NotEntitled where it cannot be imported: no request will fare better.
    """
    try:
        import polygon  # noqa: F401
    except BROKEN as error:
        why = f"Polygon's library cannot be loaded ({told(error)}): mend the installation and restart"
        raise NotEntitled(why) from None


class PolygonData:
    """Implements ``Source`` within what ``plan`` (free, starter, developer, advanced) includes.

    Safe from any lane: each call borrows a client of its own. A request is one symbol of bars: past the
    plan's budget the remaining symbols are left out, so ask for the important ones first.
    """

    name = "polygon"

    def __init__(self, key: str, base_url: str, plan: str, lanes: Lanes, transport: Transport) -> None:
        self._clock = lanes.clock
        self._plan = plan
        self._meter = Meter(REQUESTS_A_MINUTE[plan], REQUESTS_A_MINUTE[plan], lanes.clock)

        def client() -> tuple[Any, PolygonPool]:
            from polygon import RESTClient

            logging.getLogger("RESTClient").handlers.clear()  # it would write to standard output
            made, pool = RESTClient(key, retries=0, base=base_url.rstrip("/")), transport.polygon_pool()
            made.client = made.vx.client = pool
            return made, pool

        self._clients = Clients(client)

    @property
    def sent(self) -> int:
        return self._meter.sent

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
        """What is fetched counts, also when a later symbol fails or the time is over."""
        found: dict[str, list[Bar]] = {}
        time = Stopwatch(self._clock)
        for symbol in symbols:
            if time.over or not self._meter.take():
                break
            try:
                found[symbol] = self._bars_of(symbol, span, start, end)
            except DataError:
                if not found:
                    raise
                break
        return found

    def _bars_of(self, symbol: str, span: str, start: int | str, end: int | str) -> list[Bar]:
        def ask(client: Any) -> Any:
            return client.get_aggs(
                symbol, 1, span, start, end, adjusted=True, sort="asc", limit=MAX_BARS, raw=True
            )

        answer = self._answer(ask)
        if answer.get("next_url"):
            raise DataUnavailable(f"more than {MAX_BARS} bars of {symbol} were asked for")
        with _unreadable():
            return [wire.bar(symbol, row) for row in wire.results(answer)]

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        """Never: what the executor acts on are quotes of the broker's own feed."""
        raise NotEntitled("option quotes are not taken from Polygon")

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        """Quotes below the advanced plan are delayed or absent; their time stamps say so."""
        if self._plan == "free":
            raise NotEntitled("the free plan has no option chains")
        asked: dict[str, Any] = {
            **_expiries(first, last),
            "strike_price.gte": float(low),
            "strike_price.lte": float(high),
            "limit": CHAIN_PAGE,
        }
        found: list[ChainRow] = []
        time = Stopwatch(self._clock)
        for _ in range(MAX_PAGES):
            time.must_go_on()
            self._meter.must_take()

            def ask(client: Any, params: dict[str, Any] = asked) -> Any:
                return client.list_snapshot_options_chain(underlying, params=dict(params), raw=True)

            answer = self._answer(ask)
            with _unreadable():
                found.extend(wire.chain_row(row) for row in wire.results(answer))
            cursor = cursor_of(answer)
            if not cursor:
                return tuple(found)
            asked = {"cursor": cursor}
        raise DataUnavailable(f"the chain of {underlying} has more than {MAX_PAGES} pages")

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        """One request: the newest of all tickers, of which those count that name one of ``symbols``."""
        self._meter.must_take()

        def ask(client: Any) -> Any:
            return client.list_ticker_news(
                published_utc_gte=_rfc3339(start),
                published_utc_lte=_rfc3339(end),
                sort="published_utc",
                order="desc",
                limit=HEADLINES,
                raw=True,
            )

        answer = self._answer(ask)
        wanted = frozenset(symbols)
        with _unreadable():
            found = [wire.headline_or_none(row) for row in wire.results(answer)]
        return tuple(item for item in found if item is not None and not wanted.isdisjoint(item.symbols))

    def vix(self) -> float | None:
        """Raises NotEntitled where the plan has no indices."""
        self._meter.must_take()
        answer = self._answer(lambda client: client.get_snapshot_indices([VIX], raw=True))
        with _unreadable():
            for row in wire.results(answer):
                if row.get("ticker") == VIX and not row.get("error"):
                    return real(row.get("value"))
                if row.get("error") == "NOT_ENTITLED":
                    raise NotEntitled(f"{VIX}: {row.get('message')}")
        raise DataUnavailable(f"Polygon's answer has no {VIX}")

    def _answer(self, ask: Callable[[Any], Any]) -> Row:
        """The decoded body of one request."""
        load_library()
        from polygon.exceptions import BadResponse

        try:
            with self._clients.lend() as (client, pool):
                try:
                    answer = mapping(ask(client).json())
                except BadResponse as error:
                    raise _refusal(pool.status, str(error)) from None
        except (ValueError, TypeError, KeyError) as error:
            raise DataUnavailable(f"Polygon's answer cannot be read: {error}") from None
        except requests.RequestException as error:
            raise DataSilent(f"no answer from Polygon: {type(error).__name__}") from None
        if answer.get("status") == "NOT_AUTHORIZED":
            raise NotEntitled(str(answer.get("message"))[:300])
        return answer


def cursor_of(answer: Row) -> str:
    """What leads to the next page; empty on the last one."""
    return parse_qs(urlsplit(str(answer.get("next_url") or "")).query).get("cursor", [""])[0]


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
        return unavailable(status, " without a readable answer")
    if status in (401, 403):
        return NotEntitled(f"HTTP {status}: {message}")
    return unavailable(status, f": {message}")


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _rfc3339(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _expiries(first: date, last: date) -> dict[str, str]:
    if first == last:
        return {"expiration_date": first.isoformat()}
    return {"expiration_date.gte": first.isoformat(), "expiration_date.lte": last.isoformat()}
