"""How a trade of each engine ends, from the settings. The 0DTE rungs of the day come on top for all.

The scalps' and the runners' plans are those that an adopted position of ours gets; they live there.
"""

from wsb_snake.config import Settings
from wsb_snake.core.signals import ExitPlan
from wsb_snake.engines import institutional_scalper
from wsb_snake.trading.adoption import RUNNER_PLAN, RUNNERS, scalp_plan


def exit_plan(engine: str, settings: Settings) -> ExitPlan:
    """The exits that an intent of ``engine`` carries.

    Scalps: target, stop and time. The institutional scalper leaves by its band and VWAP rule, so that of
    these it has the stop alone. Momentum and LEAPS: half at +50 %, then a trailing stop of 20 %.
    """
    if engine in RUNNERS:
        return RUNNER_PLAN
    if engine == institutional_scalper.ENGINE:
        return ExitPlan(stop=settings.wsb_snake_scalp_stop)
    return scalp_plan(settings)
