from datetime import UTC, datetime, timedelta
from math import exp, inf, nan

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wsb_snake.core.pricing import MIN_YEARS, gamma, greeks, implied_volatility, price, years_to_expiry
from wsb_snake.core.types import Right

rights = st.sampled_from(Right)
spots = st.floats(1, 1000)
moneyness = st.floats(0.7, 1.4)
years_of_life = st.floats(MIN_YEARS, 2.5)
vols = st.floats(0.02, 5)


@pytest.mark.parametrize(
    ("right", "spot", "strike", "years", "vol", "rate", "worth"),
    [
        # J. Hull, Options, Futures, and Other Derivatives, the example after the formula
        (Right.CALL, 42, 40, 0.5, 0.20, 0.10, 4.7594),
        (Right.PUT, 42, 40, 0.5, 0.20, 0.10, 0.8086),
        # E. Haug, The Complete Guide to Option Pricing Formulas, section 1.1.1
        (Right.CALL, 60, 65, 0.25, 0.30, 0.08, 2.1334),
    ],
)
def test_values_of_the_textbooks(
    right: Right, spot: float, strike: float, years: float, vol: float, rate: float, worth: float
) -> None:
    assert price(right, spot, strike, years, vol, rate) == pytest.approx(worth, abs=5e-5)


@given(spots, moneyness, years_of_life, vols, st.floats(-0.02, 0.1))
def test_put_call_parity(spot: float, ratio: float, years: float, vol: float, rate: float) -> None:
    strike = spot * ratio
    call = price(Right.CALL, spot, strike, years, vol, rate)
    put = price(Right.PUT, spot, strike, years, vol, rate)
    assert call - put == pytest.approx(spot - strike * exp(-rate * years), abs=1e-9 * spot)


@given(rights, spots, moneyness, years_of_life, vols)
def test_a_value_lies_within_mertons_bounds(
    right: Right, spot: float, ratio: float, years: float, vol: float
) -> None:
    strike = spot * ratio
    worth = price(right, spot, strike, years, vol)
    intrinsic = max(0.0, spot - strike if right is Right.CALL else strike - spot)
    assert intrinsic - 1e-9 * spot <= worth <= (spot if right is Right.CALL else strike)


@given(rights, spots, moneyness, years_of_life, vols)
def test_implied_volatility_undoes_the_price(
    right: Right, spot: float, ratio: float, years: float, vol: float
) -> None:
    strike = spot * ratio
    worth = price(right, spot, strike, years, vol)
    assume(greeks(right, spot, strike, years, vol).vega > 1e-6 * spot)
    found = implied_volatility(right, worth, spot, strike, years)
    assert found == pytest.approx(vol, rel=1e-6)


@given(rights, spots, moneyness, years_of_life, st.floats(0.0001, 1))
def test_implied_volatility_reprices_whatever_it_accepts(
    right: Right, spot: float, ratio: float, years: float, share: float
) -> None:
    strike = spot * ratio
    worth = share * min(spot, strike)
    found = implied_volatility(right, worth, spot, strike, years)
    if found is not None:
        assert price(right, spot, strike, years, found) == pytest.approx(worth, abs=1e-7 * spot)


@pytest.mark.parametrize(
    ("right", "worth", "spot", "strike", "years"),
    [
        (Right.CALL, 4.99, 105, 100, 0.01),  # below intrinsic
        (Right.CALL, 5.00, 105, 100, 0.01),  # at intrinsic
        (Right.PUT, 100, 105, 100, 0.01),  # a put cannot be worth its strike
        (Right.CALL, 105, 105, 100, 0.01),  # nor a call its underlying
        (Right.CALL, 0.05, 100, 150, MIN_YEARS),  # beyond the largest volatility looked for
        (Right.CALL, 0, 105, 100, 0.01),
        (Right.CALL, -1, 105, 100, 0.01),
        (Right.CALL, nan, 105, 100, 0.01),
        (Right.CALL, inf, 105, 100, 0.01),
        (Right.CALL, 5, 0, 100, 0.01),
        (Right.CALL, 5, 105, 0, 0.01),
        (Right.CALL, 5, 105, 100, 0),
    ],
)
def test_no_volatility_where_none_fits(
    right: Right, worth: float, spot: float, strike: float, years: float
) -> None:
    assert implied_volatility(right, worth, spot, strike, years) is None


@given(rights, spots, st.floats(0.9, 1.1), st.floats(0.005, 2), st.floats(0.1, 2))
def test_greeks_are_the_slopes_of_the_price(
    right: Right, spot: float, ratio: float, years: float, vol: float
) -> None:
    strike, step = spot * ratio, 1e-4
    found = greeks(right, spot, strike, years, vol, 0.04)

    def value(spot: float = spot, years: float = years, vol: float = vol) -> float:
        return price(right, spot, strike, years, vol, 0.04)

    move = spot * step
    up, down = value(spot=spot + move), value(spot=spot - move)
    assert found.delta == pytest.approx((up - down) / (2 * move), abs=1e-4)
    curvature = (up - 2 * value() + down) / move**2
    assert found.gamma == pytest.approx(curvature, rel=1e-2, abs=1e-3 / spot)
    later, sooner = value(years=years * (1 - step)), value(years=years * (1 + step))
    theta = (later - sooner) / (2 * years * step) / 365
    assert found.theta == pytest.approx(theta, rel=1e-3, abs=1e-6 * spot)
    vega = (value(vol=vol + step) - value(vol=vol - step)) / (2 * step) / 100
    assert found.vega == pytest.approx(vega, rel=1e-3, abs=1e-6 * spot)


def test_at_expiry_only_the_intrinsic_value_is_left() -> None:
    assert price(Right.CALL, 105, 100, 0, 0.2) == 5
    assert price(Right.PUT, 105, 100, 0, 0.2) == 0
    assert price(Right.PUT, 95, 100, 1, 0) == 5


@pytest.mark.parametrize(("spot", "strike"), [(0, 100), (100, 0), (-1, 100), (nan, 100)])
def test_a_price_needs_a_positive_spot_and_strike(spot: float, strike: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        price(Right.CALL, spot, strike, 0.1, 0.2)
    with pytest.raises(ValueError, match="must be positive"):
        greeks(Right.CALL, spot, strike, 0.1, 0.2)
    with pytest.raises(ValueError, match="must be positive"):
        gamma(spot, strike, 0.1, 0.2)


def test_years_to_expiry_counts_clock_time_and_stops_at_a_minute() -> None:
    close = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
    assert years_to_expiry(close - timedelta(days=365), close) == 1
    assert years_to_expiry(close - timedelta(minutes=5), close) == pytest.approx(5 * MIN_YEARS)
    assert years_to_expiry(close - timedelta(seconds=1), close) == MIN_YEARS
    assert years_to_expiry(close + timedelta(hours=1), close) == MIN_YEARS
