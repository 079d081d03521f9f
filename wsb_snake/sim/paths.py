"""Seeded price paths: from daily levels over minutes down to single seconds.

A price is the sum, in logarithms, of a factor that all names share and one of its own. Each factor
walks from weekday to weekday (holidays included: their move shows in the next gap) and fills each
session with a bridge between its open and its close, bent by the character of the day; on some days a
scene of that character is played on the way. So a day looks the same live as it does in the history of
the days after it. A half day moves as far as a full one.

Random numbers come from streams named by (seed, factor, purpose, day): asking for one never shifts
another. The intraday shapes are fitted by eye to 286 full sessions of SPY minutes of 2023-24.
"""

from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from math import exp, log, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from wsb_snake.sim.scenes import FULL_MINUTES, SCENES, Kind, Scene

Floats = NDArray[np.float64]
Moves = tuple[tuple[int, float], ...]

EPOCH = date(2022, 1, 3)
"""The Monday on which every walk begins."""
FIRST_DAY = date(2022, 7, 1)
"""The first day that has the history engines ask for behind it."""

INTRADAY_SHARE = 0.6
"""Part of a day's variance that falls between open and close."""
MINUTE_S = 60
SESSIONS_PER_YEAR = 252
_WEEK_DAYS, _WEEK_SESSIONS = 7, 5
_REVERSION = 0.985  # of a factor's level from one weekday to the next: names stay near their price
_VOL_MEMORY = 0.94  # of a factor's volatility from one weekday to the next
_BURST_MINUTES, _BURST_SIZE = 10, 0.45  # of volatility within a session, in logarithms
_PUSHES, _PUSH_SIZE = 5.0, 0.22  # short runs in one direction: how many a day, size in day deviations
_HOPS, _HOP_SIZE = 2.5, 0.10  # moves within a second, likewise

_KIND_SHARES = (0.25, 0.25, 0.20, 0.15, 0.15)  # in the order of Kind
_KIND_NOISE = (0.75, 0.95, 0.80, 0.75, 0.75)  # of the bridge, in day deviations
_FAILING = 1 / 3  # of the scenes
_LATE_FROM = 0.77  # of the session: half past two on a full day


