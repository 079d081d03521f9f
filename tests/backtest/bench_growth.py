"""What one process gains in memory and on disk: ``python -m tests.backtest.bench_growth [--days 20]``.

The production daemon lives through that many seeded sessions on a virtual clock, with every engine, its
alerts and its reports. At the end of each day the embedded exchange gives way to the next day's, with what
is held and the cash. One line a day: resident memory after a collection, bytes on disk, positions so far.
"""

import argparse
import gc
import json
import logging
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast

from wsb_snake.backtest.driver import DEMO_DAY
from wsb_snake.backtest.embedded import embedded_settings
from wsb_snake.backtest.sim_broker import SimBroker, SimChat, SimQuoteFeed, trade_update
from wsb_snake.backtest.sim_source import SimSource, SimVix
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.collectors.sources import Source
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.hub import Hub
from wsb_snake.core.lane_loop import run_lane
from wsb_snake.core.lanes import Flag
from wsb_snake.daemon import Daemon, World
from wsb_snake.db.database import Database
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.service import BOT_TOKEN, KEY, POLYGON_KEY, SECRET
from wsb_snake.sim.sessions import session_after
from wsb_snake.sim.telegram_api import CHAT_ID, TelegramApi
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Broker

SEED = 7
STARTS_BEFORE_OPEN, TURNS_AFTER_CLOSE = timedelta(minutes=5), timedelta(hours=3)
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Evening:
    """What stands at the end of a day; ``opened``: positions since the first day."""

    day: str
    resident_mb: float
    disk_mb: float
    opened: int
    held: int


class _Present:
    """Stands for today's broker or source; the daemon sees no change."""

    def __init__(self, present: object) -> None:
        self.present = present

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.present, name)
        if not callable(found):
            return found
        return lambda *given: getattr(self.present, name)(*given)  # who keeps it reaches tomorrow's too


class LongLife:
    """One daemon over many sessions, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        market = SeededMarket(DEMO_DAY, SEED)
        self._folder = folder
        self._clock = VirtualClock(market.session.open - STARTS_BEFORE_OPEN)
        self._hub = Hub(self._clock, SEED)
        self._exchange = Exchange(self._clock, market, SEED)
        self._stopping = Flag(self._hub, "stopping")
        self._failures: list[Exception] = []
        self._broker = _Present(SimBroker(self._exchange, self._hub))
        self._source = _Present(SimSource(self._exchange, self._hub))
        self._vix = _Present(SimVix(self._exchange, self._hub))
        telegram = TelegramApi(BOT_TOKEN, self._clock)
        server = ExchangeServer(
            self._exchange,
            AlpacaApi(self._exchange, KEY, SECRET),
            PolygonApi(self._exchange, POLYGON_KEY),
            telegram,
        )
        settings = embedded_settings(server.environment(), folder)
        self._database = Database(settings.db_path, self._hub)
        world = World(
            settings,
            self._hub,
            self._database,
            cast(Broker, self._broker),
            MarketData(cast(Source, self._source), cast(Source, self._vix), self._clock),
            SimChat(telegram, str(CHAT_ID)),
            random.Random(SEED),
            lambda lane, error: self._failures.append(error),
        )
        self._daemon = Daemon(world, alpaca_executor)
        self._listen()

    def evenings(self, days: int) -> Iterator[Evening]:
        """Live through ``days`` sessions. Raises what a lane raised."""
        self._start()
        for _ in range(days):
            turn = self._exchange.market.session.close + TURNS_AFTER_CLOSE
            self._hub.run(partial(self._is_over, turn))
            if self._failures:
                raise self._failures[0]
            yield self._evening()
            self._next_day()

    def close(self) -> None:
        self._hub.close()

    def _start(self) -> None:
        daemon, hub = self._daemon, self._hub
        self._database.open()
        daemon.load()
        hub.spawn("exchange", self._tick)
        hub.spawn("start", self._agree)
        for spec in daemon.lanes():
            beat = daemon.heartbeats.beat
            hub.spawn(
                spec.name, partial(run_lane, hub, spec, self._stopping, beat, self._daemon.world.report_error)
            )
        alpaca_executor.start()

    def _listen(self) -> None:
        """The daemon hears the exchange of the day."""
        exchange, daemon = self._exchange, self._daemon
        exchange.on_trade_update(lambda message: daemon.take_update(trade_update(message)))
        exchange.on_quote(daemon.take_quote)
        daemon.quote_feed = SimQuoteFeed(exchange, daemon.take_quote_state)
        daemon.quote_feed.set_symbols(frozenset(alpaca_executor.desk.held_symbols()))
        daemon.take_stream_state(True)

    def _next_day(self) -> None:
        """The next session's exchange, with what the account holds and its cash."""
        before = self._exchange
        market = SeededMarket(session_after(before.market.day).day, SEED)
        held = before.account.holdings
        cost = sum((holding.cost_basis for holding in held), Decimal(0))
        self._exchange = Exchange(self._clock, market, SEED, cash=before.account.cash + cost)
        self._exchange.account_number = before.account_number
        for holding in held:
            self._exchange.hold(holding.symbol, holding.qty, holding.avg_price)
        self._broker.present = SimBroker(self._exchange, self._hub)
        self._source.present = SimSource(self._exchange, self._hub)
        self._vix.present = SimVix(self._exchange, self._hub)
        self._listen()

    def _agree(self) -> None:
        self._daemon.connect_account()
        self._daemon.agree()

    def _tick(self) -> None:
        while True:
            self._exchange.advance()
            now, session = self._clock.now(), self._exchange.market.session
            whole = now.replace(microsecond=0) + timedelta(seconds=1)
            asleep = now > session.close + timedelta(hours=1) or now < session.open - timedelta(hours=1)
            self._hub.sleep(60.0 if asleep else (whole - now).total_seconds())

    def _is_over(self, turn: datetime) -> bool:
        return bool(self._failures) or self._clock.now() >= turn

    def _evening(self) -> Evening:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        with self._database.get_connection() as conn:
            (opened,) = conn.execute("SELECT count(*) FROM positions").fetchone()
        return Evening(
            str(self._exchange.market.day),
            round(pages * os.sysconf("SC_PAGE_SIZE") / MB, 1),
            round(files / MB, 2),
            opened,
            len(self._exchange.account.holdings),
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="memory and disk of one daemon over many sessions")
    parser.add_argument("--days", type=int, default=20, help="how many sessions (default 20)")
    days = parser.parse_args().days
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        life = LongLife(Path(folder))
        for evening in life.evenings(days):
            sys.stdout.write(f"{json.dumps(asdict(evening))}\n")
            sys.stdout.flush()
        life.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
