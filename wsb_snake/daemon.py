"""The daemon as an object of plain methods; whoever runs it supplies the lanes, the clock and the world.

Each lane is one step function that does what is due and says when it wants to be called again. No step
calls the network while it decides: the executor reads snapshots and hands calls to its senders.
"""

import logging
import random
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from wsb_snake import daemon_owner
from wsb_snake.collectors.market_data import DataError, MarketData
from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_text
from wsb_snake.core.events import EventKind
from wsb_snake.core.health import DATA_LIMIT_S, Facts
from wsb_snake.core.heartbeats import Heartbeats
from wsb_snake.core.lane_loop import NETWORK_S, LaneSpec
from wsb_snake.core.lanes import Flag, Lanes, Promise
from wsb_snake.core.types import Quote
from wsb_snake.daemon_day import AWAKE_BEFORE_OPEN, Day
from wsb_snake.daemon_facts import Sources, gather
from wsb_snake.daemon_owner import CommandRefused
from wsb_snake.daemon_start import check_account, judge_account, stamp_of, stamped, start_words, warnings_of
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.journal import Consumer
from wsb_snake.db.meta import write_stamp
from wsb_snake.hunting.climate import Climate
from wsb_snake.hunting.contracts import Contracts
from wsb_snake.hunting.host import Host
from wsb_snake.hunting.judging import Judge
from wsb_snake.hunting.lessons import Lessons
from wsb_snake.hunting.paper_desk import PaperDesk
from wsb_snake.hunting.strategies import strategies
from wsb_snake.hunting.view import Viewer
from wsb_snake.learning import learnt, outcome_recorder
from wsb_snake.notifications import outbox
from wsb_snake.notifications.chat import Chat
from wsb_snake.trading import late_start, start_up
from wsb_snake.trading.alpaca_executor import AlpacaExecutor
from wsb_snake.trading.broker import Account, Broker, TradeUpdate, Unavailable
from wsb_snake.trading.desk import Ports
from wsb_snake.trading.pollers import Snapshot

PIPELINE_EVERY = timedelta(minutes=10)
GATHER_AGAIN = timedelta(seconds=15)
PREPARE_AGAIN = timedelta(seconds=20)
EOD_EVERY = timedelta(minutes=1)
RETRY_S = 5.0
HALT_EVERY = timedelta(seconds=10)
STOP_WAIT_S = 1.0

log = logging.getLogger(__name__)


