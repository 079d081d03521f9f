"""Alpaca's REST API without a socket: faults, rate limit, keys, then the route.

One handler serves the trading paths and the market data paths, which at Alpaca live on two hosts.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from wsb_snake.sim.alpaca_json import encode
from wsb_snake.sim.alpaca_market_data import MarketDataRoutes
from wsb_snake.sim.alpaca_query import BadQuery
from wsb_snake.sim.alpaca_trading import Route, TradingRoutes
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import answer_of
from wsb_snake.sim.order_entry import MALFORMED, NOT_FOUND, THROTTLED, Refusal

_MINUTE_S = 60
_TOO_MANY = MappingProxyType({"code": THROTTLED, "message": "rate limit exceeded"})
_TOO_MANY_DATA = MappingProxyType({"message": "too many requests."})


class AlpacaApi:
    def __init__(self, exchange: Exchange, key: str, secret: str) -> None:
        """``key`` and ``secret`` are what callers must show."""
        self._exchange = exchange
        self.key, self.secret = key, secret
        self._data_routes = MarketDataRoutes(exchange).routes
        self._routes = TradingRoutes(exchange).routes | self._data_routes
        self._budgets = {True: _Budget(exchange), False: _Budget(exchange)}

    def handle(self, request: ApiRequest) -> ApiReply:
        """Answer one request at the clock's now; the caller holds the exchange's lock.

        Raises faults.Hung or faults.ConnectionLost when a fault denies the answer.
        """
        exchange = self._exchange
        exchange.advance()
        call, at = f"{request.method} {request.path}", exchange.clock.now()
        spoilt = answer_of(exchange.faults.before(call, at))
        if spoilt is not None:
            return spoilt
        reply = self._answer(request, at)
        return answer_of(exchange.faults.after(call, at)) or exchange.faults.bytes_of(call, reply, at)

    def _answer(self, request: ApiRequest, at: datetime) -> ApiReply:
        is_data = request.path.startswith(("/v2/stocks/", "/v1beta1/"))
        budget = self._budgets[is_data]
        if not budget.take(at):
            reply = _error(429, _TOO_MANY_DATA if is_data else _TOO_MANY)
        else:
            reply = self._route(request, is_data)
        return ApiReply(reply.status, reply.body, reply.content_type, budget.headers(at))

    def _route(self, request: ApiRequest, is_data: bool) -> ApiReply:
        headers = request.headers
        shown = (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))
        if shown != (self.key, self.secret):
            return _error(401, {"message": "unauthorized."})
        route, argument = self._find(request.method, request.path)
        if route is None:
            return _error(404, {"code": NOT_FOUND, "message": "endpoint not found."})
        try:
            return route(request, argument)
        except Refusal as refusal:
            return _error(refusal.status, refusal.body)
        except BadQuery as bad:
            if is_data:
                return _error(400, {"message": str(bad)})
            return _error(422, {"code": MALFORMED, "message": str(bad)})

    def _find(self, method: str, path: str) -> tuple[Route | None, str]:
        """The route for ``path`` and what stands where its pattern has a star."""
        if exact := self._routes.get((method, path)):
            return exact, ""
        head, _, last = path.rpartition("/")
        if under := self._routes.get((method, f"{head}/*")):
            return under, last
        base, _, middle = head.rpartition("/")
        return self._routes.get((method, f"{base}/*/{last}")), middle


class _Budget:
    """Requests per clock minute."""

    def __init__(self, exchange: Exchange) -> None:
        self._limit = exchange.rules.rate_limit_per_minute
        self._minute = 0
        self._used = 0

    def take(self, at: datetime) -> bool:
        minute = int(at.timestamp()) // _MINUTE_S
        if minute != self._minute:
            self._minute, self._used = minute, 0
        if self._limit is not None and self._used >= self._limit:
            return False
        self._used += 1
        return True

    def headers(self, at: datetime) -> tuple[tuple[str, str], ...]:
        if self._limit is None:
            return ()
        return (
            ("X-RateLimit-Limit", str(self._limit)),
            ("X-RateLimit-Remaining", str(self._limit - self._used)),
            ("X-RateLimit-Reset", str((self._minute + 1) * _MINUTE_S)),
        )


def _error(status: int, body: Mapping[str, object]) -> ApiReply:
    return ApiReply(status, encode(dict(body)))
