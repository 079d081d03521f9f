"""How much each component of the orchestrator is trusted.

A weight moves by a bounded step with each outcome: up when the component gave more than its share of a
signal that did better than trades do, down when such a signal did worse. Between outcomes it decays
towards its prior, and with few outcomes most of what counts is the prior.

The versions are a fold over outcomes and daily reports in the order of their times. A fact that comes
late or is corrected folds anew from its own place on, so the rows depend on the facts alone and never on
the order in which they arrived.
"""

import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from wsb_snake.db.values import instant_text
from wsb_snake.learning.facts import SETTLING, Fact, facts_between, number

PRIOR: Mapping[str, float] = MappingProxyType({"ignition": 0.30, "pressure": 0.35, "surge": 0.35})
LOW, HIGH = 0.1, 3.0
RATE = 0.05
"""The largest step of one outcome, as a share of the weight."""

SETTLING_RATE = 0.5
"""What is left of RATE for trades of the first sessions after a change of regime."""

DECAY = 0.95
"""What a daily report leaves of the distance from the prior (of its logarithm)."""

FEW = 30.0
"""Outcomes after which half of what was learnt counts."""

MEAN_TRADES = 20.0
"""The mean that a trade is compared with begins at zero with the weight of so many."""

REPORT = "report "
"""Begins the cause of a version that a daily report made; the session's day follows."""


ALWAYS = "~"
"""Later than the text of any moment."""


@dataclass(frozen=True, slots=True)
class Weights:
    """``raw`` is what the outcomes say, by component; ``mean_r`` the mean net R of the ``trades``."""

    raw: Mapping[str, float] = field(default_factory=lambda: PRIOR)
    trades: int = 0
    mean_r: float = 0.0

    def used(self) -> dict[str, float]:
        """The weights that count: between prior and ``raw`` by the number of outcomes."""
        trust = self.trades / (self.trades + FEW)
        return {name: _bounded(PRIOR[name] * (raw / PRIOR[name]) ** trust) for name, raw in self.raw.items()}


@dataclass(frozen=True, slots=True)
class _Step:
    """One version to be: what the weights become, at which moment, through what and why."""

    at: str
    cause: str
    weights: Weights
    why: Mapping[str, str]


def after_outcome(weights: Weights, scores: Mapping[str, float], net_r: float, rate: float = RATE) -> Weights:
    """``weights`` after a trade whose signal had ``scores`` (0 to 100 by component) made ``net_r`` risks."""
    excess = max(-1.0, min(1.0, net_r - weights.mean_r))
    moved = {
        name: _bounded(weights.raw[name] * (1 + rate * excess * lean))
        for name, lean in _leans(scores).items()
    }
    trades = weights.trades + 1
    mean_r = weights.mean_r + (net_r - weights.mean_r) / (trades + MEAN_TRADES)
    return Weights(MappingProxyType({**weights.raw, **moved}), trades, mean_r)


def after_report(weights: Weights) -> Weights:
    """``weights`` after a day: nearer to the prior."""
    raw = {name: PRIOR[name] * (raw / PRIOR[name]) ** DECAY for name, raw in weights.raw.items()}
    return replace(weights, raw=MappingProxyType(raw))


def scores_in(evidence: Mapping[str, object]) -> dict[str, float]:
    """The components' scores that a signal's evidence holds under their names."""
    found = {name: number(evidence.get(name)) for name in PRIOR}
    return {name: score for name, score in found.items() if score is not None}


def learn(conn: sqlite3.Connection, fact: Fact, now: datetime) -> None:
    """Fold ``fact`` in, in its place. ``now`` is the time of the event that brought it."""
    first = instant_text(fact.closed_at)
    before = conn.execute("SELECT MIN(at) FROM model_weights WHERE cause = ?", (fact.position_id,))
    (counted_at,) = before.fetchone()
    if counted_at is None and not _teaches(fact):
        return
    _fold(conn, first if counted_at is None else min(first, counted_at), max(first, instant_text(now)))


