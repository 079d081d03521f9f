"""Bands of volatility, how they change, and the proxy for VIX."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from wsb_snake.core.pricing import price
from wsb_snake.core.types import Bar, Chain, ChainRow, Contract, Quote, Right
from wsb_snake.learning.regime import (
    SETTLING_SESSIONS,
    Band,
    Measure,
    Regime,
    band_of,
    follow,
    proxy_vix,
    realised_volatility,
)

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
CALM = Regime(Band.CALM, 13.0, Measure.VIX, DAY, DAY)


def after(days: int) -> date:
    return DAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("level", "band"),
    [(9, Band.CALM), (14.9, Band.CALM), (15, Band.NORMAL), (20, Band.ELEVATED), (30, Band.STRESSED)],
)
def test_bands(level: float, band: Band) -> None:
    assert band_of(level) is band


def test_a_band_is_left_half_a_point_beyond_its_edge() -> None:
    assert [band_of(level, Band.CALM) for level in (15.4, 15.5)] == [Band.CALM, Band.NORMAL]
    assert [band_of(level, Band.NORMAL) for level in (14.6, 14.4)] == [Band.NORMAL, Band.CALM]
    assert band_of(35.0, Band.CALM) is Band.STRESSED


def test_the_first_sessions_after_a_change_count_half() -> None:
    regime: Regime | None = CALM
    factors = []
    for days in range(1, 6):
        for level in (17.0, 18.0):  # two looks a session
            regime = follow(regime, after(days), level)
        assert regime is not None
        factors.append(regime.factor)
    assert factors == [0.5] * SETTLING_SESSIONS + [1.0, 1.0]
    assert regime is not None
    assert (regime.band, regime.since, regime.sessions) == (Band.NORMAL, after(1), 5)


def test_the_first_band_ever_has_changed_from_nothing() -> None:
    regime = follow(None, DAY, 17.0)
    assert regime is not None
    assert (regime.factor, regime.settling, regime.sessions) == (1.0, False, 1)


def test_without_figures_the_regime_stays_and_its_sessions_count() -> None:
    changed = follow(CALM, after(1), 40.0)
    later = follow(changed, after(2), None)
    assert changed is not None
    assert later == replace(changed, session=after(2), sessions=2)
    assert follow(None, DAY, None) is None


def test_the_proxy_counts_where_vix_is_not_known_and_says_so() -> None:
    regime = follow(CALM, after(1), None, proxy=14.0, realised=9.0)
    assert regime is not None
    assert (regime.measure, regime.level, regime.band, regime.realised) == ("proxy", 14.0, "calm", 9.0)
    assert follow(CALM, after(1), 16.0, proxy=40.0) == follow(CALM, after(1), 16.0)


def test_what_a_signal_keeps_of_it() -> None:
    changed = follow(CALM, after(1), None, proxy=22.123)
    assert changed is not None
    assert changed.evidence() == {
        "regime": "elevated",
        "regime_measure": "proxy",
        "regime_level": 22.12,
        "regime_settling": True,
    }


@pytest.mark.parametrize("regime", [CALM, follow(CALM, after(4), None, proxy=31.0, realised=12.5)])
def test_it_survives_a_restart(regime: Regime) -> None:
    assert Regime.from_json(regime.to_json()) == regime


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"band": "wild"}', "null"])
def test_what_is_no_regime_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Regime.from_json(text)


def chain(days: int, vol: float, spot: float = 500.0, *, quoted: bool = True) -> Chain:
    expiry = after(days)
    years = (
        ((datetime(expiry.year, expiry.month, expiry.day, 21, tzinfo=UTC) - NOW).total_seconds())
        / 86400
        / 365
    )
    rows = []
    for strike in (480, 499, 515):
        for right in Right:
            value = Decimal(str(round(price(right, spot, strike, years, vol + abs(strike - 499) / 100), 4)))
            quote = Quote("X", value, value, 1, 1, NOW) if quoted else None
            contract = Contract("X", "SPY", expiry, right, Decimal(strike))
            rows.append(ChainRow(contract, quote, None if quoted else vol + abs(strike - 499) / 100))
    return Chain("SPY", expiry, NOW, tuple(rows))


def test_the_proxy_is_the_volatility_at_the_money() -> None:
    assert proxy_vix([chain(30, 0.18)], 500.0, NOW) == pytest.approx(18, abs=0.1)
    assert proxy_vix([chain(30, 0.18, quoted=False)], 500.0, NOW) == pytest.approx(18, abs=0.1)


def test_variance_is_interpolated_to_thirty_days() -> None:
    days = [20 + 0.25, 40 + 0.25]  # 15:00 to 21:00 UTC is a quarter of a day
    part = (30 - days[0]) / (days[1] - days[0])
    variance = (1 - part) * 0.15**2 * days[0] + part * 0.25**2 * days[1]
    expected = 100 * math.sqrt(variance / 30)
    assert proxy_vix([chain(40, 0.25), chain(20, 0.15)], 500.0, NOW) == pytest.approx(expected, abs=0.1)


def test_no_proxy_from_far_expiries_or_far_strikes() -> None:
    assert proxy_vix([], 500.0, NOW) is None
    assert proxy_vix([chain(3, 0.2)], 500.0, NOW) is None
    assert proxy_vix([chain(60, 0.2)], 500.0, NOW) is None
    assert proxy_vix([chain(30, 0.2)], 540.0, NOW) is None


def test_realised_volatility_by_hand() -> None:
    closes = [100 * (1.01 if n % 2 else 1.0) for n in range(21)]
    daily = [Bar("SPY", NOW, c, c, c, c, 1.0, c) for c in closes]
    step = math.log(1.01)
    expected = 100 * step * math.sqrt(20 / 19) * math.sqrt(252)
    assert realised_volatility(daily) == pytest.approx(expected)
    assert realised_volatility(daily[1:]) is None
