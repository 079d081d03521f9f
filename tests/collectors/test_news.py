"""Headlines: what is asked for again, which of them an engine may see."""

from datetime import datetime, timedelta

import pytest

from tests.collectors.test_market_data import OPEN, Feed
from wsb_snake.collectors.market_data import DataUnavailable, MarketData, NotEntitled
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.types import Headline

SINCE = OPEN - timedelta(hours=24)
MINUTE = timedelta(minutes=1)


def item(minutes: float, text: str, *symbols: str) -> Headline:
    return Headline(OPEN + minutes * MINUTE, text, "wire", symbols)


class Paper(Feed):
    """A source of headlines that enters each ``late`` minutes after the time stamped on it."""

    def __init__(self, name: str, clock: VirtualClock, *items: Headline, late: float = 0) -> None:
        super().__init__(name)
        self.clock = clock
        self.items = items
        self.late = late * MINUTE
        self.questions: list[tuple[tuple[str, ...], datetime, datetime]] = []

    def news(self, symbols: tuple[str, ...], start: datetime, end: datetime) -> tuple[Headline, ...]:
        self._call()
        self.questions.append((symbols, start, end))
        there = (i for i in self.items if i.at + self.late <= self.clock.now() and start <= i.at <= end)
        return tuple(i for i in there if set(symbols) & set(i.symbols))


class Room:
    def __init__(self, *items: Headline, late: float = 0) -> None:
        self.clock = VirtualClock(OPEN)
        self.one = Paper("one", self.clock, *items, late=late)
        self.two = Paper("two", self.clock, *items)
        self.data = MarketData(self.one, self.two, self.clock)

    def texts(self, minutes: float, *symbols: str, since: datetime = SINCE) -> dict[str, list[str]]:
        now = OPEN + minutes * MINUTE
        self.clock.advance_to(max(minutes, 0) * 60)
        found = self.data.news(symbols, since, now)
        return {symbol: [found_item.text for found_item in items] for symbol, items in found.items()}


def test_one_request_gives_each_symbol_its_own_oldest_first() -> None:
    room = Room(item(2, "both", "SPY", "AMD"), item(1, "before", "AMD", "XYZ"), item(-9000, "old", "SPY"))
    assert room.texts(3, "AMD", "SPY", "SLV") == {"SPY": ["both"], "AMD": ["before", "both"], "SLV": []}
    assert room.one.questions == [(("AMD", "SLV", "SPY"), SINCE, OPEN + 3 * MINUTE)]


def test_only_the_last_stretch_is_asked_for_again_and_late_items_are_found() -> None:
    room = Room(item(1, "early", "SPY"), item(4, "entered late", "SPY"), late=5)
    assert room.texts(8, "SPY") == {"SPY": ["early"]}
    assert room.texts(8.9, "SPY") == {"SPY": ["early"]}  # less than a minute ago
    assert len(room.one.questions) == 1
    assert room.texts(9, "SPY") == {"SPY": ["early", "entered late"]}
    assert room.one.questions[1][1:] == (OPEN - 2 * MINUTE, OPEN + 9 * MINUTE)


def test_nothing_from_after_now_is_shown_nor_from_before_since() -> None:
    room = Room(item(1, "one", "SPY"), item(2, "two", "SPY"), item(3, "three", "SPY"))
    assert room.texts(3, "SPY") == {"SPY": ["one", "two", "three"]}
    found = room.data.news(["SPY"], OPEN + 1.5 * MINUTE, OPEN + 2.5 * MINUTE)
    assert [found_item.text for found_item in found["SPY"]] == ["two"]


def test_another_symbol_or_an_earlier_beginning_is_asked_for_whole() -> None:
    room = Room(item(1, "amd", "AMD"), item(-2000, "long ago", "SPY"))
    room.texts(2, "SPY")
    assert room.texts(2, "AMD", "SPY") == {"SPY": [], "AMD": ["amd"]}
    assert room.one.questions[-1][:2] == (("AMD", "SPY"), SINCE)
    earlier = SINCE - timedelta(days=1)
    assert room.texts(2, "SPY", since=earlier) == {"SPY": ["long ago"]}
    assert room.one.questions[-1][:2] == (("AMD", "SPY"), earlier)
    assert room.texts(2.5, "SPY", "AMD") == {"SPY": [], "AMD": ["amd"]}
    assert len(room.one.questions) == 3


def test_a_new_day_begins_afresh() -> None:
    room = Room(item(1, "one", "SPY"))
    room.texts(2, "SPY")
    day = 24 * 60
    assert room.texts(day, "SPY", since=OPEN + (day - 60) * MINUTE) == {"SPY": []}
    assert room.one.questions[-1][1] == OPEN + (day - 60) * MINUTE


def test_the_fallback_serves_while_the_primary_does_not() -> None:
    room = Room(item(1, "one", "SPY"))
    room.one.error = DataUnavailable("down")
    assert room.texts(2, "SPY") == {"SPY": ["one"]}
    assert room.data.last_error == "one: news: down"
    room.two.error = NotEntitled("not in the plan")
    with pytest.raises(DataUnavailable, match="down"):
        room.texts(5, "SPY")
