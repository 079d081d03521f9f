"""Chains near the money: open interest from who has it, one request each, ten minutes."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.collectors.test_market_data import OPEN, SESSION, Feed
from wsb_snake.collectors.chains import near
from wsb_snake.collectors.market_data import DataUnavailable, MarketData, NotEntitled
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.occ import build, parse
from wsb_snake.core.types import Chain, ChainRow, Right

CALL = ChainRow(parse(build("SPY", SESSION.day, Right.CALL, Decimal(670))), None, volume=12)
PUT = ChainRow(parse(build("SPY", SESSION.day, Right.PUT, Decimal(670))), None)
Asked = tuple[str, date, date, Decimal, Decimal]


class Chains(Feed):
    def __init__(self, name: str, *rows: ChainRow) -> None:
        super().__init__(name)
        self.rows = rows
        self.chains: list[Asked] = []

    def chain(
        self, underlying: str, first: date, last: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...]:
        self._call()
        self.chains.append((underlying, first, last, low, high))
        return self.rows


class Room:
    """The primary tells no open interest; the fallback tells that of the call."""

    def __init__(self, *, alone: bool = False) -> None:
        self.clock = VirtualClock(OPEN)
        self.one = Chains("one", replace(CALL, volume=30), PUT)
        self.two = Chains("two", replace(CALL, open_interest=500), PUT)
        self.data = MarketData(self.one, None if alone else self.two, self.clock)

    def look(self, minutes: float, spot: float = 670.0, name: str = "SPY") -> Chain:
        self.clock.advance_to(minutes * 60)
        return self.data.pressure_chain(name, SESSION.day, spot, OPEN + timedelta(minutes=minutes))

    def calls(self) -> tuple[int, int]:
        return self.one.calls, self.two.calls


def interests(chain: Chain) -> list[int | None]:
    return [row.open_interest for row in chain.rows]


def test_the_first_chain_of_the_day_is_told_with_open_interest_and_the_next_keeps_it() -> None:
    room = Room()
    first = room.look(0)
    assert (first.underlying, first.expiry, first.at) == ("SPY", SESSION.day, OPEN)
    assert interests(first) == [500, None]
    assert room.calls() == (0, 1)
    assert room.look(9.9) is first
    later = room.look(10)
    assert later.at == OPEN + timedelta(minutes=10)
    assert interests(later) == [500, None]  # unknown is not zero
    assert later.rows[0].volume == 30
    assert room.calls() == (1, 1)
    assert room.two.chains == [("SPY", SESSION.day, SESSION.day, *near(670.0))]


def test_near_is_a_share_of_the_spot_between_two_dollars_and_sixty() -> None:
    assert near(500.0) == (Decimal(460), Decimal(540))
    assert near(10.0) == (Decimal(8), Decimal(12))
    assert near(800.0) == (Decimal(740), Decimal(860))


def test_each_underlying_has_its_own() -> None:
    room = Room()
    room.look(0)
    room.look(5, name="QQQ")
    room.look(5)
    assert room.calls() == (0, 2)
    room.look(10)
    room.look(10, name="QQQ")
    assert room.calls() == (1, 2)


def test_when_the_price_has_left_the_strikes_open_interest_is_asked_for_again() -> None:
    room = Room()
    room.look(0)
    room.look(10, spot=690.0)
    assert room.calls() == (1, 1)
    room.look(20, spot=700.0)
    assert room.calls() == (1, 2)
    room.look(24 * 60, spot=700.0)
    assert room.calls() == (1, 3)


def test_without_who_tells_it_open_interest_is_unknown_and_that_is_said() -> None:
    room = Room()
    room.two.error = NotEntitled("the free plan has no option chains")
    for minutes in (0, 10, 20):
        assert interests(room.look(minutes)) == [None, None]
    assert room.calls() == (3, 3)  # one refusal is not believed for long
    assert room.data.errors == ("two: open interest: the free plan has no option chains",)
    assert interests(Room(alone=True).look(0)) == [None, None]


def test_who_fails_to_tell_it_is_left_alone_for_ten_minutes() -> None:
    room = Room()
    room.two.error = DataUnavailable("no answer")
    for name in ("SPY", "QQQ", "IWM"):
        room.look(0, name=name)
    assert room.calls() == (3, 1)
    room.two.error = None
    assert interests(room.look(10)) == [500, None]
    assert room.data.errors == ()


def test_where_nothing_is_listed_both_are_asked_once_and_then_one() -> None:
    room = Room()
    room.one.rows = room.two.rows = ()
    assert room.look(0).rows == room.look(10).rows == ()
    assert room.calls() == (2, 1)


def test_a_primary_that_fails_is_stood_in_for() -> None:
    room = Room()
    room.look(0)
    room.one.error = DataUnavailable("down")
    assert interests(room.look(10)) == [500, None]
    assert room.data.last_error == "one: chain: down"
    room.two.error = DataUnavailable("down, too")
    with pytest.raises(DataUnavailable, match="down"):
        room.look(20)


@pytest.mark.parametrize(
    ("spot", "low", "high"), [(670.0, "616.40", "723.60"), (12.0, "10.00", "14.00"), (1.5, "0.01", "3.50")]
)
def test_strikes_lie_within_eight_percent_or_two_dollars(spot: float, low: str, high: str) -> None:
    assert near(spot) == (Decimal(low), Decimal(high))
