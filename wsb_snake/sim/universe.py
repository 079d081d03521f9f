"""The names that the embedded exchange lists: price level, volatility, liquidity, expiries.

Prices and volatilities are round figures of late 2026, not quotations.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from wsb_snake.sim.sessions import is_session, session_after, session_before, third_friday

INDEX_ETFS = frozenset({"SPY", "QQQ", "IWM"})
"""Their options tick in single cents at every price."""

DAILY_SESSIONS = 10
WEEKLY_FRIDAYS = 8
MONTHLY_EXPIRIES = 6
LEAPS_JANUARIES = 3
_FRIDAY = 4


class Expiries(Enum):
    """The weekdays (Monday is 0) on which a name's short-dated options expire.

    Everything lists Fridays. The mega caps, and of the ETFs SLV, GLD and USO, list Mondays and
    Wednesdays too; TSLA, NVDA and AAPL list every session day, which is more than the real ones do:
    rehearsals need a single name that expires today on any day of the week.
    """

    EVERY_DAY = frozenset({0, 1, 2, 3, 4})
    MON_WED_FRI = frozenset({0, 2, 4})
    FRIDAYS = frozenset({4})


@dataclass(frozen=True, slots=True)
class Name:
    """One stock or ETF with options.

    ``price`` is the dollars about which it wanders; ``beta`` multiplies the market factor and
    ``own_vol`` is the rest, annualised; ``spread`` is the width of an at-the-money option quote as a
    fraction of the premium; ``shares`` is the usual volume of a day; ``quiet`` is the chance that a
    lunch-time minute goes by without a trade; ``steps`` are the strike distances in dollars of
    expiries within two weeks, of later ones and of LEAPS, each a multiple of the one before, so that
    a listed strike stays listed; ``penny`` tells the tick class.
    """

    symbol: str
    price: float
    beta: float
    own_vol: float
    spread: float
    shares: float
    expiries: Expiries = Expiries.FRIDAYS
    steps: tuple[float, float, float] = (1.0, 1.0, 5.0)
    leaps: bool = False
    penny: bool = True
    quiet: float = 0.0
    skew: float = -0.02


_INDEX_STEPS = (1.0, 5.0, 10.0)
_DEAR_STEPS = (5.0, 10.0, 20.0)
_MIDDLE_STEPS = (2.5, 5.0, 10.0)
_CHEAP_STEPS = (0.5, 0.5, 2.5)

_DAILY, _MWF = Expiries.EVERY_DAY, Expiries.MON_WED_FRI


def _etf(symbol: str, price: float, beta: float, own_vol: float, spread: float, shares: float) -> Name:
    return Name(symbol, price, beta, own_vol, spread, shares, leaps=True, skew=0.005)


def _index(symbol: str, price: float, beta: float, own_vol: float, spread: float, shares: float) -> Name:
    return Name(symbol, price, beta, own_vol, spread, shares, _DAILY, _INDEX_STEPS, leaps=True, skew=-0.035)


UNIVERSE: tuple[Name, ...] = (
    _index("SPY", 760.0, 1.0, 0.01, 0.003, 65e6),
    _index("QQQ", 715.0, 1.2, 0.07, 0.004, 50e6),
    _index("IWM", 300.0, 1.1, 0.11, 0.005, 32e6),
    Name("SLV", 55.0, 0.3, 0.32, 0.012, 40e6, _MWF, leaps=True, skew=0.005),
    Name("GLD", 400.0, 0.1, 0.17, 0.010, 12e6, _MWF, _MIDDLE_STEPS, leaps=True, skew=0.005),
    _etf("GDX", 85.0, 0.4, 0.33, 0.018, 22e6),
    _etf("GDXJ", 110.0, 0.4, 0.38, 0.025, 6e6),
    Name("USO", 75.0, 0.3, 0.34, 0.018, 6e6, _MWF, leaps=True, skew=0.005),
    _etf("XLE", 92.0, 0.6, 0.18, 0.015, 16e6),
    Name("TSLA", 430.0, 1.8, 0.42, 0.007, 85e6, _DAILY, _MIDDLE_STEPS, leaps=True),
    Name("NVDA", 195.0, 1.7, 0.32, 0.007, 180e6, _DAILY, _MIDDLE_STEPS, leaps=True),
    Name("AAPL", 270.0, 1.1, 0.19, 0.008, 48e6, _DAILY, _MIDDLE_STEPS, leaps=True),
    Name("META", 680.0, 1.2, 0.25, 0.010, 13e6, _MWF, _DEAR_STEPS, leaps=True),
    Name("AMD", 225.0, 1.8, 0.40, 0.010, 45e6, _MWF, _MIDDLE_STEPS),
    Name("AMZN", 235.0, 1.2, 0.22, 0.009, 42e6, _MWF, _MIDDLE_STEPS, leaps=True),
    Name("GOOGL", 300.0, 1.1, 0.23, 0.010, 32e6, _MWF, _MIDDLE_STEPS, leaps=True),
    Name("MSFT", 500.0, 1.0, 0.16, 0.010, 22e6, _MWF, _DEAR_STEPS, leaps=True),
    Name("RKLB", 60.0, 2.0, 0.70, 0.020, 24e6),
    Name("ASTS", 75.0, 2.0, 0.85, 0.025, 13e6),
    Name("LUNR", 12.0, 2.0, 0.80, 0.030, 9e6, steps=_CHEAP_STEPS),
    Name("PL", 14.0, 1.6, 0.65, 0.030, 9e6, steps=_CHEAP_STEPS),
    Name("ONDS", 8.0, 1.8, 0.95, 0.030, 45e6, steps=_CHEAP_STEPS, quiet=0.02),
    Name("POET", 6.0, 1.5, 0.90, 0.040, 9e6, steps=_CHEAP_STEPS, penny=False, quiet=0.08),
    Name("SLS", 4.0, 1.0, 0.95, 0.050, 5e6, steps=_CHEAP_STEPS, penny=False, quiet=0.15),
    Name("NBIS", 110.0, 2.0, 0.70, 0.020, 15e6),
    Name("ENPH", 33.0, 1.4, 0.50, 0.025, 7e6),
    Name("USAR", 18.0, 1.5, 0.95, 0.035, 12e6, steps=_CHEAP_STEPS, penny=False, quiet=0.05),
    Name("CLSK", 14.0, 2.0, 0.75, 0.020, 28e6, steps=_CHEAP_STEPS),
    Name("MU", 240.0, 1.7, 0.42, 0.012, 24e6, steps=_MIDDLE_STEPS),
    Name("INTC", 38.0, 1.4, 0.42, 0.012, 85e6),
    Name("PYPL", 65.0, 1.2, 0.28, 0.015, 14e6, leaps=True),
)


def listed_expiries(name: Name, day: date) -> tuple[date, ...]:
    """The expiry days of ``name`` listed on ``day``, ascending.

    The short-dated ones of the next ten sessions, eight Fridays, six monthlies (third Fridays) and,
    for LEAPS names, three Januaries, of which two at least lie more than 12 months out. A Friday that
    is a holiday expires on the session before; another holiday is left out. Each set only loses its
    past as days go by: what was listed stays listed.
    """
    days = _short_dated(name, day)
    friday = day + timedelta(days=(_FRIDAY - day.weekday()) % 7)
    days.update(_friday_or_before(friday + timedelta(weeks=n)) for n in range(WEEKLY_FRIDAYS))
    months = (divmod(day.month - 1 + n, 12) for n in range(MONTHLY_EXPIRIES))
    days.update(_friday_or_before(third_friday(day.year + year, month + 1)) for year, month in months)
    if name.leaps:
        days.update(leaps_expiries(day))
    return tuple(sorted(expiry for expiry in days if expiry >= day))


def leaps_expiries(day: date) -> tuple[date, ...]:
    """The January expiries listed on ``day``: this year's until it has passed, and the next ones."""
    januaries = (_friday_or_before(third_friday(day.year + n, 1)) for n in range(LEAPS_JANUARIES + 1))
    return tuple(expiry for expiry in januaries if expiry >= day)[:LEAPS_JANUARIES]


def _short_dated(name: Name, day: date) -> set[date]:
    expiry = day if is_session(day) else session_after(day).day
    days = set()
    for _ in range(DAILY_SESSIONS):
        if expiry.weekday() in name.expiries.value:
            days.add(expiry)
        expiry = session_after(expiry).day
    return days


def _friday_or_before(friday: date) -> date:
    return friday if is_session(friday) else session_before(friday).day
