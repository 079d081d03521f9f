"""What each setup family needs, told from the bars up to one minute: one detector a family. Pure.

A detector gets the tape and the index ``n`` of the judged bar, looks at nothing after it, and says which
of its three needs are met. Distances are parts of the usual range of a whole day ("swing"), volumes
multiples of the mean before; without daily history there is no swing and nothing is found.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import sqrt
from types import MappingProxyType

from wsb_snake.engines.day_regime import RegimeRules, classify
from wsb_snake.engines.day_tape import BAR, DayTape, mean
from wsb_snake.engines.setup_families import Family, Finding
from wsb_snake.engines.types import Direction

_MORNING = timedelta(minutes=30)
_LUNCH = timedelta(minutes=150)
_AFTERNOON = timedelta(minutes=210)
"""Since the open: 10:00, 12:00 and 13:00."""


@dataclass(frozen=True, slots=True)
class DetectorRules:
    """Every figure of the detectors. Bars are minutes; ``_swing`` is a part of a usual day's range."""

    volume_bars: int = 20  # that make the mean volume before a setup
    max_missing: int = 4  # minutes that may be missing among the bars of a setup
    break_bars: int = 30  # range that a break leaves
    break_age: int = 8  # bars that a break counts for

    reclaim_age: int = 15  # bars on the new side of VWAP, at most
    reclaim_before: int = 15  # bars before the cross ...
    reclaim_other_side: float = 0.8  # ... of which this part closed on the other side
    reclaim_volume: float = 2.0
    follow_bars: int = 3  # on the new side, the last beyond the first

    pin_bars: int = 30  # before the break ...
    pin_share: float = 0.9  # ... of which this part closed within the band about the strike
    mature_bars: int = 45
    mature_share: float = 0.85
    pin_swing: float = 0.07  # half width of the band
    pin_break: float = 1.5  # half widths from the strike that confirm the break
    pin_break_bars: int = 2  # closes outside
    pin_break_volume: float = 1.5

    morning_swing: float = 0.5  # range of 10:00 to 12:00, at most
    quiet_gap: int = 10  # bars before the judged one that the afternoon's range leaves out
    expanding: float = 1.4  # mean true range of those bars to that of the lunch hour
    expansion_volume: float = 1.4  # mean volume of those bars to that of the lunch hour

    sweep_age: int = 12  # bars
    sweep_least: float = 0.03  # swing, of its depth
    sweep_most: float = 0.20
    snap_swing: float = 0.05  # from the level, back on its right side
    snap_bars: int = 3  # from the extreme on, in which the volume counts
    snap_volume: float = 2.0

    news_age_minutes: int = 60
    news_swing: float = 0.15  # from the price before the headline
    news_step_bars: int = 5  # of the fastest move since the headline ...
    news_step_swing: float = 0.15  # ... at least
    news_volume: float = 1.5

    rest_bars: int = 20  # of the consolidation before a continuation
    rest_swing: float = 0.12  # its range, at most
    continuation_volume: float = 2.0

    try_window: int = 60  # bars before the second try in which the first may lie
    try_back: int = 5  # bars within which the first came back
    try_out_swing: float = 0.02  # beyond the edge, of both closes at least
    try_back_swing: float = 0.08  # behind the edge, of the failure at least
    try_volume: float = 1.5  # of the second to the first

    low_vol_bars: int = 60
    low_vol: float = 0.5  # their mean true range x sqrt(session minutes), in swings, at most
    shift_bars: int = 8
    shift: float = 2.5  # widest three of them to the quiet mean, at least
    sustained: float = 1.5  # a bar at least that wide counts ...
    sustained_bars: int = 5  # ... and so many of them do

    attention: float = 1.5  # volume so far to the usual part of a day
    headlines: int = 3  # today, that are attention too
    liquidity_dollars: float = 250_000  # a minute
    liquidity_bars: int = 20

    extended_swing: float = 0.45  # from VWAP
    trend_bars: int = 20
    loss_bars: int = 8  # without a new extreme
    retrace_swing: float = 0.05
    reversal_volume: float = 2.0

    regime: RegimeRules = field(default_factory=RegimeRules)


