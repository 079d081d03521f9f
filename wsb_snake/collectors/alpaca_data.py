"""Market data from Alpaca: bars, quotes, chains and news by REST, option quotes by websocket.

alpaca-py works here with raw data and without retries, on our transport. Its models drop a chain's
bars, and break a whole answer on one field.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Generic, TypeVar

import requests
import websockets
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed, OptionsFeed
from alpaca.data.historical.news import NewsClient
from alpaca.data.historical.option import OptionHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.live.option import OptionDataStream
from alpaca.data.requests import (
    NewsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
    StockBarsRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from wsb_snake.collectors import alpaca_wire as wire
from wsb_snake.collectors.budgets import Meter, Stopwatch
from wsb_snake.collectors.sources import BAR, DataError, DataSilent, DataUnavailable, NotEntitled, unavailable
from wsb_snake.core.clock import Clock, from_eastern
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.transport import Clients, Transport
from wsb_snake.core.types import Bar, ChainRow, Headline, Quote
from wsb_snake.core.vendor_stream import SOCKET, StreamState, StreamThread, bounded_start
from wsb_snake.core.wire import mapping, rows, text

REQUESTS_A_MINUTE = 200
CAN_WAIT = 100
"""Half of them: the rest is for the quotes that exits are decided on."""

QUOTES_A_REQUEST = 100
HEADLINES = 100
RESUBSCRIBE_S = 5.0

C = TypeVar("C", StockHistoricalDataClient, OptionHistoricalDataClient, NewsClient)

_MINUTE = TimeFrame(1, TimeFrameUnit.Minute)
_DAY = TimeFrame(1, TimeFrameUnit.Day)
_NOT_ENTITLED = "insufficient subscription"


class AlpacaData:
    """Implements ``Source``. Safe from any lane: each call borrows a client of its own.

    ``data_url`` has no version path. The free plan's rate limit is kept by refusing (DataUnavailable)
    what can wait once its share is spent.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        data_url: str,
        stock_feed: str,
        option_feed: str,
        lanes: Lanes,
        transport: Transport,
    ) -> None:
        self.name = f"alpaca {stock_feed}"
        self._stock_feed = DataFeed(stock_feed)
        self._option_feed = OptionsFeed(option_feed)
        self._meter = meter = Meter(REQUESTS_A_MINUTE, CAN_WAIT, lanes.clock)

        def stocks() -> _Paced[StockHistoricalDataClient]:
            made = StockHistoricalDataClient(key, secret, raw_data=True, url_override=data_url)
            return _Paced(made, meter, lanes.clock, transport)

        def options() -> _Paced[OptionHistoricalDataClient]:
            made = OptionHistoricalDataClient(key, secret, raw_data=True, url_override=data_url)
            return _Paced(made, meter, lanes.clock, transport)

        def news() -> _Paced[NewsClient]:
            made = NewsClient(key, secret, raw_data=True, url_override=data_url)
            return _Paced(made, meter, lanes.clock, transport)

        self._stocks = Clients(stocks)
        self._options = Clients(options)
        self._news = Clients(news)

    @property
    def sent(self) -> int:
        return self._meter.sent

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        found = self._bars(symbols, _MINUTE, start, end - BAR)
        return {
            symbol: [bar for bar in bars if start <= bar.start and bar.start + BAR <= end]
            for symbol, bars in found.items()
        }

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        return self._bars(symbols, _DAY, from_eastern(first, time()), from_eastern(last, time()))

    def _bars(
        self, symbols: tuple[str, ...], frame: TimeFrame, start: datetime, end: datetime
    ) -> dict[str, list[Bar]]:
        request = StockBarsRequest(
            symbol_or_symbols=list(symbols),
            timeframe=frame,
            start=start,
            end=end,
            feed=self._stock_feed,
            adjustment=Adjustment.SPLIT,
        )
        with _failures(), self._stocks.lend() as paced:
            answer = mapping(paced.begin(urgent=False).get_stock_bars(request))
            return {
                symbol: [wire.bar(symbol, row) for row in rows(answer.get(symbol, []))] for symbol in symbols
            }

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        found: dict[str, Quote] = {}
        for first in range(0, len(symbols), QUOTES_A_REQUEST):
            request = OptionLatestQuoteRequest(
                symbol_or_symbols=list(symbols[first : first + QUOTES_A_REQUEST]), feed=self._option_feed
            )
            with _failures(), self._options.lend() as paced:
                answer = mapping(paced.begin(urgent=True).get_option_latest_quote(request))
            found.update(
                (symbol, quote)
                for symbol, row in answer.items()
                if (quote := wire.quote_or_none(symbol, row)) is not None
            )
        return found

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        request = OptionChainRequest(
            underlying_symbol=underlying,
            feed=self._option_feed,
            expiration_date=first if first == last else None,
            expiration_date_gte=None if first == last else first,
            expiration_date_lte=None if first == last else last,
            strike_price_gte=float(low),
            strike_price_lte=float(high),
        )
        with _failures(), self._options.lend() as paced:
            answer = mapping(paced.begin(urgent=False).get_option_chain(request))
        found = (wire.chain_row_or_none(symbol, row) for symbol, row in sorted(answer.items()))
        return tuple(row for row in found if row is not None and row.contract.underlying == underlying)

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        """At most ``HEADLINES``, of all symbols together; those that cannot be read are left out."""
        request = NewsRequest(symbols=",".join(symbols), start=start, end=end, sort="desc", limit=HEADLINES)
        with _failures(), self._news.lend() as paced:
            answer = mapping(paced.begin(urgent=False).get_news(request))
            found = [wire.headline_or_none(row) for row in rows(answer.get("news"))]
        return tuple(item for item in found if item is not None)

    def vix(self) -> float | None:
        """Alpaca has no indices."""
        return None


