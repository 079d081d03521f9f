"""The one executor: the only module that opens or closes a position.

``alpaca_executor`` at the end is its only construction. Importing it does no I/O; ``connect`` binds it
to a broker, a database and a world of lanes, and replaces all state with a new ``Desk``.
"""

import logging
import math
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.events import EventKind
from wsb_snake.core.orders import ExitReason, Order, PositionState
from wsb_snake.core.signals import TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.trading import dispatch, entries, exits, loss_watch, start_up
from wsb_snake.trading.broker import Account, TradeUpdate
from wsb_snake.trading.calling_back import CalledBack, call_back
from wsb_snake.trading.closing import claim, work_orders
from wsb_snake.trading.desk import Desk, Ports
from wsb_snake.trading.end_of_day import EndOfDay
from wsb_snake.trading.exercise import decline
from wsb_snake.trading.flattening import Flattening
from wsb_snake.trading.overdue_exits import OverdueExits
from wsb_snake.trading.positions import Position
from wsb_snake.trading.reconciler import ours, unseen
from wsb_snake.trading.reconciling import Reconciler

GRID_S = 5
"""Monitor passes lie on this grid of seconds while there is a position or an order,"""
IDLE_GRID_S = 15
"""and on this one while there is none: sooner only for what wakes the monitor."""

NO_QUOTE_AFTER_S = 60.0
WATCH_SAVED_EVERY_S = 30.0

log = logging.getLogger(__name__)


