"""Telegram's Bot API without a socket, for one bot and the chats that its owner opens with it.

The server holds long polls (``hold_s``); everything here answers at once. Form, multipart and JSON
bodies are taken, as the real one does. Method names and errors: core.telegram.org/bots/api.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import format_datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl

from wsb_snake.core.clock import Clock
from wsb_snake.sim.api import ApiReply, ApiRequest

CHAT_ID = 4242
TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
_HTML_TAGS = frozenset(
    ("b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler", "a", "code", "pre")
)

Params = dict[str, str]


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message as the chat shows it. ``reply_markup`` holds the inline keyboard, if there is one."""

    at: datetime
    chat_id: int
    text: str
    message_id: int
    reply_markup: dict[str, Any] | None = None


class TelegramError(Exception):
    """A refusal in Telegram's own words."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


class TelegramApi:
    """One bot. ``messages``, ``edits`` and ``answers`` (callback query id, text) keep all it sent.

    Every method may be called from any thread.
    """

    def __init__(self, token: str, clock: Clock) -> None:
        self.token = token
        self.messages: list[SentMessage] = []
        self.edits: list[SentMessage] = []
        self.answers: list[tuple[str, str]] = []
        self.menus: list[str] = []  # what the bot offers to type, each time that it was told
        self._clock = clock
        self._lock = threading.RLock()
        self._updates: list[dict[str, Any]] = []
        self._next_update_id = 1
        self._next_message_id = 1
        self._on_update: Callable[[], None] | None = None
        self._on_message: Callable[[SentMessage], None] | None = None
        self._methods: dict[str, Callable[[Params], object]] = {
            "getme": lambda _: _bot(),
            "deletewebhook": self._delete_webhook,
            "getupdates": self._get_updates,
            "sendmessage": self._send_message,
            "sendphoto": self._send_file,
            "senddocument": self._send_file,
            "editmessagetext": self._edit_message_text,
            "answercallbackquery": self._answer_callback_query,
            "setmycommands": self._set_my_commands,
            "sendchataction": lambda _: True,
        }

    def on_update(self, callback: Callable[[], None] | None) -> None:
        """``callback`` (None: nobody) is called, from any thread, whenever an update was pushed."""
        self._on_update = callback

    def on_message(self, callback: Callable[[SentMessage], None]) -> None:
        """``callback`` is called with each message that the bot sends, in order."""
        self._on_message = callback

    def push_update(self, update: dict[str, Any]) -> None:
        """Queue an update for the bot; an ``update_id`` of its own is given where it has none."""
        with self._lock:
            self._updates.append({"update_id": self._next_update_id, **update})
            self._next_update_id = self._updates[-1]["update_id"] + 1
        if self._on_update is not None:
            self._on_update()

    def say(self, text: str, user_id: int = CHAT_ID, chat_id: int = CHAT_ID) -> None:
        """A person types ``text``; a leading /command is marked as one, as Telegram does."""
        with self._lock:
            message = self._message(self._take_message_id(), chat_id, text) | {"from": _person(user_id)}
        if text.startswith("/"):
            length = len(text.split(maxsplit=1)[0])
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        self.push_update({"message": message})

    def tap(self, message: SentMessage, data: str, user_id: int = CHAT_ID) -> None:
        """A person taps the inline button of ``message`` that carries ``data``."""
        self.push_update(
            {
                "callback_query": {
                    "id": f"tap-{message.message_id}-{self._next_update_id}",
                    "from": _person(user_id),
                    "message": self._message(message.message_id, message.chat_id, message.text)
                    | {"from": _bot()},
                    "chat_instance": "1",
                    "data": data,
                }
            }
        )

    def is_poll(self, request: ApiRequest) -> bool:
        """Whether this asks for updates; a newer poll ends the one that is being held."""
        return request.path == f"/bot{self.token}/getUpdates"

    def hold_s(self, request: ApiRequest) -> float:
        """Seconds that this long poll is to be held because nothing waits for it; else 0."""
        params = _params(request)
        try:
            offset, hold = _integer(params, "offset", 0), _integer(params, "timeout", 0)
        except TelegramError:
            return 0.0  # ``handle`` tells what is wrong
        with self._lock:
            return 0.0 if self._waiting(offset) else float(hold)

    def handle(self, request: ApiRequest) -> ApiReply:
        """Answer one call, without waiting. The date of the answer is that of the chat's messages."""
        date = format_datetime(self._clock.now().astimezone(UTC), usegmt=True)
        return replace(self._handled(request), headers=(("Date", date),))

    def _handled(self, request: ApiRequest) -> ApiReply:
        try:
            token, _, method = request.path.removeprefix("/bot").partition("/")
            if token != self.token:
                raise TelegramError(401, "Unauthorized")
            call = self._methods.get(method.casefold())
            if call is None:
                raise TelegramError(404, "Not Found")
            with self._lock:
                result = call(_params(request))
        except TelegramError as error:
            return _refusal(error)
        return _json(200, {"ok": True, "result": result})

    def conflict(self) -> ApiReply:
        """What a held poll is told when a newer one takes its place."""
        return _refusal(
            TelegramError(
                409,
                "Conflict: terminated by other getUpdates request; "
                "make sure that only one bot instance is running",
            )
        )

    def _get_updates(self, params: Params) -> list[dict[str, Any]]:
        waiting = self._waiting(_integer(params, "offset", 0))
        self._updates = waiting  # what lies before the offset is confirmed by it
        return waiting[: _integer(params, "limit", 100)]

    def _waiting(self, offset: int) -> list[dict[str, Any]]:
        if offset < 0:
            return self._updates[offset:]
        return [update for update in self._updates if update["update_id"] >= offset]

    def _delete_webhook(self, params: Params) -> bool:
        if params.get("drop_pending_updates", "").casefold() == "true":
            self._updates.clear()
        return True

    def _send_message(self, params: Params) -> dict[str, Any]:
        return self._sent(params, _text(params, "text", TEXT_LIMIT))

    def _send_file(self, params: Params) -> dict[str, Any]:
        kind = "photo" if "photo" in params else "document"
        if not params.get(kind):
            raise TelegramError(400, "Bad Request: there is no file in the request")
        caption = _text(params, "caption", CAPTION_LIMIT) if params.get("caption") else ""
        message = self._sent(params, caption)
        message["caption"] = message.pop("text")
        file = {"file_id": f"file-{message['message_id']}", "file_unique_id": f"u{message['message_id']}"}
        return message | ({"photo": [file | {"width": 1, "height": 1}]} if kind == "photo" else {kind: file})

    def _sent(self, params: Params, text: str) -> dict[str, Any]:
        sent = SentMessage(
            self._clock.now(), _chat_id(params), text, self._take_message_id(), _markup(params)
        )
        self.messages.append(sent)
        if self._on_message is not None:
            self._on_message(sent)
        return self._message(sent.message_id, sent.chat_id, text) | {"from": _bot()}

    def _edit_message_text(self, params: Params) -> dict[str, Any]:
        message_id, text = _integer(params, "message_id", 0), _text(params, "text", TEXT_LIMIT)
        shown = next((m for m in (*self.edits[::-1], *self.messages) if m.message_id == message_id), None)
        if shown is None:
            raise TelegramError(400, "Bad Request: message to edit not found")
        edit = SentMessage(self._clock.now(), shown.chat_id, text, message_id, _markup(params))
        if (edit.text, edit.reply_markup) == (shown.text, shown.reply_markup):
            raise TelegramError(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup "
                "are exactly the same as a current content and reply markup of the message",
            )
        self.edits.append(edit)
        return self._message(message_id, shown.chat_id, text) | {"from": _bot()}

    def _answer_callback_query(self, params: Params) -> bool:
        self.answers.append((params.get("callback_query_id", ""), params.get("text", "")))
        return True

    def _set_my_commands(self, params: Params) -> bool:
        self.menus.append(params.get("commands", ""))
        return True

    def _take_message_id(self) -> int:
        self._next_message_id += 1
        return self._next_message_id - 1

    def _message(self, message_id: int, chat_id: int, text: str) -> dict[str, Any]:
        return {
            "message_id": message_id,
            "date": int(self._clock.now().timestamp()),
            "chat": {"id": chat_id, "type": "private" if chat_id > 0 else "group", "first_name": "Owner"},
            "text": text,
        }


