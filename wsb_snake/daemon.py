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
from datetime import datetime, timedelta
from typing import Protocol

from wsb_snake.collectors.market_data import DataError, MarketData
from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_text
from wsb_snake.core.events import EventKind
from wsb_snake.core.health import Facts
from wsb_snake.core.heartbeats import Heartbeats
from wsb_snake.core.lane_loop import LaneSpec
from wsb_snake.core.lanes import Flag, Lanes, Promise
from wsb_snake.core.types import Quote
from wsb_snake.daemon_facts import Sources, gather
from wsb_snake.daemon_start import check_account, start_words, wall, warnings_of
from wsb_snake.daily import daily_report, report_due_at
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.journal import Consumer
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.engines.universe import ZERO_DTE
from wsb_snake.hunt import ScalperHunt
from wsb_snake.learning import outcome_recorder
from wsb_snake.notifications import outbox
from wsb_snake.notifications.chat import Chat
from wsb_snake.trading.alpaca_executor import AlpacaExecutor
from wsb_snake.trading.broker import Account, Broker, BrokerError, TradeUpdate, Unavailable
from wsb_snake.trading.desk import Ports
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, rungs

SCAN_EVERY = timedelta(seconds=30)
SCAN_OFFSET = timedelta(seconds=2)
"""Bars are asked for this long after the half minute, when the feed has them."""

PIPELINE_EVERY = timedelta(minutes=10)
EOD_EVERY = timedelta(minutes=1)
AWAKE_BEFORE_OPEN = timedelta(minutes=30)
RETRY_S = 5.0
HALT_EVERY = timedelta(seconds=5)
STOP_WAIT_S = 1.0

log = logging.getLogger(__name__)


