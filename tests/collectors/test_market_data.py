"""The facade: cache by bar, fail-over without mixing feeds, rests, ages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from wsb_snake.collectors.market_data import (
    BAR,
    RETRY_PRIMARY_S,
    DataError,
    DataUnavailable,
    MarketData,
    NotEntitled,
)
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.types import Bar, ChainRow, Headline, Quote

OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SESSION = Session(date(2026, 11, 24), OPEN, datetime(2026, 11, 24, 21, 0, tzinfo=UTC))
NEXT = Session(date(2026, 11, 25), OPEN + timedelta(days=1), datetime(2026, 11, 25, 21, 0, tzinfo=UTC))


@dataclass
class Feed:
    """A source with a bar a minute for every symbol, that counts what it is asked."""

    name: str = "one"
    price: float = 1.0
    error: DataError | None = None
    budget: int = 10**9
    silent: set[str] = field(default_factory=set)
    hold_back: Callable[[Bar], bool] = lambda bar: False
    asked: list[tuple[tuple[str, ...], datetime, datetime]] = field(default_factory=list)
    calls: int = 0

    @property
    def sent(self) -> int:
        return self.calls

    def _call(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error

    def bars(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> dict[str, list[Bar]]:
        self._call()
        self.asked.append((symbols, start, end))
        return {symbol: self._minutes(symbol, start, end) for symbol in symbols[: self.budget]}

    def _minutes(self, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        count = 0 if symbol in self.silent else int((end - start) / BAR)
        price = self.price
        made = [Bar(symbol, start + n * BAR, price, price, price, price, 100.0, price) for n in range(count)]
        return [bar for bar in made if not self.hold_back(bar)]

    def daily_bars(self, symbols: tuple[str, ...], first: date, last: date) -> dict[str, list[Bar]]:
        self._call()
        return {symbol: [] for symbol in symbols}

    def option_quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        self._call()
        return {}

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        self._call()
        return ()

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        self._call()
        return ()

    def vix(self) -> float | None:
        self._call()
        return None if self.name == "one" else 17.5


class Desk:
    """A facade over two feeds and a clock to move."""

    def __init__(self, fallback: bool = True) -> None:
        self.clock = VirtualClock(OPEN)
        self.one, self.two = Feed("one"), Feed("two", price=2.0)
        self.data = MarketData(self.one, self.two if fallback else None, self.clock)

    def at(self, minutes: float) -> datetime:
        self.clock.advance_to(minutes * 60)
        return OPEN + timedelta(minutes=minutes)


def test_only_what_is_new_is_asked_for_with_one_bar_of_overlap() -> None:
    desk = Desk()
    first = desk.data.bars(["SPY", "AMD"], SESSION, desk.at(10.5))
    assert [bar.start for bar in first.bars["SPY"]] == [OPEN + n * BAR for n in range(10)]
    desk.data.bars(["AMD", "SPY"], SESSION, desk.at(10.9))  # nothing ended in between
    second = desk.data.bars(["SPY", "AMD"], SESSION, desk.at(12.1))
    assert len(second.bars["AMD"]) == 12
    assert desk.one.asked == [
        (("SPY", "AMD"), OPEN, OPEN + 10 * BAR),
        (("SPY", "AMD"), OPEN + 9 * BAR, OPEN + 12 * BAR),
    ]
    assert (second.feed, second.degraded, second.as_of) == ("one", False, OPEN + 12 * BAR)


def test_a_late_or_revised_bar_of_the_overlap_replaces_what_was_cached() -> None:
    desk = Desk()
    desk.one.hold_back = lambda bar: bar.symbol == "AMD" and bar.start == OPEN + 2 * BAR
    assert len(desk.data.bars(["SPY", "AMD"], SESSION, desk.at(3)).bars["AMD"]) == 2
    desk.one.hold_back = lambda bar: False
    desk.one.price = 1.5
    view = desk.data.bars(["SPY", "AMD"], SESSION, desk.at(4))
    assert [bar.close for bar in view.bars["SPY"]] == [1.0, 1.5, 1.5, 1.5]  # in one request with AMD's
    assert [bar.close for bar in view.bars["AMD"]] == [1.0, 1.5, 1.5, 1.5]


def test_a_silent_symbol_has_no_bars_and_is_not_made_up() -> None:
    desk = Desk()
    desk.one.silent = {"SLV"}
    view = desk.data.bars(["SPY", "SLV"], SESSION, desk.at(5))
    assert view.bars["SLV"] == ()
    assert view.missing == frozenset()
    for minute in (60, 61, 63):
        desk.data.bars(["SPY", "SLV"], SESSION, desk.at(minute))
    # its silence does not fetch the day again, and asks for nothing beside the others
    assert desk.one.asked[2:] == [
        (("SPY", "SLV"), OPEN + (minute - 16) * BAR, OPEN + minute * BAR) for minute in (61, 63)
    ]


@pytest.mark.parametrize("minutes", [(1, 2, 3), (31, 32, 33, 34), tuple(range(40, 54))])
def test_minutes_that_an_empty_answer_left_out_come_with_a_later_one(minutes: tuple[int, ...]) -> None:
    desk = Desk()
    for minute in range(1, 61):
        desk.one.silent = {"AMD", "SPY"} if minute in minutes else {"SLV"}
        view = desk.data.bars(["SPY", "AMD", "SLV"], SESSION, desk.at(minute))
    assert [bar.start for bar in view.bars["SPY"]] == [OPEN + n * BAR for n in range(60)]
    assert view.bars["AMD"][0].start == OPEN and len(view.bars["AMD"]) == 60
    assert desk.one.calls == 60


def test_bars_that_come_minutes_late_are_not_lost() -> None:
    desk = Desk()
    desk.one.hold_back = lambda bar: bar.start + 5 * BAR > desk.clock.now()
    for minute in range(1, 61):
        view = desk.data.bars(["SPY"], SESSION, desk.at(minute))
    assert [bar.start for bar in view.bars["SPY"]] == [OPEN + n * BAR for n in range(56)]


def test_a_new_symbol_is_fetched_from_the_open_beside_the_others() -> None:
    desk = Desk()
    desk.data.bars(["SPY"], SESSION, desk.at(29))
    view = desk.data.bars(["SPY", "AMD"], SESSION, desk.at(30))
    assert desk.one.asked[1:] == [
        (("SPY",), OPEN + 28 * BAR, OPEN + 30 * BAR),
        (("AMD",), OPEN, OPEN + 30 * BAR),
    ]
    assert len(view.bars["AMD"]) == len(view.bars["SPY"]) == 30


def test_a_new_session_starts_afresh_and_bars_end_with_it() -> None:
    desk = Desk()
    late = desk.data.bars(["SPY"], SESSION, desk.at(500))
    assert (late.as_of, len(late.bars["SPY"])) == (SESSION.close, 390)
    before = desk.data.bars(["SPY"], NEXT, NEXT.open - BAR)
    assert (before.bars, before.missing) == ({}, frozenset())
    assert desk.data.data_age_s(NEXT.open) is None
    assert len(desk.data.bars(["SPY"], NEXT, NEXT.open + 2 * BAR).bars["SPY"]) == 2


def test_fail_over_fetches_the_window_anew_and_never_mixes_feeds() -> None:
    desk = Desk()
    desk.data.bars(["SPY"], SESSION, desk.at(5))
    desk.one.error = DataUnavailable("down")
    view = desk.data.bars(["SPY"], SESSION, desk.at(8))
    assert (view.feed, view.degraded) == ("two", True)
    assert {bar.close for bar in view.bars["SPY"]} == {2.0}
    assert len(view.bars["SPY"]) == 8
    assert desk.data.last_error == "one: bars: down"
    desk.one.error = None
    back = desk.data.bars(["SPY"], SESSION, desk.at(9))
    assert {bar.close for bar in back.bars["SPY"]} == {1.0}
    assert (back.feed, len(back.bars["SPY"])) == ("one", 9)
    assert desk.data.last_error is None


def test_a_primary_that_failed_rests_only_while_its_fallback_serves() -> None:
    desk = Desk()
    desk.one.error = DataUnavailable("down")
    desk.data.bars(["SPY"], SESSION, desk.at(1))
    desk.data.bars(["SPY"], SESSION, desk.at(1 + (RETRY_PRIMARY_S - 1) / 60))
    assert desk.one.calls == 1
    desk.data.bars(["SPY"], SESSION, desk.at(2))
    assert desk.one.calls == 2
    desk.two.error = NotEntitled("plan")
    desk.at(3)
    for _ in range(3):
        with pytest.raises(DataUnavailable, match="down"):
            desk.data.option_quotes(["SPY261124C00672000"])
    assert desk.one.calls == 5


def test_what_is_not_included_is_said_and_not_asked_again() -> None:
    desk = Desk(fallback=False)
    desk.one.error = NotEntitled("OPRA agreement is not signed")
    for _ in range(3):
        with pytest.raises(NotEntitled, match="OPRA"):
            desk.data.chain("SPY", SESSION.day, SESSION.day, Decimal(1), Decimal(2))
    assert desk.one.calls == 1
    assert desk.data.last_error == "one: chain: OPRA agreement is not signed"


def test_a_fallback_with_a_budget_serves_the_indices_first_and_names_the_rest() -> None:
    desk = Desk()
    desk.one.error = DataUnavailable("down")
    desk.two.budget = 3
    view = desk.data.bars(["AMD", "IWM", "NVDA", "QQQ", "SPY"], SESSION, desk.at(2))
    assert set(view.bars) == {"SPY", "QQQ", "IWM"}
    assert view.missing == {"AMD", "NVDA"}
    desk.two.budget = 0
    desk.at(2.2)
    assert set(desk.data.bars(["SPY"], SESSION, desk.at(2.2)).bars) == {"SPY"}  # nothing newer is due
    behind = desk.data.bars(["SPY", "QQQ", "AMD"], SESSION, desk.at(4))
    assert (behind.as_of, set(behind.bars)) == (OPEN + 2 * BAR, {"SPY", "QQQ"})
    assert behind.missing == {"AMD"}
    with pytest.raises(DataUnavailable):
        desk.data.bars(["SPY"], SESSION, desk.at(5))


def test_a_failure_leaves_the_cache_as_it_was() -> None:
    desk = Desk(fallback=False)
    desk.data.bars(["SPY"], SESSION, desk.at(5))
    desk.one.error = DataUnavailable("down")
    with pytest.raises(DataUnavailable):
        desk.data.bars(["SPY"], SESSION, desk.at(6))
    desk.one.error = None
    assert len(desk.data.bars(["SPY"], SESSION, desk.at(7)).bars["SPY"]) == 7


def test_age_counts_from_the_newest_bar_also_when_the_feed_stands_still() -> None:
    desk = Desk()
    assert desk.data.data_age_s(OPEN) is None
    desk.data.bars(["SPY"], SESSION, desk.at(5))
    assert desk.data.data_age_s(OPEN + timedelta(minutes=5, seconds=12)) == 12
    desk.one.hold_back = lambda bar: bar.start >= OPEN + 5 * BAR
    desk.data.bars(["SPY"], SESSION, desk.at(9))
    assert desk.data.data_age_s(desk.at(9)) == 240


def test_vix_and_empty_daily_bars_are_kept_for_ten_minutes() -> None:
    desk = Desk()
    first, last = date(2026, 10, 1), date(2026, 11, 23)
    for minutes in (0, 5, 9.9):
        assert desk.data.vix(desk.at(minutes)) == 17.5
        assert desk.data.daily_bars(["SPY"], first, last) == {"SPY": []}
    assert (desk.one.calls, desk.two.calls) == (2, 1)
    desk.data.vix(desk.at(10))
    desk.data.daily_bars(["SPY"], first, last)
    assert (desk.one.calls, desk.two.calls) == (4, 2)


def test_no_vix_is_an_answer_too() -> None:
    desk = Desk()
    desk.two.error = NotEntitled("no indices")
    assert desk.data.vix(desk.at(0)) is None
    assert desk.data.vix(desk.at(5)) is None
    assert desk.two.calls == 1
    assert desk.data.last_error == "two: vix: no indices"


def test_requests_are_counted_by_source() -> None:
    desk = Desk()
    desk.data.bars(["SPY"], SESSION, desk.at(1))
    desk.data.vix(desk.at(1))
    assert desk.data.requests == {"one": 2, "two": 1}


def test_the_last_price_is_the_newest_close_and_not_an_old_one() -> None:
    desk = Desk()
    assert desk.data.last_price("SPY") is None
    desk.data.bars(["SPY"], SESSION, desk.at(10.5))
    assert desk.data.last_price("SPY") == Decimal(1)
    assert desk.data.last_price("AMD") is None
    desk.at(19)
    assert desk.data.last_price("SPY") == Decimal(1)
    desk.at(19.1)
    assert desk.data.last_price("SPY") is None


def test_the_minutes_in_memory_are_shown_without_a_request() -> None:
    desk = Desk()
    assert desk.data.known_bars("SPY") == ()
    fetched = desk.data.bars(["SPY"], SESSION, desk.at(10.5)).bars["SPY"]
    sent = dict(desk.data.requests)
    assert desk.data.known_bars("SPY") == fetched != ()
    assert desk.data.known_bars("AMD") == ()
    assert desk.data.requests == sent
