"""The REST handler: keys, routes, paging, filters, rate limit, faults, and what each call does."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.sim.bench import (
    AAPL_CALL,
    DAY,
    HALF_DAY,
    KEY,
    LATER,
    SECRET,
    SPOTS,
    SPY_CALL,
    SPY_LATER,
    SPY_PUT,
    Bench,
)
from wsb_snake.core.occ import build
from wsb_snake.core.types import Right
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.faults import Action, Answer, ConnectionLost, Hang, Hung, NoFaults, Reset
from wsb_snake.sim.rules import Rules

CHAIN = "/v1beta1/options/snapshots/SPY"


def order_body(**change: Any) -> dict[str, Any]:
    body = {"symbol": SPY_CALL, "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day"}
    return body | {"limit_price": 1.1, "client_order_id": "mine"} | change


# Keys, routes, limits, faults


@pytest.mark.parametrize("path", ["/v2/account", "/v2/stocks/bars", "/nowhere"])
def test_wrong_keys(path: str) -> None:
    for headers in ({}, {"apca-api-key-id": KEY, "apca-api-secret-key": "x"}, {"apca-api-key-id": KEY}):
        reply = Bench().api.handle(ApiRequest("GET", path, {}, headers, b""))
        assert (reply.status, json.loads(reply.body)) == (401, {"message": "unauthorized."})


def test_unknown_routes() -> None:
    bench = Bench()
    for method, path in (("GET", "/v2/nothing"), ("PUT", "/v2/orders"), ("GET", "/v2/a/b/c/d")):
        reply = bench.call(method, path, None, {})
        assert (reply.status, json.loads(reply.body)["code"]) == (404, 40410000)


def test_the_rate_limit_counts_each_minute_for_either_api() -> None:
    bench = Bench("10:00:10", Rules(rate_limit_per_minute=2))
    last = [bench.call("GET", "/v2/clock", None, {}) for _ in range(3)][-1]
    assert last.status == 429
    assert json.loads(last.body) == {"code": 42910000, "message": "rate limit exceeded"}
    reset = int(bench.at("10:01").timestamp())
    assert dict(last.headers) == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(reset),
    }
    query = {"symbols": "SPY"}
    data = [bench.call("GET", "/v2/stocks/quotes/latest", None, query) for _ in range(3)]
    assert [reply.status for reply in data] == [200, 200, 429]
    assert json.loads(data[-1].body) == {"message": "too many requests."}
    bench.to("10:01")
    assert bench.get("/v2/clock")["is_open"] is True


def test_no_rate_limit_no_headers() -> None:
    bench = Bench(rules=Rules(rate_limit_per_minute=None))
    replies = [bench.call("GET", "/v2/clock", None, {}) for _ in range(300)]
    assert {(reply.status, reply.headers) for reply in replies} == {(200, ())}


class At(NoFaults):
    """One action at one point for one call."""

    def __init__(self, point: str, call: str, action: Action) -> None:
        self._point, self._call, self._action = point, call, action

    def before(self, call: str, at: Any) -> Action:
        return self._action if (self._point, self._call) == ("before", call) else None

    def after(self, call: str, at: Any) -> Action:
        return self._action if (self._point, self._call) == ("after", call) else None


HTML = ApiReply(503, b"<html>sorry</html>", "text/html")


@pytest.mark.parametrize(("point", "orders"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("action", [Hang(), Reset(), Answer(HTML)])
def test_a_fault_before_the_commit_leaves_nothing_and_one_after_it_an_order(
    point: str, orders: int, action: Action
) -> None:
    bench = Bench(faults=At(point, "POST /v2/orders", action))
    if isinstance(action, Answer):
        assert bench.call("POST", "/v2/orders", order_body(), {}) == HTML
    else:
        with pytest.raises(Hung if isinstance(action, Hang) else ConnectionLost):
            bench.call("POST", "/v2/orders", order_body(), {})
    assert len(bench.get("/v2/orders")) == orders
    assert bench.call("GET", "/v2/account", None, {}).status == 200


# Account and time


def test_account() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 2, Decimal("1.00"))
    bench.buy(SPY_LATER, 1, "0.50")
    account = bench.get("/v2/account")
    shown = ("status", "cash", "equity", "last_equity", "options_buying_power", "options_trading_level")
    assert [account[name] for name in shown] == ["ACTIVE", "99800", "100005", "100000", "99750", 3]
    assert account["account_number"] == bench.exchange.account_number
    assert not {"pattern_day_trader", "daytrade_count", "daytrading_buying_power"} & set(account)


@pytest.mark.parametrize(
    ("wall", "is_open", "next_open", "next_close"),
    [
        ("09:29:59", False, "2026-11-27T09:30:00-05:00", "2026-11-27T13:00:00-05:00"),
        ("09:30", True, "2026-11-30T09:30:00-05:00", "2026-11-27T13:00:00-05:00"),
        ("12:59:59", True, "2026-11-30T09:30:00-05:00", "2026-11-27T13:00:00-05:00"),
        ("13:00", False, "2026-11-30T09:30:00-05:00", "2026-11-30T16:00:00-05:00"),
    ],
)
def test_clock_on_a_half_day(wall: str, is_open: bool, next_open: str, next_close: str) -> None:
    bench = Bench(wall, day=HALF_DAY)
    clock = bench.get("/v2/clock")
    assert clock == {
        "timestamp": f"2026-11-27T{wall if len(wall) > 5 else wall + ':00'}-05:00",
        "is_open": is_open,
        "next_open": next_open,
        "next_close": next_close,
    }


def test_calendar() -> None:
    rows = Bench().get("/v2/calendar", start="2026-11-25", end="2026-11-30T00:00:00Z")
    assert [(row["date"], row["open"], row["close"]) for row in rows] == [
        ("2026-11-25", "09:30", "16:00"),
        ("2026-11-27", "09:30", "13:00"),
        ("2026-11-30", "09:30", "16:00"),
    ]
    assert (rows[0]["session_close"], rows[1]["session_close"]) == ("2000", "1700")
    assert rows[0]["settlement_date"] == "2026-11-27"
    assert Bench().get("/v2/calendar")[-1]["date"] == "2029-12-31"


# Orders


def test_an_order_by_all_its_names() -> None:
    bench = Bench()
    status, order = bench.post("/v2/orders", **order_body())
    assert (status, order["status"], order["filled_qty"], order["limit_price"]) == (
        200,
        "pending_new",
        "0",
        "1.1",
    )
    assert order["expires_at"] == "2026-11-23T21:00:00Z"
    assert order["position_intent"] == "buy_to_open"
    same = bench.get(f"/v2/orders/{order['id']}")
    assert same | {"status": "pending_new"} == order
    assert same["status"] == "new"
    assert bench.get("/v2/orders:by_client_order_id", client_order_id="mine") == same
    assert bench.get("/v2/orders") == [same]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_order(body: bytes) -> None:
    headers = {"apca-api-key-id": KEY, "apca-api-secret-key": SECRET}
    reply = Bench().api.handle(ApiRequest("POST", "/v2/orders", {}, headers, body))
    assert (reply.status, json.loads(reply.body)["code"]) == (400, 40010001)


def test_refusals_over_the_wire() -> None:
    status, refusal = Bench().post("/v2/orders", **order_body(qty=1_000, limit_price=1.5))
    assert status == 403
    assert refusal == {
        "code": 40310000,
        "message": "insufficient options buying power (required: 150000, available: 100000)",
        "options_buying_power": "100000",
        "cost_basis": "150000",
    }


def test_a_float_that_is_not_a_price() -> None:
    status, refusal = Bench().post("/v2/orders", **order_body(limit_price=0.1 + 0.2))
    assert (status, refusal["code"]) == (422, 42210000)
    assert refusal["message"].startswith("invalid limit_price 0.30000000000000004. sub-penny")


def test_orders_are_filtered_and_sorted() -> None:
    bench = Bench()
    ids = []
    for name in ("a", "b", "c"):
        symbol = SPY_CALL if name != "b" else AAPL_CALL
        ids.append(
            bench.post("/v2/orders", **order_body(client_order_id=name, symbol=symbol, limit_price=0.5))[1][
                "id"
            ]
        )
        bench.tick(60)
    bench.delete(f"/v2/orders/{ids[0]}")
    bench.tick()

    def found(**query: str) -> str:
        return "".join(order["client_order_id"] for order in bench.get("/v2/orders", **query))

    assert found() == "cb"
    assert found(status="closed") == "a"
    assert found(status="all") == "cba"
    assert found(status="all", direction="asc") == "abc"
    assert found(status="all", limit="2") == "cb"
    assert found(status="all", symbols=f"{AAPL_CALL},QQQ") == "b"
    assert found(status="all", side="sell") == ""
    assert found(status="all", after="2026-11-23T15:01:00Z") == "c"  # exclusive
    assert found(status="all", until="2026-11-23T10:01:00-05:00") == "a"
    assert found(nested="True") == "cb"
    for query in ({"limit": "501"}, {"status": "odd"}, {"after": "yesterday"}, {"direction": "up"}):
        assert bench.call("GET", "/v2/orders", None, query).status == 422


def test_cancels_over_the_wire() -> None:
    bench = Bench()
    _, order = bench.post("/v2/orders", **order_body(limit_price=0.5))
    assert bench.delete(f"/v2/orders/{order['id']}") == (204, None)
    assert bench.get(f"/v2/orders/{order['id']}")["status"] == "pending_cancel"
    bench.tick()
    assert bench.get(f"/v2/orders/{order['id']}")["status"] == "canceled"
    _, filled = bench.post("/v2/orders", **order_body(client_order_id="other"))
    bench.tick()
    status, refusal = bench.delete(f"/v2/orders/{filled['id']}")
    assert (status, refusal) == (422, {"code": 42210000, "message": 'order is already in "filled" state'})
    assert bench.delete("/v2/orders/123") == (422, {"code": 40010001, "message": "order_id is missing"})
    missing = "00000000-0000-4000-8000-000000000000"
    assert bench.delete(f"/v2/orders/{missing}")[0] == 404


def test_replacing_is_not_offered() -> None:
    bench = Bench()
    _, order = bench.post("/v2/orders", **order_body(limit_price=0.5))
    reply = bench.call("PATCH", f"/v2/orders/{order['id']}", {"limit_price": "0.6"}, {})
    assert reply.status == 422
    assert json.loads(reply.body) == {"code": 42210000, "message": "cannot replace order in new status"}


# Positions


def test_positions() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 3, Decimal("0.80"))
    bench.sell(SPY_CALL, 1, "2.00")
    shown = bench.get(f"/v2/positions/{SPY_CALL}")
    assert bench.get("/v2/positions") == [shown]
    names = ("qty", "qty_available", "side", "avg_entry_price", "current_price", "market_value")
    assert [shown[name] for name in names] == ["3", "2", "long", "0.8", "1.025", "307.5"]
    assert (shown["cost_basis"], shown["unrealized_pl"], shown["unrealized_plpc"]) == (
        "240",
        "67.5",
        "0.28125",
    )
    assert (shown["exchange"], shown["asset_class"]) == ("", "us_option")
    assert bench.call("GET", f"/v2/positions/{SPY_PUT}", None, {}).status == 404


def test_a_short_position_has_negative_numbers() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, -2, Decimal("1.00"))
    shown = bench.get(f"/v2/positions/{SPY_CALL}")
    names = ("qty", "qty_available", "side", "market_value", "cost_basis", "unrealized_pl")
    assert [shown[name] for name in names] == ["-2", "-2", "short", "-205", "-200", "-5"]


@pytest.mark.parametrize(
    ("query", "qty"),
    [({}, "4"), ({"qty": "1.0"}, "1"), ({"percentage": "50"}, "2"), ({"percentage": "74"}, "2")],
)
def test_closing_a_position(query: dict[str, str], qty: str) -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 4, Decimal(1))
    status, order = bench.delete(f"/v2/positions/{SPY_CALL}", **query)
    assert (status, order["qty"], order["type"], order["side"]) == (200, qty, "market", "sell")
    assert order["position_intent"] == "sell_to_close"


def test_what_cannot_be_closed() -> None:
    bench = Bench()
    assert bench.delete(f"/v2/positions/{SPY_CALL}")[1] == {
        "code": 40410000,
        "message": "position does not exist",
    }
    bench.exchange.hold(SPY_CALL, 2, Decimal(1))
    for query in ({"qty": "0"}, {"qty": "-1"}, {"qty": "0.5"}, {"percentage": "10"}, {"qty": "x"}):
        assert bench.delete(f"/v2/positions/{SPY_CALL}", **query)[0] == 422
    assert bench.delete(f"/v2/positions/{SPY_CALL}", qty="3")[0] == 403


def test_closing_everything() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.exchange.hold(AAPL_CALL, 1, Decimal(1))
    bench.sell(SPY_CALL, 1, "2.00")
    status, rows = bench.delete("/v2/positions")
    assert status == 207
    assert [(row["symbol"], row["status"]) for row in rows] == [(AAPL_CALL, 200), (SPY_CALL, 403)]
    assert rows[1]["body"]["held_for_orders"] == "1"


def test_do_not_exercise_over_the_wire() -> None:
    bench = Bench()
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    reply = bench.call("POST", f"/v2/positions/{SPY_CALL}/do-not-exercise", None, {})
    assert (reply.status, reply.body) == (200, b"")
    assert SPY_CALL in bench.exchange.account.declined


# Activities


def test_activities_page_by_page() -> None:
    bench = Bench()
    for qty in (1, 2, 3):
        bench.buy(SPY_CALL, qty)
        bench.tick()
    newest = bench.get("/v2/account/activities")
    assert [row["qty"] for row in newest] == ["3", "2", "1"]
    first = bench.get("/v2/account/activities/FILL", direction="asc", page_size="2")
    rest = bench.get(
        "/v2/account/activities/FILL", direction="asc", page_size="2", page_token=first[-1]["id"]
    )
    assert [row["qty"] for row in first + rest] == ["1", "2", "3"]
    last = bench.get("/v2/account/activities", direction="asc", page_token=rest[-1]["id"])
    assert last == []
    row = first[0]
    order = bench.exchange.orders(status="all", direction="asc")[0]
    assert row | {"id": ""} == {
        "id": "",
        "activity_type": "FILL",
        "symbol": SPY_CALL,
        "qty": "1",
        "price": "1.05",
        "transaction_time": "2026-11-23T15:00:01Z",
        "type": "fill",
        "side": "buy",
        "order_id": order.id,
        "cum_qty": "1",
        "leaves_qty": "0",
        "order_status": "filled",
    }
    assert row["id"].startswith("20261123150001000::")
    assert bench.call("GET", "/v2/account/activities", None, {"page_token": "x"}).status == 422


def test_activities_are_filtered() -> None:
    bench = Bench("15:59", Rules(liquidation="never", partial_fill_chance=0))
    bench.exchange.hold(SPY_PUT, 1, Decimal(1))
    bench.buy(SPY_LATER)
    bench.to("17:00")

    def kinds(path: str = "/v2/account/activities", **query: str) -> list[str]:
        return [row["activity_type"] for row in bench.get(path, **query)]

    assert kinds() == ["OPEXP", "FILL"]
    assert kinds("/v2/account/activities/OPEXP") == ["OPEXP"]
    assert kinds(activity_types="FILL,DIV") == ["FILL"]
    assert kinds(category="non_trade_activity") == ["OPEXP"]
    assert kinds(after="2026-11-23T21:00:00Z") == ["OPEXP"]
    assert kinds(until="2026-11-23T21:00:00Z") == ["FILL"]
    assert kinds(date="2026-11-23") == ["OPEXP", "FILL"]
    assert kinds(date="2026-11-24") == []


# Contracts and chains


def test_contracts_by_default_until_the_weekend() -> None:
    rows = Bench().get("/v2/options/contracts")["option_contracts"]
    assert {row["expiration_date"] for row in rows} == {DAY.isoformat()}
    assert {row["underlying_symbol"] for row in rows} == set(SPOTS)


def test_contracts_are_filtered_and_paged() -> None:
    bench = Bench()

    def symbols(**query: str) -> list[str]:
        found = bench.get("/v2/options/contracts", **query)
        return [row["symbol"] for row in found["option_contracts"]]

    today = symbols(underlying_symbols="SPY", expiration_date=DAY.isoformat())
    assert today == sorted(today)
    assert len(today) == 6
    calls = symbols(underlying_symbols="SPY", expiration_date=DAY.isoformat(), type="call")
    assert calls == [build("SPY", DAY, Right.CALL, Decimal(strike)) for strike in (660, 670, 680)]
    assert symbols(
        underlying_symbols="SPY",
        expiration_date_gte=LATER.isoformat(),
        strike_price_gte="670",
        strike_price_lte="670.5",
        type="put",
    ) == [build("SPY", LATER, Right.PUT, Decimal(670))]
    assert symbols(underlying_symbols="SPY", status="inactive") == []
    assert symbols(underlying_symbols="XYZ,SPY", ppind="false") == symbols(underlying_symbols="XYZ")
    assert symbols(underlying_symbols="NOPE") == []
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = bench.get("/v2/options/contracts", underlying_symbols="SPY", limit="4", **token)
        seen += [row["symbol"] for row in page["option_contracts"]]
        if page["next_page_token"] is None:
            break
        token = {"page_token": page["next_page_token"]}
    assert seen == today
    assert bench.get("/v2/options/contracts", underlying_symbols="SPY", limit="6")["next_page_token"] is None
    for bad in ({"limit": "10001"}, {"page_token": "%"}, {"page_token": "eHg="}, {"type": "both"}):
        assert bench.call("GET", "/v2/options/contracts", None, bad).status == 422


def test_chain_filters_and_paging() -> None:
    bench = Bench()
    everything = bench.get(CHAIN)["snapshots"]
    assert len(everything) == 12
    near = bench.get(
        CHAIN, expiration_date=DAY.isoformat(), strike_price_gte="665", strike_price_lte="675", type="put"
    )
    assert list(near["snapshots"]) == [SPY_PUT]
    assert near["next_page_token"] is None
    first = bench.get(CHAIN, limit="7")
    second = bench.get(CHAIN, limit="7", page_token=first["next_page_token"])
    assert first["snapshots"] | second["snapshots"] == everything
    assert len(second["snapshots"]) == 5
    assert second["next_page_token"] is None
    assert bench.get("/v1beta1/options/snapshots/NOPE")["snapshots"] == {}


def test_a_snapshot() -> None:
    bench = Bench()
    shown = bench.get("/v1beta1/options/snapshots", symbols=f"{SPY_CALL},NOPE")["snapshots"]
    assert list(shown) == [SPY_CALL]
    row = shown[SPY_CALL]
    assert (row["latestQuote"]["bp"], row["latestQuote"]["ap"], row["impliedVolatility"]) == (1.0, 1.05, 0.25)
    assert 0.4 < row["greeks"]["delta"] < 0.6
    assert row["greeks"]["rho"] > 0
    assert bench.get(CHAIN)["snapshots"][SPY_PUT]["greeks"]["rho"] < 0
    assert row["dailyBar"]["v"] == 120


def test_what_the_market_does_not_know_is_absent_from_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.market, "implied_volatility", lambda symbol, at: None)
    monkeypatch.setattr(bench.market, "option_volume", lambda symbol, at: 0)
    bench.market.quotes[SPY_CALL] = None
    assert bench.get("/v1beta1/options/snapshots", symbols=SPY_CALL)["snapshots"] == {SPY_CALL: {}}


def test_option_quotes() -> None:
    bench = Bench()
    bench.market.quotes[SPY_PUT] = None
    quotes = bench.get("/v1beta1/options/quotes/latest", symbols=f"{SPY_CALL},{SPY_PUT}")["quotes"]
    assert list(quotes) == [SPY_CALL]
    assert quotes[SPY_CALL]["t"] == "2026-11-23T15:00:00Z"
    many = ",".join(build("SPY", DAY, Right.CALL, Decimal(n)) for n in range(1, 102))
    for query in ({"symbols": many}, {}):
        reply = bench.call("GET", "/v1beta1/options/quotes/latest", None, query)
        assert reply.status == 400
        assert "code" not in json.loads(reply.body)


# Stocks


def minute_bars(bench: Bench, **query: str) -> dict[str, list[str]]:
    found = bench.get("/v2/stocks/bars", timeframe="1Min", **query)["bars"]
    return {symbol: [bar["t"][11:16] for bar in bars] for symbol, bars in found.items()}


def test_only_bars_that_have_ended_are_served() -> None:
    bench = Bench("09:33:30")
    assert minute_bars(bench, symbols="SPY,NOPE") == {"SPY": ["14:30", "14:31", "14:32"]}
    assert minute_bars(Bench("09:30:59"), symbols="SPY") == {}


def test_bars_between_two_moments_both_included() -> None:
    bench = Bench("12:00")
    window = {"start": "2026-11-23T15:00:00Z", "end": "2026-11-23T10:02:00-05:00"}
    assert minute_bars(bench, symbols="SPY", **window) == {"SPY": ["15:00", "15:01", "15:02"]}
    assert minute_bars(bench, symbols="SPY", sort="desc", **window) == {"SPY": ["15:02", "15:01", "15:00"]}


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("limit", ["1", "2", "3", "4", "1000"])
def test_pages_of_bars_lose_and_repeat_nothing(sort: str, limit: str) -> None:
    bench = Bench("09:33", Rules(rate_limit_per_minute=None))
    whole = minute_bars(bench, symbols="SPY,AAPL,QQQ", sort=sort)
    assert sum(map(len, whole.values())) == 9
    seen: dict[str, list[str]] = {}
    token: dict[str, str] = {}
    while True:
        query = {"symbols": "QQQ,SPY,AAPL", "timeframe": "1Min", "limit": limit, "sort": sort, **token}
        page = bench.get("/v2/stocks/bars", **query)
        assert sum(map(len, page["bars"].values())) <= int(limit)
        for symbol, bars in page["bars"].items():
            seen.setdefault(symbol, []).extend(bar["t"][11:16] for bar in bars)
        if page["next_page_token"] is None:
            break
        token = {"page_token": page["next_page_token"]}
    assert seen == whole


def test_daily_bars() -> None:
    bench = Bench("15:59")

    def days(start: str = "2026-11-18") -> list[str]:
        found = bench.get("/v2/stocks/bars", symbols="SPY", timeframe="1Day", start=start)
        return [bar["t"] for bar in found["bars"].get("SPY", [])]

    before = ["2026-11-18T05:00:00Z", "2026-11-19T05:00:00Z", "2026-11-20T05:00:00Z"]
    assert days() == before
    bench.to("16:00")
    assert days() == [*before, "2026-11-23T05:00:00Z"]


@pytest.mark.parametrize(
    "query",
    [
        {"timeframe": "1Min"},
        {"symbols": "SPY", "timeframe": "7Min"},
        {"symbols": "SPY", "timeframe": "1Min", "limit": "10001"},
        {"symbols": "SPY", "timeframe": "1Min", "start": "soon"},
        {"symbols": "SPY", "timeframe": "1Min", "page_token": "?"},
    ],
)
def test_bad_bar_requests(query: dict[str, str]) -> None:
    assert Bench().call("GET", "/v2/stocks/bars", None, query).status == 400


def test_a_stock_snapshot_grows_through_the_day() -> None:
    bench = Bench("09:30:30")
    early = bench.get("/v2/stocks/snapshots", symbols="SPY")["SPY"]
    assert set(early) == {"latestTrade", "latestQuote", "prevDailyBar"}
    bench.to("09:32")
    later = bench.get("/v2/stocks/snapshots", symbols="SPY")["SPY"]
    assert (later["dailyBar"]["v"], later["minuteBar"]["t"]) == (2400, "2026-11-23T14:31:00Z")
    assert later["dailyBar"]["t"] == "2026-11-23T05:00:00Z"
    assert later["prevDailyBar"]["t"] == "2026-11-20T05:00:00Z"
    assert later["latestTrade"]["p"] == 670.0


def test_requests_bring_the_exchange_up_to_now() -> None:
    """Whoever asks sees what has happened, even if nobody called ``advance``."""
    asks: list[Callable[[Bench], object]] = [
        lambda bench: bench.get("/v2/positions"),
        lambda bench: bench.exchange.positions(),
        lambda bench: bench.exchange.orders(),
        lambda bench: bench.exchange.figures(),
        lambda bench: bench.exchange.activities(),
    ]
    for ask in asks:
        bench = Bench()
        order = bench.buy(SPY_CALL)
        bench.clock.advance_to(2)
        ask(bench)
        assert bench.updates[-1].event == "fill"
        assert bench.updates[-1].at == order.submitted_at + timedelta(seconds=1)
