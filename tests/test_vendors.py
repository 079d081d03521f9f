"""The wiring of the streams, against a websocket server on loopback."""

from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.loopback_ws import LoopbackSocket, eventually
from tests.trading.test_alpaca_trade_stream import KEY, SECRET, authorise
from wsb_snake.config import load
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.vendors import Sinks, Streams


def test_a_mute_trade_stream_is_given_up_for_a_new_one() -> None:
    async def script(connection: ServerConnection) -> None:
        await authorise(connection)
        await connection.wait_closed()

    states: list[bool] = []

    def ignore(_: Any) -> None:
        pass

    with LoopbackSocket(script) as server:
        settings = load(None, alpaca_api_key=KEY, alpaca_secret_key=SECRET, alpaca_stream_url=server.url)
        streams = Streams(settings, ThreadLanes(SystemClock()), Sinks(ignore, states.append, ignore, ignore))
        streams.start()
        assert eventually(lambda: states == [True])
        streams.renew_trades()
        assert eventually(lambda: states == [True, False, True])
        assert server.connections == 2
        streams.stop()
        assert eventually(lambda: states[-1] is False)
