"""An exchange in the test's own process, in real time, that kills the daemon where it is told to.

Prices are the test's: what a contract trades at, and what its feed shows, may differ, so that a
closing order stays unfilled until the last step of its ladder.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tests.sim.bench import FakeMarket
from tests.sim.black_hole import BlackHole
from wsb_snake.core.clock import ShiftedClock
from wsb_snake.core.types import Quote
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import Action, Hang, NoFaults, Reset
from wsb_snake.sim.orders import SimOrder, TradeUpdateMessage
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.service import BOT_TOKEN, KEY, POLYGON_KEY, SECRET

MORNING = "2026-11-23T11:00:00-05:00"
LONGEST_WAIT_S = 0.2
_IDS = ("/v2/orders/", "/v2/positions/", "/v2/account/activities/")


@dataclass(frozen=True)
class Point:
    """The ``nth`` time of ``what``: a call (``POST /v2/orders``), an update (``update fill``) or a commit
    with such an event (``commit exit_sent``), which the daemon's own entry script watches.

    A call is struck ``before`` or ``after`` it takes effect, a commit also ``inside``; counting begins
    once ``since`` was seen.
    """

    what: str
    nth: int = 1
    when: str = "before"
    since: str = ""

    def __str__(self) -> str:
        return f"{self.when} {self.what} {self.nth}" + (f" since {self.since}" if self.since else "")


class Strikes(NoFaults):
    """Kills ``pid`` at ``point``; loses the answers and hangs the calls that it is told to."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.point: Point | None = None
        self.seen: Counter[str] = Counter()
        self.lost: tuple[str, int] | None = None  # the answer to the n-th of these calls never arrives
        self.hanging: tuple[str, ...] = ()  # beginnings of calls
        self.shown: dict[str, tuple[str, str]] = {}  # what the feed shows where that is not what trades
        self.posts = 0  # orders that reached the exchange, taken or refused

    def arm(self, point: Point | None) -> None:
        """Count anew for the process that is started next; name its ``pid`` at once."""
        self.seen.clear()
        self.pid, self.point = None, point

    def before(self, call: str, at: datetime) -> Action:
        if call.startswith(self.hanging):
            return Hang()
        name = _plain(call)
        self._count(name)
        return Reset() if self._strike(name, "before") else None

    def after(self, call: str, at: datetime) -> Action:
        name = _plain(call)
        self.posts += name == "POST /v2/orders"
        if self._strike(name, "after") or (name, self.seen[name]) == self.lost:
            return Reset()
        return None

    def trade_update(self, message: TradeUpdateMessage) -> tuple[TradeUpdateMessage, ...]:
        name = f"update {message.event}"
        self._count(name)
        self._strike(name, "before")
        return (message,)

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        bid, ask = self.shown.get(quote.symbol, (quote.bid, quote.ask))
        return replace(quote, bid=Decimal(bid), ask=Decimal(ask))

    def _count(self, name: str) -> None:
        point = self.point
        if point is None or point.what != name or not point.since or self.seen[point.since]:
            self.seen[name] += 1

    def _strike(self, name: str, when: str) -> bool:
        point = self.point
        struck = point is not None and (point.what, point.nth, point.when) == (name, self.seen[name], when)
        if struck and self.pid is not None:
            self.point = None
            os.kill(self.pid, signal.SIGKILL)
        return struck


def _plain(call: str) -> str:
    """The call without ids."""
    for prefix in _IDS:
        head, found, _ = call.partition(prefix)
        if found:
            return f"{head}{prefix}*"
    return call


class LiveMarket(FakeMarket):
    """``FakeMarket`` whose quotes carry the present second."""

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        quote = super().option_quote(symbol, at)
        return None if quote is None else replace(quote, at=at.replace(microsecond=0))


@dataclass(frozen=True)
class Venue:
    """One served exchange."""

    market: LiveMarket
    exchange: Exchange
    faults: Strikes
    telegram: BlackHole
    server: ExchangeServer
    environment: dict[str, str]

    def orders(self) -> list[SimOrder]:
        """Every order that the exchange has, oldest first."""
        with self.exchange.lock:
            return self.exchange.orders(status="all", limit=500, direction="asc")

    def held(self) -> dict[str, int]:
        with self.exchange.lock:
            return {p.holding.symbol: p.holding.qty for p in self.exchange.positions()}


@contextmanager
def venue(
    start_at: str = MORNING,
    rules: Rules | None = None,
    market: LiveMarket | None = None,
    faults: Strikes | None = None,
    reach: frozenset[int] = frozenset(),
) -> Iterator[Venue]:
    """Serve until the block ends. At its beginning "now" means ``start_at``; for ``reach`` see BlackHole."""
    market = market or LiveMarket()
    clock = ShiftedClock(datetime.fromisoformat(start_at))
    strikes, telegram = faults or Strikes(), BlackHole(BOT_TOKEN, clock, reach)
    exchange = Exchange(
        clock, market, 7, rules or Rules(partial_fill_chance=0, fill_beats_cancel_chance=0), strikes
    )
    alpaca, polygon = AlpacaApi(exchange, KEY, SECRET), PolygonApi(exchange, POLYGON_KEY)
    server = ExchangeServer(exchange, alpaca, polygon, telegram)
    server.start()
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_time, args=(exchange, stop), name="time")
    keeper.start()
    try:
        environment = server.environment() | {"WSB_SNAKE_CLOCK_START": "broker"}
        yield Venue(market, exchange, strikes, telegram, server, environment)
    finally:
        stop.set()
        keeper.join()
        server.stop()


def _keep_time(exchange: Exchange, stop: threading.Event) -> None:
    wait_s = 0.0
    while not stop.wait(wait_s):
        with exchange.lock:
            exchange.advance()
            due = exchange.next_event()
        left = LONGEST_WAIT_S if due is None else (due - exchange.clock.now()).total_seconds()
        wait_s = min(LONGEST_WAIT_S, max(0.0, left))
