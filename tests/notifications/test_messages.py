from datetime import UTC, datetime
from typing import Any

import pytest

from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.orders import ExitReason
from wsb_snake.notifications.messages import CUTOFF_NOTE, alerts_for
from wsb_snake.notifications.wording import Alert, contract, et

CALL = "SPY261123C00600000"
PUT = "QQQ261123P00500500"
AT = datetime(2026, 11, 23, 20, 55, 0, tzinfo=UTC)

STARTED = {
    "mode": "paper",
    "account": "PA0TEST",
    "version": "0.1.0",
    "clock": "system",
    "limits": {"per trade": "$1,500", "positions": "5"},
    "eod_at_et": "15:55",
    "cutoff_note": "",
    "positions": 0,
    "first_start": False,
    "warnings": [],
}
FILL = {
    "position_id": "p",
    "client_order_id": "c",
    "symbol": CALL,
    "purpose": "entry",
    "side": "buy",
    "qty": 1,
    "price": "1.25",
    "cumulative_qty": 1,
    "order_qty": 2,
}
CLOSED = {
    "position_id": "p",
    "symbol": CALL,
    "qty": 2,
    "entry_price": "1.25",
    "exit_price": "1.50",
    "gross_pnl": "50.00",
    "reason": "target",
    "opened_at": "2026-11-23T15:45:00+00:00",
    "closed_at": "2026-11-23T15:57:30+00:00",
}
ENDED = {"position_id": "p", "client_order_id": "c", "symbol": CALL, "status": "canceled", "qty": 2}
CONDITION = {
    "position_id": "p",
    "symbol": CALL,
    "reason": "target",
    "qty": 2,
    "bid": "1.50",
    "mid": "1.51",
    "entry_price": "1.25",
}

ONE_OF_EACH: dict[EventKind, dict[str, Any]] = {
    EventKind.STRANGER: {"user": 666, "chat": 667, "most": 5},
    EventKind.STARTED: STARTED,
    EventKind.AWAKE: {
        "session": "2026-11-23",
        "account": "PA0TEST",
        "mode": "paper",
        "equity": "25000",
        "limits": {"per trade": "$1,500"},
        "zero_dte_entries_end_et": "14:50; SPY and QQQ 15:05",
        "eod_at_et": "2026-11-23T15:55:00",
        "close_at_et": "2026-11-23T16:00:00",
    },
    EventKind.STOPPED: {"positions": 3, "expiring_today": 2, "symbols": [CALL, PUT, "SPY270115C00600000"]},
    EventKind.SIGNAL: {"signal_id": "s", "engine": "e", "ticker": "SPY"},
    EventKind.ENTRY_REFUSED: {"signal_id": "s", "engine": "e", "ticker": "SPY", "reason": "limit"},
    EventKind.ENTRY_SENT: {
        "symbol": CALL,
        "engine": "spy_scalper",
        "setup": "vwap",
        "qty": 2,
        "limit_price": "1.26",
    },
    EventKind.ENTRY_ENDED: {**ENDED, "filled_qty": 0, "why": "20 s without a fill"},
    EventKind.FILL: FILL,
    EventKind.POSITION_OPENED: {
        "symbol": CALL,
        "engine": "spy_scalper",
        "setup": "vwap",
        "qty": 2,
        "entry_price": "1.25",
        "target_price": "1.50",
        "stop_price": "1.0625",
        "time_exit_at": "2026-11-23T16:30:00+00:00",
    },
    EventKind.POSITION_ADOPTED: {
        "symbol": CALL,
        "qty": 1,
        "entry_price": "2.00",
        "origin": "foreign_today",
        "treatment": "Stop, target, 45 minutes and the EOD close apply.",
    },
    EventKind.EXIT_CONDITION: CONDITION,
    EventKind.EXIT_SENT: {
        "symbol": CALL,
        "qty": 2,
        "type": "limit",
        "limit_price": "1.48",
        "reason": "target",
        "attempt": 1,
    },
    EventKind.EXIT_ENDED: {**ENDED, "filled_qty": 1, "why": "re-pricing"},
    EventKind.POSITION_CLOSED: CLOSED,
    EventKind.ORDER_RECOVERED: {"client_order_id": "wsb-1", "symbol": CALL, "side": "sell", "qty": 2},
    EventKind.EOD_RAN: {
        "session": "2026-11-23",
        "trigger": "scheduled",
        "closing": [{"symbol": CALL, "qty": 2}, {"symbol": PUT, "qty": 1}],
        "at": AT.isoformat(),
    },
    EventKind.EOD_PROVEN: {"session": "2026-11-23", "at": AT.isoformat()},
    EventKind.EOD_PROOF_WITHDRAWN: {"session": "2026-11-23", "symbols": [CALL]},
    EventKind.EOD_NOT_FLAT: {
        "session": "2026-11-23",
        "open": [
            {"symbol": CALL, "qty": 2, "why": "no bid"},
            {"symbol": PUT, "qty": 1, "why": "cancel pending"},
        ],
    },
    EventKind.EXERCISE_WARNING: {
        "symbol": CALL,
        "qty": 2,
        "in_the_money": True,
        "shares": 200,
        "dollars": "120000",
    },
    EventKind.DNE_TAKEN: {"symbol": CALL},
    EventKind.DNE_REFUSED: {"symbol": CALL, "why": "the market is shut"},
    EventKind.PAUSED: {"reason": "alpaca", "detail": "orders: read timed out", "count": 5},
    EventKind.RESUMED: {"reason": "alpaca"},
    EventKind.FOREIGN_RISK: {
        "items": [
            {"symbol": "AAPL", "qty": 200, "kind": "shares"},
            {"symbol": PUT, "qty": -1, "kind": "short option"},
        ]
    },
    EventKind.NO_QUOTE: {"position_id": "p", "symbol": CALL, "seconds": 60},
    EventKind.RECONCILED: {},
    EventKind.ERROR: {"what": "calendar", "detail": "the broker's rows are missing"},
    EventKind.DAILY_REPORT: {
        "session": "2026-11-23",
        "trades": 4,
        "wins": 3,
        "losses": 1,
        "net_pnl": "61.20",
        "fees": "3.80",
        "eod_ran_et": "2026-11-23T15:55:00",
        "eod_flat_proven": True,
    },
}

