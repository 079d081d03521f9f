"""Alpaca's two websockets: trade_updates (JSON in binary frames) and option quotes (msgpack).

The exchange calls back from whichever thread drives it; messages are queued there and leave from the
server's loop in the same order. What a stream knows of its clients is guarded by the exchange's lock.
Messages and codes: docs.alpaca.markets, "Websocket Streaming" and "Real-time Option Data".
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no types
from aiohttp import WSMsgType, web

from wsb_snake.core.types import Quote
from wsb_snake.sim.alpaca_json import Json, encode, option_quote_json, trade_update_json
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.orders import TradeUpdateMessage

AUTH_TIMEOUT_S = 10.0
BACKLOG_LIMIT = 200_000  # messages; a client that has stopped reading is cut off there
BATCH = 100  # quotes in one frame
SYMBOL_LIMITS = MappingProxyType({"indicative": 200, "opra": 1000})  # option quotes of one connection
TRADE_UPDATES = "trade_updates"
_CLOSE_TIMEOUT_S = 1.0


class _Client:
    """One websocket and the messages that wait for it, ``batch`` of which ``frame`` makes one frame."""

    def __init__(
        self, request: web.BaseRequest, frame: Callable[[Sequence[bytes]], bytes], batch: int
    ) -> None:
        self._request = request
        self._socket = web.WebSocketResponse(compress=False, timeout=_CLOSE_TIMEOUT_S)
        self._frame, self._batch = frame, batch
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._waiting: deque[bytes] = deque()

    @property
    def alive(self) -> bool:
        """Whether the connection stands; sooner to know than its reader, which has yet to wake."""
        transport = self._request.transport
        return transport is not None and not transport.is_closing()

    async def hold(self, talk: Callable[[], Awaitable[None]]) -> web.WebSocketResponse:
        """Keep the connection while ``talk`` lasts; a client may leave whenever it likes."""
        with suppress(ConnectionError):
            await self._socket.prepare(self._request)
            await talk()
            await self._socket.close()
        return self._socket

    async def first(self) -> str | bytes:
        """The next thing that the client says. Raises TimeoutError, ConnectionError when it left."""
        message = await self._socket.receive(AUTH_TIMEOUT_S)
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise ConnectionError
        data: str | bytes = message.data
        return data

    async def send(self, message: bytes) -> None:
        """Send at once; before ``messages`` only."""
        await self._socket.send_bytes(self._frame([message]))

    def put(self, message: bytes) -> None:
        """Queue a message, from any thread; it leaves once ``messages`` runs."""
        self._waiting.append(message)
        full = len(self._waiting) > BACKLOG_LIMIT
        self._loop.call_soon_threadsafe(self._cut if full else self._wake.set)

    async def messages(self) -> AsyncIterator[str | bytes]:
        """What the client says from now on; meanwhile what is queued for it goes out."""
        pump = asyncio.create_task(self._pump())
        try:
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    yield message.data
        finally:
            pump.cancel()

    async def _pump(self) -> None:
        with suppress(ConnectionError):  # the reader notices it too
            while await self._wake.wait():
                self._wake.clear()
                while self._waiting:
                    count = min(self._batch, len(self._waiting))
                    batch = [self._waiting.popleft() for _ in range(count)]
                    await self._socket.send_bytes(self._frame(batch))

    def _cut(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


class TradeUpdates:
    """The ``/stream`` endpoint. ``delivered`` counts the events handed to a listening client."""

    def __init__(self, exchange: Exchange, key: str, secret: str) -> None:
        self.delivered = 0
        self._lock = exchange.lock
        self._credentials = (key, secret)
        self._client: _Client | None = None
        self._listening = False
        exchange.on_trade_update(self._publish)

    def taken(self) -> bool:
        """Whether the one connection that an account may hold is there (a second one gets a 429)."""
        return self._client is not None and self._client.alive

    def clients(self) -> int:
        """Connected clients that listen to trade_updates, as acknowledged: 0 or 1."""
        with self._lock:
            return int(self._listening and self.taken())

    async def serve(self, request: web.BaseRequest) -> web.WebSocketResponse:
        """Hold one connection to its end."""
        client = _Client(request, frame=lambda parts: parts[0], batch=1)
        with self._lock:
            self._client, self._listening = client, False
        try:
            return await client.hold(lambda: self._talk(client))
        finally:
            with self._lock:
                if self._client is client:
                    self._client, self._listening = None, False

    async def _talk(self, client: _Client) -> None:
        try:
            message = _object(json.loads, await client.first())
        except TimeoutError:
            return
        data = _object(dict, message.get("data"))
        forms = (message.get("key"), message.get("secret")), (data.get("key_id"), data.get("secret_key"))
        status = "authorized" if self._credentials in forms else "unauthorized"
        answer = {"status": status, "action": message.get("action", "authenticate")}
        await client.send(encode({"stream": "authorization", "data": answer}))
        if self._credentials not in forms:
            return
        async for text in client.messages():
            message = _object(json.loads, text)
            if message.get("action") == "listen":
                self._listen(client, _object(dict, message.get("data")).get("streams") or [])
            else:
                client.put(encode({"action": "error", "data": {"error_message": "invalid action"}}))

    def _listen(self, client: _Client, asked: list[str]) -> None:
        streams = [TRADE_UPDATES] if TRADE_UPDATES in asked else []
        with self._lock:
            self._listening = bool(streams)
            client.put(encode({"stream": "listening", "data": {"streams": streams}}))

    def _publish(self, update: TradeUpdateMessage) -> None:
        with self._lock:
            if self._client is not None and self._listening:
                self._client.put(encode({"stream": TRADE_UPDATES, "data": trade_update_json(update)}))
                self.delivered += 1


class OptionQuotes:
    """The ``/v1beta1/{feed}`` endpoints. ``delivered`` counts the quotes handed to subscribers.

    Subscriptions to trades are acknowledged; this exchange streams none.
    """

    def __init__(self, exchange: Exchange, key: str, secret: str) -> None:
        self.delivered = 0
        self._exchange = exchange
        self._credentials = (key, secret)
        self._feeds: dict[str, _Client] = {}
        self._quotes: dict[_Client, frozenset[str]] = {}
        exchange.on_quote(self._publish)

    def subscriptions(self) -> frozenset[str]:
        """Every symbol whose quotes some client has subscribed, as acknowledged."""
        with self._exchange.lock:
            return frozenset(symbol for symbols in self._quotes.values() for symbol in symbols)

    async def serve(self, request: web.BaseRequest, feed: str) -> web.WebSocketResponse:
        """Hold one connection to its end."""
        client = _Client(request, frame=_msgpack_array, batch=BATCH)
        try:
            return await client.hold(lambda: self._talk(client, request, feed))
        finally:
            with self._exchange.lock:
                if self._feeds.get(feed) is client:
                    del self._feeds[feed]
                if self._quotes.pop(client, None) is not None:
                    self._exchange.subscribe_quotes(self.subscriptions())

    async def _talk(self, client: _Client, request: web.BaseRequest, feed: str) -> None:
        await client.send(_success("connected"))
        refusal = await self._refusal(client, request, feed)
        if refusal is not None:
            await client.send(refusal)
            return
        self._feeds[feed] = client
        await client.send(_success("authenticated"))
        trades: set[str] = set()
        async for data in client.messages():
            self._subscribe(client, feed, trades, _object(msgpack.unpackb, data))

    async def _refusal(self, client: _Client, request: web.BaseRequest, feed: str) -> bytes | None:
        """Why this client may not stream, or None once it has authenticated."""
        if request.headers.get("content-type") != "application/msgpack":
            return _error(412, "option messages are only available in MsgPack format")
        try:
            message = _object(msgpack.unpackb, await client.first())
        except TimeoutError:
            return _error(404, "auth timeout")
        if message.get("action") != "auth":
            return _error(401, "not authenticated")
        if (message.get("key"), message.get("secret")) != self._credentials:
            return _error(402, "auth failed")
        rival = self._feeds.get(feed)
        if rival is not None and rival.alive:
            return _error(406, "connection limit exceeded")
        return None

    def _subscribe(self, client: _Client, feed: str, trades: set[str], message: Json) -> None:
        quotes = set(self._quotes.get(client, ()))
        match message.get("action"):
            case "subscribe":
                quotes |= set(message.get("quotes") or ())
                trades |= set(message.get("trades") or ())
            case "unsubscribe":
                quotes -= set(message.get("quotes") or ())
                trades -= set(message.get("trades") or ())
            case "auth":
                client.put(_error(403, "already authenticated"))
                return
            case _:
                client.put(_error(400, "invalid syntax"))
                return
        if "*" in quotes:
            client.put(_error(413, "star subscription is not allowed for option quotes"))
        elif len(quotes) > SYMBOL_LIMITS[feed]:
            client.put(_error(405, "symbol limit exceeded"))
        else:
            with self._exchange.lock:
                self._quotes[client] = frozenset(quotes)
                client.put(_message("subscription", trades=sorted(trades), quotes=sorted(quotes)))
                self._exchange.subscribe_quotes(self.subscriptions())

    def _publish(self, quote: Quote) -> None:
        with self._exchange.lock:
            takers = [client for client, symbols in self._quotes.items() if quote.symbol in symbols]
            if takers:
                message = _quote(quote)
                for client in takers:
                    client.put(message)
                self.delivered += len(takers)


def _object(read: Callable[[Any], object], raw: object) -> Json:
    """What ``read`` makes of ``raw`` if that is an object; else an empty one, which asks for nothing."""
    try:
        value = read(raw)
    except (ValueError, TypeError, msgpack.UnpackException):
        return {}
    return value if isinstance(value, dict) else {}


def _msgpack_array(parts: Sequence[bytes]) -> bytes:
    header: bytes = msgpack.Packer().pack_array_header(len(parts))
    return header + b"".join(parts)


def _message(kind: str, **fields: object) -> bytes:
    packed: bytes = msgpack.packb({"T": kind, **fields})
    return packed


def _success(text: str) -> bytes:
    return _message("success", msg=text)


def _error(code: int, text: str) -> bytes:
    return _message("error", code=code, msg=text)


def _quote(quote: Quote) -> bytes:
    stamp = msgpack.Timestamp.from_datetime(quote.at)
    return _message("q", **option_quote_json(quote) | {"S": quote.symbol, "t": stamp})
