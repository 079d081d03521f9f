"""The facade over both real clients against servers that misbehave: each trouble is told from the others."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.collectors.test_market_data import Feed
from tests.loopback import Answer, Loopback, hang, raw, reply, trickle_body
from wsb_snake.collectors import polygon_data
from wsb_snake.collectors.alpaca_data import AlpacaData
from wsb_snake.collectors.failover import Failover
from wsb_snake.collectors.market_data import (
    BAR,
    RETRY_PRIMARY_S,
    DataError,
    DataSilent,
    DataUnavailable,
    MarketData,
    NotEntitled,
    Source,
)
from wsb_snake.collectors.polygon_data import PolygonData
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import Policy, Transport
from wsb_snake.core.types import Headline

OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
DAY = date(2026, 11, 24)
SESSION = Session(DAY, OPEN, datetime(2026, 11, 24, 21, 0, tzinfo=UTC))
EARLIER = Session(date(2026, 11, 23), OPEN - timedelta(days=1), datetime(2026, 11, 23, 21, 0, tzinfo=UTC))
PATIENT, QUICK = Policy(), Policy(connect_s=0.3, read_s=0.2, total_s=0.4)

SYMBOL = "SPY261124C00672000"
AGG = {"o": 1, "h": 2.5, "l": 0.5, "c": 9, "v": 70, "vw": 1.5, "t": int(OPEN.timestamp() * 1000), "n": 4}
AGGS = reply({"status": "OK", "results": [AGG], "resultsCount": 1})
NOT_IN_PLAN = reply({"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, 403)
FORBIDDEN = reply({"message": "subscription does not permit querying recent SIP data"}, 403)
ITEM = {
    "id": 1,
    "headline": "SPY rises",
    "created_at": "2026-11-24T14:00:00Z",
    "updated_at": "2026-11-24T14:00:05Z",
    "source": "benzinga",
    "symbols": ["SPY", "XYZ"],
}


def bars(*minutes: int) -> Answer:
    rows = [
        {"t": f"2026-11-24T14:{30 + minute}:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 5, "vw": 1}
        for minute in minutes
    ]
    return reply({"bars": {"SPY": rows} if rows else {}, "next_page_token": None})


class Vendors:
    """The facade over Alpaca at one server and Polygon at another."""

    def __init__(
        self, alpaca: Loopback, polygon: Loopback | None, plan: str = "starter", policy: Policy = PATIENT
    ) -> None:
        self.clock = VirtualClock(OPEN)
        lanes = ThreadLanes(self.clock)
        transport = Transport(lanes, policy)
        self.alpaca = AlpacaData("key", "secret", alpaca.url, "iex", "indicative", lanes, transport)
        self.polygon = None if polygon is None else PolygonData("key", polygon.url, plan, lanes, transport)
        self.data = MarketData(self.alpaca, self.polygon, self.clock)

    def at(self, minutes: float) -> datetime:
        self.clock.advance_to(minutes * 60)
        return OPEN + timedelta(minutes=minutes)


def test_a_missing_bar_is_a_gap_and_not_a_bar_without_volume() -> None:
    with Loopback([bars(0, 2)]) as alpaca:
        vendors = Vendors(alpaca, None)
        view = vendors.data.bars(["SPY"], SESSION, vendors.at(3))
    assert [bar.start for bar in view.bars["SPY"]] == [OPEN, OPEN + 2 * BAR]
    assert all(bar.volume for bar in view.bars["SPY"])


def test_an_empty_200_is_an_answer_and_asks_nobody_else() -> None:
    with Loopback([bars()]) as alpaca, Loopback([AGGS]) as polygon:
        vendors = Vendors(alpaca, polygon)
        view = vendors.data.bars(["SPY"], SESSION, vendors.at(3))
        assert (view.bars["SPY"], view.missing, view.degraded) == ((), frozenset(), False)
        assert vendors.data.last_error is None
        assert polygon.seen == []


def test_a_403_says_so_and_after_several_in_a_row_is_not_tried_again_within_the_hour() -> None:
    with Loopback([FORBIDDEN]) as alpaca, Loopback([AGGS]) as polygon:
        vendors = Vendors(alpaca, polygon)
        for minutes in (3, 4, 5, 7, 11, 19, 35, 67):  # each rest is twice as long as the one before
            for later in (0.0, 0.4):
                view = vendors.data.bars(["SPY"], SESSION, vendors.at(minutes + later))
                assert (view.feed, view.degraded) == ("polygon", True)
        vendors.data.bars(["SPY"], SESSION, vendors.at(126))
        assert len(alpaca.seen) == 8
        assert vendors.data.last_error is not None
        assert "does not permit" in vendors.data.last_error
        vendors.data.bars(["SPY"], SESSION, vendors.at(127))
        assert len(alpaca.seen) == 9
        alpaca.answers[:] = [bars(0), FORBIDDEN]
        assert not vendors.data.bars(["SPY"], SESSION, vendors.at(190)).degraded
        for minutes in (191, 192):  # the row of refusals is broken: the rest is short again
            assert vendors.data.bars(["SPY"], SESSION, vendors.at(minutes)).degraded
        assert len(alpaca.seen) == 12


@pytest.mark.parametrize("status", [401, 403, 409])
def test_one_refusal_of_option_quotes_does_not_blind_the_exits(status: int) -> None:
    refusal = reply({"message": "forbidden."}, status)
    quote = {"ap": 1.02, "as": 5, "bp": 1.0, "bs": 5, "t": "2026-11-24T14:33:00Z"}
    with Loopback([refusal, refusal, reply({"quotes": {SYMBOL: quote}})]) as alpaca:
        vendors = Vendors(alpaca, None)
        for minutes in (3.0, 3.1):  # six seconds
            vendors.at(minutes)
            with pytest.raises(NotEntitled):
                vendors.data.option_quotes([SYMBOL])
        vendors.at(3.2)
        assert set(vendors.data.option_quotes([SYMBOL])) == {SYMBOL}


def test_option_quotes_rest_no_longer_when_the_fallback_serves_them_for_a_while() -> None:
    one, two = Feed("one"), Feed("two")
    clock = VirtualClock(OPEN)
    data = MarketData(one, two, clock)
    one.error = DataUnavailable("down")
    data.option_quotes([SYMBOL])
    one.error, two.error = None, DataUnavailable("down, too")
    clock.advance_to(5)
    assert data.option_quotes([SYMBOL]) == {}


def test_refusals_of_the_same_moment_are_one() -> None:
    clock = VirtualClock(OPEN)
    failover = Failover(Feed("one"), None, clock)

    def inner(source: Source) -> None:
        raise NotEntitled("403")

    def outer(source: Source) -> None:
        for _ in range(5):  # other lanes, that were on their way as well
            with pytest.raises(NotEntitled):
                failover.unless_resting(source, "chain", inner)
        raise NotEntitled("403")

    with pytest.raises(NotEntitled):
        failover.ask("chain", outer)
    clock.advance_to(RETRY_PRIMARY_S)
    assert failover.ask("chain", lambda source: 1) == 1


@pytest.mark.parametrize("fault", [hang, trickle_body(0.05)])
def test_a_hang_ends_within_its_budget_and_is_tried_again_soon(fault: Answer) -> None:
    with Loopback([fault]) as alpaca, Loopback([AGGS]) as polygon:
        vendors = Vendors(alpaca, polygon, policy=QUICK)
        view = vendors.data.bars(["SPY"], SESSION, vendors.at(3))
        assert (view.feed, view.degraded) == ("polygon", True)
        assert vendors.data.last_error is not None
        assert "no answer from Alpaca" in vendors.data.last_error
        alpaca.answers[:] = [bars(0, 1, 2, 3)]
        back = vendors.data.bars(["SPY"], SESSION, vendors.at(4))
        assert (back.feed, back.degraded, len(back.bars["SPY"])) == ("alpaca iex", False, 4)
        assert vendors.data.last_error is None


Question = Callable[[MarketData, datetime], Any]
POLYGONS: list[Question] = [
    lambda data, now: data.bars(["SPY"], SESSION, now),
    lambda data, now: data.daily_bars(["SPY"], date(2026, 11, 2), date(2026, 11, 23)),
    lambda data, now: data.past_sessions(["SPY"], [EARLIER]),
    lambda data, now: data.chain("SPY", DAY, DAY + timedelta(days=7), Decimal(660), Decimal(680)),
    lambda data, now: data.pressure_chain("SPY", DAY, 670.0, now),
    lambda data, now: data.news(["SPY"], OPEN - timedelta(days=1), now),
]


@pytest.mark.parametrize("question", POLYGONS)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [(hang, DataSilent), (raw(b"", 200), DataUnavailable), (FORBIDDEN, NotEntitled)],
)
def test_with_both_vendors_down_every_question_ends_and_tells_the_primarys_trouble(
    question: Question, fault: Answer, expected: type[DataError]
) -> None:
    with Loopback([fault]) as alpaca, Loopback([hang]) as polygon:
        vendors = Vendors(alpaca, polygon, policy=QUICK)
        with pytest.raises(DataError) as caught:
            question(vendors.data, vendors.at(3))
        assert type(caught.value) is expected
        assert len(alpaca.seen) == 1
        assert vendors.alpaca.sent == 1


def test_the_vix_of_a_polygon_that_hangs_or_refuses_is_unknown_and_that_is_said() -> None:
    with Loopback([bars()]) as alpaca, Loopback([hang, NOT_IN_PLAN]) as polygon:
        vendors = Vendors(alpaca, polygon, policy=QUICK)
        assert vendors.data.vix(vendors.at(0)) is None
        assert vendors.data.last_error == "polygon: vix: no answer from Polygon: ReadTimeout"
        assert vendors.data.vix(vendors.at(5)) is None
        assert len(polygon.seen) == 1
        assert vendors.data.vix(vendors.at(10)) is None
        assert vendors.data.last_error == "polygon: vix: HTTP 403: You are not entitled to this data."
        assert vendors.data.vix(vendors.at(30)) is None
        assert len(polygon.seen) == 3


def test_news_is_one_request_for_all_symbols() -> None:
    odd = [{**ITEM, "created_at": "yesterday"}, {**ITEM, "headline": ""}, {**ITEM, "symbols": [3]}]
    with Loopback([reply({"news": [*odd, ITEM], "next_page_token": None})]) as alpaca:
        vendors = Vendors(alpaca, None)
        since = OPEN - timedelta(days=1)
        found = vendors.data.news(["AMD", "SPY"], since, vendors.at(5))
        (request,) = alpaca.seen
    assert request.path == "/v1beta1/news"
    assert (request.query["symbols"], request.query["sort"]) == ("AMD,SPY", "desc")
    assert datetime.fromisoformat(request.query["start"]) == since
    assert datetime.fromisoformat(request.query["end"]) == OPEN + 5 * BAR
    told = Headline(datetime(2026, 11, 24, 14, tzinfo=UTC), "SPY rises", "benzinga", ("SPY", "XYZ"))
    assert found == {"SPY": (told,), "AMD": ()}


def test_polygon_tells_the_news_of_all_symbols_in_one_request() -> None:
    row = {
        "title": "SPY rises",
        "published_utc": "2026-11-24T14:00:00Z",
        "publisher": {"name": "The Wire"},
        "tickers": ["SPY", "XYZ"],
    }
    rows = [row, {**row, "tickers": ["NOBODY"]}, {**row, "published_utc": None}, {**row, "publisher": None}]
    with Loopback([hang]) as alpaca, Loopback([reply({"status": "OK", "results": rows})]) as polygon:
        vendors = Vendors(alpaca, polygon, "free", QUICK)
        found = vendors.data.news(["AMD", "SPY"], OPEN - timedelta(days=1), vendors.at(5))
        (request,) = polygon.seen
    assert request.path == "/v2/reference/news"
    assert request.query == {
        "published_utc.gte": "2026-11-23T14:30:00Z",
        "published_utc.lte": "2026-11-24T14:35:00Z",
        "sort": "published_utc",
        "order": "desc",
        "limit": "1000",
    }
    assert [item.text for item in found["SPY"]] == ["SPY rises"]
    assert found["SPY"][0].source == "The Wire"
    assert found["AMD"] == ()


def test_a_range_of_expiries_is_one_question_to_either_vendor() -> None:
    snapshots = reply({"snapshots": {SYMBOL: {}}, "next_page_token": None})
    chain = reply({"status": "OK", "results": [{"details": {"ticker": f"O:{SYMBOL}"}}]})
    last = DAY + timedelta(days=9)
    with Loopback([snapshots]) as alpaca, Loopback([chain]) as polygon:
        vendors = Vendors(alpaca, polygon)
        for source in (vendors.alpaca, vendors.polygon):
            assert source is not None
            (row,) = source.chain("SPY", DAY, last, Decimal(660), Decimal(680))
            assert (row.contract.symbol, row.open_interest, row.volume) == (SYMBOL, None, None)
        ours, theirs = alpaca.seen[0].query, polygon.seen[0].query
    assert (ours["expiration_date_gte"], ours["expiration_date_lte"]) == ("2026-11-24", "2026-12-03")
    assert "expiration_date" not in ours
    assert (theirs["expiration_date.gte"], theirs["expiration_date.lte"]) == ("2026-11-24", "2026-12-03")


def test_each_page_passes_the_budget_and_is_counted() -> None:
    row = {"t": "2026-11-24T14:30:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 5, "vw": 1}
    endless = reply({"bars": {"SPY": [row]}, "next_page_token": "more"})
    with Loopback([endless]) as alpaca:
        vendors = Vendors(alpaca, None)
        with pytest.raises(DataUnavailable, match="our own limit: 100 calls a minute"):
            vendors.data.bars(["SPY"], SESSION, vendors.at(3))
        assert vendors.data.requests == {"alpaca iex": 100}
        assert len(alpaca.seen) == 100
        alpaca.answers[:] = [reply({"quotes": {}})]
        assert vendors.data.option_quotes([SYMBOL]) == {}  # the exits' share is untouched
        assert vendors.data.requests == {"alpaca iex": 101}


def test_what_polygon_told_before_it_failed_counts() -> None:
    with Loopback([hang]) as alpaca, Loopback([AGGS, AGGS, hang]) as polygon:
        vendors = Vendors(alpaca, polygon, policy=QUICK)
        view = vendors.data.bars(["AMD", "IWM", "QQQ", "SPY"], SESSION, vendors.at(3))
        assert set(view.bars) == {"SPY", "QQQ"}
        assert view.missing == {"IWM", "AMD"}
        assert len(polygon.seen) == 3


def test_more_bars_than_a_page_holds_are_not_taken_for_all() -> None:
    cut = reply({"status": "OK", "results": [AGG], "resultsCount": 1, "next_url": "https://x.invalid/"})
    with Loopback([hang]) as alpaca, Loopback([cut]) as polygon:
        vendors = Vendors(alpaca, polygon, policy=QUICK)
        assert vendors.polygon is not None
        with pytest.raises(DataUnavailable, match=str(polygon_data.MAX_BARS)):
            vendors.polygon.bars(("SPY",), OPEN, OPEN + 5 * BAR)
