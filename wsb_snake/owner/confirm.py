"""The second step of what cannot be undone: a token that works once, for one command, for 30 s."""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

VALID_S = 30.0
MOST = 32
"""Pending questions at the same time; the oldest gives way."""


@dataclass(frozen=True, slots=True)
class _Question:
    token: str
    verb: str
    argument: str | None
    ends: float


class Confirmations:
    """``monotonic`` gives seconds. Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open: list[_Question] = []

    def ask(self, verb: str, argument: str | None) -> str:
        """A token for exactly this command."""
        question = _Question(secrets.token_urlsafe(16), verb, argument, self._monotonic() + VALID_S)
        with self._lock:
            self._open = [*self._open[-(MOST - 1) :], question]
        return question.token

    def take(self, token: str, verb: str, argument: str | None) -> bool:
        """Whether ``token`` stands for this command; it is used up in any case."""
        now = self._monotonic()
        with self._lock:
            found = [q for q in self._open if hmac.compare_digest(q.token.encode(), token.encode())]
            self._open = [q for q in self._open if q not in found and q.ends > now]
        return any((q.verb, q.argument) == (verb, argument) and q.ends > now for q in found)
