"""Intents by seed, in the place of the engines: good ones, and many that a limit or a gate must refuse.

They come in bursts, as signals do. Plans are short, so that positions come and go; those of the last
burst last into the cut-off and the end of day.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Contract, Quote
from wsb_snake.sim.drill_market import SPOTS, DrillMarket

BURSTS, PER_BURST = (7, 10), (3, 7)
LAST_BURST_BEFORE_CLOSE = timedelta(minutes=78)
SPREAD_S = (0.2, 25.0)
LONG_HOLD_S = 5 * 3600


@dataclass(frozen=True, slots=True)
class Attempt:
    """One intent to come: when, in what, with which plan, and what is wrong with its quote."""

    at: datetime
    signal_id: str
    engine: str
    contract: Contract
    plan: ExitPlan
    stale: bool = False


def plan_attempts(market: DrillMarket, luck: random.Random) -> list[Attempt]:
    """The day's intents in order of time."""
    session = market.session
    room = session.close - LAST_BURST_BEFORE_CLOSE - session.open
    starts = sorted(session.open + luck.random() * room for _ in range(luck.randint(*BURSTS)))
    starts.append(session.close - timedelta(minutes=luck.uniform(71.0, 78.0)))
    attempts: list[Attempt] = []
    for number, start in enumerate(starts):
        last = number == len(starts) - 1
        attempts += _burst(market, luck, number, start, last=last)
    late = session.close - timedelta(minutes=luck.uniform(20.0, 54.0))
    attempts.append(_attempt(market, luck, "late", late, last=True))
    return sorted(attempts, key=lambda attempt: attempt.at)


def _burst(
    market: DrillMarket, luck: random.Random, number: int, start: datetime, *, last: bool
) -> Iterator[Attempt]:
    at = start
    for step in range(luck.randint(*PER_BURST)):
        attempt = _attempt(market, luck, f"s{number}-{step}", at, last=last)
        yield attempt
        if luck.random() < 0.12:  # a signal that is seen again and again
            for again in range(3):
                yield replace(attempt, at=at + timedelta(seconds=30 * (again + 1)))
        at += timedelta(seconds=luck.uniform(*SPREAD_S))


def _attempt(
    market: DrillMarket, luck: random.Random, signal_id: str, at: datetime, *, last: bool
) -> Attempt:
    later = luck.random() < 0.2
    expiry = market.later if later else market.day
    rows = market.contracts(luck.choice(sorted(SPOTS)))
    contract = luck.choice([row.contract for row in rows if row.contract.expiry == expiry])
    plan = _runner(luck) if later else _scalp(luck, last=last)
    engine = "momentum_engine" if later else luck.choice(("spy_scalper", "orchestrator"))
    return Attempt(at, signal_id, engine, contract, plan, stale=luck.random() < 0.06)


def _scalp(luck: random.Random, *, last: bool) -> ExitPlan:
    if last:  # only the end of the day ends it
        return ExitPlan(target=Decimal(4), stop=Decimal("0.9"), max_hold_s=LONG_HOLD_S)
    hold_s = luck.choice((20, 45, 90, 180, 420))
    return ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=hold_s)


def _runner(luck: random.Random) -> ExitPlan:
    """Half and trail, tight enough to happen within minutes."""
    hold_s = luck.choice((120, 600, 1800))
    return ExitPlan(half_at=Decimal("0.03"), trail=Decimal("0.04"), max_hold_s=hold_s)


def intent_of(attempt: Attempt, quote: Quote, now: datetime) -> TradeIntent:
    """What an engine would hand down at ``now``."""
    contract = attempt.contract
    signal = Signal(
        signal_id=attempt.signal_id,
        at=now,
        engine=attempt.engine,
        setup="drill",
        ticker=contract.underlying,
        direction=Direction.LONG,
        confidence=80.0,
        price=SPOTS[contract.underlying],
        evidence=(("drill", 1.0),),
    )
    if attempt.stale:
        quote = replace(quote, at=quote.at - timedelta(seconds=30))
    return TradeIntent(signal, contract, quote, attempt.plan)
