"""The ten 0DTE families: when and in which days each is looked for, and the life it leads. Pure.

A family of a ticker is dormant until most of what it needs is there (awakening); it is alive once all of
it has held for two minutes in a row, peaked when its move stopped growing, dying when its needs are gone
or its time is over, dead when it did not recover or the price is back behind its level. A dead one cools
down for 30 minutes; after three signals, or after its hours, it stays dead for the day.
"""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum

from wsb_snake.engines.day_regime import DayRegime, Trend
from wsb_snake.engines.types import Direction

NEEDS = 3
"""How many things every family needs."""
PEAK_MINUTES = 30
"""On either side of a family's best time."""


class Family(StrEnum):
    VWAP_RECLAIM_GAMMA_SNAP = "vwap_reclaim_gamma_snap"
    STRIKE_MAGNET_BREAK = "strike_magnet_break"
    AFTERNOON_RANGE_EXPANSION = "afternoon_range_expansion"
    LIQUIDITY_SWEEP_REVERSAL = "liquidity_sweep_reversal"
    NEWS_GAMMA_IGNITION = "news_gamma_ignition"
    POWER_HOUR_CONTINUATION = "power_hour_continuation"
    FALSE_BREAK_TRAP = "false_break_trap"
    VOLATILITY_REGIME_SHIFT = "volatility_regime_shift"
    CROWD_IGNITION = "crowd_ignition"
    END_OF_DAY_SNAP = "end_of_day_snap"


class Kind(StrEnum):
    CONSISTENT = "consistent"
    ASYMMETRIC = "asymmetric"


_ANY = frozenset(Trend)
_TRENDING = frozenset({Trend.MILD, Trend.STRONG})
_CALM = frozenset({Trend.NEUTRAL, Trend.MILD})
_NEUTRAL = frozenset({Trend.NEUTRAL})
_STRONG = frozenset({Trend.STRONG})


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """``first`` and ``last`` are US/Eastern wall times, ``last`` excluded; ``needs`` in the order of a
    finding's ``met``; ``trends`` are the days on which it may begin, ``bullish`` that they must be up."""

    family: Family
    kind: Kind
    first: time
    last: time
    trends: frozenset[Trend]
    needs: tuple[str, str, str]
    peak: time | None = None
    bullish: bool = False


_1300, _1400, _1500, _1600 = time(13), time(14), time(15), time(16)

TABLE: tuple[FamilyRow, ...] = (
    FamilyRow(
        Family.VWAP_RECLAIM_GAMMA_SNAP,
        Kind.CONSISTENT,
        _1400,
        _1600,
        _TRENDING,
        ("reclaim", "volume", "follow_through"),
        peak=_1500,
    ),
    FamilyRow(
        Family.STRIKE_MAGNET_BREAK,
        Kind.ASYMMETRIC,
        _1400,
        _1600,
        _CALM,
        ("pin_found", "pin_mature", "break_confirmed"),
    ),
    FamilyRow(
        Family.AFTERNOON_RANGE_EXPANSION,
        Kind.CONSISTENT,
        _1300,
        _1600,
        _TRENDING,
        ("morning_compressed", "expanding", "volume"),
        peak=_1400,
    ),
    FamilyRow(
        Family.LIQUIDITY_SWEEP_REVERSAL,
        Kind.ASYMMETRIC,
        _1300,
        _1600,
        _CALM,
        ("key_level", "sweep", "snap_back_volume"),
    ),
    FamilyRow(
        Family.NEWS_GAMMA_IGNITION,
        Kind.ASYMMETRIC,
        time(9),
        _1600,
        _ANY,
        ("catalyst", "structure", "acceleration"),
    ),
    FamilyRow(
        Family.POWER_HOUR_CONTINUATION,
        Kind.CONSISTENT,
        _1500,
        _1600,
        _TRENDING,
        ("trend", "consolidation", "breakout_volume"),
    ),
    FamilyRow(
        Family.FALSE_BREAK_TRAP,
        Kind.ASYMMETRIC,
        _1400,
        _1600,
        _CALM,
        ("failed_break", "second_try", "stronger_volume"),
    ),
    FamilyRow(
        Family.VOLATILITY_REGIME_SHIFT,
        Kind.ASYMMETRIC,
        _1300,
        _1600,
        _NEUTRAL,
        ("low_volatility", "sudden_expansion", "sustained"),
    ),
    FamilyRow(
        Family.CROWD_IGNITION,
        Kind.ASYMMETRIC,
        _1400,
        _1600,
        _ANY,
        ("attention", "technical_break", "liquidity"),
        bullish=True,
    ),
    FamilyRow(
        Family.END_OF_DAY_SNAP,
        Kind.CONSISTENT,
        _1500,
        _1600,
        _STRONG,
        ("extended", "momentum_loss", "reversal_volume"),
    ),
)


