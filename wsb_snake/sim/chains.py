"""Option chains of the seeded market: which contracts are listed, and what they are quoted at.

A contract is worth Black-Scholes at the variance that is left until it expires. That variance runs
on trading time (it falls with the intraday shape of the market, and each further session adds a
day's worth), so premiums decay as they do in the market, while the volatility quoted with it is
annualised on clock time, as ``core.pricing`` counts it. Smile and widths are fitted by eye to
recorded SPY chains of July and August 2026.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from math import ceil, exp, floor, log, sqrt

from wsb_snake.core.pricing import price, years_to_expiry
from wsb_snake.core.types import Contract, Quote, Right
from wsb_snake.sim.flow import Flow, crowd, held
from wsb_snake.sim.paths import INTRADAY_SHARE, Floats, weekday_index
from wsb_snake.sim.sessions import session_of
from wsb_snake.sim.universe import INDEX_ETFS, Name, leaps_expiries, listed_expiries

_CURVATURE = 0.045
_SMILE_END = 6.0  # standard deviations beyond which the smile is flat
_SKEW_GROWS = 3.0  # how much steeper the skew of far expiries is, and over how many days it gets so
_SKEW_DAYS = 20.0
_VARIANCE_MEMORY = 0.96  # of today's level of variance, from session to session
IMPLIED_OVER_REAL = 1.1
"""In variance: what sellers of options ask for."""

_NEAR_DAYS, _MIDDLE_DAYS = 14, 365  # calendar days to expiry up to which a strike distance is listed
_REACH, _LEAPS_REACH = 0.10, 0.40  # listed strikes either side of the price, as fractions of it
_REACH_DEVIATIONS = 4.0  # of a session, where that is more
# Weekdays before expiry from which on the price's range decides: as long as the strikes can be listed.
_NEAR_MEMORY, _MIDDLE_MEMORY, _LEAPS_MEMORY = 11, 262, 790

_ITM_WIDTH = 0.02  # of the intrinsic value, two deviations in the money and deeper
_CLOSING_WIDTH, _CLOSING_S = 1.0, 600.0  # expiring contracts widen towards the close
_OPEN_INTEREST = 30.0  # at the money, in contracts, over the relative width of the name's quotes
_TURNOVER, _LATER_TURNOVER = 3.0, 0.15  # of the open interest, on a usual day: what expires today, and not
_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class ListedContract:
    """One contract as the exchange lists it; ``penny`` tells the tick class."""

    contract: Contract
    open_interest: int
    penny: bool


@dataclass(frozen=True, slots=True)
class Levels:
    """What a name's listing and premiums depend on at the start of the day.

    ``marks`` are dollars: open and close of each earlier weekday, oldest first, then today's open;
    ``today`` and ``usual`` are the variance of a session as it runs now and in the long run;
    ``remaining`` is the part of today's intraday variance still to come at each second.
    """

    marks: Floats
    today: float
    usual: float
    remaining: memoryview


@dataclass(frozen=True, slots=True)
class _Line:
    """What quoting one contract needs again and again."""

    listed: ListedContract
    strike: float
    close_at: datetime
    further: float  # variance of the sessions after today
    expires_today: bool
    skew: float
    key: int  # 64 bits of its own


class Chain:
    """The contracts of one name on one day, and their quotes. Seconds are those of the session."""

    def __init__(self, name: Name, day: date, levels: Levels, seed: int, flow: Flow) -> None:
        self._name = name
        self._day = day
        self._levels = levels
        self._seed = seed
        self._salt = key_of(seed, day, name.symbol)
        self._flow = flow
        self._crowd = crowd(levels.marks, sqrt(levels.usual), self._salt / _WORD - 0.5)
        self._lines = {
            line.listed.contract.symbol: line
            for expiry in listed_expiries(name, day)
            for line in self._lines_of(expiry)
        }
        self.contracts = tuple(line.listed for line in self._lines.values())

    def quote(self, symbol: str, second: int, spot: float, stress: float, at: datetime) -> Quote | None:
        """The quote at ``second``, stamped ``at``, ``stress`` times as wide as usual.

        None when the contract is not listed.
        """
        line = self._lines.get(symbol)
        if line is None:
            return None
        right = line.listed.contract.right
        variance, deviations = self._variance(line, second, spot)
        years = years_to_expiry(at, line.close_at)
        vol = sqrt(variance / years) * _smile(deviations, line.skew)
        worth = price(right, spot, line.strike, years, vol)
        if line.expires_today:
            stress += _CLOSING_WIDTH * exp(-max((line.close_at - at).total_seconds(), 0.0) / _CLOSING_S)
        noise = mixed(line.key ^ self._salt + second)
        depth = deviations if right is Right.PUT else -deviations
        width = self._width(worth, abs(spot - line.strike), depth) * stress * (0.85 + (noise & 0xFF) / 512)
        bid, ask = self._on_tick((worth - width / 2) * 100, (worth + width / 2) * 100)
        size = 0.45 / (self._name.spread * (worth + 0.05))
        return Quote(
            symbol,
            Decimal(bid).scaleb(-2),
            Decimal(ask).scaleb(-2),
            1 + int(size * (0.5 + (noise >> 8 & 0xFF) / 255)) if bid else 0,
            1 + int(size * (0.5 + (noise >> 16 & 0xFF) / 255)),
            at,
        )

    def implied_volatility(self, symbol: str, second: int, spot: float, at: datetime) -> float | None:
        """The volatility the quote is made from; None when the contract is not listed or has expired."""
        line = self._lines.get(symbol)
        if line is None or at >= line.close_at:
            return None
        variance, deviations = self._variance(line, second, spot)
        return sqrt(variance / years_to_expiry(at, line.close_at)) * _smile(deviations, line.skew)

    def volume(self, symbol: str, second: int) -> int:
        """Contracts traded up to the end of ``second``; 0 when not listed."""
        line = self._lines.get(symbol)
        if line is None:
            return 0
        right = line.listed.contract.right
        turnover, strike = (_TURNOVER, line.strike) if line.expires_today else (_LATER_TURNOVER, None)
        return int(line.listed.open_interest * turnover * self._flow.traded(right, second, strike))

    def _variance(self, line: _Line, second: int, spot: float) -> tuple[float, float]:
        """Variance until expiry, and how many deviations the strike lies above the spot."""
        left: float = self._levels.remaining[second]
        variance = (self._levels.today * INTRADAY_SHARE * left + line.further) * IMPLIED_OVER_REAL
        return variance, log(line.strike / spot) / sqrt(variance)

    def _width(self, worth: float, distance: float, depth: float) -> float:
        """Usual width in dollars of a quote ``depth`` deviations in the money."""
        if depth <= 0:
            return self._name.spread * (2 + worth)
        return self._name.spread * (2 + worth - distance) + _ITM_WIDTH * distance * min(depth / 2, 1.0)

    def _on_tick(self, low: float, high: float) -> tuple[int, int]:
        """Bid at the tick nearest to ``low``, ask at or above ``high`` and the bid's next tick, in cents."""
        tick = self._tick(low)
        bid = max(round(low / tick) * tick, 0)
        tick = self._tick(high)
        ask = max(ceil(high / tick) * tick, bid + self._tick(bid))
        return bid, ask

    def _tick(self, cents: float) -> int:
        """Penny class 1 below $3.00 and 5 from there, other classes 5 and 10; index ETFs always 1."""
        if self._name.symbol in INDEX_ETFS:
            return 1
        low, high = (1, 5) if self._name.penny else (5, 10)
        return low if cents < 300 else high

    def _lines_of(self, expiry: date) -> list[_Line]:
        session = session_of(expiry)
        assert session is not None, f"{expiry} is listed as an expiry and is no session"
        days = (expiry - self._day).days
        sessions = weekday_index(expiry) - weekday_index(self._day)
        further = variance_ahead(self._levels.today, self._levels.usual, sessions)
        skew = self._name.skew * (1 + _SKEW_GROWS * (1 - exp(-days / _SKEW_DAYS)))
        deviation = sqrt(self._levels.usual * INTRADAY_SHARE + further)
        stem = f"{self._name.symbol}{expiry:%y%m%d}"
        expiry_key = key_of(self._seed, stem)
        lines = []
        for mills in self._strikes(expiry):
            strike = Decimal(mills) / 1000
            interest, away = self._open_interest(mills, deviation)
            for right in Right:
                symbol = f"{stem}{right}{mills:08d}"
                key = mixed(expiry_key + 2 * mills + (right is Right.PUT))
                contract = Contract(symbol, self._name.symbol, expiry, right, strike)
                count = int(interest * (key % 15 + 3) / 10 * held(right, self._crowd, away))
                listed = ListedContract(contract, count, self._name.penny)
                lines.append(_Line(listed, mills / 1000, session.close, further, days == 0, skew, key))
        return lines

    def _strikes(self, expiry: date) -> list[int]:
        """Strikes in mills, ascending: close ones near expiry, a wide net for LEAPS."""
        near, middle, far = self._name.steps
        reach = max(_REACH, _REACH_DEVIATIONS * sqrt(self._levels.usual))
        days, index = (expiry - self._day).days, weekday_index(expiry)
        strikes: set[int] = set()
        if days <= _NEAR_DAYS:
            strikes |= self._grid(near, reach, index - _NEAR_MEMORY)
        if days <= _MIDDLE_DAYS:
            strikes |= self._grid(middle, reach, index - _MIDDLE_MEMORY)
        if self._name.leaps and expiry in leaps_expiries(self._day):
            strikes |= self._grid(far, _LEAPS_REACH, index - _LEAPS_MEMORY)
        return sorted(strikes)

    def _grid(self, step: float, reach: float, first: int) -> set[int]:
        """Every ``step`` dollars within ``reach`` of the range since weekday ``first``.

        Since that beginning stands still while the range grows, what is listed stays listed.
        """
        marks = self._levels.marks[2 * max(first, 0) :]
        low, high = float(marks.min()) * (1 - reach), float(marks.max()) * (1 + reach)
        mills = int(step * 1000)
        return set(range(max(ceil(low / step), 1) * mills, floor(high / step) * mills + 1, mills))

    def _open_interest(self, mills: int, deviation: float) -> tuple[float, float]:
        """Usual contracts at a strike, most at the money and at round figures, and how far away it is."""
        away = log(mills / 1000 / float(self._levels.marks[-1])) / deviation
        rounds = 2.5 if mills % int(self._name.steps[0] * 5000) == 0 else 1.0
        return _OPEN_INTEREST / self._name.spread * exp(-((away / 1.6) ** 2) / 2) * rounds, away


def variance_ahead(today: float, usual: float, sessions: int) -> float:
    """Variance of the next ``sessions`` sessions: the level of ``today``, fading into the usual one."""
    fading = _VARIANCE_MEMORY * (1 - _VARIANCE_MEMORY**sessions) / (1 - _VARIANCE_MEMORY)
    return sessions * usual + (today - usual) * fading


def _smile(deviations: float, skew: float) -> float:
    """Volatility at a strike over that at the money."""
    bounded = max(-_SMILE_END, min(_SMILE_END, deviations))
    return 1 + skew * bounded + _CURVATURE * bounded**2 / (1 + abs(bounded) / 20)


def key_of(*name: object) -> int:
    """64 bits that stand for ``name``, the same on every machine."""
    return int.from_bytes(sha256("|".join(str(part) for part in name).encode()).digest()[:8], "big")


def mixed(state: int) -> int:
    """64 well mixed bits of ``state`` (the finaliser of SplitMix64, Steele, Lea, Flood 2014)."""
    state = state * 0x9E3779B97F4A7C15 & _WORD
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    state = (state ^ state >> 27) * 0x94D049BB133111EB & _WORD
    return state ^ state >> 31
