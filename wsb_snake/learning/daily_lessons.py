"""What a session taught, in sentences, and the plan for the next one.

Pure but for ``facts_of``, which reads the day. The plan raises the bar after a bad day of the engines and
does nothing else: it never lowers it, and knows neither stops nor limits. What the owner bought by hand is
told and moves no bar.
"""

import math
import re
import sqlite3
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from wsb_snake.core.clock import from_eastern
from wsb_snake.db.values import instant_text
from wsb_snake.learning import session_learnings
from wsb_snake.learning.paper_trades import Missed, missed
from wsb_snake.learning.session_learnings import Lesson, SessionLearnings, with_lesson
from wsb_snake.learning.time_learning import BY_HAND

BAD_DAY_R = -3.0
"""A day on which the engines lost so many risks, after fees, raises the next one's bar by BAR_STEP points."""

BAR_STEP = 5.0
MOST_REASONS = 3
_FIGURES = re.compile(r"\$?\d[\d.,:]*")


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed position: dollars after fees, and net R where it is known."""

    engine: str
    setup: str
    net_pnl: Decimal
    net_r: float | None
    exit_reason: str


@dataclass(frozen=True, slots=True)
class DayFacts:
    """``blocked`` counts the signals that were not traded by why, figures left out, most frequent first."""

    session: date
    trades: tuple[Trade, ...] = ()
    blocked: tuple[tuple[str, int], ...] = ()
    missed: tuple[Missed, ...] = ()


def facts_of(conn: sqlite3.Connection, session: date) -> DayFacts:
    """The day's outcomes, the signals that were not traded, and what those would have done."""
    start = from_eastern(session, time.min)
    bounds = (instant_text(start), instant_text(start + timedelta(days=1)))
    closed = conn.execute(
        "SELECT engine, setup, net_pnl, r_multiple, exit_reason FROM outcomes"
        " WHERE closed_at >= ? AND closed_at < ? ORDER BY closed_at, position_id",
        bounds,
    )
    trades = tuple(Trade(row[0], row[1], Decimal(row[2]), row[3], row[4]) for row in closed)
    refused = conn.execute(
        "SELECT reason FROM signals WHERE at >= ? AND at < ? AND position_id IS NULL AND reason <> ''"
        " ORDER BY at, signal_id",
        bounds,
    )
    reasons = Counter(_FIGURES.sub("…", row[0]) for row in refused)
    return DayFacts(session, trades, tuple(reasons.most_common()), missed(conn, session))


def lesson_of(day: DayFacts) -> Lesson:
    """The day in a few sentences."""
    said = [_total(day.trades)]
    by_setup = _by_setup(day.trades)
    if len(by_setup) > 1:
        best, worst = by_setup[-1], by_setup[0]
        said.append(f"Best was {best[1]} ({best[0]:+.1f} R), worst {worst[1]} ({worst[0]:+.1f} R).")
    if day.blocked:
        count = sum(number for _, number in day.blocked)
        reason, often = day.blocked[0]
        said.append(f"{_many(count, 'signal')} not traded, most often ({often}): {reason}.")
    said += [
        f"On paper {each.engine} missed {_many(each.trades, 'trade')}, {each.wins} of them won,"
        f" {each.total_r:+.1f} R in all."
        for each in day.missed
    ]
    return Lesson(day.session, " ".join(said))


def next_plan(day: DayFacts) -> SessionLearnings:
    """The plan for the session after ``day``, without lessons."""
    lost = _sum_r(tuple(trade for trade in day.trades if trade.engine != BY_HAND))
    raise_bar = BAR_STEP if lost <= BAD_DAY_R else 0.0
    plan = []
    if raise_bar:
        plan.append(
            f"The bar is {raise_bar:g} points higher: the engines lost {-lost:.1f} R on {day.session}."
        )
    plan += [
        f"Watch {name}: {result:+.1f} R on {day.session}."
        for result, name in _by_setup(day.trades)
        if result <= -1
    ]
    plan += [f"Held back most: {reason} ({often})." for reason, often in day.blocked[:MOST_REASONS]]
    return SessionLearnings(tuple(plan) or ("Nothing changes.",), raise_bar)


def learnings_after(before: SessionLearnings, day: DayFacts) -> SessionLearnings:
    """``before`` with the lesson of ``day`` and the plan for the session that follows it."""
    taught = with_lesson(before, lesson_of(day))
    plan = next_plan(day)
    return replace(taught, battle_plan=plan.battle_plan, raise_bar=plan.raise_bar)


def write_lessons(path: Path, day: DayFacts, now: datetime) -> str | None:
    """Bring the learnings file up to date; one line for the owner when it was corrupt.

    Raises OSError when the disk refuses.
    """
    loaded = session_learnings.load(path, now)
    session_learnings.save(path, learnings_after(loaded.learnings, day))
    return loaded.problem


def _total(trades: tuple[Trade, ...]) -> str:
    if not trades:
        return "No trade was closed."
    wins = sum(trade.net_pnl > 0 for trade in trades)
    net = sum((trade.net_pnl for trade in trades), Decimal(0))
    money = f"{'-' if net < 0 else '+'}${abs(net):,.2f}"
    return f"{_many(len(trades), 'trade')}, {wins} won: {money} and {_sum_r(trades):+.1f} R after fees."


def _by_setup(trades: tuple[Trade, ...]) -> list[tuple[float, str]]:
    """(sum of net R, "engine setup"), worst first."""
    names = sorted({(trade.engine, trade.setup) for trade in trades})
    sums = [
        (_sum_r(tuple(t for t in trades if (t.engine, t.setup) == name)), " ".join(name).strip())
        for name in names
    ]
    return sorted(sums)


def _sum_r(trades: tuple[Trade, ...]) -> float:
    return math.fsum(trade.net_r for trade in trades if trade.net_r is not None)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
