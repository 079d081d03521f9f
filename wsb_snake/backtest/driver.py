"""Drives the production daemon through one whole session on a virtual clock.

The lanes are greenlets on a seeded hub; the exchange is the embedded one. Three depths give the same
order list: ``http`` (the real clients over loopback, in lockstep), ``wire`` (the real clients, answered
in process below them) and ``port`` (no clients, the Broker port itself).
"""

import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Literal

from wsb_snake.backtest.embedded import embedded_settings, seam
from wsb_snake.backtest.limit_check import Figures, check, fills_of
from wsb_snake.backtest.sim_broker import SimBroker, SimChat, SimQuoteFeed, trade_update
from wsb_snake.backtest.sim_source import SimSource, SimVix
from wsb_snake.backtest.summary import DayResult, collect
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.health import Facts
from wsb_snake.core.hub import Hub
from wsb_snake.core.lane_loop import run_lane
from wsb_snake.core.lanes import Flag
from wsb_snake.core.types import Quote, Right
from wsb_snake.daemon import Daemon, World
from wsb_snake.db.database import Database
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.market import Market, SeededMarket
from wsb_snake.sim.orders import NewOrder
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.recorded import RecordedMarket
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.service import BOT_TOKEN, KEY, POLYGON_KEY, SECRET
from wsb_snake.sim.sessions import session_of
from wsb_snake.sim.telegram_api import CHAT_ID, TelegramApi
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import TradeUpdate
from wsb_snake.vendors import Sinks, Streams, connect_broker, connect_chat, connect_market

DEMO_DAY = date(2026, 11, 24)
"""A regular session; a fixed one, so that a seed gives the same day whenever it is asked for."""

Depth = Literal["http", "wire", "port"]

BOUGHT_BY_HAND = (timedelta(hours=5), timedelta(minutes=48))
"""When before the close of a full session somebody buys one SPY call at the broker: the day shows how the
daemon adopts it, and that it closes it by time, at the cut-off or at the end of day."""

IN_THE_MONEY = 0.03
"""How deep that call is, so that its price moves slowly."""

FULL_SESSION = timedelta(hours=6)
STARTS_BEFORE_OPEN = timedelta(minutes=5)
ENDS_AFTER_CLOSE = timedelta(minutes=17)
SETTLE_LIMIT_S = 20.0
PROGRESS_EVERY_S = 60.0


class DriverError(Exception):
    """The day cannot be driven; the text is one line for the user."""


@dataclass(frozen=True, slots=True)
class DayPlan:
    """Which session to drive and how. ``data`` is a folder of recorded chain days, None: seeded."""

    day: date
    seed: int
    depth: Depth = "http"
    data: Path | None = None
    rules: Rules | None = None


def run_day(plan: DayPlan, progress: Callable[[Facts], None] | None = None) -> DayResult:
    """Drive one session and collect what happened. Raises DriverError and ConfigError."""
    market = _market(plan)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wsb-snake-")))
        drive = _Drive(plan, market, folder)
        stack.callback(drive.close)
        drive.prepare()
        drive.run(progress)
        return drive.result()


def _market(plan: DayPlan) -> Market:
    if session_of(plan.day) is None:
        raise DriverError(f"{plan.day} is not a trading day; choose another --date")
    if plan.data is None:
        return SeededMarket(plan.day, plan.seed)
    return RecordedMarket(plan.data, plan.day, plan.seed)


