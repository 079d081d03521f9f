"""One process of the daemon in a campaign: hub, database, ports and lanes, until it ends or dies."""

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wsb_snake.backtest.campaign.disk import Crashes, Disk, KeptReads
from wsb_snake.backtest.campaign.drill_chat import DrillChat
from wsb_snake.backtest.campaign.stream_wire import StreamWire
from wsb_snake.backtest.embedded import embedded_settings
from wsb_snake.backtest.sim_broker import SimBroker, SimQuoteFeed
from wsb_snake.backtest.sim_source import SimSource
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lane_loop import run_lane
from wsb_snake.core.lanes import Flag
from wsb_snake.core.transport import Handler
from wsb_snake.daemon import RETRY_S, Daemon, World
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.sim.exchange import Exchange
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Broker, BrokerError
from wsb_snake.vendors import connect_broker, connect_market

SKIPPED_LANES = frozenset({"scan"})
"""Where the hunter stands in the place of the engines."""


@dataclass(frozen=True, slots=True)
class Site:
    """What outlives a process: the exchange, the disk, the stream, the phone, and the owner's settings."""

    clock: VirtualClock
    exchange: Exchange
    stream: StreamWire
    disk: Disk
    chat: DrillChat
    seed: int
    urls: dict[str, str]
    chosen: dict[str, object]
    handler: Handler | None
    streams_quotes: bool
    engines: bool


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who looks on: at each point of a commit, at lanes that fail, at the broker, at what was loaded."""

    crashes: Crashes
    failed: Callable[[str, Exception], None]
    watched: Callable[[Broker], Broker]
    loaded: Callable[[], None]


class Incarnation:
    """The ``number``-th process on one site, on the database in ``folder``."""

    def __init__(self, site: Site, number: int, folder: Path, hooks: Hooks) -> None:
        self._site = site
        self._failed = hooks.failed
        self._loaded = hooks.loaded
        self._opened = False
        self.folder = folder
        self.hub = Hub(site.clock, site.seed * 1000 + number)
        self.settings = embedded_settings(site.urls, folder, **site.chosen)
        self.database = KeptReads(self.settings.db_path, self.hub, site.disk.connection(hooks.crashes))
        luck = random.Random(f"{site.seed}:{number}:orders")
        self.broker = hooks.watched(self._broker())
        world = World(
            self.settings,
            self.hub,
            self.database,
            self.broker,
            self._market(),
            site.chat.on(self.hub),
            luck,
            hooks.failed,
        )
        self.daemon = Daemon(world, alpaca_executor)
        self._stopping = Flag(self.hub, "stopping")
        self.exchange_bell = Flag(self.hub, "exchange")

    def _broker(self) -> Broker:
        site = self._site
        if site.handler is not None:
            return connect_broker(self.settings, self.hub, site.handler)
        return SimBroker(site.exchange, self.hub)

    def _market(self) -> MarketData:
        site = self._site
        if site.handler is not None:
            return connect_market(self.settings, self.hub, site.handler)
        return MarketData(SimSource(site.exchange, self.hub), None, site.clock)

    def start(self) -> None:
        """Open what there is and set every lane going."""
        daemon = self.daemon
        self._open()
        if self._site.streams_quotes:
            daemon.quote_feed = SimQuoteFeed(self._site.exchange, daemon.take_quote_state)
        self._site.stream.connect(daemon, self.hub)
        self.hub.spawn("exchange", self._tick)
        self.hub.spawn("start", self._agree)
        for spec in daemon.lanes():
            if self._site.engines or spec.name not in SKIPPED_LANES:
                self.hub.spawn(
                    spec.name,
                    partial(run_lane, self.hub, spec, self._stopping, daemon.heartbeats.beat, self._failed),
                )
        alpaca_executor.start()

    def kill(self) -> None:
        """Nothing of it runs any more."""
        self._site.stream.hang_up()
        self.hub.close()
        self.database.hang_up()

    def _open(self) -> None:
        """As in production: on a disk that cannot be used the daemon runs without entries."""
        try:
            self.database.open(self._take_up)
            self._opened = True
        except DatabaseUnavailable:
            self._opened = False

    def _take_up(self, conn: sqlite3.Connection) -> None:
        self.daemon.take_up(conn)
        self._loaded()

    def _agree(self) -> None:
        """Reach the broker and the disk; neither waits for the other."""
        agreed = False
        while not (agreed and self._opened):
            try:
                if not agreed:
                    if self.daemon.account is None:
                        self.daemon.connect_account()
                    self.daemon.agree()
                    agreed = True
            except (BrokerError, DatabaseUnavailable):
                self.daemon.not_agreed()
            if not self._opened:
                self._open()
            if not (agreed and self._opened):
                self.hub.sleep(RETRY_S)

    def _tick(self) -> None:
        """The exchange's own time: each second while it has something to do."""
        exchange, clock = self._site.exchange, self._site.clock
        while True:
            self.exchange_bell.clear()
            exchange.advance()
            due = exchange.next_event()
            wait = 5.0 if due is None else min(5.0, (due - clock.now()).total_seconds())
            self.exchange_bell.wait(max(0.0, wait))
