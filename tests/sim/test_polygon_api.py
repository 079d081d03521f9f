"""Polygon's API as polygon-api-client sees it."""

import json
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from polygon import RESTClient
from polygon.exceptions import BadResponse
from polygon.rest.models import OptionsContract

from tests.sim.serving import DAY, POLYGON_KEY, World, at, served
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.occ import parse
from wsb_snake.sim.api import ApiRequest
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.polygon_api import PolygonApi

NOW = at(DAY, 10, 30)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with served() as world:
        yield world


@pytest.fixture(scope="module")
def client(world: World) -> RESTClient:
    return RESTClient(POLYGON_KEY, base=world.http, retries=0)


def ms(moment: object) -> int:
    return int(moment.timestamp() * 1000)  # type: ignore[attr-defined]


def test_minute_bars_are_the_markets_and_end_now(world: World, client: RESTClient) -> None:
    bars = client.get_aggs("SPY", 1, "minute", "2026-11-24", "2026-11-24", limit=50000)
    true = world.market.bars("SPY", world.market.session.open - timedelta(hours=9), NOW, NOW)
    assert len(bars) == len(true) >= 60
    assert [(b.timestamp, b.open, b.high, b.low, b.close, b.volume, b.vwap) for b in bars] == [
        (ms(b.start), b.open, b.high, b.low, b.close, b.volume, b.vwap) for b in true
    ]
    assert bars[-1].timestamp == ms(NOW) - 60_000


def test_bars_from_a_moment_on_and_newest_first(world: World, client: RESTClient) -> None:
    start = NOW - timedelta(minutes=5)
    bars = client.get_aggs("SPY", 1, "minute", start, NOW, sort="desc")
    assert [bar.timestamp for bar in bars] == [ms(NOW) - 60_000 * n for n in range(1, 6)]
    two = client.get_aggs("SPY", 1, "minute", ms(start), ms(start) + 60_000)
    assert [bar.timestamp for bar in two] == [ms(start), ms(start) + 60_000]


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_bars_in_pages(client: RESTClient, sort: str) -> None:
    whole = client.get_aggs("QQQ", 1, "minute", "2026-11-23", "2026-11-24", sort=sort, limit=50000)
    paged = list(client.list_aggs("QQQ", 1, "minute", "2026-11-23", "2026-11-24", sort=sort, limit=100))
    assert len(whole) > 400
    assert paged == whole


def test_wider_bars_are_made_of_minutes(client: RESTClient) -> None:
    minutes = client.get_aggs("SPY", 1, "minute", "2026-11-24", "2026-11-24")
    wide = client.get_aggs("SPY", 5, "minute", "2026-11-24", "2026-11-24")
    first = [bar for bar in minutes if bar.timestamp < wide[1].timestamp]
    assert len(first) == 5
    assert (wide[0].open, wide[0].close) == (first[0].open, first[-1].close)
    assert (wide[0].high, wide[0].low) == (max(b.high for b in first), min(b.low for b in first))
    assert wide[0].volume == sum(bar.volume for bar in first)


def test_daily_bars_hold_today_so_far(world: World, client: RESTClient) -> None:
    days = client.get_aggs("AAPL", 1, "day", "2026-11-02", "2026-11-24")
    earlier = world.market.daily_bars("AAPL", date(2026, 11, 2), DAY)
    assert [day.timestamp for day in days] == [*(ms(b.start) for b in earlier), ms(at(DAY, 0, 0))]
    minutes = client.get_aggs("AAPL", 1, "minute", "2026-11-24", "2026-11-24")
    assert (days[-1].close, days[-1].volume) == (minutes[-1].close, sum(b.volume for b in minutes))
    assert len(client.get_aggs("AAPL", 1, "day", "2026-11-02", "2026-11-23")) == len(earlier)
    previous = client.get_previous_close_agg("AAPL")[0]
    assert (previous.ticker, previous.close) == ("AAPL", earlier[-1].close)
    flat = client.get_daily_open_close_agg("AAPL", "2026-11-23")
    assert (flat.symbol, flat.close, flat.from_) == ("AAPL", earlier[-1].close, "2026-11-23")