class _Drive:
    """One day under way: exchange, hub and daemon."""

    def __init__(self, plan: DayPlan, market: Market, folder: Path) -> None:
        self._plan = plan
        self._clock = VirtualClock(market.session.open - STARTS_BEFORE_OPEN)
        self._end = market.session.close + ENDS_AFTER_CLOSE
        self.exchange = Exchange(self._clock, market, plan.seed, plan.rules)
        self._alpaca = AlpacaApi(self.exchange, KEY, SECRET)
        self._polygon = PolygonApi(self.exchange, POLYGON_KEY)
        self.telegram = TelegramApi(BOT_TOKEN, self._clock)
        self._server = ExchangeServer(self.exchange, self._alpaca, self._polygon, self.telegram)
        self._closing = ExitStack()
        urls = self._serve() if plan.depth == "http" else self._server.environment()
        self._settings = embedded_settings(urls, folder)
        self._lockstep = _Lockstep(self.exchange, self._server) if plan.depth == "http" else None
        settle = None if self._lockstep is None else self._lockstep.settle
        self._hub = Hub(self._clock, plan.seed, settle)
        self.database = Database(self._settings.db_path, self._hub)
        self._stopping = Flag(self._hub, "stopping")
        self._failure: Exception | None = None
        self._daemon = Daemon(self._world(), alpaca_executor)

    def _serve(self) -> dict[str, str]:
        self._server.start()
        self._closing.callback(self._server.stop)
        return self._server.environment()

    def _world(self) -> World:
        depth, hub, settings = self._plan.depth, self._hub, self._settings
        chat: SimChat | None = SimChat(self.telegram, str(CHAT_ID))
        luck = random.Random(f"{self._plan.seed}:orders")
        if depth == "port":
            broker = SimBroker(self.exchange, hub)
            market = MarketData(SimSource(self.exchange, hub), SimVix(self.exchange, hub), self._clock)
            return World(settings, hub, self.database, broker, market, chat, luck, self._fail)
        handler = seam(self._alpaca, self._polygon) if depth == "wire" else None
        real = connect_broker(settings, hub, handler)
        data = connect_market(settings, hub, handler)
        if depth == "wire":
            return World(settings, hub, self.database, real, data, chat, luck, self._fail)
        telegram = connect_chat(settings)
        if telegram is None:
            raise DriverError("the embedded exchange gave no chat")
        telegram.start()
        self._closing.callback(telegram.stop)
        return World(settings, hub, self.database, real, data, telegram, luck, self._fail)

    def prepare(self) -> None:
        """Open the database and connect the streams."""
        daemon = self._daemon
        self.database.open()
        daemon.load()
        if self._lockstep is None:
            self.exchange.on_trade_update(lambda message: daemon.take_update(trade_update(message)))
            self.exchange.on_quote(daemon.take_quote)
            daemon.quote_feed = SimQuoteFeed(self.exchange, daemon.take_quote_state)
            daemon.take_stream_state(True)
            return
        sinks = self._lockstep.sinks(daemon)
        streams = Streams(self._settings, self._hub, sinks)
        self._closing.callback(streams.stop)
        daemon.quote_feed = self._lockstep.feed(streams)
        streams.start()
        self._lockstep.wait_for_stream()

    def run(self, progress: Callable[[Facts], None] | None) -> None:
        """Run every lane until the day is over. Raises what a lane raised."""
        hub, daemon = self._hub, self._daemon
        hub.spawn("exchange", self._tick)
        hub.spawn("start", self._start)
        hub.spawn("by hand", self._buy_by_hand)
        for spec in daemon.lanes():
            hub.spawn(
                spec.name,
                partial(run_lane, hub, spec, self._stopping, daemon.heartbeats.beat, self._fail),
            )
        alpaca_executor.start()
        if progress is not None:
            hub.spawn("progress", lambda: self._report(progress))
        hub.run(self._over)
        if self._failure is not None:
            raise self._failure

    def result(self) -> DayResult:
        """What the day came to, its entries held against the limits."""
        exchange = self.exchange
        result = collect(self.database, exchange, self.telegram, alpaca_executor.desk)
        figures = Figures.of(self._settings, exchange.account.start_equity)
        checked = check(result.orders, fills_of(exchange.activities()), figures, result.day)
        return replace(result, limits=checked)

    def close(self) -> None:
        self._hub.close()
        self._closing.close()

    def _start(self) -> None:
        self._daemon.connect_account()
        self._daemon.agree()

    def _buy_by_hand(self) -> None:
        """The owner buys SPY calls that expire today, without asking the daemon."""
        market = self.exchange.market
        if market.session.close - market.session.open < FULL_SESSION:
            return
        for before_close in BOUGHT_BY_HAND:
            at = market.session.close - before_close
            self._hub.sleep((at - self._clock.now()).total_seconds())
            strike = Decimal(str(market.spot("SPY", at) * (1 - IN_THE_MONEY)))
            listed = (row.contract for row in self.exchange.listings("SPY").values())
            calls = [c for c in listed if c.expiry == market.day and c.right is Right.CALL]
            nearest = min(calls, key=lambda c: (abs(c.strike - strike), c.symbol))
            self.exchange.place(NewOrder(nearest.symbol, "buy", 1, "market", position_intent="buy_to_open"))

    def _tick(self) -> None:
        """The exchange's own time: it acts on every whole second of the day."""
        while True:
            self.exchange.advance()
            now = self._clock.now()
            ahead = now.replace(microsecond=0) + timedelta(seconds=1)
            self._hub.sleep((ahead - now).total_seconds())

    def _report(self, progress: Callable[[Facts], None]) -> None:
        while True:
            progress(self._daemon.facts())
            self._hub.sleep(PROGRESS_EVERY_S)

    def _over(self) -> bool:
        return self._failure is not None or self._clock.now() >= self._end

    def _fail(self, lane: str, error: Exception) -> None:
        """In simulation a lane's error is a finding: the day ends with it."""
        if self._failure is None:
            error.add_note(f"in lane {lane} at {self._clock.now()}")
            self._failure = error


