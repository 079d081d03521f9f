"""The daemon's broker with somebody who looks over its shoulder at each order."""

from collections.abc import Callable
from datetime import date, datetime

from wsb_snake.core.calendar import Session
from wsb_snake.core.types import Contract
from wsb_snake.trading.broker import (
    Account,
    Activity,
    Broker,
    BrokerClock,
    BrokerOrder,
    BrokerPosition,
    OrderTicket,
    Rejected,
)


class WatchedBroker:
    """Implements ``Broker``. ``sending`` is told at the instant of the call, ``refused`` after a no."""

    def __init__(
        self,
        broker: Broker,
        sending: Callable[[OrderTicket], None],
        refused: Callable[[OrderTicket, Rejected], None],
    ) -> None:
        self._broker = broker
        self._sending = sending
        self._refused = refused

    def submit(self, ticket: OrderTicket) -> BrokerOrder:
        self._sending(ticket)
        try:
            return self._broker.submit(ticket)
        except Rejected as error:
            self._refused(ticket, error)
            raise

    def account(self) -> Account:
        return self._broker.account()

    def clock(self) -> BrokerClock:
        return self._broker.clock()

    def calendar(self, first: date, last: date) -> tuple[Session, ...]:
        return self._broker.calendar(first, last)

    def positions(self) -> tuple[BrokerPosition, ...]:
        return self._broker.positions()

    def open_orders(self) -> tuple[BrokerOrder, ...]:
        return self._broker.open_orders()

    def orders_since(self, after: datetime) -> tuple[BrokerOrder, ...]:
        return self._broker.orders_since(after)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        return self._broker.order_by_client_id(client_order_id)

    def cancel(self, broker_id: str) -> None:
        self._broker.cancel(broker_id)

    def activities(self, since: datetime) -> tuple[Activity, ...]:
        return self._broker.activities(since)

    def contracts_expiring(self, underlyings: tuple[str, ...], day: date) -> tuple[Contract, ...]:
        return self._broker.contracts_expiring(underlyings, day)

    def do_not_exercise(self, symbol: str) -> None:
        self._broker.do_not_exercise(symbol)
