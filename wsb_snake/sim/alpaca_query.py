"""Reading the query strings and page tokens of Alpaca's two APIs."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from wsb_snake.core.clock import from_eastern

Query = Mapping[str, str]


class BadQuery(Exception):
    """A parameter cannot be read; the text is for the caller."""


def names(query: Query, name: str) -> list[str]:
    """A comma-separated list, sorted, each once."""
    return sorted({part.strip() for part in query.get(name, "").split(",") if part.strip()})


def integer(query: Query, name: str, default: int, highest: int) -> int:
    """A whole number from 1 to ``highest``. Raises BadQuery."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise BadQuery(f"invalid {name}: {text} (1 to {highest})")
    return int(text)


def number(query: Query, name: str) -> Decimal | None:
    """Raises BadQuery."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise BadQuery(f"invalid {name}: {text}") from None


def maybe_flag(query: Query, name: str) -> bool | None:
    """None where the parameter is not given."""
    return flag(query, name) if name in query else None


def flag(query: Query, name: str) -> bool:
    """True for true in any case (a client of Alpaca's writes True)."""
    return query.get(name, "").casefold() == "true"


def choice(query: Query, name: str, default: str, *others: str) -> str:
    """One of the words allowed. Raises BadQuery."""
    text = query.get(name, default)
    if text not in (default, *others):
        raise BadQuery(f"invalid {name}: {text}")
    return text


def day(query: Query, name: str) -> date | None:
    """A date, also one with a time behind it. Raises BadQuery."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise BadQuery(f"invalid {name}: {text}") from None


def moment(query: Query, name: str) -> datetime | None:
    """An RFC 3339 time as UTC, without offset UTC; a mere date means its US/Eastern midnight.

    Raises BadQuery.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-01"):
            return from_eastern(date.fromisoformat(text), time(0))
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuery(f"invalid {name}: {text}") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def token(position: str) -> str:
    """An opaque page token that leads to ``position``."""
    return b64encode(position.encode()).decode()


def position(query: Query) -> str | None:
    """Where ``page_token`` leads, None for the first page. Raises BadQuery."""
    text = query.get("page_token")
    if not text:
        return None
    try:
        return b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadQuery(f"invalid page_token: {text}") from None


def offset(query: Query) -> int:
    """Where ``page_token`` leads in a list that does not change, 0 for the first page. Raises BadQuery."""
    place = position(query) or "0"
    if not place.isdecimal():
        raise BadQuery("invalid page_token")
    return int(place)