def _refusal(error: TelegramError) -> ApiReply:
    return _json(error.status, {"ok": False, "error_code": error.status, "description": error.description})


def _json(status: int, body: dict[str, Any]) -> ApiReply:
    return ApiReply(status, json.dumps(body).encode())


def _bot() -> dict[str, Any]:
    return {"id": 1, "is_bot": True, "first_name": "Snake", "username": "embedded_snake_bot"}


def _person(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Owner"}


def _params(request: ApiRequest) -> Params:
    """The call's parameters from the query string and whichever form of body it has."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        fields = {name: _plain(value) for name, value in json.loads(request.body or b"{}").items()}
    elif content_type.startswith("multipart/form-data"):
        fields = _multipart(content_type, request.body)
    else:
        fields = dict(parse_qsl(request.body.decode()))
    return {**request.query, **fields}


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _multipart(content_type: str, body: bytes) -> Params:
    """Field values; of a file only its name."""
    document = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts: list[Message] = [part for part in document.walk() if not part.is_multipart()]
    fields: Params = {}
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = part.get_filename() or payload.decode()
    return fields


def _integer(params: Params, name: str, default: int) -> int:
    text = params.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise TelegramError(400, f"Bad Request: {name} is not an integer") from None


def _chat_id(params: Params) -> int:
    if not params.get("chat_id"):
        raise TelegramError(400, "Bad Request: chat_id is empty")
    try:
        return int(params["chat_id"])
    except ValueError:
        raise TelegramError(400, "Bad Request: chat not found") from None


def _markup(params: Params) -> dict[str, Any] | None:
    markup: dict[str, Any] | None = json.loads(params["reply_markup"]) if "reply_markup" in params else None
    return markup


def _text(params: Params, name: str, limit: int) -> str:
    """The text after its entities are parsed, whose length is what the limit counts."""
    text = params.get(name, "")
    if params.get("parse_mode", "").casefold() == "html":
        text = _HtmlText.parse(text)
    if not text.strip():
        raise TelegramError(400, "Bad Request: message text is empty")
    if len(text) > limit:
        raise TelegramError(400, f"Bad Request: message {'caption ' * (name == 'caption')}is too long")
    return text


class _HtmlText(HTMLParser):
    """Telegram's HTML: a handful of tags, all closed, every other < and & escaped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._open: list[str] = []
        self._shown: list[str] = []

    @classmethod
    def parse(cls, text: str) -> str:
        parser = cls()
        parser.feed(text)
        parser.close()
        if parser._open:
            raise _bad_entities(f'Can\'t find end tag corresponding to start tag "{parser._open[-1]}"')
        return "".join(parser._shown)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HTML_TAGS:
            raise _bad_entities(f'Unsupported start tag "{tag}"')
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            raise _bad_entities(f'Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise _bad_entities("Unsupported start tag")
        self._shown.append(data)

    def handle_entityref(self, name: str) -> None:
        self._shown.append(unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self._shown.append(unescape(f"&#{name};"))


def _bad_entities(why: str) -> TelegramError:
    return TelegramError(400, f"Bad Request: can't parse entities: {why}")
