"""The picker on chains whose prices come from the pricing model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsb_snake.core.clock import from_eastern
from wsb_snake.core.occ import build, parse
from wsb_snake.core.pricing import greeks, price, years_to_expiry
from wsb_snake.core.types import ChainRow, Quote, Right
from wsb_snake.engines.contract_picker import NoPick, Pick, PickRules, Reach, TooDear, pick, strike_window

DAY = date(2026, 11, 24)
NOW = from_eastern(DAY, time(11, 0))
CLOSE = from_eastern(DAY, time(16, 0))
CLOSES = {DAY: CLOSE}
FAR = date(2026, 12, 4)
FARTHER = date(2026, 12, 11)
LATER = {day: from_eastern(day, time(16, 0)) for day in (FARTHER, FAR)}
SPOT = 500.0
VOL = 0.40
RULES = PickRules()
CENT = Decimal("0.01")


def row(
    strike: float,
    right: Right = Right.CALL,
    *,
    spread: str = "0.02",
    expiry: date = DAY,
    age_s: float = 1,
    spot: float = SPOT,
) -> ChainRow:
    """A contract quoted around its model value."""
    contract = parse(build("SPY", expiry, right, Decimal(str(strike))))
    closes_at = from_eastern(expiry, time(16, 0))
    value = price(right, spot, strike, years_to_expiry(NOW, closes_at), VOL)
    bid = Decimal(value).quantize(CENT)
    quote = Quote(contract.symbol, bid, bid + Decimal(spread), 10, 10, NOW - timedelta(seconds=age_s))
    return ChainRow(contract, quote)


def chain(right: Right = Right.CALL) -> list[ChainRow]:
    return [row(strike, right) for strike in range(490, 511)]


def with_quote(item: ChainRow, bid: str, ask: str) -> ChainRow:
    assert item.quote is not None
    return replace(item, quote=replace(item.quote, bid=Decimal(bid), ask=Decimal(ask)))


def choose(rows: Sequence[ChainRow], right: Right = Right.CALL, rules: PickRules = RULES) -> Pick | NoPick:
    return pick(rows, right, SPOT, NOW, CLOSES, rules)


def reason(rows: Sequence[ChainRow], rules: PickRules = RULES) -> str:
    found = choose(rows, rules=rules)
    assert isinstance(found, NoPick)
    return found.reason


@pytest.mark.parametrize(("right", "strike"), [(Right.CALL, 501), (Right.PUT, 499)])
def test_the_nearest_to_the_target_delta_is_picked(right: Right, strike: int) -> None:
    found = choose(chain(right), right)
    assert isinstance(found, Pick)
    model = {s: abs(greeks(right, SPOT, s, years_to_expiry(NOW, CLOSE), VOL).delta) for s in range(490, 511)}
    assert found.contract.strike == strike == min(model, key=lambda s: abs(model[s] - 0.45))
    assert abs(found.delta) == pytest.approx(model[strike], abs=0.02)
    assert (found.delta > 0) is (right is Right.CALL)
    assert found.implied_volatility == pytest.approx(VOL, abs=0.02)


def test_the_order_of_the_rows_does_not_matter() -> None:
    assert choose(chain()) == choose(chain()[::-1])


def test_a_wide_neighbour_is_passed_over_for_a_tight_one() -> None:
    rows = [row(501, spread="0.30"), row(502)]
    found = choose(rows)
    assert isinstance(found, Pick)
    assert found.contract.strike == 502


def test_vendor_greeks_are_not_trusted() -> None:
    wrong = [replace(item, delta=0.0, implied_volatility=0.0) for item in chain()]
    assert choose(wrong) == choose(chain())


def test_without_contracts_of_the_kind_or_day() -> None:
    assert reason([]) == "no calls expiring 2026-11-24 in the chain"
    assert reason(chain(Right.PUT)) == "no calls expiring 2026-11-24 in the chain"
    assert reason([row(501, expiry=DAY + timedelta(days=1))]) == "no calls expiring 2026-11-24 in the chain"


def test_an_expired_day_is_never_picked() -> None:
    """The broker lists expired contracts for a while."""
    found = pick(chain(), Right.CALL, SPOT, CLOSE, CLOSES)
    assert found == NoPick("calls of 2026-11-24 have expired")


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda item: replace(item, quote=None), id="no quote"),
        pytest.param(lambda item: with_quote(item, "0", "1.00"), id="no bid"),
        pytest.param(lambda item: with_quote(item, "1.02", "1.00"), id="crossed"),
        pytest.param(lambda item: with_quote(item, "0", "0"), id="empty"),
        pytest.param(lambda item: row(float(item.contract.strike), age_s=15.1), id="stale"),
        pytest.param(lambda item: row(float(item.contract.strike), age_s=-15.1), id="from the future"),
    ],
)
def test_no_quote_no_trade(spoilt: Callable[[ChainRow], ChainRow]) -> None:
    assert reason([spoilt(item) for item in chain()]) == "no two-sided fresh quote among 21 calls"


def test_a_quote_of_exactly_the_age_limit_counts() -> None:
    assert isinstance(choose([row(501, age_s=15)]), Pick)


def test_a_contract_far_from_the_target_is_another_trade() -> None:
    assert reason([row(492), row(508)]) == "no contract near delta 0.45 among 2 quoted calls"


def test_quotes_that_do_not_fit_the_spot_are_not_priced() -> None:
    below_intrinsic = with_quote(row(495), "4.00", "4.10")
    assert reason([below_intrinsic]) == "no contract near delta 0.45 among 1 quoted calls"


def test_too_dear_is_said_with_the_price() -> None:
    dear = [with_quote(row(500), "17.90", "18.00"), with_quote(row(501), "17.10", "17.20")]
    text = "cheapest near delta 0.45 costs $1,720, limit $1,500"
    assert choose(dear) == TooDear(text, cost=Decimal(1720), limit=Decimal(1500))
    assert isinstance(choose(dear, rules=PickRules(max_cost=Decimal(1720))), Pick)


def test_other_refusals_are_not_too_dear() -> None:
    small = choose([row(501)], rules=PickRules(min_premium=Decimal(3)))
    wide = choose([row(501, spread="0.60")])
    for found in (choose([]), small, wide):
        assert isinstance(found, NoPick)
        assert not isinstance(found, TooDear)


def test_a_small_premium_is_refused() -> None:
    rules = PickRules(min_premium=Decimal(3))
    assert reason([row(501)], rules).startswith("dearest near delta 0.45 is worth $1.")
    assert reason([row(501)], rules).endswith(", at least $3.00 needed")


@pytest.mark.parametrize(
    ("bid", "ask", "tight"),
    [
        ("1.95", "2.05", True),  # exactly 5 % of 2.00, a third of the stop distance
        ("1.95", "2.06", False),
        ("1.90", "2.10", False),
    ],
)
def test_the_stop_holds_three_spreads(bid: str, ask: str, tight: bool) -> None:
    found = choose([with_quote(row(501), bid, ask)])
    assert isinstance(found, Pick) is tight
    if isinstance(found, NoPick):
        assert found.reason.startswith("tightest spread near delta 0.45 is ")
        assert found.reason.endswith(" of mid, limit 5.0%")


@pytest.mark.parametrize(("ask", "tight"), [("2.10", True), ("2.11", False)])
def test_without_a_stop_a_tenth_of_mid_is_the_limit(ask: str, tight: bool) -> None:
    assert isinstance(choose([with_quote(row(501), "1.90", ask)], rules=PickRules(stop=None)), Pick) is tight


RUNNERS = PickRules(delta=0.40, min_premium=Decimal(0), stop=None, max_cost=Decimal(2000))


def later(*rows: ChainRow, rules: PickRules = RUNNERS) -> Pick | NoPick:
    return pick(rows, Right.CALL, SPOT, NOW, LATER, rules)


def test_the_time_to_each_expiry_counts() -> None:
    """The strike at delta 0.40 lies further out the longer there is to go."""
    strikes = range(500, 561, 2)
    for expiry in (FAR, FARTHER):
        found = later(*(row(strike, expiry=expiry, spread="0.10") for strike in strikes))
        years = years_to_expiry(NOW, LATER[expiry])
        model = {s: greeks(Right.CALL, SPOT, s, years, VOL).delta for s in strikes}
        assert isinstance(found, Pick)
        assert found.contract.expiry == expiry
        assert found.contract.strike == min(model, key=lambda s: abs(model[s] - 0.40))
        assert found.implied_volatility == pytest.approx(VOL, abs=0.02)


def test_the_nearest_expiry_that_has_a_contract_gives_it() -> None:
    near, far = row(515, expiry=FAR, spread="0.10"), row(520, expiry=FARTHER, spread="0.10")
    found = later(far, near)
    assert isinstance(found, Pick)
    assert found.contract == near.contract
    for spoilt in (row(515, expiry=FAR, spread="3.00"), replace(near, quote=None), row(560, expiry=FAR)):
        found = later(spoilt, far)
        assert isinstance(found, Pick)
        assert found.contract == far.contract


def test_an_expiry_that_nobody_asked_for_is_not_looked_at() -> None:
    assert later(*chain()) == NoPick("no calls expiring 2026-12-04 in the chain")
    assert pick(chain(), Right.CALL, SPOT, NOW, {}) == NoPick("no expiry in the chain that may be bought")


def test_the_reason_is_of_the_nearest_expiry_that_could_be_judged() -> None:
    dear = replace(RUNNERS, max_cost=Decimal(100))
    far = row(520, expiry=FARTHER, spread="0.10")
    found = later(replace(row(515, expiry=FAR), quote=None), far, rules=dear)
    assert far.quote is not None
    assert isinstance(found, TooDear)
    assert found.cost == far.quote.ask * 100
    near = row(515, expiry=FAR, spread="0.10")
    found = later(near, far, rules=dear)
    assert near.quote is not None
    assert isinstance(found, TooDear)
    assert found.cost == near.quote.ask * 100


@pytest.mark.parametrize(
    ("reach", "low", "high"),
    [(Reach(Decimal("0.35"), Decimal("0.10")), "65.00", "110.00"), (Reach(CENT, CENT), "98.00", "102.00")],
)
def test_a_reach_of_its_own(reach: Reach, low: str, high: str) -> None:
    assert strike_window(100.0, reach) == (Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    ("spot", "low", "high"),
    [
        (500.0, "485.00", "515.00"),
        (741.17, "718.93", "763.41"),
        (8.0, "6.00", "10.00"),
        (1.5, "0.01", "3.50"),
    ],
)
def test_strike_window(spot: float, low: str, high: str) -> None:
    assert strike_window(spot) == (Decimal(low), Decimal(high))


quotes = st.tuples(st.integers(0, 400), st.integers(-5, 60), st.floats(0, 30))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(490, 510), st.sampled_from(Right), quotes), max_size=25))
def test_whatever_the_chain_a_pick_keeps_every_rule(
    drawn: list[tuple[int, Right, tuple[int, int, float]]],
) -> None:
    rows = []
    for strike, right, (bid, width, age) in drawn:
        item = with_quote(row(strike, right, age_s=age), str(bid * CENT), str((bid + width) * CENT))
        rows.append(item)
    rules = PickRules(max_cost=Decimal(250))
    found = choose(rows, rules=rules)
    if isinstance(found, NoPick):
        assert found.reason
        return
    assert found.contract.right is Right.CALL
    assert found.quote.two_sided
    assert found.quote.age_s(NOW) <= 15
    assert 0.30 <= found.delta <= 0.60
    assert found.quote.mid >= Decimal("0.30")
    assert found.quote.ask * 100 <= 250
    assert found.quote.spread <= found.quote.mid * Decimal("0.05")


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(500, 530), st.sampled_from((FAR, FARTHER)), st.integers(1, 200)), max_size=8
    )
)
def test_several_expiries_are_judged_as_each_alone_is(drawn: list[tuple[int, date, int]]) -> None:
    rows = [row(strike, expiry=expiry, spread=str(width * CENT)) for strike, expiry, width in drawn]
    alone = [pick(rows, Right.CALL, SPOT, NOW, {day: LATER[day]}, RUNNERS) for day in (FAR, FARTHER)]
    picks = [found for found in alone if isinstance(found, Pick)]
    found = later(*rows)
    assert found == (picks[0] if picks else found)
    assert found in alone