def decay(conn: sqlite3.Connection, at: datetime) -> None:
    """Fold the daily report of ``at`` in."""
    _fold(conn, instant_text(at), instant_text(at))


def load(conn: sqlite3.Connection) -> Weights:
    """The newest weights; the prior before the first."""
    return _latest(conn, ALWAYS)[1]


def _fold(conn: sqlite3.Connection, first: str, last: str) -> None:
    """Make the versions from ``first`` on anew, from every fact up to ``last`` or the newest version."""
    (newest,) = conn.execute("SELECT MAX(at) FROM model_weights").fetchone()
    last = max(last, newest or last)
    conn.execute("DELETE FROM model_weights WHERE at >= ?", (first,))
    version, weights = _latest(conn, first)
    for step in _steps(conn, weights, first, last):
        version += 1
        used = step.weights.used()
        conn.executemany(
            "INSERT INTO model_weights (feature, version, weight, trades, at, why, cause, raw, mean_r)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(name, version, used[name], step.weights.trades, step.at, step.why[name]),
                    *(step.cause, step.weights.raw[name], step.weights.mean_r),
                )
                for name in PRIOR
            ],
        )


def _steps(conn: sqlite3.Connection, weights: Weights, first: str, last: str) -> Iterator[_Step]:
    query = "SELECT at, session FROM daily_summaries WHERE at >= ? AND at <= ?"
    causes: list[tuple[str, str, Fact | None]] = [
        (at, REPORT + session, None) for at, session in conn.execute(query, (first, last))
    ]
    taught = [fact for fact in facts_between(conn, first, last) if _teaches(fact)]
    causes += [(instant_text(fact.closed_at), fact.position_id, fact) for fact in taught]
    for at, cause, held in sorted(causes, key=lambda item: item[:2]):
        if held is None:
            if weights.raw == PRIOR:
                continue
            weights = after_report(weights)
            why = dict.fromkeys(PRIOR, "a day nearer to the prior")
        else:
            weights, why = _taught(weights, held)
        yield _Step(at, cause, weights, why)


def _taught(weights: Weights, fact: Fact) -> tuple[Weights, dict[str, str]]:
    scores = scores_in(fact.evidence)
    net_r = fact.net_r or 0.0
    rate = RATE * (SETTLING_RATE if fact.evidence.get(SETTLING) is True else 1.0)
    told = f"{net_r:+.2f} R against a mean of {weights.mean_r:+.2f}"
    why = {name: f"{told}; its score was {scores[name]:.0f}" if name in scores else told for name in PRIOR}
    return after_outcome(weights, scores, net_r, rate), why


def _teaches(fact: Fact) -> bool:
    return fact.net_r is not None and any(_leans(scores_in(fact.evidence)).values())


def _leans(scores: Mapping[str, float]) -> dict[str, float]:
    """How far each component gave more (up to 1) or less than its share of the signal."""
    total = math.fsum(abs(score) for score in scores.values())
    if total == 0:
        return {}
    fair = 1 / len(scores)
    return {name: max(-1.0, min(1.0, 1.5 * (score / total - fair))) for name, score in scores.items()}


def _latest(conn: sqlite3.Connection, before: str) -> tuple[int, Weights]:
    """The newest version of those from ``before`` a moment, and its weights."""
    rows = conn.execute(
        "SELECT version, feature, raw, trades, mean_r FROM model_weights"
        f" WHERE at < ? ORDER BY at DESC, version DESC LIMIT {len(PRIOR)}",
        (before,),
    ).fetchall()
    if not rows:
        return 0, Weights()
    raw = {row[1]: row[2] for row in rows}
    return rows[0][0], Weights(MappingProxyType({name: raw[name] for name in PRIOR}), rows[0][3], rows[0][4])


def _bounded(weight: float) -> float:
    return max(LOW, min(HIGH, weight))
