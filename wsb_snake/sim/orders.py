"""Orders as the exchange keeps them; immutable, so that whoever holds one holds a snapshot.

Prices are dollars per share as Decimal, quantities contracts or shares, times aware UTC.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from wsb_snake.core.types import CONTRACT_SHARES

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit"]
Intent = Literal["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]

INTENTS: tuple[Intent, ...] = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")

_MICRO = Decimal("0.000001")


class SimStatus(StrEnum):
    """The statuses that this exchange gives (Alpaca has more)."""

    PENDING_NEW = "pending_new"  # taken over the wire, not yet at the venue
    ACCEPTED = "accepted"  # waits for the session to open
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


ENDED = frozenset({SimStatus.FILLED, SimStatus.CANCELED, SimStatus.EXPIRED, SimStatus.REJECTED})
WORKING = frozenset({SimStatus.NEW, SimStatus.PARTIALLY_FILLED})
"""At the venue and looked at in every step."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A well-formed request for a simple DAY order (``rules.parse_order`` makes it from JSON)."""

    symbol: str
    side: Side
    qty: int
    type: OrderType
    limit_price: Decimal | None = None
    client_order_id: str | None = None
    position_intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class SimOrder:
    """One order. ``intent`` is None for shares; ``filled_cost`` is the sum of price x quantity filled."""

    id: str
    client_order_id: str
    symbol: str
    is_option: bool
    asset_id: str
    side: Side
    intent: Intent | None
    type: OrderType
    qty: int
    limit_price: Decimal | None
    reserve_price: Decimal  # what a buy sets aside per share: its limit, or the ask at submission
    status: SimStatus
    submitted_at: datetime
    updated_at: datetime
    expires_at: datetime
    by_broker: bool = False  # the broker's own liquidation
    filled_qty: int = 0
    filled_cost: Decimal = Decimal(0)
    executions: int = 0
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None

    @property
    def open(self) -> bool:
        """May still fill, so it holds quantity or money."""
        return self.status not in ENDED

    @property
    def remaining(self) -> int:
        return self.qty - self.filled_qty

    @property
    def multiplier(self) -> int:
        return CONTRACT_SHARES if self.is_option else 1

    @property
    def filled_avg_price(self) -> Decimal | None:
        return self.filled_cost / self.filled_qty if self.filled_qty else None

    @property
    def reserved(self) -> Decimal:
        """Dollars that an open buy withholds from the buying power."""
        if self.side == "sell" or not self.open:
            return Decimal(0)
        return self.reserve_price * self.multiplier * self.remaining


@dataclass(frozen=True, slots=True)
class TradeUpdateMessage:
    """One event of the trade_updates stream; ``order`` is the order right after it.

    ``price``, ``qty`` (of this execution) and ``position_qty`` are there for fills only.
    """

    event: str
    order: SimOrder
    at: datetime
    execution_id: str
    price: Decimal | None = None
    qty: int | None = None
    position_qty: int | None = None


def plain(amount: Decimal) -> str:
    """``amount`` as the wire shows it: to a millionth, without exponent or needless zeros."""
    rounded = amount.quantize(_MICRO).normalize()
    return f"{rounded:f}" if rounded else "0"
