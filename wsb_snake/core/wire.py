"""Values out of vendors' JSON and msgpack: numbers without rounding, moments in UTC.

Everything raises ValueError for what is not such a value (null, text, NaN, a naive time), so that a
malformed message is one kind of error wherever it comes from.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` as a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    return value


def rows(value: object) -> list[Mapping[str, Any]]:
    """``value`` as a JSON array of objects."""
    if not isinstance(value, list):
        raise ValueError(f"expected an array, got {type(value).__name__}")
    return [mapping(row) for row in value]


def text(value: object) -> str:
    """``value`` as text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {_short(value)}")
    return value


def number(value: object) -> Decimal:
    """A finite number, exact as it was written: JSON text, or a float by its shortest form."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"expected a number, got {_short(value)}")
    try:
        result = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"expected a number, got {_short(value)}") from None
    if not result.is_finite():
        raise ValueError(f"expected a finite number, got {_short(value)}")
    return result


def real(value: object) -> float:
    """A finite JSON number as a float, for statistics only."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"expected a number, got {_short(value)}")
    return float(value)


def maybe_number(value: object) -> Decimal | None:
    """Like ``number``; null, absent and empty text are None."""
    return None if value is None or value == "" else number(value)


def moment(value: object) -> datetime:
    """An RFC 3339 text with an offset, as aware UTC; digits beyond the microsecond are dropped."""
    try:
        result = datetime.fromisoformat(text(value))
    except ValueError:
        raise ValueError(f"expected a time stamp, got {_short(value)}") from None
    if result.tzinfo is None:
        raise ValueError(f"expected a time stamp with an offset, got {_short(value)}")
    return result.astimezone(UTC)


def _short(value: object) -> str:
    return repr(value)[:80]
