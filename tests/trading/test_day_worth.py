"""What a day has made: without what earlier days made, and by quotes that can be believed."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tests.trading.samples import DAY, NOON, OPEN, money, position, quote
from wsb_snake.core.orders import PositionState
from wsb_snake.trading import day_worth
from wsb_snake.trading.book import BookView
from wsb_snake.trading.day_worth import DayWorth
from wsb_snake.trading.positions import Position

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


def begun(*held: Position) -> DayWorth:
    worth = DayWorth()
    worth.begin(BookView(held), DAY, START)
    return worth


def seen(worth: DayWorth, held: Position, bid: str, ask: str, at: datetime) -> DayWorth:
    worth.look(BookView((held,)), {held.symbol: quote(bid, ask, at)}.get, at, OPEN, START)
    return worth


def test_what_was_sold_before_today_is_no_gain_of_today() -> None:
    lost = position(
        state=PositionState.CLOSED,
        qty=0,
        sold_qty=4,
        exit_price=money("0.50"),
        closed_at=NOON,
    )
    worth = begun(RUNNER)
    assert worth.pnl(BookView((RUNNER, lost)), START) == Decimal(-600)
    more = replace(RUNNER, qty=3, sold_qty=7)  # two more today at what the first five brought
    assert worth.pnl(BookView((more, lost)), START) == Decimal(-600 + 150)
    over = replace(more, state=PositionState.CLOSED, qty=0, sold_qty=10, closed_at=NOON)
    assert worth.pnl(BookView((over, lost)), START) == Decimal(-600 + 375)


def test_what_is_held_from_before_counts_from_its_first_mid_of_the_day() -> None:
    worth = begun(RUNNER)
    seen(worth, RUNNER, "0.99", "1.01", NOON)
    seen(worth, RUNNER, "1.09", "1.11", NOON + timedelta(seconds=5))
    assert worth.brought["runner"].mid == money("1.00")
    seen(worth, RUNNER, "0.79", "0.81", NOON + timedelta(seconds=10))
    assert worth.pnl(BookView((RUNNER,)), START) == Decimal(-100)


def test_one_odd_first_quote_is_not_what_the_day_counts_from() -> None:
    worth = begun(RUNNER)
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
    worth = begun(RUNNER)
    for seconds in (1, 290, 299):
        seen(worth, RUNNER, "0.05", "9.00", OPEN + timedelta(seconds=seconds))
    assert worth.looks == {}
    seen(worth, RUNNER, "0.99", "1.01", OPEN + timedelta(seconds=300))
    assert worth.looks[RUNNER.symbol].newest.mid == money("1.00")


def test_a_restart_on_the_day_goes_on_from_the_same_mid_and_one_on_the_next_does_not() -> None:
    worth = begun(RUNNER)
    for seconds in (0, 5):
        seen(worth, RUNNER, "0.99", "1.01", NOON + timedelta(seconds=seconds))
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.row_factory = sqlite3.Row
        conn.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        day_worth.save(conn, worth.text())
        again, later = DayWorth(), DayWorth()
        again.load(conn, DAY)
        later.load(conn, DAY + timedelta(days=1))
    sold = replace(RUNNER, qty=3, sold_qty=7)
    assert not again.begin(BookView((sold,)), DAY, START)
    assert again.brought == worth.brought
    assert later.begin(BookView((sold,)), DAY + timedelta(days=1), START + timedelta(days=1))
    assert later.brought["runner"].realised == Decimal(525)
    assert later.brought["runner"].mid is None
