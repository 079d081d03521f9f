"""The command's own loop against the embedded exchange, over a network that fails as it is told."""

import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from tests.sim.bench import DAY, SPY_CALL
from tests.trading.world import CALM, Feed, FeedSource, LiveMarket, Trouble, Troubles
from wsb_snake.core.clock import VirtualClock, from_eastern
from wsb_snake.core.hub import Hub
from wsb_snake.direct_flatten import DirectFlatten
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.orders import NewOrder
from wsb_snake.trading.broker import BrokerOrder, NotFound, Rejected, Unavailable, Unknown
from wsb_snake.trading.order_ids import OrderIds

LATER, SHORT = "SPY261218C00670000", "SPY261218C00680000"


class Bench:
    """An account with 3 SPY calls of today, and the loop that shall sell them."""

    def __init__(self, wall: str = "15:50") -> None:
        self.clock = VirtualClock(from_eastern(DAY, time.fromisoformat(wall)))
        self.market = LiveMarket(DAY)
        self.market.put(SPY_CALL, "2.00", "2.04", 50)
        self.feed = Feed()
        self.exchange = Exchange(self.clock, self.market, 7, CALM, self.feed, Decimal(100_000))
        self.exchange.hold(SPY_CALL, 3, Decimal("1.50"))
        self.hub = Hub(self.clock, 7)
        self.broker = Troubles(self.exchange, self.hub)
        self.said: list[str] = []
        self.hub.spawn("exchange", self._tick)

    def flatten(self, day: date | None = DAY, limit_s: float = 120.0) -> tuple[str, ...]:
        source = FeedSource(self.exchange, self.hub, self.feed)
        ids = OrderIds(random.Random(1))
        loop = DirectFlatten(self.broker, source.option_quotes, self.hub, ids, day, self.said.append)
        left: list[tuple[str, ...]] = []
        self.hub.spawn("flatten", lambda: left.append(loop.run(limit_s)))
        self.hub.run(lambda: bool(left))
        return left[0]

    def at(self, seconds: float, work: Callable[[], object]) -> None:
        def lane() -> None:
            self.hub.sleep(seconds)
            work()

        self.hub.spawn(f"at {seconds}", lane)

    def held(self, symbol: str = SPY_CALL) -> int:
        return self.exchange.account.qty(symbol)

    def _tick(self) -> None:
        while True:
            self.exchange.advance()
            now: datetime = self.clock.now()
            self.hub.sleep((now.replace(microsecond=0) + timedelta(seconds=1) - now).total_seconds())


def test_it_sells_what_expires_today_and_proves_it() -> None:
    bench = Bench()
    began = bench.clock.monotonic()
    assert bench.flatten() == ()
    assert bench.held() == 0
    assert bench.clock.monotonic() - began >= 10
    (ticket,) = bench.broker.sent()
    assert (ticket.qty, ticket.intent, ticket.client_order_id[:15]) == (3, "sell_to_close", "wsb-20261123-d-")


@pytest.mark.parametrize(("arrived", "orders"), [(True, 1), (False, 2)])
def test_a_send_without_an_answer_is_looked_up_and_never_repeated_blindly(arrived: bool, orders: int) -> None:
    bench = Bench()
    bench.broker.once["submit"] = [Trouble(Unknown("no answer"), effect=arrived, seconds=5.0)]
    assert bench.flatten() == ()
    assert bench.held() == 0
    assert len(bench.broker.sent()) == orders
    asked = [name for name, _, _ in bench.broker.calls if name == "order_by_client_id"]
    assert asked
    if not arrived:
        first, second = (at for name, at, _ in bench.broker.calls if name == "submit")
        assert second - first >= timedelta(seconds=10)


def test_positions_that_lag_behind_the_sale_are_not_sold_twice() -> None:
    bench = Bench()
    stale = bench.hub
    lagging = Troubles(bench.exchange, stale)._broker
    before: list[object] = []
    bench.hub.spawn("look", lambda: before.append(lagging.positions()))
    bench.hub.run(lambda: bool(before))
    bench.broker.shown["positions"] = before[0]
    bench.at(9, lambda: bench.broker.shown.clear())
    assert bench.flatten() == ()
    assert sum(ticket.qty for ticket in bench.broker.sent()) == 3


