"""Views of one ticker for the components of the orchestrator: by hand, noise, and seeded days."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.pricing import price, years_to_expiry
from wsb_snake.core.types import Bar, Chain, ChainRow, Contract, Headline, Quote, Right
from wsb_snake.engines.components import Component
from wsb_snake.engines.types import Direction, MarketView
from wsb_snake.sim.market import SeededMarket

MINUTE = timedelta(minutes=1)
DAY = date(2026, 11, 24)
OPEN = from_eastern(DAY, time(9, 30))
SESSION = Session(DAY, OPEN, from_eastern(DAY, time(16, 0)))
VOLUME = 1000.0
TICKER = "XYZ"


def bar(close: float, *, opened: float | None = None, volume: float = 1.0, wick: float = 0.01) -> Bar:
    """``volume`` in multiples of the usual; the time is set by ``tape``."""
    opened = close if opened is None else opened
    return Bar(
        TICKER,
        OPEN,
        opened,
        max(opened, close) + wick,
        min(opened, close) - wick,
        close,
        volume * VOLUME,
        0.0,
    )


def tape(bars: Sequence[Bar], start: datetime = OPEN) -> list[Bar]:
    return [replace(item, start=start + n * MINUTE) for n, item in enumerate(bars)]


def steps(closes: Sequence[float], volumes: Sequence[float] | None = None, wick: float = 0.01) -> list[Bar]:
    """Bars that each open where the one before closed, from the open of the session."""
    volumes = [1.0] * len(closes) if volumes is None else volumes
    opens = [closes[0], *closes]
    return tape(
        [
            bar(close, opened=opened, volume=volume, wick=wick)
            for close, opened, volume in zip(closes, opens, volumes, strict=False)
        ]
    )


def mirrored(bars: Sequence[Bar]) -> list[Bar]:
    """The same bars upside down around 100."""
    return [
        replace(item, open=200 - item.open, high=200 - item.low, low=200 - item.high, close=200 - item.close)
        for item in bars
    ]


def view(
    bars: Sequence[Bar],
    now: datetime | None = None,
    *,
    previous_close: float | None = None,
    chain: Chain | None = None,
    news: Mapping[str, Sequence[Headline]] | None = None,
    session: Session = SESSION,
) -> MarketView:
    """What is known when the last bar has ended, or at ``now``."""
    daily = [] if previous_close is None else [day_bar(DAY - timedelta(days=1), previous_close)]
    return MarketView(
        now=now or bars[-1].start + MINUTE,
        session=session,
        feed="sip",
        bars={TICKER: bars},
        daily={TICKER: daily},
        chains={} if chain is None else {TICKER: chain},
        news=news or {},
    )


def day_bar(day: date, close: float) -> Bar:
    return Bar(TICKER, from_eastern(day, time()), close, close, close, close, VOLUME * 390, close)


def noise(seed: int, walks: bool, step: float = 0.0002) -> list[Bar]:
    """A session without any story: a price that stays where it is or walks, volumes that vary."""
    rng = random.Random(seed)
    bars, level = [], 100.0
    for _ in range(390):
        opened = level
        level = (opened if walks else 100.0) * (1 + rng.gauss(0, step))
        wick = 100 * abs(rng.gauss(0, step))
        bars.append(bar(level, opened=opened, volume=rng.lognormvariate(0, 0.35), wick=wick))
    return tape(bars)


def chain_of(
    strikes: Sequence[float],
    spot: float,
    at: datetime,
    *,
    calls: Callable[[float], int | None] = lambda _: 100,
    puts: Callable[[float], int | None] = lambda _: 100,
    traded: tuple[int | None, int | None] = (100, 100),
    vol: float = 0.3,
    expiry: date = DAY,
    quoted: bool = True,
) -> Chain:
    """A chain at one volatility; ``calls`` and ``puts`` give the open interest of a strike."""
    years = years_to_expiry(at, from_eastern(expiry, time(16, 0)))
    rows = []
    for strike in strikes:
        for right, held, volume in ((Right.CALL, calls, traded[0]), (Right.PUT, puts, traded[1])):
            contract = Contract(f"{TICKER}{strike}{right}", TICKER, expiry, right, Decimal(str(strike)))
            worth = Decimal(price(right, spot, strike, years, vol))
            half = min(Decimal("0.005"), worth / 2)
            quote = Quote(contract.symbol, worth - half, worth + half, 10, 10, at) if quoted else None
            rows.append(ChainRow(contract, quote, None, None, held(strike), volume))
    return Chain(TICKER, expiry, at, tuple(rows))


@cache
def seeded(day: date, seed: int) -> SeededMarket:
    return SeededMarket(day, seed)


def session_of(market: SeededMarket) -> Session:
    return Session(market.day, market.session.open, market.session.close)


def seeded_chain(market: SeededMarket, ticker: str, at: datetime) -> Chain:
    """The nearest expiry as the exchange lists it at ``at``."""
    listed = market.contracts(ticker)
    expiry = min(each.contract.expiry for each in listed)
    spot = market.spot(ticker, at)
    rows = tuple(
        ChainRow(
            each.contract,
            market.option_quote(each.contract.symbol, at),
            open_interest=each.open_interest,
            volume=market.option_volume(each.contract.symbol, at),
        )
        for each in listed
        if each.contract.expiry == expiry and abs(float(each.contract.strike) / spot - 1) < 0.04
    )
    return Chain(ticker, expiry, at, rows)


def whole_day(market: SeededMarket, ticker: str) -> MarketView:
    """The view after the close: today's daily bar and a headline a quarter of an hour are in it."""
    session = session_of(market)
    bars = market.bars(ticker, session.open, session.close, session.close)
    history = market.daily_bars(ticker, market.day - timedelta(days=90), market.day)
    today = replace(history[-1], start=from_eastern(market.day, time()), close=bars[-1].close)
    texts = ("rises on strong demand", "falls on weak demand", "is in the papers")
    papers = tuple(
        Headline(session.open + n * 15 * MINUTE, f"{ticker} {texts[n % 3]}", "wire", (ticker,))
        for n in range(27)
    )
    return MarketView(
        session.close, session, "sip", {ticker: bars}, {ticker: [*history, today]}, news={ticker: papers}
    )


