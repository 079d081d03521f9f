"""A served exchange on a virtual clock, for tests of what goes over sockets."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.types import Right
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import Faults
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.telegram_api import TelegramApi

DAY = date(2026, 11, 24)
KEY, SECRET, POLYGON_KEY, BOT_TOKEN = "key", "secret", "polygon", "7:token"


@dataclass(frozen=True)
class World:
    market: SeededMarket
    clock: VirtualClock
    exchange: Exchange
    alpaca: AlpacaApi
    polygon: PolygonApi
    telegram: TelegramApi
    server: ExchangeServer

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.server.port}"

    def polled(self) -> bool:
        """Whether the server holds a long poll of Telegram's."""
        held = self.server._held
        return held is not None and not held.done()

    def pass_time(self, seconds: float) -> None:
        """Move the clock and let the exchange catch up, as whoever drives it does."""
        with self.exchange.lock:
            self.clock.advance_to(self.clock.monotonic() + seconds)
            self.exchange.advance()

    def near_the_money(self, count: int = 1) -> list[str]:
        """SPY calls that expire today, nearest strike first."""
        spot = Decimal(str(self.market.spot("SPY", self.clock.now())))
        contracts = [row.contract for row in self.market.contracts("SPY")]
        today = [c for c in contracts if c.expiry == DAY and c.right is Right.CALL]
        return [c.symbol for c in sorted(today, key=lambda c: abs(c.strike - spot))[:count]]


@contextmanager
def served(into_session: timedelta = timedelta(hours=1), faults: Faults | None = None) -> Iterator[World]:
    """An exchange that far into its session, on a free port."""
    market = SeededMarket(DAY, seed=7)
    clock = VirtualClock(market.session.open + into_session)
    exchange = Exchange(clock, market, 7, Rules(partial_fill_chance=0.0), faults)
    alpaca, polygon = AlpacaApi(exchange, KEY, SECRET), PolygonApi(exchange, POLYGON_KEY)
    telegram = TelegramApi(BOT_TOKEN, clock)
    server = ExchangeServer(exchange, alpaca, polygon, telegram)
    server.start()
    try:
        yield World(market, clock, exchange, alpaca, polygon, telegram, server)
    finally:
        server.stop()


def wait_until(ready: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that another thread does. Raises AssertionError when it does not."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not ready():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


def at(day: date, hour: int, minute: int) -> datetime:
    """A US/Eastern time of ``day`` in winter, UTC."""
    return datetime.fromisoformat(f"{day}T{hour:02d}:{minute:02d}:00-05:00")
