"""The real executor in its daemon on a seeded hub, beside an exchange whose every price the test sets.

Nothing is faked but the market and the network: a real database file, the real lanes, the embedded
exchange. ``Troubles`` stands where the network would be.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.sim.bench import DAY, SPY_CALL, FakeMarket
from wsb_snake import config, daemon
from wsb_snake.backtest.sim_broker import SimBroker, SimQuoteFeed, trade_update
from wsb_snake.backtest.sim_source import SimSource
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import VirtualClock, eastern, from_eastern
from wsb_snake.core.events import EventKind
from wsb_snake.core.hub import Hub
from wsb_snake.core.lane_loop import run_lane
from wsb_snake.core.lanes import Flag
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import Order, Purpose
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Contract, Quote
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.notifications.chat import Chat
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import NoFaults
from wsb_snake.sim.orders import Intent, NewOrder, Side, SimOrder, TradeUpdateMessage
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import (
    Account,
    Activity,
    BrokerClock,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    OrderTicket,
    Rejected,
)
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.positions import Position

T = TypeVar("T")

CALM = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0)
SCALP = ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=45 * 60)
IDLE_LANES = frozenset({"scan"})
"""The hunt sees bars only; here the test is the hunter."""


@dataclass(frozen=True)
class Trouble:
    """What becomes of one call: it takes ``seconds``, takes effect or not, and ends in ``error``."""

    error: BrokerError
    effect: bool = False
    seconds: float = 0.0


class LiveMarket(FakeMarket):
    """``FakeMarket`` whose quotes carry the present second, unless ``stale`` names the contract."""

    def __init__(self, day: date = DAY) -> None:
        super().__init__(day)
        self.stale: dict[str, datetime] = {}

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        quote = super().option_quote(symbol, at)
        stamp = self.stale.get(symbol, at.replace(microsecond=0))
        return None if quote is None else replace(quote, at=stamp)


class Feed(NoFaults):
    """The quote feed: what it shows where that is not what the venue has."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[str, str]] = {}

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        bid, ask = self.shown.get(quote.symbol, (quote.bid, quote.ask))
        return replace(quote, bid=Decimal(bid), ask=Decimal(ask))


class FeedSource(SimSource):
    """Polled quotes come from the same feed as the streamed ones."""

    def __init__(self, exchange: Exchange, hub: Hub, feed: Feed) -> None:
        super().__init__(exchange, hub)
        self._feed = feed

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        told = super().option_quotes(symbols)
        seen = {symbol: self._feed.quote(quote, quote.at) for symbol, quote in told.items()}
        return {symbol: quote for symbol, quote in seen.items() if quote is not None}


