"""Closing at the broker without the daemon: one command, one loop, no book and no database.

It is for the hour in which the daemon is dead. Prices, patience and the next step of each order come
from the rules of ``trading``; what it sends carries our prefix, so that the next daemon knows its own.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from wsb_snake.core.clock import eastern
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.orders import (
    LIVE,
    UNSETTLED,
    Order,
    OrderStatus,
    PositionIntent,
    Purpose,
    Report,
    Side,
    apply_report,
)
from wsb_snake.core.types import Quote
from wsb_snake.trading.book import BookView
from wsb_snake.trading.broker import (
    Broker,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Fatal,
    NotFound,
    OrderTicket,
    Rejected,
    Unknown,
)
from wsb_snake.trading.closing import back_off
from wsb_snake.trading.flat_proof import FlatProof, in_scope, look
from wsb_snake.trading.order_ids import OrderIds, order_id
from wsb_snake.trading.order_signs import OrderSigns
from wsb_snake.trading.order_work import BROKER_LAG_S, RECANCEL_S, Cancel, LookUp, exit_step, next_exit
from wsb_snake.trading.reconciler import compare

STEP_S = 1.5
"""Two readings a step: 80 calls a minute of the 200 that the broker allows."""

ENGINE = "direct"

Quotes = Callable[[tuple[str, ...]], dict[str, Quote]]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Contract:
    """One contract in scope: our orders in it, and what the broker first showed."""

    symbol: str
    position_id: str
    shown: int
    orders: list[Order] = field(default_factory=list)

    @property
    def live(self) -> Order | None:
        return next((order for order in self.orders if order.live), None)

    def keep(self, order: Order) -> None:
        self.orders = [order if o.client_order_id == order.client_order_id else o for o in self.orders]

    def sellable(self, held: BrokerPosition, begun_at: datetime) -> int:
        """What may be sold: the broker's positions lag behind its orders, so our own fills count first."""
        free = int(held.qty_available)
        filled = [o for o in self.orders if o.filled_qty and o.ended_at is not None]
        last = max((o.ended_at for o in filled if o.ended_at is not None), default=None)
        if last is None or begun_at >= last + timedelta(seconds=BROKER_LAG_S):
            return free
        return min(free, self.shown - sum(o.filled_qty for o in filled))


