"""The whole pipeline on the vendors' clients, answered in process by the embedded exchange."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from wsb_snake.backtest.embedded import embedded_settings, seam
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.signals import Signal
from wsb_snake.core.transport import Handler, WireReply, WireRequest
from wsb_snake.engines.universe import ZERO_DTE
from wsb_snake.hunting.strategies import strategies
from wsb_snake.hunting.view import DAILY_DAYS, Look, Needs, Viewer, narrowed
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.service import BOT_TOKEN, KEY, POLYGON_KEY, SECRET
from wsb_snake.sim.telegram_api import TelegramApi
from wsb_snake.vendors import connect_market

DAY = date(2026, 11, 20)
"""A Friday: every name of the universe lists contracts that expire today."""
EVERY_NAME = frozenset(ZERO_DTE)
HISTORY = timedelta(days=25)
"""Holds the 14 sessions before."""


@dataclass(frozen=True)
class Pass:
    """One pass: what it saw and found, requests by path, seconds of waiting and of computing."""

    look: Look
    signals: tuple[Signal, ...]
    requests: Counter[str]
    fetched_s: float
    computed_s: float
    cpu_s: float  # of the process without the exchange in it
    exchange_s: float  # CPU of the exchange


class Room:
    """``latency_s`` of real time on every call; the exchange's clock stands still between ``at``."""

    def __init__(self, folder: Path, latency_s: float = 0.0, seed: int = 7, plan: str = "advanced") -> None:
        self.exchange_market = market = SeededMarket(DAY, seed)
        self.session = Session(DAY, market.session.open, market.session.close)
        self.clock = VirtualClock(market.session.open)
        exchange = Exchange(self.clock, market, seed)
        alpaca, polygon = AlpacaApi(exchange, KEY, SECRET), PolygonApi(exchange, POLYGON_KEY)
        telegram = TelegramApi(BOT_TOKEN, self.clock)
        urls = ExchangeServer(exchange, alpaca, polygon, telegram).environment()
        self.settings = embedded_settings(urls, folder).model_copy(update={"polygon_plan": plan})
        self.requests: Counter[str] = Counter()
        self._latency_s = latency_s
        self._exchange_s: list[float] = []  # of CPU, one a call
        lanes = ThreadLanes(self.clock)
        self.market = connect_market(self.settings, lanes, self._counted(seam(alpaca, polygon)))
        calendar = MarketCalendar()
        self.viewer = Viewer(self.market, lanes, lambda: calendar)
        self.strategies = strategies(self.settings)

    def warm(self) -> None:
        """Let the exchange draw what it draws at the first question: a vendor has it ready."""
        market = self.exchange_market
        for name in market.symbols():
            market.bars(name, self.session.open - HISTORY, self.session.close, self.session.close)
            market.daily_bars(name, DAY - timedelta(days=DAILY_DAYS), DAY)
            market.contracts(name)
        market.headlines(self.session.open - HISTORY, self.session.close)

    def at(self, after_open: timedelta) -> datetime:
        """Move the clock there."""
        moment = self.session.open + after_open
        self.clock.advance_to(self.clock.monotonic() + (moment - self.clock.now()).total_seconds())
        return moment

    def pass_of(self, engines: frozenset[str], now: datetime) -> Pass:
        """One pass of ``engines`` over every name."""
        watch = SystemClock()
        before = self.requests.copy()
        due = [(s, s.needs(EVERY_NAME)) for s in self.strategies if s.engine in engines]
        needs = Needs()
        for _, wanted in due:
            needs |= wanted
        self._exchange_s.clear()
        began, cpu = watch.monotonic(), time.process_time()
        look = self.viewer.look(needs, self.session, now)
        fetched = watch.monotonic()
        weights = {"ignition": 1.0, "pressure": 1.0, "surge": 1.0}
        signals = [found for s, wanted in due for found in s.scan(narrowed(look.view, wanted), weights)]
        return Pass(
            look,
            tuple(signals),
            self.requests - before,
            fetched - began,
            watch.monotonic() - fetched,
            time.process_time() - cpu - sum(self._exchange_s),
            sum(self._exchange_s),
        )

    def _counted(self, handler: Handler) -> Handler:
        def answer(request: WireRequest) -> WireReply:
            self.requests[request.url.split("?")[0].split("/", 3)[-1]] += 1
            time.sleep(self._latency_s)
            began = time.thread_time()
            reply = handler(request)
            self._exchange_s.append(time.thread_time() - began)
            return reply

        return answer
