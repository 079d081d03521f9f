"""What each engine wants of a contract: rules for the picker, and which strikes to ask the chain for."""

from dataclasses import replace
from decimal import Decimal

from wsb_snake.config import Settings
from wsb_snake.engines import institutional_scalper, leaps_engine, momentum_engine
from wsb_snake.engines.contract_picker import SCALP_REACH, PickRules, Reach

INSTITUTIONAL_SPREAD = Decimal("0.05")  # of mid
MOMENTUM_DELTA = 0.40
LEAPS_DELTA, LEAPS_BAND = 0.70, 0.10

MOMENTUM_REACH = Reach(below=Decimal("0.05"), above=Decimal("0.25"))
"""Calls of delta 0.55 to 0.25 with up to 18 days to go, at 40 % to 130 % volatility."""
LEAPS_REACH = Reach(below=Decimal("0.35"), above=Decimal("0.10"))
"""Calls of delta 0.80 to 0.60 with 12 to 26 months to go, at 14 % to 45 % volatility."""


def pick_rules(engine: str, settings: Settings, max_cost: Decimal) -> PickRules:
    """The rules of ``engine``; ``max_cost`` is what one contract may cost, in dollars.

    Only a trade that has a stop near its entry needs the stop to hold several spreads and a least premium.
    """
    if engine == momentum_engine.ENGINE:
        return _held(MOMENTUM_DELTA, PickRules().delta_band, max_cost)
    if engine == leaps_engine.ENGINE:
        return _held(LEAPS_DELTA, LEAPS_BAND, max_cost)
    scalps = PickRules(stop=settings.wsb_snake_scalp_stop, max_cost=max_cost)
    if engine == institutional_scalper.ENGINE:
        return replace(scalps, max_spread=INSTITUTIONAL_SPREAD)
    return scalps


def reach(engine: str) -> Reach:
    """How far around the price of the underlying the strikes of ``engine`` lie."""
    if engine == momentum_engine.ENGINE:
        return MOMENTUM_REACH
    return LEAPS_REACH if engine == leaps_engine.ENGINE else SCALP_REACH


def _held(delta: float, band: float, max_cost: Decimal) -> PickRules:
    """The rules of what is held overnight, without a stop."""
    return PickRules(delta=delta, delta_band=band, min_premium=Decimal(0), stop=None, max_cost=max_cost)
