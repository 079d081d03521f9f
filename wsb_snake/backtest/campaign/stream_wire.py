"""The trade stream between the exchange and the daemon: it loses, doubles, delays and falls silent."""

import random
from datetime import datetime
from functools import partial

from wsb_snake.core.hub import Hub
from wsb_snake.daemon import Daemon
from wsb_snake.sim import alpaca_json
from wsb_snake.sim.orders import TradeUpdateMessage
from wsb_snake.sim.seeded_faults import SeededFaults
from wsb_snake.trading import alpaca_wire as wire

FLAPS = (3, 5)


class StreamWire:
    """One day's stream. ``bytes_too``: frames may be garbled as well."""

    def __init__(
        self, faults: SeededFaults, start: datetime, luck: random.Random, *, bytes_too: bool
    ) -> None:
        self._faults = faults
        self._luck = luck
        self._bytes_too = bytes_too
        self._daemon: Daemon | None = None
        self._hub: Hub | None = None
        self._emitted = 0
        self.up = False
        self.mute_until = start

    def connect(self, daemon: Daemon, hub: Hub) -> None:
        """A process has opened its stream; nothing of before is sent again."""
        self._daemon, self._hub = daemon, hub
        self._set(up=True)

    def hang_up(self) -> None:
        """The process is gone."""
        self._daemon, self._hub, self.up = None, None, False

    def mute(self, until: datetime) -> None:
        self.mute_until = until

    def flap(self) -> None:
        """Go down and come back a few times."""
        if self._hub is not None:
            self._hub.spawn(f"flap {self._emitted}", self._flap)

    def _flap(self) -> None:
        hub = self._hub
        for _ in range(self._luck.randint(*FLAPS)):
            if hub is None or hub is not self._hub:
                return
            self._set(up=False)
            hub.sleep(self._luck.uniform(0.3, 6.0))
            self._set(up=True)
            hub.sleep(self._luck.uniform(0.5, 4.0))

    def _set(self, *, up: bool) -> None:
        self.up = up
        if self._daemon is not None:
            self._daemon.take_stream_state(up)

    def tell(self, message: TradeUpdateMessage) -> None:
        """What the exchange emits, on its way."""
        hub = self._hub
        self._emitted += 1
        if hub is None or not self.up or hub.clock.now() < self.mute_until:
            return
        for number, delay in enumerate(self._faults.deliveries(hub.clock.now())):
            if delay:
                hub.spawn(f"frame {self._emitted}.{number}", partial(self._later, hub, delay, message))
            else:
                self._deliver(message)

    def _later(self, hub: Hub, delay: float, message: TradeUpdateMessage) -> None:
        hub.sleep(delay)
        if hub is self._hub and self.up:
            self._deliver(message)

    def _deliver(self, message: TradeUpdateMessage) -> None:
        if self._daemon is None or self._hub is None:
            return
        frame: dict[str, object] = {"data": alpaca_json.trade_update_json(message)}
        if self._bytes_too and self._faults.garbles(self._hub.clock.now()):
            frame = self._luck.choice([{"data": None}, {"data": {"event": "fill"}}, {"stream": "listening"}])
        try:
            update = wire.trade_update(frame)
        except ValueError:
            return  # the reader tells of it and goes on
        self._daemon.take_update(update)
