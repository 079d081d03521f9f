"""The broker port on the real alpaca-py clients, against loopback servers that misbehave."""

import json
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.loopback import (
    Answer,
    Loopback,
    closed_port,
    cut_short,
    hang,
    hang_up,
    raw,
    reply,
    reset,
    trickle_body,
    trickle_header,
)
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.orders import OrderStatus, OrderType, PositionIntent, Side
from wsb_snake.core.transport import Policy, Transport
from wsb_snake.core.types import Right
from wsb_snake.trading import alpaca_broker
from wsb_snake.trading.alpaca_broker import AlpacaBroker
from wsb_snake.trading.broker import (
    Broker,
    BrokerError,
    Fatal,
    NotFound,
    OrderTicket,
    Rejected,
    Throttled,
    Unavailable,
    Unknown,
)

SYMBOL = "SPY261124C00672000"
KEY, SECRET = "key-never-shown", "secret-never-shown"
SELL = OrderTicket(
    "wsb-20261124-s-aaaaaaaaaaaa-x-1",
    SYMBOL,
    Side.SELL,
    PositionIntent.SELL_TO_CLOSE,
    OrderType.LIMIT,
    2,
    Decimal("0.1") + Decimal("0.2"),
)
BUY = OrderTicket("b-1", SYMBOL, Side.BUY, PositionIntent.BUY_TO_OPEN, OrderType.MARKET, 1, None)

ORDER: dict[str, Any] = {
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    "client_order_id": SELL.client_order_id,
    "created_at": "2026-11-24T14:31:00.123456789Z",
    "updated_at": "2026-11-24T09:31:01-05:00",
    "symbol": SYMBOL,
    "asset_class": "us_option",
    "qty": "2",
    "filled_qty": "1",
    "filled_avg_price": "1.155",
    "type": "limit",
    "side": "sell",
    "position_intent": "sell_to_close",
    "limit_price": "1.15",
    "status": "partially_filled",
    "legs": None,
}
POSITION: dict[str, Any] = {
    "symbol": SYMBOL,
    "asset_class": "us_option",
    "qty": "3",
    "qty_available": "1",
    "side": "long",
    "avg_entry_price": "1.2",
    "current_price": "1.3",
}
ACCOUNT: dict[str, Any] = {
    "account_number": "PA1",
    "status": "ACTIVE",
    "equity": "100000.5",
    "last_equity": "100000",
    "cash": "99000",
    "options_buying_power": "99000",
    "options_trading_level": 3,
    "trading_blocked": False,
    "account_blocked": False,
    "trade_suspended_by_user": False,
}


PATIENT, QUICK = Policy(), Policy(connect_s=0.3, read_s=0.2, total_s=0.4)


def broker_at(url: str, policy: Policy = PATIENT) -> AlpacaBroker:
    lanes = ThreadLanes(SystemClock())
    return AlpacaBroker(KEY, SECRET, url, lanes, Transport(lanes, policy))


def read(broker: Broker) -> object:
    return broker.positions()


def write(broker: Broker) -> object:
    return broker.submit(SELL)


def test_an_order_goes_out_exactly_as_decided() -> None:
    with Loopback([reply(ORDER)]) as server:
        order = broker_at(server.url).submit(SELL)
        request = server.seen[0]
    assert (request.method, request.target) == ("POST", "/v2/orders")
    assert request.body == json.dumps(request.json()).encode()
    assert b'"limit_price": 0.3' in request.body
    assert b'"qty": 2' in request.body
    assert request.json() == {
        "client_order_id": SELL.client_order_id,
        "symbol": SYMBOL,
        "side": "sell",
        "position_intent": "sell_to_close",
        "type": "limit",
        "time_in_force": "day",
        "qty": 2,
        "limit_price": 0.3,
    }
    assert (request.headers["apca-api-key-id"], request.headers["apca-api-secret-key"]) == (KEY, SECRET)
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert order.filled_qty == 1
    assert order.filled_avg_price == Decimal("1.155")
    assert order.created_at == datetime(2026, 11, 24, 14, 31, 0, 123456, UTC)
    assert order.updated_at == datetime(2026, 11, 24, 14, 31, 1, tzinfo=UTC)