class _Paced(Generic[C]):
    """One of alpaca-py's clients, on our transport and without retries.

    It fetches the pages of an answer by itself: each of them passes the budget here, and all together
    have the time of one call.
    """

    def __init__(self, client: C, meter: Meter, clock: Clock, transport: Transport) -> None:
        client._retry = 0  # the constructors take no such argument
        transport.session_for(client._session)
        self._client: C = client
        self._clock = clock
        self._urgent = False
        self._time = Stopwatch(clock)
        fetch = client.get

        def page(path: str, data: Any = None, **more: Any) -> Any:
            self._time.must_go_on()
            meter.must_take(urgent=self._urgent)
            return fetch(path, data, **more)

        client.get = page  # type: ignore[method-assign]

    def begin(self, *, urgent: bool) -> C:
        """The client, for one call."""
        self._urgent = urgent
        self._time = Stopwatch(self._clock)
        return self._client


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except APIError as error:
        raise _refusal(error.status_code or 0, str(error)) from None
    except (ValueError, TypeError, AttributeError) as error:  # what alpaca-py trips over, too
        raise DataUnavailable(f"Alpaca's answer cannot be read: {error}") from None
    except requests.RequestException as error:
        raise DataSilent(f"no answer from Alpaca: {type(error).__name__}") from None


def _refusal(status: int, body: str) -> DataError:
    try:
        message = text(mapping(json.loads(body)).get("message"))[:300]
    except ValueError:
        return unavailable(status, " without a readable answer")
    if status in (401, 403, 409):
        return NotEntitled(f"HTTP {status}: {message}")
    return unavailable(status, f": {message}")