class Stage(StrEnum):
    DORMANT = "dormant"
    AWAKENING = "awakening"
    ALIVE = "alive"
    PEAKED = "peaked"
    DYING = "dying"
    DEAD = "dead"
    COOLDOWN = "cooldown"


_OVER = frozenset({Stage.DEAD, Stage.COOLDOWN})


@dataclass(frozen=True, slots=True)
class LifeRules:
    awaken_needs: int = 2  # of three, that wake a family
    alive_minutes: int = 2  # in a row with all needs in one direction, before it is alive
    forget_minutes: int = 5  # without enough needs, after which an awakening one sleeps again
    lost_minutes: int = 3  # without all needs, after which a live one is dying
    peak_minutes: int = 10  # without a better close, after which a live one has peaked
    fade_minutes: int = 10  # peaked that long it is dying
    death_minutes: int = 5  # dying that long it is dead
    cooldown_minutes: int = 30  # from its death until it may wake again
    signals_a_day: int = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector saw at one bar. ``met`` follows the table's ``needs``.

    ``level`` is the price in dollars behind which the setup has failed; ``began`` the index of the bar
    at which it began, whose regime counts.
    """

    met: tuple[bool, bool, bool]
    direction: Direction | None
    level: float
    began: int
    evidence: tuple[tuple[str, float], ...] = ()

    @property
    def count(self) -> int:
        return sum(self.met)

    @property
    def whole(self) -> bool:
        return self.count == NEEDS and self.direction is not None


@dataclass(frozen=True, slots=True)
class Life:
    """One family of one ticker today. ``best`` is the best close in ``direction`` since it woke.

    ``held`` counts minutes in a row with all needs in ``direction``, ``short`` those without enough of
    them; ``lives`` how often it came alive today, ``signals`` what it said today, of them in this life
    ``watched`` as a watch and ``struck`` as a strike.
    """

    stage: Stage = Stage.DORMANT
    since: datetime | None = None
    direction: Direction | None = None
    level: float = 0.0
    best: float = 0.0
    best_at: datetime | None = None
    held: int = 0
    short: int = 0
    lives: int = 0
    signals: int = 0
    watched: bool = False
    struck: bool = False

    @property
    def alive(self) -> bool:
        return self.stage is Stage.ALIVE


def in_hours(row: FamilyRow, wall: time) -> bool:
    """Whether the US/Eastern ``wall`` time lies in the family's hours."""
    return row.first <= wall < row.last


def at_peak(row: FamilyRow, wall: time) -> bool:
    """Whether the US/Eastern ``wall`` time lies within half an hour of the family's best."""
    return row.peak is not None and abs(_minutes(wall) - _minutes(row.peak)) <= PEAK_MINUTES


def suits(row: FamilyRow, regime: DayRegime | None) -> bool:
    """Whether the family may begin on such a day; a day that is not known suits only what takes any."""
    if regime is None:
        return row.trends == _ANY and not row.bullish
    return regime.trend in row.trends and (regime.bullish or not row.bullish)


def step(
    life: Life, at: datetime, close: float, open_now: bool, found: Finding | None, rules: LifeRules
) -> Life:
    """``life`` after the minute that ended at ``at`` with ``close``.

    ``open_now``: its hours. ``found`` is what its detector saw, None for nothing or for a setup that
    began on a day that does not suit.
    """
    found = found if open_now else None
    if life.stage is Stage.DORMANT:
        return life if found is None else _wake(life, at, close, found, rules)
    if life.stage in _OVER:
        return _rest(life, at, open_now, rules)
    life = _count(life, found)
    if life.stage is Stage.AWAKENING:
        return _grow(life, at, close, found, rules)
    return _age(life, at, close, open_now, rules)


