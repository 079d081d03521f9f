from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.core.signals import NO_EXITS, ExitPlan

fractions = st.none() | st.decimals("0.0001", "5", places=4)


@given(fractions, fractions, st.none() | st.integers(0, 100_000), fractions, fractions)
def test_an_exit_plan_survives_its_json(
    target: Decimal | None,
    stop: Decimal | None,
    hold: int | None,
    half: Decimal | None,
    trail: Decimal | None,
) -> None:
    plan = ExitPlan(target, stop, hold, half, trail)
    assert ExitPlan.from_json(plan.to_json()) == plan


def test_no_exits_stays_none() -> None:
    assert ExitPlan.from_json(NO_EXITS.to_json()) == ExitPlan(None, None, None, None, None)
