"""The two websockets, with alpaca-py's own clients and with a bare one."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import msgpack  # type: ignore[import-untyped]  # ships no types
import pytest
from alpaca.data.live import OptionDataStream
from alpaca.data.models import Quote
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import TradeUpdate
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest
from alpaca.trading.stream import TradingStream

from tests.sim.serving import KEY, SECRET, World, served, wait_until
from wsb_snake.sim import alpaca_streams

AUTH = {"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}


@pytest.fixture
def world() -> Iterator[World]:
    with served() as world:
        yield world


@contextmanager
def running(stream: TradingStream | OptionDataStream, world: World) -> Iterator[None]:
    """``stream`` in a thread, as the daemon runs it."""
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.stop()
        world.server.stop()  # ends its read at once
        thread.join(10)


def order(world: World, symbol: str, client_order_id: str = "a") -> str:
    """Buy one ``symbol`` at the market with alpaca-py; the order's id."""
    client = TradingClient(KEY, SECRET, url_override=world.http, raw_data=True)
    request = MarketOrderRequest(
        symbol=symbol,
        qty=1,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.DAY,
        client_order_id=client_order_id,
    )
    reply = client.submit_order(request)
    assert isinstance(reply, dict)
    return str(reply["id"])


def test_alpaca_py_gets_the_updates_of_an_order_in_order(world: World) -> None:
    got: list[TradeUpdate] = []

    async def take(update: TradeUpdate) -> None:
        got.append(update)

    stream = TradingStream(KEY, SECRET, url_override=f"{world.ws}/stream")
    stream.subscribe_trade_updates(take)
    with running(stream, world):
        wait_until(lambda: world.server.trade_clients() == 1)
        symbol = world.near_the_money()[0]
        sent = order(world, symbol)
        world.pass_time(2)
        wait_until(lambda: len(got) == world.exchange.emitted_updates)
        assert [update.event for update in got] == ["new", "fill"]
        assert {str(update.order.id) for update in got} == {sent}
        assert got[-1].order.symbol == symbol
        assert got[-1].position_qty == 1
        assert world.server.delivered_updates == world.exchange.emitted_updates == 2


def test_alpaca_py_gets_option_quotes_with_the_feeds_own_stamp(world: World) -> None:
    """alpaca-py sends its subscription in fragments, and drops a quote whose stamp is text."""
    got: list[Quote] = []

    async def take(quote: Quote | dict[Any, Any]) -> None:
        assert isinstance(quote, Quote)
        got.append(quote)

    symbols = world.near_the_money(40)
    stream = OptionDataStream(KEY, SECRET, url_override=f"{world.ws}/v1beta1/indicative")
    stream.subscribe_quotes(take, *symbols)
    with running(stream, world):
        wait_until(lambda: world.server.quote_subscriptions() == frozenset(symbols))
        world.pass_time(3)
        assert world.exchange.emitted_quotes == 3 * len(symbols)
        wait_until(lambda: len(got) == world.server.delivered_quotes == 3 * len(symbols))
        last = {quote.symbol: quote for quote in got}
        for symbol in symbols:
            true = world.market.option_quote(symbol, world.clock.now())
            assert true is not None
            shown = last[symbol]
            assert (shown.bid_price, shown.ask_price) == (float(true.bid), float(true.ask))
            assert (shown.bid_size, shown.ask_size) == (true.bid_size, true.ask_size)
            assert shown.timestamp == true.at


def test_nothing_counts_as_delivered_while_nobody_listens(world: World) -> None:
    order(world, world.near_the_money()[0])
    world.pass_time(2)
    assert world.exchange.emitted_updates == 2
    assert world.server.delivered_updates == 0
    assert world.server.trade_clients() == 0


# With a bare client: what alpaca-py hides.


