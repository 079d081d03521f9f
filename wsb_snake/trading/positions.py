"""A position of ours, its exit plan and what has been seen of it."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.core.orders import WATCHED, ExitReason, Origin, PositionState
from wsb_snake.core.signals import ExitPlan
from wsb_snake.core.types import CONTRACT_SHARES


@dataclass(frozen=True, slots=True)
class Watch:
    """What quotes have shown since the entry; dollars per share.

    ``stop_seen_at`` is the stamp of the first quote of the present crossing of the stop.
    """

    high_bid: Decimal | None = None
    best_mid: Decimal | None = None
    worst_mid: Decimal | None = None
    stop_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """One position in one contract, from the first intent to the last fill.

    ``qty`` is what we hold now, in contracts; prices are averages of fills in dollars per share.
    While EXITING, ``to_sell`` contracts are still to be sold for ``exit_reason``.
    """

    position_id: str
    symbol: str
    underlying: str
    expiry: date
    origin: Origin
    engine: str
    setup: str
    signal_id: str | None
    state: PositionState
    plan: ExitPlan
    opened_at: datetime
    qty: int = 0
    bought_qty: int = 0
    sold_qty: int = 0
    to_sell: int = 0
    half_sold: bool = False
    entry_price: Decimal | None = None
    exit_price: Decimal | None = None
    decision_price: Decimal | None = None
    exit_reason: ExitReason | None = None
    closed_at: datetime | None = None
    watch: Watch = Watch()
    note: str = ""

    @property
    def watched(self) -> bool:
        """Contracts are held, so exits are evaluated (a part-filled entry counts)."""
        return self.qty > 0 and (self.state in WATCHED or self.state is PositionState.ENTERING)

    @property
    def found(self) -> bool:
        """It was found at the broker: no signal that we know of led to it."""
        return self.signal_id is None

    def price_at(self, fraction: Decimal) -> Decimal | None:
        """The premium at ``fraction`` gain over the average entry fill."""
        return None if self.entry_price is None else self.entry_price * (1 + fraction)

    @property
    def target_price(self) -> Decimal | None:
        return None if self.plan.target is None else self.price_at(self.plan.target)

    @property
    def stop_price(self) -> Decimal | None:
        return None if self.plan.stop is None else self.price_at(-self.plan.stop)

    def unrealised(self, mid: Decimal) -> Decimal:
        """Dollars that the held contracts have gained at ``mid``."""
        if self.entry_price is None:
            return Decimal(0)
        return (mid - self.entry_price) * self.qty * CONTRACT_SHARES

    def realised(self) -> Decimal:
        """Dollars made on the contracts sold so far, before fees."""
        if self.entry_price is None or self.exit_price is None:
            return Decimal(0)
        return (self.exit_price - self.entry_price) * self.sold_qty * CONTRACT_SHARES


def bought(position: Position, qty: int, price: Decimal) -> Position:
    """``position`` after ``qty`` more contracts were bought at ``price``."""
    total = position.bought_qty + qty
    return replace(
        position,
        qty=position.qty + qty,
        bought_qty=total,
        entry_price=_average(position.entry_price, position.bought_qty, price, qty),
        to_sell=position.to_sell + qty if position.state is PositionState.EXITING else position.to_sell,
    )


def sold(position: Position, qty: int, price: Decimal) -> Position:
    """``position`` after ``qty`` of its contracts were sold at ``price``."""
    if qty == 0:
        return position
    return replace(
        position,
        qty=position.qty - qty,
        sold_qty=position.sold_qty + qty,
        to_sell=max(0, position.to_sell - qty),
        exit_price=_average(position.exit_price, position.sold_qty, price, qty),
    )


def _average(old: Decimal | None, old_qty: int, price: Decimal, qty: int) -> Decimal:
    if old is None or old_qty == 0:
        return price
    return (old * old_qty + price * qty) / (old_qty + qty)
