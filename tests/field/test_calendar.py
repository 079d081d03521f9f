"""Calendar and clock: half days, sudden closures, expiry, time zones, orders that end with the day."""

import random
import time as clock_time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.engines.test_contract_picker import CLOSE, SPOT, chain
from tests.sim.bench import DAY, HALF_DAY, SPY_CALL, SPY_LATER
from tests.trading.world import Feed, FeedSource, Troubles, World, world
from wsb_snake import daemon
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import eastern, eastern_date, eastern_text, from_eastern
from wsb_snake.core.hub import Hub
from wsb_snake.core.occ import build
from wsb_snake.core.orders import ExitReason, OrderStatus, PositionState
from wsb_snake.core.types import Right
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant
from wsb_snake.engines.contract_picker import NoPick, pick
from wsb_snake.sim.sessions import session_of
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerOrder, Rejected
from wsb_snake.trading.eod_guard import rungs

ZONES = ("UTC", "America/New_York", "Pacific/Auckland")
YEAR = 2027
HALF_DAYS = (
    date(2024, 11, 29),
    date(2024, 12, 24),
    date(2025, 7, 3),
    date(2025, 11, 28),
    date(2025, 12, 24),
    date(2026, 11, 27),
    date(2026, 12, 24),
    date(2027, 11, 26),
    date(2028, 7, 3),
    date(2028, 11, 24),
)
"""What the exchange has published for two years back and two years ahead."""


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The process runs in this time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        clock_time.tzset()
        yield request.param
    clock_time.tzset()


def wall(moment: datetime) -> str:
    return f"{eastern(moment):%H:%M:%S}"


def regular(day: date, closes: time = time(16)) -> Session:
    return Session(day, from_eastern(day, time(9, 30)), from_eastern(day, closes))


# 2: orders that end with the day, in whatever word


@pytest.mark.parametrize(
    "word",
    ["canceled", "expired", "done_for_day", "calculated", "replaced", "rejected", "suspended", "vaporised"],
)
def test_02_an_exit_that_ends_in_any_word_is_followed_up_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Orders that were over kept the name of open ones, and nothing followed."""
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        w.price("0.90", "0.95")
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: w.own("sell"), 10)
        w.lose_updates = True
        first = w.own("sell")[0]
        w.exchange.cancel(first.id)
        truth, cancel = w.broker.order_by_client_id, w.broker.cancel

        def over() -> bool:
            return not w.exchange.order(first.id).open

        def asked(name: str) -> BrokerOrder:
            found = truth(name)
            ended = name == first.client_order_id and over()
            return replace(found, status=OrderStatus.from_broker(word)) if ended else found

        def cancelled(broker_id: str) -> None:
            cancel(broker_id)
            if broker_id == first.id and over():
                raise Rejected(f'order is already in "{word}" state', 422)

        monkeypatch.setattr(w.broker, "order_by_client_id", asked)
        monkeypatch.setattr(w.broker, "cancel", cancelled)
        w.price("0.99", "1.04")
        w.run(150)
        if word == "suspended":  # it may still come back to life: the owner decides
            assert any("the cancel of the order to sell" in text for text in w.alerts())
        else:
            assert w.outcomes()
            assert sum(order.filled_qty for order in w.own("sell")) == position.qty


def test_02b_an_order_that_expires_with_the_session_is_over(tmp_path: Path) -> None:
    """No event told of the end of DAY orders; they stayed open for ever."""
    with world(tmp_path, "15:58") as w:
        position = w.open(SPY_LATER)
        w.price("0.00", "0.05", SPY_LATER)
        w.run(2)
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.own("sell") and w.own("sell")[-1].limit_price == Decimal("0.01"), 60)
        resting = w.own("sell")[-1].client_order_id
        w.lose_updates = True
        w.to("16:03")
        assert w.desk.book.orders[resting].status is OrderStatus.EXPIRED
        assert w.desk.book.view.live_orders() == ()
        assert w.position(position.position_id).state is PositionState.EXITING  # tomorrow again


# 15: expired and still listed


def test_15_a_contract_that_is_over_is_never_picked_however_it_is_listed() -> None:
    """The broker listed yesterday's contracts as active."""
    rows = chain()
    tomorrow = CLOSE + timedelta(days=1)
    for now, close in (
        (CLOSE, CLOSE),
        (CLOSE + timedelta(hours=1), CLOSE),
        (tomorrow - timedelta(hours=5), CLOSE),
        (tomorrow - timedelta(hours=5), tomorrow),
    ):
        fresh = [replace(row, quote=replace(row.quote, at=now)) for row in rows if row.quote is not None]
        found = pick(fresh, Right.CALL, SPOT, now, {eastern_date(close): close})
        assert isinstance(found, NoPick)
        assert "expired" in found.reason or "no calls expiring" in found.reason


