"""Limit prices on valid ticks, in dollars per share (Alpaca's option increments).

Penny programme: $0.01 under $3, $0.05 from $3; other classes $0.05 and $0.10; SPY, QQQ and IWM
$0.01 throughout. A marketable limit fills at the market, so a coarser step costs nothing when the
class is not known for certain.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from wsb_snake.core.occ import parse
from wsb_snake.core.types import Quote

CENT = Decimal("0.01")
NICKEL = Decimal("0.05")
DIME = Decimal("0.10")
STEP_UP = Decimal(3)
ALWAYS_PENNY = frozenset({"SPY", "QQQ", "IWM"})

ENTRY_COLLAR = Decimal("0.02")
"""An entry pays at most this fraction more than the price it was decided on."""

EXIT_CUSHIONS = (Decimal("0.01"), Decimal("0.05"))
"""How far below the bid the first and the second closing limit stand, as fractions of the bid."""


def tick(symbol: str, price: Decimal, quote: Quote | None) -> Decimal:
    """The step that is certainly valid for ``price`` in this contract."""
    if parse(symbol).underlying in ALWAYS_PENNY:
        return CENT
    if _shows_pennies(quote):
        return CENT if price < STEP_UP else NICKEL
    return NICKEL if price < STEP_UP else DIME


def on_tick_down(symbol: str, price: Decimal, quote: Quote | None) -> Decimal:
    """The highest valid price at or below ``price``, at least one tick."""
    step = tick(symbol, price, quote)
    return max((price / step).to_integral_value(ROUND_FLOOR) * step, step)


def on_tick_up(symbol: str, price: Decimal, quote: Quote | None) -> Decimal:
    """The lowest valid price at or above ``price``."""
    step = tick(symbol, price, quote)
    return (price / step).to_integral_value(ROUND_CEILING) * step


def entry_limit(quote: Quote, decision_price: Decimal) -> Decimal | None:
    """The ask of ``quote``, or None when it stands too far above ``decision_price``."""
    if quote.ask > decision_price * (1 + ENTRY_COLLAR):
        return None
    return quote.ask


def exit_limit(symbol: str, quote: Quote, attempt: int) -> Decimal:
    """A marketable selling limit for the ``attempt``-th try (1, 2, …) under the bid of ``quote``.

    Without a bid: the minimum tick, which sells as soon as anybody bids.
    """
    if quote.bid <= 0:
        return tick(symbol, CENT, quote)
    cushion = EXIT_CUSHIONS[min(attempt, len(EXIT_CUSHIONS)) - 1]
    return on_tick_down(symbol, quote.bid * (1 - cushion), quote)


def _shows_pennies(quote: Quote | None) -> bool:
    if quote is None:
        return False
    return any(0 < price < STEP_UP and price % NICKEL != 0 for price in (quote.bid, quote.ask))