def test_a_market_order_has_no_price_and_binary_noise_never_reaches_the_wire() -> None:
    noisy = OrderTicket(
        "c", SYMBOL, Side.SELL, PositionIntent.SELL_TO_CLOSE, OrderType.LIMIT, 1, Decimal(0.1 + 0.2)
    )
    with Loopback(
        [reply({**ORDER, "client_order_id": "b-1"}), reply({**ORDER, "client_order_id": "c"})]
    ) as server:
        broker_at(server.url).submit(BUY)
        broker_at(server.url).submit(noisy)
    assert "limit_price" not in server.seen[0].json()
    assert b'"limit_price": 0.3}' in server.seen[1].body


@pytest.mark.parametrize(
    ("status", "body", "on_read", "on_write"),
    [
        (401, {"message": "unauthorized."}, Fatal, Fatal),
        (403, {"message": "forbidden."}, Fatal, Fatal),
        (403, {"code": 40310000, "message": "insufficient options buying power"}, Rejected, Rejected),
        (
            403,
            {
                "code": 40310000,
                "message": "insufficient qty available for order (requested: 2, available: 0)",
            },
            Rejected,
            Rejected,
        ),
        (404, {"code": 40410000, "message": "order not found for x"}, NotFound, NotFound),
        (404, {"message": "no Route matched with those values"}, Unavailable, Unknown),
        (422, {"code": 42210000, "message": 'order is already in "filled" state'}, Rejected, Rejected),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, Rejected, Unknown),
        (408, {"message": "timeout"}, Unavailable, Unknown),
        (429, {"code": 42910000, "message": "rate limit exceeded"}, Throttled, Throttled),
        (500, {"code": 50010000, "message": "internal server error"}, Unavailable, Unknown),
        (504, {}, Unavailable, Unknown),
    ],
)
def test_every_refusal_says_what_to_do_next(
    status: int, body: dict[str, Any], on_read: type[BrokerError], on_write: type[BrokerError]
) -> None:
    for call, expected in ((read, on_read), (write, on_write)):
        with Loopback([reply(body, status)]) as server:
            with pytest.raises(BrokerError) as caught:
                call(broker_at(server.url))
            assert type(caught.value) is expected
            assert len(server.seen) == 1  # no retry of any kind
            if isinstance(caught.value, Rejected):
                assert (caught.value.reason, caught.value.status) == (body["message"], status)


@pytest.mark.parametrize(
    "fault",
    [
        hang,
        reset,
        hang_up,
        cut_short,
        trickle_header(0.05),
        trickle_body(0.05),
        raw(b"<html>Bad Gateway</html>", 502),
        raw(b"<html>Not Found</html>", 404),
        raw(b"<html>blocked</html>", 403),
        raw(b"<html>Welcome</html>", 200),
        raw(b"", 504),
        raw(b"", 200),
        raw(b"{", 200, "application/json"),
        reply({}),
        reply([None]),
    ],
)
def test_an_ambiguous_end_is_unavailable_for_a_read_and_unknown_for_a_write(fault: Answer) -> None:
    for call, expected in ((read, Unavailable), (write, Unknown)):
        with Loopback([fault]) as server:
            begun = time.monotonic()
            with pytest.raises(BrokerError) as caught:
                call(broker_at(server.url, QUICK))
            assert time.monotonic() - begun < 5
            assert type(caught.value) is expected
            assert len(server.seen) == 1
            assert SECRET not in str(caught.value)
            assert KEY not in str(caught.value)


def test_a_write_that_never_left_did_not_happen() -> None:
    with pytest.raises(Unavailable):
        write(broker_at(f"http://127.0.0.1:{closed_port()}"))


def test_an_answer_about_another_order_is_not_taken_for_ours() -> None:
    with Loopback([reply({**ORDER, "client_order_id": "other"})]) as server:
        with pytest.raises(Unknown):
            broker_at(server.url).submit(SELL)
        with pytest.raises(Unavailable):
            broker_at(server.url).order_by_client_id(SELL.client_order_id)


def test_a_connection_that_failed_is_not_used_again() -> None:
    with Loopback([reply([]), hang_up, reply([])]) as server:
        broker = broker_at(server.url)
        assert broker.positions() == ()
        with pytest.raises(Unavailable):
            broker.positions()
        assert broker.positions() == ()
        assert [request.connection for request in server.seen] == [1, 1, 2]


