"""One loopback port on which the embedded exchange speaks Alpaca, Polygon and Telegram.

The server lives on an asyncio loop in a thread of its own. Handlers run on that loop, one at a time
and under the exchange's lock; the exchange's callbacks may come from any thread.
"""

import asyncio
import errno
import threading
from concurrent.futures import Future
from typing import NoReturn

from aiohttp import web

from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.alpaca_streams import SYMBOL_LIMITS, OptionQuotes, TradeUpdates
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import ConnectionLost, Hung
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.telegram_api import CHAT_ID, TelegramApi

TRADE_STREAM = "/stream"
OPTION_STREAM = "/v1beta1/"  # and the feed
TELEGRAM_PATHS = ("/bot",)
# Alpaca has /v2 and /v3 too (orders, positions, stocks, clock): whatever is not here goes there.
POLYGON_PATHS = (
    "/v1/marketstatus/",
    "/v1/open-close/",
    "/v2/aggs/",
    "/v2/last/",
    "/v2/reference/",
    "/v2/snapshot/locale/",
    "/v3/quotes/",
    "/v3/reference/",
    "/v3/snapshot/",
    "/v3/trades/",
)
_SHUTDOWN_TIMEOUT_S = 0.1  # for handlers that wait: nothing else is ever under way for long


class ServerError(Exception):
    """The server cannot listen; the text is one line for the user."""


class ExchangeServer:
    """Serves one exchange from ``start`` to ``stop``; it is not started twice.

    Never call ``start`` or ``stop`` with the exchange's lock held.
    """

    def __init__(
        self,
        exchange: Exchange,
        alpaca: AlpacaApi,
        polygon: PolygonApi,
        telegram: TelegramApi,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """``port`` 0 takes any free one; the attribute ``port`` tells which once it is started."""
        self.port = port
        self._host = host
        self._exchange = exchange
        self._alpaca, self._polygon, self._telegram = alpaca, polygon, telegram
        self._trades = TradeUpdates(exchange, alpaca.key, alpaca.secret)
        self._quotes = OptionQuotes(exchange, alpaca.key, alpaca.secret)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping = asyncio.Event()
        self._held: asyncio.Future[bool] | None = None  # the long poll that waits for an update

    def start(self) -> None:
        """Listen. Raises ServerError when the port cannot be had."""
        listening: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listening)), name="exchange-server", daemon=True
        )
        self._thread.start()
        try:
            self.port = listening.result()
        except OSError as error:
            self._thread.join()
            taken = error.errno == errno.EADDRINUSE
            why = "it is taken; choose another one" if taken else error.strerror
            raise ServerError(f"cannot listen on port {self.port} of {self._host}: {why}") from None

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def environment(self) -> dict[str, str]:
        """The variables that point a daemon here."""
        http, stream = f"http://{self._host}:{self.port}", f"ws://{self._host}:{self.port}"
        return {
            "ALPACA_TRADING_URL": http,
            "ALPACA_DATA_URL": http,
            "ALPACA_STREAM_URL": stream + TRADE_STREAM,
            "ALPACA_OPTION_STREAM_URL": f"{stream}{OPTION_STREAM}indicative",
            "POLYGON_BASE_URL": http,
            "TELEGRAM_BASE_URL": http,
            "ALPACA_API_KEY": self._alpaca.key,
            "ALPACA_SECRET_KEY": self._alpaca.secret,
            "POLYGON_API_KEY": self._polygon.key,
            "TELEGRAM_BOT_TOKEN": self._telegram.token,
            "TELEGRAM_CHAT_ID": str(CHAT_ID),
        }

    def trade_clients(self) -> int:
        """Clients that listen to trade_updates (acknowledged): 0 or 1."""
        return self._trades.clients()

    def quote_subscriptions(self) -> frozenset[str]:
        """Option symbols whose quotes clients have subscribed (acknowledged)."""
        return self._quotes.subscriptions()

    @property
    def delivered_updates(self) -> int:
        """Trade updates queued for a client that listened when the exchange emitted them.

        It has grown by the time ``advance`` or the request returns, so a driver in lockstep knows what
        to wait for; it includes what a connection that broke could not carry any more.
        """
        return self._trades.delivered

    @property
    def delivered_quotes(self) -> int:
        """Option quotes handed to subscribers, counted once for each of them."""
        return self._quotes.delivered

    async def _serve(self, listening: "Future[int]") -> None:
        self._loop = asyncio.get_running_loop()
        # a handler is cancelled when its client leaves, so that one that waits does not outlive it
        handlers = web.Server(self._handle, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(handlers, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self.port)
        try:
            await site.start()
        except OSError as error:
            listening.set_exception(error)
            return
        self._telegram.on_update(self._update_came)
        listening.set_result(site.port)
        await self._stopping.wait()
        self._telegram.on_update(None)
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == TRADE_STREAM:
            if not self._trades.taken():
                return await self._trades.serve(request)
            return await self.deliver(request, ApiReply(429, b"Too Many Requests", "text/plain"))
        feed = request.path.removeprefix(OPTION_STREAM)
        if feed in SYMBOL_LIMITS:
            return await self._quotes.serve(request, feed)
        call = ApiRequest(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        try:
            return await self.deliver(request, await self._answer(call))
        except Hung:
            return await _until_cancelled()
        except ConnectionLost:
            if request.transport is not None:
                request.transport.abort()
            return await _until_cancelled()

    async def deliver(self, request: web.BaseRequest, reply: ApiReply) -> web.StreamResponse:
        """Every reply of every API passes here, and only here, on its way to the socket."""
        return web.Response(
            status=reply.status,
            body=reply.body,
            headers=[("Content-Type", reply.content_type), *reply.headers],
        )

    async def _answer(self, call: ApiRequest) -> ApiReply:
        if call.path.startswith(TELEGRAM_PATHS):
            return await self._poll(call) if self._telegram.is_poll(call) else self._telegram.handle(call)
        api = self._polygon if call.path.startswith(POLYGON_PATHS) else self._alpaca
        with self._exchange.lock:
            return api.handle(call)

    async def _poll(self, call: ApiRequest) -> ApiReply:
        """Telegram's long poll; the newest one wins."""
        self._end_poll(False)
        hold_s = self._telegram.hold_s(call)
        if hold_s:
            held = self._held = self._loop.create_future()
            await asyncio.wait([held], timeout=hold_s)
            if held.done() and not held.result():
                return self._telegram.conflict()
        return self._telegram.handle(call)

    def _update_came(self) -> None:
        self._loop.call_soon_threadsafe(self._end_poll, True)

    def _end_poll(self, has_update: bool) -> None:
        if self._held is not None and not self._held.done():
            self._held.set_result(has_update)


async def _until_cancelled() -> NoReturn:
    """Wait for the client to leave or the server to stop, which cancels the handler."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nothing resolves this future")