Detector = Callable[[DayTape, int, float, DetectorRules], Finding | None]


def detect(family: Family, tape: DayTape, n: int, rules: DetectorRules = DetectorRules()) -> Finding | None:
    """What ``family`` finds at bar ``n``; None for nothing of it."""
    swing = tape.swing(n)
    return None if not swing else _DETECTORS[family](tape, n, swing, rules)


def _vwap_reclaim(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """A close crosses VWAP after a while on its other side, on volume, and the next bars go on."""
    up = tape.closes[n] > tape.vwaps[n]
    first = n
    while (
        first > 0 and n - first < rules.reclaim_age and (tape.closes[first - 1] > tape.vwaps[first - 1]) is up
    ):
        first -= 1
    start = first - rules.reclaim_before
    if n - first >= rules.reclaim_age or not tape.whole(start, n, rules.max_missing):
        return None
    other = sum((tape.closes[k] > tape.vwaps[k]) is not up for k in range(start, first))
    reclaim = other >= rules.reclaim_other_side * rules.reclaim_before
    volume = _volume_ratio(tape, first, min(first + 1, n), rules)
    sign = 1 if up else -1
    follows = n - first + 1 >= rules.follow_bars and (tape.closes[n] - tape.closes[first]) * sign > 0
    return Finding(
        (reclaim, volume >= rules.reclaim_volume, reclaim and follows),
        _direction(sign),
        tape.vwaps[n],
        max(first - 1, 0),
        (("vwap", tape.vwaps[n]), ("cross_volume", volume), ("bars_since_cross", float(n - first))),
    )


def _pin_break(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """Closes cling to one strike for a long while, then leave it on volume."""
    band = rules.pin_swing * swing
    near: list[tuple[float, int, float]] = []
    for bar in range(n, max(n - rules.break_age, rules.mature_bars), -1):
        magnet = _magnet(tape, tape.closes[bar], band)
        if abs(tape.closes[bar] - magnet) <= band:
            near.append((_near(tape, magnet, band, bar, rules.pin_bars), bar, magnet))
    if not near:
        return None
    # What has left a strike passes others: the pin is where most closes lay, not where the last one does.
    share, last, strike = max(near)
    if not tape.whole(last + 1 - rules.mature_bars, n, rules.max_missing):
        return None
    found = share >= rules.pin_share
    mature = _near(tape, strike, band, last, rules.mature_bars) >= rules.mature_share
    sign = 1 if tape.closes[n] > strike else -1
    left = n - last >= rules.pin_break_bars and (tape.closes[n] - strike) * sign >= rules.pin_break * band
    volume = _volume_ratio(tape, last + 1, n, rules) if last < n else 0.0
    return Finding(
        (found, found and mature, found and left and volume >= rules.pin_break_volume),
        _direction(sign) if left else None,
        strike,
        last,
        (("magnet", strike), ("band", band), ("break_volume", volume)),
    )


def _range_expansion(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """After a narrow morning the bars grow and leave the afternoon's range."""
    morning, lunch, afternoon = (
        tape.at(tape.session.open + after) for after in (_MORNING, _LUNCH, _AFTERNOON)
    )
    last = n + 1 - rules.quiet_gap
    if not morning < lunch < afternoon <= n or last <= lunch:
        return None
    width = max(tape.highs[morning:lunch]) - min(tape.lows[morning:lunch])
    compressed = width <= rules.morning_swing * swing
    quiet, usual = mean(tape.ranges, lunch, afternoon), mean(tape.volumes, lunch, afternoon)
    if not quiet or not usual:
        return None
    growth = (mean(tape.ranges, last, n + 1) or 0.0) / quiet
    volume = (mean(tape.volumes, last, n + 1) or 0.0) / usual
    high, low = max(tape.highs[lunch:last]), min(tape.lows[lunch:last])
    sign = 1 if tape.closes[n] > high else -1 if tape.closes[n] < low else 0
    return Finding(
        (compressed, sign != 0 and growth >= rules.expanding, sign != 0 and volume >= rules.expansion_volume),
        _direction(sign),
        high if sign > 0 else low,
        n,
        (("morning_swing", width / swing), ("growth", growth), ("volume_ratio", volume)),
    )


def _sweep(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """The bars run through a level that has held, and snap back behind it on volume.

    Levels that everybody sees: the day's extremes and yesterday's.
    """
    first = n + 1 - rules.sweep_age
    if not tape.whole(first - rules.break_bars, n, rules.max_missing):
        return None
    high_at = max(range(first, n + 1), key=tape.highs.__getitem__)
    low_at = min(range(first, n + 1), key=tape.lows.__getitem__)
    highs, lows = [max(tape.highs[:first])], [min(tape.lows[:first])]
    if tape.daily:
        yesterday = tape.daily[-1]
        highs.append(yesterday.high)
        lows.append(yesterday.low)
    best: Finding | None = None
    for level, at, extreme, sign in (
        *((level, low_at, tape.lows[low_at], 1) for level in lows),
        *((level, high_at, tape.highs[high_at], -1) for level in highs),
    ):
        depth = (level - extreme) * sign / swing
        held = min((close - level) * sign for close in tape.closes[first - rules.break_bars : first])
        if held <= 0 or not rules.sweep_least <= depth <= rules.sweep_most:
            continue
        volume = _volume_ratio(tape, at, min(at + rules.snap_bars - 1, n), rules)
        away = (tape.closes[n] - level) * sign
        back = away >= rules.snap_swing * swing and volume >= rules.snap_volume
        evidence = (("swept", level), ("depth_swing", depth), ("snap_volume", volume))
        found = Finding((True, True, back), _direction(sign), extreme, first - 1, evidence)
        if best is None or found.count > best.count:
            best = found
    return best


def _news(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """A headline, a price that has left where it stood before it, and speed on volume since."""
    now = tape.end(n)
    told = bisect_right(tape.headlines, now)
    since = now - timedelta(minutes=rules.news_age_minutes)
    fresh = [at for at in tape.headlines[:told] if at > since]
    if not fresh:
        return None
    first = tape.at(fresh[0] - BAR + timedelta.resolution)  # the bar in which the first of them came
    before = (
        tape.closes[first - 1] if first > 0 else tape.daily[-1].close if tape.daily else tape.bars[0].open
    )
    move = tape.closes[n] - before
    sign = 1 if move > 0 else -1
    structure = abs(move) >= rules.news_swing * swing and (tape.closes[n] - tape.vwaps[n]) * sign > 0
    closes = [before, *tape.closes[first : n + 1]]
    steps = rules.news_step_bars
    fastest = max(((close - closes[max(k - steps, 0)]) * sign for k, close in enumerate(closes)), default=0.0)
    volume = _volume_ratio(tape, first, n, rules) if first <= n else 0.0
    busy = volume >= rules.news_volume or first < rules.volume_bars  # too early to compare volumes
    fast = fastest >= rules.news_step_swing * swing and busy
    evidence = (("move_swing", move / swing), ("fastest_swing", fastest / swing), ("volume_ratio", volume))
    return Finding((True, structure, fast), _direction(sign), before, n, evidence)


def _continuation(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """A trend rests in a narrow range and leaves it its own way on volume."""
    broken = _break(tape, n, rules.rest_bars, rules)
    last = broken[0] if broken is not None else n
    regime = classify(tape, last - 1, rules.regime) if last > 0 else None
    if regime is None or regime.direction is None or last < rules.rest_bars:
        return None
    sign = 1 if regime.direction is Direction.LONG else -1
    trend = (tape.closes[n] - tape.vwaps[n]) * sign > 0
    high, low = max(tape.highs[last - rules.rest_bars : last]), min(tape.lows[last - rules.rest_bars : last])
    rests = high - low <= rules.rest_swing * swing
    volume = _volume_ratio(tape, last, n, rules) if broken is not None else 0.0
    leaves = broken is not None and broken[2] == sign and volume >= rules.continuation_volume
    evidence = (("z", regime.z), ("rest_swing", (high - low) / swing), ("break_volume", volume))
    level = high if sign < 0 else low
    return Finding((trend, trend and rests, rests and leaves), regime.direction, level, last - 1, evidence)


def _trap(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """A break of the range fails, and a second one the same way comes on more volume."""
    second = _break(tape, n, rules.break_bars, rules)
    if second is None:
        return None
    at, level, sign = second
    extremes, furthest, nearest = (tape.highs, max, min) if sign > 0 else (tape.lows, min, max)
    out, back = rules.try_out_swing * swing, rules.try_back_swing * swing
    for k in range(at - 2, max(at - rules.try_window, rules.break_bars) - 1, -1):
        if (tape.closes[k] - tape.closes[k - 1]) * sign <= 0:
            continue  # a break goes its way
        edge = furthest(extremes[k - rules.break_bars : k])
        end = min(k + rules.try_back, at - 1)
        if (tape.closes[k] - edge) * sign < out or k == end:
            continue
        if (edge - nearest(tape.closes[k + 1 : end + 1])) * sign >= back:
            break
    else:
        return None
    if (tape.closes[n] - level) * sign < out:
        return None
    first, again = max(tape.volumes[k : k + 2]), max(tape.volumes[at : n + 1])
    stronger = first > 0 and again >= rules.try_volume * first
    evidence = (
        ("edge", level),
        ("volume_to_first", again / first if first else 0.0),
        ("failed_bars_ago", n - k),
    )
    return Finding((True, True, stronger), _direction(sign), level, at - 1, evidence)


def _volatility_shift(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """An hour of small bars, then suddenly large ones that keep coming."""
    last = n + 1 - rules.shift_bars
    quiet = mean(tape.ranges, last - rules.low_vol_bars, last)
    if not quiet or not tape.whole(last - rules.low_vol_bars, n, rules.max_missing):
        return None
    minutes = (tape.session.close - tape.session.open) / timedelta(minutes=1)
    level = quiet * sqrt(minutes) / swing
    recent = tape.ranges[last : n + 1]
    widest = sum(sorted(recent)[-3:]) / 3 / quiet
    wide = sum(each >= rules.sustained * quiet for each in recent)
    move = tape.closes[n] - tape.closes[last - 1]
    sudden = widest >= rules.shift
    evidence = (("quiet_swing", level), ("widest_to_quiet", widest), ("wide_bars", float(wide)))
    return Finding(
        (level <= rules.low_vol, sudden, sudden and wide >= rules.sustained_bars),
        _direction(1 if move > 0 else -1),
        tape.closes[last - 1],
        last - 1,
        evidence,
    )


def _crowd(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """Far more shares than usual, a break upwards, and enough dollars a minute to get out again."""
    broken = _break(tape, n, rules.break_bars, rules)
    usual = mean([bar.volume for bar in tape.daily[-20:]], 0, len(tape.daily[-20:]))
    first = n + 1 - rules.liquidity_bars
    if not usual or first < 0 or not tape.daily_compares:
        return None
    gone = (tape.end(n) - tape.session.open) / (tape.session.close - tape.session.open)
    crowd = sum(tape.volumes[: n + 1]) / (usual * gone)
    told = bisect_right(tape.headlines, tape.end(n))
    dollars = (mean(tape.volumes, first, n + 1) or 0.0) * tape.closes[n]
    liquid = tape.whole(first, n, 0) and dollars >= rules.liquidity_dollars
    attention = crowd >= rules.attention or told >= rules.headlines
    breaks = broken is not None and broken[2] > 0
    evidence = (("volume_to_usual", crowd), ("headlines", float(told)), ("dollars_a_minute", dollars))
    level = broken[1] if broken is not None else tape.lows[n]
    began = broken[0] - 1 if broken is not None else n
    return Finding((attention, breaks, liquid), Direction.LONG if breaks else None, level, began, evidence)


def _snap(tape: DayTape, n: int, swing: float, rules: DetectorRules) -> Finding | None:
    """Far from VWAP a trend makes no new extreme and turns on volume."""
    first = n + 1 - rules.trend_bars
    regime = classify(tape, first, rules.regime) if first > 0 else None
    if regime is None or regime.direction is None:
        return None
    trend = 1 if regime.direction is Direction.LONG else -1
    window = range(first, n + 1)
    at = max(window, key=lambda k: tape.closes[k] * trend)
    extreme = tape.closes[at]
    extended = (extreme - tape.vwaps[at]) * trend >= rules.extended_swing * swing
    lost = n - at >= rules.loss_bars or (extreme - tape.closes[n]) * trend >= rules.retrace_swing * swing
    against = [k for k in range(at + 1, n + 1) if (tape.closes[k] - tape.closes[k - 1]) * trend < 0]
    volume = max((_volume_ratio(tape, k, k, rules) for k in against), default=0.0)
    turned = (extreme - tape.closes[n]) * trend >= rules.retrace_swing * swing
    evidence = (("extended_swing", abs(extreme - tape.vwaps[at]) / swing), ("turn_volume", volume))
    return Finding(
        (extended, extended and lost, turned and volume >= rules.reversal_volume),
        _direction(-trend),
        extreme,
        first,
        evidence,
    )


_DETECTORS: Mapping[Family, Detector] = MappingProxyType(
    {
        Family.VWAP_RECLAIM_GAMMA_SNAP: _vwap_reclaim,
        Family.STRIKE_MAGNET_BREAK: _pin_break,
        Family.AFTERNOON_RANGE_EXPANSION: _range_expansion,
        Family.LIQUIDITY_SWEEP_REVERSAL: _sweep,
        Family.NEWS_GAMMA_IGNITION: _news,
        Family.POWER_HOUR_CONTINUATION: _continuation,
        Family.FALSE_BREAK_TRAP: _trap,
        Family.VOLATILITY_REGIME_SHIFT: _volatility_shift,
        Family.CROWD_IGNITION: _crowd,
        Family.END_OF_DAY_SNAP: _snap,
    }
)


def _break(tape: DayTape, n: int, bars: int, rules: DetectorRules) -> tuple[int, float, int] | None:
    """The first bar of a young break, the edge of the range before it, and its sign; None without one.

    All closes from that bar to ``n`` lie beyond the edge of the ``bars`` bars before it.
    """
    for first in range(max(n + 1 - rules.break_age, bars), n + 1):
        if not tape.whole(first - bars, n, rules.max_missing):
            continue
        high, low = max(tape.highs[first - bars : first]), min(tape.lows[first - bars : first])
        closes = tape.closes[first : n + 1]
        if min(closes) > high:
            return first, high, 1
        if max(closes) < low:
            return first, low, -1
    return None


def _volume_ratio(tape: DayTape, first: int, last: int, rules: DetectorRules) -> float:
    """The largest volume of the bars ``first`` to ``last`` to the mean of the bars before them."""
    usual = mean(tape.volumes, first - rules.volume_bars, first)
    return max(tape.volumes[first : last + 1], default=0.0) / usual if usual else 0.0


def _magnet(tape: DayTape, price: float, band: float) -> float:
    """The strike nearest to ``price`` among those at least three half bands apart.

    Listed ones with the most open interest where a chain is known, else round prices.
    """
    if tape.chain is not None:
        held: dict[float, int] = {}
        for row in tape.chain.rows:
            strike = float(row.contract.strike)
            held[strike] = held.get(strike, 0) + (row.open_interest or 0)
        near = [strike for strike in held if abs(strike - price) <= 1.5 * band and held[strike] > 0]
        if near:
            return max(near, key=lambda strike: (held[strike], -abs(strike - price)))
    steps = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0)
    step = next((each for each in steps if each >= 3 * band), steps[-1])
    return round(price / step) * step


def _near(tape: DayTape, strike: float, band: float, last: int, bars: int) -> float:
    """The part of the ``bars`` closes up to ``last`` that lie within ``band`` of ``strike``."""
    return sum(abs(close - strike) <= band for close in tape.closes[last + 1 - bars : last + 1]) / bars


def _direction(sign: int) -> Direction | None:
    return None if sign == 0 else Direction.LONG if sign > 0 else Direction.SHORT