def test_words_that_alpaca_adds_later_break_no_list() -> None:
    strange = {
        "status": "quantum",
        "asset_class": "us_option_v2",
        "type": "iceberg",
        "position_intent": "hold",
    }
    with Loopback(
        [reply([ORDER, {**ORDER, **strange}]), reply([{**POSITION, "asset_class": "?"}])]
    ) as server:
        broker = broker_at(server.url)
        plain, odd = broker.open_orders()
        (position,) = broker.positions()
        assert server.seen[0].query == {"status": "open", "limit": "500"}
    assert plain.intent is PositionIntent.SELL_TO_CLOSE
    assert (odd.status, odd.type, odd.intent, odd.is_option) == (
        OrderStatus.UNRECOGNISED,
        "iceberg",
        None,
        True,
    )
    assert position.is_option


def test_a_position_that_cannot_be_read_is_not_a_flat_account() -> None:
    for broken in ({**POSITION, "qty": None}, {**POSITION, "symbol": ""}, {**POSITION, "qty": "NaN"}):
        with Loopback([reply([POSITION, broken])]) as server, pytest.raises(Unavailable):
            broker_at(server.url).positions()


def test_short_positions_are_negative_and_shares_are_no_options() -> None:
    short = {**POSITION, "qty": "-2", "qty_available": "-2", "side": "short", "current_price": None}
    unsigned = {**short, "qty": "2", "qty_available": "2"}
    shares = {**POSITION, "symbol": "SPY", "asset_class": "us_equity", "qty": "0.5", "qty_available": None}
    with Loopback([reply([short, unsigned, shares])]) as server:
        one, two, three = broker_at(server.url).positions()
    assert one == two
    assert (one.qty, one.qty_available, one.current_price) == (Decimal(-2), Decimal(-2), None)
    assert (three.is_option, three.qty, three.qty_available) == (False, Decimal("0.5"), Decimal("0.5"))


def test_a_multi_leg_order_shows_every_leg_under_the_id_that_cancels_it() -> None:
    leg = {**ORDER, "id": "leg", "client_order_id": "leg", "position_intent": "buy_to_open", "side": "buy"}
    parent = {**ORDER, "id": "parent", "symbol": "", "side": "", "legs": [leg, {**leg, "side": ""}]}
    with Loopback([reply([parent])]) as server:
        legs = broker_at(server.url).open_orders()
    assert [(order.id, order.symbol, order.side) for order in legs] == [("parent", SYMBOL, Side.BUY)] * 2


def test_account_clock_and_calendar() -> None:
    with Loopback(
        [
            reply(ACCOUNT),
            reply({**ACCOUNT, "trading_blocked": True, "options_buying_power": None}),
            reply({**ACCOUNT, "options_trading_level": None}),
            reply({**ACCOUNT, "options_trading_level": "two"}),
            reply({**ACCOUNT, "options_trading_level": 0}),
            reply({"timestamp": "2026-11-27T12:59:00.5-05:00", "is_open": True}),
            reply([{"date": "2026-11-27", "open": "09:30", "close": "13:00"}]),
        ]
    ) as server:
        broker = broker_at(server.url)
        account, blocked = broker.account(), broker.account()
        levels = [broker.account().options_level for _ in range(3)]
        clock = broker.clock()
        (session,) = broker.calendar(date(2026, 11, 26), date(2026, 11, 27))
        assert server.seen[6].query == {"start": "2026-11-26", "end": "2026-11-27"}
    assert (account.equity, account.options_level, account.blocked) == (Decimal("100000.5"), 3, False)
    assert levels == [None, None, 0]
    assert (blocked.blocked, blocked.options_buying_power) == (True, Decimal(0))
    assert clock.at == datetime(2026, 11, 27, 17, 59, 0, 500000, UTC)
    assert session.close == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def test_cancel_and_do_not_exercise_take_an_empty_answer() -> None:
    with Loopback([raw(b"", 204), raw(b"", 200)]) as server:
        broker = broker_at(server.url)
        broker.cancel("not-a-uuid/../x")
        broker.do_not_exercise(SYMBOL)
        assert [(request.method, request.target) for request in server.seen] == [
            ("DELETE", "/v2/orders/not-a-uuid%2F..%2Fx"),
            ("POST", f"/v2/positions/{SYMBOL}/do-not-exercise"),
        ]


