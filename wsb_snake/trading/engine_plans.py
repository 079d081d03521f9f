"""How a trade of each engine ends, from the settings. The 0DTE rungs of the day come on top for all.

The same exits hold for a position of ours whose own plan is lost.
"""

from decimal import Decimal

from wsb_snake.config import Settings
from wsb_snake.core.signals import ExitPlan

RUNNERS = frozenset({"momentum_engine", "leaps_engine"})
RUNNER_PLAN = ExitPlan(half_at=Decimal("0.50"), trail=Decimal("0.20"))
"""Half off at +50 %, the rest trails."""

OWN_RULE = frozenset({"institutional_scalper"})
"""Leaves by its engine's band and VWAP rule."""


def scalp_plan(settings: Settings) -> ExitPlan:
    """Target, stop and time of a scalp, as configured."""
    return ExitPlan(
        target=settings.wsb_snake_scalp_target,
        stop=settings.wsb_snake_scalp_stop,
        max_hold_s=settings.wsb_snake_scalp_minutes * 60,
    )


def engine_plan(engine: str, settings: Settings) -> ExitPlan:
    """The exits of a position that ``engine`` opened."""
    if engine in RUNNERS:
        return RUNNER_PLAN
    if engine in OWN_RULE:
        return ExitPlan(stop=settings.wsb_snake_scalp_stop)
    return scalp_plan(settings)
