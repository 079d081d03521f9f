"""A small, cheap market for fault drills: few names, few contracts, prices that move fast.

It is no model of a market: premiums walk by themselves, so that targets, stops and unfilled limits come
often. What it quotes is a function of (seed, contract, second), so the order of questions changes nothing.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from wsb_snake.core.occ import build, parse
from wsb_snake.core.types import Bar, Headline, Quote, Right
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.dice import Dice
from wsb_snake.sim.drillable import Drillable
from wsb_snake.sim.sessions import SimSession, session_after, session_of

Floats = npt.NDArray[np.float64]
Cents = npt.NDArray[np.int64]

SPOTS = MappingProxyType({"SPY": 670.0, "QQQ": 600.0, "IWM": 240.0, "AAPL": 250.0, "NVDA": 190.0})
LATER_SESSIONS = 6
"""How many sessions ahead the later expiry lies."""

_STEPS = (-5, 0, 5)
_PREMIUM = (0.55, 2.40)
_SIGMA = (0.0012, 0.004)  # of the premium, a second
_JUMP_EVERY_S, _JUMP = 1500.0, 0.18
_HALF_WIDTH = (0.006, 0.02)  # of the mid
_FLOOR = 0.04
_CENTS = tuple(Decimal(cents) / 100 for cents in range(6001))


class DrillMarket(Drillable):
    """Implements ``Market``."""

    synthetic_bars = True

    def __init__(self, day: date, seed: int) -> None:
        """Raises ValueError when ``day`` is no session."""
        session = session_of(day)
        if session is None:
            raise ValueError(f"{day} is no session")
        self.day = day
        self.session: SimSession = session
        self.later = _later(day)
        self._seed = seed
        self._dice = Dice(seed)
        self._listed = {name: tuple(self._contracts(name)) for name in SPOTS}
        self._known = {row.contract.symbol: row for rows in self._listed.values() for row in rows}
        self._tapes: dict[str, _Tape] = {}
        self.begin_drill()

    def symbols(self) -> tuple[str, ...]:
        return tuple(SPOTS)

    def spot(self, symbol: str, at: datetime) -> float:
        wave = self._dice.roll("spot", symbol, int(at.timestamp()) // 300) - 0.5
        return round(SPOTS[symbol] * (1 + 0.01 * wave), 2)

    def stock_quote(self, symbol: str, at: datetime) -> Quote:
        mid = Decimal(f"{self.spot(symbol, at):.2f}")
        return Quote(symbol, mid - _CENTS[1], mid + _CENTS[1], 300, 300, at)

    def bars(self, symbol: str, start: datetime, end: datetime, now: datetime) -> list[Bar]:
        return []

    def daily_bars(self, symbol: str, first: date, last: date) -> list[Bar]:
        return []

    def contracts(self, underlying: str) -> tuple[ListedContract, ...]:
        return self._listed.get(underlying, ())

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        if symbol not in self._known:
            return None
        tape = self._tapes.get(symbol)
        if tape is None:
            tape = self._tapes[symbol] = _Tape(self._seed, symbol, self.session.seconds)
        inside = min(max(at, self.session.open), self.session.close)
        second = int((inside - self.session.open).total_seconds())
        bid, ask = tape.quote(second)
        bid = self.bid_at(symbol, bid, at)
        return Quote(symbol, bid, ask, 50, 50, self.session.open + timedelta(seconds=second))

    def option_volume(self, symbol: str, at: datetime) -> int:
        return 100

    def implied_volatility(self, symbol: str, at: datetime) -> float | None:
        return 0.25

    def vix(self, at: datetime) -> float:
        return 17.0

    def headlines(self, start: datetime, end: datetime) -> tuple[Headline, ...]:
        return ()

    def settlement(self, underlying: str) -> float:
        return self.spot(underlying, self.session.close)

    def _contracts(self, name: str) -> Iterable[ListedContract]:
        listed = partial(build, name)
        for expiry in (self.day, self.later):
            for right in Right:
                for step in _STEPS:
                    symbol = listed(expiry, right, Decimal(str(SPOTS[name] + step)))
                    yield ListedContract(parse(symbol), 1000, penny=True)


class _Tape:
    """Bid and ask of one contract in cents, second by second."""

    def __init__(self, seed: int, symbol: str, seconds: int) -> None:
        dice = Dice(seed)
        draw = np.random.default_rng(dice.below(2**62, "tape", symbol))
        sigma = _between(_SIGMA, dice.roll("sigma", symbol))
        steps = draw.standard_normal(seconds + 1) * sigma
        steps += (draw.random(seconds + 1) < 1 / _JUMP_EVERY_S) * draw.standard_normal(seconds + 1) * _JUMP
        walk = np.cumsum(steps)
        walk -= np.linspace(0.0, walk[-1] * 0.7, seconds + 1)  # back towards where it began
        mid = np.clip(_between(_PREMIUM, dice.roll("premium", symbol)) * np.exp(walk), _FLOOR, 50.0)
        half = np.maximum(0.005, mid * _between(_HALF_WIDTH, dice.roll("width", symbol)))
        pennies = not symbol.startswith(("AAPL", "NVDA"))
        self._bids = _on_tick(mid - half, np.floor, pennies=pennies)
        self._asks = np.maximum(_on_tick(mid + half, np.ceil, pennies=pennies), self._bids + 1)

    def quote(self, second: int) -> tuple[Decimal, Decimal]:
        return _CENTS[self._bids[second]], _CENTS[self._asks[second]]


def _on_tick(dollars: Floats, rounding: np.ufunc, *, pennies: bool) -> Cents:
    """Whole cents on the tick: of a penny class, or of one whose tick is five cents from $3."""
    cents: Cents = rounding(np.round(dollars * 100, 6)).astype(np.int64)
    if pennies:
        return cents
    coarse: Cents = rounding(cents / 5).astype(np.int64) * 5
    return np.where(cents < 300, cents, coarse)


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _later(day: date) -> date:
    for _ in range(LATER_SESSIONS):
        day = session_after(day).day
    return day
