"""European option values in closed form, for estimates and for the embedded exchange's model.

F. Black and M. Scholes, "The Pricing of Options and Corporate Liabilities", Journal of Political
Economy 81 (1973); R. C. Merton, "Theory of Rational Option Pricing", Bell Journal of Economics 4
(1973) for the bounds that no price may leave. No dividends. Prices are dollars per share, rates and
volatilities are per year as fractions (0.25 is 25 %), times are years of 365 days.
"""

from dataclasses import dataclass
from datetime import datetime
from math import erfc, exp, inf, log, pi, sqrt

from wsb_snake.core.types import Right

YEAR_S = 365 * 86_400.0
DAYS_PER_YEAR = 365
MIN_YEARS = 60 / YEAR_S
VOL_RANGE = (1e-4, 50.0)
"""Volatilities that ``implied_volatility`` looks among."""

_VOL_TOLERANCE = 1e-10
_MAX_STEPS = 100


@dataclass(frozen=True, slots=True)
class Greeks:
    """Sensitivities of one share's worth of option.

    ``delta`` and ``gamma`` are per dollar of the underlying, ``theta`` is dollars per calendar day,
    ``vega`` is dollars per volatility point (0.01).
    """

    delta: float
    gamma: float
    theta: float
    vega: float


def years_to_expiry(now: datetime, close_at: datetime) -> float:
    """Clock time from ``now`` to the session close of the expiry day (both aware), at least a minute."""
    return max((close_at - now).total_seconds() / YEAR_S, MIN_YEARS)


def price(right: Right, spot: float, strike: float, years: float, vol: float, rate: float = 0.0) -> float:
    """The Black-Scholes value; with ``years`` or ``vol`` at zero the discounted intrinsic value.

    Raises ValueError unless ``spot`` and ``strike`` are positive.
    """
    if not (spot > 0 and strike > 0):
        raise ValueError(f"spot {spot} and strike {strike} must be positive")
    discounted = strike * exp(-rate * max(years, 0.0))
    sign = 1.0 if right is Right.CALL else -1.0
    if not (years > 0 and vol > 0):
        return max(0.0, sign * (spot - discounted))
    deviation = vol * sqrt(years)
    d1 = log(spot / discounted) / deviation + deviation / 2
    value = sign * (spot * _normal(sign * d1) - discounted * _normal(sign * (d1 - deviation)))
    return max(0.0, value)


def greeks(right: Right, spot: float, strike: float, years: float, vol: float, rate: float = 0.0) -> Greeks:
    """The first sensitivities. Raises ValueError unless all of the first four numbers are positive."""
    if not (spot > 0 and strike > 0 and years > 0 and vol > 0):
        raise ValueError(f"spot {spot}, strike {strike}, years {years} and vol {vol} must be positive")
    discounted = strike * exp(-rate * years)
    deviation = vol * sqrt(years)
    d1 = log(spot / discounted) / deviation + deviation / 2
    density = _density(d1)
    sign = 1.0 if right is Right.CALL else -1.0
    carry = sign * rate * discounted * _normal(sign * (d1 - deviation))
    return Greeks(
        delta=sign * _normal(sign * d1),
        gamma=gamma(spot, strike, years, vol, rate),
        theta=-(spot * density * vol / (2 * sqrt(years)) + carry) / DAYS_PER_YEAR,
        vega=spot * density * sqrt(years) / 100,
    )


def gamma(spot: float, strike: float, years: float, vol: float, rate: float = 0.0) -> float:
    """Change of delta per dollar of the underlying, the same for call and put.

    Raises ValueError unless all of the first four numbers are positive.
    """
    if not (spot > 0 and strike > 0 and years > 0 and vol > 0):
        raise ValueError(f"spot {spot}, strike {strike}, years {years} and vol {vol} must be positive")
    deviation = vol * sqrt(years)
    d1 = (log(spot / strike) + rate * years) / deviation + deviation / 2
    return _density(d1) / (spot * deviation)


def implied_volatility(
    right: Right, price: float, spot: float, strike: float, years: float, rate: float = 0.0
) -> float | None:
    """The volatility at which the Black-Scholes value is ``price``; None where none in VOL_RANGE is.

    That is so at or below the intrinsic value, at or above Merton's upper bound, and for input that
    is not a positive number.
    """
    if not (0 < price < inf and 0 < spot < inf and 0 < strike < inf and 0 < years < inf):
        return None
    # By put-call parity the out-of-the-money side has the same volatility, and none of the
    # intrinsic value that would swamp the digits.
    discounted = strike * exp(-rate * years)
    forward_worth = spot - discounted if right is Right.CALL else discounted - spot
    target = price - max(0.0, forward_worth)
    side = Right.CALL if spot <= discounted else Right.PUT
    return _solve(side, target, spot, discounted, years)


def _solve(right: Right, target: float, spot: float, discounted: float, years: float) -> float | None:
    """Newton's method kept inside a shrinking bracket, which bisects whenever a step would leave it.

    The start is the inflexion of the value in volatility, from where Newton cannot overshoot
    (S. Manaster and G. Koehler, Journal of Finance 37, 1982).
    """
    low, high = VOL_RANGE
    if (
        not _value(right, spot, discounted, years, low)
        < target
        < _value(right, spot, discounted, years, high)
    ):
        return None
    root_years = sqrt(years)
    vol = min(max(sqrt(2 * abs(log(spot / discounted)) / years), low), high)
    for _ in range(_MAX_STEPS):
        error = _value(right, spot, discounted, years, vol) - target
        low, high = (low, vol) if error > 0 else (vol, high)
        deviation = vol * root_years
        slope = spot * _density(log(spot / discounted) / deviation + deviation / 2) * root_years
        step = vol - error / slope if slope > 0 else inf
        if not low < step < high:
            step = (low + high) / 2
        if abs(step - vol) < _VOL_TOLERANCE:
            return step
        vol = step
    return vol


def _value(right: Right, spot: float, discounted: float, years: float, vol: float) -> float:
    return price(right, spot, discounted, years, vol)


def _normal(x: float) -> float:
    """The standard normal distribution function, exact far into the lower tail."""
    return 0.5 * erfc(-x / sqrt(2))


def _density(x: float) -> float:
    return exp(-x * x / 2) / sqrt(2 * pi)
