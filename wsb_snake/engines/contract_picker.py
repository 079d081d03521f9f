"""Which contract to buy: delta near its target, then liquid, then affordable. No quote, no trade.

Greeks are computed here from the quote's mid, because vendors' greeks may be missing or stale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.pricing import greeks, implied_volatility, years_to_expiry
from wsb_snake.core.types import CONTRACT_SHARES, ChainRow, Contract, Quote, Right

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class PickRules:
    """What a contract must be. The defaults are the scalps'; fractions unless a unit is named."""

    delta: float = 0.45  # target, in size: a put of -0.45 is on target
    delta_band: float = 0.15  # a contract further off than this is another trade
    min_premium: Decimal = Decimal("0.30")  # dollars per share, mid
    stop: Decimal | None = Decimal("0.15")  # stop distance of the trade; None when it has no stop
    spreads_per_stop: Decimal = Decimal(3)  # the stop distance must hold this many spreads
    max_spread: Decimal = Decimal("0.10")  # of mid
    max_cost: Decimal = Decimal(1500)  # dollars per contract at the ask
    max_quote_age_s: float = 15


@dataclass(frozen=True, slots=True)
class Pick:
    """``delta`` is signed (puts negative); ``implied_volatility`` is annual, 0.20 = 20 %."""

    contract: Contract
    quote: Quote
    delta: float
    implied_volatility: float


@dataclass(frozen=True, slots=True)
class NoPick:
    reason: str


def pick(
    rows: Sequence[ChainRow],
    right: Right,
    spot: float,
    now: datetime,
    close_at: datetime,
    rules: PickRules = PickRules(),
) -> Pick | NoPick:
    """The contract of ``rows`` to buy, or why there is none.

    ``close_at`` is the session close of the expiry day (aware UTC): only contracts that expire that
    day are looked at, and none once it has passed. ``spot`` is the underlying in dollars.
    """
    what = "calls" if right is Right.CALL else "puts"
    day = eastern_date(close_at)
    if now >= close_at:
        return NoPick(f"{what} of {day} have expired")
    listed = [row for row in rows if row.contract.right is right and row.contract.expiry == day]
    if not listed:
        return NoPick(f"no {what} expiring {day} in the chain")
    quoted = [
        (row.contract, row.quote)
        for row in listed
        if row.quote is not None and _usable(row.quote, now, rules)
    ]
    if not quoted:
        return NoPick(f"no two-sided fresh quote among {len(listed)} {what}")
    years = years_to_expiry(now, close_at)
    priced = (_price(contract, quote, spot, years) for contract, quote in quoted)
    near = [found for found in priced if found is not None and _off(found, rules) <= rules.delta_band]
    if not near:
        return NoPick(f"no contract near delta {rules.delta:.2f} among {len(quoted)} quoted {what}")
    return _choose(near, rules)


def strike_window(spot: float) -> tuple[Decimal, Decimal]:
    """Lowest and highest strike worth asking the chain for: 3 % around ``spot``, at least $2 each way.

    The contract near delta 0.45 of a day lies well inside; a low price has few strikes in 3 %.
    """
    middle = Decimal(str(spot))
    reach = max(middle * Decimal("0.03"), Decimal(2))
    low = (middle - reach).quantize(CENT, ROUND_FLOOR)
    return max(low, CENT), (middle + reach).quantize(CENT, ROUND_CEILING)


def _choose(near: Sequence[Pick], rules: PickRules) -> Pick | NoPick:
    """The nearest to the target delta that is affordable, dear enough to trade, and tight."""
    where = f"near delta {rules.delta:.2f}"
    affordable = [found for found in near if _cost(found) <= rules.max_cost]
    if not affordable:
        cheapest = min(_cost(found) for found in near)
        return NoPick(f"cheapest {where} costs ${cheapest:,.0f}, limit ${rules.max_cost:,.0f}")
    substantial = [found for found in affordable if found.quote.mid >= rules.min_premium]
    if not substantial:
        dearest = max(found.quote.mid for found in affordable)
        return NoPick(f"dearest {where} is worth ${dearest:.2f}, at least ${rules.min_premium:.2f} needed")
    tight = [found for found in substantial if _tight(found.quote, rules)]
    if not tight:
        best = min(found.quote.spread / found.quote.mid for found in substantial)
        return NoPick(f"tightest spread {where} is {best:.1%} of mid, limit {_spread_limit(rules):.1%}")
    return min(tight, key=lambda found: (_off(found, rules), found.quote.spread, found.contract.symbol))


def _usable(quote: Quote, now: datetime, rules: PickRules) -> bool:
    return quote.two_sided and abs(quote.age_s(now)) <= rules.max_quote_age_s


def _price(contract: Contract, quote: Quote, spot: float, years: float) -> Pick | None:
    strike = float(contract.strike)
    volatility = implied_volatility(contract.right, float(quote.mid), spot, strike, years)
    if volatility is None:  # below intrinsic value: the quote and the spot do not belong together
        return None
    return Pick(contract, quote, greeks(contract.right, spot, strike, years, volatility).delta, volatility)


def _off(found: Pick, rules: PickRules) -> float:
    return abs(abs(found.delta) - rules.delta)


def _cost(found: Pick) -> Decimal:
    return found.quote.ask * CONTRACT_SHARES


def _tight(quote: Quote, rules: PickRules) -> bool:
    """Multiplied out, so that a spread exactly at the limit passes."""
    fits_stop = rules.stop is None or quote.spread * rules.spreads_per_stop <= rules.stop * quote.mid
    return fits_stop and quote.spread <= rules.max_spread * quote.mid


def _spread_limit(rules: PickRules) -> Decimal:
    return (
        rules.max_spread if rules.stop is None else min(rules.max_spread, rules.stop / rules.spreads_per_stop)
    )