def test_orders_since_asks_for_all_of_them() -> None:
    with Loopback([reply([ORDER])]) as server:
        broker_at(server.url).orders_since(datetime(2026, 11, 24, 14, 30, tzinfo=UTC))
        query = server.seen[0].query
    assert (query["status"], query["limit"], query["direction"]) == ("all", "500", "desc")
    assert datetime.fromisoformat(query["after"]) == datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


def test_activities_are_paged_and_come_oldest_first() -> None:
    fills = [
        {
            "id": f"{n:04d}::x",
            "activity_type": "FILL",
            "transaction_time": f"2026-11-24T15:{n // 60:02d}:{n % 60:02d}Z",
            "price": "1.1",
            "qty": "1",
            "side": "sell_short",
            "symbol": SYMBOL,
            "order_id": "o",
        }
        for n in range(100)
    ]
    expiry = {
        "id": "2::y",
        "activity_type": "OPEXP",
        "date": "2026-11-23",
        "qty": "-3",
        "symbol": SYMBOL,
        "status": "executed",
    }
    with Loopback([reply(fills), reply([expiry])]) as server:
        found = broker_at(server.url).activities(datetime(2026, 11, 23, tzinfo=UTC))
        assert [request.query.get("page_token") for request in server.seen] == [None, "0099::x"]
    assert len(found) == 101
    assert (found[0].type, found[0].qty, found[0].side, found[0].order_id) == (
        "OPEXP",
        Decimal(3),
        None,
        None,
    )
    assert found[0].at == datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
    assert (found[1].side, found[1].price) == (Side.SELL, Decimal("1.1"))


def test_a_server_that_repeats_its_page_does_not_keep_us_for_ever() -> None:
    page = [{"id": str(n), "activity_type": "FEE", "date": "2026-11-23"} for n in range(100)]
    with Loopback([reply(page)]) as server:
        assert len(broker_at(server.url).activities(datetime(2026, 11, 23, tzinfo=UTC))) == 100
        assert len(server.seen) == 2


def test_contracts_are_paged_and_only_standard_tradable_ones_count() -> None:
    contract = {
        "symbol": SYMBOL,
        "underlying_symbol": "SPY",
        "root_symbol": "SPY",
        "expiration_date": "2026-11-24",
        "type": "call",
        "strike_price": "672",
        "size": "100",
        "tradable": True,
    }
    others = [
        {**contract, "tradable": False},
        {**contract, "root_symbol": "SPY1"},
        {**contract, "size": "10"},
    ]
    put = {**contract, "symbol": "SPY261124P00671500", "type": "put", "strike_price": "671.5"}
    with Loopback(
        [
            reply({"option_contracts": [contract, *others], "next_page_token": "two"}),
            reply({"option_contracts": [put], "next_page_token": None}),
        ]
    ) as server:
        call_, put_ = broker_at(server.url).contracts_expiring(("SPY", "QQQ"), date(2026, 11, 24))
        first, second = server.seen
    assert first.query["underlying_symbols"] == "SPY,QQQ"
    assert (first.query["expiration_date"], first.query["limit"]) == ("2026-11-24", "10000")
    assert second.query["page_token"] == "two"
    assert (call_.symbol, call_.strike, call_.right) == (SYMBOL, Decimal(672), Right.CALL)
    assert (put_.strike, put_.right) == (Decimal("671.5"), Right.PUT)


def test_polling_and_entries_leave_the_reserved_share_to_exits() -> None:
    with Loopback([reply([])]) as server:
        broker = broker_at(server.url)
        for _ in range(alpaca_broker.REQUESTS_A_MINUTE - alpaca_broker.RESERVED_FOR_EXITS):
            broker.positions()
        asked = len(server.seen)
        for refused in (broker.positions, lambda: broker.submit(BUY)):
            with pytest.raises(Throttled):
                refused()
        assert len(server.seen) == asked
        server.answers[:] = [reply(ORDER)]
        broker.submit(SELL)
        broker.cancel("x")
        broker.order_by_client_id(SELL.client_order_id)


def test_lanes_share_a_broker_without_sharing_a_connection() -> None:
    together = threading.Barrier(4)

    def slow(request: object, connection: Any, closing: threading.Event) -> None:
        together.wait(10)
        reply([])(request, connection, closing)  # type: ignore[arg-type]

    with Loopback([slow]) as server:
        broker = broker_at(server.url)
        lanes = [threading.Thread(target=broker.positions, name="same name") for _ in range(4)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join(15)
        assert {request.connection for request in server.seen} == {1, 2, 3, 4}
