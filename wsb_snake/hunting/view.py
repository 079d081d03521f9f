"""What the engines of one pass look at, fetched once for all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar

from wsb_snake.collectors.market_data import BarsView, DataError, MarketData, OneFeed
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.lanes import Lanes
from wsb_snake.core.types import Bar, Chain, Headline
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.fetching import overlapped
from wsb_snake.learning.regime import proxy_vix

DAILY_DAYS = 120
"""Calendar days of daily bars: more than the 50 sessions of the longest average."""

PAST_SESSIONS = 14

YARDSTICK = "SPY"
PROXY_DAYS = (20, 45)
"""Expiries, in days from now, of which a 30-day volatility is made."""
PROXY_REACH = Decimal("0.01")
"""How far around the price strikes are asked for, as a fraction."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Needs:
    """Names of which a view must hold this session's bars, daily bars, earlier sessions, chains and news."""

    bars: frozenset[str] = frozenset()
    daily: frozenset[str] = frozenset()
    past: frozenset[str] = frozenset()
    chains: frozenset[str] = frozenset()
    news: frozenset[str] = frozenset()
    vix: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.bars | other.bars,
            self.daily | other.daily,
            self.past | other.past,
            self.chains | other.chains,
            self.news | other.news,
            self.vix or other.vix,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """A view, and in plain words what it lacks of what was asked for.

    ``vix_proxy`` (points) stands in where nobody tells VIX, from SPY's own chain.
    """

    view: MarketView
    lacks: tuple[str, ...] = ()
    vix_proxy: float | None = None


def narrowed(view: MarketView, needs: Needs) -> MarketView:
    """What of ``view`` an engine asked for: the same whoever else was due in the same pass."""
    return replace(
        view,
        bars=_of(view.bars, needs.bars),
        daily=_of(view.daily, needs.daily),
        sessions=_of(view.sessions, needs.past),
        chains=_of(view.chains, needs.chains),
        earlier_chains=_of(view.earlier_chains, needs.chains),
        news=_of(view.news, needs.news),
        vix=view.vix if needs.vix else None,
    )


def _of(held: Mapping[str, T], names: frozenset[str]) -> dict[str, T]:
    return {name: value for name, value in held.items() if name in names}


@dataclass(slots=True)
class _Found:
    """What has come so far."""

    bars: BarsView | None = None
    daily: OneFeed[list[Bar]] | None = None
    past: OneFeed[tuple[tuple[Bar, ...], ...]] | None = None
    news: Mapping[str, Sequence[Headline]] = field(default_factory=dict)
    vix: float | None = None


@dataclass(frozen=True, slots=True)
class _History:
    """What was fetched of the sessions before ``day``; None: nothing came."""

    day: date
    daily: OneFeed[list[Bar]] | None
    past: OneFeed[tuple[tuple[Bar, ...], ...]] | None


