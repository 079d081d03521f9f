"""The embedded exchange: one account, one market day, one clock.

``Exchange`` holds the state and moves it forward to the clock's now; the rules, the matching and the
books are modules beside it. Orders match at whole seconds only, never inside a request, and a step
depends on nothing but the seed and what was asked before it: advancing second by second or in one
jump gives the same fills. Not thread-safe by itself: callers hold ``lock``.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.clock import Clock, eastern
from wsb_snake.core.types import CONTRACT_SHARES, Contract, Quote
from wsb_snake.sim import liquidation
from wsb_snake.sim.account import Account, Activity, Figures, Holding, Position
from wsb_snake.sim.directory import Directory, contract_of
from wsb_snake.sim.faults import Faults, NoFaults
from wsb_snake.sim.market import Market
from wsb_snake.sim.matching import Execution, filled, match, moved
from wsb_snake.sim.order_book import OrderBook
from wsb_snake.sim.order_entry import FORBIDDEN, NOT_FOUND, SHORT_POSITION, UNPROCESSABLE, Refusal
from wsb_snake.sim.orders import WORKING, NewOrder, Side, SimOrder, SimStatus, TradeUpdateMessage
from wsb_snake.sim.rules import (
    Rules,
    Situation,
    has_expired,
    infer_intent,
    on_tick,
    reserve_price,
    too_late,
    vet,
)
from wsb_snake.sim.sessions import session_after

_SECOND = timedelta(seconds=1)
_PENDING = (SimStatus.PENDING_NEW, SimStatus.PENDING_CANCEL)


class Exchange(Directory):
    def __init__(
        self,
        clock: Clock,
        market: Market,
        seed: int,
        rules: Rules | None = None,
        faults: Faults | None = None,
        cash: Decimal = Decimal("100000"),
    ) -> None:
        """``cash`` in dollars; the account is empty and ``clock`` stands at any time of the day."""
        super().__init__(market, seed)
        self.lock = threading.RLock()
        self.clock = clock
        self.rules = rules or Rules()
        self.faults = faults or NoFaults()
        self.account = Account(cash, self.dice)
        self.account_id = self.dice.uuid("account")
        self.account_number = f"PA{self.dice.below(10**10, 'account number'):010d}"
        self.emitted_updates = 0
        self.emitted_quotes = 0
        self._at = clock.now()
        self._book = OrderBook()
        self._subscribed: tuple[str, ...] = ()
        self._update_listeners: list[Callable[[TradeUpdateMessage], None]] = []
        self._quote_listeners: list[Callable[[Quote], None]] = []
        self._events = 0
        self.reschedule()

    # Time

    def reschedule(self) -> None:
        """Take the session's hours from the market, at the start and whenever they have changed."""
        session = self.market.session
        self._looks = liquidation.looks(session, self.rules)
        self._settles_at = session.close + self.rules.settles_after_close
        self._schedule = sorted({session.open, session.close, self._settles_at, *self._looks})

    def next_event(self) -> datetime | None:
        """When ``advance`` next has something to do; None when nothing is known to come."""
        later = bisect_right(self._schedule, self._at)
        scheduled = self._schedule[later] if later < len(self._schedule) else None
        if not self._busy():
            return scheduled
        second = self._at.replace(microsecond=0) + _SECOND
        return second if scheduled is None else min(second, scheduled)

    def advance(self) -> None:
        """Bring the state up to the clock's now: fills, ends of orders, liquidation, settlement, quotes."""
        now = self.clock.now()
        while (due := self.next_event()) is not None and due <= now:
            self._at = due
            self._step(due)
        self._at = max(self._at, now)

    def _busy(self) -> bool:
        orders = self._book.open()
        if self.in_session(self._at):
            return bool(self._subscribed or orders)
        return any(order.status in _PENDING for order in orders)

    def _step(self, at: datetime) -> None:
        for order in self._each_open():
            self._work(order, at)
        if at in self._looks:
            self._liquidate(at)
        if at == self.market.session.close:
            for order in self._each_open():
                self._end(order, SimStatus.EXPIRED, at)
        if at == self._settles_at:
            self._settle(at)
        if self.in_session(at):
            self._send_quotes(at)

    def _each_open(self) -> Iterator[SimOrder]:
        """Each as it stands when its turn comes: whoever hears of the one before may let time pass."""
        for order in self._book.open():
            current = self._book.get(order.id)
            if current.open:
                yield current

    # Orders

    def place(self, request: NewOrder) -> SimOrder:
        """Take an order; the answer shows it before the venue has it. Raises Refusal."""
        self.advance()
        now = self.clock.now()
        contract, position = contract_of(request.symbol), self.account.qty(request.symbol)
        listed = request.symbol in self.market.symbols() or self.listed(request.symbol) is not None
        situation = Situation(
            now=now,
            session=self.market.session,
            contract=contract,
            known=listed or position != 0,
            id_taken=self._book.has_client_id(request.client_order_id),
            position=position,
            working=self._book.open(request.symbol),
            quote=self.quote(request.symbol, now),
            buying_power=self.buying_power,
        )
        if contract is not None and contract.expiry == self.market.day and self.faults.cut_off(request, now):
            raise too_late(contract)
        vet(request, situation, self.rules)
        return self._accept(request, now)

    def cancel(self, order_id: str) -> None:
        """Ask for a cancel, which takes effect in the next step. Raises Refusal."""
        self.advance()
        order = self._book.get(order_id)
        if order.status in (SimStatus.CANCELED, SimStatus.PENDING_CANCEL):
            return  # a repeated request was seen to be taken
        if not order.open:
            raise Refusal(422, UNPROCESSABLE, f'order is already in "{order.status}" state')
        now = self.clock.now()
        self._tell("pending_cancel", self._book.put(moved(order, SimStatus.PENDING_CANCEL, now)), now)

    def cancel_all(self) -> list[SimOrder]:
        """Ask to cancel every open order; the orders it was asked for."""
        self.advance()
        asked = self._book.open()
        for order in asked:
            self.cancel(order.id)
        return asked

    def order(self, order_id: str) -> SimOrder:
        """Raises Refusal when there is no such order."""
        self.advance()
        return self._book.get(order_id)

    def order_by_client_id(self, client_order_id: str) -> SimOrder:
        """Raises Refusal when there is no such order."""
        self.advance()
        return self._book.by_client_id(client_order_id)

    def find_order(self, client_order_id: str) -> SimOrder | None:
        """The order of that name as it stands, without moving time; None when there is none."""
        known = self._book.has_client_id(client_order_id)
        return self._book.by_client_id(client_order_id) if known else None

    def orders(
        self,
        status: str = "open",
        limit: int = 50,
        after: datetime | None = None,
        until: datetime | None = None,
        direction: str = "desc",
        symbols: frozenset[str] = frozenset(),
    ) -> list[SimOrder]:
        """Orders by time of submission; ``status`` is open, closed or all, both bounds are exclusive."""
        self.advance()
        return self._book.find(status, limit, after, until, direction, symbols)

    def _accept(self, request: NewOrder, at: datetime, by_broker: bool = False) -> SimOrder:
        """Book the order and send it to the venue; what the POST answers, which is before the venue."""
        client_id = request.client_order_id or self.dice.uuid("client order", len(self._book))
        session = self.market.session
        is_option = contract_of(request.symbol) is not None
        order = SimOrder(
            id=self.dice.uuid("order", client_id),
            client_order_id=client_id,
            symbol=request.symbol,
            is_option=is_option,
            asset_id=self.asset_id(request.symbol),
            side=request.side,
            intent=infer_intent(request.side, self.account.qty(request.symbol)) if is_option else None,
            type=request.type,
            qty=request.qty,
            limit_price=request.limit_price,
            reserve_price=reserve_price(request, self.quote(request.symbol, at)),
            status=SimStatus.PENDING_NEW if self.in_session(at) else SimStatus.ACCEPTED,
            submitted_at=at,
            updated_at=at,
            expires_at=session.close if at < session.close else session_after(session.day).close,
            by_broker=by_broker,
        )
        self._book.put(order)
        taken = order.status is SimStatus.PENDING_NEW and self._on_tick(order)
        if taken and not self.faults.rejects_later(order, at):
            self._reach_venue(order, at)
        return order

    def _reach_venue(self, order: SimOrder, at: datetime) -> None:
        self._tell("new", self._book.put(moved(order, SimStatus.NEW, at)), at)

    def _work(self, order: SimOrder, at: datetime) -> None:
        """One step of one order."""
        open_now = self.in_session(at)
        cancelling = order.status is SimStatus.PENDING_CANCEL
        if order.status is SimStatus.PENDING_NEW:  # only a price off the tick is still there
            self._end(order, SimStatus.REJECTED, at)
        elif order.status is SimStatus.ACCEPTED and open_now:
            if self._on_tick(order):
                self._reach_venue(order, at)
            else:
                self._end(order, SimStatus.REJECTED, at)
        elif open_now and cancelling and self.faults.fill_wins(order, at):
            order = self._fill(order, self._race(order, at), at)
        elif open_now and (order.status in WORKING or (cancelling and self._fill_wins(order))):
            execution = match(order, self.quote(order.symbol, at), self.rules, self.dice)
            execution = self.faults.execution(order, execution, at)
            if execution is not None:
                order = self._fill(order, execution, at)
        if cancelling and order.open and not self.faults.holds_cancel(order, at):
            self._end(order, SimStatus.CANCELED, at)

    def _fill_wins(self, order: SimOrder) -> bool:
        return self.dice.roll("cancel race", order.id) < self.rules.fill_beats_cancel_chance

    def _race(self, order: SimOrder, at: datetime) -> Execution:
        """The fill that came just before the cancel: at the quote, else at the order's own limit."""
        execution = match(order, self.quote(order.symbol, at), self.rules, self.dice)
        return execution or Execution(order.remaining, order.limit_price or order.reserve_price)

    def _on_tick(self, order: SimOrder) -> bool:
        listed = self.listed(order.symbol)
        return listed is None or order.limit_price is None or on_tick(listed, order.limit_price)

    def _fill(self, order: SimOrder, execution: Execution, at: datetime) -> SimOrder:
        order = self._book.put(filled(order, execution, at))
        self.account.remember(at)
        self.account.fill(order, execution, at)
        self._tell("partial_fill" if order.open else "fill", order, at, execution)
        return order

    def _end(self, order: SimOrder, status: SimStatus, at: datetime) -> None:
        self._tell(status.value, self._book.put(moved(order, status, at)), at)

    # Positions and money

    def hold(self, symbol: str, qty: int, price: Decimal) -> None:
        """Put a position there by hand, paid for in cash at ``price``; a negative ``qty`` is short.

        No order and no activity tells of it. Raises ValueError for what this market does not know and
        for a contract that has expired.
        """
        self.advance()
        contract = contract_of(symbol)
        if (contract.underlying if contract else symbol) not in self.market.symbols():
            raise ValueError(f"{symbol} is not of this market")
        if contract is not None and has_expired(contract, self.market.session, self.clock.now()):
            raise ValueError(f"{symbol} has expired")
        self.account.trade(symbol, qty, price, 1 if contract is None else CONTRACT_SHARES)

    def positions(self) -> list[Position]:
        """All positions, sorted by symbol."""
        self.advance()
        seen = self.account.holdings_at(self.faults.positions_at(self.clock.now()))
        return [self._position(holding) for holding in seen]

    def position(self, name: str) -> Position:
        """By symbol or asset id. Raises Refusal when there is none."""
        self.advance()
        for holding in self.account.holdings:
            if name in (holding.symbol, self.asset_id(holding.symbol)):
                return self._position(holding)
        raise Refusal(404, NOT_FOUND, "position does not exist")

    def close_position(self, name: str, qty: int | None = None) -> SimOrder:
        """A market order that closes ``qty`` (default: all) of a position. Raises Refusal."""
        holding = self.position(name).holding
        side: Side = "sell" if holding.qty > 0 else "buy"
        wanted = abs(holding.qty) if qty is None else qty
        return self.place(NewOrder(holding.symbol, side, wanted, "market"))

    def close_all(self, cancel_orders: bool) -> list[tuple[str, SimOrder | Refusal]]:
        """Close every position, after cancelling every order if asked; what became of each symbol."""
        self.advance()
        if cancel_orders:
            for order in self._book.open():
                self._end(order, SimStatus.CANCELED, self.clock.now())
        return [(holding.symbol, self._try_close(holding.symbol)) for holding in self.account.holdings]

    def _try_close(self, symbol: str) -> SimOrder | Refusal:
        try:
            return self.close_position(symbol)
        except Refusal as refusal:
            return refusal

    def do_not_exercise(self, name: str) -> None:
        """Decline the exercise of a long position on its expiration day. Raises Refusal."""
        try:
            position = self.position(name)
        except Refusal:
            raise Refusal(404, NOT_FOUND, f"long position not found: {name}") from None
        contract = contract_of(position.holding.symbol)
        if contract is None:
            raise Refusal(422, UNPROCESSABLE, "invalid symbol")
        if position.holding.qty < 0:
            raise Refusal(403, SHORT_POSITION, "cannot submit DNE for short position")
        if contract.expiry != self.market.day:
            raise Refusal(403, FORBIDDEN, "dne requests are only accepted on the expiration day")
        if self.clock.now() >= (last := self.market.session.close + self.rules.dne_after_close):
            raise Refusal(403, FORBIDDEN, f"dne requests are not accepted after {eastern(last):%H:%M}")
        self.account.declined.add(contract.symbol)

    @property
    def buying_power(self) -> Decimal:
        """Cash less what open buys reserve, at least zero."""
        return max(Decimal(0), self.account.cash - sum(order.reserved for order in self._book.open()))

    def figures(self) -> Figures:
        values = [position.market_value for position in self.positions()]
        return Figures(
            cash=self.account.cash,
            long_value=sum((value for value in values if value > 0), Decimal(0)),
            short_value=sum((value for value in values if value < 0), Decimal(0)),
            last_equity=self.account.start_equity,
            buying_power=self.buying_power,
        )

    def activities(self) -> list[Activity]:
        """All activities, oldest first."""
        self.advance()
        return self.account.activities

    def _position(self, holding: Holding) -> Position:
        closing = "sell" if holding.qty > 0 else "buy"
        held = sum(order.remaining for order in self._book.open(holding.symbol) if order.side == closing)
        quote = self.quote(holding.symbol, self.clock.now())
        price = holding.avg_price if quote is None else quote.mid
        available = max(0, abs(holding.qty) - held) * (1 if holding.qty > 0 else -1)
        return Position(holding, self.asset_id(holding.symbol), price, available)

    # The last minutes, and what comes after the close

    def _liquidate(self, at: datetime) -> None:
        """The broker's own market sells; what nobody bids for is looked at again in a minute."""
        holdings = liquidation.to_sell(
            self._expiring(),
            self.account,
            self.buying_power,
            lambda symbol: _cents(self.market.spot(symbol, at)),
            self.market.session,
            at,
            self.rules,
        )
        for holding in holdings:
            self._sell_out(holding, at)

    def liquidate(self, symbol: str) -> bool:
        """The broker sells a long position by itself, now; False when it cannot."""
        self.advance()
        holding = self.account.holding(symbol)
        return holding is not None and holding.qty > 0 and self._sell_out(holding, self.clock.now())

    def _sell_out(self, holding: Holding, at: datetime) -> bool:
        working, quote = self._book.open(holding.symbol), self.quote(holding.symbol, at)
        if quote is None or quote.bid <= 0 or any(order.by_broker for order in working):
            return False
        for order in working:
            self._end(order, SimStatus.CANCELED, at)
        self._accept(NewOrder(holding.symbol, "sell", holding.qty, "market"), at, by_broker=True)
        return True

    def _settle(self, at: datetime) -> None:
        for _, contract in self._expiring():
            self.account.settle(contract, _cents(self.market.settlement(contract.underlying)), at)

    def _expiring(self) -> list[tuple[Holding, Contract]]:
        held = [(holding, contract_of(holding.symbol)) for holding in self.account.holdings]
        return [(h, contract) for h, contract in held if contract and contract.expiry == self.market.day]

    # Streams

    def subscribe_quotes(self, symbols: frozenset[str]) -> None:
        """From now on send these symbols' quotes, each second of the session, and no others."""
        self.advance()
        self._subscribed = tuple(sorted(symbols))

    def on_trade_update(self, callback: Callable[[TradeUpdateMessage], None]) -> None:
        """Call ``callback`` with each update, in order, from inside whichever call caused it."""
        self._update_listeners.append(callback)

    def on_quote(self, callback: Callable[[Quote], None]) -> None:
        """Call ``callback`` with each subscribed quote, from inside ``advance``."""
        self._quote_listeners.append(callback)

    def _send_quotes(self, at: datetime) -> None:
        for symbol in self._subscribed:
            true = self.quote(symbol, at)
            shown = self.faults.quote(true, at) if true is not None else None
            if shown is not None:
                self.emitted_quotes += 1
                for listener in self._quote_listeners:
                    listener(shown)

    def _tell(self, event: str, order: SimOrder, at: datetime, execution: Execution | None = None) -> None:
        self._events += 1
        message = TradeUpdateMessage(
            event,
            order,
            at,
            self.dice.uuid("event", self._events),
            price=execution.price if execution else None,
            qty=execution.qty if execution else None,
            position_qty=self.account.qty(order.symbol) if execution else None,
        )
        for shown in self.faults.trade_update(message):
            self.emitted_updates += 1
            for listener in self._update_listeners:
                listener(shown)


def _cents(dollars: float) -> Decimal:
    return Decimal(f"{dollars:.2f}")
