"""The 0DTE scalper: patterns on 1-minute bars, judged each time a bar has ended.

``scan`` is pure: the same bars, moment and state give the same signals, and bars that had not ended
by ``now`` change nothing. A ticker gives at most one signal a pass, its best.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern, eastern_date
from wsb_snake.core.types import Bar
from wsb_snake.engines.indicators import average_volume, momentum, price_range, true_ranges, vwap_path
from wsb_snake.engines.types import Direction, Signal, signal_id
from wsb_snake.engines.universe import is_single_name
from wsb_snake.learning.session_windows import Window, window_of
from wsb_snake.trading.eod_guard import rungs

ENGINE = "spy_scalper"
BAR = timedelta(minutes=1)


class Setup(StrEnum):
    VWAP_RECLAIM = "vwap_reclaim"
    VWAP_REJECTION = "vwap_rejection"
    VWAP_BOUNCE = "vwap_bounce"
    SURGE_LONG = "momentum_surge_long"
    SURGE_SHORT = "momentum_surge_short"
    BREAKOUT = "breakout"
    BREAKDOWN = "breakdown"
    FAILED_BREAKOUT = "failed_breakout"
    FAILED_BREAKDOWN = "failed_breakdown"
    SQUEEZE_FIRE = "squeeze_fire"


@dataclass(frozen=True, slots=True)
class ScalperRules:
    """Every figure of the engine. Volumes are multiples of the average, moves are fractions."""

    alert: float = 60
    execute: float = 70
    lunch_bar: float = 5  # added to ``execute`` from 12:00 to 13:00
    single_name_bar: float = 5  # added to ``execute`` for one company's share
    cooldown_s: int = 300  # the same setup in the same ticker
    trade_cooldown_s: int = 600  # any signal in the ticker, after a trade
    entry_gap_s: int = 600  # any entry, after a trade in another ticker; at most the cooldown

    min_bars: int = 20
    volume_bars: int = 20  # bars before the judged one that make the average volume
    momentum_bars: int = 5
    max_missing: int = 2  # minutes that may be missing among the last ``momentum_bars``
    range_bars: int = 30

    reclaim_volume: float = 1.3
    surge_volume: float = 1.5
    surge_move: float = 0.0015
    break_volume: float = 1.3
    touch: float = 0.0005  # how near to VWAP counts as touched
    trap_bars: int = 3  # a break that is older than this is no trap
    quiet_bars: int = 10  # squeeze: these bars ...
    quiet_ratio: float = 0.75  # ... are at most this part of the 20 bars before them
    quiet_base_bars: int = 20
    fire_ratio: float = 1.5  # and the judged bar is this multiple of the quiet ones

    base: float = 60
    volume_steps: tuple[tuple[float, float], ...] = ((2.0, 10), (1.5, 5))  # at least, points
    momentum_steps: tuple[tuple[float, float], ...] = ((0.003, 8), (0.002, 5))
    vwap_points: float = 5

    max_bar_age_s: int = 120  # end of the newest bar to now: older data give no signal
    max_signal_age_s: int = 120


@dataclass(frozen=True, slots=True)
class ScalperState:
    """What the scalper remembers between passes: what it said about which bar, and when it traded."""

    last_signal_at: tuple[tuple[str, str, datetime], ...] = ()  # ticker, setup, end of the bar
    last_trade_at: tuple[tuple[str, datetime], ...] = ()  # ticker, moment

    def to_json(self) -> str:
        signals = [(ticker, setup, at.isoformat()) for ticker, setup, at in self.last_signal_at]
        trades = [(ticker, at.isoformat()) for ticker, at in self.last_trade_at]
        return json.dumps({"last_signal_at": signals, "last_trade_at": trades})

    @classmethod
    def from_json(cls, text: str) -> "ScalperState":
        """The state that ``to_json`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        stored = json.loads(text)
        signals = ((str(ticker), str(setup), _instant(at)) for ticker, setup, at in stored["last_signal_at"])
        trades = ((str(ticker), _instant(at)) for ticker, at in stored["last_trade_at"])
        return cls(tuple(signals), tuple(trades))


def scan(
    view: Mapping[str, Sequence[Bar]],
    now: datetime,
    session: Session,
    state: ScalperState,
    rules: ScalperRules = ScalperRules(),
) -> tuple[tuple[Signal, ...], ScalperState]:
    """Signals of this pass, by ticker, and the next state.

    ``view`` holds 1-minute bars of one feed, oldest first; bars outside ``session`` and bars that have
    not ended by ``now`` are ignored.
    """
    state = _forget(state, now, rules)
    cooling = {ticker for ticker, _ in state.last_trade_at}
    spoken = {(ticker, setup): at for ticker, setup, at in state.last_signal_at}
    signals: list[Signal] = []
    for ticker in sorted(view):
        if ticker in cooling or not session.open <= now < entries_end(ticker, session):
            continue
        tape = _read(view[ticker], now, session, rules)
        if tape is None or _judged(tape, ticker, spoken):
            continue
        found = (_signal(ticker, tape, pattern, session, rules) for pattern in _patterns(tape, rules))
        fresh = [
            signal
            for signal in found
            if signal.confidence >= rules.alert and (ticker, signal.setup) not in spoken
        ]
        if fresh:
            best = max(fresh, key=lambda signal: signal.confidence)
            spoken[ticker, best.setup] = best.at
            signals.append(best)
    remembered = tuple(sorted((ticker, setup, at) for (ticker, setup), at in spoken.items()))
    return tuple(signals), replace(state, last_signal_at=remembered)


def traded(state: ScalperState, ticker: str, now: datetime) -> ScalperState:
    """``state`` after an entry in ``ticker`` was sent: its cooldown begins."""
    others = tuple((name, at) for name, at in state.last_trade_at if name != ticker)
    return replace(state, last_trade_at=tuple(sorted((*others, (ticker, now)))))


def crowded(state: ScalperState, now: datetime, rules: ScalperRules = ScalperRules()) -> str | None:
    """Why no entry may follow yet, or None: signals of one moment in several tickers are one bet."""
    for ticker, at in state.last_trade_at:
        ago = (now - at).total_seconds()
        if ago < rules.entry_gap_s:
            return f"{ticker} was entered {ago:.0f} s ago; entries keep {rules.entry_gap_s} s apart"
    return None


def wants_execution(
    signal: Signal, now: datetime, session: Session, rules: ScalperRules = ScalperRules()
) -> str | None:
    """None when ``signal`` may be traded now, else why not, in one clear line."""
    if now < session.open:
        return "the session has not begun"
    end = entries_end(signal.ticker, session)
    if now >= end:
        return f"0DTE entries in {signal.ticker} ended at {eastern(end):%H:%M} ET"
    age = (now - signal.at).total_seconds()
    if age > rules.max_signal_age_s:
        return f"the signal is {age:.0f} s old, limit {rules.max_signal_age_s} s"
    bar, why = execute_bar(signal, now, session, rules)
    if signal.confidence < bar:
        return f"confidence {signal.confidence:g} is below the bar of {bar:g}{why}"
    return None


def execute_bar(
    signal: Signal, now: datetime, session: Session, rules: ScalperRules = ScalperRules()
) -> tuple[float, str]:
    """The confidence from which on ``signal`` may be traded, and what of it the hour and the name add."""
    bar = rules.execute
    why = ""
    if window_of(now, session) is Window.LUNCH:
        bar += rules.lunch_bar
        why += f", {rules.lunch_bar:g} of them for lunch"
    if is_single_name(signal.ticker):
        bar += rules.single_name_bar
        why += f", {rules.single_name_bar:g} of them for a single name"
    return bar, why


def entries_end(ticker: str, session: Session) -> datetime:
    """When the hunt ends: with the last moment for a 0DTE entry in ``ticker`` (aware UTC)."""
    return rungs(session, ticker, cutoff_flatten=False).entries_end


@dataclass(frozen=True, slots=True)
class _Tape:
    """One ticker's session so far; ``bars[-1]`` is the judged bar."""

    bars: Sequence[Bar]
    vwaps: Sequence[float]  # session VWAP after each bar
    volume_ratio: float  # of the judged bar to the average before it; 0 when there is no volume
    move: float  # change over the last ``momentum_bars`` bars, a fraction

    @property
    def last(self) -> Bar:
        return self.bars[-1]


@dataclass(frozen=True, slots=True)
class _Pattern:
    setup: Setup
    direction: Direction
    evidence: tuple[tuple[str, float], ...] = field(default=())


def _read(bars: Sequence[Bar], now: datetime, session: Session, rules: ScalperRules) -> _Tape | None:
    """The ended bars of the session, or None when they are too few, too old or too full of holes."""
    first = bisect_left(bars, session.open, key=_start)
    end = bisect_right(bars, now - BAR, key=_start)
    ended = bars[first:end]
    if len(ended) < max(rules.min_bars, rules.momentum_bars + 1):
        return None
    last, base = ended[-1], ended[-1 - rules.momentum_bars]
    if (now - last.start - BAR).total_seconds() > rules.max_bar_age_s:
        return None
    if last.start - base.start > (rules.momentum_bars + rules.max_missing) * BAR:
        return None
    average = average_volume(ended[-1 - rules.volume_bars : -1])
    move = momentum([bar.close for bar in ended[-1 - rules.momentum_bars :]], rules.momentum_bars)
    return _Tape(ended, vwap_path(ended), last.volume / average if average else 0.0, move or 0.0)


def _judged(tape: _Tape, ticker: str, spoken: Mapping[tuple[str, str], datetime]) -> bool:
    """Whether a signal of this bar has been given: a second setup in it is no second signal."""
    end = tape.last.start + BAR
    return any(name == ticker and at >= end for (name, _), at in spoken.items())


def _vwap_cross(tape: _Tape, rules: ScalperRules) -> _Pattern | None:
    """Reclaim: the close crosses above VWAP on volume."""
    crossed = tape.bars[-2].close <= tape.vwaps[-2] and tape.last.close > tape.vwaps[-1]
    if crossed and tape.volume_ratio > rules.reclaim_volume:
        return _Pattern(Setup.VWAP_RECLAIM, Direction.LONG)
    return None


def _vwap_touch(tape: _Tape, rules: ScalperRules) -> _Pattern | None:
    """Bounce and rejection: three closes on one side, then a bar that reaches VWAP and turns away from it."""
    last, vwap = tape.last, tape.vwaps[-1]
    sides = [bar.close - at for bar, at in zip(tape.bars[-4:-1], tape.vwaps[-4:-1], strict=True)]
    if min(sides) > 0 and last.low <= vwap * (1 + rules.touch) and last.close > max(vwap, last.open):
        return _Pattern(Setup.VWAP_BOUNCE, Direction.LONG)
    if max(sides) < 0 and last.high >= vwap * (1 - rules.touch) and last.close < min(vwap, last.open):
        return _Pattern(Setup.VWAP_REJECTION, Direction.SHORT)
    return None


def _surge(tape: _Tape, rules: ScalperRules) -> _Pattern | None:
    """A fast move on volume."""
    if abs(tape.move) < rules.surge_move or tape.volume_ratio <= rules.surge_volume:
        return None
    if tape.move > 0:
        return _Pattern(Setup.SURGE_LONG, Direction.LONG)
    return _Pattern(Setup.SURGE_SHORT, Direction.SHORT)


def _range_break(tape: _Tape, rules: ScalperRules) -> _Pattern | None:
    """The close leaves the range of the 30 bars before it, on volume."""
    if len(tape.bars) <= rules.range_bars or tape.volume_ratio <= rules.break_volume:
        return None
    limits = price_range(tape.bars[-1 - rules.range_bars : -1])
    if limits is None:
        return None
    low, high = limits
    if tape.last.close > high:
        return _Pattern(Setup.BREAKOUT, Direction.LONG, (("range_high", high),))
    if tape.last.close < low:
        return _Pattern(Setup.BREAKDOWN, Direction.SHORT, (("range_low", low),))
    return None


def _trap(tape: _Tape, rules: ScalperRules) -> _Pattern | None:
    """The bar before closed outside the 30-bar range of a moment ago, this one closes back inside."""
    end = -1 - rules.trap_bars
    limits = price_range(tape.bars[end - rules.range_bars : end])
    if limits is None or len(tape.bars) < rules.range_bars - end:
        return None
    low, high = limits
    before, after = tape.bars[-2].close, tape.last.close
    if before > high > after:
        return _Pattern(Setup.FAILED_BREAKOUT, Direction.SHORT, (("range_high", high),))
    if before < low < after:
        return _Pattern(Setup.FAILED_BREAKDOWN, Direction.LONG, (("range_low", low),))
    return None


def _squeeze(tape: _Tape, rules: ScalperRules) -> _Pattern | None:
    """Quiet bars, then one wide bar that closes outside all of them."""
    needed = rules.quiet_base_bars + rules.quiet_bars + 1
    if len(tape.bars) < needed:
        return None
    ranges = true_ranges(tape.bars[-needed:])
    base = sum(ranges[: rules.quiet_base_bars]) / rules.quiet_base_bars
    quiet = sum(ranges[rules.quiet_base_bars : -1]) / rules.quiet_bars
    limits = price_range(tape.bars[-1 - rules.quiet_bars : -1])
    if limits is None or quiet > rules.quiet_ratio * base or ranges[-1] < rules.fire_ratio * quiet:
        return None
    evidence = (
        ("quiet_ratio", quiet / base if base else 0.0),
        ("fire_ratio", ranges[-1] / quiet if quiet else 0.0),
    )
    low, high = limits
    if tape.last.close > high:
        return _Pattern(Setup.SQUEEZE_FIRE, Direction.LONG, evidence)
    if tape.last.close < low:
        return _Pattern(Setup.SQUEEZE_FIRE, Direction.SHORT, evidence)
    return None


_FINDERS: tuple[Callable[[_Tape, ScalperRules], _Pattern | None], ...] = (
    _vwap_cross,
    _range_break,
    _squeeze,
    _trap,
    _surge,
    _vwap_touch,
)
"""In order of preference when confidences are equal."""


def _patterns(tape: _Tape, rules: ScalperRules) -> list[_Pattern]:
    return [pattern for pattern in (find(tape, rules) for find in _FINDERS) if pattern is not None]


def _signal(ticker: str, tape: _Tape, pattern: _Pattern, session: Session, rules: ScalperRules) -> Signal:
    """``pattern`` with its confidence. Momentum counts when it points the signal's way."""
    sign = 1 if pattern.direction is Direction.LONG else -1
    volume_points = _points(tape.volume_ratio, rules.volume_steps)
    momentum_points = _points(tape.move * sign, rules.momentum_steps)
    right_side = (tape.last.close - tape.vwaps[-1]) * sign > 0
    vwap_points = rules.vwap_points if right_side else 0.0
    at = tape.last.start + BAR
    return Signal(
        signal_id=signal_id(eastern_date(session.open), ENGINE, ticker, pattern.setup, at),
        at=at,
        engine=ENGINE,
        setup=pattern.setup,
        ticker=ticker,
        direction=pattern.direction,
        confidence=rules.base + volume_points + momentum_points + vwap_points,
        price=tape.last.close,
        evidence=(
            ("base_points", rules.base),
            ("volume_ratio", tape.volume_ratio),
            ("volume_points", volume_points),
            ("momentum", tape.move),
            ("momentum_points", momentum_points),
            ("vwap", tape.vwaps[-1]),
            ("vwap_points", vwap_points),
            *pattern.evidence,
        ),
    )


def _points(value: float, steps: tuple[tuple[float, float], ...]) -> float:
    """Points of the first step that ``value`` reaches; steps are ordered highest first."""
    return next((points for least, points in steps if value >= least), 0.0)


def _forget(state: ScalperState, now: datetime, rules: ScalperRules) -> ScalperState:
    """``state`` without what has cooled down."""
    signals = tuple(
        item for item in state.last_signal_at if (now - item[-1]).total_seconds() < rules.cooldown_s
    )
    trades = tuple(
        item for item in state.last_trade_at if (now - item[-1]).total_seconds() < rules.trade_cooldown_s
    )
    return ScalperState(signals, trades)


def _start(bar: Bar) -> datetime:
    return bar.start


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a moment without time zone: {text}")
    return at