def test_15b_no_entry_goes_out_in_a_contract_that_has_expired(tmp_path: Path) -> None:
    """And if a signal comes with one, the executor refuses it."""
    over = build("SPY", DAY - timedelta(days=3), Right.CALL, Decimal(670))
    with world(tmp_path, "15:58") as w:
        assert w.enter(over) is None
        assert w.refusals() == [f"{over} has expired"]
        w.to("16:00:30")
        assert w.enter(SPY_CALL, "two") is None
        assert w.refusals()[-1] == "the market is closed"
        assert w.broker.sent() == []


# 32, 34: the end of day on every kind of session


@pytest.mark.parametrize("day", [DAY, HALF_DAY], ids=["regular", "half"])
def test_32_the_end_of_day_comes_on_every_kind_of_session(tmp_path: Path, zone: str, day: date) -> None:
    """A hook before the close was never called for some sessions and some time zones."""
    close = time(16) if day == DAY else time(13)
    eod = (datetime.combine(day, close) - timedelta(minutes=5)).time()
    begin = (datetime.combine(day, eod) - timedelta(seconds=30)).time()
    spy = build("SPY", day, Right.CALL, Decimal(670))
    with world(tmp_path, begin.isoformat(), day=day, wsb_snake_cutoff_flatten=False) as w:
        w.exchange.hold(spy, 1, Decimal("1.05"))
        w.exchange.hold(SPY_LATER, 1, Decimal("1.05"))
        w.to(eod.isoformat())
        assert w.held(spy) == 1
        w.until(w.outcomes, 10)
        (ran,) = w.events("eod_ran")
        assert wall(datetime.fromisoformat(ran["at"])) == f"{eod:%H:%M:%S}"
        assert [item["symbol"] for item in ran["closing"]] == [spy]
        assert w.held(SPY_LATER) == 1
        w.until(lambda: w.events("eod_proven"), 60)


def test_32b_what_expires_today_has_not_expired_in_the_morning(tmp_path: Path) -> None:
    """Contracts were written off at 9:31 of their last day."""
    with world(tmp_path, "09:30:30") as w:
        position = w.open()
        w.to("09:50")
        assert w.position(position.position_id).state is PositionState.OPEN
        assert w.outcomes() == []
        assert alpaca_executor.all_positions_monitored()


def test_32c_a_time_without_its_zone_is_refused() -> None:
    """Times without a zone were compared with times that had one."""
    naive = datetime(2026, 11, 24, 9, 30)
    with pytest.raises((ValueError, TypeError)):
        Session(naive.date(), naive, naive + timedelta(hours=6))


def test_34_half_days_are_the_published_ones_and_every_rung_counts_from_their_close(zone: str) -> None:
    """16:00 was written into the code, and on a 13:00 day it came three hours late."""
    calendar = MarketCalendar()
    day, found = HALF_DAYS[0] - timedelta(days=3), []
    while day < date(2028, 11, 25):
        session = calendar.session(day)
        if session is not None and calendar.is_half_day(session):
            found.append(day)
            for name, entries_end, cutoff in (
                ("AAPL", "11:50:00", "12:05:00"),
                ("SPY", "12:05:00", "12:20:00"),
            ):
                steps = rungs(session, name, cutoff_flatten=True)
                assert steps.cutoff is not None
                assert (wall(steps.entries_end), wall(steps.cutoff)) == (entries_end, cutoff)
                assert (wall(steps.eod), wall(session.close)) == ("12:55:00", "13:00:00")
        day += timedelta(days=1)
    assert tuple(found) == HALF_DAYS


@pytest.mark.parametrize("day", [date(2026, 11, 27), date(2028, 7, 3)])
def test_34b_a_half_day_is_over_at_one(tmp_path: Path, day: date) -> None:
    """Orders were sent at 16:00 of a day that had closed at 13:00."""
    spy, aapl = (build(name, day, Right.CALL, strike) for name, strike in _STRIKES)
    with world(tmp_path, "12:04:30", day=day) as w:
        w.exchange.hold(spy, 1, Decimal("1.05"))
        w.exchange.hold(aapl, 1, Decimal("1.05"))
        w.to("12:05:10")
        assert (w.held(aapl), w.held(spy)) == (0, 1)
        w.to("12:20:10")
        assert w.held(spy) == 0
        w.to("13:01")
        assert len(w.events("eod_ran")) == len(w.events("eod_proven")) == 1
        sent = len(w.broker.sent())
        w.to("16:30")
        assert len(w.broker.sent()) == sent
        assert w.enter(spy) is None


_STRIKES = (("SPY", Decimal(670)), ("AAPL", Decimal(250)))


# 35: the broker's calendar wins


