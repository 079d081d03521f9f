"""The real clients against the embedded exchange: over sockets and in process, with equal results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tests.loopback_ws import eventually
from tests.sim.serving import DAY, KEY, POLYGON_KEY, SECRET, World, served
from wsb_snake.collectors.alpaca_data import AlpacaData, OptionQuoteStream
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.collectors.polygon_data import PolygonData
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.orders import OrderStatus, OrderType, PositionIntent, Side
from wsb_snake.core.transport import Handler, Policy, Transport, WireReply, WireRequest
from wsb_snake.core.types import Quote
from wsb_snake.sim.api import ApiRequest
from wsb_snake.sim.faults import Action, ConnectionLost, Hang, Hung, NoFaults, Reset
from wsb_snake.trading.alpaca_broker import AlpacaBroker, AlpacaTradeStream
from wsb_snake.trading.broker import BrokerError, NotFound, OrderTicket, Rejected, TradeUpdate, Unknown

PATIENT, QUICK = Policy(read_s=30.0, total_s=60.0), Policy(connect_s=1.0, read_s=1.0, total_s=2.0)


def in_process(world: World) -> Handler:
    def handler(request: WireRequest) -> WireReply:
        url = urlsplit(request.url)
        api = world.polygon if "authorization" in {name.lower() for name in request.headers} else world.alpaca
        call = ApiRequest(
            request.method,
            unquote(url.path),
            dict(parse_qsl(url.query)),
            {name.lower(): value for name, value in request.headers.items()},
            request.body,
        )
        try:
            with world.exchange.lock:
                reply = api.handle(call)
        except Hung:
            raise TimeoutError from None
        except ConnectionLost:
            raise ConnectionResetError from None
        return WireReply(reply.status, (("Content-Type", reply.content_type), *reply.headers), reply.body)

    return handler


class Desk:
    def __init__(self, world: World, handler: Handler | None, policy: Policy) -> None:
        self.world = world
        lanes = ThreadLanes(world.clock)
        transport = Transport(lanes, policy, handler)
        self.broker = AlpacaBroker(KEY, SECRET, world.http, lanes, transport)
        self.alpaca = AlpacaData(KEY, SECRET, world.http, "iex", "indicative", lanes, transport)
        self.polygon = PolygonData(POLYGON_KEY, world.http, "advanced", lanes, transport)


@contextmanager
def desk(wired: bool, faults: NoFaults | None = None, policy: Policy = PATIENT) -> Iterator[Desk]:
    with served(faults=faults) as world:
        yield Desk(world, None if wired else in_process(world), policy)


def refused(call: Callable[[], object]) -> tuple[type[BrokerError], str]:
    with pytest.raises(BrokerError) as caught:
        call()
    return type(caught.value), str(caught.value)


def ticket(name: str, symbol: str, side: Side, qty: int, price: Decimal | None) -> OrderTicket:
    intent = PositionIntent.BUY_TO_OPEN if side is Side.BUY else PositionIntent.SELL_TO_CLOSE
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    return OrderTicket(name, symbol, side, intent, kind, qty, price)


def a_morning(at: Desk) -> list[object]:
    """One of everything that the broker offers, in one order."""
    broker, world = at.broker, at.world
    (symbol,) = world.near_the_money()
    began = world.clock.now()
    seen: list[object] = [
        broker.account(),
        broker.clock(),
        broker.calendar(DAY - timedelta(days=7), DAY + timedelta(days=7)),
        broker.contracts_expiring(("SPY", "QQQ"), DAY),
        broker.positions(),
        refused(lambda: broker.order_by_client_id("nobody")),
    ]
    ask = at.alpaca.option_quotes((symbol,))[symbol].ask
    buy = ticket("buy-1", symbol, Side.BUY, 2, ask + Decimal("0.05"))
    seen += [broker.submit(buy), refused(lambda: broker.submit(buy))]
    world.pass_time(5)
    bought = broker.order_by_client_id("buy-1")
    assert bought.status is OrderStatus.FILLED
    seen += [bought, broker.positions(), refused(lambda: broker.cancel(bought.id))]
    seen.append(refused(lambda: broker.submit(ticket("sell-0", symbol, Side.SELL, 5, None))))
    resting = broker.submit(ticket("sell-1", symbol, Side.SELL, 1, ask * 2))
    world.pass_time(2)
    seen += [resting, broker.open_orders(), broker.positions()]
    broker.cancel(resting.id)
    world.pass_time(2)
    broker.submit(ticket("sell-2", symbol, Side.SELL, 2, None))
    world.pass_time(5)
    seen += [broker.orders_since(began), broker.positions(), broker.activities(began), broker.account()]
    seen.append(refused(lambda: broker.do_not_exercise(symbol)))
    return seen


def the_data(at: Desk) -> list[object]:
    """One of everything that the sources offer."""
    now, symbols = at.world.clock.now(), tuple(at.world.near_the_money(3))
    seen: list[object] = [at.alpaca.option_quotes(symbols)]
    for source in (at.alpaca, at.polygon):
        seen += [
            source.bars(("SPY", "QQQ"), now - timedelta(minutes=30), now),
            source.daily_bars(("SPY",), DAY - timedelta(days=20), DAY - timedelta(days=1)),
            source.chain("SPY", DAY, DAY, Decimal(1), Decimal(10_000)),
            source.news(("SPY", "TSLA"), now - timedelta(days=5), now),
            source.vix(),
        ]
    return seen


def test_sockets_and_the_seam_give_the_same_morning() -> None:
    with desk(wired=True) as by_socket, desk(wired=False) as by_seam:
        over_the_wire = a_morning(by_socket)
        assert over_the_wire == a_morning(by_seam)
        assert not by_socket.broker.positions()
    outcomes = [
        row[0] for row in over_the_wire if isinstance(row, tuple) and row and isinstance(row[0], type)
    ]
    assert outcomes == [NotFound, Unknown, Rejected, Rejected, NotFound]
    contracts = over_the_wire[3]
    assert isinstance(contracts, tuple)
    assert {contract.underlying for contract in contracts} == {"SPY", "QQQ"}


def test_sockets_and_the_seam_give_the_same_data() -> None:
    with desk(wired=True) as by_socket, desk(wired=False) as by_seam:
        over_the_wire = the_data(by_socket)
        assert over_the_wire == the_data(by_seam)
    quotes, bars, daily, chain, news, vix, *polygon = over_the_wire
    for found in (quotes, bars, daily, chain, news, *polygon):
        assert found
    assert vix is None
    assert isinstance(news, tuple)
    assert isinstance(polygon[3], tuple)
    assert set(news) == set(polygon[3])
    assert isinstance(bars, dict)
    assert bars == polygon[0]
    assert len(bars["SPY"]) == 30


def test_the_facade_reads_the_session_of_the_exchange() -> None:
    with desk(wired=False) as at:
        data = MarketData(at.alpaca, at.polygon, at.world.clock)
        (session,) = at.broker.calendar(DAY, DAY)
        view = data.bars(["SPY", "QQQ"], session, at.world.clock.now())
        assert (view.feed, len(view.bars["SPY"])) == ("alpaca iex", 60)
        at.world.pass_time(60)
        assert len(data.bars(["SPY", "QQQ"], session, at.world.clock.now()).bars["SPY"]) == 61
        assert data.vix(at.world.clock.now()) == at.polygon.vix()


class AfterThePost(NoFaults):
    """Takes an order and then spoils the answer."""

    def __init__(self, action: Action) -> None:
        self._action = action

    def after(self, call: str, at: object) -> Action:
        return self._action if call == "POST /v2/orders" else None


@pytest.mark.parametrize("wired", [True, False])
@pytest.mark.parametrize("action", [Hang(), Reset()])
def test_an_order_that_went_through_unanswered_is_unknown_and_found_by_its_id(
    wired: bool, action: Action
) -> None:
    with desk(wired, AfterThePost(action), QUICK) as at:
        (symbol,) = at.world.near_the_money()
        with pytest.raises(Unknown):
            at.broker.submit(ticket("lost", symbol, Side.BUY, 1, Decimal("0.01")))
        assert at.broker.order_by_client_id("lost").qty == 1


def test_the_streams_of_the_exchange() -> None:
    updates: list[TradeUpdate] = []
    quotes: list[Quote] = []
    malformed: list[str] = []
    with desk(wired=False) as at:
        world = at.world
        (symbol,) = world.near_the_money()
        trades = AlpacaTradeStream(
            KEY, SECRET, f"{world.ws}/stream", world.clock, updates.append, lambda up: None, malformed.append
        )
        prices = OptionQuoteStream(
            KEY,
            SECRET,
            f"{world.ws}/v1beta1/indicative",
            quotes.append,
            lambda up: None,
            malformed.append,
        )
        trades.start()
        prices.set_symbols(frozenset({symbol}))
        assert eventually(lambda: trades.connected() and prices.subscribed() == {symbol})
        assert eventually(lambda: world.server.trade_clients() == 1)
        at.broker.submit(ticket("buy-1", symbol, Side.BUY, 1, Decimal(100)))
        world.pass_time(5)
        assert eventually(lambda: any(u.order.status is OrderStatus.FILLED for u in updates))
        assert eventually(lambda: bool(quotes))
        assert trades.stop()
        assert prices.stop()
    assert malformed == []
    assert {update.order.client_order_id for update in updates} == {"buy-1"}
    assert {quote.symbol for quote in quotes} == {symbol}
