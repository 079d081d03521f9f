"""The campaign's checks beside the real daemon in a world whose every price the test sets."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from tests.trading.world import World, world
from wsb_snake.backtest.campaign.book_checks import BookChecks
from wsb_snake.backtest.campaign.closing_checks import ClosingChecks
from wsb_snake.backtest.campaign.in_flight import IDLE
from wsb_snake.backtest.campaign.order_checks import OrderChecks
from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.sim.drillable import MarketUnderDrill
from wsb_snake.sim.seeded_faults import SeededFaults
from wsb_snake.trading.broker import BrokerOrder, OrderTicket, Rejected


class Watch:
    """The checks of one started world; ``each_second`` lets those that go by steps run along."""

    def __init__(self, w: World) -> None:
        self.world = w
        self.findings = Findings(w.clock)
        self.faults = SeededFaults((), random.Random(1), lambda: IDLE, w.clock.now())
        self.orders = OrderChecks(w.exchange, self.findings)
        market = cast(MarketUnderDrill, w.market)  # session and day are all that is asked for
        self.closing = ClosingChecks(w.exchange, market, self.faults, self.findings)
        self.book = BookChecks(w.exchange, self.faults, self.findings)
        w.exchange.on_trade_update(self.orders.on_update)
        self._send = w.broker.submit
        w.broker.submit = self._submit  # type: ignore[method-assign]

    def _submit(self, ticket: OrderTicket) -> BrokerOrder:
        self.orders.sending(ticket, self.world.desk)
        try:
            return self._send(ticket)
        except Rejected as error:
            self.orders.refused(ticket, error)
            raise

    def each_second(self) -> None:
        def run() -> None:
            while True:
                self.closing.step(self.world.desk)
                self.book.step(self.world.desk, self.orders.last_fill_at)
                self.world.hub.sleep(1.0)

        self.world.hub.spawn("checks", run)

    def broken(self, promise: Promise) -> list[str]:
        return [found.text for found in self.findings.violations if found.promise is promise]


@contextmanager
def watched(folder: Path, wall: str = "10:00", **options: Any) -> Iterator[Watch]:
    """A started world under the checks."""
    with world(folder, wall, **options) as w:
        yield Watch(w)