class AlpacaExecutor:
    """Opens, watches and closes; see the module's text. Every public method returns at once."""

    def __init__(self) -> None:
        if "alpaca_executor" in globals():
            raise RuntimeError("there is one executor: import alpaca_executor from this module")
        self._connected: _Connected | None = None

    def connect(self, ports: Ports) -> None:
        """Bind to ``ports`` and start afresh; what an earlier connection held is dropped."""
        self._connected = _Connected(ports)

    @property
    def desk(self) -> Desk:
        """The present order path. Raises RuntimeError before ``connect``."""
        return self._state.desk

    @property
    def _state(self) -> "_Connected":
        if self._connected is None:
            raise RuntimeError("the executor is not connected")
        return self._connected

    # start and stop

    def load(self, conn: sqlite3.Connection) -> None:
        """Take up what the database holds."""
        start_up.load(self.desk, conn)
        self._state.end_of_day.load(conn)

    def read_calendar(self) -> None:
        """Take the broker's calendar. Raises BrokerError; the library serves until it succeeded."""
        calendar: MarketCalendar = start_up.read_calendar(self.desk)
        self.desk.calendar = calendar
        start_up.check_calendar(self.desk)

    def agree(self, account: Account) -> None:
        """The first reconciliation; no entry before it succeeded. Raises BrokerError."""
        start_up.agree(self.desk, self._state.reconciler, account)
        self._state.end_of_day.check("start")

    def start(self) -> None:
        """Start the senders and the pollers."""
        self.desk.senders.start()
        for poller in self.desk.pollers.all():
            poller.start()

    def stop(self) -> None:
        """Let calls under way end and take no new ones."""
        for poller in self.desk.pollers.all():
            poller.stop()
        self.desk.senders.stop()

    # opening

    @property
    def trading_paused(self) -> bool:
        """Whether new entries are stopped; closing never is."""
        return self.desk.pauses.any

    def execute_scalp_entry(self, intent: TradeIntent, also: entries.Also | None = None) -> Order | None:
        """Buy to open for ``intent``; None while ``trading_paused`` or when any gate or limit refuses.

        The refusal is journalled with its reason. The order is planned and queued, not yet sent; what
        ``also`` gives for it is written with it.
        """
        return entries.enter(self.desk, intent, also)

    # closing

    def execute_exit(self, position_id: str, reason: ExitReason, qty: int | None = None) -> bool:
        """Claim a position for exit and see its order off; False when it is claimed already."""
        claimed = claim(self.desk, position_id, reason, qty)
        if claimed:
            self.desk.bell.set()
        return claimed

    def close_position(self, symbol: str, reason: ExitReason = ExitReason.MANUAL) -> int:
        """Close everything held in one contract; how many positions were claimed."""
        held = [p for p in self.desk.book.view.watched() if p.symbol == symbol]
        return sum(self.execute_exit(p.position_id, reason) for p in held)

    def close_all(self, reason: ExitReason = ExitReason.FLATTEN) -> int:
        """Close every position, whenever it expires, and call working entries back; how many those were."""
        return self._state.flattening.ask(reason, None)

    def close_all_0dte_positions(self, reason: ExitReason = ExitReason.FLATTEN) -> int:
        """The same for what expires today, and nothing that expires later."""
        session = self.desk.session()
        return 0 if session is None else self._state.flattening.ask(reason, session.day)

    def end_flatten(self) -> None:
        """Sell nothing more only because an earlier flatten asked for it; what is claimed is sold."""
        self._state.flattening.drop()

    def cancel_open_orders(self) -> CalledBack:
        """Call back every working entry of ours and every foreign open option order; closing orders stay."""
        return call_back(self.desk)

    def do_not_exercise(self, symbol: str) -> str | None:
        """Queue a do-not-exercise instruction; why not, when it cannot be asked for. The journal has the
        broker's answer."""
        return decline(self.desk, symbol)

    def should_close_for_eod(self, position: Position) -> bool:
        """Whether a rung of today's end is due for ``position``."""
        return self._state.end_of_day.due(position, self.desk.now()) is not None

    def run_eod_check(self, trigger: str) -> None:
        """Do what today's end asks for at this moment."""
        self._state.end_of_day.check(trigger)

    # watching

    def get_options_positions(self) -> tuple[Position, ...]:
        """The positions in which contracts are held."""
        return self.desk.book.view.watched()

    def monitor(self) -> datetime:
        """One monitor pass; when the next is due (aware UTC)."""
        desk = self.desk
        now = desk.now()
        desk.worth.begin(desk.today())
        for poller in desk.pollers.all():
            if poller.replace_if_hung(now):
                log.warning("poller %s hung and was replaced", poller.name)
        self._take_calendar()
        self._check_order_fills()
        if desk.ready:
            self._state.reconciler.step()
        self._watch_health(now)
        self._state.flattening.pursue()
        due = self._check_exits()
        self.run_eod_check("monitor")
        due += work_orders(desk)
        self._state.overdue_exits.check()
        rung = self._state.end_of_day.next_rung()
        soonest = now + timedelta(milliseconds=200)
        busy = desk.book.view.held() or desk.book.view.live_orders()
        grid = _next_on_grid(now, GRID_S if busy else IDLE_GRID_S)
        return max(min([grid, *due, *([] if rung is None else [rung])]), soonest)

    def on_quote(self, quote: Quote) -> None:
        """A streamed quote: decide on it at once, and see a claim's order off."""
        if not self.desk.board.put(quote):
            return
        claimed, due = self._look(quote.symbol)
        if claimed:
            work_orders(self.desk)
        if due and min(due) <= self.desk.now() + timedelta(seconds=exits.SECOND_LOOK_S):
            self.desk.bell.set()  # the monitor takes the second look, should no quote come

    def on_trade_update(self, update: TradeUpdate) -> None:
        """A message of the trade_updates stream."""
        self.desk.stream.heard()
        if update.order.client_order_id in self.desk.book.orders:
            dispatch.take(self.desk, update.order)
        else:
            if not ours(update.order):
                log.info("foreign order %s: %s", update.order.symbol, update.event)
            self.desk.pollers.orders.ask()
            self.desk.pollers.positions.ask()
        self.desk.bell.set()

    def on_stream(self, up: bool) -> None:
        """The trade stream came up or went down; what it missed is read again."""
        desk = self.desk
        desk.stream.connected(up)
        if up:
            desk.pollers.orders.ask()
            desk.pollers.positions.ask()

    def _take_calendar(self) -> None:
        """Every deadline follows the broker's newest calendar at once."""
        reading = self.desk.pollers.calendar.latest
        if reading is not None and reading.begun_at != self._state.calendar_read:
            self._state.calendar_read = reading.begun_at
            self.desk.calendar = reading.value
            start_up.check_calendar(self.desk)

    def _check_order_fills(self) -> None:
        """Apply the newest reading of the broker's orders, the net under the stream."""
        reading = self.desk.pollers.orders.latest
        if reading is None or reading.begun_at == self._state.orders_read:
            return
        self._state.orders_read = reading.begun_at
        self.desk.signs.listed((order.client_order_id for order in reading.value), reading.begun_at)
        for order in reading.value:
            dispatch.take(self.desk, order, polled=True)
        if self.desk.ready:
            for missing in unseen(self.desk.book.view, reading.value, reading.begun_at):
                dispatch.look_up(self.desk, missing)

    def _check_exits(self) -> list[datetime]:
        """Look at every held position; moments at which to look again."""
        return self._look(None)[1]

    def _look(self, symbol: str | None) -> tuple[bool, list[datetime]]:
        """Evaluate the exits of ``symbol`` or of all: whether one was claimed, and when to look again."""
        desk = self.desk
        session = desk.session()
        if session is None or not desk.in_session():
            return False, []
        any_claimed = False
        due: list[datetime] = []
        for position in desk.book.view.watched():
            if symbol is not None and position.symbol != symbol:
                continue
            now = desk.now()
            quote = desk.board.get(position.symbol)
            if exits.usable(quote, now):
                desk.quote_seen_at[position.symbol] = now
            verdict = exits.decide(position, quote, now, session.open)
            desk.book.watch(position.position_id, verdict.watch)
            decision = verdict.decision
            if decision is not None and claim(desk, position.position_id, decision.reason, decision.qty):
                any_claimed = True
            elif verdict.look_again_at is not None and position.state is not PositionState.EXITING:
                due.append(verdict.look_again_at)
        return any_claimed, due

    def _watch_health(self, now: datetime) -> None:
        """What the passes themselves must notice: silence, losses, a disk that does not write."""
        desk = self.desk
        desk.stream.check()
        if desk.ports.database.writable():
            desk.pauses.clear("journal")
        else:
            desk.pauses.set("journal", "the database does not take writes; closing goes on without it")
        desk.alpaca.try_probe()
        loss_watch.check(desk)
        self._watch_quotes(now)
        self._save_watches(now)

    def _watch_quotes(self, now: datetime) -> None:
        """Tell once when a held contract has had no usable quote for a minute."""
        desk = self.desk
        state = self._state
        silent: set[str] = set()
        session = desk.session()
        if session is None or not desk.in_session():
            state.silent = frozenset()
            return
        for position in desk.book.view.watched():
            seen = max(desk.quote_seen_at.get(position.symbol, position.opened_at), position.opened_at)
            quiet_s = (now - max(seen, session.open, state.connected_at)).total_seconds()
            if quiet_s < NO_QUOTE_AFTER_S:
                continue
            silent.add(position.symbol)
            if position.symbol not in state.silent:
                with desk.book.change() as commit:
                    commit.change.event(
                        EventKind.NO_QUOTE,
                        position_id=position.position_id,
                        symbol=position.symbol,
                        seconds=round(quiet_s),
                    )
        state.silent = frozenset(silent)

    def _save_watches(self, now: datetime) -> None:
        """Make the high-water marks durable every 30 s."""
        state = self._state
        if (now - state.watches_saved_at).total_seconds() < WATCH_SAVED_EVERY_S:
            return
        state.watches_saved_at = now
        held = self.desk.book.view.watched()
        if held:
            with self.desk.book.change() as commit:
                for position in held:
                    commit.change.position(self.desk.book.positions[position.position_id])

    # what the owner asks

    def all_positions_monitored(self) -> bool:
        """Symbols and quantities of book and broker agree; False while the broker's state is stale."""
        desk = self.desk
        reading = desk.pollers.positions.latest
        if reading is None or not desk.ready or (desk.in_session() and not desk.broker_fresh()):
            return False
        at_broker = {p.symbol: int(p.qty) for p in reading.value if p.is_option and p.qty > 0}
        booked: dict[str, int] = {}
        for position in desk.book.view.watched():
            booked[position.symbol] = booked.get(position.symbol, 0) + position.qty
        return at_broker == booked

    def day_pnl(self) -> Decimal:
        """Realised since midnight US/Eastern plus open, dollars before fees."""
        return self.desk.worth.pnl(self.desk.book.view, self.desk.day_start())


class _Connected:
    """Everything mutable of one connection."""

    def __init__(self, ports: Ports) -> None:
        self.desk = Desk(ports)
        self.reconciler = Reconciler(self.desk)
        self.end_of_day = EndOfDay(self.desk)
        self.flattening = Flattening(self.desk)
        self.overdue_exits = OverdueExits(self.desk)
        self.orders_read: datetime | None = None
        self.calendar_read: datetime | None = None
        self.silent: frozenset[str] = frozenset()
        self.connected_at = self.watches_saved_at = self.desk.now()


def _next_on_grid(now: datetime, grid_s: int) -> datetime:
    """The next whole multiple of ``grid_s`` seconds; sessions open on one."""
    step = math.floor(now.timestamp() / grid_s) + 1
    return datetime.fromtimestamp(step * grid_s, UTC)


alpaca_executor = AlpacaExecutor()
