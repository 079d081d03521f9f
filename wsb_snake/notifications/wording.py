"""What an alert is, and how values are put into words for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from wsb_snake.core.clock import eastern
from wsb_snake.core.occ import SymbolError, parse

Level = Literal["loud", "silent"]
LOUD: Level = "loud"
SILENT: Level = "silent"

Data = Mapping[str, Any]
Words = tuple[Level, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to the owner. A silent one makes no sound on the phone."""

    kind: str
    level: Level
    text: str


def dollars(amount: Decimal | None, *, signed: bool = False) -> str:
    """``$1,234.50``, ``-$3.00``, with ``signed`` also ``+$3.00``; ``-`` for None."""
    if amount is None:
        return "-"
    sign = "-" if amount < 0 else "+" if signed and amount > 0 else ""
    return f"{sign}${abs(amount):,.2f}"


def money(text: object) -> str:
    """Money of the journal (text, or None) as dollars; ``unknown`` for None."""
    return "unknown" if text is None else dollars(Decimal(str(text)))


def contract(symbol: str) -> str:
    """``SPY261123C00600000 (SPY 600 call, 23 Nov)``; what is no option symbol is left as it is."""
    try:
        parsed = parse(symbol)
    except SymbolError:
        return symbol
    strike = format(parsed.strike.normalize(), "f")
    return f"{symbol} ({parsed.underlying} {strike} {parsed.right.name.lower()}, {parsed.expiry:%-d %b})"


def lot(data: Mapping[str, Any]) -> str:
    """``2 × SPY261123C00600000 (SPY 600 call, 23 Nov)`` of ``qty`` and ``symbol``."""
    return f"{data['qty']} × {contract(data['symbol'])}"


def clock_time(moment: datetime) -> str:
    """``15:55:00 ET``; ``moment`` is aware."""
    return eastern(moment).strftime("%H:%M:%S ET")


def et(value: object) -> str:
    """A time of the journal for a person.

    ISO text with an offset is converted; without one it is US/Eastern already. Other text (a bare
    ``15:55``, a note) stays, with ``ET`` behind it.
    """
    if value is None:
        return "unknown"
    text = str(value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text if text.endswith("ET") else f"{text} ET"
    local = moment if moment.tzinfo is None else eastern(moment)
    return local.strftime("%H:%M:%S ET")


def listed(value: object) -> str:
    """Settings of the journal in one line: a mapping, a list or plain text."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {text}" for name, text in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(str(item) for item in value)
    return str(value)
