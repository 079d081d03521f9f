"""The way to the owner's phone as the outbox sees it: a port, and errors sorted by what to do next.

ChatError
├── ChatRetryAfter   throttled: nothing was delivered, wait ``seconds``
├── ChatUnavailable  nothing was delivered: try again
│   └── ChatConflict     somebody else takes what people type to this bot
├── ChatUncertain    it may have been delivered: try again, and mark the repeat
├── ChatRefused      this text will never be taken: leave it, go on with the next
└── ChatFatal        token, chat or the bot's rights in it are wrong: nothing is taken until that is mended,
                     try again in minutes
    └── ChatUnclear      or this text is: another text would show it
"""

from dataclasses import dataclass
from typing import Protocol


class ChatError(Exception):
    """A text was not, or not certainly, delivered. Error texts are one line and free of secrets."""


class ChatRetryAfter(ChatError):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"the chat asks to wait {seconds:g} s")
        self.seconds = seconds


class ChatUnavailable(ChatError):
    pass


class ChatConflict(ChatUnavailable):
    pass


class ChatUncertain(ChatError):
    pass


class ChatRefused(ChatError):
    pass


class ChatFatal(ChatError):
    pass


class ChatUnclear(ChatFatal):
    pass


class Chat(Protocol):
    def send(self, text: str, silent: bool) -> None:
        """Deliver ``text`` (at most 4096 characters, plain) within a bounded time.

        A ``silent`` one makes no sound. May raise any ChatError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Button:
    """What a person may tap; ``data`` (64 bytes at most) is what comes back."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What people did, raw. ``at``: when the chat said so by its own clock, whole seconds since 1970."""

    updates: list[object]
    at: int | None


class Conversation(Protocol):
    """The same chat both ways, plain text. Each method takes a bounded time and may raise any ChatError."""

    def listen(self) -> None:
        """Have updates come to whoever asks for them, whatever was set before."""
        ...

    def updates(self, offset: int, hold_s: int) -> Delivered:
        """What people did from update ``offset`` on; waits ``hold_s`` seconds for the first."""
        ...

    def say(self, text: str, buttons: tuple[Button, ...] = ()) -> None:
        """Answer with ``text`` (at most 4096 characters), with ``buttons`` beneath."""
        ...

    def answer_tap(self, tap_id: str, text: str) -> None:
        """Show ``text`` (at most 200 characters) to whoever tapped."""
        ...

    def rewrite(self, message_id: int, text: str) -> None:
        """Put ``text`` in the place of a message, and take its buttons away."""
        ...

    def picture(self, png: bytes, caption: str) -> None:
        """Send a picture without a sound; ``caption`` has at most 1024 characters."""
        ...

    def offer(self, commands: tuple[tuple[str, str], ...]) -> None:
        """Have the app list these commands (name, what it does)."""
        ...
