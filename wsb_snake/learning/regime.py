"""The market's regime: a band of implied volatility, and how volatile it really was.

The band goes by VIX, or by a 30-day at-the-money implied volatility of SPY from our own chain, which is
marked as a proxy. In the first sessions after a change of band what was learnt before it counts half.
"""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from wsb_snake.core.pricing import implied_volatility
from wsb_snake.core.types import Bar, Chain, ChainRow
from wsb_snake.learning.facts import REGIME, SETTLING


class Band(StrEnum):
    CALM = "calm"
    NORMAL = "normal"
    ELEVATED = "elevated"
    STRESSED = "stressed"


class Measure(StrEnum):
    VIX = "vix"
    PROXY = "proxy"


_BANDS = ((15.0, Band.CALM), (20.0, Band.NORMAL), (30.0, Band.ELEVATED))
"""Each band ends below its figure, in points of VIX."""

STICK = 0.5
"""Points beyond its edge that it takes to leave a band: a VIX that lies on the edge changes nothing."""

SETTLING_SESSIONS = 3
SETTLING_FACTOR = 0.5

PROXY_DAYS = 30.0
CLOSE_AFTER = timedelta(hours=21)
"""From 00:00 UTC of a day to its close in winter; an hour means nothing over 30 days."""

REALISED_DAYS = 20
SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class Regime:
    """``level`` is in points, ``realised`` too (None: not known). ``since`` is the session in which the
    band began, ``sessions`` how many it has seen, the present one included; ``changed`` is False for the
    first band ever, which changed from nothing."""

    band: Band
    level: float
    measure: Measure
    since: date
    session: date
    sessions: int = 1
    changed: bool = False
    realised: float | None = None

    @property
    def settling(self) -> bool:
        """Whether this is one of the first sessions after a change of band."""
        return self.changed and self.sessions <= SETTLING_SESSIONS

    @property
    def factor(self) -> float:
        """What is left of boosts, 0 to 1."""
        return SETTLING_FACTOR if self.settling else 1.0

    def evidence(self) -> dict[str, object]:
        """What belongs into the evidence of a signal that is saved, so that its outcome knows it."""
        return {
            REGIME: self.band.value,
            "regime_measure": self.measure.value,
            "regime_level": round(self.level, 2),
            SETTLING: self.settling,
        }

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=date.isoformat)

    @classmethod
    def from_json(cls, text: str) -> "Regime":
        """Raises ValueError, KeyError or TypeError for what ``to_json`` did not write."""
        held = json.loads(text)
        realised = held["realised"]
        return cls(
            band=Band(held["band"]),
            level=float(held["level"]),
            measure=Measure(held["measure"]),
            since=date.fromisoformat(held["since"]),
            session=date.fromisoformat(held["session"]),
            sessions=int(held["sessions"]),
            changed=bool(held["changed"]),
            realised=None if realised is None else float(realised),
        )


def band_of(level: float, before: Band | None = None) -> Band:
    """The band of ``level`` (points); the band ``before`` is left only STICK points beyond its edge."""
    if before is not None and before in {_band(level - STICK), _band(level + STICK)}:
        return before
    return _band(level)


def follow(
    before: Regime | None,
    session: date,
    vix: float | None,
    proxy: float | None = None,
    realised: float | None = None,
) -> Regime | None:
    """The regime after a look in ``session``; without any figure it stays what it was.

    ``vix`` and ``proxy`` are points; the proxy counts where VIX is not known. A change from one measure
    to the other is no change of band by itself.
    """
    level, measure = (proxy, Measure.PROXY) if vix is None else (vix, Measure.VIX)
    if before is None:
        if level is None:
            return None
        return Regime(_band(level), level, measure, session, session, realised=realised)
    here = before
    if session > before.session:
        here = replace(before, session=session, sessions=before.sessions + 1)
    if level is None:
        return here
    band = band_of(level, here.band)
    realised = here.realised if realised is None else realised
    here = replace(here, level=level, measure=measure, realised=realised)
    if band is here.band:
        return here
    return replace(here, band=band, since=session, sessions=1, changed=True)


def proxy_vix(chains: Iterable[Chain], spot: float, now: datetime) -> float | None:
    """The 30-day at-the-money implied volatility in points, from chains of expiries around 30 days.

    Variance is interpolated in time between the nearest expiries on either side; with expiries on one
    side only the nearest within two weeks serves. None where there is none.
    """
    seen: dict[float, float] = {}
    for chain in chains:
        days = _days(chain.expiry, now)
        volatility = _at_the_money(chain.rows, spot, days) if days >= 1 else None
        if volatility is not None:
            seen[days] = volatility
    below = max((days for days in seen if days <= PROXY_DAYS), default=None)
    above = min((days for days in seen if days > PROXY_DAYS), default=None)
    if below is not None and above is not None:
        part = (PROXY_DAYS - below) / (above - below)
        variance = (1 - part) * seen[below] ** 2 * below + part * seen[above] ** 2 * above
        return 100 * math.sqrt(variance / PROXY_DAYS)
    nearest = below if above is None else above
    if nearest is None or abs(nearest - PROXY_DAYS) > 14:
        return None
    return 100 * seen[nearest]


def realised_volatility(daily: Sequence[Bar]) -> float | None:
    """Close to close over the last REALISED_DAYS returns, a year's worth, in points; None with fewer."""
    closes = [bar.close for bar in daily[-REALISED_DAYS - 1 :]]
    if len(closes) <= REALISED_DAYS or min(closes) <= 0:
        return None
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    return 100 * statistics.stdev(returns) * math.sqrt(SESSIONS_A_YEAR)


def _band(level: float) -> Band:
    return next((band for end, band in _BANDS if level < end), Band.STRESSED)


def _days(expiry: date, now: datetime) -> float:
    close = datetime(expiry.year, expiry.month, expiry.day, tzinfo=now.tzinfo) + CLOSE_AFTER
    return (close - now).total_seconds() / 86_400


def _at_the_money(rows: Sequence[ChainRow], spot: float, days: float) -> float | None:
    """The mean volatility of call and put at the strike nearest to ``spot`` that has any."""
    by_strike: dict[float, list[float]] = {}
    for row in rows:
        volatility = _volatility(row, spot, days)
        if volatility is not None:
            by_strike.setdefault(float(row.contract.strike), []).append(volatility)
    if not by_strike:
        return None
    nearest = min(by_strike, key=lambda strike: (abs(strike - spot), strike))
    return statistics.fmean(by_strike[nearest]) if abs(nearest - spot) <= 0.02 * spot else None


def _volatility(row: ChainRow, spot: float, days: float) -> float | None:
    if row.quote is not None and row.quote.two_sided:
        mid, contract = float(row.quote.mid), row.contract
        return implied_volatility(contract.right, mid, spot, float(contract.strike), days / 365)
    return row.implied_volatility
