"""The seeded market as the exchange sees it."""

import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Right
from wsb_snake.sim.market import Market, SeededMarket
from wsb_snake.sim.sessions import session_before, sessions

DAY = date(2026, 11, 24)
MINUTE = timedelta(minutes=1)

DIGEST = """
import hashlib, sys
from datetime import date, timedelta
from wsb_snake.sim.market import SeededMarket
market = SeededMarket(date(2026, 11, 24), 7)
lines = []
for symbol in sys.argv[1].split(","):
    at = market.session.open + timedelta(hours=1)
    rows = market.contracts(symbol)
    line = [market.stock_quote(symbol, at), market.bars(symbol, market.session.open, at, at), rows[::9]]
    line += [market.option_quote(row.contract.symbol, at) for row in rows[::9]]
    line += [market.daily_bars(symbol, date(2026, 9, 1), market.day)]
    lines.append(repr(line))
print(hashlib.sha256("\\n".join(sorted(lines)).encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def market() -> SeededMarket:
    return SeededMarket(DAY, 7)


def digest(order: str, hash_seed: str) -> str:
    """The hash of many answers of a market made in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", DIGEST, order],
        env={"PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_answers_depend_neither_on_hash_seed_nor_on_the_order_of_questions() -> None:
    assert digest("SPY,TSLA,POET", "0") == digest("POET,SPY,TSLA", "4242")


def test_seeds_differ() -> None:
    at = from_eastern(DAY, time(11, 0))
    assert SeededMarket(DAY, 1).spot("SPY", at) != SeededMarket(DAY, 2).spot("SPY", at)


def test_it_is_a_market(market: SeededMarket) -> None:
    port: Market = market
    assert port.day == DAY
    assert port.session.day == DAY
    assert not port.synthetic_bars
    assert {"SPY", "NVDA", "PYPL"} < set(port.symbols())


@pytest.mark.parametrize("day", [date(2026, 11, 26), date(2026, 11, 28), date(2022, 1, 3), date(2019, 1, 2)])
def test_days_without_a_session_are_refused(day: date) -> None:
    with pytest.raises(ValueError, match="no session"):
        SeededMarket(day, 1)


def test_bars_are_the_path_minute_by_minute(market: SeededMarket) -> None:
    session = market.session
    bars = market.bars("QQQ", session.open, session.close, session.close)
    assert [bar.start for bar in bars] == [session.open + n * MINUTE for n in range(390)]
    for bar in bars[::13]:
        path = [market.spot("QQQ", bar.start + timedelta(seconds=s)) for s in range(60)]
        assert (bar.open, bar.high, bar.low, bar.close) == (path[0], max(path), min(path), path[-1])
        assert bar.vwap == pytest.approx(sum(path) / 60, abs=1e-3)
    assert bars[-1].close == market.settlement("QQQ") == market.spot("QQQ", session.close + MINUTE)


def test_bars_never_come_from_the_future(market: SeededMarket) -> None:
    session = market.session
    for seconds in (0, 59, 60, 61, 3599, 3600, 23_400):
        now = session.open + timedelta(seconds=seconds)
        bars = market.bars("SPY", session.open, session.close, now)
        assert len(bars) == seconds // 60
        assert all(bar.start + MINUTE <= now for bar in bars)


def test_bars_begin_at_the_start_and_end_before_the_end(market: SeededMarket) -> None:
    opened = market.session.open
    start, end = opened + 10 * MINUTE, opened + 20 * MINUTE
    bars = market.bars("SPY", start, end, market.session.close)
    assert [bar.start for bar in bars] == [start + n * MINUTE for n in range(10)]
    assert market.bars("SPY", start + timedelta(seconds=1), end, market.session.close)[0].start > start


def test_minutes_without_trades_have_no_bar(market: SeededMarket) -> None:
    session = market.session
    quiet = market.bars("SLS", session.open, session.close, session.close)
    assert 300 < len(quiet) < 385
    assert all(bar.volume > 0 for bar in quiet)
    assert quiet[0].start == session.open


def test_today_is_the_history_of_tomorrow(market: SeededMarket) -> None:
    tomorrow = SeededMarket(date(2026, 11, 25), 7)
    for symbol in ("SPY", "TSLA", "GLD"):
        live = market.bars(symbol, market.session.open, market.session.close, market.session.close)
        later = tomorrow.bars(symbol, market.session.open, market.session.close, tomorrow.session.open)
        assert later == live
        (daily,) = tomorrow.daily_bars(symbol, DAY, DAY)
        assert daily.start == from_eastern(DAY, time())
        assert daily.open == live[0].open
        assert daily.high == max(bar.high for bar in live)
        assert daily.low == min(bar.low for bar in live)
        assert daily.close == live[-1].close == market.settlement(symbol)
        assert daily.volume == pytest.approx(sum(bar.volume for bar in live), rel=1e-3)
        before = tomorrow.session.open - timedelta(hours=6)
        assert tomorrow.spot(symbol, before) == daily.close


def test_daily_bars_are_earlier_sessions_only(market: SeededMarket) -> None:
    bars = market.daily_bars("AAPL", date(2026, 8, 3), DAY)
    past = sessions(date(2026, 8, 3), date(2026, 11, 23))
    assert len(bars) >= 60
    assert [bar.start for bar in bars] == [from_eastern(session.day, time()) for session in past]
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)