def stream(*name: object) -> np.random.Generator:
    """The random stream called ``name``; equal names give equal numbers on every machine."""
    digest = sha256("|".join(str(part) for part in name).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def weekday_index(day: date) -> int:
    """Weekdays since EPOCH; a Saturday or Sunday counts as the Friday before it."""
    weeks, rest = divmod((day - EPOCH).days, _WEEK_DAYS)
    return weeks * _WEEK_SESSIONS + min(rest, _WEEK_SESSIONS - 1)


def variance_shape(minutes: int) -> Floats:
    """Variance of each minute of a session relative to their mean: high at the open and the close."""
    x = (np.arange(minutes) + 0.5) / minutes
    return _mean_one(0.62 + 1.5 * np.exp(-x / 0.16) + 1.3 * np.exp(-(1 - x) / 0.03))


def volume_shape(minutes: int) -> Floats:
    """Volume of each minute relative to their mean: high at the open, highest at the close."""
    x = (np.arange(minutes) + 0.5) / minutes
    return _mean_one(0.62 + 1.3 * np.exp(-x / 0.12) + 3.5 * np.exp(-(1 - x) / 0.035))


@dataclass(frozen=True, slots=True)
class Intraday:
    """One factor's or one name's way through a session.

    ``nodes`` are logarithms at the minute boundaries (minutes + 1 of them), ``sds`` the standard
    deviation of each minute without its hops, ``hops`` the (second, size) of moves within a second;
    ``story`` is the part of the nodes that the character of the day tells, without chance; ``calm`` and
    ``busy`` are how large a scene makes chance and volume of each minute, over the usual, and ``pin`` is
    from which minute to which it holds a name at a strike.
    """

    nodes: Floats
    sds: Floats
    hops: Moves
    story: Floats | float = 0.0
    calm: Floats | float = 1.0
    busy: Floats | float = 1.0
    pin: tuple[int, int] | None = None


class Factor:
    """One source of returns. All levels are logarithms about zero, indexed by ``weekday_index``."""

    def __init__(
        self, seed: int, label: str, annual_vol: float, vol_swing: float, last: date, reach: float = 1.0
    ) -> None:
        """``vol_swing`` is the standard deviation of the logarithm of volatility over the years.

        ``reach`` is how many of its deviations a scene takes for one; with 0 there are none.
        """
        count = weekday_index(last) + 1
        self._name = (seed, label)
        # Row by row, so that a later ``last`` only adds days.
        normals = stream(seed, label, "days").standard_normal((count, 4))
        uniforms = stream(seed, label, "characters").random((count, 4))
        self.sds = annual_vol / sqrt(SESSIONS_PER_YEAR) * np.exp(vol_swing * _autoregressive(normals[:, 0]))
        self.expected_sd = annual_vol / sqrt(SESSIONS_PER_YEAR) * exp(vol_swing**2)
        self.volumes = np.exp(0.3 * normals[:, 1])
        self._kinds = np.searchsorted(np.cumsum(_KIND_SHARES)[:-1], uniforms[:, 0], side="right")
        self._drift, self._bend, self._jump = _characters(self._kinds, uniforms, normals[:, 2])
        self._place = uniforms[:, 2]
        self._reach = reach
        self._lots = stream(seed, label, "scenes").random(count)
        day_sds = self.sds * sqrt(INTRADAY_SHARE)
        gaps = self.sds * sqrt(1 - INTRADAY_SHARE) * normals[:, 3]
        moves = day_sds * (self._drift + self._jump)
        self.opens, self.closes = _walk(gaps.tolist(), moves.tolist())

    def intraday(self, day: date, shape: Floats) -> Intraday:
        """The way from the open to the close of ``day``; ``shape`` is ``variance_shape`` of its minutes."""
        index = weekday_index(day)
        kind = int(self._kinds[index])
        sd = float(self.sds[index]) * sqrt(INTRADAY_SHARE)
        place = float(self._place[index])
        draw = stream(*self._name, day)
        minutes = len(shape)
        x = np.arange(minutes + 1) / minutes

        scene = self.scene(day) if minutes == FULL_MINUTES else None
        calm = 1.0 if scene is None else scene.calm(place)

        sds = _minute_sds(draw, sd * _KIND_NOISE[kind], shape) * calm
        clock = _sums(sds**2)
        clock /= clock[-1]
        hops = _hushed(_hops(draw, sd * _HOP_SIZE, shape), calm)
        noise = _sums(sds * draw.standard_normal(minutes) + calm * _pushes(draw, sd * _PUSH_SIZE, shape))
        noise += _steps(hops, minutes)
        noise -= clock * noise[-1]  # a bridge: the day's own drift takes it to the close

        if scene is not None:
            story = scene.way(sd * float(self._drift[index]), sd * self._reach, place)
            nodes = self.opens[index] + story + noise
            return Intraday(nodes, sds, tuple(sorted(hops)), story, calm, scene.busy(place), scene.pin(place))
        late = np.clip((x - _LATE_FROM) / (1 - _LATE_FROM), 0.0, 1.0) ** 1.2
        way = sd * float(self._drift[index]) * (late if kind == Kind.LATE else x)
        way += sd * float(self._bend[index]) * _hump(x, 0.25 + 0.5 * place)
        if (news := self.news(day, minutes)) is not None:
            way += _steps((news,), minutes)
            hops = (*hops, news)
        return Intraday(self.opens[index] + way + noise, sds, tuple(sorted(hops)), way)

    def scene(self, day: date) -> Scene | None:
        """What is played on ``day`` if it is a full one."""
        index = weekday_index(day)
        choice = SCENES[Kind(int(self._kinds[index]))]
        lot = float(self._lots[index]) * len(choice)
        scene = choice[int(lot)] if self._reach else None
        if scene is None or (scene.rising and self._drift[index] < 0):
            return None
        return scene.failing() if lot % 1 < _FAILING else scene

    def news(self, day: date, minutes: int) -> tuple[int, float] | None:
        """On a news day of so many ``minutes`` the second of the jump and its size; None on another."""
        index = weekday_index(day)
        if self._kinds[index] != Kind.NEWS:
            return None
        second = int((0.08 + 0.75 * float(self._place[index])) * minutes * MINUTE_S) | 1
        return second, float(self.sds[index]) * sqrt(INTRADAY_SHARE) * float(self._jump[index])


def combine(price: float, parts: tuple[tuple[float, Intraday], ...]) -> Intraday:
    """The way of a name about ``price`` dollars that takes each factor times its loading."""
    nodes = np.log(price) + sum(loading * part.nodes for loading, part in parts)
    sds = np.sqrt(sum((loading * part.sds) ** 2 for loading, part in parts))
    hops = sorted((at, loading * size) for loading, part in parts for at, size in part.hops)
    story = sum(loading * part.story for loading, part in parts)
    busy = prod(part.busy for _, part in parts)
    return Intraday(np.asarray(nodes), np.asarray(sds), tuple(hops), story, busy=busy)


def hushed(way: Intraday, calm: Floats | float) -> Intraday:
    """``way`` with so much of the chance and story of each minute; the rest comes bit by bit. Hops stay."""
    if isinstance(calm, float):
        return way
    minutes = len(way.sds)
    stairs = _steps(way.hops, minutes)
    smooth = way.nodes - stairs
    quiet = _sums(np.diff(smooth) * calm)
    missing = smooth[-1] - smooth[0] - quiet[-1]
    nodes = smooth[0] + quiet + missing * np.arange(minutes + 1) / minutes + stairs
    return replace(way, nodes=nodes, sds=way.sds * calm)


def pinned(way: Intraday, first: int, last: int, step: float) -> Intraday:
    """``way`` that lies about a multiple of ``step`` dollars from minute ``first`` to ``last``."""
    level = float(way.nodes[first : last + 1].mean())
    strike = max(round(exp(level) / step), 1) * step
    minutes = len(way.sds)
    there = np.interp(np.arange(minutes + 1), (0, first, last, minutes), (0.0, 1.0, 1.0, 0.0))
    return replace(way, nodes=way.nodes + (log(strike) - level) * there)


def second_prices(way: Intraday, draw: np.random.Generator) -> Floats:
    """Dollars in whole cents at each second of the session; the last one is the official close.

    The seconds stay within the range of the minute boundaries, so that the range of a past day is
    known without its seconds.
    """
    minutes = len(way.sds)
    seconds = np.arange(minutes + 1) * MINUTE_S
    stairs = _steps(way.hops, minutes)
    path = bridge(seconds, way.nodes - stairs, np.repeat(way.sds, MINUTE_S) / sqrt(MINUTE_S), draw)
    for at, size in way.hops:
        path[at:] += size
    low, high = float(way.nodes.min()), float(way.nodes.max())
    path = np.where(path > high, 2 * high - path, path)
    path = np.clip(np.where(path < low, 2 * low - path, path), low, high)
    path[-2] = path[-1]  # the close is the last print of the last minute
    return to_cents(path[:-1])


def bridge(seconds: NDArray[np.int64], logs: Floats, sds: Floats, draw: np.random.Generator) -> Floats:
    """A Brownian path through ``logs`` at ``seconds``; ``sds`` is the deviation of each second.

    The first of ``seconds`` must be 0 and the last the number of seconds; one more point than
    ``sds`` comes back.
    """
    free = _sums(sds * draw.standard_normal(len(sds)))
    clock = _sums(sds**2)
    at = clock[seconds]
    path: Floats = free + np.interp(clock, at, logs - free[seconds])
    return path


def to_cents(logs: Floats) -> Floats:
    """Prices of logarithms, in dollars rounded to cents, never below one."""
    dollars: Floats = np.maximum(np.round(np.exp(logs) * 100), 1.0) / 100
    return dollars


def minute_volumes(way: Intraday, total: float, quiet: float, draw: np.random.Generator) -> Floats:
    """Shares in each minute, about ``total`` in all: by the time of day, and more where it moved.

    ``quiet`` is the chance that an average lunch-time minute has no trade.
    """
    minutes = len(way.sds)
    usual = np.sqrt(variance_shape(minutes) * np.mean(way.sds**2))
    moved = np.minimum(np.abs(np.diff(way.nodes)) / usual, 6.0)
    shape = volume_shape(minutes)
    weights = shape * (0.8 + 0.25 * moved + 0.12 * moved**2) * np.exp(0.35 * draw.standard_normal(minutes))
    weights *= way.busy
    weights[draw.random(minutes) < quiet / np.maximum(shape, 0.5) * 0.6] = 0.0
    weights[[0, -1]] = np.maximum(weights[[0, -1]], 1.0)  # the auctions always trade
    return np.asarray(np.round(weights / weights.sum() * total))


def stress(way: Intraday) -> Floats:
    """How much wider than usual option quotes are at each second (1 is usual).

    Wide in the first minutes, and for a minute or two after a hop.
    """
    minutes = len(way.sds)
    seconds = np.arange(minutes * MINUTE_S)
    wide: Floats = 1.0 + 1.5 * np.exp(-seconds / 150.0)
    for at, size in way.hops:
        severity = min(abs(size) / float(way.sds.mean()) / 3, 2.0)
        wide[at:] += severity * np.exp(-(seconds[at:] - at) / 75.0)
    return wide


def _sums(values: Floats) -> Floats:
    """Zero and the cumulative sums."""
    return np.concatenate(([0.0], np.cumsum(values)))


def _mean_one(weights: Floats) -> Floats:
    return np.asarray(weights / weights.mean())


def _autoregressive(shocks: Floats) -> Floats:
    """Unit-variance AR(1) with _VOL_MEMORY."""
    level, gain = 0.0, sqrt(1 - _VOL_MEMORY**2)
    levels = []
    for shock in shocks.tolist():
        level = _VOL_MEMORY * level + gain * shock
        levels.append(level)
    return np.array(levels)


def _walk(gaps: list[float], moves: list[float]) -> tuple[Floats, Floats]:
    opens, closes, level = [], [], 0.0
    for gap, move in zip(gaps, moves, strict=True):
        opening = _REVERSION * level + gap
        level = opening + move
        opens.append(opening)
        closes.append(level)
    return np.array(opens), np.array(closes)


def _characters(kinds: NDArray[np.int64], uniforms: Floats, normals: Floats) -> tuple[Floats, Floats, Floats]:
    """Drift, bend and jump of each day in units of its intraday deviation."""
    size = uniforms[:, 1]
    sign = np.where(uniforms[:, 3] < 0.5, -1.0, 1.0)
    trend, reversal = kinds == Kind.TREND, kinds == Kind.REVERSAL
    late, news = kinds == Kind.LATE, kinds == Kind.NEWS
    drift = np.select([trend, late], [sign * (0.9 + 0.8 * size), sign * (0.7 + 0.7 * size)], 0.35 * normals)
    bend = np.where(reversal, sign * (0.9 + 0.7 * size), 0.0)
    jump = np.where(news, sign * (0.8 + 0.8 * size), 0.0)
    return drift, bend, jump


def _hump(x: Floats, peak: float) -> Floats:
    """Zero at both ends, one at ``peak``, smooth in between."""
    half = np.where(x < peak, x / peak, (1 - x) / (1 - peak))
    return np.asarray(np.sin(np.pi / 2 * half) ** 2)


def _minute_sds(draw: np.random.Generator, sd: float, shape: Floats) -> Floats:
    """Deviation of each minute: the usual ``shape`` times slow bursts, ``sd`` over the session."""
    minutes = len(shape)
    knots = np.linspace(0, minutes, minutes // _BURST_MINUTES + 1)
    bursts = np.interp(np.arange(minutes), knots, _BURST_SIZE * draw.standard_normal(len(knots)))
    variances = shape * np.exp(2 * bursts)
    return np.asarray(sd * np.sqrt(variances / variances.sum()))


def _hops(draw: np.random.Generator, sd: float, shape: Floats) -> Moves:
    count = int(draw.poisson(_HOPS))
    # Not in the last minute, so that it shows, nor (the odd second) on the boundary of two.
    places = draw.integers(0, (len(shape) - 1) * MINUTE_S, count) | 1
    sizes = sd * np.sqrt(shape[places // MINUTE_S]) * draw.standard_normal(count)
    return tuple(zip(places.tolist(), sizes.tolist(), strict=True))


def _pushes(draw: np.random.Generator, sd: float, shape: Floats) -> Floats:
    """Runs of two to six minutes: what they add to each minute."""
    count = int(draw.poisson(_PUSHES))
    lengths = draw.integers(2, 7, count)
    firsts = draw.integers(0, len(shape) - lengths)
    added = np.zeros_like(shape)
    for first, length, size in zip(firsts, lengths, sd * draw.standard_normal(count), strict=True):
        added[first : first + length] += size / length
    return added * np.sqrt(shape)


def _hushed(hops: Moves, calm: Floats | float) -> Moves:
    if isinstance(calm, float):
        return hops
    return tuple((at, size * float(calm[at // MINUTE_S])) for at, size in hops)


def _steps(hops: Moves, minutes: int) -> Floats:
    """Sum of the hops before each minute boundary; one at second 60 shows at the boundary of 120."""
    sums = np.zeros(minutes + 1)
    for at, size in hops:
        sums[at // MINUTE_S + 1 :] += size
    return sums
