"""Where the numbers of a running daemon are, for ``/metrics``. Memory only."""

from collections.abc import Mapping

from wsb_snake.core.metrics import Metrics
from wsb_snake.daemon import Daemon
from wsb_snake.owner.metrics_page import Measured
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.risk_governor import used


def measured(daemon: Daemon, metrics: Metrics) -> Measured:
    """Of ``daemon``, on the registry of ``metrics``."""
    desk = daemon.executor.desk
    return Measured(
        metrics=metrics,
        tape=desk.book.tape,
        read_facts=daemon.facts,
        limits=lambda: limits_of(desk),
        pending=daemon.outbox.pending,
    )


def limits_of(desk: Desk) -> Mapping[str, tuple[float, float]]:
    """Used and allowed, dollars and counts, by the name of the limit."""
    taken, limits = used(desk.book.view, desk.day_start(), desk.now()), desk.limits
    return {
        "day_dollars": (float(taken.day_dollars), float(limits.day_dollars)),
        "orders_minute": (taken.orders_minute, limits.orders_minute),
        "orders_day": (taken.orders_day, limits.orders_day),
        "positions": (taken.positions, limits.positions),
    }