def test_before_the_open_the_price_leads_from_the_close_to_the_open(market: SeededMarket) -> None:
    opened = market.session.open
    (before,) = market.daily_bars("SPY", session_before(DAY).day, DAY)
    assert market.spot("SPY", opened - timedelta(hours=10)) == before.close
    between = market.spot("SPY", opened - timedelta(hours=2))
    low, high = sorted((before.close, market.spot("SPY", opened)))
    assert low <= between <= high


def test_stock_quotes_surround_the_price(market: SeededMarket) -> None:
    for symbol in ("SPY", "META", "SLS"):
        for seconds in (-3600, 0, 4321, 23_399, 25_000):
            at = market.session.open + timedelta(seconds=seconds, milliseconds=250)
            quote = market.stock_quote(symbol, at)
            assert 0 < quote.bid < quote.ask
            assert quote.at == at - timedelta(milliseconds=250)
            assert float(quote.bid) - 0.011 <= market.spot(symbol, at) <= float(quote.ask) + 0.011
    assert market.stock_quote("SPY", market.session.open).spread == Decimal("0.01")


def test_option_quotes_are_frozen_outside_the_session(market: SeededMarket) -> None:
    session = market.session
    symbol = market.contracts("SPY")[400].contract.symbol
    early = market.option_quote(symbol, session.open - timedelta(minutes=5))
    late = market.option_quote(symbol, session.close + timedelta(minutes=5))
    assert early is not None
    assert late is not None
    assert early.at == session_before(DAY).close
    assert late.at == session.close


def test_a_quote_depends_on_the_second_only(market: SeededMarket) -> None:
    at = market.session.open + timedelta(minutes=77)
    symbol = market.contracts("SPY")[200].contract.symbol
    first = market.option_quote(symbol, at)
    market.option_quote(symbol, at + timedelta(minutes=5))
    assert market.option_quote(symbol, at) == first
    assert market.option_quote(symbol, at + timedelta(milliseconds=900)) == first
    assert market.option_quote(symbol, at + timedelta(minutes=5)) != first


@pytest.mark.parametrize("symbol", ["SPY", "XYZ", "", "SPY261124C00001000", "XYZ261124C00700000", "C" * 40])
def test_what_is_not_listed_has_no_quote(market: SeededMarket, symbol: str) -> None:
    at = market.session.open + timedelta(hours=1)
    assert market.option_quote(symbol, at) is None
    assert market.implied_volatility(symbol, at) is None
    assert market.option_volume(symbol, at) == 0


def test_unknown_names(market: SeededMarket) -> None:
    assert market.contracts("XYZ") == ()
    with pytest.raises(KeyError):
        market.spot("XYZ", market.session.open)


def test_option_volume_only_grows(market: SeededMarket) -> None:
    spot = market.spot("SPY", market.session.open)
    row = min(
        market.contracts("SPY"), key=lambda r: (r.contract.expiry, abs(float(r.contract.strike) - spot))
    )
    moments = [market.session.open + timedelta(seconds=s) for s in range(-60, 23_500, 97)]
    counts = [market.option_volume(row.contract.symbol, at) for at in moments]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 1000


