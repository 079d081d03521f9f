"""Zero Greed: tells that an exit rule is met. It alerts only; the executor does the closing.

The text promises nothing that has not happened: the sale is told by the fill and by the end of the
position.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from wsb_snake.core.orders import ExitReason
from wsb_snake.notifications.wording import LOUD, Data, Words, lot, money

_CONDITIONS: Mapping[str, str] = MappingProxyType(
    {
        ExitReason.TARGET: "target reached",
        ExitReason.STOP: "stop reached",
        ExitReason.TIME: "time limit reached",
        ExitReason.TRAIL: "trailing stop reached",
        ExitReason.PARTIAL: "target for the first half reached",
        ExitReason.ENGINE: "the engine's exit rule is met",
        ExitReason.CUTOFF: "the 0DTE cut-off is reached",
        ExitReason.EOD: "the EOD time is reached",
        ExitReason.MANUAL: "you asked",
        ExitReason.FLATTEN: "you asked to flatten",
    }
)


def condition_met(data: Data) -> Words:
    """Level and text for an EXIT_CONDITION event."""
    reason = str(data["reason"])
    return LOUD, (
        f"Zero Greed: {_CONDITIONS.get(reason, reason)} on {lot(data)}: bid {money(data.get('bid'))}, "
        f"mid {money(data.get('mid'))}, entry {money(data.get('entry_price'))}{_change(data)}. "
        "Condition met, executor is closing."
    )


def _change(data: Data) -> str:
    """What the bid would give against the entry, as ``, +20.0 % at the bid``."""
    if data.get("bid") is None or not data.get("entry_price"):
        return ""
    change = Decimal(str(data["bid"])) / Decimal(str(data["entry_price"])) - 1
    return f", {change:+.1%} at the bid"