def test_an_outage_is_waited_out_and_a_longer_one_is_no_proof() -> None:
    bench = Bench()
    bench.broker.always["positions"] = Unavailable("503")
    bench.at(30, lambda: bench.broker.always.clear())
    assert bench.flatten() == ()
    dead = Bench()
    dead.broker.always["positions"] = Unavailable("503")
    assert dead.flatten(limit_s=20) == ("the account: the broker has not answered",)
    assert dead.broker.sent() == [] and dead.held() == 3


def test_a_refusal_is_named_and_tried_at_a_pace() -> None:
    bench = Bench()
    bench.broker.always["submit"] = Rejected("options trading is halted")
    assert bench.flatten(limit_s=40) == (f"{SPY_CALL}: refused: options trading is halted",)
    assert 3 <= len(bench.broker.sent()) <= 7


def test_open_orders_in_scope_are_cancelled_first_and_others_stay() -> None:
    bench = Bench("10:00")
    bench.market.put(LATER, "9.00", "9.20", 50)
    for symbol, price in ((SPY_CALL, "1.00"), (LATER, "5.00")):
        bench.exchange.place(NewOrder(symbol, "buy", 1, "limit", Decimal(price)))
    assert bench.flatten() == ()
    assert [order.symbol for order in bench.exchange.orders("open", 10)] == [LATER]
    names = [name for name, _, _ in bench.broker.calls]
    assert names.index("cancel") < names.index("submit")


def test_all_closes_later_expiries_and_leaves_what_covers_a_short() -> None:
    bench = Bench()
    bench.market.put(LATER, "9.00", "9.20", 50)
    bench.exchange.hold(LATER, 1, Decimal(9))
    bench.exchange.hold(SHORT, -1, Decimal(5))
    bench.market.put(SHORT, "5.00", "5.10", 50)
    left = bench.flatten(None, 30)
    assert bench.held(LATER) == 1
    assert any(line.startswith(f"{LATER}: never sold by us: covers a short") for line in left)


@pytest.mark.parametrize("comes_back", [False, True])
def test_an_order_that_the_broker_has_lost_is_followed_by_another(
    comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was accepted; then nothing lists it, finds it or has it to cancel."""
    bench = Bench()
    bench.market.put(SPY_CALL, "0.00", "0.05", 50)  # it rests
    broker = bench.broker
    look_up, cancel, listed = broker.order_by_client_id, broker.cancel, broker.open_orders
    lost: list[BrokerOrder] = []

    def order_by_client_id(name: str) -> BrokerOrder:
        if lost and name == lost[0].client_order_id:
            raise NotFound("order not found", 404, 40410000)
        return look_up(name)

    def cancelled(broker_id: str) -> None:
        if lost and broker_id == lost[0].id:
            raise NotFound("order not found", 404, 40410000)
        cancel(broker_id)

    def open_orders() -> tuple[BrokerOrder, ...]:
        return tuple(o for o in listed() if not lost or o.id != lost[0].id)

    def lose() -> None:
        lost.extend(listed())
        if not comes_back:
            bench.exchange.cancel(lost[0].id)

    monkeypatch.setattr(broker, "order_by_client_id", order_by_client_id)
    monkeypatch.setattr(broker, "cancel", cancelled)
    monkeypatch.setattr(broker, "open_orders", open_orders)
    bench.at(40, lose)
    if comes_back:
        bench.at(55, lost.clear)
    bench.at(90, lambda: bench.market.put(SPY_CALL, "2.00", "2.04", 50))
    assert bench.flatten() == ()
    assert bench.held() == 0
    first, *others = (at for name, at, _ in broker.calls if name == "submit")
    waited = [(at - first).total_seconds() for at in others]
    if comes_back:
        assert all(s >= 90 for s in waited)  # priced again when somebody bids, not sooner
    else:
        assert 68 <= waited[0] < 80  # 30 s without a sign of life
