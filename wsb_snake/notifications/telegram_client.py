"""python-telegram-bot as ``TelegramChat`` needs it: one chat, plain text, errors sorted by what to do next.

Nothing here is light: the library and its certificates take some 0.2 s. So only ``TelegramChat.start``
imports this module, when what leads to an exit is at work already.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from wsb_snake.config import is_loopback
from wsb_snake.notifications.chat import (
    Button,
    ChatConflict,
    ChatError,
    ChatFatal,
    ChatRefused,
    ChatRetryAfter,
    ChatUnavailable,
    ChatUncertain,
    ChatUnclear,
    Delivered,
)

T = TypeVar("T")

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_OF_THIS_TEXT = (
    *("too long", "too_long", "text is empty", "message_empty", "non-empty"),
    *("utf-8", "can't parse", "entities", "entity_bounds"),
    *("message to edit", "message can't be edited", "message is not modified", "query is too old"),
)
"""What Telegram says with 400 of one text or message. Its other words with 400 are of the chat, of what the
bot may do there, or unknown: most likely the next text would fare the same."""


class _NotTelegram(NetworkError):
    """Something on the way refused the request; Telegram has not seen it."""


class _Request(HTTPXRequest):
    """The library takes any 401, 403 and 404 for Telegram's word on the token and the chat."""

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """See ``BaseRequest.do_request``."""
        code, payload = await super().do_request(*args, **kwargs)
        if 300 <= code < 500 and not _of_the_bot_api(payload):
            raise _NotTelegram(f"HTTP {code} that is not of the Bot API")
        return code, payload


