"""Counts and latencies of one daemon, for Prometheus. ``Metrics`` holds a registry of its own."""

import threading
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from wsb_snake.core.order_tape import Looked, Moved, OrderTape, Waited
from wsb_snake.core.orders import UNSETTLED, ExitReason, OrderStatus

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""Upper bounds of the histograms: from an exit's own time to an entry's whole life."""

BY_PRICE = frozenset({ExitReason.TARGET, ExitReason.STOP, ExitReason.TRAIL, ExitReason.PARTIAL})
"""Exits that a quote decides; the others have no quote to count from."""


class Metrics:
    """What is measured; ``digest`` is called by whoever has the time, never by the order path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._quote = self._seconds(
            "exit_quote", "From the look at the quote that decided an exit to its POST"
        )
        self._decision = self._seconds("order_decision", "From the decision to the POST", "path")
        self._journal = self._seconds(
            "order_journal", "What a send waits for its row to be durable, last checks included", "path"
        )
        self._ack = self._seconds("order_ack", "From the POST to the broker's answer", "path")
        self._fill = self._seconds("order_fill", "From the broker's answer to the last fill", "path")
        self._sent = self._count("orders_sent", "Orders that went on the wire", "path")
        self._fills = self._count("fills", "Fills that grew an order", "path")
        self._rejects = self._count("rejects", "Orders that the broker refused", "path")
        self._unknown = self._count("orders_unknown", "Sends whose answer was lost", "path")
        self._not_sent = self._count("orders_given_up", "Orders that never reached the broker", "path")
        self.events = self._count("events", "Events in the journal since the start", "kind")
        self.trips = self._count(
            "breaker_trips", "Pauses that a circuit breaker set since the start", "breaker"
        )
        self.learning_version = Gauge(
            "wsb_snake_learning_version", "Version of the learnt weights", registry=self.registry
        )
        self._looked: dict[str, datetime] = {}  # of orders that are not sent yet
        self._answered: dict[str, datetime] = {}  # of orders that are not over
        self._lock = threading.Lock()
        for path in ("entry", "exit"):  # a series that begins at 0 shows its first increase
            for each in (self._sent, self._fills, self._rejects, self._unknown, self._not_sent):
                each.labels(path)

    def digest(self, tape: OrderTape) -> None:
        """Count what ``tape`` holds, and empty it."""
        with self._lock:
            for entry in tape.take():
                if isinstance(entry, Moved):
                    self._moved(entry)
                elif isinstance(entry, Looked):
                    self._looked[entry.client_order_id] = entry.at
                else:
                    self._waited(entry)

    def _waited(self, entry: Waited) -> None:
        self._journal.labels(entry.purpose.value).observe(entry.seconds)

    def _moved(self, entry: Moved) -> None:
        before, after, path = entry.before, entry.after, entry.after.purpose.value
        was = None if before is None else before.status
        if after.filled_qty > (0 if before is None else before.filled_qty):
            self._fills.labels(path).inc()
        if after.status is OrderStatus.SENDING:
            self._went(entry)
        if after.status is OrderStatus.UNKNOWN and was is not after.status:
            self._unknown.labels(path).inc()
        if was in UNSETTLED and after.status not in UNSETTLED:
            self._settled(entry)
        if not after.live:
            answered = self._answered.pop(after.client_order_id, None)
            self._looked.pop(after.client_order_id, None)
            if after.status is OrderStatus.FILLED and was is not after.status and answered is not None:
                self._fill.labels(path).observe(_between(answered, entry.at))

    def _went(self, entry: Moved) -> None:
        order, path = entry.after, entry.after.purpose.value
        self._sent.labels(path).inc()
        self._decision.labels(path).observe(_between(order.created_at, entry.at))
        looked = self._looked.pop(order.client_order_id, None)
        if looked is not None and order.reason in BY_PRICE and order.attempt == 1:
            self._quote.observe(_between(looked, entry.at))

    def _settled(self, entry: Moved) -> None:
        """The broker has said what became of a send, or it was given up."""
        order, path = entry.after, entry.after.purpose.value
        if order.status is OrderStatus.NEVER_SENT:
            self._not_sent.labels(path).inc()
            return
        if order.status is OrderStatus.REJECTED:
            self._rejects.labels(path).inc()
        if order.sent_at is not None:
            self._ack.labels(path).observe(_between(order.sent_at, entry.at))
        self._answered[order.client_order_id] = entry.at

    def _seconds(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"wsb_snake_{name}_seconds", text, labels, registry=self.registry, buckets=SECONDS)

    def _count(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wsb_snake_{name}", text, labels, registry=self.registry)


def _between(start: datetime, end: datetime) -> float:
    """Seconds; a clock that was set back meanwhile gives none."""
    return max(0.0, (end - start).total_seconds())
