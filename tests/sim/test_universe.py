"""What the exchange lists, and when it expires."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from wsb_snake.sim.sessions import is_session, session_of, sessions
from wsb_snake.sim.universe import UNIVERSE, Name, leaps_expiries, listed_expiries

NAMES = {name.symbol: name for name in UNIVERSE}
TUESDAY, FRIDAY = date(2026, 11, 24), date(2026, 11, 27)


def test_it_holds_every_name_of_the_engines() -> None:
    zero_dte = "SPY QQQ IWM SLV GLD GDX GDXJ USO XLE TSLA NVDA AAPL META AMD AMZN GOOGL MSFT"
    momentum = "RKLB ASTS LUNR PL ONDS POET SLS NBIS ENPH USAR CLSK MU INTC"
    assert set(NAMES) == {*zero_dte.split(), *momentum.split(), "PYPL"}
    assert len(NAMES) == len(UNIVERSE)
    leaps = "SLV GLD GDX GDXJ USO XLE SPY QQQ IWM META AAPL NVDA TSLA MSFT AMZN GOOGL PYPL"
    assert {name.symbol for name in UNIVERSE if name.leaps} == set(leaps.split())


def test_on_a_tuesday_only_the_daily_names_expire() -> None:
    expiring = {name.symbol for name in UNIVERSE if TUESDAY in listed_expiries(name, TUESDAY)}
    assert expiring == {"SPY", "QQQ", "IWM", "TSLA", "NVDA", "AAPL"}


def test_on_a_wednesday_the_mega_caps_expire_too() -> None:
    wednesday = date(2026, 11, 25)
    expiring = {name.symbol for name in UNIVERSE if wednesday in listed_expiries(name, wednesday)}
    assert {"META", "AMD", "AMZN", "GOOGL", "MSFT", "SLV", "GLD", "USO"} < expiring
    assert "RKLB" not in expiring


def test_on_a_friday_every_name_expires() -> None:
    assert all(listed_expiries(name, FRIDAY)[0] == FRIDAY for name in UNIVERSE)


def test_a_holiday_friday_expires_on_the_session_before() -> None:
    assert date(2026, 7, 2) in listed_expiries(NAMES["RKLB"], date(2026, 6, 22))
    assert date(2026, 12, 31) in listed_expiries(NAMES["RKLB"], TUESDAY)  # New Year's Day is a Friday


def test_two_leaps_expiries_lie_more_than_twelve_months_out() -> None:
    for session in sessions(date(2026, 1, 2), date(2028, 12, 29)):
        far = [day for day in leaps_expiries(session.day) if (day - session.day).days >= 360]
        assert len(far) >= 2


@pytest.mark.parametrize("symbol", ["SPY", "META", "RKLB", "PYPL"])
def test_what_is_listed_stays_listed_until_it_expires(symbol: str) -> None:
    name = NAMES[symbol]
    days = [session.day for session in sessions(date(2026, 10, 1), date(2027, 2, 26))]
    for today, tomorrow in pairwise(days):
        alive = {expiry for expiry in listed_expiries(name, today) if expiry > today}
        assert alive <= set(listed_expiries(name, tomorrow)), f"from {today} to {tomorrow}"


@pytest.mark.parametrize("name", UNIVERSE, ids=lambda name: name.symbol)
def test_expiries_are_ascending_sessions_from_today_on(name: Name) -> None:
    expiries = listed_expiries(name, TUESDAY)
    assert list(expiries) == sorted(set(expiries))
    assert expiries[0] >= TUESDAY
    assert all(is_session(expiry) for expiry in expiries)


def test_strike_distances_are_multiples_of_the_closer_ones() -> None:
    for name in UNIVERSE:
        near, middle, far = name.steps
        assert middle % near == 0, name.symbol
        assert far % middle == 0, name.symbol


def test_a_weekend_lists_from_monday_on() -> None:
    saturday = TUESDAY + timedelta(days=4)
    assert session_of(saturday) is None
    assert listed_expiries(NAMES["SPY"], saturday)[0] == date(2026, 11, 30)
