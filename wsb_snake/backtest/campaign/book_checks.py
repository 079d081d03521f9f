"""Checks of the daemon's book against the exchange, whenever nothing is under way."""

from datetime import datetime, timedelta

from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.core.orders import ExitReason, PositionState, Purpose
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.seeded_faults import SeededFaults
from wsb_snake.trading.book import BookView
from wsb_snake.trading.desk import Desk

QUIET = timedelta(seconds=60)
"""For this long nothing has filled, nothing was in the way and no process was born: the book must agree."""

EVERY = timedelta(seconds=5)

JUST_TRADED = timedelta(seconds=20)
"""So soon after a fill the exchange may hold what the book cannot know of."""

_FOUND_GONE = frozenset(
    {
        ExitReason.MANUAL_CLOSE,
        ExitReason.BROKER_LIQUIDATION,
        ExitReason.EXPIRED,
        ExitReason.EXERCISED,
        ExitReason.UNEXPLAINED,
    }
)


class BookChecks:
    def __init__(self, exchange: Exchange, faults: SeededFaults, findings: Findings) -> None:
        self._exchange = exchange
        self._faults = faults
        self._findings = findings
        self._next = self._started_at = exchange.clock.now()
        self._entering: dict[str, datetime] = {}
        self._gone: set[str] = set()
        self._looked_at: BookView | None = None
        self._stuck = ""
        self._told = ""  # a gap that stays is one finding

    def started(self) -> None:
        self._started_at = self._exchange.clock.now()
        self._entering.clear()

    def step(self, desk: Desk, last_fill_at: datetime) -> None:
        now = self._exchange.clock.now()
        self._found_gone(desk, now - last_fill_at < JUST_TRADED)
        if now < self._next or not desk.in_session():
            return
        self._next = now + EVERY
        busy_until = max(last_fill_at, self._faults.trouble_until, self._started_at)
        self._reservations(desk, now, busy_until)
        if now - busy_until >= QUIET and not desk.book.view.live_orders():
            held = {h.symbol: h.qty for h in self._exchange.account.holdings if h.qty}
            booked: dict[str, int] = {}
            for position in desk.book.view.watched():
                booked[position.symbol] = booked.get(position.symbol, 0) + position.qty
            text = f"broker {held}, book {booked}"
            self._findings.check(Promise.BOOK_IS_BROKER, held == booked or text == self._told, text)
            self._told = text

    def _reservations(self, desk: Desk, now: datetime, busy_until: datetime) -> None:
        """A position is entering only while its order may fill; then its budget is released or spent."""
        entering = {p.position_id for p in desk.book.view.held() if p.state is PositionState.ENTERING}
        entering -= {o.position_id for o in desk.book.view.live_orders() if o.purpose is Purpose.ENTRY}
        self._entering = {name: self._entering.get(name, now) for name in entering}
        stuck = [name for name, since in self._entering.items() if now - max(since, busy_until) > QUIET]
        text = f"entering without an order: {stuck}"
        self._findings.check(Promise.RESERVATIONS_END, not stuck or text == self._stuck, text)
        self._stuck = text

    def _found_gone(self, desk: Desk, just_traded: bool) -> None:
        """What the book closes without having sold it is not held at the exchange any more."""
        view = desk.book.view
        if view is self._looked_at:
            return
        self._looked_at = view
        for position in view.positions:
            gone = position.state is PositionState.CLOSED and position.exit_reason in _FOUND_GONE
            if not gone or position.position_id in self._gone:
                continue
            self._gone.add(position.position_id)
            booked = sum(p.qty for p in view.watched() if p.symbol == position.symbol)
            held = self._exchange.account.qty(position.symbol)
            text = f"{position.position_id} is closed ({position.exit_reason}), {held} {position.symbol} held"
            self._findings.check(Promise.BOOK_IS_BROKER, held <= booked or just_traded, text)
