"""Every answer of the exchange against Alpaca's published OpenAPI files."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.sim.bench import AAPL_CALL, SPY_CALL, SPY_LATER, SPY_PUT, XYZ_CALL, Bench
from wsb_snake.core.types import Headline
from wsb_snake.sim.alpaca_json import trade_update_json
from wsb_snake.sim.rules import Rules

EXTRAS = {
    "Account": {"position_market_value"},  # this and the next: in the file's examples only
    "Order": {"source", "subtag"},
    "OptionContract": {"ppind"},  # the support page has it in the answer, the file only in the query
    "NonTradeActivities": {"price"},  # the strike of an OPTRD
}


def formats() -> FormatChecker:
    """Checks of the formats that the files use; a value of another type is the type check's business.

    A date passes for a date-time: the files' own examples have one for the other.
    """
    readers: dict[str, Callable[[str], object]] = {
        "uuid": UUID,
        "date": date.fromisoformat,
        "date-time": datetime.fromisoformat,
        "decimal": Decimal,
    }

    def check(read: Callable[[str], object]) -> Callable[[object], bool]:
        return lambda value: not isinstance(value, str) or read(value) is not None

    checker = FormatChecker(formats=())
    for name, read in readers.items():
        checker.checks(name, (ValueError, ArithmeticError))(check(read))
    return checker


def adapted(schema: Any) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema, stricter: nothing that is not described may be there.

    ``oneOf`` becomes ``anyOf``: the alternatives for activities require nothing and so overlap.
    """
    if isinstance(schema, list):
        return [adapted(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        "anyOf" if key == "oneOf" else key: adapted(value)
        for key, value in schema.items()
        if key not in ("nullable", "example", "examples", "x-examples", "default")
    }
    if isinstance(result.get("properties"), dict) and "additionalProperties" not in result:
        result["additionalProperties"] = False
    if schema.get("nullable") is True:
        return {"anyOf": [result, {"type": "null"}]}
    return result


class Spec:
    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        self.paths = document["paths"]
        schemas = adapted(document["components"]["schemas"])
        for name, extras in EXTRAS.items():
            if name in schemas:
                schemas[name]["properties"] |= {extra: {} for extra in extras}
        self.components = {"schemas": schemas}

    def validator(self, schema: Any) -> Draft202012Validator:
        return Draft202012Validator(
            adapted(schema) | {"components": self.components}, format_checker=formats()
        )

    def response(self, method: str, path: str, status: int) -> Any:
        """The schema of the answer to a request, or None when it has no body."""
        for pattern, operations in self.paths.items():
            expression = re.sub(r"\{\w+\}", r"[^/]+", pattern)
            if re.fullmatch(expression, path) and method.lower() in operations:
                response = operations[method.lower()]["responses"][str(status)]
                return response.get("content", {}).get("application/json", {}).get("schema")
        raise AssertionError(f"the specification has no {method} {path}")


@pytest.fixture(scope="session")
def trading(shared_dir: Path) -> Spec:
    return Spec(shared_dir / "specs" / "trading-api.json")


@pytest.fixture(scope="session")
def market_data(shared_dir: Path) -> Spec:
    return Spec(shared_dir / "specs" / "market-data-api.json")


@pytest.fixture(scope="module")
def busy() -> Bench:
    """An account in which everything has happened: fills, parts, ends, expiry, exercise."""
    bench = Bench(
        "15:00", Rules(partial_fill_chance=0.5, fill_beats_cancel_chance=0, rate_limit_per_minute=None)
    )
    bench.buy(SPY_CALL, 1, "1.10")
    bench.buy(SPY_LATER, 6, "1.10")
    bench.buy(XYZ_CALL, 1, "0.99")  # off the tick
    bench.exchange.hold("SPY", 5, Decimal(660))
    bench.exchange.hold(AAPL_CALL, -1, Decimal(1))
    bench.exchange.hold(SPY_PUT, 3, Decimal("1.011"))
    bench.tick(5)
    bench.sell(SPY_LATER, 2, "2.00")
    bench.exchange.cancel(bench.sell(SPY_PUT, 1, "3.00").id)
    bench.buy("AAPL", 1, "200.00")
    bench.tick(5)
    return bench


@pytest.fixture(scope="module")
def settled() -> Bench:
    bench = Bench("15:59:50", Rules(liquidation="never"))
    bench.market.settlements["SPY"] = 680.0
    bench.exchange.hold(SPY_CALL, 1, Decimal(1))
    bench.exchange.hold(SPY_PUT, 1, Decimal(1))
    bench.buy("SPY", 1)
    bench.to("17:00")
    return bench


def assert_valid(spec: Spec, bench: Bench, method: str, path: str, body: Any = None, **query: str) -> Any:
    reply = bench.call(method, path, body, query)
    schema = spec.response(method, path, reply.status)
    if schema is None:
        assert reply.body == b""
        return None
    answer = json.loads(reply.body)
    errors = sorted(spec.validator(schema).iter_errors(answer), key=str)
    assert not errors, errors[0]
    return answer


@pytest.mark.parametrize(
    ("path", "query", "several"),
    [
        ("/v2/account", {}, False),
        ("/v2/clock", {}, False),
        ("/v2/calendar", {"start": "2026-11-01", "end": "2026-12-31"}, True),
        ("/v2/positions", {}, True),
        (f"/v2/positions/{SPY_LATER}", {}, False),
        ("/v2/positions/SPY", {}, False),
        ("/v2/orders", {"status": "all"}, True),
        ("/v2/account/activities", {}, True),
        ("/v2/account/activities/FILL", {}, True),
        ("/v2/options/contracts", {"underlying_symbols": "SPY,XYZ"}, True),
    ],
)
def test_trading_reads(trading: Spec, busy: Bench, path: str, query: dict[str, str], several: bool) -> None:
    answer = assert_valid(trading, busy, "GET", path, **query)
    rows = answer.get("option_contracts", answer) if isinstance(answer, dict) else answer
    assert not several or len(rows) > 1


def test_each_status_is_among_the_orders(trading: Spec, busy: Bench) -> None:
    orders = assert_valid(trading, busy, "GET", "/v2/orders", status="all")
    assert {order["status"] for order in orders} >= {"filled", "rejected", "canceled", "new"}
    for order in orders:
        assert_valid(trading, busy, "GET", f"/v2/orders/{order['id']}")
    assert_valid(
        trading,
        busy,
        "GET",
        "/v2/orders:by_client_order_id",
        client_order_id=orders[0]["client_order_id"],
    )


def test_activities_after_expiry(trading: Spec, settled: Bench) -> None:
    answer = assert_valid(trading, settled, "GET", "/v2/account/activities", direction="asc")
    assert [row["activity_type"] for row in answer] == ["FILL", "OPEXC", "OPTRD", "OPEXP"]
    assert answer[2] | {"id": "", "created_at": ""} == {
        "id": "",
        "activity_type": "OPTRD",
        "symbol": "SPY",
        "qty": "100",
        "price": "670",
        "net_amount": "-67000",
        "date": "2026-11-23",
        "created_at": "",
        "status": "executed",
    }


def test_trading_writes(trading: Spec) -> None:
    bench = Bench()
    body = {"symbol": SPY_CALL, "qty": 3.0, "side": "buy", "type": "market", "time_in_force": "day"}
    order = assert_valid(trading, bench, "POST", "/v2/orders", body)
    bench.tick()
    assert_valid(trading, bench, "DELETE", f"/v2/positions/{SPY_CALL}", qty="1")
    body |= {"symbol": SPY_LATER, "type": "limit", "limit_price": "0.50"}
    resting = assert_valid(trading, bench, "POST", "/v2/orders", body)
    assert_valid(trading, bench, "DELETE", f"/v2/orders/{resting['id']}")
    bench.tick()
    assert_valid(trading, bench, "POST", "/v2/orders", body)
    assert len(assert_valid(trading, bench, "DELETE", "/v2/orders")) == 1
    bench.tick()
    assert len(assert_valid(trading, bench, "DELETE", "/v2/positions", cancel_orders="True")) == 1
    assert bench.call("DELETE", f"/v2/orders/{order['id']}", None, {}).status == 422
    assert_valid(trading, bench, "POST", f"/v2/positions/{SPY_CALL}/do-not-exercise")


def test_a_refusal_is_an_error_of_the_specification(trading: Spec) -> None:
    body = {"symbol": SPY_CALL, "qty": "1", "side": "sell", "type": "market", "time_in_force": "day"}
    reply = Bench().call("POST", "/v2/orders", body, {})
    assert reply.status == 403
    trading.validator({"$ref": "#/components/schemas/Error"}).validate(json.loads(reply.body))


def test_orders_in_trade_updates(trading: Spec, busy: Bench) -> None:
    validator = trading.validator({"$ref": "#/components/schemas/Order"})
    for update in busy.updates:
        frame = trade_update_json(update)
        validator.validate(frame["order"])
        assert ("price" in frame) == (update.event in ("fill", "partial_fill"))
    assert {"new", "fill", "partial_fill", "canceled", "rejected"} <= set(busy.events())


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("/v1beta1/options/quotes/latest", {"symbols": f"{SPY_CALL},{SPY_PUT}"}, "quotes"),
        ("/v1beta1/options/snapshots", {"symbols": SPY_CALL}, "snapshots"),
        ("/v1beta1/options/snapshots/SPY", {"limit": "5"}, "snapshots"),
        ("/v1beta1/news", {"symbols": "AAPL,SPY", "limit": "1"}, "news"),
        ("/v1beta1/news", {"sort": "asc", "include_content": "True"}, "news"),
        ("/v2/stocks/bars", {"symbols": "SPY,AAPL", "timeframe": "1Min"}, "bars"),
        ("/v2/stocks/bars", {"symbols": "SPY", "timeframe": "1Day", "start": "2026-11-02"}, "bars"),
        ("/v2/stocks/quotes/latest", {"symbols": "SPY,QQQ"}, "quotes"),
        ("/v2/stocks/trades/latest", {"symbols": "SPY,QQQ"}, "trades"),
        ("/v2/stocks/snapshots", {"symbols": "SPY"}, "SPY"),
    ],
)
def test_market_data(market_data: Spec, busy: Bench, path: str, query: dict[str, str], shown: str) -> None:
    times = [busy.at(wall) for wall in ("10:01", "10:02")]
    busy.market.papers = tuple(Headline(at, f"SPY at {at}", "benzinga", ("SPY", "QQQ")) for at in times)
    assert assert_valid(market_data, busy, "GET", path, **query)[shown]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda order: order | {"status": "done"},
        lambda order: order | {"qty": 1},
        lambda order: order | {"id": "1"},
        lambda order: order | {"oops": None},
        lambda order: {key: value for key, value in order.items() if key != "type"},
    ],
)
def test_the_validation_would_notice(
    trading: Spec, busy: Bench, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    order = busy.get("/v2/orders", status="all")[0]
    validator = trading.validator({"$ref": "#/components/schemas/Order"})
    assert validator.is_valid(order)
    assert not validator.is_valid(spoil(order))
