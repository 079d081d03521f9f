import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.owner.sample import facts, position
from wsb_snake.core.events import EventKind
from wsb_snake.core.health import Facts
from wsb_snake.core.metrics import Metrics
from wsb_snake.core.order_tape import OrderTape, Waited
from wsb_snake.core.orders import Purpose
from wsb_snake.db import journal
from wsb_snake.db.migrations import migrate
from wsb_snake.owner.metrics_page import JournalCount, Measured, metrics_routes
from wsb_snake.owner.web import create_app

START = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(shown: Facts, tape: OrderTape | None = None) -> Samples:
    """What Prometheus makes of the page."""
    measured = Measured(
        Metrics(),
        tape or OrderTape(),
        lambda: shown,
        lambda: {"day_dollars": (150.0, 6000.0), "positions": (1, 5)},
        lambda: 3,
    )
    client = create_app(lambda: shown, more=(metrics_routes(measured),)).test_client()
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }


def test_what_is_true_now_is_on_the_page() -> None:
    tape = OrderTape()
    tape.put(Waited(Purpose.EXIT, 0.004))
    shown = facts(positions=(position(),), broker_positions=1, pause_reasons=(("manual", "by you"),))
    page = scraped(shown, tape)
    assert page["wsb_snake_up", ()] == 1
    assert page["wsb_snake_health", (("status", "degraded"),)] == 1
    assert page["wsb_snake_health", (("status", "healthy"),)] == 0
    assert page["wsb_snake_positions_open", ()] == page["wsb_snake_positions_broker", ()] == 1
    assert page["wsb_snake_pause", (("reason", "manual"),)] == 1
    assert page["wsb_snake_age_seconds", (("of", "broker"),)] == 2.0
    assert page["wsb_snake_age_seconds", (("of", "data"),)] == 3.0
    assert page["wsb_snake_age_seconds", (("of", "monitor"),)] == pytest.approx(1.234)
    assert page["wsb_snake_heartbeat_age_seconds", (("lane", "eod"),)] == 20.0
    assert page["wsb_snake_alerts_pending", ()] == 3
    assert page["wsb_snake_limit_used", (("limit", "day_dollars"),)] == 150
    assert page["wsb_snake_limit_allowed", (("limit", "day_dollars"),)] == 6000
    assert page["wsb_snake_day_pnl_dollars", ()] == -12.5
    assert page["wsb_snake_order_journal_seconds_count", (("path", "exit"),)] == 1
    assert page["process_resident_memory_bytes", ()] > 0


def test_what_was_never_read_has_no_sample() -> None:
    page = scraped(
        facts(broker_age_s=None, clock_skew_s=None, broker_positions=None, equity=None, stream_up=None)
    )
    names = {name for name, _ in page}
    assert ("wsb_snake_age_seconds", (("of", "broker"),)) not in page
    assert not names & {
        "wsb_snake_clock_skew_seconds",
        "wsb_snake_positions_broker",
        "wsb_snake_equity_dollars",
    }
    assert ("wsb_snake_link_up", (("link", "stream"),)) not in page
    assert ("wsb_snake_link_up", (("link", "chat"),)) in page


def test_the_account_stands_nowhere() -> None:
    page = scraped(facts())
    assert not any("PA0TEST" in value for _, labels in page for _, value in labels)


def test_events_are_counted_from_the_start_of_the_process_and_once(tmp_path: Path) -> None:
    path, metrics = tmp_path / "wsb_snake.db", Metrics()
    count = JournalCount(metrics, path, START)
    assert count.step() is False  # nothing there yet
    with closing(sqlite3.connect(path)) as conn:
        migrate(conn)
        _add(conn, START - timedelta(hours=1), EventKind.FILL)
        _add(conn, START, EventKind.STARTED)
        _add(conn, START, EventKind.PAUSED, reason="alpaca")
        _add(conn, START, EventKind.PAUSED, reason="manual")
        assert count.step() is True and count.step() is True
        _add(conn, START, EventKind.FILL, reason="stop")
        assert count.step() is True
    value = metrics.registry.get_sample_value
    assert value("wsb_snake_events_total", {"kind": "started"}) == 1
    assert value("wsb_snake_events_total", {"kind": "paused"}) == 2
    assert value("wsb_snake_events_total", {"kind": "fill"}) == 1
    assert value("wsb_snake_breaker_trips_total", {"breaker": "alpaca"}) == 1
    assert value("wsb_snake_breaker_trips_total", {"breaker": "manual"}) is None
    assert value("wsb_snake_learning_version", {}) == 0


def _add(conn: sqlite3.Connection, at: datetime, kind: EventKind, **data: object) -> None:
    journal.append(conn, at, kind, data)
    conn.commit()