class CommandRefused(Exception):
    """What the owner asked cannot be done; the text is one line."""


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
            )
        )
        self.hunt = ScalperHunt(world.settings, world.market, executor, world.database)
        self.outbox = outbox.Outbox(world.database, world.chat, world.lanes.clock)
        self._outcomes = Consumer(world.database, "outcomes", outcome_recorder.record)
        self._alerts = Consumer(world.database, "alerts", outbox.enqueue)
        self._updates: deque[TradeUpdate | bool] = deque()
        self._quotes: deque[Quote | bool] = deque()
        self._subscribed: frozenset[str] = frozenset()
        self._requests: deque[tuple[str, str | None, Promise[str]]] = deque()
        self._awake_for: str | None = None
        self.flags = {
            name: Flag(world.lanes, f"bell-{name}")
            for name in ("scan", "pipeline", "eod", "day", "journal", "telegram", "stream", "quotes", "owner")
        }

    # start

    def load(self) -> None:
        """Take up the database: positions, orders, pauses, the engine's memory."""
        with self.world.database.get_connection() as conn:
            self.executor.load(conn)
            self.hunt.load(conn)
            self._awake_for = get_meta(conn, "awake_for")

    def connect_account(self) -> None:
        """Check whose account this is. Raises StartRefused, or BrokerError when nobody answers."""
        self.account = check_account(self.world.broker, self.world.database, self.world.settings)

    def agree(self) -> None:
        """The first reconciliation; from here on entries may go. Raises BrokerError."""
        if self.account is None:
            raise RuntimeError("connect_account comes first")
        self.executor.read_calendar()
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
        flags = self.flags
        return (
            LaneSpec("monitor", self.monitor_once, self.executor.desk.bell),
            LaneSpec("stream", self.drain_updates, flags["stream"]),
            LaneSpec("quotes", self.drain_quotes, flags["quotes"]),
            LaneSpec("scan", self.scan, flags["scan"]),
            LaneSpec("pipeline", self.run_pipeline, flags["pipeline"]),
            LaneSpec("eod", self.run_eod_check, flags["eod"]),
            LaneSpec("day", self.turn_day, flags["day"]),
            LaneSpec("journal", self.consume, self.world.database.committed),
            LaneSpec("telegram", self.send_alerts, flags["telegram"]),
            LaneSpec("owner", self.serve_owner, flags["owner"]),
        )

    def monitor_once(self) -> datetime | None:
        """One pass over every position and order, and the end of day."""
        due = self.executor.monitor()
        wanted = frozenset(self.executor.desk.held_symbols())
        if self.quote_feed is not None and wanted != self._subscribed:
            self._subscribed = wanted
            self.quote_feed.set_symbols(wanted)
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
        """The scalper's pass, on the half minutes of the session."""
        session, now = self.executor.desk.session(), self.executor.desk.now()
        if session is None or now >= session.close:
            return now + timedelta(minutes=10)
        if now >= session.open and self.executor.desk.ready:
            try:
                self.hunt.step(session, now)
            except DataError as error:
                log.warning("no bars: %s", error)
        return max(_next_step(now, session.open, SCAN_EVERY, SCAN_OFFSET), session.open + SCAN_OFFSET)

    def run_pipeline(self) -> datetime | None:
        """Every ten minutes: the market's mood, and another look at the end of day."""
        session, now = self.executor.desk.session(), self.executor.desk.now()
        if session is None or now >= session.close:
            return now + timedelta(minutes=10)
        if now >= session.open:
            vix = self.world.market.vix(now)
            log.info("pipeline at %s, VIX %s", eastern_text(now), "unknown" if vix is None else f"{vix:.1f}")
            self.executor.run_eod_check("pipeline")
        return max(_next_step(now, session.open, PIPELINE_EVERY, timedelta(seconds=7)), session.open)

    def run_eod_check(self) -> datetime | None:
        """Every minute: is it past the time, and is flat proven?"""
        now = self.executor.desk.now()
        session = self.executor.desk.session()
        if session is not None and session.open <= now < session.close:
            log.info("EOD check ran at %s", eastern_text(now))
            self.executor.run_eod_check("scheduled")
            self.executor.desk.bell.set()
        start = now.replace(second=0, microsecond=0)
        return start + EOD_EVERY

    def turn_day(self) -> datetime | None:
        """Wake for the session, and report after it."""
        desk, now = self.executor.desk, self.executor.desk.now()
        session = desk.session()
        if session is None:
            return now + timedelta(minutes=10)
        wakes_at = session.open - AWAKE_BEFORE_OPEN
        if wakes_at <= now < session.close and desk.ready:
            self._wake_for(session)
        if now >= report_due_at(session):
            daily_report(self.world.database, session, desk.eod, now)
        moments = (wakes_at, report_due_at(session))
        ahead = [moment for moment in moments if moment > now]
        return min([*ahead, now + timedelta(minutes=1)])

    def consume(self) -> None:
        """Hand new journal events to whoever lives on them."""
        try:
            self._outcomes.catch_up()
        finally:  # a bad event of one consumer silences no other
            if self._alerts.catch_up():
                self.flags["telegram"].set()

    def send_alerts(self) -> datetime | None:
        wait = self.outbox.step()
        return None if wait is None else self.world.lanes.clock.now() + timedelta(seconds=wait + 0.001)

    def serve_owner(self) -> datetime:
        """Do what the owner asked for; a halt file that he made by hand becomes a pause that shows."""
        while self._requests:
            verb, argument, promise = self._requests.popleft()
            try:
                promise.resolve(self._do(verb, argument))
            except (OSError, CommandRefused) as error:
                promise.fail(CommandRefused(f"{verb}: {error}"))
        if self.executor.desk.halted():
            self.executor.desk.pauses.set("manual", "the file halt is in the data directory")
        return self.executor.desk.now() + HALT_EVERY

    # the owner

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

    def _do(self, verb: str, argument: str | None) -> str:
        executor, desk = self.executor, self.executor.desk
        if verb == "flatten":
            claimed = executor.close_all() if argument == "all" else executor.close_all_0dte_positions()
            if not claimed:
                return "nothing to close, or it is being closed already; see status"
            return f"closing {claimed} positions; watch status until they are gone"
        if verb == "close":
            named = {
                p.symbol for p in executor.get_options_positions() if argument in {p.symbol, p.underlying}
            }
            claimed = sum(executor.close_position(symbol) for symbol in sorted(named))
            return f"closing {claimed} positions in {argument}"
        if verb == "halt":
            desk.pauses.set("manual", "halted by the owner")
            try:
                desk.halt_file.touch(mode=0o600)
            except OSError as error:
                return f"halted, but not across a restart ({error.strerror}): no new entries"
            return "halted: no new entries; open positions are watched and closed as usual"
        if verb == "resume":
            desk.halt_file.unlink(missing_ok=True)
            desk.pauses.clear("manual")
            left = ", ".join(pause.reason for pause in desk.pauses.listed())
            return f"resumed; still paused by: {left}" if left else "resumed: entries may go"
        if verb == "eod":
            executor.run_eod_check("owner")
            return "EOD check ran"
        raise CommandRefused("not available yet")

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
        with self.world.database.get_connection() as conn:
            first = conn.execute("SELECT COUNT(*) FROM events WHERE kind = 'started'").fetchone()[0] == 0
        told = start_words(self.world.settings, self.executor.desk, self.account, self.warnings())
        self._journal(EventKind.STARTED, {"first_start": first, **told})

    def warnings(self) -> tuple[str, ...]:
        """What the owner should know about the configuration."""
        return warnings_of(self.world.settings, chat=self.world.chat is not None)

    def _wake_for(self, session: Session) -> None:
        """Once a session: the day's contracts, a fresh calendar, and the word that we are awake."""
        desk = self.executor.desk
        if self.hunt.names_day != session.day:
            try:
                self.executor.read_calendar()
                listed = self.world.broker.contracts_expiring(ZERO_DTE, session.day)
            except BrokerError as error:
                log.warning("the day's contracts cannot be read yet: %s", error)
                return
            names = {contract.underlying for contract in listed}
            self.hunt.names = tuple(name for name in ZERO_DTE if name in names)
            self.hunt.names_day = session.day
            desk.book.forget_before(desk.day_start())
            if any(p.reason == "daily_loss" and p.since < desk.day_start() for p in desk.pauses.listed()):
                desk.pauses.clear("daily_loss")
        if self._awake_for == session.day.isoformat() or self.account is None:
            return
        self._awake_for = session.day.isoformat()
        account = desk.pollers.account.latest
        words: dict[str, object] = {
            "session": session.day.isoformat(),
            "account": self.account.number,
            "mode": self.world.settings.mode,
            "equity": self.account.equity if account is None else account.value.equity,
            "limits": desk.limits.text(),
            "zero_dte_entries_end_et": wall(rungs(session, "TSLA", cutoff_flatten=True).entries_end),
            "eod_at_et": wall(session.close - EOD_BEFORE_CLOSE),
            "close_at_et": wall(session.close),
        }
        day = session.day.isoformat()
        self._journal(EventKind.AWAKE, words, lambda conn: set_meta(conn, "awake_for", day))

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


def _next_step(now: datetime, origin: datetime, every: timedelta, offset: timedelta) -> datetime:
    """The next moment of the grid ``origin + offset + n * every``."""
    passed = (now - origin - offset) // every
    return origin + offset + (passed + 1) * every
