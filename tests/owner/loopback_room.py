"""The real Telegram client for the lanes of a hub: over loopback, its time-outs by the virtual clock.

A call goes out in a thread of its own. Its lane waits and the others go on; the virtual clock stands only
until the call is over or the server holds it, and once more where it has run out of time.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tests.sim.black_hole import BlackHole
from tests.trading.world import World
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.lanes import Promise
from wsb_snake.notifications.chat import Button, ChatError, Delivered
from wsb_snake.notifications.telegram_bot import READ_TIMEOUT_S, TelegramChat
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.service import BOT_TOKEN, KEY, POLYGON_KEY, SECRET
from wsb_snake.sim.telegram_api import CHAT_ID

T = TypeVar("T")

A_MOMENT_S = 0.001
PATIENCE_S = 30.0
TURNS = 20
"""Of the client's loop, after which one whose request is out waits for the answer."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sockets are real, time is not."""

    def __init__(self, clock: VirtualClock) -> None:
        self._virtual = clock
        super().__init__()

    def time(self) -> float:
        return self._virtual.monotonic()


@dataclass(eq=False)
class _Call:
    runs_out_at: float
    held_before: int
    held: bool = False  # by the server, which does not answer
    done: bool = False


class LoopbackRoom:
    """Implements ``Chat`` and ``Conversation`` by the daemon's own client; made before ``w.start``."""

    def __init__(self, w: World, hole: BlackHole) -> None:
        self._w = w
        self._hole = hole
        w.chat, w.settle = self, self._settle
        idle = Exchange(w.clock, w.market, 1)
        apis = AlpacaApi(idle, KEY, SECRET), PolygonApi(idle, POLYGON_KEY)
        self._server = ExchangeServer(idle, *apis, hole)
        self._server.start()
        self._client = TelegramChat(BOT_TOKEN, str(CHAT_ID), f"http://127.0.0.1:{self._server.port}")
        self._client._loop.close()
        self._loop = self._client._loop = VirtualLoop(w.clock)
        self._client.start()
        self._threads = ThreadPoolExecutor(4)
        self._under_way: list[_Call] = []
        self._pause = threading.Event()

    def close(self) -> None:
        """End client and server; the hub has ended."""
        self._client.stop()
        self._threads.shutdown()
        self._server.stop()

    def send(self, text: str, silent: bool) -> None:
        self._call(lambda: self._client.send(text, silent))

    def listen(self) -> None:
        self._call(self._client.listen)

    def updates(self, offset: int, hold_s: int) -> Delivered:
        """The server would hold a poll by the machine's clock, so the poll is held here."""
        self._w.hub.sleep(hold_s)
        return self._call(lambda: self._client.updates(offset, 0))

    def say(self, text: str, buttons: tuple[Button, ...] = ()) -> None:
        self._call(lambda: self._client.say(text, buttons))

    def answer_tap(self, tap_id: str, text: str) -> None:
        self._call(lambda: self._client.answer_tap(tap_id, text))

    def rewrite(self, message_id: int, text: str) -> None:
        self._call(lambda: self._client.rewrite(message_id, text))

    def picture(self, png: bytes, caption: str) -> None:
        self._call(lambda: self._client.picture(png, caption))

    def offer(self, commands: tuple[tuple[str, str], ...]) -> None:
        self._call(lambda: self._client.offer(commands))

    def _call(self, work: Callable[[], T]) -> T:
        hub = self._w.hub
        promise: Promise[T] = Promise(hub, f"chat {hub.current()}")
        call = _Call(hub.clock.monotonic() + READ_TIMEOUT_S, self._hole.held)

        def run() -> None:
            try:
                promise.resolve(work())
            except ChatError as error:
                promise.fail(error)
            finally:
                call.done = True

        self._under_way.append(call)
        self._threads.submit(run)
        while not promise.wait(READ_TIMEOUT_S + A_MOMENT_S):
            pass  # the client gives up a moment after its time is out
        return promise.result()

    def _settle(self) -> None:
        """Until each call is over, or the server holds it and it has time left."""
        now = self._w.clock.monotonic()
        for call in self._under_way:
            left = PATIENCE_S
            while not (call.done or (self._is_held(call) and now < call.runs_out_at)):
                assert left > 0, "a call was neither answered nor given up"
                self._loop.call_soon_threadsafe(lambda: None)  # it looks at the time
                self._pause.wait(A_MOMENT_S)
                left -= A_MOMENT_S
        self._under_way = [call for call in self._under_way if not call.done]

    def _is_held(self, call: _Call) -> bool:
        if not call.held and self._hole.held > call.held_before:
            asyncio.run_coroutine_threadsafe(_turns(), self._loop).result(PATIENCE_S)
            call.held = True
        return call.held


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