ROUTINE = {EventKind.SIGNAL, EventKind.ENTRY_REFUSED, EventKind.RECONCILED}


def alerts(kind: EventKind, **changes: Any) -> tuple[Alert, ...]:
    return alerts_for(Event(7, AT, kind, {**ONE_OF_EACH[kind], **changes}))


def text(kind: EventKind, **changes: Any) -> str:
    (alert,) = alerts(kind, **changes)
    return alert.text


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_is_routine_or_one_alert_in_words(kind: EventKind) -> None:
    if kind in ROUTINE:
        assert alerts(kind) == ()
        return
    (alert,) = alerts(kind)
    assert alert.kind == kind.value
    assert alert.level in {"loud", "silent"}
    assert "could not be put into words" not in alert.text
    assert alert.text.endswith(" (15:55:00 ET)")
    assert "None" not in alert.text


def test_eod_close_ran() -> None:
    ran = text(EventKind.EOD_RAN)
    assert ran.startswith("EOD close ran (scheduled). The executor is closing: 2 × SPY261123C00600000")
    assert f"1 × {PUT} (QQQ 500.5 put, 23 Nov)" in ran
    assert text(EventKind.EOD_RAN, trigger="monitor").startswith("EOD close ran (monitor).")
    assert text(EventKind.EOD_RAN, closing=[]) == (
        "EOD close ran (scheduled). No position expires today, nothing to close. (15:55:00 ET)"
    )


def test_a_pause_names_the_number_what_stops_what_goes_on_and_until_when() -> None:
    paused = text(EventKind.PAUSED)
    assert paused.startswith("Trading paused: 5 consecutive Alpaca failures. (orders: read timed out) ")
    assert "New entries stop; open positions are watched and closed as usual." in paused
    assert "This lasts until the calls that failed succeed again" in paused
    assert "Trading paused: 6 consecutive market data failures." in text(
        EventKind.PAUSED, reason="data", count=6
    )


@pytest.mark.parametrize(
    "reason",
    [
        "alpaca",
        "data",
        "stream",
        "journal",
        "clock",
        "calendar",
        "reconcile",
        "manual",
        "daily_loss",
        "eod",
        "new",
    ],
)
def test_every_pause_reason_has_its_words(reason: str) -> None:
    (alert,) = alerts_for(Event(1, AT, EventKind.PAUSED, {"reason": reason, "detail": ""}))
    assert alert.text.startswith("Trading paused: ")
    assert "open positions are watched and closed as usual. This lasts until " in alert.text
    assert "()" not in alert.text
    assert alert.level == "loud"
    (over,) = alerts_for(Event(1, AT, EventKind.RESUMED, {"reason": reason}))
    assert over.text.startswith("Pause lifted: ")
    assert "unless another pause is on" in over.text