class DirectFlatten:
    """Sells what ``day`` names (None: every long option) until the broker has shown flat twice."""

    def __init__(
        self,
        broker: Broker,
        quotes: Quotes,
        lanes: Lanes,
        ids: OrderIds,
        day: date | None,
        say: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._quotes = quotes
        self._lanes = lanes
        self._ids = ids
        self._day = day
        self._say = say
        self._contracts: dict[str, _Contract] = {}
        self._cancelled_at: dict[str, datetime] = {}
        self._left: dict[str, str] = {}
        self._told = ""
        self._signs = OrderSigns()
        self._open: bool | None = None  # the market; None before the broker has said so

    def run(self, limit_s: float) -> tuple[str, ...]:
        """Work for at most ``limit_s`` seconds; a line for each thing not proven flat, none when all is."""
        clock = self._lanes.clock
        ends = clock.monotonic() + limit_s
        proof = FlatProof(clock.now())
        self._left = {"the account": "the broker has not answered"}
        while True:
            begun = clock.now()
            try:
                if self._open is None:
                    self._open = self._broker.clock().is_open
                positions, orders = self._broker.positions(), self._broker.open_orders()
            except BrokerError as error:
                self._tell(f"the broker does not answer, trying again: {error}")
            else:
                reading = look(positions, orders, begun, self._day)
                self._left = dict.fromkeys(reading.open_symbols, "still open")
                self._step(positions, orders, begun)
                proof = replace(proof, since=max([proof.since, *self._ends()])).after(reading)
                if proof.proven and not any(c.live for c in self._contracts.values()):
                    return ()
                if not self._open and self._left:
                    return tuple(f"{symbol}: the market is shut, nothing was sent" for symbol in self._left)
            if clock.monotonic() >= ends:
                break
            self._lanes.sleep(STEP_S)
        return tuple(f"{symbol}: {why}" for symbol, why in sorted(self._left.items())) or (
            "the account: flat once, but not yet shown twice 10 s apart",
        )

    def _ends(self) -> list[datetime]:
        return [o.ended_at for c in self._contracts.values() for o in c.orders if o.ended_at is not None]

    def _step(
        self, positions: tuple[BrokerPosition, ...], orders: tuple[BrokerOrder, ...], begun: datetime
    ) -> None:
        """Bring every contract in scope one step further."""
        self._follow(orders, begun)
        if not self._open:
            return
        blocked = self._cancel_others(orders)
        found = compare(BookView(), positions, (), begun)
        held = {s.held.symbol: s.held for s in found.surplus if in_scope(s.held.symbol, self._day)}
        for item in found.foreign:
            if item.symbol in self._left:
                self._left[item.symbol] = f"never sold by us: {item.kind}"
        quotes = self._fetch(tuple(sorted(held)))
        for symbol, position in sorted(held.items()):
            contract = self._contracts.get(symbol)
            if contract is None:
                name = self._ids.position(self._lanes.clock.now(), ENGINE)
                contract = self._contracts[symbol] = _Contract(symbol, name, int(position.qty))
            working = contract.live
            quote = quotes.get(symbol)
            if working is not None:
                self._pursue(contract, working, quote)
            elif symbol in blocked:
                self._left[symbol] = "another order holds it, its cancel is not confirmed yet"
            else:
                self._sell(contract, contract.sellable(position, begun), quote)

    def _fetch(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        return self._quotes(symbols) if symbols else {}

    def _follow(self, orders: tuple[BrokerOrder, ...], begun: datetime) -> None:
        """What became of our own orders; one that is not listed any more is asked for.

        One that the broker neither lists nor finds nor has to cancel, though it took it, has been lost.
        """
        listed = {order.client_order_id: order for order in orders}
        for contract in self._contracts.values():
            order = contract.live
            if order is None:
                continue
            signs = self._signs.of(order.client_order_id)
            found = listed.get(order.client_order_id)
            if found is not None:
                signs.listed_at = begun
                self._report(contract, order, found)
            elif signs.over(order, begun, self._lanes.clock.now()):
                self._give_up(contract, order, signs.alive_at(order))
            else:
                self._look_up(contract, order)
                if signs.missing(order, self._lanes.clock.now()) and order.broker_id is not None:
                    self._cancel(order.broker_id, order)

    def _give_up(self, contract: _Contract, order: Order, alive_at: datetime) -> None:
        note = "the broker neither lists nor finds it: taken for ended"
        self._tell(f"{order.symbol}: the broker has lost our order, the next one follows")
        contract.keep(replace(order, status=OrderStatus.CANCELED, ended_at=alive_at, note=note))

    def _look_up(self, contract: _Contract, order: Order) -> None:
        now = self._lanes.clock.now()
        try:
            found = self._broker.order_by_client_id(order.client_order_id)
        except NotFound:
            self._signs.of(order.client_order_id).unfound_at = now
            old = now - (order.sent_at or order.created_at) >= timedelta(seconds=BROKER_LAG_S)
            if order.status in UNSETTLED and old:
                contract.keep(replace(order, status=OrderStatus.NEVER_SENT, ended_at=now))
        except BrokerError as error:
            self._tell(f"{order.symbol}: its order cannot be looked up: {error}")
        else:
            self._report(contract, order, found)

    def _report(self, contract: _Contract, order: Order, found: BrokerOrder) -> None:
        now = self._lanes.clock.now()
        price = found.filled_avg_price
        report = Report(found.status, int(found.filled_qty), price, found.id, now)
        grown = apply_report(order, report)
        if grown.filled_qty > order.filled_qty:
            self._tell(f"sold {grown.filled_qty} of {grown.qty} × {order.symbol} at {price}")
        contract.keep(grown)
        if grown.live and grown.status is not OrderStatus.UNRECOGNISED:
            self._signs.of(order.client_order_id).shown_at = now

    def _cancel_others(self, orders: tuple[BrokerOrder, ...]) -> set[str]:
        """Cancel every live order in scope that is not of this run; the contracts that wait for it."""
        mine = {o.client_order_id for c in self._contracts.values() for o in c.orders}
        now = self._lanes.clock.now()
        waiting = set()
        for order in orders:
            if order.client_order_id in mine or order.status not in LIVE:
                continue
            if not in_scope(order.symbol, self._day):
                continue
            waiting.add(order.symbol)
            asked = self._cancelled_at.get(order.id)
            if asked is None or now - asked >= timedelta(seconds=RECANCEL_S):
                self._cancelled_at[order.id] = now
                self._tell(f"cancelling an open order: {order.side} {order.qty} × {order.symbol}")
                self._cancel(order.id)
        return waiting

    def _cancel(self, broker_id: str, mine: Order | None = None) -> None:
        """Ask for a cancel; ``mine`` is the order when it is one of this run."""
        now = self._lanes.clock.now()
        try:
            self._broker.cancel(broker_id)
        except Rejected as error:
            if mine is not None:
                signs = self._signs.of(mine.client_order_id)
                signs.refused_at = now
                signs.nothing_at = now if isinstance(error, NotFound) else signs.nothing_at
            return  # over already; the next reading shows how
        except BrokerError as error:
            self._tell(f"a cancel got no answer: {error}")

    def _pursue(self, contract: _Contract, order: Order, quote: Quote | None) -> None:
        """Wait for a working order, or cancel it to price it again."""
        now = self._lanes.clock.now()
        step = exit_step(order, quote, now)
        bid = quote is not None and quote.bid > 0
        self._left[order.symbol] = (
            "the closing order is not filled yet"
            if bid
            else f"nobody bids; our limit of {order.limit_price} keeps working for the day"
        )
        if isinstance(step, Cancel) and order.broker_id is not None:
            contract.keep(replace(order, cancel_asked_at=now))
            self._cancel(order.broker_id, order)
        elif isinstance(step, LookUp):
            self._look_up(contract, order)

    def _sell(self, contract: _Contract, qty: int, quote: Quote | None) -> None:
        now = self._lanes.clock.now()
        wait_until = back_off(contract.orders)
        if wait_until is not None and now < wait_until:
            self._left[contract.symbol] = f"refused: {contract.orders[-1].note}"
            return
        if qty <= 0:
            self._left[contract.symbol] = "the broker holds it back, nothing is available to sell"
            return
        attempt = len(contract.orders) + 1
        send = next_exit(contract.symbol, attempt, quote, now, urgent=True)
        order = Order(
            client_order_id=order_id(contract.position_id, Purpose.EXIT, attempt),
            position_id=contract.position_id,
            purpose=Purpose.EXIT,
            symbol=contract.symbol,
            side=Side.SELL,
            intent=PositionIntent.SELL_TO_CLOSE,
            type=send.type,
            qty=qty,
            limit_price=send.limit_price,
            status=OrderStatus.SENDING,
            created_at=now,
            attempt=attempt,
            sent_at=now,
        )
        contract.orders.append(order)
        self._left[contract.symbol] = "its closing order has just been sent"
        at = "at the market" if send.limit_price is None else f"limit {send.limit_price}"
        self._tell(f"selling {qty} × {contract.symbol} {at}")
        self._submit(contract, order)

    def _submit(self, contract: _Contract, order: Order) -> None:
        now = self._lanes.clock.now()
        try:
            found = self._broker.submit(OrderTicket.of(order))
        except (Rejected, Fatal) as error:
            contract.keep(replace(order, status=OrderStatus.REJECTED, ended_at=now, note=str(error)))
            self._left[order.symbol] = f"refused: {error}"
            self._tell(f"{order.symbol}: the broker refuses: {error}")
        except Unknown as error:
            contract.keep(replace(order, status=OrderStatus.UNKNOWN))
            self._tell(f"{order.symbol}: no answer, its fate is looked up: {error}")
        except BrokerError as error:
            contract.keep(replace(order, status=OrderStatus.NEVER_SENT, ended_at=now, note=str(error)))
            self._left[order.symbol] = f"not sent: {error}"
            self._tell(f"{order.symbol}: not sent, trying again: {error}")
        else:
            self._report(contract, order, found)

    def _tell(self, text: str) -> None:
        """Say it, unless it was the last thing said."""
        if text != self._told:
            self._told = text
            self._say(f"{eastern(self._lanes.clock.now()):%H:%M:%S} ET  {text}")
