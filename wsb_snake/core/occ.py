"""Option symbols of the Options Clearing Corporation, without padding, as Alpaca writes them.

``SPY261124C00672500`` is root ``SPY``, expiry 2026-11-24, call, strike 672.500. A root that ends in
a digit (``SPY1``) is an adjusted contract, whose deliverable need not be 100 shares.
"""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

from wsb_snake.core.types import Contract, Right

_ROOT = re.compile(r"[A-Z][A-Z0-9]{0,5}")
_SYMBOL = re.compile(rf"({_ROOT.pattern})([0-9]{{2}})([0-9]{{2}})([0-9]{{2}})([CP])([0-9]{{8}})")
_MILLS = 1000  # the symbol counts strikes in tenths of a cent
_MAX_MILLS = 10**8


class SymbolError(ValueError):
    """Not an option symbol, or not what one can be made of."""


@lru_cache(maxsize=8192)
def parse(symbol: str) -> Contract:
    """The contract that ``symbol`` names. Raises SymbolError."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise SymbolError(
            f"{symbol[:40]!r} is not an option symbol (root, yymmdd, C or P, strike in 8 digits)"
        )
    root, year, month, day, right, strike = match.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        raise SymbolError(f"{symbol!r} has no such expiry day: {year}{month}{day}") from None
    if int(strike) == 0:
        raise SymbolError(f"{symbol!r} has a strike of zero")
    return Contract(symbol, root, expiry, Right(right), Decimal(int(strike)) / _MILLS)


def build(underlying: str, expiry: date, right: Right, strike: Decimal) -> str:
    """The symbol of a contract; ``strike`` in dollars. Raises SymbolError."""
    if _ROOT.fullmatch(underlying) is None:
        raise SymbolError(f"{underlying[:40]!r} is not an option root (1 to 6 capital letters or digits)")
    if not 2000 <= expiry.year <= 2099:
        raise SymbolError(f"an option symbol cannot hold the year {expiry.year}")
    mills = strike * _MILLS
    if not mills.is_finite() or mills != mills.to_integral_value() or not 0 < mills < _MAX_MILLS:
        raise SymbolError(f"an option symbol cannot hold the strike {strike}")
    return f"{underlying}{expiry:%y%m%d}{right}{int(mills):08d}"


def is_option(symbol: str) -> bool:
    """Whether ``symbol`` names an option contract (and not, say, shares)."""
    try:
        parse(symbol)
    except SymbolError:
        return False
    return True
