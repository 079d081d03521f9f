"""The exchange's papers: of every jump in its second, of nothing now and then, the same on later days."""

import json
from collections import Counter
from datetime import date, datetime, timedelta
from math import log

import pytest

from tests.sim.bench import Bench
from wsb_snake.core.types import Headline
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.news import WIRE
from wsb_snake.sim.paths import MINUTE_S, Factor
from wsb_snake.sim.sessions import SimSession, session_of, sessions
from wsb_snake.sim.universe import UNIVERSE

DAY, SEED = date(2026, 11, 24), 7
FIRST = date(2026, 10, 1)
UP = ("jump", "rally", "surge", "beats", "upgraded", "climbs")
DOWN = ("slide", "tumble", "slump", "falls", "misses", "downgraded", "drops")


@pytest.fixture(scope="module")
def market() -> SeededMarket:
    return SeededMarket(DAY, SEED)


def days() -> list[SimSession]:
    return sessions(FIRST, DAY)


def papers(market: SeededMarket, session: SimSession) -> tuple[Headline, ...]:
    start = session.open - timedelta(hours=9)
    return market.headlines(start, start + timedelta(hours=23))


def directed(item: Headline) -> int:
    words = item.text.lower()
    return any(word in words for word in UP) - any(word in words for word in DOWN)


def test_every_jump_of_a_factor_is_told_in_its_second_and_its_direction(market: SeededMarket) -> None:
    factors = {name.symbol: Factor(SEED, name.symbol, name.own_vol, 0.2, DAY) for name in UNIVERSE} | {
        "market": Factor(SEED, "market", 0.16, 0.3, DAY)
    }
    told = 0
    for session in days():
        items = [item for item in papers(market, session) if directed(item)]
        expected = {
            (session.open + timedelta(seconds=jump[0]), key, jump[1] > 0)
            for key, factor in factors.items()
            if (jump := factor.news(session.day, session.seconds // MINUTE_S)) is not None
        }
        found = {
            (item.at, "market" if len(item.symbols) > 1 else item.symbols[0], directed(item) > 0)
            for item in items
        }
        assert found == expected
        told += len(found)
    assert told > 100


def test_the_price_moves_in_the_second_of_the_headline() -> None:
    """Of a name that it names, at least three times as far as in a usual second of that day."""
    checked = 0
    for seed in range(1, 6):
        market = SeededMarket(DAY, seed)
        for item in papers(market, market.session):
            if not directed(item) or len(item.symbols) > 1:
                continue
            (symbol,) = item.symbols
            step = log(market.spot(symbol, item.at) / market.spot(symbol, item.at - timedelta(seconds=1)))
            assert step * directed(item) > 0.002, (seed, item)
            checked += 1
    assert checked > 5


def test_some_items_a_day_mean_nothing(market: SeededMarket) -> None:
    counts = Counter(
        session.day for session in days() for item in papers(market, session) if not directed(item)
    )
    assert set(counts) == {session.day for session in days()}
    assert set(counts.values()) <= set(range(3, 8))
    assert len(set(counts.values())) > 2


def test_items_are_whole_and_in_order(market: SeededMarket) -> None:
    known = set(market.symbols())
    for session in days():
        items = papers(market, session)
        assert [item.at for item in items] == sorted(item.at for item in items)
        for item in items:
            assert (item.source, item.at.microsecond) == (WIRE, 0)
            assert set(item.symbols) <= known
            assert "{" not in item.text


def test_the_papers_of_a_day_are_the_same_on_the_day_and_after(market: SeededMarket) -> None:
    for session in days()[-8:]:
        assert papers(SeededMarket(session.day, SEED), session) == papers(market, session)
    assert papers(SeededMarket(DAY, SEED + 1), days()[-1]) != papers(market, days()[-1])


def test_only_what_was_asked_for_and_nothing_of_later_days(market: SeededMarket) -> None:
    session = market.session
    whole = papers(market, session)
    assert len(whole) > 3
    at = whole[1].at
    assert whole[1] in market.headlines(at, at)
    assert all(item.at == at for item in market.headlines(at, at))
    assert market.headlines(session.close + timedelta(days=1), session.close + timedelta(days=9)) == ()


def test_a_half_day_has_its_news_within_the_session() -> None:
    half = session_of(date(2026, 11, 27))
    assert half is not None
    told = [item for seed in range(1, 9) for item in papers(SeededMarket(half.day, seed), half)]
    news = [item for item in told if directed(item)]
    assert len(news) > 8
    assert all(half.open < item.at < half.close for item in news)


class TestAlpacasPages:
    @pytest.fixture
    def bench(self) -> Bench:
        bench = Bench("15:00")
        bench.market.papers = tuple(
            Headline(self.at(bench, n), f"{symbol} {n}", WIRE, (symbol, "IWM"))
            for n in range(7)
            for symbol in ("SPY", "AAPL")
        )
        return bench

    def at(self, bench: Bench, n: int) -> datetime:
        return bench.at("10:00") + n * timedelta(hours=1)

    def pages(self, bench: Bench, **query: str) -> list[str]:
        found: list[str] = []
        answer = bench.get("/v1beta1/news", **query)
        while True:
            found += [row["headline"] for row in answer["news"]]
            if answer["next_page_token"] is None:
                return found
            answer = bench.get("/v1beta1/news", **query, page_token=answer["next_page_token"])

    def test_the_newest_first_none_from_after_now(self, bench: Bench) -> None:
        assert self.pages(bench, symbols="SPY", limit="2") == [f"SPY {n}" for n in range(5, -1, -1)]
        assert self.pages(bench, symbols="SPY", limit="4", sort="asc") == [f"SPY {n}" for n in range(6)]
        both = self.pages(bench, limit="3")
        assert sorted(both) == sorted(f"{symbol} {n}" for n in range(6) for symbol in ("AAPL", "SPY"))
        assert self.pages(bench, symbols="XYZ") == []

    def test_start_and_end_count(self, bench: Bench) -> None:
        start, end = (self.at(bench, n).isoformat() for n in (1, 3))
        assert self.pages(bench, symbols="SPY", start=start, end=end) == ["SPY 3", "SPY 2", "SPY 1"]

    @pytest.mark.parametrize("query", [{"limit": "51"}, {"sort": "up"}, {"page_token": "bm90aGluZw=="}])
    def test_a_bad_question_is_refused(self, bench: Bench, query: dict[str, str]) -> None:
        reply = bench.call("GET", "/v1beta1/news", None, query)
        assert reply.status == 400
        assert "invalid" in json.loads(reply.body)["message"]