def cut(whole: MarketView, now: datetime) -> MarketView:
    """``whole`` without everything that was not known at ``now``."""
    day = whole.session.day
    return replace(
        whole,
        now=now,
        bars={
            name: [item for item in bars if item.start + MINUTE <= now] for name, bars in whole.bars.items()
        },
        daily={
            name: [item for item in bars if eastern_date(item.start) < day]
            for name, bars in whole.daily.items()
        },
        chains={name: chain for name, chain in whole.chains.items() if chain.at <= now},
        news={name: [item for item in items if item.at <= now] for name, items in whole.news.items()},
    )


def sees_nothing_of_the_future(
    score: Callable[[MarketView, str], Component], ticker: str, seed: int, day: date = DAY
) -> int:
    """Compares, at each minute of a seeded day, all of the day with what was known by then.

    The chain of every half hour stays in the view until the next; returns how often it scored.
    """
    market = seeded(day, seed)
    whole = whole_day(market, ticker)
    scored = 0
    chains = {
        n: seeded_chain(market, ticker, whole.session.open + n * 30 * MINUTE)
        for n in range(int((whole.session.close - whole.session.open) / (30 * MINUTE)) + 1)
    }
    for minute in range(int((whole.session.close - whole.session.open) / MINUTE) + 1):
        now = whole.session.open + minute * MINUTE
        with_future = replace(whole, now=now, chains={ticker: chains[minute // 30]})
        opinion = score(with_future, ticker)
        assert opinion == score(cut(with_future, now), ticker), f"at {now}"
        later = replace(with_future, chains={ticker: replace(chains[minute // 30], at=now + MINUTE)})
        assert score(later, ticker) == score(cut(later, now), ticker), f"at {now}, a chain from the future"
        scored += opinion.score > 0
    return scored


def votes(opinion: Component) -> float:
    """The sum of the points that the evidence shows."""
    return sum(value for name, value in opinion.evidence if name.endswith("_points"))


def adds_up(opinion: Component) -> None:
    """The evidence accounts for score and direction."""
    net = votes(opinion)
    assert opinion.score == min(abs(net), 100)
    assert opinion.direction is (None if net == 0 else Direction.LONG if net > 0 else Direction.SHORT)