def test_volume_follows_movement() -> None:
    """Minutes that move three deviations trade on average twice what the half hour before did."""
    spikes: list[float] = []
    links = []
    for session in sessions(date(2026, 10, 1), date(2026, 10, 16)):
        market = SeededMarket(session.day, 21)
        bars = market.bars("SPY", session.open, session.close, session.close)
        moves = np.abs([bar.close - bar.open for bar in bars])
        volumes = np.array([bar.volume for bar in bars])
        links.append(np.corrcoef(moves, volumes)[0, 1])
        usual = [moves[n - 30 : n].mean() * 1.25 for n in range(60, 330)]  # mean |x| is 0.8 deviations
        far = [n for n, deviation in zip(range(60, 330), usual, strict=True) if moves[n] > 3 * deviation]
        spikes += [volumes[n] / volumes[n - 30 : n].mean() for n in far]
    assert np.mean(links) > 0.35
    assert len(spikes) > 20
    assert np.mean(spikes) > 2


def test_a_scalper_finds_momentum_surges_and_breakouts_on_most_days() -> None:
    days = sessions(date(2026, 9, 1), date(2026, 9, 22))
    for symbol in ("SPY", "QQQ", "IWM"):
        surges = breakouts = 0
        for session in days:
            bars = SeededMarket(session.day, 100).bars(symbol, session.open, session.close, session.close)
            close, volume = np.array([b.close for b in bars]), np.array([b.volume for b in bars])
            high = np.array([b.high for b in bars])
            busy = [n for n in range(31, 330) if volume[n] > 1.5 * volume[n - 20 : n].mean()]
            surges += any(abs(close[n] / close[n - 5] - 1) >= 0.0015 for n in busy)
            breakouts += any(close[n] > high[n - 30 : n].max() for n in busy)
        assert surges >= 0.7 * len(days), symbol
        assert breakouts >= 0.7 * len(days), symbol


def test_at_the_money_premiums_reach_target_and_stop_within_45_minutes() -> None:
    """Bought at the ask every hour of ten days: both exits happen often, and neither always."""
    targets = stops = 0
    entries = 0
    for session in sessions(date(2026, 9, 1), date(2026, 9, 15)):
        market = SeededMarket(session.day, 100)
        rows = [r.contract for r in market.contracts("SPY") if r.contract.expiry == session.day]
        for minutes in (45, 105, 165, 225, 285):
            at = session.open + timedelta(minutes=minutes)
            spot = market.spot("SPY", at)
            calls = [c for c in rows if c.right is Right.CALL]
            symbol = min(calls, key=lambda c: abs(float(c.strike) - spot)).symbol
            entry = market.option_quote(symbol, at)
            assert entry is not None
            entries += 1
            for wait in range(5, 2700, 15):
                quote = market.option_quote(symbol, at + timedelta(seconds=wait))
                assert quote is not None
                if float(quote.bid / entry.ask) >= 1.2:
                    targets += 1
                    break
                if float(quote.mid / entry.ask) <= 0.85:
                    stops += 1
                    break
    assert targets > 0.2 * entries
    assert stops > 0.3 * entries


def test_the_vix_moves_against_the_index(market: SeededMarket) -> None:
    moments = [market.session.open + timedelta(minutes=n) for n in range(0, 390, 30)]
    levels = [market.vix(at) for at in moments]
    spots = [market.spot("SPY", at) for at in moments]
    assert all(5 < level < 90 for level in levels)
    assert np.corrcoef(levels, spots)[0, 1] < -0.9
    assert market.vix(market.session.open - timedelta(days=30)) > 5


def test_a_half_day_ends_at_thirteen_hours() -> None:
    market = SeededMarket(date(2026, 11, 27), 7)
    session = market.session
    bars = market.bars("SPY", session.open, session.close + timedelta(hours=3), session.close)
    assert len(bars) == 210
    symbol = next(r.contract.symbol for r in market.contracts("RKLB") if r.contract.expiry == market.day)
    assert market.implied_volatility(symbol, session.close - MINUTE) is not None
    assert market.implied_volatility(symbol, session.close) is None


def test_moments_of_any_zone_mean_the_same(market: SeededMarket) -> None:
    at = market.session.open + timedelta(hours=1)
    elsewhere: datetime = at.astimezone(from_eastern(DAY, time()).tzinfo)
    assert market.spot("SPY", elsewhere) == market.spot("SPY", at)
