"""Signs of life of working orders, beside the broker's word for their status.

An order counts as live while its status does. Where that word is new to us, or a cancel is never
confirmed, lists, look-ups and refused cancels say what is left to hope for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from wsb_snake.core.orders import Order, OrderStatus

CANCEL_OVERDUE = timedelta(seconds=20)
"""A cancel that is not confirmed after this holds up no exit any more."""

GONE_AFTER = timedelta(seconds=30)
TOLD_EVERY = timedelta(seconds=60)


@dataclass(slots=True)
class Signs:
    """What has been seen of one live order; moments of our clock."""

    listed_at: datetime | None = None  # the newest reading of live orders that has it
    cancel_since: datetime | None = None  # the first cancel request that is not confirmed
    refused_at: datetime | None = None  # the broker refused to cancel it: nothing is left to cancel
    told_at: datetime | None = None  # the owner heard that its cancel is not confirmed

    def cancel_overdue(self, now: datetime) -> bool:
        return self.cancel_since is not None and now - self.cancel_since >= CANCEL_OVERDUE

    def tell(self, now: datetime) -> bool:
        """Whether the owner is to hear of the stuck cancel at ``now``; if so, it counts as told."""
        if not self.cancel_overdue(now) or (self.told_at is not None and now - self.told_at < TOLD_EVERY):
            return False
        self.told_at = now
        return True

    def alive_at(self, order: Order) -> datetime:
        """The last evidence that the broker works ``order``."""
        return max(order.sent_at or order.created_at, self.listed_at or order.created_at)

    def over(self, order: Order, read_at: datetime | None, now: datetime) -> bool:
        """Whether an order of unknown status is over: the reading of live orders asked for at ``read_at``
        lacks it, the broker refuses to cancel it, and nothing has shown it alive for 30 s."""
        if order.status is not OrderStatus.UNRECOGNISED or self.refused_at is None or read_at is None:
            return False
        alive = self.alive_at(order)
        return self.refused_at > alive and read_at > alive and now - alive >= GONE_AFTER


class OrderSigns:
    """The signs of every live order, by client_order_id."""

    def __init__(self) -> None:
        self._signs: dict[str, Signs] = {}

    def of(self, client_order_id: str) -> Signs:
        return self._signs.setdefault(client_order_id, Signs())

    def listed(self, names: Iterable[str], at: datetime) -> None:
        """The broker's live orders as asked for at ``at``."""
        for name in names:
            signs = self._signs.get(name)
            if signs is not None:
                signs.listed_at = at

    def keep(self, names: Iterable[str]) -> None:
        """Forget every order but these."""
        self._signs = {name: self.of(name) for name in names}
