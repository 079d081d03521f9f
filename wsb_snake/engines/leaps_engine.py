"""LEAPS: names above their 50-day average, bought as calls of a year and more and held.

The average is that of the last 49 daily closes and the price of now, as if that were today's close. A name
qualifies 0.5 % above it. Confidence is a base plus points for the distance, for the way the average itself
went, and for how many of the last closes lie above it; it lies between 0 and 100. ``scan`` is pure: bars
that had not ended by ``view.now`` change nothing.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern, eastern_date
from wsb_snake.engines.components import (
    BAR,
    Steps,
    age_s,
    earlier_days,
    ended_bars,
    points,
    reaches_yesterday,
)
from wsb_snake.engines.entry_hours import EntryHours, not_tradable
from wsb_snake.engines.indicators import sma
from wsb_snake.engines.ticker_times import TickerTimes, as_rows, from_rows, marked, within
from wsb_snake.engines.types import Direction, MarketView, Signal, signal_id
from wsb_snake.engines.universe import LEAPS

ENGINE = "leaps_engine"
HOURS = EntryHours(max_signal_age_s=900)


class Setup(StrEnum):
    ABOVE_AVERAGE = "above_average"


@dataclass(frozen=True, slots=True)
class LeapsRules:
    """Every figure of the engine. Distances and slopes are fractions."""

    tickers: tuple[str, ...] = LEAPS
    alert: float = 60
    execute: float = 62
    again_s: int = 7200  # after a signal in the ticker: what holds for weeks is not told twice an hour

    average_days: int = 50
    above: float = 0.005
    slope_days: int = 10  # sessions over which the way of the average is measured
    held_days: int = 10  # closes before today that may lie above the average

    base: float = 58
    above_steps: Steps = ((0.05, 10), (0.03, 8), (0.015, 5), (0.005, 2))  # at least, points
    slope_steps: Steps = ((0.02, 10), (0.01, 7), (0.003, 4), (0.0, 0), (-math.inf, -4))
    held_steps: Steps = ((1.0, 6), (0.8, 4))  # share of the closes above

    hours: EntryHours = HOURS
    max_bar_age_s: int = 600  # end of the newest bar to now: older data give no signal
    max_gap_days: int = 5  # since the last daily bar, where the calendar of the session before is not known


@dataclass(frozen=True, slots=True)
class LeapsState:
    """When each ticker last gave a signal, and the last entry: ticker and moment, one or none."""

    last_signal_at: TickerTimes = ()
    last_entry: TickerTimes = ()

    def to_json(self) -> str:
        return json.dumps(
            {"last_signal_at": as_rows(self.last_signal_at), "last_entry": as_rows(self.last_entry)}
        )

    @classmethod
    def from_json(cls, text: str) -> "LeapsState":
        """The state that ``to_json`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        stored = json.loads(text)
        entry = from_rows(stored["last_entry"])
        if len(entry) > 1:
            raise ValueError(f"one last entry is expected, not {len(entry)}")
        return cls(from_rows(stored["last_signal_at"]), entry)


def scan(
    view: MarketView, state: LeapsState, rules: LeapsRules = LeapsRules()
) -> tuple[tuple[Signal, ...], LeapsState]:
    """Signals of this pass, by ticker, and the next state. A day that had its entry still gives signals."""
    spoken = within(state.last_signal_at, view.now, rules.again_s)
    resting = {ticker for ticker, _ in spoken}
    found: list[Signal] = []
    if rules.hours.closed(view.now, view.session) is None:
        judged = (_judge(view, ticker, rules) for ticker in sorted(rules.tickers) if ticker not in resting)
        found = [signal for signal in judged if signal is not None]
    spoken = marked(spoken, (signal.ticker for signal in found), view.now)
    entry = state.last_entry if _entered(state, view.session) is not None else ()
    return tuple(found), LeapsState(spoken, entry)


def wants_execution(
    signal: Signal, now: datetime, session: Session, rules: LeapsRules, state: LeapsState
) -> str | None:
    """None when ``signal`` may be traded now, else why not, in one clear line."""
    entered = _entered(state, session)
    if entered is not None:
        ticker, at = entered
        return f"one entry a day: {ticker} was entered at {eastern(at):%H:%M} ET"
    return not_tradable(signal, now, session, rules.hours, rules.execute)


def traded(state: LeapsState, ticker: str, now: datetime) -> LeapsState:
    """``state`` after an entry in ``ticker`` was sent: it was the day's."""
    return LeapsState(state.last_signal_at, ((ticker, now),))


def _entered(state: LeapsState, session: Session) -> tuple[str, datetime] | None:
    """The entry of ``session``'s day, if there was one."""
    return next((entry for entry in state.last_entry if eastern_date(entry[1]) == session.day), None)


def _judge(view: MarketView, ticker: str, rules: LeapsRules) -> Signal | None:
    bars, days = ended_bars(view, ticker), earlier_days(view, ticker)
    age = age_s(bars, view.now)
    if age is None or age > rules.max_bar_age_s:
        return None
    if not reaches_yesterday(view, days, rules.max_gap_days):
        return None
    last = bars[-1]
    closes = [*(day.close for day in days), last.close]
    evidence = _evidence(closes, rules)
    given = math.fsum(value for name, value in evidence if name.endswith("_points"))
    confidence = min(max(given, 0.0), 100.0)
    if confidence < rules.alert:
        return None
    at = last.start + BAR
    return Signal(
        signal_id=signal_id(view.session.day, ENGINE, ticker, Setup.ABOVE_AVERAGE, at),
        at=at,
        engine=ENGINE,
        setup=Setup.ABOVE_AVERAGE,
        ticker=ticker,
        direction=Direction.LONG,
        confidence=confidence,
        price=last.close,
        evidence=evidence,
    )


def _evidence(closes: Sequence[float], rules: LeapsRules) -> tuple[tuple[str, float], ...]:
    """Each figure and its points, what is not known is absent; nothing where the name does not qualify.

    The last of ``closes`` is the price of now.
    """
    average = sma(closes, rules.average_days)
    if not average or closes[-1] < average * (1 + rules.above):
        return ()
    distance = closes[-1] / average - 1
    earlier = closes[-1 - rules.held_days : -1]
    held = sum(close > average for close in earlier) / len(earlier)
    evidence = [
        ("base_points", rules.base),
        ("average", average),
        ("above_average", distance),
        ("above_average_points", points(distance, rules.above_steps)),
        ("held_above", held),
        ("held_above_points", points(held, rules.held_steps)),
    ]
    before = sma(closes[: -rules.slope_days], rules.average_days)
    if before:
        slope = average / before - 1
        evidence += [("average_slope", slope), ("average_slope_points", points(slope, rules.slope_steps))]
    return tuple(evidence)
