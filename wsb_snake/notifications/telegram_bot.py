"""Telegram as a ``Chat``: python-telegram-bot on an asyncio loop in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

from wsb_snake.core.libraries import BROKEN, told
from wsb_snake.notifications.chat import Button, Chat, ChatUnavailable, ChatUncertain, Delivered

if TYPE_CHECKING:
    from wsb_snake.notifications.telegram_client import TelegramClient

__all__ = ["Chat", "TelegramChat"]

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
SLACK_S = 5.0  # on top of the two: writing, and the way between the threads
STOP_S = 2.0
MEDIA_S = 15.0

T = TypeVar("T")


class TelegramChat:
    """Sends plain text to one chat, and hears what comes from it.

    ``base_url`` is the Bot API's root (``https://api.telegram.org``), without ``/bot<token>``. The
    token appears in no error and no log.
    """

    def __init__(
        self,
        token: str,
        chat_id: str,
        base_url: str,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._budget_s = connect_timeout_s + read_timeout_s + SLACK_S
        self._client: TelegramClient | None = None
        self._why_not = "the Telegram thread does not run"

        def connect() -> "TelegramClient":
            from wsb_snake.notifications.telegram_client import TelegramClient  # takes some 0.2 s

            return TelegramClient(token, chat_id, base_url, connect_timeout_s, read_timeout_s)

        self._connect = connect
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="telegram", daemon=True)

    def start(self) -> None:
        """Load the library and start the thread; no network yet.

        Raises ChatUnavailable where the installation is broken, or what the environment names (certificates,
        a proxy) cannot be used. Every later call then raises the same.
        """
        try:
            self._client = self._connect()
            self._thread.start()
        except BROKEN as error:
            self._why_not = (
                f"the Telegram client does not start ({told(error)}): mend the installation, or the proxy "
                "and certificate variables of the environment, and restart"
            )
            raise ChatUnavailable(self._why_not) from None
        with contextlib.suppress(TimeoutError):  # a machine that slow: until the loop runs, each call says so
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(STOP_S)

    def stop(self) -> None:
        """Give up what is being sent, end the thread. Takes at most a few seconds; for good."""
        if self._client is None or not self._thread.is_alive():
            self._loop.close()
            return
        ending = asyncio.run_coroutine_threadsafe(self._client.shut_down(), self._loop)
        try:
            ending.result(STOP_S)
        except TimeoutError:
            ending.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)

    def check(self) -> None:
        """Ask Telegram whether it knows the bot; nothing is sent to the chat. Raises ChatError."""
        self._call(lambda client: client.check())

    def send(self, text: str, silent: bool) -> None:
        """See ``Chat.send``; callable from any thread."""
        self._call(lambda client: client.send(text, silent))

    def listen(self) -> None:
        """See ``Conversation.listen``."""
        self._call(lambda client: client.listen())

    def updates(self, offset: int, hold_s: int) -> Delivered:
        """See ``Conversation.updates``."""
        return self._call(lambda client: client.updates(offset, hold_s), hold_s + SLACK_S)

    def say(self, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """See ``Conversation.say``."""
        self._call(lambda client: client.say(text, buttons))

    def answer_tap(self, tap_id: str, text: str) -> None:
        """See ``Conversation.answer_tap``."""
        self._call(lambda client: client.answer_tap(tap_id, text))

    def rewrite(self, message_id: int, text: str) -> None:
        """See ``Conversation.rewrite``."""
        self._call(lambda client: client.rewrite(message_id, text))

    def picture(self, png: bytes, caption: str) -> None:
        """See ``Conversation.picture``."""
        self._call(lambda client: client.picture(png, caption), MEDIA_S)

    def offer(self, commands: tuple[tuple[str, str], ...]) -> None:
        """See ``Conversation.offer``."""
        self._call(lambda client: client.offer(commands))

    def _call(self, ask: Callable[["TelegramClient"], Coroutine[Any, Any, T]], more_s: float = 0.0) -> T:
        """What ``ask`` gives on the loop, within the budget and ``more_s`` seconds. Raises ChatError."""
        if self._client is None or not self._loop.is_running():
            raise ChatUnavailable(self._why_not)
        budget_s = self._budget_s + more_s
        sending = asyncio.run_coroutine_threadsafe(self._client.answer(ask(self._client)), self._loop)
        try:
            return sending.result(budget_s)
        except TimeoutError:
            sending.cancel()
            raise ChatUncertain(f"Telegram gave no answer within {budget_s:g} s") from None
        except CancelledError:
            raise ChatUncertain("given up while sending") from None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
