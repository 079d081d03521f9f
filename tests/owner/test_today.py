from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from sqlite3 import Connection

import pytest

from tests.owner.books import TUESDAY, WON, books
from tests.owner.sample import facts, position
from wsb_snake.core.calendar import Session
from wsb_snake.core.health import Facts
from wsb_snake.core.types import Bar
from wsb_snake.owner import ledger
from wsb_snake.owner.day_curve import EVERY, MOST, DayCurve
from wsb_snake.owner.today import curve, marks, today_json

OPEN = WON.opened_at - timedelta(minutes=30)
SESSION = Session(TUESDAY, OPEN, OPEN + timedelta(hours=6, minutes=30))
NOW = OPEN + timedelta(hours=2)


def tuesday(**changes: object) -> Facts:
    return facts(**{"now": NOW, "session": SESSION, "day_pnl": Decimal("24.70"), **changes})


@pytest.fixture
def conn() -> Connection:
    return books()


def seconds(minutes: float) -> int:
    return int((OPEN + timedelta(minutes=minutes)).timestamp())


def test_without_points_in_memory_the_curve_is_what_was_closed_and_ends_now(conn: Connection) -> None:
    closed = ledger.trades(conn, TUESDAY, TUESDAY)
    told = curve(tuesday(now=NOW + timedelta(seconds=7)), closed, ())
    assert [moment for moment, _ in told] == [*(seconds(n) for n in range(121)), seconds(120) + 7]
    steps = {0: 0.0, 39: 0.0, 40: 39.80, 59: 39.80, 60: 24.70, 120: 24.70}
    assert {minute: told[minute][1] for minute in steps} == steps
    assert told[-1][1] == 24.70


def test_points_in_memory_go_before_what_was_closed_beside_them(conn: Connection) -> None:
    kept = DayCurve()
    kept.note(tuesday(now=OPEN + timedelta(minutes=50), day_pnl=Decimal("30")))
    kept.note(tuesday(now=OPEN + timedelta(minutes=90, seconds=5), day_pnl=Decimal("20")))
    told = curve(tuesday(), ledger.trades(conn, TUESDAY, TUESDAY), kept.points(TUESDAY))
    steps = {39: 0.0, 40: 39.80, 49: 39.80, 50: 30.0, 60: 30.0, 90: 30.0, 91: 20.0, 119: 20.0, 120: 24.70}
    assert {minute: told[minute][1] for minute in steps} == steps


def test_before_the_open_there_is_no_curve_and_after_the_close_it_stands_still() -> None:
    assert curve(tuesday(now=OPEN - timedelta(seconds=1)), (), ()) == []
    assert curve(tuesday(session=None), (), ()) == []
    night = tuesday(now=SESSION.close + timedelta(hours=2), market_open=False)
    assert curve(night, (), ())[-1] == (int(SESSION.close.timestamp()), 24.70)


def test_the_curve_in_memory_is_of_one_day_sparse_and_bounded() -> None:
    kept = DayCurve()
    for n in range(MOST + 10):
        kept.note(tuesday(now=OPEN + EVERY * n))
        kept.note(tuesday(now=OPEN + EVERY * n + timedelta(seconds=1)))
    assert len(kept.points(TUESDAY)) == MOST
    kept.note(tuesday(market_open=False, now=SESSION.close + timedelta(hours=9)))
    kept.note(tuesday(day_pnl=None, now=SESSION.close + timedelta(hours=9)))
    assert len(kept.points(TUESDAY)) == MOST
    kept.note(tuesday(now=OPEN + timedelta(days=1)))
    assert kept.points(TUESDAY) == ()
    assert len(kept.points(TUESDAY + timedelta(days=1))) == 1


def test_marks_are_todays_in_that_name_also_of_what_is_held(conn: Connection) -> None:
    closed = ledger.trades(conn, TUESDAY, TUESDAY)
    held = position(symbol="SPY261124C00601000", opened_at=NOW - timedelta(minutes=5))
    told = marks(tuesday(positions=(held, replace(held, qty=0))), closed, "SPY")
    assert [(mark.t, mark.kind, mark.pnl) for mark in told] == [
        (seconds(30), "entry", None),
        (seconds(40), "exit", 39.80),
        (seconds(115), "entry", None),
    ]
    assert told[1].text == "2 × SPY 600 call 24 Nov sold at 1.20: target"
    overnight = replace(held, opened_at=NOW - timedelta(days=1))
    assert marks(tuesday(positions=(overnight,)), (), "SPY") == []


def test_the_picture_names_what_there_is_to_choose_and_shows_todays_minutes_only(conn: Connection) -> None:
    closed = ledger.trades(conn, TUESDAY, TUESDAY)
    bars = tuple(Bar("IWM", OPEN + timedelta(days=day), 1.0, 2.0, 0.5, 1.5, 10.0, 1.2) for day in (-1, 0))
    told = today_json(tuesday(), closed, (), "IWM", bars)
    assert told["symbols"] == ["IWM", "QQQ", "SPY"]
    assert told["bars"] == [[seconds(0), 1.0, 2.0, 0.5, 1.5]]
    assert told["opening_equity"] == "24975.30"
    assert told["marks"] == []
