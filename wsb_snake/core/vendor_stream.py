"""What stands around a vendor's websocket client: its thread, its start within bounds, its state.

``StreamThread`` is one of the few threads that are not lanes: the vendors' stream clients are asyncio
programs that never return, and on a simulation's hub they would block every lane. What they read leaves
the thread through callbacks that only enqueue.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import MappingProxyType
from typing import Any

import websockets

SOCKET = MappingProxyType(
    # a dead peer is noticed within 15 s, and a close waits for no one
    {"ping_interval": 5, "ping_timeout": 10, "close_timeout": 0.3, "max_queue": 1024}
)
START_S = 15.0
CANCEL_AGAIN_S = 0.5
_START_ERRORS = (
    websockets.WebSocketException,
    OSError,  # refused, unknown host, TLS, time-out
    EOFError,
    ValueError,  # keys refused, not JSON
    LookupError,  # an answer of another shape
    TypeError,
    AttributeError,
)


class StreamState:
    """Whether a stream is up, and why not; ``on_state`` hears of each change, also of a new reason."""

    def __init__(self, on_state: Callable[[bool], None]) -> None:
        self._on_state = on_state
        self.connected = False
        self.reason = "not started"

    def up(self) -> None:
        self._set(True, "")

    def down(self, reason: str) -> None:
        self._set(False, reason)

    def lost(self) -> None:
        """The connection is closed; a reason that stands already says more."""
        if self.connected:
            self.down("connection lost")

    def _set(self, connected: bool, reason: str) -> None:
        if (connected, reason) != (self.connected, self.reason):
            self.connected, self.reason = connected, reason
            self._on_state(connected)


async def bounded_start(start: Coroutine[Any, Any, None], state: StreamState, final: str = "") -> None:
    """Connect and authorise by the vendor's ``start``, within ``START_S`` seconds.

    A failure is noted in ``state`` and raised as WebSocketException, after which the vendor's client
    waits and tries again; a ValueError that contains ``final`` is raised as it is.
    """
    try:
        await asyncio.wait_for(start, START_S)
    except _START_ERRORS as error:
        state.down(f"{type(error).__name__}: {error}")
        if final and isinstance(error, ValueError) and final in str(error):
            raise
        raise websockets.WebSocketException(str(error)) from error
    state.up()


class StreamThread:
    """Runs the coroutine that ``run`` makes until it ends or until ``stop``; it starts once."""

    def __init__(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._run = run
        self._thread = threading.Thread(target=self._body, name=name, daemon=True)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = False
        self._stopping = False

    def start(self) -> None:
        """Start the thread; later calls, and calls after ``stop``, change nothing."""
        with self._lock:
            if self._started or self._stopping:
                return
            self._started = True
        self._thread.start()

    def call_soon(self, work: Callable[[], object]) -> None:
        """Have the loop run ``work`` soon, from any thread; nothing happens while there is no loop."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(work)

    def stop(self, timeout_s: float = 2.0) -> bool:
        """End the coroutine, wherever it waits; whether the thread was over within ``timeout_s``."""
        with self._lock:
            self._stopping = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel)
        if self._started:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _cancel(self) -> None:
        """Again and again: the websocket library swallows a cancel that meets it while it closes."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._task.get_loop().call_later(CANCEL_AGAIN_S, self._cancel)

    def _body(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # that is how stop() ends it
            asyncio.run(self._main())

    async def _main(self) -> None:
        with self._lock:
            if self._stopping:
                return
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
        try:
            await self._run()
        finally:
            with self._lock:
                self._loop = None
