"""A market whose every price the test sets, and an exchange on a clock that the test moves."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from wsb_snake.core.clock import VirtualClock, from_eastern
from wsb_snake.core.occ import build, parse
from wsb_snake.core.types import Bar, Headline, Quote, Right
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import Faults
from wsb_snake.sim.orders import Intent, NewOrder, OrderType, Side, SimOrder, TradeUpdateMessage
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.sessions import SimSession, session_of

DAY = date(2026, 11, 23)
HALF_DAY = date(2026, 11, 27)
LATER = date(2026, 12, 18)
SPOTS = {"AAPL": 250.0, "IWM": 240.0, "QQQ": 600.0, "SPY": 670.0, "XYZ": 20.0}

SPY_CALL = build("SPY", DAY, Right.CALL, Decimal(670))
SPY_PUT = build("SPY", DAY, Right.PUT, Decimal(670))
SPY_LATER = build("SPY", LATER, Right.CALL, Decimal(670))
AAPL_CALL = build("AAPL", DAY, Right.CALL, Decimal(250))
AAPL_LATER = build("AAPL", LATER, Right.CALL, Decimal(250))
XYZ_CALL = build("XYZ", DAY, Right.CALL, Decimal(20))
IWM_CALL = build("IWM", DAY, Right.CALL, Decimal(240))

KEY, SECRET = "key", "secret"


class FakeMarket:
    """Quotes stay as ``put`` left them; every contract begins at 1.00 to 1.05."""

    synthetic_bars = False

    def __init__(self, day: date = DAY) -> None:
        session = session_of(day)
        assert session is not None
        self.day = day
        self.session: SimSession = session
        self.spots = dict(SPOTS)
        self.settlements = dict(SPOTS)
        self.quotes: dict[str, Quote | None] = {}
        self.papers: tuple[Headline, ...] = ()
        self._listed = {
            symbol: tuple(
                ListedContract(
                    parse(build(symbol, expiry, right, Decimal(str(spot + step)))), 100, symbol != "XYZ"
                )
                for expiry in (day, LATER)
                for right in Right
                for step in (-10, 0, 10)
            )
            for symbol, spot in SPOTS.items()
        }

    def put(self, symbol: str, bid: str, ask: str, size: int = 50) -> None:
        self.quotes[symbol] = Quote(symbol, Decimal(bid), Decimal(ask), size, size, self.session.open)

    def symbols(self) -> tuple[str, ...]:
        return tuple(self.spots)

    def spot(self, symbol: str, at: datetime) -> float:
        return self.spots[symbol]

    def stock_quote(self, symbol: str, at: datetime) -> Quote:
        mid = Decimal(f"{self.spots[symbol]:.2f}")
        return Quote(symbol, mid - Decimal("0.01"), mid + Decimal("0.01"), 300, 200, at)

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        minutes = range(int((self.session.close - self.session.open) / timedelta(minutes=1)))
        starts = (self.session.open + timedelta(minutes=n) for n in minutes)
        spot = self.spots[symbol]
        return [
            Bar(symbol, at, spot, spot + 1, spot - 1, spot + 0.5, 1200.0, spot + 0.1)
            for at in starts
            if start <= at < end and at + timedelta(minutes=1) <= now
        ]

    def daily_bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [
            Bar(symbol, from_eastern(day, time(0)), 1.0, 2.0, 0.5, 1.5, 1e6, 1.2)
            for day in days
            if day < self.day and session_of(day)
        ]

    def contracts(self, underlying: str) -> tuple[ListedContract, ...]:
        return self._listed[underlying]

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        if symbol in self.quotes:
            return self.quotes[symbol]
        return Quote(symbol, Decimal("1.00"), Decimal("1.05"), 50, 50, at)

    def option_volume(self, symbol: str, at: datetime) -> int:
        return 120

    def implied_volatility(self, symbol: str, at: datetime) -> float | None:
        return 0.25

    def vix(self, at: datetime) -> float:
        return 17.0

    def headlines(self, start: datetime, end: datetime) -> tuple[Headline, ...]:
        return tuple(item for item in self.papers if start <= item.at <= end)

    def settlement(self, underlying: str) -> float:
        return self.settlements[underlying]


class Bench:
    """An exchange at ``wall`` (US/Eastern) of ``day``; every trade update and quote is kept."""

    def __init__(
        self,
        wall: str = "10:00",
        rules: Rules | None = None,
        day: date = DAY,
        seed: int = 7,
        faults: Faults | None = None,
        cash: str = "100000",
    ) -> None:
        self.market = FakeMarket(day)
        self._epoch = self.at(wall)
        self.clock = VirtualClock(self._epoch)
        self.rules = rules or Rules(partial_fill_chance=0, fill_beats_cancel_chance=0)
        self.exchange = Exchange(self.clock, self.market, seed, self.rules, faults, Decimal(cash))
        self.api = AlpacaApi(self.exchange, KEY, SECRET)
        self.updates: list[TradeUpdateMessage] = []
        self.quotes: list[Quote] = []
        self.exchange.on_trade_update(self.updates.append)
        self.exchange.on_quote(self.quotes.append)

    def at(self, wall: str) -> datetime:
        return from_eastern(self.market.day, time.fromisoformat(wall))

    def to(self, wall: str) -> None:
        """Move the clock to ``wall`` and the exchange with it."""
        self.clock.advance_to((self.at(wall) - self._epoch).total_seconds())
        self.exchange.advance()

    def tick(self, seconds: float = 1.0) -> None:
        self.clock.advance_to(self.clock.monotonic() + seconds)
        self.exchange.advance()

    def order(
        self,
        symbol: str,
        side: Side,
        qty: int,
        limit: str | None = None,
        client_id: str | None = None,
        intent: Intent | None = None,
    ) -> SimOrder:
        kind: OrderType = "market" if limit is None else "limit"
        price = None if limit is None else Decimal(limit)
        return self.exchange.place(NewOrder(symbol, side, qty, kind, price, client_id, intent))

    def buy(
        self, symbol: str, qty: int = 1, limit: str | None = None, client_id: str | None = None
    ) -> SimOrder:
        return self.order(symbol, "buy", qty, limit, client_id)

    def sell(
        self, symbol: str, qty: int = 1, limit: str | None = None, client_id: str | None = None
    ) -> SimOrder:
        return self.order(symbol, "sell", qty, limit, client_id)

    def now(self, order: SimOrder) -> SimOrder:
        return self.exchange.order(order.id)

    def events(self) -> list[str]:
        return [update.event for update in self.updates]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None, query: dict[str, str]) -> ApiReply:
        """One authorised request."""
        headers = {"apca-api-key-id": KEY, "apca-api-secret-key": SECRET}
        content = b"" if body is None else json.dumps(body).encode()
        return self.api.handle(ApiRequest(method, path, query, headers, content))

    def get(self, path: str, **query: str) -> Any:
        reply = self.call("GET", path, None, query)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        reply = self.call("POST", path, body, {})
        return reply.status, json.loads(reply.body or b"null")

    def delete(self, path: str, **query: str) -> tuple[int, Any]:
        reply = self.call("DELETE", path, None, query)
        return reply.status, json.loads(reply.body or b"null")
