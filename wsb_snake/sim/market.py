"""The market that the embedded exchange trades: the port, and the seeded model behind it."""

from datetime import date, datetime, time, timedelta
from math import exp, hypot, log, sqrt
from typing import Protocol

import numpy as np

from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.types import Bar, Headline, Quote
from wsb_snake.sim.chains import (
    IMPLIED_OVER_REAL,
    Chain,
    Levels,
    ListedContract,
    key_of,
    mixed,
    variance_ahead,
)
from wsb_snake.sim.flow import Flow
from wsb_snake.sim.news import Newsroom
from wsb_snake.sim.paths import (
    FIRST_DAY,
    INTRADAY_SHARE,
    MINUTE_S,
    SESSIONS_PER_YEAR,
    Factor,
    Floats,
    Intraday,
    combine,
    hushed,
    minute_volumes,
    pinned,
    second_prices,
    stream,
    stress,
    variance_shape,
    weekday_index,
)
from wsb_snake.sim.sessions import SimSession, session_before, session_of, sessions
from wsb_snake.sim.tapes import AFTER_HOURS, PRE_MARKET, Tape, ended_bars, stock_quote, whole_seconds
from wsb_snake.sim.universe import INDEX_ETFS, UNIVERSE, Name

__all__ = ["ListedContract", "Market", "SeededMarket"]

_OCC_TAIL = 15  # characters of an OCC symbol after its root
_MARKET_VOL, _MARKET_SWING, _OWN_SWING = 0.16, 0.3, 0.2
_VIX_SESSIONS = 21
_VIX_LEVERAGE = 5.0  # of the VIX on a move of the index since the previous close
_PRE_MARKET_WIDTH = 5.0


class Market(Protocol):
    """One session day of prices; every answer is a pure function of (market, arguments).

    ``symbol`` must be one of ``symbols()`` (KeyError otherwise), except where None or nothing is the
    answer for what is not listed. Moments are aware.
    """

    @property
    def synthetic_bars(self) -> bool:
        """True when bars were drawn between recorded spots."""
        ...

    @property
    def day(self) -> date: ...

    @property
    def session(self) -> SimSession: ...

    def symbols(self) -> tuple[str, ...]:
        """The stocks and ETFs of this market, in a fixed order."""
        ...

    def spot(self, symbol: str, at: datetime) -> float:
        """Dollars a share; before the open the way there from the previous close."""
        ...

    def stock_quote(self, symbol: str, at: datetime) -> Quote: ...

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        """1-minute bars with start <= bar.start < end that have ended by ``now``.

        A minute without trades has no bar.
        """
        ...

    def daily_bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        """Bars of the previous sessions from ``first`` to ``last``; start = 00:00 ET of the session day."""
        ...

    def contracts(self, underlying: str) -> tuple[ListedContract, ...]:
        """Everything listed on ``underlying``; nothing on what is unknown."""
        ...

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        """None: not listed. Bid may be 0; ``at`` of the quote is the feed's stamp."""
        ...

    def option_volume(self, symbol: str, at: datetime) -> int:
        """Contracts traded this session up to ``at``; 0 when not listed."""
        ...

    def implied_volatility(self, symbol: str, at: datetime) -> float | None:
        """Annualised, on clock time to expiry as ``core.pricing`` counts it; None when there is none."""
        ...

    def vix(self, at: datetime) -> float: ...

    def headlines(self, start: datetime, end: datetime) -> tuple[Headline, ...]:
        """What was published from ``start`` to ``end``, oldest first; later days are not known."""
        ...

    def settlement(self, underlying: str) -> float:
        """Official close of the day, dollars."""
        ...


