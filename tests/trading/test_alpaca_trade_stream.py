"""The trade stream on the real alpaca-py client, against websocket servers that misbehave."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.loopback import closed_port
from tests.loopback_ws import LoopbackSocket, eventually
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.orders import OrderStatus
from wsb_snake.trading.alpaca_broker import AlpacaTradeStream
from wsb_snake.trading.broker import TradeUpdate

KEY, SECRET = "key-never-shown", "secret-never-shown"
ORDER: dict[str, Any] = {
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    "client_order_id": "wsb-20261124-s-aaaaaaaaaaaa-x-1",
    "created_at": "2026-11-24T14:31:00.123456789Z",
    "updated_at": "2026-11-24T09:31:01-05:00",
    "symbol": "SPY261124C00672000",
    "asset_class": "us_option",
    "qty": "2",
    "filled_qty": "1",
    "filled_avg_price": "1.155",
    "type": "limit",
    "side": "sell",
    "position_intent": "sell_to_close",
    "limit_price": "1.15",
    "status": "partially_filled",
}


class Recorder:
    def __init__(self) -> None:
        self.updates: list[TradeUpdate] = []
        self.states: list[bool] = []
        self.malformed: list[str] = []

    def stream(self, url: str) -> AlpacaTradeStream:
        return AlpacaTradeStream(
            KEY, SECRET, url, SystemClock(), self.updates.append, self.states.append, self.malformed.append
        )


async def authorise(connection: ServerConnection) -> None:
    asked = json.loads(await connection.recv())
    assert asked["data"] == {"key_id": KEY, "secret_key": SECRET}
    await connection.send(json.dumps({"stream": "authorization", "data": {"status": "authorized"}}).encode())
    await connection.recv()
    await connection.send(json.dumps({"stream": "listening", "data": {"streams": ["trade_updates"]}}))


def event(**changes: Any) -> str:
    data = {"event": "partial_fill", "timestamp": "2026-11-24T15:00:00Z", "order": ORDER, **changes}
    return json.dumps({"stream": "trade_updates", "data": data})


def test_updates_arrive_and_malformed_ones_are_reported_without_ending_the_stream() -> None:
    async def script(connection: ServerConnection) -> None:
        await authorise(connection)
        await connection.send(json.dumps({"stream": "trade_updates", "data": None}))
        await connection.send(event(order=None))
        await connection.send(event(order={**ORDER, "status": "quantum"}).encode())
        await connection.send(event(timestamp=None, event="something new"))
        await connection.wait_closed()

    recorder = Recorder()
    with LoopbackSocket(script) as server:
        stream = recorder.stream(server.url)
        stream.start()
        assert eventually(lambda: len(recorder.updates) == 2)
        assert stream.connected()
        assert stream.reason == ""
        assert stream.last_message_at is not None
        assert stream.stop()
    assert [update.order.status for update in recorder.updates] == [
        OrderStatus.UNRECOGNISED,
        OrderStatus.PARTIALLY_FILLED,
    ]
    assert recorder.updates[1].event == "something new"
    assert recorder.updates[1].at == datetime(2026, 11, 24, 14, 31, 1, tzinfo=UTC)  # the order's own
    assert len(recorder.malformed) == 2
    assert recorder.states == [True, False]
    assert (stream.connected(), stream.reason) == (False, "stopped")


def test_a_lost_connection_is_told_and_made_again() -> None:
    async def script(connection: ServerConnection) -> None:
        await authorise(connection)
        if server.connections > 1:
            await connection.wait_closed()

    recorder = Recorder()
    with LoopbackSocket(script) as server:
        stream = recorder.stream(server.url)
        stream.start()
        assert eventually(lambda: recorder.states[:3] == [True, False, True])
        assert stream.stop()


def test_refused_keys_are_told_with_the_reason_and_without_the_keys() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(json.dumps({"stream": "authorization", "data": {"status": "unauthorized"}}))
        await connection.wait_closed()

    recorder = Recorder()
    with LoopbackSocket(script) as server:
        stream = recorder.stream(server.url)
        stream.start()
        assert eventually(lambda: "failed to authenticate" in stream.reason)
        assert recorder.states == [False]
        assert SECRET not in stream.reason
        assert eventually(lambda: server.connections > 1)  # it goes on trying
        assert stream.stop()


async def mute(connection: ServerConnection) -> None:
    await connection.wait_closed()


@pytest.mark.parametrize("started", [True, False])
def test_stop_is_quick_however_little_came_about(started: bool) -> None:
    with LoopbackSocket(mute) as server:
        for url in (server.url, f"ws://127.0.0.1:{closed_port()}/stream"):
            stream = Recorder().stream(url)
            if started:
                stream.start()
            assert stream.stop()
            stream.start()  # too late: it does not come back
            assert not stream.connected()


def test_stop_interrupts_a_handshake_that_hangs() -> None:
    with LoopbackSocket(mute) as server:
        stream = Recorder().stream(server.url)
        stream.start()
        assert eventually(lambda: server.connections == 1)
        assert stream.stop()
