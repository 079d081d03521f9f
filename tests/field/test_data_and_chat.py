"""Data that are late, missing or old, and words that mislead: what is read, and what is said."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collectors.test_market_data import OPEN, SESSION
from tests.collectors.test_market_data import Feed as BarFeed
from tests.engines.test_spy_scalper import breakout, look
from tests.owner.sample import facts
from tests.sim.bench import DAY, SPY_CALL, SPY_PUT, Bench
from tests.sim.bench import FakeMarket as Market
from tests.trading.world import SCALP, Trouble, world
from wsb_snake.backtest.sim_broker import SimChat
from wsb_snake.collectors.market_data import MarketData
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.occ import build
from wsb_snake.core.types import Quote, Right
from wsb_snake.engines.spy_scalper import BAR, ScalperState, scan
from wsb_snake.notifications.messages import alerts_for
from wsb_snake.notifications.outbox import Outbox
from wsb_snake.owner.web import create_app
from wsb_snake.sim.telegram_api import CHAT_ID, TelegramApi
from wsb_snake.trading.broker import Unavailable
from wsb_snake.trading.pauses import REASONS

# 26: what a pause says


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_26_a_pause_says_what_stops_what_goes_on_and_until_when(reason: str) -> None:
    """ "Trading stopped" was read as: nothing is watched any more."""
    data = {"reason": reason, "detail": "the figures", "count": 5 if reason == "alpaca" else None}
    (alert,) = alerts_for(Event(1, OPEN, EventKind.PAUSED, data))
    for part in (
        "Trading paused:",
        "New entries stop;",
        "open positions are watched and closed as usual",
        "This lasts until",
        "the figures",
    ):
        assert part in alert.text
    if reason == "alpaca":
        assert "5 consecutive Alpaca failures" in alert.text


def test_26b_the_daily_loss_trips_at_its_figure_says_it_and_never_on_a_winner(tmp_path: Path) -> None:
    """A limit struck on a winning trade, or earlier than its figure."""
    with world(tmp_path, wsb_snake_max_daily_loss_dollars=Decimal(100)) as w:
        w.open(SPY_CALL, "one")
        w.price("1.26", "1.30")
        w.until(w.outcomes, 20)  # +84
        w.run(60)
        assert w.paused() == set()
        w.price("1.00", "1.05", SPY_PUT)
        w.open(SPY_PUT, "two")
        w.price("0.86", "0.90", SPY_PUT)  # a loss on it, and still less than was won
        w.until(lambda: len(w.outcomes()) == 2, 60)
        w.run(60)
        assert w.paused() == set()
        w.price("1.00", "1.05")
        w.open(SPY_CALL, "three")
        w.price("0.50", "0.54")
        w.until(lambda: "daily_loss" in w.paused(), 60)
        w.run(1)
        (told,) = [text for text in w.alerts() if text.startswith("Trading paused")]
        assert "the limit $100.00" in told
        assert "until the next session" in told
        figure = re.search(r"the day's loss is \$([0-9.]+)", told)
        assert figure is not None and Decimal(figure[1]) >= 100
        w.until(lambda: w.held() == 0, 10)  # closing never asked


def test_26c_four_failures_are_not_five(tmp_path: Path) -> None:
    """A protection struck before the number that it names."""
    with world(tmp_path) as w:
        for _ in range(3):
            w.broker.once["account"] = [Trouble(Unavailable("timed out"))] * 4
            w.until(lambda: not w.broker.once["account"], 400)
            w.run(60)
        assert w.events("paused") == []


# 29: who may command


def test_29_what_a_stranger_writes_to_the_bot_moves_nothing(tmp_path: Path) -> None:
    """Anybody in the group could sell the positions."""
    with world(tmp_path) as w:
        telegram = TelegramApi("12345:token", w.clock)
        w.daemon.outbox = Outbox(w.database, SimChat(telegram, str(CHAT_ID)), w.clock)
        position = w.open()
        for text in ("/flatten all", "/halt", f"/close {position.symbol}", "/resume"):
            telegram.say(text, user_id=666)
            telegram.say(text, user_id=666, chat_id=666)
        w.run(120)
        assert w.position(position.position_id).qty == position.qty
        assert w.exits == []
        assert w.paused() == set()
        assert telegram.messages  # the owner's chat works
        assert {message.chat_id for message in telegram.messages} == {CHAT_ID}


def test_29b_no_page_commands_and_no_other_host_name_is_served() -> None:
    """What is open to the network only shows."""
    app = create_app(facts)
    methods = {method for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    assert methods <= {"GET", "HEAD", "OPTIONS"}
    client = app.test_client()
    assert client.get("/health", headers={"Host": "127.0.0.1:8080"}).status_code in {200, 503}
    assert client.get("/health", headers={"Host": "rebound.example"}).status_code == 400


# 42: late, missing, mute


def test_42_a_minute_without_a_bar_is_no_minute_without_volume() -> None:
    """Missing bars counted as zero: averages sank, and every bar looked like a surge."""
    bars = breakout(volume=1.2)
    assert look(bars) is None
    thin = [bar for n, bar in enumerate(bars) if n % 2 == 0 or n > len(bars) - 12]
    assert len(thin) < len(bars)
    assert look(thin) is None
    assert look(breakout(volume=1.4)) is not None


def test_42b_bars_that_are_five_minutes_late_give_no_signal() -> None:
    """A feed that lags shows yesterday's opportunity."""
    bars = breakout()
    end = bars[-1].start + BAR
    for late in (timedelta(minutes=3), timedelta(minutes=5), timedelta(minutes=20)):
        signals, _ = scan({"SPY": bars}, end + late, SESSION, ScalperState())
        assert signals == ()
    assert scan({"SPY": bars}, end, SESSION, ScalperState())[0]


