"""One campaign day: a whole session of the production daemon among faults, with crashes and restarts."""

import random
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from wsb_snake.backtest.campaign.disk import Crash, Disk, copy_database
from wsb_snake.backtest.campaign.drill_chat import DrillChat
from wsb_snake.backtest.campaign.hunter import Attempt, intent_of, plan_attempts
from wsb_snake.backtest.campaign.in_flight import IDLE, InFlightReader
from wsb_snake.backtest.campaign.incarnation import Hooks, Incarnation, Site
from wsb_snake.backtest.campaign.invariants import Checker
from wsb_snake.backtest.campaign.outside import Outside
from wsb_snake.backtest.campaign.owner_hand import plan_hand
from wsb_snake.backtest.campaign.settings import drill_settings
from wsb_snake.backtest.campaign.stream_wire import StreamWire
from wsb_snake.backtest.campaign.violation import Promise, Violation
from wsb_snake.backtest.campaign.watched_broker import WatchedBroker
from wsb_snake.backtest.embedded import seam
from wsb_snake.backtest.summary import order_list_hash
from wsb_snake.core.clock import VirtualClock
from wsb_snake.db.errors import DatabaseClosed
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.drill_market import DrillMarket
from wsb_snake.sim.drillable import DrillableMarket, MarketUnderDrill
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.fault_plan import ArmedCrash, CrashKind, InFlight, plan_crashes, plan_faults
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.seeded_faults import OURS, SeededFaults, Strike
from wsb_snake.sim.server import ExchangeServer
from wsb_snake.sim.service import BOT_TOKEN, KEY, POLYGON_KEY, SECRET
from wsb_snake.sim.telegram_api import TelegramApi
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Broker

STARTS_BEFORE_OPEN = timedelta(minutes=2)
ENDS_AFTER_CLOSE = timedelta(minutes=50)
DEAD_FOR_S = (1.0, 12.0)
"""How long a crashed process takes to come back."""

CRASH_CHANCE = 0.25
MEMORY = Path("/dev/shm")
WIRE_EVERY = 20
EVERY_ORDER = 1_000_000


@dataclass(frozen=True, slots=True)
class DayPlan:
    """Day ``number`` of the campaign with ``seed``."""

    day: date
    seed: int
    number: int
    profile: str
    crashes: bool
    engines: bool = False

    @property
    def wire(self) -> bool:
        """Whether it runs below the vendors' clients."""
        return self.number % WIRE_EVERY == WIRE_EVERY - 1

    @property
    def day_seed(self) -> int:
        return self.seed * 1_000_003 + self.number


