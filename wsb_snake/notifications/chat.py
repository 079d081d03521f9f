"""The way to the owner's phone as the outbox sees it: a port, and errors sorted by what to do next.

ChatError
├── ChatRetryAfter   throttled: nothing was delivered, wait ``seconds``
├── ChatUnavailable  nothing was delivered: try again
├── ChatUncertain    it may have been delivered: try again, and mark the repeat
├── ChatRefused      this text will never be taken: leave it, go on with the next
└── ChatFatal        token or chat is wrong: nothing will ever be taken
"""

from typing import Protocol


class ChatError(Exception):
    """A text was not, or not certainly, delivered. Error texts are one line and free of secrets."""


class ChatRetryAfter(ChatError):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"the chat asks to wait {seconds:g} s")
        self.seconds = seconds


class ChatUnavailable(ChatError):
    pass


class ChatUncertain(ChatError):
    pass


class ChatRefused(ChatError):
    pass


class ChatFatal(ChatError):
    pass


class Chat(Protocol):
    def send(self, text: str, silent: bool) -> None:
        """Deliver ``text`` (at most 4096 characters, plain) within a bounded time.

        A ``silent`` one makes no sound. May raise any ChatError.
        """
        ...