class SeededMarket:
    """The whole universe on ``day``, drawn from ``seed``.

    Days of one seed continue each other: today's bars are tomorrow's history, and a contract listed
    today is listed tomorrow. Names are made when first asked for, each from its own streams, so the
    order of questions changes nothing. Option quotes live during the session and are frozen, with
    their old stamp, outside of it.
    """

    synthetic_bars = False

    def __init__(self, day: date, seed: int) -> None:
        """Raises ValueError when ``day`` is no session or lies before FIRST_DAY."""
        session = session_of(day) if day >= FIRST_DAY else None
        if session is None:
            raise ValueError(f"the seeded market has no session on {day}")
        self.day = day
        self.session = session
        self._tide = _Tide(seed, day)
        self._names = {name.symbol: name for name in UNIVERSE}
        self._stocks: dict[str, _Stock] = {}
        self._seed = seed
        self._newsroom = Newsroom(seed, day, self._tide.factor, self._own)

    def symbols(self) -> tuple[str, ...]:
        return tuple(self._names)

    def spot(self, symbol: str, at: datetime) -> float:
        return self._stock(symbol).spot(at)

    def stock_quote(self, symbol: str, at: datetime) -> Quote:
        return self._stock(symbol).quote(at)

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        stock = self._stock(symbol)
        first = max(eastern_date(start), FIRST_DAY)
        last = min(eastern_date(end), self.day)
        days = [self.session] if first == last == self.day else sessions(first, last)
        return [bar for day in days for bar in ended_bars(stock.minutes(day), start, end, now)]

    def daily_bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        stock = self._stock(symbol)
        past = sessions(max(first, FIRST_DAY), min(last, self.day - timedelta(days=1)))
        return [stock.daily_bar(session) for session in past]

    def contracts(self, underlying: str) -> tuple[ListedContract, ...]:
        return self._stock(underlying).chain.contracts if underlying in self._names else ()

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        stock = self._underlying(symbol)
        return None if stock is None else stock.option_quote(symbol, at)

    def option_volume(self, symbol: str, at: datetime) -> int:
        stock = self._underlying(symbol)
        return 0 if stock is None else stock.option_volume(symbol, at)

    def implied_volatility(self, symbol: str, at: datetime) -> float | None:
        stock = self._underlying(symbol)
        return None if stock is None else stock.implied_volatility(symbol, at)

    def vix(self, at: datetime) -> float:
        day = min(eastern_date(at), self.day)
        level = self._tide.vix(day)
        before = self._stock("SPY").close_before(day)
        now = self.spot("SPY", at) if day == self.day else self._stock("SPY").close_on(day)
        return round(level * exp(-_VIX_LEVERAGE * log(now / before)), 2)

    def headlines(self, start: datetime, end: datetime) -> tuple[Headline, ...]:
        return self._newsroom.headlines(start, end)

    def settlement(self, underlying: str) -> float:
        return self._stock(underlying).tape.close

    def _own(self, name: Name) -> Factor:
        """What moves ``name`` alone."""
        return _own_factor(self._seed, name, self.day)

    def _stock(self, symbol: str) -> "_Stock":
        stock = self._stocks.get(symbol)
        if stock is None:
            stock = _Stock(self._names[symbol], self.session, self._tide, self._seed)
            self._stocks[symbol] = stock
        return stock

    def _underlying(self, symbol: str) -> "_Stock | None":
        root = symbol[:-_OCC_TAIL]
        return self._stock(root) if root in self._names else None


