"""Answers for a phone."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import SecretStr

from tests.owner.books import MONDAY, TUESDAY, books
from tests.owner.sample import CALL, facts, position
from wsb_snake import config
from wsb_snake.config import Settings
from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.owner import ledger
from wsb_snake.owner import telegram_texts as texts
from wsb_snake.owner.ledger import DayRow, OrderRow
from wsb_snake.owner.status import status_text


def test_no_setting_shows_a_secret() -> None:
    planted: dict[str, object] = {
        name: f"http://x.test/planted-{name}" if name.endswith("_url") else f"planted-{name}"
        for name, held in Settings.model_fields.items()
        if "SecretStr" in str(held.annotation) or name == "wsb_snake_heartbeat_url"
    }
    assert len(planted) >= 6
    settings = config.load(env_file=None, **planted)
    text = texts.config(settings)
    assert "planted" not in text
    assert text.count("(set, not shown)") == len(planted)
    assert text.count("\n") + 1 == len(Settings.model_fields)
    assert "WSB_SNAKE_SCALP_TARGET=0.20" in text
    assert isinstance(settings.telegram_bot_token, SecretStr)


def test_a_name_or_password_in_an_address_is_not_shown() -> None:
    settings = config.load(env_file=None, polygon_base_url="https://me:word@proxy.test")
    assert "word" not in texts.config(settings)


def test_a_paused_state_says_what_stops_and_what_goes_on() -> None:
    text = texts.status(facts(trading_paused=True, pause_reasons=(("manual", "halted by the owner"),)))
    assert "Entries: PAUSED; open positions are watched and closed as usual" in text
    assert "manual: halted by the owner" in text
    assert "Entries: allowed" in texts.status(facts())


def test_a_position_without_a_quote_or_a_plan_is_told_too() -> None:
    bare = position(
        bid=None, ask=None, mid=None, unrealised=None, target_price=None, stop_price=None, time_exit_at=None
    )
    text = texts.position(facts(positions=(bare,)), CALL.lower())
    assert "bid -, ask -" in text and "P&L - (no quote)" in text and "target none, stop none" in text
    unwatched = texts.positions(facts(positions=(replace(bare, monitored=False),)))
    assert unwatched.endswith("open NOT WATCHED")


def test_a_position_that_trails_tells_its_level() -> None:
    assert "trails" not in texts.position(facts(positions=(position(),)), CALL)
    trailing = facts(positions=(position(trail_price=Decimal("1.17"), stop_price=None),))
    assert "trails: sold at a bid of 1.17 (-10.0% away)" in texts.position(trailing, CALL)
    assert "  trail 1.17  " in status_text(trailing)
    both = facts(positions=(position(trail_price=Decimal("1.17")),))
    assert "  1.06, trail 1.17  " in status_text(both)


def test_an_order_has_the_name_by_which_the_broker_knows_it() -> None:
    def told(broker_id: str | None) -> str:
        limit, made = Decimal("1.01"), datetime(2026, 11, 23, 15, tzinfo=UTC)
        rest = (limit, "accepted", "", made, 0, None, "")
        return texts.orders([OrderRow("wsb-1", broker_id, "p", "entry", CALL, "buy", "limit", 2, *rest)])

    assert told("61e69015-8549-4bfd-b9c3-01e75843f47d").endswith("accepted, 0 filled [id 61e69015]")
    assert told(None).endswith("accepted, 0 filled [wsb-1]")


def test_weeks_are_summed_from_monday_to_sunday() -> None:
    def row(day: date, net: str) -> DayRow:
        return DayRow(day, 2, 1, 1, Decimal(net), Decimal(0), {})

    days = [
        row(date(2026, 11, d), net) for d, net in ((24, "10"), (23, "-4"), (20, "7"), (16, "1"), (13, "9"))
    ]
    assert texts.weeks(days, 2).splitlines() == [
        "week of 2026-11-23: 2 days, 4 trades, 2 won, +$6.00",
        "week of 2026-11-16: 2 days, 4 trades, 2 won, +$8.00",
    ]


def test_the_calendar_names_half_days_and_deadlines() -> None:
    thanksgiving = datetime(2026, 11, 26, 15, tzinfo=UTC)
    text = texts.calendar(MarketCalendar(), thanksgiving, half_day_entries=True)
    first, second, third = text.splitlines()[:3]
    assert first == "today: closed"
    assert second == "Fri 27 Nov: 09:30-13:00 ET HALF DAY, 0DTE entries end 11:50, EOD 12:55"
    without = texts.calendar(MarketCalendar(), thanksgiving, half_day_entries=False)
    assert "Fri 27 Nov: 09:30-13:00 ET HALF DAY, no 0DTE entries, EOD 12:55" in without
    assert third == "Mon 30 Nov: 09:30-16:00 ET, 0DTE entries end 14:50, EOD 15:55"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (texts.trades(()), "no closed trade yet"),
        (texts.orders(()), "no order today"),
        (texts.days(()), "no day has been reported yet"),
        (texts.weeks((), 3), "no week has been reported yet"),
        (texts.performance(()), "no closed trade yet"),
        (texts.signals(()), "no signal today"),
        (texts.balance(facts(), None), "the broker has not told the balance yet"),
    ],
)
def test_what_is_empty_says_so(text: str, says: str) -> None:
    assert text.endswith(says)


def test_sums_are_in_dollars_percent_and_risks() -> None:
    held = ledger.tally(ledger.trades(books(), MONDAY, TUESDAY))
    assert texts.tally_line("all", held) == ("all: 3 trades, 67% won, +$29.70 after fees, +0.75R on average")
    assert texts.tally_line("none", ledger.tally(())) == "none: no trade"
