"""Ignition: something begins. A burst of volume, range and speed, a gap that goes on, or news.

The burst is the last few minutes against the bars before them. ``score`` is a pure function of what
had ended or been published by ``view.now``.
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
    earlier_days,
    ended_bars,
    last_minutes,
    points,
    sign_of,
    weigh,
)
from wsb_snake.engines.headlines import recent, tone
from wsb_snake.engines.indicators import relative_range, relative_volume, velocity
from wsb_snake.engines.types import MarketView
from wsb_snake.engines.universe import INDEX_ETFS


@dataclass(frozen=True, slots=True)
class IgnitionRules:
    """Every figure of the component. Volumes and ranges are multiples, moves are fractions."""

    signal_from: float = 50  # of the score

    burst_minutes: int = 10  # that end with the newest bar: as the pipeline runs, so that none goes unseen
    base_bars: int = 20  # before the burst
    volume_steps: Steps = ((5.0, 40), (2.5, 30))  # busiest minute over the base, points
    range_steps: Steps = ((3.0, 25), (1.5, 20))  # mean true range over the base
    velocity_steps: Steps = ((0.010, 35), (0.005, 25))  # a minute

    gap: float = 0.005  # from the previous close to the open, at least
    gap_minutes: int = 90  # after the open: later it is an old story
    gap_points: float = 15
    gap_days: int = 5  # a previous close that is older than this, in calendar days, is not known

    news_minutes: int = 30
    news_points: float = 20

    max_bar_age_s: int = 180  # end of the newest bar to now: older data give no opinion


def score(view: MarketView, ticker: str, rules: IgnitionRules = IgnitionRules()) -> Component:
    """Whether something begins in ``ticker``, and which way it goes."""
    bars = ended_bars(view, ticker)
    age = age_s(bars, view.now)
    if age is None:
        return NOTHING
    if age > rules.max_bar_age_s:
        return weigh((), (("bar_age_s", age),))
    parts = [*_burst(bars, rules), *_gap(view, ticker, bars, rules), *_news(view, ticker, rules)]
    return weigh(parts)


def _burst(bars: Sequence[Bar], rules: IgnitionRules) -> list[Part]:
    """Volume, range and speed of the last minutes vote for the way that these went."""
    count = last_minutes(bars, rules.burst_minutes)
    tail = bars[-count - rules.base_bars - 1 :]
    way = tail[-count - 1 :]
    sign = sign_of(way[-1].close - way[0].close)
    volume = relative_volume(tail, count, rules.base_bars)
    spread = relative_range(tail, count, rules.base_bars)
    speed = velocity(way)
    parts = []
    if volume is not None:
        parts.append(Part("volume_ratio", volume, sign * points(volume, rules.volume_steps)))
    if spread is not None:
        parts.append(Part("range_ratio", spread, sign * points(spread, rules.range_steps)))
    if speed is not None:
        parts.append(Part("velocity", speed, sign * points(abs(speed), rules.velocity_steps)))
    return parts


def _gap(view: MarketView, ticker: str, bars: Sequence[Bar], rules: IgnitionRules) -> list[Part]:
    """The open lies away from the previous close, and the price has gone on that way since."""
    days = earlier_days(view, ticker)
    into = (view.now - view.session.open).total_seconds() / 60
    if not days or into > rules.gap_minutes or days[-1].close <= 0:
        return []
    if (view.session.open - days[-1].start).days > rules.gap_days or bars[0].start != view.session.open:
        return []
    gap = bars[0].open / days[-1].close - 1
    goes_on = (bars[-1].close - bars[0].open) * gap > 0
    given = rules.gap_points if goes_on and abs(gap) >= rules.gap else 0.0
    return [Part("gap", gap, sign_of(gap) * given)]


def _news(view: MarketView, ticker: str, rules: IgnitionRules) -> list[Part]:
    """The tone of what was published about the ticker or the whole market.

    Where no news is known nothing is said: that is not the absence of a catalyst.
    """
    known = [view.news[name] for name in dict.fromkeys((ticker, *INDEX_ETFS)) if name in view.news]
    if not known:
        return []
    items = recent((item for items in known for item in items), view.now, rules.news_minutes)
    balance = sum(tone(item.text) for item in items)
    return [
        Part("headlines", len(items), 0.0),
        Part("news_tone", balance, sign_of(balance) * rules.news_points),
    ]