class Troubles:
    """The exchange as a ``Broker`` over a network that fails as it is told."""

    def __init__(self, exchange: Exchange, hub: Hub) -> None:
        self._broker = SimBroker(exchange, hub)
        self._hub = hub
        self.once: dict[str, list[Trouble]] = {}
        self.always: dict[str, BrokerError] = {}
        self.shown: dict[str, Any] = {}  # what a reading shows instead of the truth
        self.calls: list[tuple[str, datetime, object]] = []
        self.refusals: list[str] = []

    def sent(self) -> list[OrderTicket]:
        return [
            detail for name, _, detail in self.calls if name == "submit" and isinstance(detail, OrderTicket)
        ]

    def _call(self, name: str, work: Callable[[], T], detail: object = None) -> T:
        self.calls.append((name, self._hub.clock.now(), detail))
        waiting = self.once.get(name)
        if waiting:
            trouble = waiting.pop(0)
            if trouble.effect:
                work()
            self._hub.sleep(trouble.seconds)
            raise trouble.error
        error = self.always.get(name)
        if error is not None:
            with self._hub.network():
                raise error
        try:
            answer = work()
        except Rejected as error:
            if name == "submit":
                self.refusals.append(str(error))
            raise
        shown: T = self.shown.get(name, answer)
        return shown

    def account(self) -> Account:
        return self._call("account", self._broker.account)

    def clock(self) -> BrokerClock:
        return self._call("clock", self._broker.clock)

    def calendar(self, first: date, last: date) -> tuple[Session, ...]:
        return self._call("calendar", lambda: self._broker.calendar(first, last))

    def positions(self) -> tuple[BrokerPosition, ...]:
        return self._call("positions", self._broker.positions)

    def open_orders(self) -> tuple[BrokerOrder, ...]:
        return self._call("open_orders", self._broker.open_orders)

    def orders_since(self, after: datetime) -> tuple[BrokerOrder, ...]:
        return self._call("orders_since", lambda: self._broker.orders_since(after))

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        return self._call(
            "order_by_client_id", lambda: self._broker.order_by_client_id(client_order_id), client_order_id
        )

    def submit(self, ticket: OrderTicket) -> BrokerOrder:
        return self._call("submit", lambda: self._broker.submit(ticket), ticket)

    def cancel(self, broker_id: str) -> None:
        self._call("cancel", lambda: self._broker.cancel(broker_id), broker_id)

    def activities(self, since: datetime) -> tuple[Activity, ...]:
        return self._call("activities", lambda: self._broker.activities(since))

    def contracts_expiring(self, underlyings: tuple[str, ...], day: date) -> tuple[Contract, ...]:
        return self._call("contracts", lambda: self._broker.contracts_expiring(underlyings, day))

    def do_not_exercise(self, symbol: str) -> None:
        self._call("do_not_exercise", lambda: self._broker.do_not_exercise(symbol))


