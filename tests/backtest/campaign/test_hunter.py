"""The intents of a drill day: good ones, late ones, stale ones, and signals that come again."""

import random
from collections import Counter
from datetime import date, timedelta
from functools import cache

from wsb_snake.backtest.campaign.hunter import Attempt, intent_of, plan_attempts
from wsb_snake.sim.drill_market import SPOTS, DrillMarket

DAY = date(2026, 11, 24)


@cache
def market() -> DrillMarket:
    return DrillMarket(DAY, 1)


def attempts(seed: int) -> list[Attempt]:
    return plan_attempts(market(), random.Random(seed))


def test_one_seed_gives_one_plan_in_order_of_time() -> None:
    planned = attempts(1)
    assert planned == attempts(1)
    assert planned != attempts(2)
    assert [a.at for a in planned] == sorted(a.at for a in planned)
    assert len(planned) >= 20


def test_a_day_has_everything_that_a_gate_must_refuse() -> None:
    planned = [a for seed in range(5) for a in attempts(seed)]
    close = market().session.close
    late = [a for a in planned if a.contract.expiry == DAY and a.at >= close - timedelta(minutes=55)]
    assert late
    assert any(a.stale for a in planned)
    assert not all(a.stale for a in planned)
    assert Counter(a.signal_id for a in attempts(1)).most_common(1)[0][1] >= 3
    assert {a.contract.underlying for a in planned} == set(SPOTS)
    assert {a.contract.expiry for a in planned} == {DAY, market().later}


def test_the_last_burst_is_held_into_the_end_of_day() -> None:
    for seed in range(20):
        until_close = [
            a
            for a in attempts(seed)
            if a.contract.expiry == DAY and a.at > market().session.close - timedelta(minutes=78)
        ]
        assert any((a.plan.max_hold_s or 0) >= 3 * 3600 for a in until_close)


def test_an_intent_carries_the_quote_or_a_stale_one() -> None:
    attempt = next(a for a in attempts(1) if not a.stale)
    quote = market().option_quote(attempt.contract.symbol, attempt.at)
    assert quote is not None
    intent = intent_of(attempt, quote, attempt.at)
    assert (intent.quote, intent.contract, intent.plan) == (quote, attempt.contract, attempt.plan)
    assert (intent.signal.signal_id, intent.signal.at) == (attempt.signal_id, attempt.at)
    stale = next(a for seed in range(9) for a in attempts(seed) if a.stale)
    aged = intent_of(stale, quote, attempt.at).quote
    assert aged.at <= quote.at - timedelta(seconds=20)
