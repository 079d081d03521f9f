"""Earlier sessions and daily bars: what is asked for, for how long it is kept, what is never made up."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.collectors.test_market_data import NEXT, OPEN, SESSION, Desk, Feed
from wsb_snake.collectors.market_data import DataUnavailable, MarketData
from wsb_snake.collectors.sources import BAR, FIRST
from wsb_snake.core.calendar import Session
from wsb_snake.core.types import Bar

HALF = Session(date(2026, 11, 27), OPEN + timedelta(days=3), datetime(2026, 11, 27, 18, 0, tzinfo=UTC))
DAYS = (SESSION, NEXT)
MORNING_AFTER = (NEXT.open + timedelta(days=1) - OPEN) / BAR


class Daily(Feed):
    """Has a bar of the first and of the last day that it is asked for, but none ``not_yet``."""

    not_yet: date | None = None

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        self.calls += 1
        starts = [datetime(day.year, day.month, day.day, 5, tzinfo=UTC) for day in (first, last)]
        bars = [
            Bar("", start, 1.0, 1.0, 1.0, self.price, 1.0, 1.0)
            for start in starts
            if start.date() != self.not_yet
        ]
        return {symbol: list(bars) for symbol in symbols[: self.budget]}


def desk() -> Desk:
    made = Desk()
    made.at(MORNING_AFTER)
    return made


def test_earlier_sessions_come_in_one_request_and_only_their_own_minutes_count() -> None:
    at = desk()
    found = at.data.past_sessions(["SPY", "AMD"], DAYS)
    assert at.one.asked == [(("SPY", "AMD"), SESSION.open, NEXT.close)]  # the night between comes, too
    for symbol in ("SPY", "AMD"):
        first, second = found[symbol]
        assert [bar.start for bar in first] == [SESSION.open + n * BAR for n in range(390)]
        assert [bar.start for bar in second] == [NEXT.open + n * BAR for n in range(390)]


def test_they_are_kept_for_the_day_and_only_what_is_lacking_is_asked_for() -> None:
    at = desk()
    at.data.past_sessions(["SPY"], [SESSION])
    at.data.past_sessions(["SPY"], [SESSION])
    at.at(MORNING_AFTER + 300)
    whole = at.data.past_sessions(["AMD", "SPY"], DAYS)
    assert at.one.asked[1:] == [(("SPY", "AMD"), SESSION.open, NEXT.close)]
    assert at.data.past_sessions(["SPY"], DAYS)["SPY"] is not None
    assert at.data.past_sessions(["SPY"], [NEXT])["SPY"][0] is whole["SPY"][1]  # not a copy
    assert len(at.one.asked) == 2
    at.at(MORNING_AFTER + 24 * 60)
    at.data.past_sessions(["SPY"], DAYS)
    assert len(at.one.asked) == 3


def test_a_missing_minute_and_the_afternoon_of_a_half_day_are_not_filled_in() -> None:
    at = Desk()
    at.at((HALF.close - OPEN) / BAR + 10)
    gap = HALF.open + 7 * BAR
    at.one.hold_back = lambda bar: bar.start == gap
    ((minutes,),) = at.data.past_sessions(["SPY"], [HALF]).values()
    assert len(minutes) == 209
    assert gap not in {bar.start for bar in minutes}
    assert minutes[-1].start == HALF.close - BAR


def test_a_symbol_without_trades_is_there_and_is_asked_again_after_ten_minutes() -> None:
    at = desk()
    at.one.silent = {"SLV"}
    assert at.data.past_sessions(["SLV"], DAYS) == {"SLV": ((), ())}
    at.data.past_sessions(["SLV"], DAYS)
    assert at.one.calls == 1
    at.one.silent = set()
    at.at(MORNING_AFTER + 10)
    assert len(at.data.past_sessions(["SLV"], DAYS)["SLV"][0]) == 390


def test_what_a_small_budget_left_out_is_absent_and_comes_with_the_next_question() -> None:
    at = desk()
    at.one.budget = 3
    names = ["AMD", "NVDA", *FIRST]
    assert set(at.data.past_sessions(names, DAYS)) == set(FIRST)
    assert set(at.data.past_sessions(names, DAYS)) == set(names)
    assert at.one.asked[1][0] == ("AMD", "NVDA")
    at.one.budget = at.two.budget = 0
    with pytest.raises(DataUnavailable, match="none of the symbols"):
        at.data.past_sessions(["TSLA"], DAYS)


def test_feeds_do_not_mix_when_the_primary_comes_back() -> None:
    at = desk()
    at.one.error = DataUnavailable("down")
    (served,) = at.data.past_sessions(["SPY"], DAYS).values()
    assert {bar.close for minutes in served for bar in minutes} == {2.0}
    at.one.error = None
    at.at(MORNING_AFTER + 1)
    found = at.data.past_sessions(["SPY", "AMD"], DAYS)
    assert {bar.close for sessions in found.values() for minutes in sessions for bar in minutes} == {1.0}


def test_a_session_that_is_not_over_is_refused() -> None:
    at = Desk()
    at.at(60)
    with pytest.raises(ValueError, match="not over"):
        at.data.past_sessions(["SPY"], [SESSION])
    assert at.one.calls == 0


def test_daily_bars_of_days_that_are_over_are_kept_for_the_day() -> None:
    at = daily_desk()
    first, last = date(2026, 9, 1), date(2026, 11, 23)
    kept = at.data.daily_bars(["SPY", "AMD"], first, last)
    at.at(300)
    assert at.data.daily_bars(["AMD", "SPY"], first, last)["SPY"] is kept["SPY"]
    assert at.one.calls == 1
    at.at(24 * 60)
    at.data.daily_bars(["SPY"], first, last)
    assert at.one.calls == 2


def test_daily_bars_without_the_last_day_are_asked_for_again_after_ten_minutes() -> None:
    at = daily_desk()
    first, last = date(2026, 9, 1), date(2026, 11, 23)
    assert isinstance(at.one, Daily)
    at.one.not_yet = last
    for minutes in (0, 9.9):
        at.at(minutes)
        assert len(at.data.daily_bars(["SPY"], first, last)["SPY"]) == 1
    assert at.one.calls == 1
    at.one.not_yet = None
    for minutes in (10, 300):
        at.at(minutes)
        assert len(at.data.daily_bars(["SPY"], first, last)["SPY"]) == 2
    assert at.one.calls == 2


def test_daily_bars_that_hold_today_are_kept_for_ten_minutes() -> None:
    at = daily_desk()
    first, last = date(2026, 9, 1), SESSION.day
    for minutes in (0, 9.9, 10):
        at.at(minutes)
        at.data.daily_bars(["SPY"], first, last)
    assert at.one.calls == 2


def test_daily_bars_that_were_left_out_are_asked_for_again() -> None:
    at = daily_desk()
    at.one.budget = 1
    first, last = date(2026, 9, 1), date(2026, 11, 23)
    assert set(at.data.daily_bars(["AMD", "SPY"], first, last)) == {"SPY"}
    assert set(at.data.daily_bars(["AMD", "SPY"], first, last)) == {"AMD", "SPY"}
    assert at.one.calls == 2


def daily_desk() -> Desk:
    made = Desk()
    made.one, made.two = Daily("one"), Daily("two", price=2.0)
    made.data = MarketData(made.one, made.two, made.clock)
    return made
