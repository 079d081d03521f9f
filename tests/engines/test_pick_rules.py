"""What each engine wants of a contract."""

from decimal import Decimal

import pytest

from wsb_snake.config import Settings
from wsb_snake.core.pricing import greeks
from wsb_snake.core.types import Right
from wsb_snake.engines.contract_picker import strike_window
from wsb_snake.engines.pick_rules import pick_rules, reach

SETTINGS = Settings()
COST = Decimal(700)
SCALPS = ("spy_scalper", "orchestrator", "institutional_scalper")


@pytest.mark.parametrize("engine", SCALPS)
def test_scalps_need_a_premium_and_a_stop_that_holds_three_spreads(engine: str) -> None:
    rules = pick_rules(engine, Settings(wsb_snake_scalp_stop=Decimal("0.12")), COST)
    assert (rules.delta, rules.min_premium, rules.spreads_per_stop) == (0.45, Decimal("0.30"), Decimal(3))
    assert (rules.stop, rules.max_cost) == (Decimal("0.12"), COST)


@pytest.mark.parametrize(("engine", "delta"), [("momentum_engine", 0.40), ("leaps_engine", 0.70)])
def test_what_is_held_has_no_stop_to_fit_and_no_least_premium(engine: str, delta: float) -> None:
    rules = pick_rules(engine, SETTINGS, COST)
    assert (rules.delta, rules.min_premium, rules.stop, rules.max_cost) == (delta, Decimal(0), None, COST)


@pytest.mark.parametrize("engine", [*SCALPS, "momentum_engine", "leaps_engine"])
def test_the_widest_spread(engine: str) -> None:
    limit = Decimal("0.05") if engine == "institutional_scalper" else Decimal("0.10")
    assert pick_rules(engine, SETTINGS, COST).max_spread == limit


@pytest.mark.parametrize(
    ("engine", "years", "vols"),
    [
        ("momentum_engine", 4 / 365, (0.4, 1.3)),
        ("momentum_engine", 18 / 365, (0.4, 1.2)),
        ("leaps_engine", 1.0, (0.14, 0.45)),
        ("leaps_engine", 2.2, (0.14, 0.45)),
    ],
)
def test_the_strikes_asked_for_hold_every_delta_that_would_do(
    engine: str, years: float, vols: tuple[float, ...]
) -> None:
    low, high = strike_window(100.0, reach(engine))
    rules = pick_rules(engine, SETTINGS, COST)
    for vol in vols:
        assert greeks(Right.CALL, 100, float(low), years, vol).delta > rules.delta + rules.delta_band
        assert greeks(Right.CALL, 100, float(high), years, vol).delta < rules.delta - rules.delta_band
