"""Views by hand for the engines that hold overnight, and seeded days with their future left in for all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from tests.engines.component_market import seeded_chain
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.types import Bar, Chain, Headline
from wsb_snake.engines.types import MarketView
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.sessions import sessions

MINUTE = timedelta(minutes=1)
DAY = date(2026, 11, 24)  # a Tuesday
OPEN = from_eastern(DAY, time(9, 30))
SESSION = Session(DAY, OPEN, from_eastern(DAY, time(16, 0)))
HALF_DAY = Session(DAY, OPEN, from_eastern(DAY, time(13, 0)))
YESTERDAY = Session(
    date(2026, 11, 23), OPEN - timedelta(days=1), from_eastern(date(2026, 11, 23), time(16, 0))
)

CHAINS_EVERY = 10 * MINUTE

SEEDED_DAYS = (DAY, date(2026, 11, 25), date(2026, 11, 27))
"""The last of them is a half day."""


def minutes(
    closes: Sequence[float], volume: float = 1000, ticker: str = "MU", start: datetime = OPEN
) -> list[Bar]:
    """One bar a minute from ``start`` on."""
    return [
        Bar(ticker, start + n * MINUTE, close, close, close, close, volume, close)
        for n, close in enumerate(closes)
    ]


def dailies(closes: Sequence[float], volume: float = 390_000, ticker: str = "MU") -> list[Bar]:
    """One bar a session that ends with the session before ``DAY``."""
    days = [each.day for each in sessions(DAY - timedelta(days=2 * len(closes) + 10), DAY)][:-1]
    return [
        Bar(ticker, from_eastern(day, time()), close, close, close, close, volume, close)
        for day, close in zip(days[-len(closes) :], closes, strict=True)
    ]


def seeded(seed: int, tickers: Iterable[str], history: int) -> dict[date, MarketView]:
    """A view of each of ``SEEDED_DAYS`` after its close, with everything that came later left in.

    ``history`` earlier sessions come as minutes; the session itself and the next are among them too.
    """
    names = tuple(tickers)
    last = date(2026, 12, 1)
    market = SeededMarket(last, seed)
    days = sessions(DAY - timedelta(days=120), last)
    first = next(n for n, each in enumerate(days) if each.day == DAY) - history
    end = days[-1].close
    tapes = {name: _by_day(market.bars(name, days[first].open, end, end)) for name in names}
    daily = {name: market.daily_bars(name, days[0].day, last) for name in names}
    views = {}
    for day in SEEDED_DAYS:
        place = next(n for n, each in enumerate(days) if each.day == day)
        session = Session(day, days[place].open, days[place].close)
        past = days[max(place - history, first) : place + 2]
        views[day] = MarketView(
            now=session.close,
            session=session,
            feed="seeded",
            bars={name: tapes[name][day] for name in names},
            daily=daily,
            sessions={name: tuple(tapes[name][each.day] for each in past) for name in names},
            news={name: _news(session, name) for name in names},
        )
    return views


def chains_of(view: MarketView, seed: int) -> list[dict[str, Chain]]:
    """The chains of every name of ``view``, captured every ten minutes from the open to the close."""
    market = SeededMarket(view.session.day, seed)
    count = (view.session.close - view.session.open) // CHAINS_EVERY
    moments = [view.session.open + n * CHAINS_EVERY for n in range(count + 1)]
    return [{name: seeded_chain(market, name, at) for name in sorted(view.bars)} for at in moments]


def with_chains(view: MarketView, captured: Sequence[Mapping[str, Chain]], now: datetime) -> MarketView:
    """``view`` at ``now`` with the newest chains and the ones before.

    Every other minute the next ones stand in front of them, where an engine looks first.
    """
    newest = max(0, min((now - view.session.open) // CHAINS_EVERY, len(captured) - 1))
    first = newest + (now.minute % 2 and newest + 1 < len(captured))
    return replace(view, now=now, chains=captured[first], earlier_chains=captured[first - 1] if first else {})


def passes(view: MarketView) -> Iterable[datetime]:
    """Every minute from before the open to after the close, some seconds into it."""
    now = view.session.open - 2 * MINUTE + timedelta(seconds=7)
    while now < view.session.close + 2 * MINUTE:
        yield now
        now += MINUTE


def cut_off(view: MarketView, now: datetime) -> MarketView:
    """``view`` as it could be known at ``now``."""
    today = view.session.day
    return replace(
        view,
        now=now,
        bars=_those(view.bars, lambda bar: bar.start + MINUTE <= now),
        daily=_those(view.daily, lambda bar: eastern_date(bar.start) < today),
        sessions={
            name: tuple(each for each in tapes if eastern_date(each[0].start) < today)
            for name, tapes in view.sessions.items()
        },
        news={name: tuple(item for item in items if item.at <= now) for name, items in view.news.items()},
        chains=_known(view.chains, now),
        earlier_chains=_known(view.earlier_chains, now),
    )


def _known(chains: Mapping[str, Chain], now: datetime) -> dict[str, Chain]:
    return {name: chain for name, chain in chains.items() if chain.at <= now}


def _those(bars: Mapping[str, Sequence[Bar]], known: "object") -> dict[str, list[Bar]]:
    assert callable(known)
    return {name: [bar for bar in tape if known(bar)] for name, tape in bars.items()}


def _by_day(bars: Iterable[Bar]) -> dict[date, list[Bar]]:
    tapes: dict[date, list[Bar]] = {}
    for bar in bars:
        tapes.setdefault(eastern_date(bar.start), []).append(bar)
    return tapes


def _news(session: Session, name: str) -> tuple[Headline, ...]:
    """One good headline late in the morning, one bad one in the last hour."""
    return (
        Headline(session.open + timedelta(minutes=100), f"{name} wins a record order", "wire", (name,)),
        Headline(session.close - timedelta(minutes=50), f"{name} sued over fraud", "wire", (name,)),
    )
