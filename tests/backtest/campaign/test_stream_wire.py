"""The trade stream of a drill between an exchange and a daemon."""

import random
from datetime import timedelta
from typing import cast

import pytest

from tests.sim.bench import SPY_CALL, Bench
from wsb_snake.backtest.campaign.in_flight import IDLE
from wsb_snake.backtest.campaign.stream_wire import StreamWire
from wsb_snake.core.hub import Hub
from wsb_snake.daemon import Daemon
from wsb_snake.sim.fault_plan import Armed
from wsb_snake.sim.faults import FaultKind
from wsb_snake.sim.seeded_faults import SeededFaults
from wsb_snake.trading.broker import TradeUpdate


class Listener:
    """Takes what a daemon's stream lane would take."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.states: list[bool] = []

    def take_update(self, update: TradeUpdate) -> None:
        self.heard.append(update.event)

    def take_stream_state(self, up: bool) -> None:
        self.states.append(up)


class Line:
    """An exchange, a wire with one fault armed ``times`` over, and a listener at its end."""

    def __init__(self, kind: FaultKind | None = None, times: int = 20) -> None:
        self.bench = Bench()
        start = self.bench.clock.now()
        armed = [Armed(kind, None, start) for _ in range(times)] if kind is not None else []
        faults = SeededFaults(armed, random.Random(2), lambda: IDLE, start)
        self.wire = StreamWire(faults, start, random.Random(3), bytes_too=True)
        self.hub = Hub(self.bench.clock, 1)
        self.listener = Listener()
        self.bench.exchange.on_trade_update(self.wire.tell)
        self.wire.connect(cast(Daemon, self.listener), self.hub)

    def trade(self, times: int = 1) -> list[str]:
        """Buy ``times`` over; what was emitted."""
        for _ in range(times):
            self.bench.buy(SPY_CALL)
            self.run(1)
        return self.bench.events()

    def run(self, seconds: float) -> None:
        end = self.bench.clock.monotonic() + seconds
        self.hub.spawn(f"wait {end}", lambda: self.hub.sleep(seconds))
        self.hub.run(lambda: self.bench.clock.monotonic() >= end)
        self.bench.exchange.advance()


def test_everything_arrives_once_and_in_order() -> None:
    line = Line()
    assert line.listener.states == [True]
    assert line.trade(3) == line.listener.heard
    assert len(line.listener.heard) == 6


@pytest.mark.parametrize(
    ("kind", "fewer", "more"),
    [(FaultKind.EVENT_LOST, True, False), (FaultKind.EVENT_TWICE, False, True)],
)
def test_events_are_lost_or_doubled(kind: FaultKind, fewer: bool, more: bool) -> None:
    line = Line(kind)
    emitted = line.trade(6)
    line.run(60)
    assert (len(line.listener.heard) < len(emitted)) is fewer
    assert (len(line.listener.heard) > len(emitted)) is more


def test_late_events_arrive_in_the_end() -> None:
    line = Line(FaultKind.EVENT_LATE)
    emitted = line.trade(6)
    assert len(line.listener.heard) < len(emitted)
    line.run(60)
    assert sorted(line.listener.heard) == sorted(emitted)


def test_events_overtake_each_other() -> None:
    line = Line(FaultKind.EVENTS_REORDERED)
    emitted = line.trade(6)
    line.run(10)
    assert line.listener.heard != emitted
    assert sorted(line.listener.heard) == sorted(emitted)


def test_malformed_frames_are_dropped() -> None:
    line = Line(FaultKind.MALFORMED_FRAME)
    assert len(line.listener.heard) < len(line.trade(6))


def test_a_mute_stream_is_up_and_tells_nothing_until_then() -> None:
    line = Line()
    line.wire.mute(line.bench.clock.now() + timedelta(seconds=10))
    line.trade()
    assert line.listener.heard == []
    assert line.wire.up
    line.run(10)
    line.trade()
    assert line.listener.heard == ["new", "fill"]


def test_a_flapping_stream_ends_up() -> None:
    line = Line()
    line.wire.flap()
    line.run(120)
    assert line.listener.states.count(False) >= 3
    assert line.listener.states[-1] is True
    assert line.wire.up


def test_a_dead_process_hears_nothing() -> None:
    line = Line()
    line.wire.hang_up()
    line.trade()
    assert line.listener.heard == []
    assert not line.wire.up
