"""Signs of life of working orders, beside the broker's word for their status.

An order counts as live while its status does. Where that word is new to us, a cancel is never
confirmed or the broker has lost the order, lists, look-ups and refused cancels say what is left to
hope for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from wsb_snake.core.orders import UNSETTLED, Order, OrderStatus

CANCEL_OVERDUE = timedelta(seconds=20)
"""A cancel that is not confirmed after this holds up no exit any more."""

GONE_AFTER = timedelta(seconds=30)
TOLD_EVERY = timedelta(seconds=60)


@dataclass(slots=True)
class Signs:
    """What has been seen of one live order; moments of our clock."""

    listed_at: datetime | None = None  # the newest reading of live orders that has it
    cancel_since: datetime | None = None  # the first cancel request that is not confirmed
    shown_at: datetime | None = None  # the broker told of it, as live, in a word that we know
    refused_at: datetime | None = None  # the broker refused to cancel it: nothing is left to cancel
    unfound_at: datetime | None = None  # asked for by its name, the broker had no such order
    nothing_at: datetime | None = None  # asked to cancel it, the broker had no such order
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
        seen = (order.sent_at, self.listed_at, self.shown_at)
        return max((at for at in seen if at is not None), default=order.created_at)

    def missing(self, order: Order, now: datetime) -> bool:
        """Whether the broker no longer finds an order that it had, and nothing showed it alive for 30 s."""
        alive = self.alive_at(order)
        return self.unfound_at is not None and self.unfound_at > alive and now - alive >= GONE_AFTER

    def over(self, order: Order, read_at: datetime | None, now: datetime) -> bool:
        """Whether an order is over although its status is not: the reading of live orders asked for at
        ``read_at`` lacks it, and nothing has shown it alive for 30 s. The broker refuses to cancel it,
        where its status is a word that we do not know; else it neither finds it nor has it to cancel."""
        if order.status in UNSETTLED:
            return False
        alive = self.alive_at(order)
        unrecognised = order.status is OrderStatus.UNRECOGNISED
        evidence = (self.refused_at,) if unrecognised else (self.unfound_at, self.nothing_at)
        return now - alive >= GONE_AFTER and all(at is not None and at > alive for at in (read_at, *evidence))


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