class QuoteFeed(Protocol):
    """The option quote stream; absent where quotes are polled."""

    def set_symbols(self, wanted: frozenset[str]) -> None:
        """Stream exactly these contracts from now on; returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """Everything the daemon is given."""

    settings: Settings
    lanes: Lanes
    database: Database
    broker: Broker
    market: MarketData
    chat: Chat | None
    luck: random.Random
    report_error: Callable[[str, Exception], None]


class Daemon:
    """One running daemon around the one executor."""

    def __init__(self, world: World, executor: AlpacaExecutor) -> None:
        self.world = world
        self.executor = executor
        self.heartbeats = Heartbeats(world.lanes.clock)
        self.started_at = world.lanes.clock.now()
        self.monitor_at: datetime | None = None
        self.account: Account | None = None
        self.missing: tuple[str, ...] = ()  # a line each: what it does without until it is mended
        self.quote_feed: QuoteFeed | None = None
        executor.connect(
            Ports(
                world.lanes,
                world.broker,
                world.database,
                world.settings,
                self._fetch_quotes,
                world.luck,
                world.report_error,
                world.market.last_price,
            )
        )
        self.hunt = _engines(world, executor)
        self._day = Day(world.settings, world.broker, world.database, executor, self.hunt, self._journal)
        self.outbox = outbox.Outbox(world.database, world.chat, world.lanes.clock)
        outcomes = outcome_recorder.CONSUMER
        self._outcomes = Consumer(world.database, outcomes, outcome_recorder.record)
        self._lessons = Consumer(world.database, learnt.CONSUMER, learnt.learn, behind=outcomes)
        self._alerts = Consumer(world.database, "alerts", outbox.enqueue_at(world.settings.alert_levels))
        self._updates: deque[TradeUpdate | bool] = deque()
        self._quotes: deque[Quote | bool] = deque()
        self._subscribed: frozenset[str] = frozenset()
        self._requests: deque[tuple[str, str | None, Promise[str]]] = deque()
        self._loaded = False
        self._prepared: date | None = None  # the session for which the engines' history was fetched
        self._judged: Snapshot[Account] | None = None
        self.flags = {
            name: Flag(world.lanes, f"bell-{name}")
            for name in ("scan", "pipeline", "eod", "day", "journal", "telegram", "stream", "quotes", "owner")
        }

    # start

    def load(self) -> None:
        """Take up the database: positions, orders, pauses, the engine's memory."""
        with self.world.database.get_connection() as conn:
            self.take_up(conn)

    def take_up(self, conn: sqlite3.Connection) -> None:
        """``load`` from a connection, also long after the start. Raises StartRefused, DatabaseUnavailable."""
        settings = self.world.settings
        if self.account is not None and not stamped(conn, settings, self.account):
            write_stamp(conn, stamp_of(settings, self.account))
        try:
            if self.executor.desk.ready:  # what was adopted meanwhile stays
                late_start.load(self.executor.desk, conn)
            else:
                self.executor.load(conn)
            self.hunt.load(conn)
            self._day.load(conn)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise DatabaseUnavailable(
                f"{self.world.database.path} holds a row that cannot be read: {error}"
            ) from error
        self._loaded = True

    def connect_account(self) -> None:
        """Check whose account this is, and that the database is its own; nobody's becomes so.

        Raises StartRefused, DatabaseUnavailable, or BrokerError when nobody answers.
        """
        settings, database = self.world.settings, self.world.database
        account = check_account(self.world.broker, settings)
        judge_account(self.executor.desk, account)
        if self._loaded:
            with database.get_connection() as conn:
                known = stamped(conn, settings, account)
            if not known:
                mine = stamp_of(settings, account)
                database.transact(lambda conn: write_stamp(conn, mine), urgent=True)
        self.account = account

    def not_agreed(self) -> None:
        """The broker has not been reached: no entry until the books agree."""
        self.executor.desk.disputes.open("start:", "the broker has not been agreed with since the start")

    def agree(self) -> None:
        """The first reconciliation; from here on entries may go. Raises BrokerError."""
        if self.account is None:
            raise RuntimeError("connect_account comes first")
        start_up.try_calendar(self.executor.desk)
        self.executor.agree(self.account)
        self._record_start()
        self.flags["day"].set()

    # what arrives from outside (any thread)

    def take_update(self, update: TradeUpdate) -> None:
        self._updates.append(update)
        self.flags["stream"].set()

    def take_stream_state(self, up: bool) -> None:
        self._updates.append(up)
        self.flags["stream"].set()

    def take_quote(self, quote: Quote) -> None:
        self._quotes.append(quote)
        self.flags["quotes"].set()

    def take_quote_state(self, up: bool) -> None:
        self._quotes.append(up)
        self.flags["quotes"].set()

    def ask(self, verb: str, argument: str | None) -> Promise[str]:
        """Queue what the owner wants; the promise gives one line about what was done."""
        promise: Promise[str] = Promise(self.world.lanes, f"owner-{verb}")
        self._requests.append((verb, argument, promise))
        self.flags["owner"].set()
        return promise

    # the lanes

    def lanes(self) -> tuple[LaneSpec, ...]:
        """Every lane but the executor's own senders and pollers."""
        flags, halt = self.flags, self.executor.desk.halt_file
        return (
            LaneSpec("monitor", self.monitor_once, self.executor.desk.bell),
            LaneSpec("stream", self.drain_updates, flags["stream"]),
            LaneSpec("quotes", self.drain_quotes, flags["quotes"]),
            LaneSpec("scan", self.scan, flags["scan"], NETWORK_S),
            LaneSpec("pipeline", self.run_pipeline, flags["pipeline"], NETWORK_S),
            LaneSpec("eod", self.run_eod_check, flags["eod"]),
            LaneSpec("day", self.turn_day, flags["day"], NETWORK_S),
            LaneSpec("journal", self.consume, self.world.database.news, NETWORK_S, needs_disk=True),
            LaneSpec("telegram", self.send_alerts, flags["telegram"], NETWORK_S, needs_disk=True),
            LaneSpec("owner", self.serve_owner, flags["owner"]),
            LaneSpec("halt-file", halt.work, halt.bell, NETWORK_S, needs_disk=True),
        )

    def monitor_once(self) -> datetime | None:
        """One pass over every position and order, and the end of day."""
        due = self.executor.monitor()
        account = self.executor.desk.pollers.account.latest
        if account is not None and account is not self._judged:
            self._judged = account
            judge_account(self.executor.desk, account.value)
        wanted = frozenset(self.executor.desk.held_symbols())
        if wanted != self._subscribed:
            self._subscribed = wanted
            self.executor.desk.pollers.quotes.ask()
            if self.quote_feed is not None:
                self.quote_feed.set_symbols(wanted)
        if not self.world.database.writable():
            self.flags["telegram"].set()  # the outbox tells of it without the database
        self.monitor_at = self.world.lanes.clock.now()
        return due

    def drain_updates(self) -> None:
        while self._updates:
            item = self._updates.popleft()
            if isinstance(item, bool):
                self.executor.on_stream(item)
            else:
                self.executor.on_trade_update(item)

    def drain_quotes(self) -> None:
        while self._quotes:
            item = self._quotes.popleft()
            if isinstance(item, bool):
                self.executor.desk.quote_stream_up = item
            else:
                self.executor.on_quote(item)

    def scan(self) -> datetime | None:
        """The lane of the engines: the scalper's half minutes, and what was gathered for the others."""
        session, now = self.executor.desk.session(), self.executor.desk.now()
        if session is None or now >= session.close:
            return now + timedelta(minutes=10)
        if now >= session.open and self.executor.desk.ready:
            self._hunt(self.hunt.scan, session, now)
        return self.hunt.next_pass(session, now, quick=True)

    def _hunt(
        self, step: Callable[[Session, datetime], bool], session: Session, now: datetime
    ) -> DataError | None:
        """Do ``step``; bars that do not come, or are old, count against entries."""
        try:
            if step(session, now):
                self._judge_data(session, now)
        except DataError as error:
            log.warning("no bars: %s", error)
            self.executor.desk.data_failed(str(error))
            return error
        return None

    def _judge_data(self, session: Session, now: datetime) -> None:
        """Data that arrive and are old are no data; the first bar of a session takes its minute."""
        age_s = self.world.market.data_age_s(now)
        if age_s is not None and age_s <= DATA_LIMIT_S:
            self.executor.desk.data_answered()
        elif (now - session.open).total_seconds() > DATA_LIMIT_S:
            old = "there is none" if age_s is None else f"it ended {age_s:.0f} s ago"
            self.executor.desk.data_failed(f"the newest bar is stale: {old}")

    def run_pipeline(self) -> datetime | None:
        """Another look at the end of day, then fetch what the slower engines look at, for ``scan``."""
        session, now = self.executor.desk.session(), self.executor.desk.now()
        if session is None or now >= session.close:
            return now + timedelta(minutes=10)
        if now < session.open:
            return self._before_open(session, now)
        self.executor.run_eod_check("pipeline")
        if self.executor.desk.ready and self._hunt(self.hunt.gather, session, now) is not None:
            return self.executor.desk.now() + GATHER_AGAIN
        self.flags["scan"].set()
        due = self.hunt.next_pass(session, now, quick=False)
        return now + PIPELINE_EVERY if due is None else min(due, now + PIPELINE_EVERY)

    def _before_open(self, session: Session, now: datetime) -> datetime:
        """Once the day's names are known, what is of earlier sessions is fetched; when to come back."""
        if self._prepared != session.day and self.hunt.prepare(session):
            self._prepared = session.day
        if self._prepared == session.day:
            return session.open
        return min(session.open, max(now + PREPARE_AGAIN, session.open - AWAKE_BEFORE_OPEN))

    def run_eod_check(self) -> datetime | None:
        """Every minute: is it past the time, and is flat proven?"""
        now = self.executor.desk.now()
        if self.executor.desk.in_session():
            log.info("EOD check ran at %s", eastern_text(now))
            self.executor.run_eod_check("scheduled")
            self.executor.desk.bell.set()
        start = now.replace(second=0, microsecond=0)
        return start + EOD_EVERY

    def turn_day(self) -> datetime | None:
        """Wake for the session, and report after it."""
        return self._day.turn(self.account)

    def consume(self) -> datetime | None:
        """Hand new journal events to whoever lives on them."""
        try:
            try:
                self._outcomes.catch_up()
                self._lessons.catch_up()
            finally:  # a bad event of one consumer silences no other
                if self._alerts.catch_up():
                    self.flags["telegram"].set()
        except DatabaseUnavailable:  # /health says so; what waits is read when it opens
            return self.executor.desk.now() + timedelta(seconds=RETRY_S)
        return None

    def send_alerts(self) -> datetime | None:
        wait = self.outbox.step()
        return None if wait is None else self.world.lanes.clock.now() + timedelta(seconds=wait + 0.001)

    def serve_owner(self) -> datetime:
        """Do what the owner asked for; a halt file that he made by hand becomes a pause that shows."""
        while self._requests:
            verb, argument, promise = self._requests.popleft()
            try:
                promise.resolve(daemon_owner.do(self.executor, verb, argument))
            except (OSError, CommandRefused) as error:
                promise.fail(CommandRefused(f"{verb}: {error}"))
        daemon_owner.tend(self.executor)
        return self.executor.desk.now() + HALT_EVERY

    # the owner

    def uptime_s(self) -> float:
        return (self.world.lanes.clock.now() - self.started_at).total_seconds()

    def monitor_age_s(self) -> float | None:
        """Seconds since the monitor finished a pass; None before the first."""
        seen = self.monitor_at
        return None if seen is None else (self.world.lanes.clock.now() - seen).total_seconds()

    def facts(self) -> Facts:
        """What is true now, from memory."""
        return gather(
            Sources(
                executor=self.executor,
                settings=self.world.settings,
                market=self.world.market,
                database=self.world.database,
                heartbeats=self.heartbeats,
                chat_up=self.outbox.chat_up(),
                account=self.account,
                started_at=self.started_at,
                monitor_at=self.monitor_at,
                warnings=self.warnings(),
            )
        )

    def record_stop(self) -> None:
        """Journal that the daemon stops, and what it leaves unwatched."""
        held = self.executor.get_options_positions()
        session = self.executor.desk.session()
        today = [p for p in held if session is not None and p.expiry == session.day]
        told = self._journal(
            EventKind.STOPPED,
            {
                "positions": len(held),
                "expiring_today": len(today),
                "symbols": [p.symbol for p in held],
            },
        )
        told.wait(STOP_WAIT_S)

    def _record_start(self) -> None:
        told = start_words(self.world.settings, self.executor.desk, self.account, self.warnings())
        now = self.world.lanes.clock.now()

        def write(conn: sqlite3.Connection) -> None:
            first = conn.execute("SELECT 1 FROM events WHERE kind = 'started' LIMIT 1").fetchone() is None
            journal.append(conn, now, EventKind.STARTED, {"first_start": first, **told})

        self.world.database.transact(write)

    def warnings(self) -> tuple[str, ...]:
        """What the owner should know about the configuration and the installation."""
        return (*warnings_of(self.world.settings, chat=self.world.chat is not None), *self.missing)

    def _journal(
        self,
        kind: EventKind,
        data: Mapping[str, object],
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> Promise[None]:
        now = self.world.lanes.clock.now()

        def write(conn: sqlite3.Connection) -> None:
            journal.append(conn, now, kind, data)
            if also is not None:
                also(conn)

        return self.world.database.transact(write)

    def _fetch_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        try:
            return self.world.market.option_quotes(symbols)
        except DataError as error:
            raise Unavailable(str(error)) from error


def _engines(world: World, executor: AlpacaExecutor) -> Host:
    """The engines that are switched on, and what they work with."""
    viewer = Viewer(world.market, world.lanes, lambda: executor.desk.calendar)
    lessons = Lessons(world.settings, world.database)
    paper = PaperDesk(world.database, world.settings.wsb_snake_cutoff_flatten)
    judge = Judge(Contracts(world.settings, world.market), lessons, paper, executor, world.database)
    return Host(strategies(world.settings), viewer, judge, lessons, Climate(), executor)
