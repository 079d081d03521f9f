"""Which contract to buy: delta near its target, then liquid, then affordable. No quote, no trade.

Greeks are computed here from the quote's mid, because vendors' greeks may be missing or stale. The time
to expiry is ``core.pricing.years_to_expiry``: the minutes that are left to trade on the last day, clock
time before it. ``pick_rules`` has the figures of each engine, ``expiry_choice`` the expiries it asks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

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


@dataclass(frozen=True, slots=True)
class TooDear(NoPick):
    """The right contract is there and costs more than one trade may: to be listed as too dear.

    ``cost`` is the cheapest contract near the target delta, ``limit`` what it may cost; dollars.
    """

    cost: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class Reach:
    """How far below and above the underlying's price strikes are worth asking for, as fractions."""

    below: Decimal
    above: Decimal


SCALP_REACH = Reach(Decimal("0.03"), Decimal("0.03"))
"""The contract near delta 0.45 of a day lies well inside."""

_LEAST_REACH = Decimal(2)  # dollars each way: a low price has few strikes in 3 %


def pick(
    rows: Sequence[ChainRow],
    right: Right,
    spot: float,
    now: datetime,
    closes: Mapping[date, datetime],
    rules: PickRules = PickRules(),
) -> Pick | NoPick:
    """The contract of ``rows`` to buy, or why there is none.

    ``closes`` are the expiry days that are asked for, each with its session's close (aware UTC): no
    other contract is looked at, and none whose close has passed. The nearest expiry that has a contract
    gives it; where none has, the reason is that of the nearest one in which contracts could be judged.
    ``spot`` is the underlying in dollars.
    """
    refusals: list[tuple[bool, NoPick]] = []
    for day in sorted(closes):
        listed = [row for row in rows if row.contract.right is right and row.contract.expiry == day]
        found, judged = _of_one_expiry(listed, right, spot, now, (day, closes[day]), rules)
        if isinstance(found, Pick):
            return found
        refusals.append((judged, found))
    if not refusals:
        return NoPick("no expiry in the chain that may be bought")
    return next((found for judged, found in refusals if judged), refusals[0][1])


def strike_window(spot: float, reach: Reach = SCALP_REACH) -> tuple[Decimal, Decimal]:
    """Lowest and highest strike worth asking the chain for: ``reach`` around ``spot``, at least $2 away."""
    middle = Decimal(str(spot))
    low = (middle - max(middle * reach.below, _LEAST_REACH)).quantize(CENT, ROUND_FLOOR)
    high = (middle + max(middle * reach.above, _LEAST_REACH)).quantize(CENT, ROUND_CEILING)
    return max(low, CENT), high


def _of_one_expiry(
    listed: Sequence[ChainRow],
    right: Right,
    spot: float,
    now: datetime,
    expiry: tuple[date, datetime],
    rules: PickRules,
) -> tuple[Pick | NoPick, bool]:
    """The pick of one expiry (its day and close), and whether there were contracts to judge."""
    what = "calls" if right is Right.CALL else "puts"
    day, close_at = expiry
    if now >= close_at:
        return NoPick(f"{what} of {day} have expired"), False
    if not listed:
        return NoPick(f"no {what} expiring {day} in the chain"), False
    quoted = [
        (row.contract, row.quote)
        for row in listed
        if row.quote is not None and _usable(row.quote, now, rules)
    ]
    if not quoted:
        return NoPick(f"no two-sided fresh quote among {len(listed)} {what}"), False
    years = years_to_expiry(now, close_at)
    priced = (_price(contract, quote, spot, years) for contract, quote in quoted)
    near = [found for found in priced if found is not None and _off(found, rules) <= rules.delta_band]
    if not near:
        return NoPick(f"no contract near delta {rules.delta:.2f} among {len(quoted)} quoted {what}"), False
    return _choose(near, rules), True


def _choose(near: Sequence[Pick], rules: PickRules) -> Pick | NoPick:
    """The nearest to the target delta that is affordable, dear enough to trade, and tight."""
    where = f"near delta {rules.delta:.2f}"
    affordable = [found for found in near if _cost(found) <= rules.max_cost]
    if not affordable:
        cheapest = min(_cost(found) for found in near)
        reason = f"cheapest {where} costs ${cheapest:,.0f}, limit ${rules.max_cost:,.0f}"
        return TooDear(reason, cheapest, rules.max_cost)
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
