"""Secrets out of finished texts: those that are known, and what looks like one that is not.

The known ones are taken out in every form in which a text may carry them: plain, quoted for a URL, and
escaped as ``repr`` and JSON do it. Beyond that go authorisation headers, keys and tokens in a URL's query
or in a header, the token of a bot's URL, and the name and password of an address.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|token)\s+)?)[^\s'\",;}]+"),
        r"\1",
    ),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}"), r"\1"),
    (
        re.compile(
            r"(?i)\b((?:apca-api-(?:secret-)?key(?:-id)?|x-control-token|api[_-]?key|secret[_-]?key"
            r"|access[_-]?token|password)['\"]?\s*[:=]\s*['\"]?)[^\s'\"&,;}]+"
        ),
        r"\1",
    ),
    (re.compile(r"(?i)(/bot)\d+(?::|%3a)[\w-]+"), r"\1"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@'\"]+@"), r"\1" + "\0@"),
)


class Redactor:
    """Callable: the text without secrets. Immutable, for any thread."""

    __slots__ = ("_known",)

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._known = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        for shape, kept in _SHAPES:
            text = shape.sub(kept.replace("\0", HIDDEN) if "\0" in kept else kept + HIDDEN, text)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    return (
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    )