class Viewer:
    """Asks the facade, several questions at a time. ``calendar`` gives the present one."""

    def __init__(self, market: MarketData, lanes: Lanes, calendar: Callable[[], MarketCalendar]) -> None:
        self._market = market
        self._lanes = lanes
        self._calendar = calendar
        self._chains_seen: Mapping[str, Chain] = {}
        self._kept: _History | None = None  # what ``history`` fetched, in another lane

    def look(self, needs: Needs, session: Session, now: datetime, *, kept: bool = False) -> Look:
        """The market as it is known at ``now``. Raises DataError when no bars came.

        Whatever else does not come is absent from the view, and named. With ``kept`` earlier sessions are
        not asked for: they are what ``history`` has fetched by now.
        """
        found = _Found()
        lacks: list[str] = []
        if kept:
            self._take_kept(needs, session, found)
        names = list(self._questions(needs, session, now, found, kept))
        answers = overlapped(self._lanes, [ask for _, ask in names])
        for (what, _), answer in zip(names, answers, strict=True):
            if isinstance(answer, DataError):
                if what == "bars":
                    raise answer
                lacks.append(f"no {what}: {answer}")
        if found.bars is None:
            raise RuntimeError("a view without bars was asked for")
        lacks += _lacking_bars(found.bars)
        lacks += _other_feeds(found)
        earlier = self._chains_seen
        chains = self._chains(needs.chains, session, now, found.bars, lacks)
        if needs.chains:
            self._chains_seen = {**earlier, **chains}
        proxy = self._proxy(found.bars, session, now) if needs.vix and found.vix is None else None
        view = MarketView(
            now=now,
            session=session,
            feed=found.bars.feed,
            bars=found.bars.bars,
            daily=found.daily or {},
            sessions=found.past or {},
            chains=chains,
            earlier_chains=earlier,
            news=found.news,
            vix=found.vix,
            daily_feed=None if found.daily is None else found.daily.feed,
            sessions_feed=None if found.past is None else found.past.feed,
            previous=self._calendar().previous_session(session.day),
        )
        return Look(view, tuple(lacks), proxy)

    def history(self, needs: Needs, session: Session) -> tuple[str, ...]:
        """Fetch what is of earlier sessions, which the facade keeps for the day; what did not come."""
        found, before = _Found(), self._kept
        names = list(self._of_earlier(needs, session, found))
        answers = overlapped(self._lanes, [ask for _, ask in names])
        if before is not None and before.day == session.day:
            found.daily, found.past = found.daily or before.daily, found.past or before.past
        self._kept = _History(session.day, found.daily, found.past)
        told = zip(names, answers, strict=True)
        return tuple(f"no {what}: {answer}" for (what, _), answer in told if isinstance(answer, DataError))

    def has_history(self, needs: Needs, session: Session) -> bool:
        """Whether ``history`` has fetched all that ``needs`` names of the sessions before ``session``."""
        kept = self._kept
        if kept is None or kept.day != session.day:
            return not needs.daily and not needs.past
        return needs.daily <= (kept.daily or {}).keys() and needs.past <= (kept.past or {}).keys()

    def _take_kept(self, needs: Needs, session: Session, found: _Found) -> None:
        """Put what ``history`` fetched for this session into ``found``."""
        kept = self._kept
        if kept is not None and kept.day == session.day:
            found.daily = kept.daily if needs.daily else None
            found.past = kept.past if needs.past else None

    def _of_earlier(
        self, needs: Needs, session: Session, found: _Found
    ) -> Iterable[tuple[str, Callable[[], None]]]:
        """The questions about earlier sessions."""
        market = self._market

        def daily() -> None:
            last = self._calendar().previous_session(session.day).day
            found.daily = market.daily_bars(
                tuple(sorted(needs.daily)), session.day - timedelta(days=DAILY_DAYS), last
            )

        def past() -> None:
            found.past = market.past_sessions(sorted(needs.past), self._past(session))

        if needs.daily:
            yield "daily bars", daily
        if needs.past:
            yield "earlier sessions", past

    def _questions(
        self, needs: Needs, session: Session, now: datetime, found: _Found, kept: bool
    ) -> Iterable[tuple[str, Callable[[], None]]]:
        """One question a kind of data; each puts its answer into ``found``."""
        market = self._market

        def bars() -> None:
            found.bars = market.bars(sorted(needs.bars), session, now)

        def news() -> None:
            since = self._calendar().previous_session(session.day).close
            found.news = market.news(sorted(needs.news), since, now)

        def vix() -> None:
            found.vix = market.vix(now)

        yield "bars", bars
        if not kept:
            yield from self._of_earlier(needs, session, found)
        if needs.news:
            yield "news", news
        if needs.vix:
            yield "VIX", vix

    def _past(self, session: Session) -> tuple[Session, ...]:
        """The sessions before ``session``, oldest first."""
        calendar, found = self._calendar(), [session]
        for _ in range(PAST_SESSIONS):
            found.append(calendar.previous_session(found[-1].day))
        return tuple(reversed(found[1:]))

    def _proxy(self, bars: BarsView, session: Session, now: datetime) -> float | None:
        """The 30-day volatility at the money; None where the chain does not come."""
        if not bars.bars.get(YARDSTICK):
            return None
        spot = bars.bars[YARDSTICK][-1].close
        near = Decimal(str(spot))
        first, last = (session.day + timedelta(days=days) for days in PROXY_DAYS)
        try:
            rows = self._market.chain(
                YARDSTICK, first, last, near * (1 - PROXY_REACH), near * (1 + PROXY_REACH)
            )
        except DataError:
            return None
        days = sorted({row.contract.expiry for row in rows})
        chains = (
            Chain(YARDSTICK, day, now, tuple(row for row in rows if row.contract.expiry == day))
            for day in days
        )
        return proxy_vix(chains, spot, now)

    def _chains(
        self, names: frozenset[str], session: Session, now: datetime, bars: BarsView, lacks: list[str]
    ) -> dict[str, Chain]:
        """The near chain of today's expiry for each name of which there is a price."""
        spots = {name: bars.bars[name][-1].close for name in sorted(names) if bars.bars.get(name)}
        calls = [
            partial(self._market.pressure_chain, name, session.day, spot, now) for name, spot in spots.items()
        ]
        found: dict[str, Chain] = {}
        for name, answer in zip(spots, overlapped(self._lanes, calls), strict=True):
            if isinstance(answer, DataError):
                lacks.append(f"no chain of {name}: {answer}")
            else:
                found[name] = answer
        return found


def _lacking_bars(bars: BarsView) -> list[str]:
    lacks = [f"no bars of {', '.join(sorted(bars.missing))}"] if bars.missing else []
    return [*lacks, f"bars are of the fallback, {bars.feed}"] if bars.degraded else lacks


def _other_feeds(found: _Found) -> list[str]:
    """What of earlier sessions is not of the feed of the bars."""
    feed = None if found.bars is None else found.bars.feed
    held = (("daily bars", found.daily), ("earlier sessions", found.past))
    return [
        f"{what} are of {answer.feed}, bars of {feed}: their volumes are not compared"
        for what, answer in held
        if answer is not None and answer.feed != feed
    ]
