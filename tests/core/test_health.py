from datetime import timedelta
from typing import Any

import pytest

from tests.owner.sample import NOW, facts
from wsb_snake.core.health import broker_stale, verdict

YOUNG = NOW - timedelta(seconds=20)
OLD = NOW - timedelta(seconds=121)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, "healthy", None),
        ({"market_open": False, "broker_age_s": 7200.0, "data_age_s": 7200.0}, "healthy", None),
        ({"monitor_age_s": 30.0, "broker_age_s": 60.0, "data_age_s": 120.0}, "healthy", None),
        ({"stream_up": None, "chat_up": None}, "healthy", None),
        ({"eod_due_not_proven_s": 59.0}, "healthy", None),
        ({"monitor_age_s": 30.5}, "unhealthy", "monitor has not finished a pass"),
        ({"monitor_age_s": 31.0, "market_open": False}, "unhealthy", "monitor has not finished a pass"),
        ({"broker_age_s": 60.5}, "unhealthy", "broker's state is"),
        ({"db_writable": False}, "unhealthy", "database cannot be written"),
        ({"eod_due_not_proven_s": 60.0}, "unhealthy", "0DTE not proven flat 60 s after"),
        ({"eod_due_not_proven_s": 600.0, "market_open": False}, "unhealthy", "0DTE not proven flat"),
        ({"trading_paused": True}, "degraded", "entries paused"),
        (
            {"trading_paused": True, "pause_reasons": (("manual", "x"),)},
            "degraded",
            "entries paused (manual)",
        ),
        ({"stream_up": False}, "degraded", "stream is down"),
        ({"chat_up": False}, "degraded", "Telegram is down"),
        ({"data_age_s": 121.0}, "degraded", "market data are 121 s old"),
    ],
)
def test_each_fact_alone(changes: dict[str, Any], status: str, reason: str | None) -> None:
    got, reasons = verdict(facts(**changes))
    assert got == status
    assert len(reasons) == (reason is not None)
    assert reason is None or reason in reasons[0]


def test_what_was_never_read_is_as_old_as_the_process() -> None:
    never: dict[str, Any] = {"monitor_age_s": None, "broker_age_s": None, "data_age_s": None}
    assert verdict(facts(started_at=YOUNG, **never)) == ("healthy", ())
    status, reasons = verdict(facts(started_at=OLD, **never))
    assert status == "unhealthy"
    assert len(reasons) == 3


def test_the_worst_decides_and_every_reason_is_told_worst_first() -> None:
    status, reasons = verdict(facts(chat_up=False, db_writable=False))
    assert status == "unhealthy"
    assert reasons == ("the database cannot be written", "Telegram is down")


def test_broker_state_never_read_is_stale_even_when_the_market_is_shut() -> None:
    assert broker_stale(facts(broker_age_s=None, market_open=False))
    assert not broker_stale(facts(broker_age_s=500.0, market_open=False))
    assert broker_stale(facts(broker_age_s=61.0))