def test_stopped_with_positions_tells_how_to_close_them() -> None:
    stopped = text(EventKind.STOPPED)
    assert stopped.startswith("stopped, 3 positions unwatched, 2 expire today: SPY261123C00600000")
    assert "start the daemon again" in stopped
    assert "`python main.py flatten --direct`" in stopped and "Alpaca's own app" in stopped
    assert text(EventKind.STOPPED, positions=0, symbols=[]) == "stopped, no position is open. (15:55:00 ET)"


def test_the_first_start_explains_the_cut_off() -> None:
    assert CUTOFF_NOTE in text(EventKind.STARTED, first_start=True)
    assert "15:05 ET; SPY and QQQ 15:20 ET" in CUTOFF_NOTE
    assert "15:55 ET is the net beneath" in CUTOFF_NOTE
    assert "cut-off" not in text(EventKind.STARTED)
    off = text(EventKind.STARTED, first_start=True, cutoff_note="The cut-off flatten is off.")
    assert "The cut-off flatten is off." in off
    assert CUTOFF_NOTE not in off


def test_started_names_account_limits_and_warnings() -> None:
    started = text(EventKind.STARTED, positions=2, warnings=["limits are raised"])
    assert "paper account PA0TEST" in started
    assert "Limits: per trade: $1,500; positions: 5." in started
    assert "2 positions are open and watched." in started
    assert "Warning: limits are raised" in started
    assert "EOD at 15:55 ET." in started


def test_awake() -> None:
    assert text(EventKind.AWAKE) == (
        "awake: account PA0TEST (paper), equity $25,000.00. Limits: per trade: $1,500. "
        "0DTE entries end 14:50; SPY and QQQ 15:05 ET; EOD at 15:55:00 ET, session close 16:00:00 ET. "
        "(15:55:00 ET)"
    )


def test_a_fill_and_its_position() -> None:
    assert text(EventKind.FILL).startswith(
        "Bought 1 × SPY261123C00600000 (SPY 600 call, 23 Nov) at $1.25 (1 of 2"
    )
    assert text(EventKind.FILL, side="sell", purpose="exit").startswith("Sold 1 × ")
    opened = text(EventKind.POSITION_OPENED)
    assert "target $1.50, stop $1.06, time exit 11:30:00 ET" in opened
    bare = text(EventKind.POSITION_OPENED, target_price=None, stop_price=None, time_exit_at=None)
    assert "no price exits" in bare


def test_an_order_that_was_filled_needs_no_word_about_its_end() -> None:
    assert alerts(EventKind.ENTRY_ENDED, filled_qty=2) == ()
    assert alerts(EventKind.EXIT_ENDED, filled_qty=2) == ()
    assert "0 of 2 bought" in text(EventKind.ENTRY_ENDED)
    assert "The rest is still held; the executor goes on closing." in text(EventKind.EXIT_ENDED)


def test_a_closed_position_tells_gross_profit_and_loss() -> None:
    assert text(EventKind.POSITION_CLOSED) == (
        "Closed: 2 × SPY261123C00600000 (SPY 600 call, 23 Nov), target. "
        "Exit $1.50, entry $1.25: +$50.00 before fees (+20.0%). Held 12 min. (15:55:00 ET)"
    )
    loss = text(EventKind.POSITION_CLOSED, exit_price="1.00", gross_pnl="-50", reason="stop")
    assert "-$50.00 before fees (-20.0%)" in loss


def test_what_the_daemon_did_not_sell_is_not_called_closed() -> None:
    gone = text(EventKind.POSITION_CLOSED, reason="exercised", exit_price=None, gross_pnl=None)
    assert gone.startswith("Gone: 2 × ")
    assert "it was exercised. Entry $1.25, exit price and P&L unknown." in gone
    for reason in ("manual_close", "broker_liquidation", "expired", "unexplained"):
        assert text(EventKind.POSITION_CLOSED, reason=reason).startswith("Gone: ")


def test_not_flat_names_contract_quantity_and_reason() -> None:
    lines = text(EventKind.EOD_NOT_FLAT).splitlines()
    assert lines[0].startswith("EOD: NOT FLAT.")
    assert lines[1] == "2 × SPY261123C00600000 (SPY 600 call, 23 Nov): no bid"
    assert lines[2] == "1 × QQQ261123P00500500 (QQQ 500.5 put, 23 Nov): cancel pending"


def test_not_flat_without_a_known_position() -> None:
    unknown = {"symbol": "the account", "qty": 0, "why": "the broker does not answer"}
    assert "\nthe account: the broker does not answer\n" in text(EventKind.EOD_NOT_FLAT, open=[unknown])
    assert text(EventKind.EOD_NOT_FLAT, open=[]).startswith("EOD: flat is NOT PROVEN.")


