"""``GET /metrics`` for Prometheus: counts and latencies, and what is true now as gauges. Memory only.

What stands in the journal is counted by ``JournalCount.step``, in a lane of its own, so that a disk that
hangs keeps no scrape.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from wsb_snake.core.events import EventKind
from wsb_snake.core.health import Facts, Status, verdict
from wsb_snake.core.metrics import Metrics
from wsb_snake.core.order_tape import OrderTape
from wsb_snake.db.database import get_connection
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.values import instant_text
from wsb_snake.learning import learnt

BREAKERS = ("alpaca", "data")
"""Reasons of a pause that a circuit breaker sets."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Where the numbers are. ``limits`` gives used and allowed by name; ``pending`` the alerts that wait."""

    metrics: Metrics
    tape: OrderTape
    read_facts: Callable[[], Facts]
    limits: Callable[[], Mapping[str, tuple[float, float]]]
    pending: Callable[[], int]


def metrics_routes(measured: Measured) -> Blueprint:
    """The route. The gauges join the registry of ``measured.metrics``: once for each of these."""
    routes = Blueprint("metrics", __name__)
    measured.metrics.registry.register(_Gauges(measured))

    @routes.get("/metrics")
    def metrics() -> Response:
        measured.metrics.digest(measured.tape)
        return Response(generate_latest(measured.metrics.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes


class JournalCount:
    """Counts the events that were written since ``started_at`` (aware UTC)."""

    def __init__(self, metrics: Metrics, database: Path, started_at: datetime) -> None:
        self._metrics = metrics
        self._database = database
        self._started_at = started_at
        self._seen: int | None = None

    def step(self) -> bool:
        """Count what is new; False when the database cannot be read now."""
        try:
            with get_connection(self._database) as conn:
                conn.execute("BEGIN")
                self._count(conn)
        except (DatabaseUnavailable, sqlite3.Error, ValueError):
            return False
        return True

    def _count(self, conn: sqlite3.Connection) -> None:
        if self._seen is None:
            before = "SELECT COALESCE(MAX(seq), 0) FROM events WHERE at < ?"
            self._seen = int(conn.execute(before, (instant_text(self._started_at),)).fetchone()[0])
        version = learnt.version(conn)
        new = conn.execute(
            "SELECT kind, json_extract(data, '$.reason') AS reason, COUNT(*) AS count, MAX(seq) AS last"
            " FROM events WHERE seq > ? GROUP BY kind, reason",
            (self._seen,),
        ).fetchall()
        self._metrics.learning_version.set(version)
        for row in new:
            self._metrics.events.labels(row["kind"]).inc(row["count"])
            if row["kind"] == EventKind.PAUSED and row["reason"] in BREAKERS:
                self._metrics.trips.labels(row["reason"]).inc(row["count"])
        self._seen = max((row["last"] for row in new), default=self._seen)


class _Gauges(Collector):
    """What is true at the moment of the scrape."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        facts = self._measured.read_facts()
        yield _gauge("up", "Whether the daemon runs", 1)
        status = verdict(facts)[0]
        yield _labelled("health", "The verdict of /health", "status", {s: float(s is status) for s in Status})
        yield _labelled("info", "Version and mode", "version", {facts.version: 1}, ("mode", facts.mode))
        yield from _ages(facts)
        yield from _state(facts)
        yield _gauge("alerts_pending", "Alerts that wait for Telegram", self._measured.pending())
        limits = self._measured.limits()
        yield _labelled(
            "limit_used", "Taken of a limit so far", "limit", {name: pair[0] for name, pair in limits.items()}
        )
        yield _labelled(
            "limit_allowed", "The limit itself", "limit", {name: pair[1] for name, pair in limits.items()}
        )


def _ages(facts: Facts) -> Iterable[Metric]:
    """Seconds; what never happened has no sample."""
    ages = {"broker": facts.broker_age_s, "data": facts.data_age_s, "monitor": facts.monitor_age_s}
    known = {name: age for name, age in ages.items() if age is not None}
    yield _labelled("age_seconds", "Since the newest reading or pass", "of", known)
    yield _labelled("heartbeat_age_seconds", "Since a lane's last sign of life", "lane", facts.heartbeats)
    yield _gauge("uptime_seconds", "Since the start", facts.uptime_s)
    yield _gauge("database_waiting_seconds", "Age of the oldest row that is not durable", facts.db_waiting_s)
    if facts.clock_skew_s is not None:
        yield _gauge("clock_skew_seconds", "Our clock less the broker's", facts.clock_skew_s)


def _state(facts: Facts) -> Iterable[Metric]:
    yield _gauge("positions_open", "Positions in the book", len(facts.positions))
    if facts.broker_positions is not None:
        yield _gauge("positions_broker", "Positions that the broker shows", facts.broker_positions)
    yield _gauge("positions_monitored", "Whether all of them are watched", facts.all_positions_monitored)
    yield _gauge("market_open", "Whether the session is open", facts.market_open)
    yield _gauge(
        "eod_flat_proven", "Whether the broker has shown flat after the EOD time", facts.eod_flat_proven
    )
    yield _gauge("database_writable", "Whether the database takes commits", facts.db_writable)
    yield _gauge("trading_paused", "Whether entries are paused", facts.trading_paused)
    yield _labelled(
        "pause", "Reasons of the pause", "reason", {reason: 1 for reason, _ in facts.pause_reasons}
    )
    links = {"stream": facts.stream_up, "chat": facts.chat_up}
    yield _labelled(
        "link_up",
        "Whether a link that is configured is up",
        "link",
        {name: up for name, up in links.items() if up is not None},
    )
    if facts.equity is not None:
        yield _gauge("equity_dollars", "The account's equity", float(facts.equity))
    if facts.day_pnl is not None:
        yield _gauge("day_pnl_dollars", "Today's result, realised and open", float(facts.day_pnl))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wsb_snake_{name}", text, float(value))


def _labelled(
    name: str, text: str, label: str, values: Mapping[str, float], fixed: tuple[str, str] | None = None
) -> Metric:
    family = GaugeMetricFamily(
        f"wsb_snake_{name}", text, labels=[label] if fixed is None else [label, fixed[0]]
    )
    for key in sorted(values):
        family.add_metric([key] if fixed is None else [key, fixed[1]], float(values[key]))
    return family