class _Lockstep:
    """Holds the virtual clock until the streams' threads have delivered what the exchange emitted."""

    def __init__(self, exchange: Exchange, server: ExchangeServer) -> None:
        self._exchange = exchange
        self._server = server
        self._arrived = threading.Condition()
        self._updates = 0
        self._quotes = 0
        self._states = 0
        self._wanted: frozenset[str] = frozenset()

    def sinks(self, daemon: Daemon) -> Sinks:
        def update(message: TradeUpdate) -> None:
            daemon.take_update(message)
            with self._arrival():
                self._updates += 1

        def quote(message: Quote) -> None:
            daemon.take_quote(message)
            with self._arrival():
                self._quotes += 1

        def quote_state(up: bool) -> None:
            daemon.take_quote_state(up)
            with self._arrival():
                self._states += 1

        return Sinks(update, daemon.take_stream_state, quote, quote_state)

    def feed(self, streams: Streams) -> "_Lockstep._Feed":
        if streams.quotes is None:
            raise DriverError("the embedded exchange streams option quotes, and none is configured")
        return _Lockstep._Feed(self, streams.quotes.set_symbols)

    class _Feed:
        def __init__(self, lockstep: "_Lockstep", set_symbols: Callable[[frozenset[str]], None]) -> None:
            self._lockstep = lockstep
            self._set_symbols = set_symbols

        def set_symbols(self, wanted: frozenset[str]) -> None:
            self._lockstep._wanted = wanted
            self._set_symbols(wanted)

    def wait_for_stream(self) -> None:
        self._wait(lambda: self._server.trade_clients() == 1, "the trade stream did not connect")

    def settle(self) -> None:
        """Block until nothing is on its way; in real time, at most ``SETTLE_LIMIT_S``."""
        if not self._quiet():
            self._wait(self._quiet, "the streams did not deliver what the exchange emitted")

    def _quiet(self) -> bool:
        return (
            self._updates == self._exchange.emitted_updates
            and self._quotes == self._exchange.emitted_quotes
            and self._server.quote_subscriptions() == self._wanted
            and (not self._wanted or self._states > 0)
        )

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        left = SETTLE_LIMIT_S
        with self._arrived:
            while not ready():
                if left <= 0:
                    raise DriverError(what)
                # arrivals notify; subscriptions are only seen by looking
                self._arrived.wait(0.001)
                left -= 0.001

    @contextmanager
    def _arrival(self) -> Iterator[None]:
        with self._arrived:
            yield
            self._arrived.notify_all()
