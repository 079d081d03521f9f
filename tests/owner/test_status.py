import json
from datetime import UTC, datetime
from decimal import Decimal

from tests.owner.sample import CALL, PUT, facts, position
from wsb_snake.core.health import Unmanaged
from wsb_snake.owner.status import health_json, http_code, status_json, status_text

HEALTH_KEYS = [
    "status",
    "snake_running",
    "mode",
    "open_positions",
    "monitored_positions",
    "broker_positions",
    "all_positions_monitored",
    "last_eod_run_et",
    "eod_flat_proven",
    "next_eod_et",
    "trading_paused",
    "pause_reasons",
    "market_open",
    "heartbeats",
    "broker_age_s",
    "data_age_s",
    "db_writable",
    "uptime_s",
    "version",
]


def test_health_has_exactly_the_public_keys() -> None:
    body = health_json(facts())
    assert list(body) == HEALTH_KEYS
    assert json.loads(json.dumps(body)) == {
        "status": "healthy",
        "snake_running": True,
        "mode": "paper",
        "open_positions": 0,
        "monitored_positions": 0,
        "broker_positions": 0,
        "all_positions_monitored": True,
        "last_eod_run_et": "2026-11-20T15:55:00",
        "eod_flat_proven": True,
        "next_eod_et": "2026-11-23T15:55:00",
        "trading_paused": False,
        "pause_reasons": [],
        "market_open": True,
        "heartbeats": {"eod": 20.0, "monitor": 1.2},
        "broker_age_s": 2.0,
        "data_age_s": 3.0,
        "db_writable": True,
        "uptime_s": 7200.0,
        "version": "0.1.0",
    }


def test_only_unhealthy_is_503() -> None:
    assert http_code(facts()) == 200
    assert http_code(facts(chat_up=False)) == 200
    assert http_code(facts(db_writable=False)) == 503


def test_an_entry_without_a_fill_is_no_open_position() -> None:
    body = health_json(
        facts(positions=(position(), position(PUT, state="entering", qty=0), position(PUT, monitored=False)))
    )
    assert (body["open_positions"], body["monitored_positions"]) == (2, 1)


def test_nothing_is_called_monitored_on_stale_broker_state() -> None:
    assert health_json(facts(broker_age_s=61.0))["all_positions_monitored"] is False
    assert health_json(facts(broker_age_s=None, broker_positions=None))["all_positions_monitored"] is False


def test_status_json_adds_detail_and_is_plain_json() -> None:
    held = facts(positions=(position(),), pause_reasons=(("manual", "by you"),), trading_paused=True)
    body = json.loads(json.dumps(status_json(held)))
    assert set(HEALTH_KEYS) < set(body)
    assert body["pauses"] == [{"reason": "manual", "detail": "by you"}]
    assert body["positions"][0]["entry_price"] == "1.25"
    assert body["positions"][0]["time_exit_et"] == "2026-11-23T11:30:00"
    assert body["session"]["close_et"] == "2026-11-23T16:00:00"
    assert body["reasons"] == ["entries paused (manual)"]
    assert body["day_pnl"] == "-12.5"


def test_status_json_of_a_daemon_that_knows_nothing_yet() -> None:
    blank = facts(
        account=None,
        session=None,
        next_eod_at=None,
        last_eod_run_et=None,
        broker_positions=None,
        broker_age_s=None,
        data_age_s=None,
        monitor_age_s=None,
        equity=None,
        day_pnl=None,
    )
    body = json.loads(json.dumps(status_json(blank)))
    assert body["session"] is None
    assert body["next_eod_et"] is None
    assert "never run" in status_text(blank)
    assert "? at the broker" in status_text(blank)


def test_status_text_is_a_page_a_person_reads() -> None:
    page = status_text(
        facts(
            positions=(
                position(),
                position(PUT, unrealised=Decimal("-30"), monitored=False, time_exit_at=None),
            ),
            broker_positions=2,
            all_positions_monitored=False,
            trading_paused=True,
            pause_reasons=(("alpaca", "5 failures of orders"),),
            warnings=("limits are raised",),
            eod_flat_proven=False,
            eod_due_not_proven_s=75.0,
        )
    )
    lines = page.splitlines()
    assert lines[0] == "UNHEALTHY · paper account PA0TEST · market open · equity $25,000.00 · day -$12.50"
    assert lines[1] == "  because 0DTE not proven flat 75 s after the EOD time"
    assert "EOD: next 2026-11-23 15:55:00 ET · last run 2026-11-20 15:55:00 ET · flat is not proven" in page
    shown = facts(eod_withdrawn_at=datetime(2026, 11, 23, 20, 57, 2, tzinfo=UTC), eod_withdrawn_for=(PUT,))
    assert f"flat is proven, an earlier proof was withdrawn 15:57:02 ET ({PUT})" in status_text(shown)
    body = status_json(shown)
    assert (body["eod_withdrawn_et"], body["eod_withdrawn_for"]) == ("2026-11-23T15:57:02", [PUT])
    assert "Positions: 2 here, 2 at the broker, NOT all proven to be watched" in page
    rows = [" ".join(line.split()) for line in lines if "SPY261123" in line or "QQQ261123" in line]
    assert rows[0] == "SPY261123C00600000 2 open 1.25 1.30 1.32 +$12.00 1.50 1.06 11:30:00 ET yes"
    assert rows[1] == "QQQ261123P00500000 2 open 1.25 1.30 1.32 -$30.00 1.50 1.06 - NO"
    assert (
        "Entries: PAUSED (open positions are watched, and closed only once the broker could be read)" in page
    )
    assert "  alpaca: 5 failures of orders" in page
    assert "Warning: limits are raised" in page
    assert "monitor 1 s" in page
    assert "Entries: allowed" in status_text(facts())
    paused = status_text(facts(trading_paused=True, pause_reasons=(("manual", "halted"),)))
    assert "Entries: PAUSED (open positions are watched and closed as usual)" in paused


def test_times_follow_eastern_summer_time() -> None:
    summer = facts(next_eod_at=datetime(2026, 7, 1, 19, 55, tzinfo=UTC))
    assert health_json(summer)["next_eod_et"] == "2026-07-01T15:55:00"


def test_what_no_rule_looks_after_is_told() -> None:
    later = position("SPY261124C00600000", needs_exits=True)
    held = facts(positions=(later,), unmanaged=(Unmanaged("AAPL", Decimal(100), "shares"),))
    told = status_json(held)
    assert told["unmanaged"] == [{"symbol": "AAPL", "qty": "100", "why": "shares"}]
    assert told["positions"][0]["needs_exits"] is True  # type: ignore[index]
    text = status_text(held)
    assert f"{later.symbol}: no rule sells it before the day it expires; adopt gives it exits" in text
    on_its_day = status_text(facts(positions=(position(needs_exits=True),)))
    assert f"{CALL}: no rule but the end of the day sells it; adopt gives it exits" in on_its_day
    assert "before the day it expires" not in on_its_day
    assert "100 AAPL at the broker, looked after by nobody here: shares" in text
    assert "looked after by nobody" not in status_text(facts())