def test_the_vix_is_an_index_without_volume(world: World, client: RESTClient) -> None:
    value = world.market.vix(NOW)
    snapshot = client.get_snapshot_indices(["I:VIX", "I:SPX"])
    assert (snapshot[0].value, snapshot[0].error) == (value, None)
    assert (snapshot[1].value, snapshot[1].error) == (None, "NOT_FOUND")
    minutes = client.get_aggs("I:VIX", 1, "minute", "2026-11-24", "2026-11-24")
    assert len(minutes) == 60
    assert minutes[-1].volume is None
    for bar in minutes:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    days = client.get_aggs("I:VIX", 1, "day", "2026-11-16", "2026-11-24")
    assert len(days) == 7
    assert days[-1].close == minutes[-1].close


def test_what_is_unknown_has_no_bars(client: RESTClient) -> None:
    assert client.get_aggs("NOPE", 1, "minute", "2026-11-24", "2026-11-24") == []
    assert client.get_aggs("NOPE", 1, "day", "2026-11-24", "2026-11-24") == []
    with pytest.raises(BadResponse, match="NOT_FOUND"):
        client.get_previous_close_agg("NOPE")


def test_stock_quote_and_snapshot(world: World, client: RESTClient) -> None:
    true = world.market.stock_quote("SPY", NOW)
    quote = client.get_last_quote("SPY")
    assert (quote.bid_price, quote.ask_price) == (float(true.bid), float(true.ask))
    assert quote.sip_timestamp == ms(true.at) * 1_000_000
    snapshot = client.get_snapshot_ticker("stocks", "SPY")
    minutes = client.get_aggs("SPY", 1, "minute", "2026-11-24", "2026-11-24")
    assert (snapshot.day.close, snapshot.min.close) == (minutes[-1].close, minutes[-1].close)
    change = minutes[-1].close - snapshot.prev_day.close
    assert snapshot.todays_change == pytest.approx(change)


def test_a_chain_is_filtered_and_paged(world: World, client: RESTClient) -> None:
    spot = world.market.spot("SPY", NOW)
    near = {
        "expiration_date": DAY.isoformat(),
        "strike_price.gte": spot - 10,
        "strike_price.lt": spot + 10,
        "contract_type": "put",
        "sort": "strike_price",
        "order": "desc",
    }
    rows = list(client.list_snapshot_options_chain("SPY", params={**near, "limit": 3}))
    strikes = [row.details.strike_price for row in rows]
    assert len(strikes) > 10
    assert strikes == sorted(set(strikes), reverse=True)
    assert all(spot - 10 <= strike < spot + 10 for strike in strikes)
    assert {row.details.contract_type for row in rows} == {"put"}
    for row in rows:
        symbol = row.details.ticker.removeprefix("O:")
        true = world.market.option_quote(symbol, NOW)
        assert true is not None
        assert (row.last_quote.bid, row.last_quote.ask) == (float(true.bid), float(true.ask))
        assert row.last_quote.last_updated == ms(true.at) * 1_000_000
        assert -1 <= row.greeks.delta <= 0
        assert row.implied_volatility == world.market.implied_volatility(symbol, NOW)
        assert row.day.volume == world.market.option_volume(symbol, NOW)
        assert row.underlying_asset.price == spot
        alone = client.get_snapshot_option("SPY", row.details.ticker)
        assert alone == row


def test_the_whole_chain_comes_in_pages_of_250(world: World, client: RESTClient) -> None:
    rows = list(client.list_snapshot_options_chain("GDX", params={"limit": 250}))
    listed = [row.contract for row in world.market.contracts("GDX") if row.contract.expiry >= DAY]
    assert len(rows) == len(listed) > 250
    assert [row.details.ticker for row in rows] == sorted(f"O:{c.symbol}" for c in listed)