class TelegramClient:
    """Every coroutine runs on one asyncio loop and is awaited through ``answer``.

    The token appears in no error and no log. Making one raises OSError, RuntimeError or ValueError where
    certificates or a proxy that the environment names cannot be used.
    """

    def __init__(
        self, token: str, chat_id: str, base_url: str, connect_timeout_s: float, read_timeout_s: float
    ) -> None:
        _quiet_libraries()
        self._token = token
        self._chat_id = chat_id
        root = base_url.rstrip("/")
        self._updates_url = f"{root}/bot{token}/getUpdates"
        self._read_timeout_s = read_timeout_s
        # a proxy from the environment serves the internet, never this machine
        trusted = not is_loopback(base_url)
        shared = {"trust_env": trusted, "verify": httpx.create_ssl_context(trust_env=trusted)}
        try:
            self._request = _Request(
                connect_timeout=connect_timeout_s, read_timeout=read_timeout_s, httpx_kwargs=shared
            )
        except httpx.InvalidURL:  # its text may quote a password
            raise ValueError("a proxy that the environment names is no URL") from None
        # a connection of its own: a poll that hangs holds up no alert
        self._poll = _Request(
            connect_timeout=connect_timeout_s,
            httpx_kwargs={**shared, "event_hooks": {"response": [self._note_date]}},
        )
        self._polled_at: int | None = None  # by Telegram's clock
        self._bot = Bot(token, base_url=f"{root}/bot", request=self._request, get_updates_request=self._poll)

    async def answer(self, work: Awaitable[T]) -> T:
        """The result of ``work``, a coroutine of this client. Raises ChatError."""
        try:
            return await work
        except TelegramError as error:
            raise self._sorted(error) from None
        except (LookupError, TypeError, ValueError, AttributeError):
            raise ChatUncertain("Telegram's answer has an unknown form") from None

    async def check(self) -> None:
        """Ask Telegram whether it knows the bot."""
        await self._bot.get_me()

    async def send(self, text: str, silent: bool) -> None:
        """See ``Chat.send``."""
        try:
            await self._bot.send_message(self._chat_id, text, disable_notification=silent)
        except (LookupError, TypeError, ValueError, AttributeError):
            # the status was 2xx and the body JSON: Telegram took the message, and the library stumbled
            # over the description of it
            logging.getLogger(__name__).warning("Telegram took a message; its answer has an unknown form")

    async def listen(self) -> None:
        """See ``Conversation.listen``: a webhook that somebody set keeps every update to itself."""
        await self._bot.delete_webhook()

    async def updates(self, offset: int, hold_s: int) -> Delivered:
        """See ``Conversation.updates``; an answer of another form counts as none."""
        self._polled_at = None
        url = f"{self._updates_url}?offset={offset}&timeout={hold_s}"
        body = await self._poll.retrieve(url, read_timeout=hold_s + self._read_timeout_s)
        try:
            told = json.loads(body)["result"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise ChatUnavailable("Telegram's updates cannot be read") from None
        return Delivered(told if isinstance(told, list) else [], self._polled_at)

    async def say(self, text: str, buttons: tuple[Button, ...]) -> None:
        """See ``Conversation.say``."""
        row = [InlineKeyboardButton(button.label, callback_data=button.data) for button in buttons]
        markup = InlineKeyboardMarkup([row]) if row else None
        await self._bot.send_message(self._chat_id, text, reply_markup=markup)

    async def answer_tap(self, tap_id: str, text: str) -> None:
        """See ``Conversation.answer_tap``."""
        await self._bot.answer_callback_query(tap_id, text[:200])

    async def rewrite(self, message_id: int, text: str) -> None:
        """See ``Conversation.rewrite``."""
        await self._bot.edit_message_text(text, self._chat_id, message_id)

    async def picture(self, png: bytes, caption: str) -> None:
        """See ``Conversation.picture``."""
        await self._bot.send_photo(self._chat_id, png, caption=caption, disable_notification=True)

    async def offer(self, commands: tuple[tuple[str, str], ...]) -> None:
        """See ``Conversation.offer``."""
        await self._bot.set_my_commands(commands)

    async def shut_down(self) -> None:
        """Give up whatever is under way, for good."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._request.shutdown()
        await self._poll.shutdown()

    def _sorted(self, error: TelegramError) -> ChatError:
        """``error`` by what to do next; BadRequest must be asked for before its parent NetworkError."""
        text = f"{type(error).__name__}: {self._clean(str(error))}"
        if isinstance(error, RetryAfter):
            wait = error.retry_after
            return ChatRetryAfter(wait.total_seconds() if isinstance(wait, timedelta) else float(wait))
        if isinstance(error, InvalidToken):
            return ChatFatal(f"Telegram refuses the bot token, check TELEGRAM_BOT_TOKEN ({text})")
        if isinstance(error, Conflict):
            return ChatConflict(f"another program or a webhook takes this bot's messages: end it ({text})")
        if isinstance(error, BadRequest) and any(words in text.lower() for words in _OF_THIS_TEXT):
            return ChatRefused(f"Telegram refuses this text ({text})")
        if isinstance(error, BadRequest | Forbidden | ChatMigrated):
            kind = ChatUnclear if isinstance(error, BadRequest) else ChatFatal
            return kind(
                f"Telegram refuses, check TELEGRAM_CHAT_ID and what the bot may do in that chat ({text})"
            )
        if isinstance(error, _NotTelegram):
            return ChatUnavailable(f"something between here and Telegram refuses ({self._clean(str(error))})")
        if isinstance(error.__cause__, _NEVER_LEFT):
            return ChatUnavailable(f"Telegram cannot be reached ({type(error.__cause__).__name__})")
        # no answer, a reset after the request had left, 5xx, no JSON
        return ChatUncertain(f"Telegram's answer was lost or is an error ({text})")

    def _clean(self, text: str) -> str:
        return " ".join(text.replace(self._token, "***").split())[:200]

    async def _note_date(self, response: httpx.Response) -> None:
        try:
            self._polled_at = int(parsedate_to_datetime(response.headers.get("date", "")).timestamp())
        except (TypeError, ValueError, OverflowError):
            self._polled_at = None


def _of_the_bot_api(refusal: bytes) -> bool:
    try:
        told = json.loads(refusal)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("ok") is False


def _quiet_libraries() -> None:
    """Keep the token out of the logs: httpx and httpcore log whole URLs, PTB logs raw answers."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram.request").setLevel(logging.CRITICAL)