def test_exercise_in_shares_and_dollars() -> None:
    assert "is IN the money" in text(EventKind.EXERCISE_WARNING)
    assert "exercise buys 200 shares for $120,000.00" in text(EventKind.EXERCISE_WARNING)
    put = text(EventKind.EXERCISE_WARNING, symbol=PUT, in_the_money=False, shares=100, dollars="50050")
    assert "is out of the money now" in put
    assert "exercise sells 100 shares for $50,050.00" in put


def test_the_answer_to_do_not_exercise_is_told() -> None:
    assert "the broker took the instruction for SPY261123C00600000" in text(EventKind.DNE_TAKEN)
    assert "did NOT go through: the market is shut." in text(EventKind.DNE_REFUSED)


def test_foreign_risk_lists_what_is_not_ours() -> None:
    risk = text(EventKind.FOREIGN_RISK)
    assert "200 × AAPL, shares, -1 × QQQ261123P00500500 (QQQ 500.5 put, 23 Nov), short option" in risk
    assert "never traded by the daemon" in risk


def test_the_daily_report_says_when_eod_did_not_run() -> None:
    trades = "4 trades, 3 won, 1 lost (75% won); +$61.20 after $3.80 fees."
    assert f"{trades}\nEOD close ran 15:55:00 ET; flat proven." in text(EventKind.DAILY_REPORT)
    bad = text(EventKind.DAILY_REPORT, eod_ran_et=None, eod_flat_proven=False)
    assert "EOD close did NOT run; flat NOT proven." in bad
    gone = {"eod_withdrawn_et": "2026-11-23T15:57:02", "eod_withdrawn_for": [CALL]}
    told = "(an earlier proof was withdrawn 15:57:02 ET: SPY261123C00600000"
    assert f"; flat proven {told}" in text(EventKind.DAILY_REPORT, **gone)
    assert f"; flat NOT proven {told}" in text(EventKind.DAILY_REPORT, eod_flat_proven=False, **gone)


@pytest.mark.parametrize("reason", ExitReason)
@pytest.mark.parametrize("quote", [{}, {"bid": None, "mid": None}, {"entry_price": None}])
def test_zero_greed_never_claims_that_a_position_is_closed(
    reason: ExitReason, quote: dict[str, None]
) -> None:
    said = text(EventKind.EXIT_CONDITION, reason=reason.value, **quote)
    assert "closed" not in said.lower()
    assert "sold" not in said.lower()
    assert "Condition met, executor is closing." in said


def test_zero_greed_tells_the_rule_and_the_prices() -> None:
    assert text(EventKind.EXIT_CONDITION).startswith(
        "Zero Greed: target reached on 2 × SPY261123C00600000 (SPY 600 call, 23 Nov): "
        "bid $1.50, mid $1.51, entry $1.25, +20.0% at the bid."
    )


@pytest.mark.parametrize(
    "kind",
    [
        EventKind.EXIT_CONDITION,
        EventKind.EXIT_SENT,
        EventKind.EXIT_ENDED,
        EventKind.EOD_RAN,
        EventKind.EOD_NOT_FLAT,
        EventKind.EOD_PROOF_WITHDRAWN,
        EventKind.EXERCISE_WARNING,
        EventKind.NO_QUOTE,
    ],
)
def test_no_alert_sounds_like_an_exit_that_has_not_happened(kind: EventKind) -> None:
    said = text(kind).lower()
    assert "closed" not in said
    assert " sold" not in said or kind is EventKind.EXIT_ENDED
    assert kind is not EventKind.EXIT_SENT or "not yet filled" in said


@pytest.mark.parametrize("kind", sorted(set(EventKind) - ROUTINE))
@pytest.mark.parametrize("data", [{}, {"symbol": 5, "qty": "x", "open": 3, "positions": 1}])
def test_unreadable_data_still_alerts(kind: EventKind, data: dict[str, Any]) -> None:
    (alert,) = alerts_for(Event(9, AT, kind, data))
    assert alert.level == "loud"
    assert f"{kind.value}: this event could not be put into words" in alert.text
    assert "number 9 in the journal" in alert.text


def test_contracts_and_times_in_words() -> None:
    assert contract("BRKB270115C00123456") == "BRKB270115C00123456 (BRKB 123.456 call, 15 Jan)"
    assert contract("AAPL") == "AAPL"
    assert et("2026-07-01T19:55:00+00:00") == "15:55:00 ET"
    assert et("2026-07-01T15:55:00") == "15:55:00 ET"
    assert et("15:55 ET") == "15:55 ET"
    assert et(None) == "unknown"
