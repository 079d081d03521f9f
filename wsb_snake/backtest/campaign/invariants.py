"""Everything that is checked on a campaign day, at each step and at its end."""

from dataclasses import replace
from datetime import datetime, timedelta

from wsb_snake.backtest.campaign.book_checks import BookChecks
from wsb_snake.backtest.campaign.closing_checks import ClosingChecks
from wsb_snake.backtest.campaign.database_checks import DatabaseChecks, check_deliveries, durable_pauses
from wsb_snake.backtest.campaign.disk import Disk
from wsb_snake.backtest.campaign.drill_chat import DrillChat
from wsb_snake.backtest.campaign.order_checks import OrderChecks
from wsb_snake.backtest.campaign.told_checks import Gap, Holdings, Telling
from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.core.orders import Order
from wsb_snake.core.signals import TradeIntent
from wsb_snake.db.database import Database
from wsb_snake.sim.drillable import MarketUnderDrill
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.orders import TradeUpdateMessage
from wsb_snake.sim.seeded_faults import SeededFaults
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import OrderTicket, Rejected
from wsb_snake.trading.pauses import DURABLE

ENTRY_QUOTE_S = 15.0


class Checker:
    """One day's checks. A process comes and goes; the exchange stays."""

    def __init__(
        self,
        exchange: Exchange,
        market: MarketUnderDrill,
        faults: SeededFaults,
        chat: DrillChat,
    ) -> None:
        self.findings = Findings(exchange.clock)
        self._exchange = exchange
        self._market = market
        self._chat = chat
        self._orders = OrderChecks(exchange, self.findings)
        self._closing = ClosingChecks(exchange, market, faults, self.findings)
        self._book = BookChecks(exchange, faults, self.findings)
        self._holdings = Holdings(exchange)
        self._deaths: list[datetime] = []
        self._gaps: list[Gap] = []
        self._survivors: frozenset[str] = frozenset()
        self._excused: dict[str, str] = {}
        self._standing: dict[str, tuple[int, datetime]] = {}

    # one process

    def sending(self, ticket: OrderTicket) -> None:
        self._orders.sending(ticket, alpaca_executor.desk)

    def refused(self, ticket: OrderTicket, error: Rejected) -> None:
        self._orders.refused(ticket, error)

    def loaded(self) -> None:
        """A process has taken up the database: what paused the dead one pauses it too."""
        self._closing.started()
        self._book.started()
        if self._gaps:
            self._gaps[-1] = replace(self._gaps[-1], last=self._exchange.clock.now())
        held = {pause.reason for pause in alpaca_executor.desk.pauses.listed()}
        if self._survivors:
            lost = sorted(self._survivors - held)
            self.findings.check(Promise.PAUSES_SURVIVE, not lost, f"forgotten by the restart: {lost}")

    def died(self, disk: Disk) -> None:
        """The process is dead; what it had paused, and had had the time to write, must survive."""
        now, desk = self._exchange.clock.now(), alpaca_executor.desk
        self._deaths.append(now)
        self._orders.died()
        self.findings.check(Promise.NO_LANE_FAILS, True, "")
        if not desk.loaded:  # it had nothing; what the one before it left must still survive
            before = self._gaps[-1].first if self._gaps else disk.written_until
            self._gaps.append(Gap(min(before, disk.written_until), now))
            return
        self._gaps.append(Gap(disk.written_until, now))
        self._survivors = frozenset(
            p.reason for p in desk.pauses.listed() if p.reason in DURABLE and p.since < disk.written_until
        )

    def lane_failed(self, lane: str, error: Exception) -> None:
        self.findings.check(Promise.NO_LANE_FAILS, False, f"{lane}: {error!r}")

    # at each step

    def on_update(self, message: TradeUpdateMessage) -> None:
        self._orders.on_update(message)
        self._holdings.look()

    def step(self) -> None:
        desk = alpaca_executor.desk
        self._holdings.look()
        self._closing.step(desk)
        self._book.step(desk, self._orders.last_fill_at)
        close = self._market.session.close
        if not self._standing and self._exchange.clock.now() >= close - timedelta(seconds=1):
            self._standing = self._closing.still_held()
            for symbol in self._standing:
                self._excused[symbol] = self._closing.why_excused(symbol, close) or ""

    def attempted(self, intent: TradeIntent, order: Order | None) -> None:
        """An intent was handed down: on stale data it must have been refused."""
        if order is None:
            return
        now = self._exchange.clock.now()
        known = alpaca_executor.desk.board.get(intent.contract.symbol)
        stamps = [intent.quote.at] + ([known.at] if known is not None else [])
        fresh = (now - max(stamps)).total_seconds() <= ENTRY_QUOTE_S
        self.findings.check(
            Promise.NO_ENTRY_WHEN_FORBIDDEN, fresh, f"{order.symbol} is bought on a stale quote"
        )

    # when it is over

    def day_is_over(self, database: Database) -> None:
        with database.get_connection() as conn:
            rows = DatabaseChecks(conn, self._exchange, self.findings)
            rows.run()
            for symbol, (qty, since) in self._standing.items():
                self._not_flat(rows, symbol, qty, since)
            kept = durable_pauses(conn).keys()
        lost = {p.reason for p in alpaca_executor.desk.pauses.listed() if p.reason in DURABLE} - kept
        self.findings.check(Promise.PAUSES_SURVIVE, not lost, f"not in the database: {sorted(lost)}")
        self.findings.check(Promise.NO_LANE_FAILS, True, "")
        check_deliveries(self._chat.delivered, self._deaths, self.findings)

    def _not_flat(self, rows: DatabaseChecks, symbol: str, qty: int, since: datetime) -> None:
        """What stood at the close must be excusable, and must have been told in time."""
        why = self._excused[symbol]
        if not why:
            return  # found already
        self.findings.excused[why] += 1
        eod = self._market.session.close - timedelta(minutes=5)
        telling = Telling(rows.events, self._holdings, self._gaps, self._market.session.close)
        lacks = telling.lacks(symbol, max(eod, since))
        proven = rows.proven(self._market.day.isoformat())
        text = f"{qty} {symbol} stood at the close ({why}); {lacks or 'told'}, proven: {proven}"
        self.findings.check(Promise.TOLD_WHEN_NOT, not lacks and not proven, text)
