"""What happens from outside of any call: each kind does what its name says, when it can be done."""

import random
from datetime import date, timedelta
from decimal import Decimal

from wsb_snake.backtest.campaign.disk import Disk
from wsb_snake.backtest.campaign.drill_chat import DrillChat
from wsb_snake.backtest.campaign.in_flight import IDLE
from wsb_snake.backtest.campaign.incarnation import Site
from wsb_snake.backtest.campaign.outside import Outside
from wsb_snake.backtest.campaign.stream_wire import StreamWire
from wsb_snake.core.clock import VirtualClock
from wsb_snake.sim.drill_market import DrillMarket
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.fault_plan import Armed
from wsb_snake.sim.faults import FaultKind
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.seeded_faults import SeededFaults

K = FaultKind


class Scene:
    """An hour into a drill day; ``kinds`` wait to happen."""

    def __init__(self, *kinds: FaultKind) -> None:
        self.market = DrillMarket(date(2026, 11, 24), 1)
        self.start = self.market.session.open + timedelta(hours=1)
        self.clock = VirtualClock(self.start)
        armed = [Armed(kind, None, self.start) for kind in kinds]
        self.faults = SeededFaults(armed, random.Random(1), lambda: IDLE, self.start)
        self.exchange = Exchange(self.clock, self.market, 1, Rules(liquidation="never"), self.faults)
        stream = StreamWire(self.faults, self.start, random.Random(1), bytes_too=False)
        stream.up = True
        self.site = Site(
            clock=self.clock,
            exchange=self.exchange,
            stream=stream,
            disk=Disk(self.clock),
            chat=DrillChat(self.clock),
            seed=1,
            urls={},
            chosen={},
            handler=None,
            streams_quotes=False,
            engines=False,
        )
        self.outside = Outside(self.site, self.market, self.faults, random.Random(4))
        self.symbol = next(
            row.contract.symbol
            for row in self.market.contracts("SPY")
            if row.contract.expiry == self.market.day
        )

    def hold(self, qty: int = 3) -> None:
        self.exchange.hold(self.symbol, qty, Decimal(1))

    def run(self, seconds: int = 20) -> list[FaultKind]:
        """Look each second; what happened."""
        for _ in range(seconds):
            self.clock.advance_to(self.clock.monotonic() + 1)
            self.exchange.advance()
            self.outside.look()
        return [strike.kind for strike in self.faults.struck]

    def held(self) -> int:
        return self.exchange.account.qty(self.symbol)


def test_nothing_happens_outside_of_the_session() -> None:
    scene = Scene(K.CHAT_DOWN)
    scene.clock.advance_to(timedelta(hours=7).total_seconds())
    assert scene.run() == []


def test_what_needs_a_position_waits_for_one() -> None:
    scene = Scene(K.EARLY_LIQUIDATION, K.NO_BID, K.MANUAL_CLOSE)
    assert scene.run() == []
    scene.hold()
    assert scene.run()


def test_the_broker_liquidates() -> None:
    scene = Scene(K.EARLY_LIQUIDATION)
    scene.hold()
    assert scene.run() == [K.EARLY_LIQUIDATION]
    assert scene.held() == 0


def test_nobody_bids_for_a_while() -> None:
    scene = Scene(K.NO_BID)
    scene.hold()
    assert scene.run(4) == [K.NO_BID]
    quote = scene.exchange.quote(scene.symbol, scene.clock.now())
    assert quote is not None
    assert quote.bid == 0
    assert scene.faults.trouble_until == scene.start  # of other contracts it excuses nothing


def test_somebody_sells_by_hand() -> None:
    scene = Scene(K.MANUAL_CLOSE)
    scene.hold()
    assert scene.run() == [K.MANUAL_CLOSE]
    assert scene.held() < 3


def test_somebody_trades_beside_the_daemon() -> None:
    scene = Scene(*[K.FOREIGN_ORDER] * 8)
    scene.hold()
    assert set(scene.run(60)) == {K.FOREIGN_ORDER}
    foreign = scene.exchange.orders("all", 50)
    assert {order.side for order in foreign} == {"buy", "sell"}
    assert not [order for order in foreign if order.client_order_id.startswith("wsb-")]
    resting = [order for order in foreign if order.side == "sell"]
    assert all(order.open for order in resting)


def test_the_calendar_surprises_with_an_earlier_close() -> None:
    scene = Scene(K.CALENDAR_SURPRISE)
    close = scene.market.session.close
    assert scene.run() == [K.CALENDAR_SURPRISE]
    assert scene.market.session.close < close
    assert scene.market.session.close > scene.clock.now() + timedelta(hours=2)
    (today,) = scene.exchange.sessions(scene.market.day, scene.market.day)
    assert today.close == scene.market.session.close


def test_a_day_is_shortened_once_and_not_late() -> None:
    scene = Scene(K.CALENDAR_SURPRISE)
    scene.clock.advance_to(timedelta(hours=4).total_seconds())
    assert scene.run() == []
    twice = Scene(K.CALENDAR_SURPRISE, K.CALENDAR_SURPRISE)
    assert twice.run(60) == [K.CALENDAR_SURPRISE]


def test_the_house_is_in_trouble() -> None:
    scene = Scene(K.SLOW_DISK)
    scene.run(8)
    assert scene.site.disk.slow_until > scene.start
    scene = Scene(K.DISK_FULL)
    scene.run(8)
    assert scene.site.disk.full_until > scene.start
    scene = Scene(K.CHAT_DOWN)
    scene.run(8)
    assert scene.site.chat.down_until > scene.start + timedelta(seconds=20)


def test_a_stalled_disk_does_not_stall_again() -> None:
    scene = Scene(K.DISK_FULL)
    scene.site.disk.slow(scene.start + timedelta(minutes=5))
    assert scene.run() == []


def test_the_stream_falls_silent_when_it_is_up() -> None:
    scene = Scene(K.STREAM_MUTE)
    scene.site.stream.up = False
    assert scene.run() == []
    scene.site.stream.up = True
    assert scene.run() == [K.STREAM_MUTE]
    assert scene.site.stream.mute_until > scene.clock.now() - timedelta(seconds=20)
