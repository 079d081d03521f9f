"""A whole look at the universe through the real clients, against the embedded exchange."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.sim.serving import DAY, KEY, POLYGON_KEY, SECRET, World, served
from tests.trading.test_alpaca_on_exchange import PATIENT, in_process
from wsb_snake.collectors.alpaca_data import REQUESTS_A_MINUTE, AlpacaData
from wsb_snake.collectors.market_data import DataError, MarketData
from wsb_snake.collectors.polygon_data import PolygonData
from wsb_snake.core.calendar import Session
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.transport import Handler, Transport, WireReply, WireRequest
from wsb_snake.core.types import Bar, Chain, Headline
from wsb_snake.sim.sessions import session_before, sessions
from wsb_snake.sim.universe import UNIVERSE

NAMES = tuple(name.symbol for name in UNIVERSE)
ZERO_DTE = ("SPY", "QQQ", "IWM", "TSLA", "NVDA", "AAPL")
NO_ALPACA = b'{"message": "internal server error"}'


@dataclass
class Seen:
    """What one look came to; what did not come is in ``lacks``."""

    bars: dict[str, tuple[Bar, ...]]
    degraded: bool
    daily: dict[str, list[Bar]]
    past: dict[str, tuple[tuple[Bar, ...], ...]]
    news: dict[str, tuple[Headline, ...]]
    chains: dict[str, Chain]
    lacks: dict[str, str]


class Eyes:
    """Alpaca with Polygon on ``plan`` behind it, in the exchange's own process."""

    def __init__(self, world: World, plan: str) -> None:
        self.world = world
        self.alpaca_answers = True
        lanes = ThreadLanes(world.clock)
        transport = Transport(lanes, PATIENT, self._handler(in_process(world)))
        alpaca = AlpacaData(KEY, SECRET, world.http, "iex", "indicative", lanes, transport)
        polygon = PolygonData(POLYGON_KEY, world.http, plan, lanes, transport)
        self.data = MarketData(alpaca, polygon, world.clock)
        self.session = _session(world.market.session)

    def _handler(self, exchange: Handler) -> Handler:
        def handle(request: WireRequest) -> WireReply:
            is_polygon = "authorization" in {name.lower() for name in request.headers}
            if not is_polygon and not self.alpaca_answers:
                return WireReply(500, (("Content-Type", "application/json"),), NO_ALPACA)
            return exchange(request)

        return handle

    def sent(self) -> int:
        return sum(self.data.requests.values())

    def look(self) -> Seen:
        """What the pipeline asks for, in its order."""
        data, now, lacks = self.data, self.world.clock.now(), {}

        def tried(what: str, ask: Any) -> Any:
            try:
                return ask()
            except DataError as error:
                lacks[what] = str(error)
                return {}

        view = data.bars(NAMES, self.session, now)
        before = session_before(DAY).day
        past = [_session(s) for s in sessions(DAY - timedelta(days=30), before)][-14:]
        daily = tried("daily", lambda: data.daily_bars(NAMES, DAY - timedelta(days=120), before))
        earlier = tried("past", lambda: data.past_sessions(["SPY"], past))
        news = tried("news", lambda: data.news(NAMES, now - timedelta(days=1), now))
        if tried("vix", lambda: data.vix(now)) is None:
            lacks["vix"] = "unknown"
        chains = {
            name: tried(name, lambda n=name: data.pressure_chain(n, DAY, view.bars[n][-1].close, now))
            for name in ZERO_DTE
            if view.bars.get(name)
        }
        chains = {name: chain for name, chain in chains.items() if chain}
        return Seen(dict(view.bars), view.degraded, daily, earlier, news, chains, lacks)


def _session(of: Any) -> Session:
    return Session(of.day, of.open, of.close)


@pytest.fixture(params=["free", "advanced"])
def eyes(request: pytest.FixtureRequest) -> Any:
    with served() as world:
        yield Eyes(world, request.param)


def test_a_look_takes_six_requests_and_one_for_each_old_chain(eyes: Eyes) -> None:
    first = eyes.look()
    assert set(first.bars) == set(first.daily) == set(first.news) == set(NAMES)
    assert not first.degraded
    assert set(first.chains) == set(ZERO_DTE)
    assert any(first.news.values())
    assert len(first.daily["PL"]) >= 50
    assert len(first.past["SPY"]) == 14
    assert eyes.sent() <= 6 + len(ZERO_DTE)
    for seconds, chains in ((30, 0), (300, 0), (300, len(ZERO_DTE)), (600, len(ZERO_DTE))):
        eyes.world.pass_time(seconds)
        sent = eyes.sent()
        again = eyes.look()
        assert eyes.sent() - sent <= 3 + chains <= REQUESTS_A_MINUTE // 2
        assert (set(again.bars), set(again.chains)) == (set(NAMES), set(ZERO_DTE))
        assert again.chains["SPY"].at <= eyes.world.clock.now()


def test_what_the_free_plan_lacks_is_unknown_and_said() -> None:
    with served() as world:
        free, advanced = Eyes(world, "free"), Eyes(world, "advanced")
        rows = free.look().chains["SPY"].rows
        assert rows
        assert all(row.open_interest is None for row in rows)
        assert any(row.volume for row in rows)
        assert any("open interest: the free plan" in error for error in free.data.errors)
        known = advanced.look().chains["SPY"].rows
        assert [row.contract for row in known] == [row.contract for row in rows]
        assert all(row.open_interest is not None for row in known)
        assert advanced.data.errors == ()
        world.pass_time(601)
        later = advanced.look().chains["SPY"].rows
        assert sum(row.open_interest is not None for row in later) > len(later) // 2


def test_on_the_free_plan_alone_a_look_still_completes_degraded_and_says_so() -> None:
    with served() as world:
        eyes = Eyes(world, "free")
        eyes.alpaca_answers = False
        seen = eyes.look()
        assert seen.degraded
        assert set(seen.bars) == {"SPY", "QQQ", "IWM", "AAPL", "AMD"}  # five requests a minute
        assert eyes.data.requests["polygon"] == 5
        assert eyes.data.last_error == "alpaca iex: bars: HTTP 500: internal server error"
        assert {"daily", "past", "news", "SPY"} <= set(seen.lacks)
        assert seen.chains == {}
        names = set(seen.daily)
        for _ in range(7):
            for seconds in (25, 36):
                world.pass_time(seconds)
                seen = eyes.look()
                assert seen.degraded
                assert "SPY" in seen.bars
        assert eyes.data.requests["polygon"] <= 5 * 8
        assert names <= set(NAMES)
        eyes.alpaca_answers = True
        world.pass_time(61)
        well = eyes.look()
        assert (set(well.bars), well.degraded) == (set(NAMES), False)
