"""The broker port on Alpaca: REST through ``TradingClient``, trade updates through ``TradingStream``.

alpaca-py works here with raw data and without retries: its models break a whole list on one new word,
and its blind retry of a POST can double an order. Every failure leaves as an error of the port's tree.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote

import requests
import websockets
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import QueryOrderStatus
from alpaca.trading.requests import GetCalendarRequest, GetOrdersRequest
from alpaca.trading.stream import TradingStream

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import Clock
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.orders import PositionIntent
from wsb_snake.core.transport import Budget, Clients, Transport, never_left
from wsb_snake.core.types import Contract
from wsb_snake.core.vendor_stream import SOCKET, StreamState, StreamThread, bounded_start
from wsb_snake.core.wire import mapping, rows
from wsb_snake.trading import alpaca_wire as wire
from wsb_snake.trading.broker import (
    Account,
    Activity,
    BrokerClock,
    BrokerOrder,
    BrokerPosition,
    OrderTicket,
    TradeUpdate,
    Unavailable,
    Unknown,
    Withheld,
)

T = TypeVar("T")

REQUESTS_A_MINUTE = 200
RESERVED_FOR_EXITS = 60
ORDER_PAGE = 500
ACTIVITY_PAGE = 100
CONTRACT_PAGE = 10_000
MAX_PAGES = 50

_CENT = Decimal("0.01")
_TO_OPEN = frozenset({PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN})


class AlpacaBroker:
    """Implements ``Broker``. Safe from any lane: each call borrows a client of its own.

    ``trading_url`` has no version path. Alpaca's rate limit is kept by refusing (``Throttled``) what can
    wait once the share reserved for exits is touched.
    """

    def __init__(self, key: str, secret: str, trading_url: str, lanes: Lanes, transport: Transport) -> None:
        self._clock = lanes.clock
        self._budget = Budget(REQUESTS_A_MINUTE, RESERVED_FOR_EXITS)

        def client() -> TradingClient:
            made = TradingClient(key, secret, raw_data=True, url_override=trading_url)
            made._retry = 0  # the constructor takes no such argument
            transport.session_for(made._session)
            return made

        self._clients = Clients(client)

    def account(self) -> Account:
        return self._read(lambda c: c.get_account(), wire.account)

    def clock(self) -> BrokerClock:
        return self._read(lambda c: c.get_clock(), wire.broker_clock)

    def calendar(self, first: date, last: date) -> tuple[Session, ...]:
        request = GetCalendarRequest(start=first, end=last)
        return self._read(lambda c: c.get_calendar(request), wire.sessions)

    def positions(self) -> tuple[BrokerPosition, ...]:
        return self._read(lambda c: c.get_all_positions(), wire.positions)

    def open_orders(self) -> tuple[BrokerOrder, ...]:
        request = GetOrdersRequest(status=QueryOrderStatus.OPEN, limit=ORDER_PAGE)
        return self._read(lambda c: c.get_orders(request), wire.orders)

    def orders_since(self, after: datetime) -> tuple[BrokerOrder, ...]:
        request = GetOrdersRequest(
            status=QueryOrderStatus.ALL, limit=ORDER_PAGE, after=after, direction=Sort.DESC
        )
        return self._read(lambda c: c.get_orders(request), wire.orders)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder:
        found = self._read(lambda c: c.get_order_by_client_id(client_order_id), wire.order, urgent=True)
        if found.client_order_id != client_order_id:
            raise Unavailable(f"asked for order {client_order_id}, got {found.client_order_id}")
        return found

    def submit(self, ticket: OrderTicket) -> BrokerOrder:
        payload = _payload(ticket)
        urgent = ticket.intent not in _TO_OPEN
        sent = self._write(lambda c: c.post("/orders", payload), wire.order, urgent=urgent)
        if sent.client_order_id != ticket.client_order_id:
            raise Unknown(f"sent order {ticket.client_order_id}, got {sent.client_order_id} back")
        return sent

    def cancel(self, broker_id: str) -> None:
        path = f"/orders/{quote(broker_id, safe='')}"
        self._write(lambda c: c.delete(path), _nothing)

    def do_not_exercise(self, symbol: str) -> None:
        path = f"/positions/{quote(symbol, safe='')}/do-not-exercise"
        self._write(lambda c: c.post(path), _nothing)

    def activities(self, since: datetime) -> tuple[Activity, ...]:
        found: dict[str, Activity] = {}
        asked: dict[str, Any] = {
            "after": since.isoformat(),
            "direction": "asc",
            "page_size": ACTIVITY_PAGE,
        }
        for _ in range(MAX_PAGES):
            page = self._read(
                lambda c: c.get("/account/activities", asked),
                lambda answer: [wire.activity(row) for row in rows(answer)],
            )
            known = len(found)
            found.update((item.id, item) for item in page)
            if len(page) < ACTIVITY_PAGE or len(found) == known:
                return tuple(sorted(found.values(), key=lambda item: item.at))
            asked["page_token"] = page[-1].id
        raise Unavailable(f"more than {MAX_PAGES * ACTIVITY_PAGE} account activities since {since:%Y-%m-%d}")

    def contracts_expiring(self, underlyings: tuple[str, ...], day: date) -> tuple[Contract, ...]:
        found: list[Contract] = []
        asked: dict[str, Any] = {
            "underlying_symbols": ",".join(underlyings),
            "expiration_date": day.isoformat(),
            "status": "active",
            "limit": CONTRACT_PAGE,
        }
        for _ in range(MAX_PAGES):
            page, token = self._read(lambda c: c.get("/options/contracts", asked), _contract_page)
            found.extend(page)
            if not token:
                return tuple(found)
            asked["page_token"] = token
        raise Unavailable(f"more than {MAX_PAGES} pages of contracts that expire on {day}")

    def _read(
        self, call: Callable[[TradingClient], Any], parse: Callable[[Any], T], *, urgent: bool = False
    ) -> T:
        self._take(urgent)
        with _failures(write=False), self._clients.lend() as client:
            return parse(call(client))

    def _write(
        self, call: Callable[[TradingClient], Any], parse: Callable[[Any], T], *, urgent: bool = True
    ) -> T:
        self._take(urgent)
        with _failures(write=True), self._clients.lend() as client:
            return parse(call(client))

    def _take(self, urgent: bool) -> None:
        if not self._budget.take(self._clock.monotonic(), urgent):
            raise Withheld(f"our own limit: {REQUESTS_A_MINUTE - RESERVED_FOR_EXITS} calls in this minute")


def _payload(ticket: OrderTicket) -> dict[str, Any]:
    """Alpaca's JSON for a DAY order. The price goes out with two decimals, whatever arithmetic made it."""
    payload: dict[str, Any] = {
        "client_order_id": ticket.client_order_id,
        "symbol": ticket.symbol,
        "side": ticket.side.value,
        "position_intent": ticket.intent.value,
        "type": ticket.type.value,
        "time_in_force": "day",
        "qty": ticket.qty,
    }
    if ticket.limit_price is not None:
        payload["limit_price"] = float(str(ticket.limit_price.quantize(_CENT)))
    return payload


