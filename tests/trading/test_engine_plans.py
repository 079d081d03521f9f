"""How a trade of each engine ends."""

from decimal import Decimal

import pytest

from tests.trading.samples import NOON, OPEN, money, position, quote
from wsb_snake.config import Settings
from wsb_snake.core.orders import ExitReason
from wsb_snake.core.signals import ExitPlan
from wsb_snake.engines import leaps_engine, momentum_engine
from wsb_snake.trading.engine_plans import RUNNERS, engine_plan
from wsb_snake.trading.exits import Decision, decide

SETTINGS = Settings(
    wsb_snake_scalp_target=Decimal("0.18"), wsb_snake_scalp_stop=Decimal("0.12"), wsb_snake_scalp_minutes=30
)


@pytest.mark.parametrize("engine", ["spy_scalper", "orchestrator"])
def test_scalps_end_by_target_stop_and_time(engine: str) -> None:
    assert engine_plan(engine, SETTINGS) == ExitPlan(money("0.18"), money("0.12"), max_hold_s=1800)


def test_the_institutional_scalper_has_its_stop_alone() -> None:
    assert engine_plan("institutional_scalper", SETTINGS) == ExitPlan(stop=money("0.12"))


@pytest.mark.parametrize("engine", [momentum_engine.ENGINE, leaps_engine.ENGINE])
def test_runners_are_halved_and_trailed_as_after_an_adoption(engine: str) -> None:
    plan = engine_plan(engine, SETTINGS)
    assert plan == ExitPlan(half_at=money("0.50"), trail=money("0.20"))
    assert engine in RUNNERS


@pytest.mark.parametrize(("held", "half"), [(1, None), (2, 1), (3, 1), (5, 2)])
def test_what_a_runner_of_so_many_contracts_sells_at_half_again_its_price(
    held: int, half: int | None
) -> None:
    """The samples are bought at 2.00. One contract cannot be halved: it trails from there on."""
    plan = engine_plan("momentum_engine", SETTINGS)
    fresh = position(plan=plan, qty=held, bought_qty=held)
    assert decide(fresh, quote("2.99", "3.05"), NOON, OPEN).decision is None
    reached = decide(fresh, quote("3.00", "3.05"), NOON, OPEN)
    assert reached.decision == (None if half is None else Decision(ExitReason.PARTIAL, half))
    rest = held - (half or 0)
    later = position(plan=plan, qty=rest, bought_qty=held, half_sold=half is not None, watch=reached.watch)
    assert decide(later, quote("2.41", "2.50"), NOON, OPEN).decision is None
    assert decide(later, quote("2.40", "2.50"), NOON, OPEN).decision == Decision(ExitReason.TRAIL, rest)