def talk(world: World, conversation: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(world.ws) as session:
            await conversation(session)

    asyncio.run(asyncio.wait_for(run(), 20))


@asynccontextmanager
async def option_socket(
    session: aiohttp.ClientSession, feed: str = "indicative"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Content-Type": "application/msgpack"}
    async with session.ws_connect(f"/v1beta1/{feed}", headers=headers) as socket:
        assert await unpacked(socket) == [{"T": "success", "msg": "connected"}]
        yield socket


async def unpacked(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return msgpack.unpackb(await socket.receive_bytes())


async def say(socket: aiohttp.ClientWebSocketResponse, **message: object) -> Any:
    await socket.send_bytes(msgpack.packb(message))
    return await unpacked(socket)


async def listen(session: aiohttp.ClientSession, auth: object = AUTH) -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect("/stream")
    await socket.send_json(auth)
    granted = json.loads(await socket.receive_bytes())
    assert granted["stream"] == "authorization"
    assert granted["data"]["status"] == "authorized"
    await socket.send_json(LISTEN)
    assert json.loads(await socket.receive_bytes()) == {
        "stream": "listening",
        "data": {"streams": ["trade_updates"]},
    }
    return socket


@pytest.mark.parametrize("auth", [AUTH, {"action": "auth", "key": KEY, "secret": SECRET}])
def test_both_forms_of_authentication_are_taken(world: World, auth: object) -> None:
    async def conversation(session: aiohttp.ClientSession) -> None:
        await listen(session, auth)
        assert world.server.trade_clients() == 1

    talk(world, conversation)


def test_wrong_keys_are_told_and_the_socket_is_closed(world: World) -> None:
    async def conversation(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/stream") as socket:
            await socket.send_json({"action": "auth", "key": KEY, "secret": "wrong"})
            assert json.loads(await socket.receive_bytes())["data"]["status"] == "unauthorized"
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with option_socket(session) as socket:
            refused = await say(socket, action="auth", key=KEY, secret="wrong")
            assert refused == [{"T": "error", "code": 402, "msg": "auth failed"}]

    talk(world, conversation)


def test_a_second_trade_updates_connection_gets_429_until_the_first_is_gone(world: World) -> None:
    async def conversation(session: aiohttp.ClientSession) -> None:
        first = await listen(session)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect("/stream")
        assert refused.value.status == 429
        await first.close()
        await asyncio.to_thread(wait_until, lambda: world.server.trade_clients() == 0)
        await listen(session)

    talk(world, conversation)


def test_a_daemon_that_dies_leaves_nothing_behind(world: World) -> None:
    symbol = world.near_the_money()[0]

    async def die() -> None:
        session = aiohttp.ClientSession(world.ws)
        trades = await listen(session)
        async with option_socket(session) as quotes:
            await say(quotes, action="auth", key=KEY, secret=SECRET)
            await say(quotes, action="subscribe", quotes=[symbol])
            assert world.server.quote_subscriptions() == {symbol}
            assert session.connector is not None
            await session.connector.close()  # no closing handshake
            assert trades.closed is False
        await session.close()

    for _ in range(3):
        asyncio.run(asyncio.wait_for(die(), 20))
        wait_until(lambda: not world.server.quote_subscriptions() and not world.server.trade_clients())
    world.pass_time(2)
    assert world.exchange.emitted_quotes == 0


def test_option_subscriptions_add_up_and_are_acknowledged(world: World) -> None:
    one, two, three = world.near_the_money(3)

    async def conversation(session: aiohttp.ClientSession) -> None:
        async with option_socket(session) as socket:
            assert await say(socket, action="auth", key=KEY, secret=SECRET) == [
                {"T": "success", "msg": "authenticated"}
            ]
            await say(socket, action="subscribe", quotes=[one, two])
            assert await say(socket, action="subscribe", quotes=[three], trades=[one]) == [
                {"T": "subscription", "trades": [one], "quotes": sorted([one, two, three])}
            ]
            async with option_socket(session, "opra") as other:
                await say(other, action="auth", key=KEY, secret=SECRET)
                await say(other, action="subscribe", quotes=[three])
                await say(socket, action="unsubscribe", quotes=[one, three])
                assert world.server.quote_subscriptions() == {two, three}
                world.pass_time(1)
                assert [q["S"] for q in await unpacked(socket)] == [two]
                assert [q["S"] for q in await unpacked(other)] == [three]

    talk(world, conversation)


def test_option_streams_refuse_in_alpacas_words(world: World) -> None:
    async def conversation(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/v1beta1/opra") as socket:  # JSON is not spoken here
            assert await unpacked(socket) == [{"T": "success", "msg": "connected"}]
            assert (await unpacked(socket))[0]["code"] == 412
        async with option_socket(session) as socket:
            assert (await say(socket, action="subscribe", quotes=["X"]))[0]["code"] == 401
        async with option_socket(session) as socket:
            await say(socket, action="auth", key=KEY, secret=SECRET)
            async with option_socket(session) as second:
                assert (await say(second, action="auth", key=KEY, secret=SECRET))[0]["code"] == 406
            assert (await say(socket, action="auth", key=KEY, secret=SECRET))[0]["code"] == 403
            assert (await say(socket, action="dance"))[0]["code"] == 400
            assert (await say(socket, action="subscribe", quotes=["*"]))[0]["code"] == 413
            many = [f"SPY261124C{n:08d}" for n in range(1, 202)]
            assert (await say(socket, action="subscribe", quotes=many))[0]["code"] == 405
            assert world.server.quote_subscriptions() == frozenset()
            await socket.send_bytes(b"\xc1")  # no msgpack at all
            assert (await unpacked(socket))[0]["code"] == 400

    talk(world, conversation)


def test_a_client_that_falls_too_far_behind_is_cut_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpaca_streams, "BACKLOG_LIMIT", 500)
    symbols = world.near_the_money(50)

    async def conversation(session: aiohttp.ClientSession) -> None:
        async with option_socket(session) as socket:
            await say(socket, action="auth", key=KEY, secret=SECRET)
            await say(socket, action="subscribe", quotes=symbols)
            with world.exchange.lock:
                # the server's loop waits for the lock, so nothing is sent meanwhile
                asking = asyncio.create_task(session.get("/v2/clock"))
                await asyncio.sleep(0.05)
                world.pass_time(11)
            (await asking).release()
            while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        await asyncio.to_thread(wait_until, lambda: not world.server.quote_subscriptions())

    talk(world, conversation)


def test_updates_queue_behind_each_other_whoever_causes_them(world: World) -> None:
    """Orders over HTTP and steps of time from another thread: the stream keeps the exchange's order."""
    emitted: list[str] = []
    world.exchange.on_trade_update(lambda message: emitted.append(message.execution_id))
    symbols = world.near_the_money(5)

    async def conversation(session: aiohttp.ClientSession) -> None:
        socket = await listen(session)

        def trade() -> None:
            for number in range(20):
                order(world, symbols[number % 5], f"o{number}")
                if number % 3 == 0:
                    world.pass_time(1)
            world.pass_time(3)

        await asyncio.to_thread(trade)
        got = [json.loads(await socket.receive_bytes())["data"]["execution_id"] for _ in range(40)]
        assert got == emitted

    talk(world, conversation)


def test_limit_orders_that_end_are_told(world: World) -> None:
    client = TradingClient(KEY, SECRET, url_override=world.http, raw_data=True)

    async def conversation(session: aiohttp.ClientSession) -> None:
        socket = await listen(session)

        def trade() -> None:
            request = LimitOrderRequest(
                symbol=world.near_the_money()[0],
                qty=1,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.DAY,
                limit_price=0.01,
            )
            reply = client.submit_order(request)
            assert isinstance(reply, dict)
            client.cancel_order_by_id(reply["id"])
            world.pass_time(2)

        await asyncio.to_thread(trade)
        events = [json.loads(await socket.receive_bytes())["data"]["event"] for _ in range(3)]
        assert events == ["new", "pending_cancel", "canceled"]

    talk(world, conversation)