def test_35_a_closure_that_only_the_broker_knows_is_a_closed_day(tmp_path: Path) -> None:
    """Announced ten days ahead, in no library: the bot traded on a shut market."""
    w = World(tmp_path)
    w.start(agree=False)
    try:
        days = (DAY - timedelta(days=3), DAY + timedelta(days=1))
        w.broker.shown["calendar"] = tuple(regular(day) for day in days)
        w.agree()
        w.run(1)
        assert w.desk.session() is None
        assert "calendar" in w.paused()
        assert w.enter() is None
        w.to("15:56")
        assert w.broker.sent() == []
        (told,) = [text for text in w.alerts() if text.startswith("Trading paused")]
        assert f"{DAY}: the broker says closed" in told
        w.check()
    finally:
        w.crash()


def test_35b_an_early_close_that_only_the_broker_knows_moves_the_end_of_day(tmp_path: Path) -> None:
    """Where the two disagree the broker's hours count, and nothing new is opened."""
    w = World(tmp_path, "12:54:00", wsb_snake_cutoff_flatten=False)
    w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
    w.start(agree=False)
    try:
        w.broker.shown["calendar"] = (regular(DAY, time(13)),)
        w.agree()
        assert w.enter(SPY_LATER) is None
        w.until(w.outcomes, 90)
        (ran,) = w.events("eod_ran")
        assert wall(datetime.fromisoformat(ran["at"])) == "12:55:00"
        assert any("exchange_calendars says 09:30-16:00 ET" in text for text in w.alerts())
        w.check()
    finally:
        w.crash()


def test_35c_the_library_knows_the_day_of_mourning_of_2025() -> None:
    """An old table of holidays would still trade on it."""
    assert MarketCalendar().session(date(2025, 1, 9)) is None
    assert session_of(date(2025, 1, 9)) is None


# 44: a year in three time zones


class Year(World):
    """The daemon's own day and end-of-day steps, called by the minute around their hours."""

    def begin(self) -> None:
        self.processes += 1
        self.hub = Hub(self.clock, self.seed)
        self.broker = Troubles(self.exchange, self.hub)
        self.database = Database(self.settings.db_path, self.hub)
        self.database.open()
        data = MarketData(FeedSource(self.exchange, self.hub, Feed()), None, self.clock)
        luck = random.Random(self.seed)
        self.daemon = daemon.Daemon(
            daemon.World(
                self.settings, self.hub, self.database, self.broker, data, None, luck, self._on_error
            ),
            alpaca_executor,
        )
        self.daemon.load()
        self.do(self.daemon.connect_account)
        self.do(self.daemon.agree)

    def live(self, last: date) -> None:
        """Every day up to ``last``, closed ones too; both steps see each minute that could matter."""
        day = self.market.day
        while day <= last:
            for hour, minute in ((8, 58), (12, 53), (13, 13), (15, 53), (16, 13)):
                self._minutes(from_eastern(day, time(hour, minute)), 5)
            day += timedelta(days=1)

    def _minutes(self, start: datetime, length: int) -> None:
        for n in range(length):
            ahead = (start + timedelta(minutes=n) - self.clock.now()).total_seconds()
            self.hub.sleep(max(0.0, ahead))
            self.daemon.turn_day()
            self.daemon.run_eod_check()


def test_44_a_year_of_days_has_every_end_at_its_minute(tmp_path: Path, zone: str) -> None:
    """Jobs by the wall clock ran an hour early, an hour late or twice around the change of the clocks."""
    expected = [session_of(date(YEAR, 1, 1) + timedelta(days=n)) for n in range(365)]
    sessions = [session for session in expected if session is not None]
    w = Year(tmp_path, "08:00", day=sessions[0].day)
    w.begin()
    try:
        w.do(lambda: w.live(date(YEAR, 12, 31)))
        w.run(1)
        assert w.errors == []
        runs = w.rows("SELECT session, ran_at FROM eod_runs ORDER BY session")
        assert [(row["session"], instant(row["ran_at"])) for row in runs] == [
            (s.day.isoformat(), s.close - timedelta(minutes=5)) for s in sessions
        ]
        reports = w.rows("SELECT session, at FROM daily_summaries ORDER BY session")
        assert [(row["session"], instant(row["at"])) for row in reports] == [
            (s.day.isoformat(), s.close + timedelta(minutes=15)) for s in sessions
        ]
        ends = {eastern_text(instant(row["ran_at"]))[11:] for row in runs}
        assert ends == {"15:55:00", "12:55:00"}
        offsets = {instant(row["ran_at"]).astimezone(UTC).hour for row in runs}
        assert offsets == {19, 20, 17}  # summer, winter, and the half day in winter
        awake = w.rows("SELECT at FROM events WHERE kind = 'awake' ORDER BY seq")
        assert [wall(instant(row["at"])) for row in awake] == ["09:00:00"] * len(sessions)
    finally:
        w.crash()