@dataclass(slots=True)
class DayReport:
    """What one day came to."""

    seed: int
    number: int
    wire: bool
    positions: int = 0
    orders: int = 0
    strikes: list[Strike] = field(default_factory=list)
    crashes: list[tuple[CrashKind, frozenset[InFlight]]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    checked: Counter[Promise] = field(default_factory=Counter)
    before_due: Counter[Promise] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    order_list_hash: str = ""


def run_campaign_day(plan: DayPlan) -> DayReport:
    """Drive one day to its end; the folder it works in is gone afterwards."""
    with ExitStack() as stack:
        memory = MEMORY if MEMORY.is_dir() else None
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wsb-snake-", dir=memory))
        day = _Day(plan, Path(folder))
        stack.callback(day.close)
        return day.run()


class _Day:
    def __init__(self, plan: DayPlan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        seed = plan.day_seed
        self._luck = random.Random(f"{seed}:day")
        drill = DrillMarket(plan.day, seed)
        market: MarketUnderDrill = DrillableMarket(plan.day, seed) if plan.engines else drill
        self._market = market
        session = market.session
        start = session.open - STARTS_BEFORE_OPEN
        clock = self._clock = VirtualClock(start)
        self._start = start
        armed = plan_faults(
            plan.profile, plan.number, session, random.Random(f"{seed}:faults"), wire=plan.wire
        )
        self._faults = SeededFaults(armed, random.Random(f"{seed}:strikes"), self.in_flight, start)
        crash_luck = random.Random(f"{seed}:crashes")
        self._crashes: list[ArmedCrash] = (
            plan_crashes(plan.number, session, crash_luck) if plan.crashes else []
        )
        rules = Rules(partial_fill_chance=0.05, fill_beats_cancel_chance=0.0, rate_limit_per_minute=None)
        self._exchange = Exchange(clock, market, seed, rules, self._faults)
        stream = StreamWire(self._faults, start, random.Random(f"{seed}:stream"), bytes_too=plan.wire)
        self._site = self._make_site(stream, rules)
        self._outside = Outside(self._site, market, self._faults, random.Random(f"{seed}:outside"))
        hunter_luck = random.Random(f"{seed}:hunter")
        self._attempts: list[Attempt] = [] if plan.engines else plan_attempts(drill, hunter_luck)
        self._hand = plan_hand(market, random.Random(f"{seed}:owner"))
        self._report = DayReport(plan.seed, plan.number, plan.wire)
        self._checker = Checker(self._exchange, market, self._faults, self._site.chat)
        self._process: Incarnation | None = None
        self._reader: InFlightReader | None = None
        self._number = 0
        self._died = False
        self._next_look = 0.0
        self._deadly_from = self._next_crash()
        self._seen: object = None
        self._exchange.on_trade_update(stream.tell)
        self._exchange.on_trade_update(self._checker.on_update)
        self._exchange.on_trade_update(lambda _: self._wake_exchange())
        self._exchange.on_quote(lambda quote: self._running.daemon.take_quote(quote))

    def _make_site(self, stream: StreamWire, rules: Rules) -> Site:
        plan, exchange = self._plan, self._exchange
        alpaca, polygon = AlpacaApi(exchange, KEY, SECRET), PolygonApi(exchange, POLYGON_KEY)
        urls = ExchangeServer(exchange, alpaca, polygon, TelegramApi(BOT_TOKEN, self._clock)).environment()
        chosen = drill_settings(random.Random(f"{plan.day_seed}:settings"))
        if not plan.engines:
            chosen["wsb_snake_engines"] = ""  # the hunter stands in their place
        return Site(
            clock=self._clock,
            exchange=exchange,
            stream=stream,
            disk=Disk(self._clock),
            chat=DrillChat(self._clock),
            seed=plan.day_seed,
            urls=urls,
            chosen=chosen,
            handler=seam(alpaca, polygon) if plan.wire else None,
            streams_quotes=self._luck.random() < 0.3,
            engines=plan.engines,
        )

    # the day

    def run(self) -> DayReport:
        """Process after process until the day is over."""
        ends = self._start + STARTS_BEFORE_OPEN + (self._market.session.close - self._market.session.open)
        self._ends = (ends + ENDS_AFTER_CLOSE - self._start).total_seconds()
        self._begin(self._folder / "0")
        while True:
            try:
                self._running.hub.run(self._step)
            except Crash:
                self._died = True
            if not self._died:
                break
            self._come_back()
        return self._finish()

    @property
    def _running(self) -> Incarnation:
        if self._process is None:
            raise RuntimeError("no process runs")
        return self._process

    def _begin(self, folder: Path) -> None:
        self._died = False
        hooks = Hooks(self._in_commit, self._lane_failed, self._watched, self._checker.loaded)
        process = Incarnation(self._site, self._number, folder, hooks)
        self._process = process
        self._book = alpaca_executor.desk.book
        self._reader = InFlightReader(alpaca_executor.desk)
        try:
            process.start()
        except Crash:
            return  # it died while it opened its database
        process.hub.spawn("owner's hand", self._obey)
        if not self._plan.engines:
            process.hub.spawn("hunter", self._hunt)

    def _come_back(self) -> None:
        """The dead process is cleared away; the next one gets the copy of its database."""
        self._checker.died(self._site.disk)
        self._running.kill()
        dead = self._running.folder
        self._process, self._reader = None, None
        self._number += 1
        self._clock.advance_to(self._clock.monotonic() + self._luck.uniform(*DEAD_FOR_S))
        self._faults.hinder(self._clock.now())
        shutil.rmtree(dead)
        self._begin(self._folder / str(self._number))

    def _finish(self) -> DayReport:
        self._checker.day_is_over(self._running.database)
        report, findings = self._report, self._checker.findings
        report.strikes = self._faults.struck
        report.violations, report.checked = findings.violations, findings.checked
        report.before_due, report.excused = findings.before_due, findings.excused
        orders = tuple(self._exchange.orders("all", EVERY_ORDER, direction="asc"))
        report.orders = sum(order.client_order_id.startswith(OURS) for order in orders)
        report.positions = self._bought()
        report.order_list_hash = order_list_hash(orders)
        return report

    def _bought(self) -> int:
        with self._running.database.get_connection() as conn:
            return int(conn.execute("SELECT COUNT(*) FROM positions WHERE bought_qty > 0").fetchone()[0])

    def _watched(self, broker: Broker) -> Broker:
        return WatchedBroker(broker, self._checker.sending, self._checker.refused)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()

    # each step

    def _step(self) -> bool:
        """Looked at before each resumption of a lane: every one is a yield point."""
        now = self._clock.monotonic()
        if self._died or now >= self._ends:
            return True
        self._checker.findings.step += 1
        view = self._book.view
        if view is not self._seen or now >= self._next_look:
            self._seen = view
            self._next_look = now + 1.0
            self._checker.step()
            self._outside.look()
        return now >= self._deadly_from and self._dies_here(CrashKind.YIELD)

    def _dies_here(self, kind: CrashKind) -> bool:
        at, states = self._clock.now(), self.in_flight()
        for index, armed in enumerate(self._crashes):
            if armed.not_before > at:
                break
            if armed.kind is not kind or armed.state not in states:
                continue
            if self._luck.random() > CRASH_CHANCE:
                continue
            del self._crashes[index]
            self._deadly_from = self._next_crash()
            self._report.crashes.append((kind, states))
            copy_database(self._running.folder, self._folder / str(self._number + 1))
            self._died = True
            return True
        return False

    def _next_crash(self) -> float:
        """Seconds from the start from which on a crash is armed."""
        if not self._crashes:
            return float("inf")
        return (self._crashes[0].not_before - self._start).total_seconds()

    def _in_commit(self, kind: CrashKind) -> None:
        armed = self._reader is not None and self._clock.monotonic() >= self._deadly_from
        if self._died or (armed and self._dies_here(kind)):
            raise Crash

    def in_flight(self) -> frozenset[InFlight]:
        """What the running process has under way; nothing while none runs."""
        if self._reader is None:
            return IDLE
        return self._reader.read(stalled=self._site.disk.stalled())

    def _wake_exchange(self) -> None:
        if self._process is not None:
            self._process.exchange_bell.set()

    def _hunt(self) -> None:
        """Hand down the intents whose time comes, as an engine would."""
        hub = self._running.hub
        while self._attempts:
            hub.sleep((self._attempts[0].at - self._clock.now()).total_seconds())
            attempt = self._attempts.pop(0)
            quote = self._exchange.quote(attempt.contract.symbol, self._clock.now())
            if quote is not None:
                intent = intent_of(attempt, quote, self._clock.now())
                self._checker.attempted(intent, alpaca_executor.execute_scalp_entry(intent))

    def _obey(self) -> None:
        """Pass on what the owner says, when he says it."""
        hub = self._running.hub
        while self._hand:
            hub.sleep((self._hand[0].at - self._clock.now()).total_seconds())
            self._running.daemon.ask(self._hand.pop(0).verb, None)

    def _lane_failed(self, lane: str, error: Exception) -> None:
        if not isinstance(error, DatabaseClosed):
            self._checker.lane_failed(lane, error)