class _Tide:
    """The market factor, with its days kept: every name moves with it."""

    def __init__(self, seed: int, last: date) -> None:
        self.factor = Factor(seed, "market", _MARKET_VOL, _MARKET_SWING, last)
        self._shapes: dict[int, Floats] = {}
        self._days: dict[date, Intraday] = {}

    def shape(self, minutes: int) -> Floats:
        if minutes not in self._shapes:
            self._shapes[minutes] = variance_shape(minutes)
        return self._shapes[minutes]

    def intraday(self, session: SimSession) -> Intraday:
        if session.day not in self._days:
            shape = self.shape(session.seconds // MINUTE_S)
            self._days[session.day] = self.factor.intraday(session.day, shape)
        return self._days[session.day]

    def vix(self, day: date) -> float:
        """What the index options of ``day`` imply for the next month, in volatility points."""
        today = float(self.factor.sds[weekday_index(day)]) ** 2
        ahead = variance_ahead(today, self.factor.expected_sd**2, _VIX_SESSIONS)
        return 100 * sqrt(ahead / _VIX_SESSIONS * SESSIONS_PER_YEAR * IMPLIED_OVER_REAL)


def _own_factor(seed: int, name: Name, last: date) -> Factor:
    """What moves ``name`` alone; the scenes of the index ETFs are those of the market."""
    whole = hypot(name.own_vol, name.beta * _MARKET_VOL)
    reach = 0.0 if name.symbol in INDEX_ETFS else whole / name.own_vol
    return Factor(seed, name.symbol, name.own_vol, _OWN_SWING, last, reach)


class _Stock:
    """One name on the day of ``session``, with its past."""

    def __init__(self, name: Name, session: SimSession, tide: _Tide, seed: int) -> None:
        self._name = name
        self._session = session
        self._tide = tide
        self._seed = seed
        self._own = _own_factor(seed, name, session.day)
        self._key = key_of(seed, session.day, name.symbol, "stock")
        self._before = session_before(session.day)
        self._minutes: dict[date, tuple[Bar, ...]] = {}
        way = self._way(session)
        self.tape = self._tape(session, way)
        self._stress = stress(way).data
        self._minutes[session.day] = self.tape.bars
        self._previous = self.close_on(self._before.day)
        self._flow = self._flow_of(way)
        self._chain: Chain | None = None

    @property
    def chain(self) -> Chain:
        if self._chain is None:
            self._chain = Chain(self._name, self._session.day, self._levels(), self._seed, self._flow)
        return self._chain

    def spot(self, at: datetime) -> float:
        if at >= self._session.open:
            return self.tape.price(self.tape.second(at))
        gone = (at - self._session.open + PRE_MARKET) / PRE_MARKET
        return round(self._previous + max(gone, 0.0) * (self.tape.opening - self._previous), 2)

    def quote(self, at: datetime) -> Quote:
        session = self._session
        second = whole_seconds(at - session.open)
        width = self.spot(at) * self._name.spread / 200
        if at < session.open or at >= session.close:
            width *= _PRE_MARKET_WIDTH
        stamp = min(session.open + timedelta(seconds=second), session.close + AFTER_HOURS)
        if at < session.open - PRE_MARKET:
            stamp = self._before.close
        return stock_quote(self._name.symbol, self.spot(at), width, mixed(self._key + second), stamp)

    def minutes(self, session: SimSession) -> tuple[Bar, ...]:
        """All minute bars of today or of an earlier ``session``."""
        if session.day not in self._minutes:
            self._minutes[session.day] = self._tape(session, self._way(session)).bars
        return self._minutes[session.day]

    def daily_bar(self, session: SimSession) -> Bar:
        """The bar of a whole ``session``."""
        nodes = np.round(np.exp(self._way(session).nodes), 2)
        high, low, close = float(nodes.max()), float(nodes.min()), float(nodes[-1])
        start = from_eastern(session.day, time())
        mean = round((high + low + close) / 3, 4)
        volume = self._volume(session.day)
        return Bar(self._name.symbol, start, float(nodes[0]), high, low, close, volume, mean)

    def close_on(self, day: date) -> float:
        """Dollars at the close of ``day`` or, where it is no session, of the weekday in the model."""
        index = weekday_index(day)
        return round(float(self._dollars(self._tide.factor.closes[index], self._own.closes[index])), 2)

    def close_before(self, day: date) -> float:
        """Dollars at the close of the session before ``day``."""
        return self.close_on(session_before(day).day)

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        session = self._session
        if at < session.open:
            return self.chain.quote(symbol, 0, self._previous, 1.0, self._before.close)
        second = self.tape.second(at)
        stamp = session.close if at >= session.close else session.open + timedelta(seconds=second)
        return self.chain.quote(symbol, second, self.tape.price(second), self._stress[second], stamp)

    def option_volume(self, symbol: str, at: datetime) -> int:
        if at < self._session.open:
            return 0
        return self.chain.volume(symbol, self.tape.second(at))

    def implied_volatility(self, symbol: str, at: datetime) -> float | None:
        second = self.tape.second(at)
        return self.chain.implied_volatility(symbol, second, self.spot(at), at)

    def _dollars(self, tide: Floats, own: Floats) -> Floats:
        """Dollars where the market factor stands at ``tide`` and the name's own at ``own``."""
        return np.asarray(self._name.price * np.exp(self._name.beta * tide + own))

    def _way(self, session: SimSession) -> Intraday:
        tide = self._tide.intraday(session)
        own = self._own.intraday(session.day, self._tide.shape(session.seconds // MINUTE_S))
        way = combine(self._name.price, ((self._name.beta, hushed(tide, own.calm)), (1.0, own)))
        return way if own.pin is None else pinned(way, *own.pin, self._name.steps[0])

    def _tape(self, session: SimSession, way: Intraday) -> Tape:
        draw = stream(self._seed, self._name.symbol, session.day, "seconds")
        prices = second_prices(way, draw)
        volumes = minute_volumes(way, self._volume(session.day), self._name.quiet, draw)
        return Tape(self._name.symbol, session, prices, volumes)

    def _flow_of(self, way: Intraday) -> Flow:
        """Of today's options, drawn apart from the prices."""
        volumes = np.zeros(len(way.sds))
        for bar in self.tape.bars:
            volumes[whole_seconds(bar.start - self._session.open) // MINUTE_S] = bar.volume
        width = sqrt(self._variances(weekday_index(self._session.day))[0] * INTRADAY_SHARE)
        draw = stream(self._seed, self._name.symbol, self._session.day, "flow")
        return Flow(way, volumes / self._name.shares, width, draw)

    def _volume(self, day: date) -> float:
        """Shares traded on ``day``: more on days that move."""
        index = weekday_index(day)
        levels = (self._name.beta * self._tide.factor.closes - self._name.beta * self._tide.factor.opens)[
            index
        ]
        move = abs(float(levels + self._own.closes[index] - self._own.opens[index]))
        usual = sqrt(self._variances(index)[0])
        scene = self._own.scene(day)
        luck = float(self._own.volumes[index]) * (1.0 if scene is None else scene.volume)
        return float(round(self._name.shares * luck * (0.75 + 0.4 * min(move / usual, 4.0))))

    def _variances(self, index: int) -> tuple[float, float]:
        """Variance of the name's session at weekday ``index``, and in the long run."""
        loading = self._name.beta**2
        today = loading * self._tide.factor.sds[index] ** 2 + self._own.sds[index] ** 2
        usual = loading * self._tide.factor.expected_sd**2 + self._own.expected_sd**2
        return float(today), float(usual)

    def _levels(self) -> Levels:
        today, usual = self._variances(weekday_index(self._session.day))
        shape = np.repeat(self._tide.shape(self._session.seconds // MINUTE_S), MINUTE_S)
        left = 1 - np.cumsum(shape) / shape.sum()
        floor = left[-1 - MINUTE_S]  # as for time, at least a minute's worth
        tide, own = self._tide.factor, self._own
        days = self._dollars(
            np.column_stack((tide.opens, tide.closes)), np.column_stack((own.opens, own.closes))
        )
        return Levels(days.ravel()[:-1], today, usual, np.maximum(left, floor).data)
