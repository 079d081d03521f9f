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
class Asked:
    """``bound``: the argument as it was shown to the owner and is to be done."""

    token: str
    verb: str
    argument: str | None
    bound: str | None
    ends: float


class Confirmations:
    """``monotonic`` gives seconds. Safe from any thread."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open: list[Asked] = []

    def ask(self, verb: str, argument: str | None, bound: str | None) -> str:
        """A token for exactly this command; ``bound`` is what ``argument`` means at present."""
        question = Asked(secrets.token_urlsafe(16), verb, argument, bound, self._monotonic() + VALID_S)
        with self._lock:
            self._open = [*self._open[-(MOST - 1) :], question]
        return question.token

    def take(self, token: str, verb: str, argument: str | None) -> Asked | None:
        """What ``token`` confirms, if it stands for this command; it is used up in any case."""
        now = self._monotonic()
        given = token.encode(errors="replace")  # JSON may hold half a character
        with self._lock:
            found = [q for q in self._open if hmac.compare_digest(q.token.encode(), given)]
            self._open = [q for q in self._open if q not in found and q.ends > now]
        return next((q for q in found if (q.verb, q.argument) == (verb, argument) and q.ends > now), None)