def test_42c_a_bar_that_comes_late_is_taken_up() -> None:
    """It was asked for once, was not there, and stayed a hole."""
    clock = VirtualClock(OPEN)
    feed = BarFeed(hold_back=lambda bar: bar.start == OPEN + 4 * BAR)
    market = MarketData(feed, None, clock)
    first = market.bars(("SPY",), SESSION, OPEN + 5 * BAR)
    assert [bar.start for bar in first.bars["SPY"]] == [OPEN + n * BAR for n in range(4)]
    feed.hold_back = lambda bar: False
    then = market.bars(("SPY",), SESSION, OPEN + 6 * BAR)
    assert [bar.start for bar in then.bars["SPY"]] == [OPEN + n * BAR for n in range(6)]


def test_42d_an_old_quote_opens_nothing_and_stops_nothing_and_time_goes_on(tmp_path: Path) -> None:
    """The feed was mute; entries went on, exits did not."""
    with world(tmp_path) as w:
        w.open(plan=replace(SCALP, max_hold_s=600))
        stamp = w.clock.now() - timedelta(seconds=20)
        w.market.stale[SPY_CALL] = w.market.stale[SPY_PUT] = stamp
        w.price("0.50", "0.54")
        assert w.enter(SPY_PUT, "two") is None
        assert "s old" in w.refusals()[-1]
        w.run(120)
        assert w.exits == []
        assert w.events("no_quote")
        w.until(w.outcomes, 700)
        assert w.outcomes()[0]["exit_reason"] == "time"


def test_42e_of_a_backlog_of_quotes_only_the_newest_counts(tmp_path: Path) -> None:
    """A slow reader decided on prices of ten seconds ago."""
    with world(tmp_path) as w:
        w.open()
        w.run(20)
        now = w.clock.now().replace(microsecond=0)
        low = Quote(SPY_CALL, Decimal("0.50"), Decimal("0.54"), 5, 5, now)
        for age in (20, 10, 5, 2, 1):
            w.daemon.take_quote(replace(low, at=now - timedelta(seconds=age)))
        w.run(10)
        assert w.exits == []


# 43: one price settles all


@pytest.mark.parametrize("settlement", [665.0, 670.0, 675.5])
def test_43_every_contract_of_one_underlying_settles_at_one_price(settlement: float) -> None:
    """Two legs were settled at two prices of the same moment.

    We trade no spreads. The rule of the embedded exchange: at settlement there is one official close
    for each underlying, whatever the spot does meanwhile, so that a call and a put of one strike are
    never both exercised, and what they bring adds up.
    """

    class Moving(Market):
        def spot(self, symbol: str, at: object) -> float:
            return next(ticks)

    ticks = iter(660.0 + n for n in range(10_000))
    bench = Bench("15:59", cash="1000000")
    bench.exchange.market = bench.market = Moving(DAY)
    bench.market.settlements["SPY"] = settlement
    strikes = (660, 670, 680)
    calls = [build("SPY", DAY, Right.CALL, Decimal(strike)) for strike in strikes]
    for symbol in calls:
        bench.exchange.hold(symbol, 1, Decimal(1))
    cash = bench.exchange.account.cash
    bench.to("16:46")
    exercised = [strike for strike in strikes if settlement - strike >= 0.01]
    assert bench.exchange.account.qty("SPY") == 100 * len(exercised)
    assert bench.exchange.account.cash == cash - sum(strike * 100 for strike in exercised)
    kinds = [activity.type for activity in bench.exchange.activities()]
    assert kinds.count("OPEXC") == len(exercised)
    assert kinds.count("OPEXP") == len(strikes) - len(exercised)
