"""Data in process against the real clients on the same exchange: no depth knows more than another."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.sim.serving import DAY, World, served
from tests.trading.test_alpaca_on_exchange import PATIENT, Desk, in_process
from wsb_snake.backtest.sim_source import SimSource, SimVix
from wsb_snake.core.lanes import ThreadLanes

NAMES = ("SPY", "QQQ", "SLV", "NOPE")


class Depths:
    """Both ways to each vendor."""

    def __init__(self, world: World) -> None:
        self.world = world
        lanes = ThreadLanes(world.clock)
        real = Desk(world, in_process(world), PATIENT)
        self.pairs = (
            (SimSource(world.exchange, lanes), real.alpaca),
            (SimVix(world.exchange, lanes), real.polygon),
        )

    def strikes(self) -> tuple[Decimal, Decimal]:
        spot = Decimal(int(self.world.market.spot("SPY", self.world.clock.now())))
        return spot - Decimal("40.5"), spot + Decimal("40.5")


@pytest.fixture(scope="module")
def depths() -> Iterator[Depths]:
    with served() as world:
        yield Depths(world)


def test_bars_of_any_day(depths: Depths) -> None:
    now = depths.world.clock.now()
    for near, far in depths.pairs:
        for start in (now - timedelta(minutes=30), now - timedelta(days=20)):
            found = near.bars(NAMES, start, now)
            assert found == far.bars(NAMES, start, now)
            assert (bool(found["SPY"]), found["NOPE"]) == (True, [])


def test_daily_bars(depths: Depths) -> None:
    for near, far in depths.pairs:
        first, last = DAY - timedelta(days=90), DAY - timedelta(days=1)
        found = near.daily_bars(NAMES, first, last)
        assert found == far.daily_bars(NAMES, first, last)
        assert (len(found["SPY"]) > 55, found["NOPE"]) == (True, [])


@pytest.mark.parametrize("days", [0, 3, 400])
def test_chains_with_all_that_the_vendor_tells(depths: Depths, days: int) -> None:
    last, (low, high) = DAY + timedelta(days=days), depths.strikes()
    for near, far in depths.pairs:
        rows = near.chain("SPY", DAY, last, low, high)
        assert rows == far.chain("SPY", DAY, last, low, high)
        assert len(rows) > 50
        assert {row.contract.expiry for row in rows} > {DAY} or days == 0
        assert any(row.volume for row in rows)
        assert any(row.implied_volatility and row.delta for row in rows)
        assert {row.open_interest is not None for row in rows} == {isinstance(near, SimVix)}
        assert near.chain("NOPE", DAY, DAY, low, high) == ()


def test_headlines_and_the_index(depths: Depths) -> None:
    now = depths.world.clock.now()
    start, end = now - timedelta(days=30), now + timedelta(hours=3)
    for near, far in depths.pairs:
        found = near.news(("SPY", "TSLA"), start, end)
        assert set(found) == set(far.news(("SPY", "TSLA"), start, end))
        assert found
        assert all(item.at <= now for item in found)
        assert near.vix() == far.vix()


def test_a_call_takes_as_many_requests_as_it_has_pages(depths: Depths) -> None:
    now = depths.world.clock.now()
    for near, far in depths.pairs:
        already = near.sent - far.sent
        for source in (near, far):
            before = source.sent
            source.bars(("SPY", "QQQ"), now - timedelta(days=30), now)
            source.chain("SPY", DAY, DAY + timedelta(days=60), *depths.strikes())
            source.news(depths.world.market.symbols(), now - timedelta(days=30), now)
            assert source.sent - before > 4
        assert near.sent - far.sent == already
