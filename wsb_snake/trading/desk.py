"""Everything the order path holds, in one object that ``AlpacaExecutor.connect`` makes anew.

The desk owns the book, the pauses, the breaker, the broker's snapshots and the senders; the modules
around the executor are functions of it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from wsb_snake.config import Settings
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.circuit_breaker import CircuitBreaker
from wsb_snake.core.clock import Clock, eastern_date, from_eastern
from wsb_snake.core.events import EventKind
from wsb_snake.core.halt_file import HaltFile
from wsb_snake.core.lanes import Flag, Lanes, Promise
from wsb_snake.core.types import Quote
from wsb_snake.db.database import Database
from wsb_snake.trading.book import Book
from wsb_snake.trading.breaker_pause import BreakerParts, BreakerPause
from wsb_snake.trading.broker import (
    Account,
    Broker,
    BrokerClock,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Fatal,
    Withheld,
)
from wsb_snake.trading.clock_watch import ClockWatch
from wsb_snake.trading.day_worth import DayWorth
from wsb_snake.trading.disputes import Disputes
from wsb_snake.trading.eod_guard import EodState
from wsb_snake.trading.exits import SECOND_LOOK_S
from wsb_snake.trading.flatten_memory import FlattenMemory
from wsb_snake.trading.order_ids import OrderIds
from wsb_snake.trading.order_signs import OrderSigns
from wsb_snake.trading.pauses import Pauses
from wsb_snake.trading.pollers import Poller, counts_as_failure
from wsb_snake.trading.risk_governor import Limits
from wsb_snake.trading.senders import Senders
from wsb_snake.trading.stream_watch import StreamWatch

T = TypeVar("T")

BROKER_STALE_S = 60.0

IDLE_S = 25.0
"""With nothing held and nothing working: so that book and broker are compared at least every 30 s."""
CALENDAR_BACK = timedelta(days=10)
CALENDAR_AHEAD = timedelta(days=60)
CALENDAR_EVERY_S = 900.0
"""A closure or an early close can be announced while the session runs."""

CLOSES_LATER = (
    "New entries stop; open positions are watched, and closed only from when the broker's account, "
    "positions and orders could be read. Until then close them at the broker if it is urgent."
)

SENDS = "sends"
"""Endpoint group of what changes something; a list that can be read says nothing about it."""


class QuoteBoard:
    """The newest quote of each contract that we hold, whoever delivered it."""

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}

    def put(self, quote: Quote) -> bool:
        """Keep ``quote`` unless a newer one is known; whether it was kept."""
        known = self._quotes.get(quote.symbol)
        if known is not None and known.at > quote.at:
            return False
        self._quotes[quote.symbol] = quote
        return True

    def get(self, symbol: str) -> Quote | None:
        return self._quotes.get(symbol)

    def keep(self, symbols: frozenset[str]) -> None:
        """Forget every contract but these."""
        self._quotes = {symbol: quote for symbol, quote in self._quotes.items() if symbol in symbols}


@dataclass(slots=True)
class Pollers:
    """The readers of the broker."""

    positions: Poller[tuple[BrokerPosition, ...]]
    orders: Poller[tuple[BrokerOrder, ...]]
    account: Poller[Account]
    quotes: Poller[dict[str, Quote]]
    clock: Poller[BrokerClock]
    calendar: Poller[MarketCalendar]

    def all(self) -> tuple[Poller[Any], ...]:
        return (self.positions, self.orders, self.account, self.quotes, self.clock, self.calendar)


@dataclass(frozen=True, slots=True)
class _Hours:
    """One day's hours by one calendar: as it decides, and as ``MarketCalendar.either`` has them."""

    calendar: MarketCalendar
    midnight: datetime
    next_one: datetime
    told: Session | None
    either: tuple[Session, datetime] | None


@dataclass(frozen=True, slots=True)
class Ports:
    """What the order path is given: the world it runs in and the outside it talks to."""

    lanes: Lanes
    broker: Broker
    database: Database
    settings: Settings
    fetch_quotes: Callable[[tuple[str, ...]], dict[str, Quote]]  # raises BrokerError
    luck: random.Random
    report_error: Callable[[str, Exception], None]
    underlying_price: Callable[[str], Decimal | None] | None = None  # the last one known, from memory