def test_contracts_reference(world: World, client: RESTClient) -> None:
    rows = list(
        client.list_options_contracts(
            underlying_ticker="SPY",
            expiration_date_gte="2026-11-25",
            expiration_date_lte="2026-12-04",
            limit=1000,
        )
    )
    assert rows
    for row in rows:
        assert isinstance(row, OptionsContract)
        contract = parse(row.ticker.removeprefix("O:"))
        assert (row.underlying_ticker, row.strike_price) == ("SPY", float(contract.strike))
        assert "2026-11-25" <= row.expiration_date == contract.expiry.isoformat() <= "2026-12-04"
    one = client.get_options_contract(rows[0].ticker)
    assert one == rows[0]
    assert list(client.list_options_contracts(underlying_ticker="NOPE")) == []
    assert {
        row.underlying_ticker
        for row in client.list_options_contracts(expiration_date="2026-11-24", limit=1000)
    } > {
        "SPY",
        "QQQ",
    }


def test_market_status(client: RESTClient) -> None:
    status = client.get_market_status()
    assert (status.market, status.exchanges.nyse) == ("open", "open")
    assert status.server_time == "2026-11-24T10:30:00-05:00"
    holidays = client.get_market_holidays()
    assert [(h.date, h.status, h.exchange) for h in holidays[:3]] == [
        ("2026-11-26", "closed", "NYSE"),
        ("2026-11-26", "closed", "NASDAQ"),
        ("2026-11-27", "early-close", "NYSE"),
    ]
    assert holidays[2].close == "2026-11-27T18:00:00.000Z"


@pytest.mark.parametrize(
    ("hour", "minute", "word", "early", "late"),
    [
        (3, 0, "closed", False, False),
        (8, 0, "extended-hours", True, False),
        (15, 59, "open", False, False),
        (16, 0, "extended-hours", False, True),
        (20, 0, "closed", False, False),
    ],
)
def test_market_status_by_the_clock(
    world: World, hour: int, minute: int, word: str, early: bool, late: bool
) -> None:
    clock = VirtualClock(at(DAY, hour, minute))
    api = PolygonApi(Exchange(clock, world.market, 7), "")
    body = json.loads(api.handle(ApiRequest("GET", "/v1/marketstatus/now", {"apiKey": ""}, {}, b"")).body)
    assert (body["market"], body["earlyHours"], body["afterHours"]) == (word, early, late)


def test_news_is_the_markets_newest_first_and_paged(world: World, client: RESTClient) -> None:
    true = world.market.headlines(NOW - timedelta(days=7), NOW)
    rows = list(client.list_ticker_news(limit=3))
    assert len(rows) == len(true) > 20
    assert [row.title for row in rows] == [item.text for item in reversed(true)]
    assert [row.tickers for row in rows] == [list(item.symbols) for item in reversed(true)]
    assert len({row.id for row in rows}) == len(rows)
    named = list(client.list_ticker_news(true[-1].symbols[0]))
    assert true[-1].text in {row.title for row in named}
    assert all(true[-1].symbols[0] in row.tickers for row in named)
    day = list(client.list_ticker_news(published_utc="2026-11-23", order="asc", limit=1000))
    assert day
    assert {row.published_utc[:10] for row in day} == {"2026-11-23"}
    assert [row.published_utc for row in day] == sorted(row.published_utc for row in day)
    edge = day[1].published_utc
    since = list(client.list_ticker_news(published_utc_gt=edge, published_utc_lte=day[3].published_utc))
    assert {row.title for row in since} == {row.title for row in day[2:4]}


def test_refusals(world: World, client: RESTClient) -> None:
    stranger = RESTClient("wrong", base=world.http, retries=0)
    with pytest.raises(BadResponse, match="Unknown API Key"):
        stranger.get_market_status()
    with pytest.raises(BadResponse, match="NOT_AUTHORIZED"):
        client.get_last_trade("SPY")
    with pytest.raises(BadResponse, match="limit"):
        list(client.list_snapshot_options_chain("SPY", params={"limit": 251}))
    with pytest.raises(BadResponse, match="is not a number"):
        list(client.list_snapshot_options_chain("SPY", params={"strike_price": "high"}))
    with pytest.raises(BadResponse, match="Only minute, hour"):
        client.get_aggs("SPY", 1, "second", "2026-11-24", "2026-11-24")
    with pytest.raises(BadResponse, match="Could not parse the time"):
        client.get_aggs("SPY", 1, "day", "2026-13-24", "2026-11-24")
    with pytest.raises(BadResponse, match="Options contract not found"):
        client.get_snapshot_option("QQQ", f"O:{world.near_the_money()[0]}")