class OptionQuoteStream:
    """Streamed option quotes, read in a thread of its own that starts with the first symbol.

    The callbacks run in that thread and must only enqueue: ``on_quote`` per quote, ``on_state`` as the
    connection comes and goes (``reason`` says why), ``on_malformed`` with what could not be read or what
    the server complained about. Quotes of symbols beyond the plan do not come: ``subscribed`` tells
    which the server has granted.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        url: str,
        on_quote: Callable[[Quote], None],
        on_state: Callable[[bool], None],
        on_malformed: Callable[[str], None],
    ) -> None:
        self._state = StreamState(on_state)
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._stream = _QuoteSocket(key, secret, url, self._state, on_quote, on_malformed)
        self._thread = StreamThread("quote-stream", self._run)

    def set_symbols(self, wanted: frozenset[str]) -> None:
        """Stream exactly these symbols from now on; returns at once, from any thread."""
        self._wanted = wanted
        if wanted:
            self._thread.start()
        self._thread.call_soon(self._changed.set)

    def subscribed(self) -> frozenset[str]:
        """The symbols that the server streams at present; empty while there is no connection."""
        return self._stream.granted

    def connected(self) -> bool:
        return self._state.connected

    @property
    def reason(self) -> str:
        """Why the stream is down; empty while it is up."""
        return self._state.reason

    def stop(self) -> bool:
        """End the thread; whether it was over within 2 s."""
        return self._thread.stop()

    async def _run(self) -> None:
        while not self._wanted:  # the vendor's loop spins while nothing is subscribed
            await self._changed.wait()
            self._changed.clear()
        await self._stream.aim(self._wanted)
        steering = asyncio.create_task(self._steer())
        run: Callable[[], Coroutine[Any, Any, None]] = self._stream._run_forever
        try:
            await run()
        except asyncio.CancelledError:
            self._state.down("stopped")
            raise
        finally:
            steering.cancel()
            with contextlib.suppress(OSError, websockets.WebSocketException):
                await self._stream.close()

    async def _steer(self) -> None:
        """Bring the subscription in step after each change, and every few seconds if it is not yet."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), RESUBSCRIBE_S)
            self._changed.clear()
            await self._stream.aim(self._wanted)


class _QuoteSocket(OptionDataStream):
    """alpaca-py's stream, steered from its own loop: its own methods wait for that loop without limit."""

    def __init__(
        self,
        key: str,
        secret: str,
        url: str,
        state: StreamState,
        on_quote: Callable[[Quote], None],
        on_malformed: Callable[[str], None],
    ) -> None:
        super().__init__(key, secret, raw_data=True, url_override=url, websocket_params=dict(SOCKET))
        self._state = state
        self._on_quote = on_quote
        self._on_malformed = on_malformed
        self.granted: frozenset[str] = frozenset()

    async def aim(self, wanted: frozenset[str]) -> None:
        """Ask the server for the difference; a (re)connection asks for all of ``wanted`` by itself."""
        handlers = self._handlers["quotes"]
        for symbol in handlers.keys() - wanted:
            del handlers[symbol]
        for symbol in sorted(wanted - handlers.keys()):
            handlers[symbol] = self._take
        if not self._running:
            return
        with contextlib.suppress(websockets.ConnectionClosed):  # then the reconnection does it
            if surplus := self.granted - wanted:
                await self._send_unsubscribe_msg("quotes", sorted(surplus))
            if wanted - self.granted:
                await self._send_subscribe_msg()

    async def close(self) -> None:
        self.granted = frozenset()
        self._state.lost()
        await super().close()

    async def _start_ws(self) -> None:
        await bounded_start(super()._start_ws(), self._state, final=_NOT_ENTITLED)

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        if msg.get("T") == "subscription":
            self.granted = frozenset(msg.get("quotes") or ())
        elif msg.get("T") == "error":
            self._on_malformed(f"the quote stream complains: {msg.get('msg')} ({msg.get('code')})")
        await super()._dispatch(msg)

    async def _take(self, message: Any) -> None:
        try:
            quote = wire.quote(text(message.get("S")), message)
        except ValueError as error:
            self._on_malformed(f"{error}: {str(message)[:500]}")
            return
        self._on_quote(quote)
