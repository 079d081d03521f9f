"""How values are written as text: moments, money, JSON. Every table and the journal use these.

Text of moments has a fixed width, so that the order of the texts is the order of the moments.
Each converter hands None through, for columns that may be empty.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import overload


@overload
def instant_text(moment: datetime) -> str: ...
@overload
def instant_text(moment: None) -> None: ...
@overload
def instant_text(moment: datetime | None) -> str | None: ...
def instant_text(moment: datetime | None) -> str | None:
    """``YYYY-MM-DDTHH:MM:SS.ffffff+00:00``. Raises ValueError for a moment without a time zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a time zone: {moment}")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@overload
def instant(text: str) -> datetime: ...
@overload
def instant(text: None) -> None: ...
@overload
def instant(text: str | None) -> datetime | None: ...
def instant(text: str | None) -> datetime | None:
    """The moment (aware UTC) that ``instant_text`` wrote."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


@overload
def money_text(amount: Decimal) -> str: ...
@overload
def money_text(amount: None) -> None: ...
@overload
def money_text(amount: Decimal | None) -> str | None: ...
def money_text(amount: Decimal | None) -> str | None:
    """Every digit and no exponent. Raises ValueError for NaN and the infinities."""
    if amount is None:
        return None
    if not amount.is_finite():
        raise ValueError(f"{amount} is no amount of money")
    return format(amount, "f")


@overload
def money(text: str) -> Decimal: ...
@overload
def money(text: None) -> None: ...
@overload
def money(text: str | None) -> Decimal | None: ...
def money(text: str | None) -> Decimal | None:
    """The amount that ``money_text`` wrote."""
    return None if text is None else Decimal(text)


def json_text(value: object) -> str:
    """``value`` as JSON; Decimals and datetimes become text as above, dates ISO text.

    Raises TypeError for what has no such form and ValueError for NaN and the infinities.
    """
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return money_text(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
