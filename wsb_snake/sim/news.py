"""The headlines of the embedded exchange: of what moves the market and its names, and of nothing.

When news makes a factor jump, an item about it is published in that very second. Some more each day mean
nothing at all. All are drawn from the seed by day, so that a day's papers are the same on the days after.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import numpy as np

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.types import Headline
from wsb_snake.sim.paths import FIRST_DAY, MINUTE_S, Factor, stream
from wsb_snake.sim.sessions import SimSession, sessions
from wsb_snake.sim.universe import INDEX_ETFS, UNIVERSE, Name

WIRE = "benzinga"
"""Who publishes all of it."""

_MARKET_UP = (
    "Stocks rally as inflation comes in below forecasts",
    "Indexes jump: jobs report is strong and wages are calm",
    "Stocks surge on talk of a rate cut",
)
_MARKET_DOWN = (
    "Stocks slide as inflation comes in above forecasts",
    "Indexes tumble: jobs report is weak",
    "Stocks slump on talk of new tariffs",
)
_NAME_UP = (
    "{name} jumps on strong demand",
    "{name} beats estimates and raises its outlook",
    "{name} upgraded on record orders",
    "{name} climbs after winning a large contract",
)
_NAME_DOWN = (
    "{name} falls on weak demand",
    "{name} misses estimates and lowers its outlook",
    "{name} downgraded on slower orders",
    "{name} drops as a regulator opens an investigation",
)
_NOTHING = (
    "{name} to present at an industry conference",
    "What to know about {name} before the week is over",
    "Five tickers in focus, {name} among them",
    "{name} names a new head of communications",
    "How {name} has fared over ten years",
    "{name}: a look at the calendar",
)
_FEWEST, _MOST = 3, 7  # items about nothing, a day
_EARLIEST_BEFORE_OPEN = timedelta(hours=2, minutes=30)
_PRESS_HOURS = timedelta(hours=10)


class Newsroom:
    """What is published on the session days from FIRST_DAY to ``last``."""

    def __init__(self, seed: int, last: date, tide: Factor, own: Callable[[Name], Factor]) -> None:
        """``tide`` moves all names, and each ``name`` besides what ``own(name)`` gives."""
        self._seed = seed
        self._last = last
        self._tide = tide
        self._own = own
        self._factors: dict[str, Factor] = {}
        self._days: dict[date, tuple[Headline, ...]] = {}

    def headlines(self, start: datetime, end: datetime) -> tuple[Headline, ...]:
        """From ``start`` to ``end``, both included, oldest first."""
        first, last = max(eastern_date(start), FIRST_DAY), min(eastern_date(end), self._last)
        found = (item for session in sessions(first, last) for item in self._of(session))
        return tuple(item for item in found if start <= item.at <= end)

    def _of(self, session: SimSession) -> tuple[Headline, ...]:
        if session.day not in self._days:
            draw = stream(self._seed, "news", session.day)
            items = [*self._jumps(session, draw), *_about_nothing(session, draw)]
            self._days[session.day] = tuple(sorted(items, key=lambda item: (item.at, item.text)))
        return self._days[session.day]

    def _jumps(self, session: SimSession, draw: np.random.Generator) -> list[Headline]:
        minutes = session.seconds // MINUTE_S
        found = []
        if (jump := self._tide.news(session.day, minutes)) is not None:
            text = _one_of(draw, _MARKET_UP if jump[1] > 0 else _MARKET_DOWN)
            found.append(_published(session, jump[0], text, tuple(sorted(INDEX_ETFS))))
        for name in UNIVERSE:
            if (jump := self._factor(name).news(session.day, minutes)) is not None:
                text = _one_of(draw, _NAME_UP if jump[1] > 0 else _NAME_DOWN)
                found.append(_published(session, jump[0], text.format(name=name.symbol), (name.symbol,)))
        return found

    def _factor(self, name: Name) -> Factor:
        if name.symbol not in self._factors:
            self._factors[name.symbol] = self._own(name)
        return self._factors[name.symbol]


def _about_nothing(session: SimSession, draw: np.random.Generator) -> list[Headline]:
    found = []
    early = -int(_EARLIEST_BEFORE_OPEN.total_seconds())
    for _ in range(int(draw.integers(_FEWEST, _MOST + 1))):
        symbol = UNIVERSE[int(draw.integers(len(UNIVERSE)))].symbol
        second = early + int(draw.integers(int(_PRESS_HOURS.total_seconds())))
        found.append(_published(session, second, _one_of(draw, _NOTHING).format(name=symbol), (symbol,)))
    return found


def _published(session: SimSession, second: int, text: str, symbols: tuple[str, ...]) -> Headline:
    return Headline(session.open + timedelta(seconds=second), text, WIRE, symbols)


def _one_of(draw: np.random.Generator, texts: tuple[str, ...]) -> str:
    return texts[int(draw.integers(len(texts)))]
