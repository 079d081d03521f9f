"""Every order of the account, by id, by client_order_id and by time."""

from collections.abc import Iterable
from datetime import datetime

from wsb_snake.sim.order_entry import NOT_FOUND, Refusal
from wsb_snake.sim.orders import SimOrder


class OrderBook:
    def __init__(self) -> None:
        self._all: dict[str, SimOrder] = {}  # in order of submission, as are the open ones
        self._open: dict[str, SimOrder] = {}
        self._ids: dict[str, str] = {}  # client_order_id -> id

    def __len__(self) -> int:
        return len(self._all)

    def put(self, order: SimOrder) -> SimOrder:
        """Enter ``order``, or what became of it."""
        self._all[order.id] = order
        self._ids[order.client_order_id] = order.id
        if order.open:
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)
        return order

    def has_client_id(self, client_order_id: str | None) -> bool:
        return client_order_id in self._ids

    def get(self, order_id: str) -> SimOrder:
        """Raises Refusal when there is no such order."""
        if order_id not in self._all:
            raise Refusal(404, NOT_FOUND, f"order not found for {order_id}")
        return self._all[order_id]

    def by_client_id(self, client_order_id: str) -> SimOrder:
        """Raises Refusal when there is no such order."""
        if client_order_id not in self._ids:
            raise Refusal(404, NOT_FOUND, f"order not found for {client_order_id}")
        return self._all[self._ids[client_order_id]]

    def open(self, symbol: str | None = None) -> list[SimOrder]:
        """The open orders (in ``symbol``), oldest first."""
        return [order for order in self._open.values() if symbol is None or order.symbol == symbol]

    def find(
        self,
        status: str,
        limit: int,
        after: datetime | None,
        until: datetime | None,
        direction: str,
        symbols: frozenset[str],
    ) -> list[SimOrder]:
        """Orders by time of submission; ``status`` is open, closed or all, both bounds are exclusive."""
        pool: Iterable[SimOrder] = self._open.values() if status == "open" else self._all.values()
        found = [
            order
            for order in pool
            if (status != "closed" or not order.open)
            and (after is None or order.submitted_at > after)
            and (until is None or order.submitted_at < until)
            and (not symbols or order.symbol in symbols)
        ]
        if direction != "asc":
            found.reverse()
        return found[:limit]
