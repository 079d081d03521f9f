"""Signals that were not traded, followed by the exit rules of real positions."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import SystemClock, from_eastern
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.occ import parse
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.db.database import Database
from wsb_snake.hunting.paper_desk import MOST, MOST_OPEN_ENDED, PaperDesk

DAY = date(2026, 11, 24)
SESSION = Session(DAY, from_eastern(DAY, time(9, 30)), from_eastern(DAY, time(16)))
NOW = from_eastern(DAY, time(12, 5))
SPY = "SPY261124C00501000"
TSLA = "TSLA261124C00400000"
WEEKLY = "RKLB261204C00050000"
SCALP = ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=2700)
LONG_SCALP = ExitPlan(target=Decimal("9"), stop=Decimal("0.90"))
RUNNER = ExitPlan(half_at=Decimal("0.50"), trail=Decimal("0.20"))

Desk = Callable[[], PaperDesk]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    made.open()
    yield made
    made.close()


@pytest.fixture
def desk(database: Database) -> PaperDesk:
    return PaperDesk(database, cutoff_flatten=True)


def quote(symbol: str, bid: str, at: datetime, ask: str | None = None) -> Quote:
    return Quote(
        symbol, Decimal(bid), Decimal(ask or bid) + (Decimal("0.02") if ask is None else 0), 9, 9, at
    )


def intent(symbol: str = SPY, plan: ExitPlan = SCALP, name: str = "s1") -> TradeIntent:
    contract = parse(symbol)
    signal = Signal(name, NOW, "e", "x", contract.underlying, Direction.LONG, 65.0, 501.0, ())
    return TradeIntent(signal, contract, quote(symbol, "1.98", NOW), plan)


def look(desk: PaperDesk, minutes: float, bid: str, symbol: str = SPY) -> None:
    now = NOW + timedelta(minutes=minutes)
    desk.step({symbol: quote(symbol, bid, now)}, now, SESSION)


def rows(database: Database) -> list[tuple[object, ...]]:
    database.transact(lambda conn: None).result(10)  # what was handed over before is written
    with database.get_connection() as conn:
        query = (
            "SELECT exit_reason, exit_price, closed_at IS NULL, why_not FROM paper_trades ORDER BY paper_id"
        )
        return [tuple(row) for row in conn.execute(query)]


@pytest.mark.parametrize(
    ("looks", "reason", "price"),
    [
        ([(1, "2.20"), (2, "2.41")], "target", "2.41"),
        ([(1, "1.68"), (2, "1.66")], "stop", "1.66"),  # a second look, as for a real position
        ([(1, "1.68"), (2, "1.90"), (44, "2.00"), (45, "2.05")], "time", "2.05"),
        ([(1, "1.30")], "stop", "1.30"),
    ],
)
def test_the_rules_are_those_of_positions(
    desk: PaperDesk, database: Database, looks: list[tuple[float, str]], reason: str, price: str
) -> None:
    assert desk.offer(intent(), "below the bar", NOW)
    for minutes, bid in looks[:-1]:
        look(desk, minutes, bid)
        assert desk.symbols() == (SPY,)
    look(desk, *looks[-1])
    assert rows(database) == [(reason, price, 0, "below the bar")]
    assert desk.symbols() == ()


def test_time_waits_for_a_quote(desk: PaperDesk, database: Database) -> None:
    desk.offer(intent(), "paused", NOW)
    desk.step({}, NOW + timedelta(minutes=46), SESSION)
    stale = NOW + timedelta(minutes=45)
    desk.step({SPY: quote(SPY, "2.00", stale)}, NOW + timedelta(minutes=46), SESSION)
    assert desk.symbols() == (SPY,)
    look(desk, 47, "2.01")
    assert rows(database)[0][:2] == ("time", "2.01")


@pytest.mark.parametrize(("symbol", "cutoff"), [(SPY, time(15, 20)), (TSLA, time(15, 5))])
def test_the_cut_off_ends_it(desk: PaperDesk, database: Database, symbol: str, cutoff: time) -> None:
    desk.offer(intent(symbol, LONG_SCALP), "paused", NOW)
    due = (from_eastern(DAY, cutoff) - NOW).total_seconds() / 60
    look(desk, due - 1, "2.00", symbol)
    assert desk.symbols() == (symbol,)
    look(desk, due, "2.00", symbol)
    assert rows(database)[0][:2] == ("cutoff", "2.00")


def test_without_the_cut_off_the_end_of_day_ends_it(database: Database) -> None:
    desk = PaperDesk(database, cutoff_flatten=False)
    desk.offer(intent(plan=LONG_SCALP), "paused", NOW)
    look(desk, 229, "2.00")  # 15:54
    look(desk, 230, "1.99")
    assert rows(database)[0][:2] == ("eod", "1.99")


def test_what_expires_without_a_quote_has_no_result(desk: PaperDesk, database: Database) -> None:
    desk.offer(intent(plan=LONG_SCALP), "paused", NOW)
    desk.offer(intent(WEEKLY, RUNNER, "s2"), "paused", NOW)
    desk.step({}, SESSION.close, SESSION)
    assert rows(database) == [("no_quote", None, 0, "paused"), (None, None, 1, "paused")]
    assert desk.symbols() == (WEEKLY,)


def test_a_signal_is_followed_once(desk: PaperDesk, database: Database) -> None:
    assert desk.offer(intent(), "paused", NOW)
    assert not desk.offer(intent(), "paused", NOW)
    look(desk, 2, "2.60")
    assert not desk.offer(intent(), "paused", NOW)
    assert len(rows(database)) == 1
    again = PaperDesk(database, cutoff_flatten=True)
    with database.get_connection() as conn:
        again.load(conn, NOW + timedelta(hours=1))
    assert not again.offer(intent(), "paused", NOW)
    assert len(rows(database)) == 1


def test_it_follows_so_many_and_no_more(desk: PaperDesk) -> None:
    names = [f"SPY261124C00{501 + n}000" for n in range(MOST + 2)]
    taken = [desk.offer(intent(name, name=name), "paused", NOW) for name in names]
    assert taken == [True] * MOST + [False] * 2


def test_one_contract_is_followed_once_for_each_engine(desk: PaperDesk) -> None:
    first, again = intent(name="s1"), intent(name="s2")
    other = replace(again, signal=replace(again.signal, engine="other", signal_id="s3"))
    assert [desk.offer(each, "paused", NOW) for each in (first, again, other)] == [True, False, True]
    look(desk, 1, "2.60")
    assert desk.offer(again, "paused", NOW)  # the first has ended


def test_those_without_an_end_of_their_own_leave_room(desk: PaperDesk) -> None:
    weeklies = [f"RKLB261204C000{50 + n}000" for n in range(MOST_OPEN_ENDED + 1)]
    taken = [desk.offer(intent(name, RUNNER, name), "paused", NOW) for name in weeklies]
    assert taken == [True] * MOST_OPEN_ENDED + [False]
    assert desk.offer(intent(WEEKLY.replace("50", "70"), SCALP, "timed"), "paused", NOW)
    assert desk.offer(intent(SPY, ExitPlan(stop=Decimal("0.15")), "today"), "paused", NOW)
    other = intent(weeklies[-1], RUNNER, "other")  # another engine has places of its own
    assert desk.offer(replace(other, signal=replace(other.signal, engine="other")), "paused", NOW)


def later(days: int) -> tuple[datetime, Session]:
    """The same hour so many days on."""
    on = timedelta(days=days)
    return NOW + on, Session(DAY + on, SESSION.open + on, SESSION.close + on)


def test_what_meets_no_end_ends_after_a_week(desk: PaperDesk, database: Database) -> None:
    desk.offer(intent(WEEKLY, RUNNER), "paused", NOW)
    for days in (6, 7):
        assert desk.symbols() == (WEEKLY,)
        now, session = later(days)
        desk.step({WEEKLY: quote(WEEKLY, "2.10", now)}, now, session)
    assert rows(database)[0][:2] == ("time", "2.10")


def test_what_has_no_quote_any_more_is_let_go_later(desk: PaperDesk, database: Database) -> None:
    desk.offer(intent("RKLB270115C00050000", RUNNER), "paused", NOW)
    for days in (9, 10):
        assert len(desk.symbols()) == 1
        desk.step({}, *later(days))
    assert rows(database)[0][:2] == ("no_quote", None)


def test_the_rule_of_the_engine_ends_it_at_the_next_quote(desk: PaperDesk, database: Database) -> None:
    desk.offer(intent(plan=ExitPlan(stop=Decimal("0.15"))), "paused", NOW)
    assert desk.positions("other") == ()
    (followed,) = desk.positions("e")
    assert followed.symbol == SPY
    desk.give_up(followed.position_id)
    desk.step({}, NOW + timedelta(minutes=1), SESSION)
    assert desk.symbols() == (SPY,)
    look(desk, 2, "2.10")
    assert rows(database)[0][:2] == ("engine", "2.10")


def test_a_trail_goes_on_after_a_restart(desk: PaperDesk, database: Database) -> None:
    """Up from 2.00 to 4.00, restart, back to 3.20: a fifth below the highest bid."""
    desk.offer(intent(WEEKLY, RUNNER), "paused", NOW)
    look(desk, 1, "4.00", WEEKLY)
    assert rows(database)[0][2] == 1
    again = PaperDesk(database, cutoff_flatten=True)
    with database.get_connection() as conn:
        again.load(conn, NOW + timedelta(minutes=2))
    assert again.symbols() == (WEEKLY,)
    look(again, 3, "3.21", WEEKLY)
    assert again.symbols() == (WEEKLY,)
    look(again, 4, "3.20", WEEKLY)
    assert rows(database)[0][:2] == ("trail", "3.20")
