"""Momentum: small names that rise on volume, bought as calls of about a week and held overnight.

A name qualifies when it is up 3 % in 5 days or 1.5 % today and has traded 1.4 times what it usually has
by this time of day. Confidence is a base plus points for each of: the day's move, the 5-day move, volume,
the right side of VWAP, and the news since the last close; it lies between 0 and 100. ``scan`` is pure:
bars that had not ended and headlines that were not out by ``view.now`` change nothing.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from enum import StrEnum

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_date, from_eastern
from wsb_snake.core.types import Bar
from wsb_snake.engines.components import (
    BAR,
    Steps,
    age_s,
    earlier_days,
    ended_bars,
    points,
    reaches_yesterday,
)
from wsb_snake.engines.day_volume import usual_so_far
from wsb_snake.engines.entry_hours import EntryHours, not_tradable
from wsb_snake.engines.headlines import tone
from wsb_snake.engines.indicators import vwap
from wsb_snake.engines.ticker_times import TickerTimes, as_rows, from_rows, marked, within
from wsb_snake.engines.types import Direction, MarketView, Signal, signal_id
from wsb_snake.engines.universe import MOMENTUM

ENGINE = "momentum_engine"
HOURS = EntryHours(max_signal_age_s=180)
_REGULAR_CLOSE = time(16, 0)
"""Of a session whose hours are not known."""


class Setup(StrEnum):
    DAY_MOVE = "day_move"
    FIVE_DAY_RUN = "five_day_run"


@dataclass(frozen=True, slots=True)
class MomentumRules:
    """Every figure of the engine. Moves are fractions, volumes multiples of the usual by this time of day."""

    tickers: tuple[str, ...] = MOMENTUM
    alert: float = 60
    execute: float = 65
    cooldown_s: int = (
        1800  # in the ticker, after a signal or a trade; one below ``execute`` holds up its like
    )

    run_days: int = 5
    run_move: float = 0.03  # over ``run_days`` sessions, today's the last of them
    day_move: float = 0.015  # since the previous close
    volume: float = 1.4
    volume_days: int = 20
    least_sessions: int = 5  # of minutes, that make an average by the minute

    base: float = 60
    run_steps: Steps = ((0.12, 10), (0.08, 7), (0.05, 4), (0.03, 2))  # at least, points
    day_steps: Steps = ((0.06, 10), (0.04, 7), (0.025, 4), (0.015, 2))
    red_day_points: float = -8  # below the previous close: the run has stopped
    volume_steps: Steps = ((3.0, 12), (2.0, 8), (1.4, 2))
    vwap_points: float = 3
    catalyst_points: float = 5  # for news of the name, against it when the news is bad

    hours: EntryHours = HOURS
    max_bar_age_s: int = 300  # end of the newest bar to now: older data give no signal
    max_gap_days: int = 5  # since the last daily bar, where the calendar of the session before is not known


@dataclass(frozen=True, slots=True)
class MomentumState:
    """When each ticker last gave a signal, or one below the execute bar, and when it was last traded."""

    last_signal_at: TickerTimes = ()
    last_weak_at: TickerTimes = ()
    last_trade_at: TickerTimes = ()

    def to_json(self) -> str:
        return json.dumps(
            {
                "last_signal_at": as_rows(self.last_signal_at),
                "last_weak_at": as_rows(self.last_weak_at),
                "last_trade_at": as_rows(self.last_trade_at),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "MomentumState":
        """The state that ``to_json`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        stored = json.loads(text)
        return cls(
            from_rows(stored["last_signal_at"]),
            from_rows(stored["last_weak_at"]),
            from_rows(stored["last_trade_at"]),
        )


def scan(
    view: MarketView, state: MomentumState, rules: MomentumRules = MomentumRules()
) -> tuple[tuple[Signal, ...], MomentumState]:
    """Signals of this pass, by ticker, and the next state."""
    strong = within(state.last_signal_at, view.now, rules.cooldown_s)
    weak = within(state.last_weak_at, view.now, rules.cooldown_s)
    trades = within(state.last_trade_at, view.now, rules.cooldown_s)
    resting = {ticker for ticker, _ in (*strong, *trades)}
    hushed = {ticker for ticker, _ in weak}
    found: list[Signal] = []
    if rules.hours.closed(view.now, view.session) is None:
        for ticker in sorted(set(rules.tickers) - resting):
            signal = _judge(view, ticker, rules)
            if signal is not None and (signal.confidence >= rules.execute or ticker not in hushed):
                found.append(signal)
    strong = marked(strong, (each.ticker for each in found if each.confidence >= rules.execute), view.now)
    weak = marked(weak, (each.ticker for each in found if each.confidence < rules.execute), view.now)
    return tuple(found), MomentumState(strong, weak, trades)


def wants_execution(
    signal: Signal, now: datetime, session: Session, rules: MomentumRules = MomentumRules()
) -> str | None:
    """None when ``signal`` may be traded now, else why not, in one clear line."""
    return not_tradable(signal, now, session, rules.hours, rules.execute)


def traded(state: MomentumState, ticker: str, now: datetime) -> MomentumState:
    """``state`` after an entry in ``ticker`` was sent: its cooldown begins."""
    return replace(state, last_trade_at=marked(state.last_trade_at, (ticker,), now))


@dataclass(frozen=True, slots=True)
class _Facts:
    """One ticker as it stands; fractions, ``run`` None where too few days are known."""

    bars: Sequence[Bar]
    day: float
    run: float | None
    volume_ratio: float


def _judge(view: MarketView, ticker: str, rules: MomentumRules) -> Signal | None:
    facts = _facts(view, ticker, rules)
    if facts is None or facts.volume_ratio < rules.volume:
        return None
    runs = facts.run is not None and facts.run >= rules.run_move
    if not runs and facts.day < rules.day_move:
        return None
    evidence = _evidence(view, ticker, facts, rules)
    given = math.fsum(value for name, value in evidence if name.endswith("_points"))
    confidence = min(max(given, 0.0), 100.0)
    if confidence < rules.alert:
        return None
    last = facts.bars[-1]
    setup = Setup.DAY_MOVE if facts.day >= rules.day_move else Setup.FIVE_DAY_RUN
    at = last.start + BAR
    return Signal(
        signal_id=signal_id(view.session.day, ENGINE, ticker, setup, at),
        at=at,
        engine=ENGINE,
        setup=setup,
        ticker=ticker,
        direction=Direction.LONG,
        confidence=confidence,
        price=last.close,
        evidence=evidence,
    )


def _facts(view: MarketView, ticker: str, rules: MomentumRules) -> _Facts | None:
    """None when a piece is missing or too old: today's bars, the previous close, the usual volume.

    The usual volume of another feed is none.
    """
    bars, days = ended_bars(view, ticker), earlier_days(view, ticker)
    age = age_s(bars, view.now)
    if age is None or age > rules.max_bar_age_s or not days or days[-1].close <= 0:
        return None
    if not reaches_yesterday(view, days, rules.max_gap_days):
        return None
    minutes = (view.now - view.session.open) // BAR
    usual = usual_so_far(
        view.session,
        view.session.open + minutes * BAR,
        view.sessions.get(ticker, ()) if view.sessions_compare else (),
        days if view.daily_compares else (),
        rules.volume_days,
        rules.least_sessions,
    )
    if not usual:
        return None
    before = days[-rules.run_days].close if len(days) >= rules.run_days else 0.0
    return _Facts(
        bars=bars,
        day=bars[-1].close / days[-1].close - 1,
        run=bars[-1].close / before - 1 if before > 0 else None,
        volume_ratio=math.fsum(bar.volume for bar in bars) / usual,
    )


def _evidence(
    view: MarketView, ticker: str, facts: _Facts, rules: MomentumRules
) -> tuple[tuple[str, float], ...]:
    """Each figure and its points; what is not known is absent."""
    day_points = rules.red_day_points if facts.day < 0 else points(facts.day, rules.day_steps)
    evidence = [
        ("base_points", rules.base),
        ("day_move", facts.day),
        ("day_move_points", day_points),
        ("volume_ratio", facts.volume_ratio),
        ("volume_points", points(facts.volume_ratio, rules.volume_steps)),
    ]
    if facts.run is not None:
        evidence += [("run", facts.run), ("run_points", points(facts.run, rules.run_steps))]
    average = vwap(facts.bars)
    if average is not None:
        above = facts.bars[-1].close > average
        evidence += [("vwap", average), ("vwap_points", rules.vwap_points if above else 0.0)]
    return (*evidence, *_catalyst(view, ticker, rules))


def _catalyst(view: MarketView, ticker: str, rules: MomentumRules) -> tuple[tuple[str, float], ...]:
    """News of the name since the close before: a rise that has a reason. No news says nothing."""
    since = _close_before(view, ticker)
    fresh = {item.text for item in view.news.get(ticker, ()) if since <= item.at <= view.now}
    if not fresh:
        return ()
    balance = sum(tone(text) for text in fresh)
    given = rules.catalyst_points if balance >= 0 else -rules.catalyst_points
    return (("headlines", float(len(fresh))), ("news_tone", float(balance)), ("catalyst_points", given))


def _close_before(view: MarketView, ticker: str) -> datetime:
    """When the session before closed, at one o'clock after a half day."""
    if view.previous is not None:
        return view.previous.close
    return from_eastern(eastern_date(earlier_days(view, ticker)[-1].start), _REGULAR_CLOSE)
