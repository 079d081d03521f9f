"""What a day has made: without what earlier days made, and by quotes that can be believed."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.trading.samples import DAY, NOON, OPEN, SCALP, money, order, position, quote
from wsb_snake.core.orders import Origin, PositionState
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.trading import day_worth
from wsb_snake.trading.book import BookView
from wsb_snake.trading.day_worth import DayWorth
from wsb_snake.trading.positions import Position, sold
from wsb_snake.trading.risk_governor import Brought

START = OPEN - timedelta(hours=9)
RUNNER = position(
    position_id="runner",
    opened_at=START - timedelta(days=9),
    qty=5,
    bought_qty=10,
    sold_qty=5,
    half_sold=True,
    entry_price=money("1.50"),
    exit_price=money("2.25"),
)
"""Of an earlier week, half of it sold then for a gain of 375 dollars."""


def begun() -> DayWorth:
    worth = DayWorth()
    worth.begin(DAY)
    return worth


def seen(worth: DayWorth, held: Position, bid: str, ask: str, at: datetime) -> DayWorth:
    worth.look(BookView((held,)), {held.symbol: quote(bid, ask, at)}.get, at, OPEN, START)
    return worth


LEAPS = replace(RUNNER, position_id="leaps", qty=1, bought_qty=1, sold_qty=0, exit_price=None)


def known(held: Position, mid: str) -> DayWorth:
    """``mid`` was the first of the day."""
    worth, cent = begun(), Decimal("0.01")
    for seconds in (0, 5):
        bid, ask = str(money(mid) - cent), str(money(mid) + cent)
        seen(worth, held, bid, ask, NOON + timedelta(seconds=seconds))
    return worth


def all_sold(held: Position, price: str) -> Position:
    left = sold(held, held.qty, money(price))
    return replace(left, state=PositionState.CLOSED, closed_at=NOON + timedelta(minutes=1))


@pytest.mark.parametrize("entry", ["14.00", "7.00", "5.00"])
@pytest.mark.parametrize(("price", "made"), [("7.00", 0), ("6.50", -50), ("8.00", 100)])
def test_what_earlier_days_made_is_no_result_of_today_open_or_sold(entry: str, price: str, made: int) -> None:
    held = replace(LEAPS, entry_price=money(entry))
    worth = known(held, "7.00")
    over = BookView((all_sold(held, price),))
    assert worth.pnl(over, START) == made
    assert worth.sure_loss(over, START) == -made


def test_a_part_sold_and_a_part_held_count_from_the_same_mid() -> None:
    worth = known(RUNNER, "1.00")
    part = sold(RUNNER, 3, money("0.65"))
    seen(worth, part, "1.09", "1.11", NOON + timedelta(seconds=10))
    assert worth.pnl(BookView((part,)), START) == Decimal(-105 + 20)


def test_what_is_sold_before_the_day_s_first_mid_was_sold_at_that() -> None:
    worth = begun()
    assert worth.pnl(BookView((all_sold(RUNNER, "0.10"),)), START) == 0
    part = sold(RUNNER, 2, money("0.10"))
    for seconds in (0, 5):
        seen(worth, part, "0.99", "1.01", NOON + timedelta(seconds=seconds))
    seen(worth, part, "1.09", "1.11", NOON + timedelta(seconds=10))
    assert worth.pnl(BookView((part,)), START) == Decimal(30)


@pytest.mark.parametrize("origin", [Origin.OURS, Origin.FOREIGN_TODAY])
def test_what_is_adopted_today_counts_from_its_first_mid(origin: Origin) -> None:
    found = replace(LEAPS, origin=origin, signal_id=None, opened_at=NOON, entry_price=money("14.00"))
    worth = known(found, "7.00")
    assert worth.pnl(BookView((found,)), START) == 0
    assert worth.pnl(BookView((all_sold(found, "6.00"),)), START) == Decimal(-100)


def test_what_was_bought_today_counts_from_its_entry_although_its_row_was_lost() -> None:
    rebuilt = replace(LEAPS, signal_id=None, opened_at=NOON, entry_price=money("9.00"))
    entry = order(position_id=rebuilt.position_id, reason="recovered")
    worth = begun()
    for seconds in (0, 5):
        quoted = quote("6.99", "7.01", NOON + timedelta(seconds=seconds))
        worth.look(BookView((rebuilt,), (entry,)), {rebuilt.symbol: quoted}.get, quoted.at, OPEN, START)
    assert worth.pnl(BookView((rebuilt,), (entry,)), START) == Decimal(-200)
    yesterday = replace(entry, created_at=START - timedelta(hours=8))
    assert worth.pnl(BookView((rebuilt,), (yesterday,)), START) == 0


def test_an_option_of_the_owner_s_that_expires_later_counts_once_it_has_exits() -> None:
    theirs = replace(
        LEAPS,
        origin=Origin.FOREIGN_LATER,
        signal_id=None,
        plan=NO_EXITS,
        expiry=DAY + timedelta(days=30),
        entry_price=money("14.00"),
    )
    worth = known(theirs, "9.00")
    assert worth.pnl(BookView((theirs,)), START) == 0
    given = replace(theirs, plan=SCALP)
    for seconds in (10, 15):
        seen(worth, given, "6.99", "7.01", NOON + timedelta(seconds=seconds))
    seen(worth, given, "6.49", "6.51", NOON + timedelta(seconds=20))
    assert worth.pnl(BookView((given,)), START) == Decimal(-50)
    assert worth.pnl(BookView((all_sold(given, "6.00"),)), START) == Decimal(-100)


def test_after_a_restart_what_has_no_quote_yet_is_at_its_first_mid() -> None:
    held = replace(LEAPS, entry_price=money("5.00"))
    again = reloaded(known(held, "14.00").text())
    assert again.pnl(BookView((held,)), START) == 0
    seen(again, held, "13.49", "13.51", NOON + timedelta(seconds=60))
    assert again.pnl(BookView((held,)), START) == Decimal(-50)
    assert again.sure_loss(BookView((held,)), START) == 0


def test_what_is_held_from_before_counts_from_its_first_mid_of_the_day() -> None:
    worth = begun()
    seen(worth, RUNNER, "0.99", "1.01", NOON)
    seen(worth, RUNNER, "1.09", "1.11", NOON + timedelta(seconds=5))
    assert worth.brought["runner"].mid == money("1.00")
    seen(worth, RUNNER, "0.79", "0.81", NOON + timedelta(seconds=10))
    assert worth.pnl(BookView((RUNNER,)), START) == Decimal(-100)


def test_one_odd_first_quote_is_not_what_the_day_counts_from() -> None:
    worth = begun()
    seen(worth, RUNNER, "0.99", "9.01", NOON)
    seen(worth, RUNNER, "0.99", "1.01", NOON + timedelta(seconds=5))
    assert worth.pnl(BookView((RUNNER,)), START) == 0


def test_a_loss_is_sure_once_two_different_quotes_show_it() -> None:
    held = position()
    view, worth = BookView((held,)), begun()
    seen(worth, held, "1.99", "2.01", NOON)
    seen(worth, held, "0.99", "1.01", NOON + timedelta(seconds=5))
    assert worth.sure_loss(view, START) == 0
    same = {held.symbol: quote("0.99", "1.01", NOON + timedelta(seconds=5))}
    worth.look(view, same.get, NOON + timedelta(seconds=10), OPEN, START)  # the same quote once more
    seen(worth, held, "0.99", "1.01", NOON + timedelta(seconds=7))  # and a new one too soon
    assert worth.sure_loss(view, START) == 0
    seen(worth, held, "0.95", "0.97", NOON + timedelta(seconds=11))
    assert worth.sure_loss(view, START) == Decimal(400)


def test_what_has_no_bid_any_more_keeps_its_last_price() -> None:
    held = position()
    view, worth = BookView((held,)), begun()
    for seconds in (0, 5):
        seen(worth, held, "0.04", "0.06", NOON + timedelta(seconds=seconds))
    seen(worth, held, "0", "0.05", NOON + timedelta(seconds=10))
    seen(worth, held, "0", "14.00", NOON + timedelta(seconds=15))
    assert worth.sure_loss(view, START) == Decimal(780)


def test_the_first_quotes_of_a_session_say_nothing_of_what_is_held_from_before() -> None:
    worth = begun()
    for seconds in (1, 290, 299):
        seen(worth, RUNNER, "0.05", "9.00", OPEN + timedelta(seconds=seconds))
    assert worth.looks == {}
    seen(worth, RUNNER, "0.99", "1.01", OPEN + timedelta(seconds=300))
    assert worth.looks[RUNNER.symbol].newest.mid == money("1.00")


def reloaded(text: str, day: date = DAY, worth: DayWorth | None = None) -> DayWorth:
    """What a process that starts on ``day`` knows by the row ``text``."""
    again = worth or DayWorth()
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.row_factory = sqlite3.Row
        conn.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        day_worth.save(conn, text)
        again.load(conn, day)
    return again


def test_a_restart_on_the_day_goes_on_from_the_same_mid_and_one_on_the_next_does_not() -> None:
    worth = known(RUNNER, "1.00")
    again = reloaded(worth.text())
    again.begin(DAY)
    assert again.brought == worth.brought != {}
    assert reloaded(worth.text(), DAY + timedelta(days=1)).brought == {}
    again.begin(DAY + timedelta(days=1))
    assert again.brought == {}


def test_a_row_of_an_older_shape_says_nothing() -> None:
    old = {"day": DAY.isoformat(), "brought": {"runner": ["375", "1.00"], "other": ["0", None]}}
    again = reloaded(json.dumps(old))
    assert again.brought == {}
    for seconds in (0, 5):
        seen(again, RUNNER, "0.99", "1.01", NOON + timedelta(seconds=seconds))
    assert again.pnl(BookView((RUNNER,)), START) == 0


def test_a_database_that_opens_late_takes_nothing_back_of_what_is_known() -> None:
    now = known(RUNNER, "1.00")
    reloaded(known(LEAPS, "7.00").text(), worth=now)
    assert now.brought.keys() == {"runner", "leaps"}
    reloaded(known(RUNNER, "9.00").text(), worth=now)
    assert now.brought["runner"].mid == money("1.00")


def test_what_is_sold_counts_by_the_newest_picture_the_day_and_what_was_brought() -> None:
    worth, start = begun(), START
    mine = position(position_id="mine", opened_at=OPEN, qty=2, bought_qty=2, entry_price=money("1.00"))
    gone, older = all_sold(mine, "1.50"), all_sold(RUNNER, "2.00")
    assert worth.pnl(BookView((mine,)), start) == 0
    view = BookView((gone, older))
    assert worth.pnl(view, start) == 100  # of the older nothing is known
    worth.brought = {"runner": Brought(older.realised() - 30, money("1.90"))}
    assert worth.pnl(view, start) == 130
    assert worth.pnl(view, start + timedelta(days=1)) == 0
    assert worth.pnl(view, start) == 130