class World:
    """One exchange and one daemon process after the other; ``crash`` ends one, ``start`` the next begins."""

    def __init__(
        self,
        folder: Path,
        wall: str = "10:00",
        *,
        day: date = DAY,
        seed: int = 7,
        rules: Rules = CALM,
        cash: str = "100000",
        **settings: object,
    ) -> None:
        self.market = LiveMarket(day)
        self.clock = VirtualClock(self.at(wall))
        self.seed = seed
        self.feed = Feed()
        self.exchange = Exchange(self.clock, self.market, seed, rules, self.feed, Decimal(cash))
        self.exchange.on_trade_update(self._tell)
        self.exchange.on_quote(lambda quote: self.daemon.take_quote(quote))
        self.settings = _settings(folder, settings)
        self.lose_updates = False
        self.repeat_updates = 1
        self.updates: list[TradeUpdateMessage] = []
        self.errors: list[str] = []
        self.processes = 0
        self.streams_quotes = True
        self.chat: Chat | None = None
        self.settle: Callable[[], None] | None = None  # waits, in real time, for threads beside the hub

    # one process

    def start(self, *, agree: bool = True) -> None:
        """A new process on the same exchange and folder."""
        self.processes += 1
        self.hub = Hub(self.clock, self.seed + 1000 * self.processes, self.settle)
        self.broker = Troubles(self.exchange, self.hub)
        self.database = Database(self.settings.db_path, self.hub)
        self.database.open()
        self.source = FeedSource(self.exchange, self.hub, self.feed)
        data = MarketData(self.source, None, self.clock)
        luck = random.Random(f"{self.seed}:{self.processes}")
        self.daemon = daemon.Daemon(
            daemon.World(
                self.settings, self.hub, self.database, self.broker, data, self.chat, luck, self._on_error
            ),
            alpaca_executor,
        )
        self.daemon.load()
        self.stopping = Flag(self.hub, "stopping")
        self.daemon.take_stream_state(True)
        if self.streams_quotes:
            self.daemon.quote_feed = SimQuoteFeed(self.exchange, self.daemon.take_quote_state)
        self.hub.spawn("exchange", self._tick)
        for spec in self.daemon.lanes():
            if spec.name not in IDLE_LANES:
                beat = self.daemon.heartbeats.beat
                self.hub.spawn(
                    spec.name, partial(run_lane, self.hub, spec, self.stopping, beat, self._on_error)
                )
        alpaca_executor.start()
        if agree:
            self.agree()

    def agree(self) -> None:
        """What the start lane does: account, first reconciliation, senders and pollers."""
        self.do(self.daemon.connect_account)
        self.do(self.daemon.agree)
        self.run(1)

    def crash(self) -> None:
        """kill -9: every lane ends where it stands, what was not committed is lost."""
        self.hub.close()

    def restart(self) -> None:
        self.crash()
        self.start()

    # time

    def at(self, wall: str) -> datetime:
        return from_eastern(self.market.day, time.fromisoformat(wall))

    @property
    def wall(self) -> str:
        return f"{eastern(self.clock.now()):%H:%M:%S}"

    def to(self, wall: str) -> None:
        """Run until exactly ``wall`` (US/Eastern)."""
        self.run((self.at(wall) - self.clock.now()).total_seconds())

    def run(self, seconds: float) -> None:
        self.do(lambda: self.hub.sleep(seconds))

    def do(self, work: Callable[[], T]) -> T:
        """``work`` in a lane of its own, everything else running beside it."""
        answers: list[T] = []
        failures: list[Exception] = []

        def lane() -> None:
            try:
                answers.append(work())
            except Exception as error:  # carried to the test
                failures.append(error)

        self.hub.spawn(f"test-{self.clock.monotonic()}", lane)
        self.hub.run(lambda: bool(answers or failures))
        if failures:
            raise failures[0]
        return answers[0]

    def until(self, happened: Callable[[], object], limit_s: float = 120.0) -> float:
        """Run until ``happened()`` and the disk has it; the seconds it took. Fails after ``limit_s``."""
        began = self.clock.monotonic()
        self.hub.run(lambda: bool(happened()) or self.clock.monotonic() - began > limit_s)
        took = self.clock.monotonic() - began
        assert happened(), f"did not happen within {limit_s} s"
        self.run(0.02)
        return took

    def _tick(self) -> None:
        while True:
            self.exchange.advance()
            now = self.clock.now()
            self.hub.sleep((now.replace(microsecond=0) + timedelta(seconds=1) - now).total_seconds())

    def _tell(self, message: TradeUpdateMessage) -> None:
        self.updates.append(message)
        if not self.lose_updates:
            for _ in range(self.repeat_updates):
                self.daemon.take_update(trade_update(message))

    def _on_error(self, lane: str, error: Exception) -> None:
        self.errors.append(f"{lane}: {error!r}")

    # acting

    def price(self, bid: str, ask: str, symbol: str = SPY_CALL, size: int = 50) -> None:
        self.market.put(symbol, bid, ask, size)

    def intent(self, symbol: str = SPY_CALL, signal_id: str = "one", plan: ExitPlan = SCALP) -> TradeIntent:
        now = self.clock.now()
        quote = self.exchange.quote(symbol, now)
        contract = parse(symbol)
        assert quote is not None
        signal = Signal(
            signal_id, now, "spy_scalper", "test_setup", contract.underlying, Direction.LONG, 80.0, 670.0, ()
        )
        return TradeIntent(signal, contract, quote, plan)

    def enter(self, symbol: str = SPY_CALL, signal_id: str = "one", plan: ExitPlan = SCALP) -> Order | None:
        return alpaca_executor.execute_scalp_entry(self.intent(symbol, signal_id, plan))

    def open(self, symbol: str = SPY_CALL, signal_id: str = "one", plan: ExitPlan = SCALP) -> Position:
        """Enter and wait for the fill."""
        order = self.enter(symbol, signal_id, plan)
        assert order is not None, self.events("entry_refused")
        self.until(lambda: self.position(order.position_id).state == "open", 30)
        return self.position(order.position_id)

    def by_hand(
        self, symbol: str, side: Side, qty: int, limit: str | None = None, intent: Intent | None = None
    ) -> SimOrder:
        """An order at the broker that the daemon knows nothing of."""
        price = None if limit is None else Decimal(limit)
        return self.exchange.place(
            NewOrder(symbol, side, qty, "market" if price is None else "limit", price, position_intent=intent)
        )

    # seeing

    @property
    def desk(self) -> Desk:
        return alpaca_executor.desk

    def position(self, position_id: str) -> Position:
        return self.desk.book.positions[position_id]

    @property
    def watched(self) -> tuple[Position, ...]:
        return alpaca_executor.get_options_positions()

    def legs(self, purpose: Purpose) -> list[Order]:
        return [o for o in self.desk.book.view.orders if o.purpose is purpose]

    @property
    def exits(self) -> list[Order]:
        return self.legs(Purpose.EXIT)

    def own(self, side: Side) -> list[SimOrder]:
        """Orders at the exchange with our prefix, oldest first."""
        found = self.exchange.orders("all", 500, direction="asc")
        return [o for o in found if o.client_order_id.startswith("wsb-") and o.side == side]

    def held(self, symbol: str = SPY_CALL) -> int:
        return self.exchange.account.qty(symbol)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the journal holds of ``kind``."""
        with self.database.get_connection() as conn:
            rows = journal.read(conn, 0, 5000)
        return [event.data for event in rows if event.kind is EventKind(kind)]

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.database.get_connection() as conn:
            return [dict(row) for row in conn.execute(query)]

    def outcomes(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM outcomes ORDER BY closed_at")

    def alerts(self) -> list[str]:
        return [row["text"] for row in self.rows("SELECT text FROM alerts ORDER BY number")]

    def paused(self) -> set[str]:
        return {pause.reason for pause in self.desk.pauses.listed()}

    def refusals(self) -> list[str]:
        """Why entries were refused, in order."""
        self.run(0.05)
        return [event["reason"] for event in self.events("entry_refused")]

    # what holds after every scenario

    def check(self) -> None:
        """No lane raised, nothing was sold twice, and each closed position has its one outcome."""
        assert self.errors == []
        held: dict[str, int] = {}
        open_sales: dict[str, set[str]] = {}
        for update in self.updates:
            order = update.order
            if update.qty is not None:
                held[order.symbol] = held.get(order.symbol, 0) + (
                    update.qty if order.side == "buy" else -update.qty
                )
            if order.side == "sell" and order.client_order_id.startswith("wsb-"):
                live = open_sales.setdefault(order.symbol, set())
                (live.add if order.open else live.discard)(order.client_order_id)
                position = order.client_order_id[:26]
                assert len([name for name in live if name.startswith(position)]) <= 1
        closed = {p.position_id for p in self.desk.book.view.positions if p.state == "closed"}
        assert closed <= {row["position_id"] for row in self.outcomes()}
        assert len({o["position_id"] for o in self.outcomes()}) == len(self.outcomes())


def _settings(folder: Path, changes: dict[str, object]) -> config.Settings:
    fixed: dict[str, object] = {
        "alpaca_trading_url": "http://127.0.0.1:1",
        "alpaca_data_url": "http://127.0.0.1:1",
        "alpaca_stream_url": "ws://127.0.0.1:1/stream",
        "alpaca_option_stream_url": "ws://127.0.0.1:1/options",
        "alpaca_live_trading": False,
        "alpaca_account_number": None,
        "wsb_snake_clock_start": None,
        "wsb_snake_data_dir": folder,
        "wsb_snake_max_trade_dollars": Decimal(420),
        "wsb_snake_engines": "spy_scalper",
    }
    return config.load(env_file=None, **{**fixed, **changes})


@contextmanager
def world(folder: Path, wall: str = "10:00", **options: Any) -> Iterator[World]:
    """A started world; at the end it is checked and every lane ended."""
    made = World(folder, wall, **options)
    made.start()
    try:
        yield made
        made.run(1)
        made.check()
    finally:
        made.crash()