def _nothing(_: object) -> None:
    """For answers whose body says nothing."""


def _contract_page(answer: object) -> tuple[tuple[Contract, ...], str | None]:
    page = wire.contracts(answer)
    token = mapping(answer).get("next_page_token")
    return page, token if isinstance(token, str) else None


@contextlib.contextmanager
def _failures(*, write: bool) -> Iterator[None]:
    """Turn what the client raises into the port's tree.

    ``APIError.code`` and ``.message`` raise on a body that is not JSON, so its text is read here.
    """
    uncertain = Unknown if write else Unavailable
    try:
        yield
    except APIError as error:
        raise wire.refusal(error.status_code or 0, str(error), write=write) from None
    except requests.JSONDecodeError:
        raise uncertain("the answer is not JSON") from None
    except requests.RequestException as error:
        kind = Unavailable if never_left(error) else uncertain
        raise kind(f"no answer from the broker: {type(error).__name__}") from None
    except ValueError as error:
        raise uncertain(f"the broker's answer cannot be read: {error}") from None


class AlpacaTradeStream:
    """The account's trade_updates, read in a thread of its own; it reconnects by itself.

    The callbacks run in that thread and must only enqueue: ``on_update`` per message, ``on_state`` when
    the connection came (True) or went (False, ``reason`` says why; refused keys are tried again too, as
    the vendor's client never gives up), ``on_malformed`` with the text of what could not be read. Nothing
    from a gap is sent again: reconcile after every True. A stream that is up can still be mute:
    ``last_message_at`` tells.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        url: str,
        clock: Clock,
        on_update: Callable[[TradeUpdate], None],
        on_state: Callable[[bool], None],
        on_malformed: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._on_update = on_update
        self._on_malformed = on_malformed
        self._last_message_at: datetime | None = None
        self._state = StreamState(on_state)
        self._stream = _ReportingStream(key, secret, url, self._state)
        self._stream.subscribe_trade_updates(self._take)
        self._thread = StreamThread("trade-stream", self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """End the thread; whether it was over within 2 s."""
        return self._thread.stop()

    def connected(self) -> bool:
        """Whether the stream is authorised and listening."""
        return self._state.connected

    @property
    def reason(self) -> str:
        """Why the stream is down; empty while it is up."""
        return self._state.reason

    @property
    def last_message_at(self) -> datetime | None:
        """When the last message of an account event arrived."""
        return self._last_message_at

    async def _run(self) -> None:
        run: Callable[[], Coroutine[Any, Any, None]] = self._stream._run_forever
        try:
            await run()
        except asyncio.CancelledError:
            self._state.down("stopped")
            raise
        finally:
            with contextlib.suppress(OSError, websockets.WebSocketException):
                await self._stream.close()

    async def _take(self, message: Any) -> None:
        self._last_message_at = self._clock.now()
        try:
            update = wire.trade_update(message)
        except ValueError as error:
            self._on_malformed(f"{error}: {str(message)[:500]}")
            return
        self._on_update(update)


class _ReportingStream(TradingStream):
    """alpaca-py's stream, which keeps ``state`` up to date."""

    def __init__(self, key: str, secret: str, url: str, state: StreamState) -> None:
        super().__init__(key, secret, raw_data=True, url_override=url, websocket_params=dict(SOCKET))
        self._state = state

    async def _start_ws(self) -> None:
        start: Callable[[], Coroutine[Any, Any, None]] = super()._start_ws
        await bounded_start(start(), self._state)

    async def close(self) -> None:
        self._state.lost()
        await super().close()
