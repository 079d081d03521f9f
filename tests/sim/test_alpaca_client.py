"""Alpaca's own client, parsing everything into its own models, against the handler without a socket."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.data.historical import OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.requests import (
    OptionChainRequest,
    OptionLatestQuoteRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetCalendarRequest,
    GetOptionContractsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)
from requests.adapters import BaseAdapter

from tests.sim.bench import DAY, KEY, SECRET, SPY_CALL, SPY_PUT, Bench
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.api import ApiRequest


class Seam(BaseAdapter):
    """Hands each request of the client to the handler."""

    def __init__(self, api: AlpacaApi) -> None:
        super().__init__()
        self._api = api

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = urlsplit(request.url or "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        query = dict(parse_qsl(str(url.query)))
        reply = self._api.handle(ApiRequest(request.method or "", str(url.path), query, headers, content))
        response = requests.Response()
        response.status_code = reply.status
        response._content = reply.body
        response.request = request
        return response

    def close(self) -> None:
        pass


class Clients:
    def __init__(self, bench: Bench) -> None:
        base = "http://exchange"
        self.trading = TradingClient(KEY, SECRET, url_override=base)
        self.options = OptionHistoricalDataClient(KEY, SECRET, url_override=base)
        self.stocks = StockHistoricalDataClient(KEY, SECRET, url_override=base)
        for client in (self.trading, self.options, self.stocks):
            client._session.mount("http://", Seam(bench.api))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def clients(bench: Bench) -> Iterator[Clients]:
    yield Clients(bench)


def test_the_life_of_a_position(bench: Bench, clients: Clients) -> None:
    trading: Any = clients.trading
    assert trading.get_account().options_buying_power == "100000"
    assert trading.get_clock().is_open
    assert trading.get_calendar(GetCalendarRequest(start=DAY, end=DAY))[0].close.hour == 16
    entry = LimitOrderRequest(
        symbol=SPY_CALL,
        qty=2,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.DAY,
        limit_price=1.15,
        client_order_id="entry",
    )
    sent = trading.submit_order(entry)
    assert sent.status is OrderStatus.PENDING_NEW
    bench.tick()
    assert trading.get_order_by_id(sent.id).status is OrderStatus.FILLED
    assert trading.get_order_by_client_id("entry").filled_avg_price == "1.05"
    assert trading.get_open_position(SPY_CALL).qty_available == "2"
    trading.close_position(SPY_CALL, ClosePositionRequest(qty="1"))
    bench.tick()
    assert [position.qty for position in trading.get_all_positions()] == ["1"]
    everything = GetOrdersRequest(status=QueryOrderStatus.ALL, symbols=[SPY_CALL], nested=True)
    assert len(trading.get_orders(everything)) == 2
    assert [row["side"] for row in trading.get("/account/activities", {"activity_types": "FILL"})] == [
        "sell",
        "buy",
    ]
    assert trading.close_all_positions(cancel_orders=True)[0].status == 200
    assert [row.status for row in trading.cancel_orders()] == [200]


def test_contracts_and_market_data(bench: Bench, clients: Clients) -> None:
    trading: Any = clients.trading
    options: Any = clients.options
    stocks: Any = clients.stocks
    found = trading.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["SPY"], limit=5))
    assert len(found.option_contracts) == 5
    quotes = options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=[SPY_CALL]))
    assert quotes[SPY_CALL].ask_price == 1.05
    chain = options.get_option_chain(OptionChainRequest(underlying_symbol="SPY", expiration_date=DAY))
    assert chain[SPY_CALL].greeks.delta > 0 > chain[SPY_PUT].greeks.delta
    bars = StockBarsRequest(
        symbol_or_symbols=["SPY", "QQQ"], timeframe=TimeFrame.Minute, start=bench.market.session.open
    )
    assert len(stocks.get_stock_bars(bars)["SPY"]) == 30
    assert (
        stocks.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="SPY"))["SPY"].ask_size == 200
    )
    assert stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SPY"))["SPY"].price == 670
    snapshot = stocks.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="SPY"))["SPY"]
    assert snapshot.daily_bar.open == 670


def test_errors_are_read_as_alpacas(clients: Clients) -> None:
    uncovered = MarketOrderRequest(symbol=SPY_CALL, qty=1, side=OrderSide.SELL, time_in_force=TimeInForce.DAY)
    with pytest.raises(APIError) as refused:
        clients.trading.submit_order(uncovered)
    assert (refused.value.status_code, refused.value.code) == (403, 40310000)
    with pytest.raises(APIError) as refused:
        clients.trading.get_open_position(SPY_CALL)
    assert refused.value.message == "position does not exist"