def broken(life: Life) -> Life:
    """``life`` after a hole in the bars: rows of minutes begin anew."""
    return replace(life, held=0)


def spoken(life: Life, strike: bool) -> Life:
    """``life`` after it gave a signal, a strike or a watch."""
    return replace(
        life, signals=life.signals + 1, watched=life.watched or not strike, struck=life.struck or strike
    )


def may_speak(life: Life, strike: bool, rules: LifeRules) -> bool:
    """Whether the family may give a signal: one watch and one strike a life, the day's last for a strike."""
    if not life.alive or life.struck:
        return False
    left = rules.signals_a_day - life.signals
    return left > 0 if strike else left > 1 and not life.watched


def _count(life: Life, found: Finding | None) -> Life:
    """The rows of minutes; what points the other way is nothing to a live family."""
    if found is not None and found.whole:
        if found.direction is life.direction:
            return replace(life, held=life.held + 1, short=0)
        if life.stage in (Stage.DORMANT, Stage.AWAKENING):
            return replace(life, held=1, short=0)
    return replace(life, held=0, short=life.short + 1)


def _wake(life: Life, at: datetime, close: float, found: Finding, rules: LifeRules) -> Life:
    if found.count < rules.awaken_needs:
        return life
    woken = replace(life, direction=found.direction, level=found.level, best=close, best_at=at, short=0)
    return _enter(replace(woken, held=int(found.whole)), Stage.AWAKENING, at)


def _grow(life: Life, at: datetime, close: float, found: Finding | None, rules: LifeRules) -> Life:
    """Awakening: it comes alive, turns with what is found, or sleeps again."""
    if found is None or found.count < rules.awaken_needs:
        if life.short < rules.forget_minutes:
            return life
        return Life(lives=life.lives, signals=life.signals, since=at)
    life = replace(life, direction=found.direction, level=found.level, best=close, best_at=at)
    if not found.whole:
        return replace(life, short=0)
    if life.held < rules.alive_minutes:
        return life
    born = replace(life, lives=life.lives + 1, watched=False, struck=False)
    return _enter(born, Stage.ALIVE, at)


def _age(life: Life, at: datetime, close: float, open_now: bool, rules: LifeRules) -> Life:
    """From alive to dead; the level is that of its birth."""
    sign = 1 if life.direction is Direction.LONG else -1
    if (close - life.level) * sign < 0:
        return _enter(life, Stage.DEAD, at)
    better = (close - life.best) * sign > 0
    if better:
        life = replace(life, best=close, best_at=at)
    fading = not open_now or life.short >= rules.lost_minutes
    match life.stage:
        case Stage.ALIVE if fading:
            return _enter(life, Stage.DYING, at)
        case Stage.ALIVE if _for(life.best_at, at, rules.peak_minutes):
            return _enter(life, Stage.PEAKED, at)
        case Stage.PEAKED if fading or _for(life.since, at, rules.fade_minutes):
            return _enter(life, Stage.DYING, at)
        case Stage.PEAKED | Stage.DYING if better and life.held > 0:
            return _enter(life, Stage.ALIVE, at)
        case Stage.DYING if _for(life.since, at, rules.death_minutes):
            return _enter(life, Stage.DEAD, at)
    return life


def _rest(life: Life, at: datetime, open_now: bool, rules: LifeRules) -> Life:
    """Dead, then cooling down, then asleep; for the day it stays dead when it may say nothing more."""
    if life.stage is Stage.DEAD:
        over = not open_now or life.signals >= rules.signals_a_day
        return life if over else _enter(life, Stage.COOLDOWN, at)
    if not _for(life.since, at, rules.cooldown_minutes):
        return life
    return Life(lives=life.lives, signals=life.signals, since=at)


def _enter(life: Life, stage: Stage, at: datetime) -> Life:
    return replace(life, stage=stage, since=at)


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute


def _for(since: datetime | None, at: datetime, minutes: int) -> bool:
    return since is not None and at - since >= timedelta(minutes=minutes)
