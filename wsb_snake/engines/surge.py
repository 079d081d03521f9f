"""Surge: momentum late in the day.

VWAP reclaimed (or lost) on volume, a break of the day's range, speed, and in the last hour dealers who
must hedge with the move while gamma grows. Before the last hours there is no late day and no score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wsb_snake.core.types import Bar
from wsb_snake.engines.components import (
    NOTHING,
    Component,
    Part,
    Steps,
    age_s,
    ended_bars,
    expires_at,
    last_minutes,
    moved,
    points,
    sign_of,
    usable_chain,
    weigh,
)
from wsb_snake.engines.dealer_gamma import dealer_gamma, near_the_money
from wsb_snake.engines.indicators import price_range, relative_volume, velocity, vwap_path
from wsb_snake.engines.types import MarketView


@dataclass(frozen=True, slots=True)
class SurgeRules:
    """Every figure of the component. Volumes are multiples of the average, moves are fractions."""

    signal_from: float = 45  # of the score

    late_minutes: int = 180  # before the close
    min_bars: int = 30

    reclaim_minutes: int = 30  # how long ago VWAP may have been crossed
    reclaim_bars: int = 5  # the crossing bar and those after it, of which the busiest counts
    reclaim_volume: float = 2.0
    volume_bars: int = 20  # bars before the crossing that make the average
    reclaim_points: float = 30

    fresh_minutes: int = 30  # the range is that of the day before these
    break_steps: Steps = ((0.005, 45), (0.0, 20))  # how far beyond the range, points

    speed_minutes: int = 5
    velocity_steps: Steps = ((0.006, 35), (0.003, 25))  # a minute

    gamma_minutes: int = 60  # before the close
    gamma_strikes: int = 20
    gamma_tilt: float = 0.1  # net over gross exposure, at least
    gamma_move: float = 0.001  # over ``speed_minutes``, at least
    gamma_points: float = 15
    max_chain_age_s: int = 900

    max_bar_age_s: int = 180  # end of the newest bar to now: older data give no opinion


def score(view: MarketView, ticker: str, rules: SurgeRules = SurgeRules()) -> Component:
    """Whether ``ticker`` surges late in the day, and which way."""
    bars = ended_bars(view, ticker)
    age = age_s(bars, view.now)
    if age is None:
        return NOTHING
    if age > rules.max_bar_age_s:
        return weigh((), (("bar_age_s", age),))
    left = (view.session.close - view.now).total_seconds() / 60
    facts = (("minutes_to_close", left),)
    if not 0 <= left <= rules.late_minutes or len(bars) < rules.min_bars:
        return weigh((), facts)
    parts = [*_reclaim(bars, rules), *_break(bars, rules), *_speed(bars, rules)]
    if left <= rules.gamma_minutes:
        parts += _acceleration(view, ticker, bars, rules)
    return weigh(parts, facts)


def _reclaim(bars: Sequence[Bar], rules: SurgeRules) -> list[Part]:
    """The close crossed VWAP a moment ago, on volume, and has stayed on that side."""
    vwaps = vwap_path(bars)
    side = sign_of(bars[-1].close - vwaps[-1])
    recent = last_minutes(bars, rules.reclaim_minutes)
    since = 0  # bars on this side, the crossing one included
    while since <= recent and since < len(bars) and (bars[-1 - since].close - vwaps[-1 - since]) * side > 0:
        since += 1
    parts = [Part("vwap", vwaps[-1], 0.0)]
    if not 0 < since <= recent:
        return parts
    crossing = min(since, rules.reclaim_bars)
    volume = relative_volume(bars[: len(bars) - since + crossing], crossing, rules.volume_bars)
    if volume is not None:
        given = rules.reclaim_points if volume >= rules.reclaim_volume else 0.0
        parts.append(Part("reclaim_volume", volume, side * given))
    return parts


def _break(bars: Sequence[Bar], rules: SurgeRules) -> list[Part]:
    """The close lies beyond the range that the day had before the last half hour."""
    limits = price_range(bars[: -last_minutes(bars, rules.fresh_minutes)])
    if limits is None or limits[0] <= 0:
        return []
    low, high = limits
    above, below = bars[-1].close / high - 1, 1 - bars[-1].close / low
    if max(above, below) <= 0:
        return [Part("range_break", 0.0, 0.0)]
    if above > below:
        return [Part("range_break", above, points(above, rules.break_steps))]
    return [Part("range_break", -below, -points(below, rules.break_steps))]


def _speed(bars: Sequence[Bar], rules: SurgeRules) -> list[Part]:
    speed = velocity(bars[-last_minutes(bars, rules.speed_minutes) - 1 :])
    if speed is None:
        return []
    return [Part("velocity", speed, sign_of(speed) * points(abs(speed), rules.velocity_steps))]


def _acceleration(view: MarketView, ticker: str, bars: Sequence[Bar], rules: SurgeRules) -> list[Part]:
    """Gamma of what expires today grows to the end: dealers who are short of it push a move on."""
    chain = usable_chain(view, ticker, rules.max_chain_age_s)
    if chain is None or chain.expiry != view.session.day:
        return []
    spot = bars[-1].close
    pairs = near_the_money(chain, spot, rules.gamma_strikes)
    exposure = dealer_gamma(pairs, spot, chain.at, view.now, expires_at(view, chain))
    if exposure is None:
        return []
    move = moved(bars, rules.speed_minutes)
    pushes = exposure.tilt <= -rules.gamma_tilt and abs(move) >= rules.gamma_move
    given = sign_of(move) * rules.gamma_points if pushes else 0.0
    return [Part("gamma_acceleration", exposure.net, given)]
