"""The broker as the daemon sees it: a port, its values, and errors sorted by what to do next.

    BrokerError
    ├── Rejected      the broker said no, definitely; nothing happened (``reason`` is its text)
    │   └── NotFound  there is no such order, position or contract
    ├── Unknown       it may have happened: look the client_order_id up, never resend blindly
    ├── Throttled     429: nothing happened; wait
    │   └── Withheld  our own budget kept it back, so that exits have room; says nothing about the broker
    ├── Unavailable   nothing happened (a read failed, or the connection was refused): count, retry
    └── Fatal         keys, account or permission: stop and page the owner

A read (GET) never raises ``Unknown``; a write (POST, DELETE) raises ``Unknown`` for time-outs, resets
after the request left, 5xx and unparsable answers.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from wsb_snake.core.calendar import Session
from wsb_snake.core.orders import Order, OrderStatus, OrderType, PositionIntent, Side
from wsb_snake.core.types import Contract


class BrokerError(Exception):
    """Something between us and the broker went wrong."""


class Rejected(BrokerError):
    def __init__(self, reason: str, status: int = 0, code: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code


class NotFound(Rejected):
    pass


class Unknown(BrokerError):
    pass


class Throttled(BrokerError):
    pass


class Withheld(Throttled):
    pass


class Unavailable(BrokerError):
    pass


class Fatal(BrokerError):
    pass


@dataclass(frozen=True, slots=True)
class Account:
    """Dollars as Decimal. ``options_level`` 2 or more may buy options; None: the broker did not say."""

    number: str
    status: str
    equity: Decimal
    last_equity: Decimal
    cash: Decimal
    options_buying_power: Decimal
    options_level: int | None
    blocked: bool


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """One line of the account. ``qty`` is signed (short is negative), in contracts or shares."""

    symbol: str
    is_option: bool
    qty: Decimal
    qty_available: Decimal
    avg_entry_price: Decimal
    current_price: Decimal | None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker reports it; ``filled_qty`` is cumulative."""

    id: str
    client_order_id: str
    symbol: str
    is_option: bool
    side: Side
    intent: PositionIntent | None
    type: str
    qty: Decimal
    limit_price: Decimal | None
    status: OrderStatus
    filled_qty: Decimal
    filled_avg_price: Decimal | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OrderTicket:
    """What goes on the wire: a DAY order in one option contract."""

    client_order_id: str
    symbol: str
    side: Side
    intent: PositionIntent
    type: OrderType
    qty: int
    limit_price: Decimal | None

    @classmethod
    def of(cls, order: Order) -> "OrderTicket":
        return cls(
            order.client_order_id,
            order.symbol,
            order.side,
            order.intent,
            order.type,
            order.qty,
            order.limit_price,
        )


@dataclass(frozen=True, slots=True)
class TradeUpdate:
    """One message of the trade_updates stream; ``order`` carries the cumulative state."""

    event: str
    order: BrokerOrder
    at: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """One account activity: FILL, OPEXP, OPEXC, OPASN, OPTRD and so on. ``qty`` is unsigned."""

    id: str
    type: str
    symbol: str
    side: Side | None
    qty: Decimal
    price: Decimal | None
    at: datetime
    order_id: str | None


@dataclass(frozen=True, slots=True)
class BrokerClock:
    at: datetime
    is_open: bool


class Broker(Protocol):
    """Every method is one bounded network call and may raise any BrokerError."""

    def account(self) -> Account: ...

    def clock(self) -> BrokerClock: ...

    def calendar(self, first: date, last: date) -> tuple[Session, ...]:
        """The sessions from ``first`` to ``last`` (US/Eastern days, inclusive)."""
        ...

    def positions(self) -> tuple[BrokerPosition, ...]: ...

    def open_orders(self) -> tuple[BrokerOrder, ...]:
        """All live orders, ours and foreign (at most 500)."""
        ...

    def orders_since(self, after: datetime) -> tuple[BrokerOrder, ...]:
        """All orders, live and ended, submitted after ``after``, newest first (at most 500)."""
        ...

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        """Raises NotFound when the broker knows no such order."""
        ...

    def submit(self, ticket: OrderTicket) -> BrokerOrder: ...

    def cancel(self, broker_id: str) -> None:
        """Ask for a cancel; the answer is no proof that it happened."""
        ...

    def activities(self, since: datetime) -> tuple[Activity, ...]:
        """Account activities after ``since``, oldest first."""
        ...

    def contracts_expiring(self, underlyings: tuple[str, ...], day: date) -> tuple[Contract, ...]:
        """Contracts that the broker lists as tradable and that expire on ``day``."""
        ...

    def do_not_exercise(self, symbol: str) -> None: ...
