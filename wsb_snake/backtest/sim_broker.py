"""The embedded exchange as a ``Broker``, a chat and a quote feed, without sockets or clients.

Values pass through the same JSON shapes as over the wire, so that no depth knows more than another;
each method is one call, takes (virtual) network time like one, and meets the exchange's faults like one.
"""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

from wsb_snake.core.calendar import Session
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.types import Contract
from wsb_snake.sim import alpaca_json
from wsb_snake.sim.api import ApiReply, ApiRequest
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.faults import ConnectionLost, Hung, answer_of
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import NewOrder, TradeUpdateMessage
from wsb_snake.sim.telegram_api import TelegramApi
from wsb_snake.trading import alpaca_wire as wire
from wsb_snake.trading.broker import (
    Account,
    Activity,
    BrokerClock,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    OrderTicket,
    TradeUpdate,
    Unavailable,
    Unknown,
)

T = TypeVar("T")

HANG_S = 5.0
"""After this the real transport gives up waiting for a byte."""


class SimBroker:
    """Implements ``Broker`` on an exchange in this process."""

    def __init__(self, exchange: Exchange, lanes: Lanes) -> None:
        self._exchange = exchange
        self._lanes = lanes

    def account(self) -> Account:
        def read() -> object:
            exchange = self._exchange
            return alpaca_json.account_json(
                "",
                exchange.account_number,
                exchange.figures(),
                exchange.rules.options_level,
                exchange.market.day,
            )

        return self._call("GET /v2/account", read, wire.account)

    def clock(self) -> BrokerClock:
        def read() -> BrokerClock:
            now = self._exchange.clock.now()
            return BrokerClock(now, self._exchange.in_session(now))

        told: BrokerClock = self._call("GET /v2/clock", read, _as_is)
        return told

    def calendar(self, first: date, last: date) -> tuple[Session, ...]:
        def read() -> tuple[Session, ...]:
            return tuple(Session(s.day, s.open, s.close) for s in self._exchange.sessions(first, last))

        return self._call("GET /v2/calendar", read, _as_is)

    def positions(self) -> tuple[BrokerPosition, ...]:
        return self._call(
            "GET /v2/positions",
            lambda: [alpaca_json.position_json(p) for p in self._exchange.positions()],
            wire.positions,
        )

    def open_orders(self) -> tuple[BrokerOrder, ...]:
        return self._call(
            "GET /v2/orders",
            lambda: [alpaca_json.order_json(o) for o in self._exchange.orders(limit=500)],
            wire.orders,
        )

    def orders_since(self, after: datetime) -> tuple[BrokerOrder, ...]:
        return self._call(
            "GET /v2/orders",
            lambda: [alpaca_json.order_json(o) for o in self._exchange.orders("all", 500, after=after)],
            wire.orders,
        )

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        return self._call(
            "GET /v2/orders:by_client_order_id",
            lambda: alpaca_json.order_json(self._exchange.order_by_client_id(client_order_id)),
            wire.order,
        )

    def submit(self, ticket: OrderTicket) -> BrokerOrder:
        request = NewOrder(
            ticket.symbol,
            ticket.side.value,
            ticket.qty,
            ticket.type.value,
            ticket.limit_price,
            ticket.client_order_id,
            ticket.intent.value,
        )
        return self._call(
            "POST /v2/orders",
            lambda: alpaca_json.order_json(self._exchange.place(request)),
            wire.order,
            write=True,
        )

    def cancel(self, broker_id: str) -> None:
        self._call(
            f"DELETE /v2/orders/{broker_id}", lambda: self._exchange.cancel(broker_id), _as_is, write=True
        )

    def activities(self, since: datetime) -> tuple[Activity, ...]:
        def read() -> tuple[Activity, ...]:
            told = [wire.activity(alpaca_json.activity_json(a)) for a in self._exchange.activities()]
            return tuple(a for a in told if a.at > since)

        return self._call("GET /v2/account/activities", read, _as_is)

    def contracts_expiring(self, underlyings: tuple[str, ...], day: date) -> tuple[Contract, ...]:
        def read() -> tuple[Contract, ...]:
            rows = (row for name in underlyings for row in self._exchange.listings(name).values())
            return tuple(row.contract for row in rows if row.contract.expiry == day)

        return self._call("GET /v2/options/contracts", read, _as_is)

    def do_not_exercise(self, symbol: str) -> None:
        path = f"POST /v2/positions/{symbol}/do-not-exercise"
        self._call(path, lambda: self._exchange.do_not_exercise(symbol), _as_is, write=True)

    def _call(
        self, call: str, work: Callable[[], object], parse: Callable[[object], T], *, write: bool = False
    ) -> T:
        uncertain = Unknown if write else Unavailable
        faults = self._exchange.faults
        with self._lanes.network():
            self._exchange.advance()
            at = self._exchange.clock.now()
            try:
                spoilt = answer_of(faults.before(call, at))
                answer = None if spoilt is not None else work()
                spoilt = spoilt or answer_of(faults.after(call, at))
            except Refusal as refusal:
                raise wire.refusal(refusal.status, json.dumps(refusal.body), write=write) from None
            except Hung:
                self._lanes.sleep(HANG_S)
                raise uncertain("no answer from the broker: ReadTimeout") from None
            except ConnectionLost:
                raise uncertain("no answer from the broker: ConnectionError") from None
        if spoilt is not None:
            raise _error(spoilt, uncertain, write=write)
        return parse(answer)


def _as_is(answer: Any) -> Any:
    """For what needs no shape of its own."""
    return answer


def _error(reply: ApiReply, uncertain: type[BrokerError], *, write: bool) -> BrokerError:
    """What the client makes of a reply that is not the true one."""
    if reply.status < 400:
        return uncertain("the answer is not JSON")
    return wire.refusal(reply.status, reply.body.decode(errors="replace"), write=write)


def trade_update(message: TradeUpdateMessage) -> TradeUpdate:
    """What the stream's reader would make of ``message``."""
    return wire.trade_update({"data": alpaca_json.trade_update_json(message)})


class SimChat:
    """Implements ``Chat`` on the Telegram handler in this process."""

    def __init__(self, telegram: TelegramApi, chat_id: str) -> None:
        self._telegram = telegram
        self._chat_id = chat_id

    def send(self, text: str, silent: bool) -> None:
        body = json.dumps({"chat_id": self._chat_id, "text": text, "disable_notification": silent}).encode()
        headers = {"content-type": "application/json"}
        self._telegram.handle(
            ApiRequest("POST", f"/bot{self._telegram.token}/sendMessage", {}, headers, body)
        )


class SimQuoteFeed:
    """Implements ``QuoteFeed``: subscribes at the exchange directly."""

    def __init__(self, exchange: Exchange, on_state: Callable[[bool], None]) -> None:
        self._exchange = exchange
        self._on_state = on_state
        self._connected = False

    def set_symbols(self, wanted: frozenset[str]) -> None:
        self._exchange.subscribe_quotes(wanted)
        if wanted and not self._connected:
            self._connected = True
            self._on_state(True)
