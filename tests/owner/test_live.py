from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.owner.sample import CALL, NOW, facts, position
from wsb_snake.core.health import Unmanaged
from wsb_snake.owner.live import Control, banner, eod_json, eod_state, label, live_json, signs

TODAY = "2026-11-23T15:55:00"
PAUSED: dict[str, Any] = {"trading_paused": True, "pause_reasons": (("alpaca", "5 failures"), ("manual", ""))}


@pytest.mark.parametrize(
    ("changes", "tone", "headline"),
    [
        ({}, "good", "Trading"),
        ({"market_open": False}, "quiet", "Market shut"),
        ({"chat_up": False}, "warn", "Trading, degraded"),
        (PAUSED, "warn", "Entries paused: alpaca, manual"),
        ({**PAUSED, "market_open": False}, "warn", "Entries paused: alpaca, manual"),
        ({"trading_paused": True}, "warn", "Entries paused"),
        ({"eod_due_not_proven_s": 5.0, **PAUSED}, "warn", "Closing for the day"),
        ({"eod_due_not_proven_s": 61.0, **PAUSED}, "bad", "Unhealthy"),
        ({"db_writable": False}, "bad", "Unhealthy"),
    ],
)
def test_the_banner_tells_the_worst_first(changes: dict[str, Any], tone: str, headline: str) -> None:
    told = banner(facts(**changes))
    assert (told.tone, told.headline) == (tone, headline)


def test_a_pause_says_what_goes_on() -> None:
    assert banner(facts()).goes_on is None
    assert banner(facts(**PAUSED)).goes_on == "open positions are watched and closed as usual"
    unread = facts(**PAUSED, positions=(position(monitored=False),))
    assert "only once the broker could be read" in str(banner(unread).goes_on)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ahead"),
        ({"last_eod_run_et": None}, "ahead"),
        ({"last_eod_run_et": TODAY}, "proven"),
        ({"last_eod_run_et": TODAY, "eod_flat_proven": False}, "ahead"),
        ({"eod_flat_proven": False, "eod_due_not_proven_s": 59.0}, "closing"),
        ({"eod_flat_proven": False, "eod_due_not_proven_s": 60.0}, "overdue"),
        ({"next_eod_at": None}, "none"),
    ],
)
def test_a_proof_of_another_day_is_none_of_today(changes: dict[str, Any], state: str) -> None:
    assert eod_state(facts(**changes)) == state


def test_the_countdown_goes_to_the_next_eod_and_never_below_nothing() -> None:
    told = eod_json(facts())
    assert (told["seconds"], told["today"], told["late_s"]) == (4 * 3600 + 55 * 60, True, None)
    assert told["at_et"] == "Mon 23 Nov 15:55 ET"
    tomorrow = facts(next_eod_at=NOW + timedelta(days=1), eod_due_not_proven_s=38.4)
    assert (eod_json(tomorrow)["today"], eod_json(tomorrow)["late_s"]) == (False, 38)
    assert eod_json(facts(next_eod_at=NOW - timedelta(seconds=3)))["seconds"] == 0
    assert eod_json(facts(next_eod_at=None))["seconds"] is None


def only(**changes: Any) -> dict[str, Any]:
    shown = live_json(facts(positions=(position(**changes),)), ())["positions"]
    assert isinstance(shown, list)
    return dict(shown[0])


def test_distances_are_of_the_price_that_the_rule_looks_at() -> None:
    told = only()  # paid 1.25, bid 1.30, mid 1.31, target 1.50, stop 1.0625
    assert told["pnl_pct"] == 4.8
    assert told["to_target_pct"] == 15.4, "of the bid"
    assert told["to_stop_pct"] == -18.9, "of the mid"
    assert told["place"] == pytest.approx(0.566, abs=0.001)
    assert told["entry_place"] == pytest.approx(0.429, abs=0.001)
    assert (told["label"], told["expires_today"]) == ("SPY 600 call 23 Nov", True)


def test_a_trail_has_its_level_and_its_distance_of_the_bid() -> None:
    assert (only()["trail_price"], only()["to_trail_pct"]) == (None, None)
    told = only(trail_price=Decimal("1.17"))
    assert (told["trail_price"], told["to_trail_pct"]) == ("1.17", -10.0)


def test_what_is_not_known_has_no_distance_and_the_track_ends() -> None:
    blind = only(bid=None, ask=None, mid=None)
    assert [blind[name] for name in ("pnl_pct", "to_target_pct", "to_stop_pct", "place")] == [None] * 4
    assert only(bid=Decimal(0))["to_target_pct"] is None
    assert only(target_price=None, stop_price=None)["entry_place"] is None
    assert only(mid=Decimal("9"))["place"] == 1.0
    assert only(mid=Decimal("0.10"))["place"] == 0.0
    assert only(symbol=CALL.replace("261123", "261218"))["expires_today"] is False


def test_a_sign_that_is_too_old_is_stale_only_when_it_counts() -> None:
    old = facts(broker_age_s=61.0, data_age_s=None, monitor_age_s=31.0)
    assert [sign["stale"] for sign in signs(old)] == [True, True, True]
    shut = facts(broker_age_s=61.0, data_age_s=None, monitor_age_s=31.0, market_open=False)
    assert [sign["stale"] for sign in signs(shut)] == [True, False, False]
    assert not any(sign["stale"] for sign in signs(facts()))


def test_controls_are_those_that_are_offered() -> None:
    assert live_json(facts(), ())["controls"] == []
    told = live_json(facts(), (Control("close", True),))["controls"]
    assert told == [{"verb": "close", "confirmed": True}]


def test_what_nobody_manages_has_its_label_and_what_adopting_gives_its_words() -> None:
    held = facts(
        unmanaged=(
            Unmanaged("AAPL", Decimal(-100), "shares"),
            Unmanaged(CALL, Decimal(2), "not in the book yet"),
        ),
        exit_kinds={"scalp": "target +20%"},
    )
    told = live_json(held, ())
    assert told["unmanaged"] == [
        {"label": "AAPL", "qty": "-100", "why": "shares"},
        {"label": "SPY 600 call 23 Nov", "qty": "2", "why": "not in the book yet"},
    ]
    assert told["exit_kinds"] == {"scalp": "target +20%"}


def test_a_label_names_a_far_year_and_leaves_what_is_no_option() -> None:
    assert label("SPY261123P00600500", NOW.date()) == "SPY 600.5 put 23 Nov"
    assert label("SLV280121C00060000", NOW.date()) == "SLV 60 call 21 Jan 2028"
    assert label("SPY", NOW.date()) == "SPY"


def test_the_day_is_new_yorks() -> None:
    late = facts(now=datetime(2026, 11, 24, 3, 0, tzinfo=UTC), last_eod_run_et=TODAY, market_open=False)
    assert eod_state(late) == "proven", "22:00 ET is still Monday"
