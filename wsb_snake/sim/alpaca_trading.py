"""The routes of Alpaca's trading API: account, calendar, positions, orders, activities, contracts."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.types import Right
from wsb_snake.sim import alpaca_query as read
from wsb_snake.sim.account import Activity
from wsb_snake.sim.alpaca_json import (
    account_json,
    activity_json,
    clock_json,
    contract_json,
    encode,
    order_json,
    position_json,
    session_json,
)
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.order_entry import MALFORMED, UNPROCESSABLE, Refusal, parse_order
from wsb_snake.sim.orders import SimOrder
from wsb_snake.sim.sessions import FIRST_YEAR, session_after, session_before

Route = Callable[[ApiRequest, str], ApiReply]

_LAST_DAY = date(2029, 12, 31)  # the calendar that Alpaca serves ends here
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SATURDAY = 5
_MAX_ORDERS = 500
_MAX_ACTIVITIES = 100
_MAX_CONTRACTS = 10_000


class TradingRoutes:
    """Handlers by (method, path); ``*`` in a path stands for the handler's second argument."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._next_session = session_after(exchange.market.day)
        self._last_session = session_before(exchange.market.day).day
        self._contract_texts: dict[str, str] = {}
        self.routes: dict[tuple[str, str], Route] = {
            ("GET", "/v2/account"): self._account,
            ("GET", "/v2/clock"): self._clock,
            ("GET", "/v2/calendar"): self._calendar,
            ("GET", "/v2/positions"): self._positions,
            ("GET", "/v2/positions/*"): self._position,
            ("DELETE", "/v2/positions"): self._close_all,
            ("DELETE", "/v2/positions/*"): self._close,
            ("POST", "/v2/positions/*/do-not-exercise"): self._do_not_exercise,
            ("GET", "/v2/orders"): self._orders,
            ("POST", "/v2/orders"): self._place,
            ("DELETE", "/v2/orders"): self._cancel_all,
            ("GET", "/v2/orders/*"): self._order,
            ("PATCH", "/v2/orders/*"): self._replace,
            ("DELETE", "/v2/orders/*"): self._cancel,
            ("GET", "/v2/orders:by_client_order_id"): self._order_by_client_id,
            ("GET", "/v2/account/activities"): self._activities,
            ("GET", "/v2/account/activities/*"): self._activities,
            ("GET", "/v2/options/contracts"): self._option_contracts,
        }

    def _account(self, request: ApiRequest, _: str) -> ApiReply:
        exchange = self._exchange
        return _ok(
            account_json(
                exchange.account_id,
                exchange.account_number,
                exchange.figures(),
                exchange.rules.options_level,
                self._last_session,
            )
        )

    def _clock(self, request: ApiRequest, _: str) -> ApiReply:
        now, today, following = self._exchange.clock.now(), self._exchange.market.session, self._next_session
        next_open = today.open if now < today.open else following.open
        next_close = today.close if now < today.close else following.close
        return _ok(clock_json(now, self._exchange.in_session(now), next_open, next_close))

    def _calendar(self, request: ApiRequest, _: str) -> ApiReply:
        first = read.day(request.query, "start") or date(FIRST_YEAR, 1, 1)
        last = read.day(request.query, "end") or _LAST_DAY
        rows = self._exchange.sessions(max(first, date(FIRST_YEAR, 1, 1)), min(last, _LAST_DAY))
        return _ok([session_json(row) for row in rows])

    def _positions(self, request: ApiRequest, _: str) -> ApiReply:
        return _ok([position_json(position) for position in self._exchange.positions()])

    def _position(self, request: ApiRequest, name: str) -> ApiReply:
        return _ok(position_json(self._exchange.position(name)))

    def _close(self, request: ApiRequest, name: str) -> ApiReply:
        qty = read.number(request.query, "qty")
        percentage = read.number(request.query, "percentage")
        if percentage is not None:
            held = abs(self._exchange.position(name).holding.qty)
            qty = (held * percentage / 100).to_integral_value(ROUND_DOWN)
        if qty is not None and (qty <= 0 or qty != qty.to_integral_value()):
            raise Refusal(422, UNPROCESSABLE, "qty must be integer for options trading")
        return _ok(order_json(self._exchange.close_position(name, None if qty is None else int(qty))))

    def _close_all(self, request: ApiRequest, _: str) -> ApiReply:
        outcome = self._exchange.close_all(read.flag(request.query, "cancel_orders"))
        return _ok([_closed(symbol, result) for symbol, result in outcome], status=207)

    def _do_not_exercise(self, request: ApiRequest, name: str) -> ApiReply:
        self._exchange.do_not_exercise(name)
        return ApiReply(200, b"")

    def _place(self, request: ApiRequest, _: str) -> ApiReply:
        try:
            body = json.loads(request.body, parse_float=Decimal)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Refusal(400, MALFORMED, "request body format is invalid")
        return _ok(order_json(self._exchange.place(parse_order(body))))

    def _orders(self, request: ApiRequest, _: str) -> ApiReply:
        query = request.query
        found = self._exchange.orders(
            status=read.choice(query, "status", "open", "closed", "all"),
            limit=read.integer(query, "limit", 50, _MAX_ORDERS),
            after=read.moment(query, "after"),
            until=read.moment(query, "until"),
            direction=read.choice(query, "direction", "desc", "asc"),
            symbols=frozenset(read.names(query, "symbols")),
        )
        return _ok([order_json(order) for order in found if order.side == query.get("side", order.side)])

    def _order(self, request: ApiRequest, order_id: str) -> ApiReply:
        return _ok(order_json(self._exchange.order(_uuid(order_id))))

    def _order_by_client_id(self, request: ApiRequest, _: str) -> ApiReply:
        return _ok(order_json(self._exchange.order_by_client_id(request.query.get("client_order_id", ""))))

    def _replace(self, request: ApiRequest, order_id: str) -> ApiReply:
        """Not offered: whatever the order's status, it cannot be replaced in it."""
        status = self._exchange.order(_uuid(order_id)).status
        raise Refusal(422, UNPROCESSABLE, f"cannot replace order in {status} status")

    def _cancel(self, request: ApiRequest, order_id: str) -> ApiReply:
        self._exchange.cancel(_uuid(order_id))
        return ApiReply(204, b"")

    def _cancel_all(self, request: ApiRequest, _: str) -> ApiReply:
        return _ok([{"id": order.id, "status": 200} for order in self._exchange.cancel_all()], status=207)

    def _activities(self, request: ApiRequest, kind: str) -> ApiReply:
        """Newest first by default; a page token is the id of the last activity seen."""
        query = request.query
        kinds = [kind] if kind else read.names(query, "activity_types")
        category = read.choice(query, "category", "", "trade_activity", "non_trade_activity")
        after, until, day = read.moment(query, "after"), read.moment(query, "until"), read.day(query, "date")
        found = [
            activity
            for activity in self._exchange.activities()
            if (not kinds or activity.type in kinds)
            and (not category or (activity.fill is not None) == (category == "trade_activity"))
            and (after is None or activity.at > after)
            and (until is None or activity.at < until)
            and (day is None or eastern_date(activity.at) == day)
        ]
        if read.choice(query, "direction", "desc", "asc") == "desc":
            found.reverse()
        size = read.integer(query, "page_size", _MAX_ACTIVITIES, _MAX_ACTIVITIES)
        page = _after(found, query.get("page_token"))[:size]
        return _ok([activity_json(activity) for activity in page])

    def _option_contracts(self, request: ApiRequest, _: str) -> ApiReply:
        """Paged by offset; what is listed never changes during the day."""
        query = request.query
        wanted = self._contract_filter(query)
        rows = [
            listed
            for underlying in read.names(query, "underlying_symbols") or self._exchange.market.symbols()
            for listed in self._exchange.listings(underlying).values()
            if wanted(listed)
        ]
        start = read.offset(query)
        end = start + read.integer(query, "limit", 100, _MAX_CONTRACTS)
        following = json.dumps(read.token(str(end)) if end < len(rows) else None)
        texts = ",".join(map(self._contract_text, rows[start:end]))
        return ApiReply(200, f'{{"option_contracts":[{texts}],"next_page_token":{following}}}'.encode())

    def _contract_text(self, listed: ListedContract) -> str:
        """The contract's JSON, made once."""
        symbol, asset_id = listed.contract.symbol, self._exchange.asset_id
        if symbol not in self._contract_texts:
            shape = contract_json(
                listed, asset_id(symbol), asset_id(listed.contract.underlying), self._last_session
            )
            self._contract_texts[symbol] = encode(shape).decode()
        return self._contract_texts[symbol]

    def _contract_filter(self, query: read.Query) -> Callable[[ListedContract], bool]:
        """Alpaca's default horizon is the next weekend."""
        today = self._exchange.market.day
        exact = read.day(query, "expiration_date")
        first = exact or read.day(query, "expiration_date_gte") or date.min
        weekend = today + timedelta(days=(_SATURDAY - today.weekday()) % 7)
        last = exact or read.day(query, "expiration_date_lte") or max(first, weekend)
        low, high = read.number(query, "strike_price_gte"), read.number(query, "strike_price_lte")
        kind = read.choice(query, "type", "", "call", "put")
        active = read.choice(query, "status", "active", "inactive") == "active"
        penny = read.maybe_flag(query, "ppind")
        root = query.get("root_symbol")

        def wanted(listed: ListedContract) -> bool:
            contract = listed.contract
            return (
                active
                and first <= contract.expiry <= last
                and (not kind or (contract.right is Right.CALL) == (kind == "call"))
                and (low is None or contract.strike >= low)
                and (high is None or contract.strike <= high)
                and (root is None or contract.underlying == root)
                and (penny is None or listed.penny is penny)
            )

        return wanted


def _ok(body: object, status: int = 200) -> ApiReply:
    return ApiReply(status, encode(body))


def _closed(symbol: str, result: SimOrder | Refusal) -> dict[str, Any]:
    if isinstance(result, Refusal):
        return {"symbol": symbol, "status": result.status, "body": result.body}
    return {"symbol": symbol, "status": 200, "body": order_json(result)}


def _uuid(order_id: str) -> str:
    if _UUID.fullmatch(order_id) is None:
        raise Refusal(422, MALFORMED, "order_id is missing")
    return order_id


def _after(found: list[Activity], seen: str | None) -> list[Activity]:
    if not seen:
        return found
    for index, activity in enumerate(found):
        if activity.id == seen:
            return found[index + 1 :]
    raise Refusal(422, MALFORMED, "invalid page_token")