class Desk:
    """One connected order path; see the module's text."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.bell = Flag(ports.lanes, "monitor")
        self.clock: Clock = ports.lanes.clock
        self.settings = ports.settings
        self.limits = Limits.from_settings(ports.settings)
        self.book = Book(ports.lanes, self.clock, ports.database)
        self.pauses = Pauses(ports.lanes, ports.database)
        self.pauses.goes_on = CLOSES_LATER
        self.disputes = Disputes(ports.lanes, self.pauses, self._tell_dispute)
        self.stream = StreamWatch(ports.lanes, self.pauses)
        self.clocks = ClockWatch(self.pauses)
        self.alpaca = self._breaker("alpaca", SENDS)
        self.data = self._breaker("data")
        self.calendar = MarketCalendar()
        self.board = QuoteBoard()
        self.worth = DayWorth()
        self.eod: EodState | None = None
        self.durable: dict[str, Promise[None]] = {}  # of each planned order's row
        self.signs = OrderSigns()
        self.refusals: dict[str, str] = {}  # of each signal of the day: why its newest entry was refused
        self.unwanted: set[str] = set()  # entries that the owner wants gone
        self.flatten = FlattenMemory()
        self.left_alone: set[str] = set()  # due to be sold, and covering a short option
        self.blocked_since: dict[str, datetime] = {}  # exits that wait for somebody else's order
        self.asked_at: dict[str, datetime] = {}
        self.ready = False  # book and broker have been brought into line: entries may go
        self.may_close = False  # enough was read of the broker for closing orders, if not for entries
        self.numbers_above = 0  # closing orders' numbers up to here may have been used by rows that were lost
        self.loaded = False  # the database's rows are in the book
        self.halt_file = HaltFile(ports.lanes, ports.settings.data_dir / "halt")
        self._present_day: tuple[date, datetime, datetime] | None = None
        self._present_hours: _Hours | None = None
        self.quote_stream_up = False
        self.ids = OrderIds(ports.luck)
        self.quote_seen_at: dict[str, datetime] = {}
        self.last_eod_run_at: datetime | None = None
        self.senders = Senders(ports.lanes, self.bell.set, ports.report_error)
        self.pollers = self._make_pollers()

    # time

    def now(self) -> datetime:
        return self.clock.now()

    def today(self) -> date:
        """The present day, US/Eastern."""
        return self._day()[0]

    def session(self) -> Session | None:
        """Today's session, or None on a closed day.

        With positions today, a session of which only one calendar knows counts, and the earlier close.
        """
        hours = self._hours()
        if hours.either is not None and self.book.view.positions:
            return hours.either[0]
        return hours.told

    def _hours(self) -> "_Hours":
        """Worked out once for each calendar and day."""
        known, now = self._present_hours, self.clock.now()
        if known is None or known.calendar is not self.calendar or not known.midnight <= now < known.next_one:
            day, midnight, next_one = self._day()
            told, either = self.calendar.session(day), self.calendar.either(day)
            known = _Hours(self.calendar, midnight, next_one, told, either)
            self._present_hours = known
        return known

    def day_start(self) -> datetime:
        """Midnight US/Eastern of the present day."""
        return self._day()[1]

    def _day(self) -> tuple[date, datetime, datetime]:
        """The day, its midnight and the next one; worked out once a day, asked for many times a second."""
        now = self.now()
        if self._present_day is None or not self._present_day[1] <= now < self._present_day[2]:
            day = eastern_date(now)
            midnight, next_one = (from_eastern(d, time.min) for d in (day, day + timedelta(days=1)))
            self._present_day = (day, midnight, next_one)
        return self._present_day

    def in_session(self) -> bool:
        """The market is open; while something is held, by either calendar."""
        session, either = self.session(), self._hours().either
        if session is None:
            return False
        close = either[1] if either is not None and self.book.view.held() else session.close
        return session.open <= self.now() < close

    # the broker's readings

    def broker_age_s(self) -> float | None:
        """Seconds since the older of the latest position and order readings was asked for."""
        now = self.now()
        ages = (self.pollers.positions.age_s(now), self.pollers.orders.age_s(now))
        if ages[0] is None or ages[1] is None:
            return None
        return max(ages[0], ages[1])

    def broker_fresh(self) -> bool:
        age = self.broker_age_s()
        return age is not None and age <= BROKER_STALE_S

    def held_symbols(self) -> tuple[str, ...]:
        """Contracts whose quotes we need."""
        return tuple(sorted({p.symbol for p in self.book.view.held()}))

    def forget_before_today(self) -> None:
        """Drop from memory what was over before today, and what is known of it."""
        # the keys first: whatever is noted of an order or a position stands in the book before
        orders, positions, seen = [*self.durable], [*self.unwanted], [*self.quote_seen_at]
        self.book.forget_before(self.day_start())
        self.refusals.clear()
        for order in orders:
            if order not in self.book.orders:
                self.durable.pop(order, None)
        self.unwanted.difference_update(each for each in positions if each not in self.book.positions)
        held = self.held_symbols()
        for symbol in seen:
            if symbol not in held:
                self.quote_seen_at.pop(symbol, None)
        for key, at in [*self.asked_at.items()]:
            if at < self.day_start():
                self.asked_at.pop(key, None)

    # closing

    def let_close(self) -> None:
        """From here on closing orders go out."""
        self.may_close = True
        self.pauses.goes_on = ""

    # the trade stream and the clock

    @property
    def stream_up(self) -> bool:
        """The trade stream is connected."""
        return self.stream.up

    @property
    def stream_mute(self) -> bool:
        """The trade stream is connected and does not tell: whoever owns it should connect anew."""
        return self.stream.mute

    @property
    def clock_skew_s(self) -> float | None:
        """How far our clock is ahead of the broker's, seconds; None while nobody knows."""
        return self.clocks.skew_s

    # the breakers

    @property
    def breaker(self) -> CircuitBreaker:
        """The state of the broker's endpoint groups."""
        return self.alpaca.breaker

    def broker_failed(self, group: str, error: BrokerError) -> None:
        """Count what went wrong in an endpoint group; five in a row pause entries."""
        if isinstance(error, Fatal):
            self.alpaca.failed(group, f"the broker refuses us: {error}", at_once=True)
        elif isinstance(error, Withheld):
            return
        elif counts_as_failure(error):
            self.alpaca.failed(group, str(error))
        else:
            self.broker_answered(group)

    def broker_answered(self, group: str) -> None:
        """A success of ``group``, which heals no other."""
        self.alpaca.answered(group)

    def data_failed(self, what: str) -> None:
        """Market data that entries depend on failed or are too old; five in a row pause entries."""
        self.data.failed("market data", what)

    def data_answered(self) -> None:
        """Market data arrived and are fresh."""
        self.data.answered("market data")

    # what must not stay silent

    def alert(self, what: str, detail: str) -> None:
        """Tell the owner of trouble that no other event carries."""
        with self.book.change() as commit:
            commit.change.event(EventKind.ERROR, what=what, detail=detail)

    def _tell_dispute(self, detail: str) -> None:
        self.alert("the broker's books and ours disagree once more", detail)

    # the halt file

    def halted(self) -> bool:
        """Whether the owner's halt is in force; read from the disk each time."""
        return self.halt_file.exists()

    # making

    def _breaker(self, reason: str, on_demand: str | None = None) -> BreakerPause:
        ports = self.ports
        return BreakerPause(BreakerParts(ports.lanes, ports.database, self.pauses, reason, on_demand))

    # cadence

    def _make_pollers(self) -> Pollers:
        broker = self.ports.broker
        return Pollers(
            positions=self._poller("positions", broker.positions, self._positions_every),
            orders=self._poller("orders", broker.open_orders, self._orders_every),
            account=self._poller("account", broker.account, self._account_every),
            quotes=self._poller("quotes", self._poll_quotes, self._quotes_every),
            clock=self._poller("clock", self.read_clock, self._clock_every),
            calendar=self._poller("calendar", self.read_calendar, lambda: CALENDAR_EVERY_S),
        )

    def _poller(self, name: str, fetch: Callable[[], T], interval: Callable[[], float]) -> Poller[T]:
        return Poller(
            name, self.ports.lanes, fetch, interval, self.bell.set, self.broker_failed, self.broker_answered
        )

    def _positions_every(self) -> float:
        if not self.in_session():
            return 60.0
        if self.eod_open() or self.book.view.live_orders():
            return 5.0
        return 10.0 if self.book.view.held() else IDLE_S

    def _orders_every(self) -> float:
        if not self.in_session():
            return 60.0
        if self.book.view.live_orders() or self.stream.mute:
            return 2.0
        if self.eod_open():
            return 5.0
        return 10.0 if self.book.view.held() else IDLE_S

    def _account_every(self) -> float:
        return 30.0 if self.in_session() else 120.0

    def _clock_every(self) -> float:
        return 60.0 if self.in_session() else 300.0

    def _quotes_every(self) -> float:
        if self.quote_stream_up or not self.book.view.held() or not self.in_session():
            return 15.0  # whatever is held anew is asked for at once
        return SECOND_LOOK_S if self._stop_crossed() else 5.0

    def _stop_crossed(self) -> bool:
        """A stop is crossed by the quote that we have, and waits for its second look."""
        for position in self.book.view.watched():
            quote, stop = self.board.get(position.symbol), position.stop_price
            if stop is not None and quote is not None and quote.two_sided and quote.mid <= stop:
                return True
        return False

    def eod_open(self) -> bool:
        """Today's EOD close has run and flat is not proven yet."""
        return self.eod is not None and self.eod.ran_at is not None and self.eod.proven_at is None

    def read_clock(self) -> BrokerClock:
        """Ask the broker what time it is, and compare. Raises BrokerError."""
        asked_at = self.now()
        told = self.ports.broker.clock()
        self.clocks.took(asked_at, told.at, self.now())
        return told

    def read_calendar(self) -> MarketCalendar:
        """The broker's calendar around today. Raises BrokerError."""
        today = eastern_date(self.now())
        return MarketCalendar(self.ports.broker.calendar(today - CALENDAR_BACK, today + CALENDAR_AHEAD))

    def _poll_quotes(self) -> dict[str, Quote]:
        symbols = self.held_symbols()
        quotes = self.ports.fetch_quotes(symbols) if symbols else {}
        for symbol in sorted(quotes):
            self.board.put(quotes[symbol])
        return quotes
