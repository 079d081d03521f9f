"""Gamma exposure against the definition, and what is left out where something is not known."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.component_market import OPEN, SESSION, chain_of
from wsb_snake.core.pricing import greeks, years_to_expiry
from wsb_snake.core.types import Chain, ChainRow, Right
from wsb_snake.engines.dealer_gamma import DealerGamma, dealer_gamma, near_the_money, walls

NOW = OPEN + timedelta(hours=4)
STRIKES = [float(strike) for strike in range(94, 107)]
VOL = 0.3


def exposure(chain: Chain, spot: float = 100, later_s: float = 0, count: int = 20) -> DealerGamma | None:
    pairs = near_the_money(chain, spot, count)
    return dealer_gamma(pairs, spot, chain.at, NOW + timedelta(seconds=later_s), SESSION.close)


def known(found: DealerGamma | None) -> DealerGamma:
    assert found is not None
    return found


def test_a_strike_is_gamma_times_open_contracts_in_dollars_per_percent() -> None:
    chain = chain_of(STRIKES, 100, NOW, vol=VOL, calls=lambda strike: 700 if strike == 101 else 100)
    found = known(exposure(chain))
    gamma = greeks(Right.CALL, 100, 101, years_to_expiry(NOW, SESSION.close), VOL).gamma
    by_strike = dict(found.by_strike)
    assert by_strike[101] == pytest.approx(gamma * 600 * 100 * 100 * 100 * 0.01, rel=0.02)
    assert all(dollars == 0 for strike, dollars in by_strike.items() if strike != 101)
    assert found.net == found.gross == by_strike[101]


def test_dealers_are_long_calls_and_short_puts() -> None:
    calls = known(exposure(chain_of(STRIKES, 100, NOW, calls=lambda _: 900)))
    puts = known(exposure(chain_of(STRIKES, 100, NOW, puts=lambda _: 900)))
    assert calls.net == calls.gross > 0
    assert puts.net == pytest.approx(-calls.net)
    assert puts.gross == pytest.approx(calls.gross)
    assert (calls.tilt, puts.tilt) == (1, -1)
    assert known(exposure(chain_of(STRIKES, 100, NOW))).tilt == 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=13, max_size=13))
def test_calls_and_puts_exchanged_turn_the_sign(held: list[tuple[int, int]]) -> None:
    calls = {strike: call for strike, (call, _) in zip(STRIKES, held, strict=True)}
    puts = {strike: put for strike, (_, put) in zip(STRIKES, held, strict=True)}
    one = known(exposure(chain_of(STRIKES, 100, NOW, calls=calls.__getitem__, puts=puts.__getitem__)))
    other = known(exposure(chain_of(STRIKES, 100, NOW, calls=puts.__getitem__, puts=calls.__getitem__)))
    assert other.net == pytest.approx(-one.net)
    assert other.gross == pytest.approx(one.gross)
    assert -1 - 1e-12 <= one.tilt <= 1 + 1e-12
    assert one.net == pytest.approx(sum(dollars for _, dollars in one.by_strike))
    assert (one.zero is None) == (other.zero is None)
    double = known(
        exposure(chain_of(STRIKES, 100, NOW, calls=lambda k: 2 * calls[k], puts=lambda k: 2 * puts[k]))
    )
    assert double.net == pytest.approx(2 * one.net)


def test_the_zero_level_lies_between_what_is_short_and_what_is_long() -> None:
    """Puts below 100, calls above it: at the level itself the exposure is next to nothing."""
    chain = chain_of(
        STRIKES, 99, NOW, calls=lambda k: 3000 if k > 100 else 0, puts=lambda k: 3000 if k < 100 else 0
    )
    at_99 = known(exposure(chain, 99))
    assert at_99.net < 0
    assert at_99.zero is not None
    assert at_99.zero == pytest.approx(100, abs=0.15)
    there = known(exposure(chain, at_99.zero))
    assert abs(there.net) < 0.05 * there.gross
    assert known(exposure(chain_of(STRIKES, 99, NOW, calls=lambda _: 900), 99)).zero is None


def test_quotes_that_are_older_than_the_price_keep_their_volatility() -> None:
    """The price has moved by half a percent since the chain was taken."""
    chain = chain_of(STRIKES, 100, NOW, calls=lambda _: 1000, vol=VOL)
    found = known(exposure(chain, 100.5, later_s=1800))
    years = years_to_expiry(NOW + timedelta(seconds=1800), SESSION.close)
    expected = sum(
        greeks(Right.CALL, 100.5, k, years, VOL).gamma * 900 * 100 * 100.5**2 * 0.01 for k in STRIKES
    )
    assert found.net == pytest.approx(expected, rel=0.01)


def test_a_strike_without_a_usable_quote_takes_the_volatility_of_its_neighbour() -> None:
    chain = chain_of(STRIKES, 100, NOW, calls=lambda _: 1000, vol=VOL)
    rows = tuple(
        replace(row, quote=replace(row.quote, bid=Decimal(0)))
        if row.quote and row.contract.strike == 101
        else row
        for row in chain.rows
    )
    assert known(exposure(replace(chain, rows=rows))).net == pytest.approx(
        known(exposure(chain)).net, rel=0.03
    )


def test_without_any_volatility_there_is_no_answer() -> None:
    assert exposure(chain_of(STRIKES, 100, NOW, quoted=False)) is None
    assert dealer_gamma((), 100, NOW, NOW, SESSION.close) is None


def test_open_interest_that_is_not_known_is_not_zero() -> None:
    assert exposure(chain_of(STRIKES, 100, NOW, calls=lambda _: None)) is None
    assert exposure(chain_of(STRIKES, 100, NOW, puts=lambda _: None)) is None
    few = chain_of(STRIKES, 100, NOW, calls=lambda strike: None if strike > 103 else 100)
    assert exposure(few) is None  # 10 of 13
    most = known(exposure(chain_of(STRIKES, 100, NOW, calls=lambda strike: None if strike > 104 else 500)))
    assert [strike for strike, _ in most.by_strike] == [strike for strike in STRIKES if strike <= 104]


def test_a_missing_right_leaves_its_strike_out() -> None:
    chain = chain_of(STRIKES, 100, NOW)
    rows = tuple(
        row for row in chain.rows if not (row.contract.strike == 94 and row.contract.right is Right.PUT)
    )
    found = known(exposure(replace(chain, rows=rows)))
    assert [strike for strike, _ in found.by_strike] == STRIKES[1:]


def test_near_the_money_are_the_nearest_strikes_ascending() -> None:
    chain = chain_of(STRIKES, 100, NOW)
    backwards = replace(chain, rows=tuple(reversed(chain.rows)))
    for each in (chain, backwards):
        pairs = near_the_money(each, 103.2, 4)
        assert [pair.strike for pair in pairs] == [102, 103, 104, 105]
        assert all(pair.call and pair.put for pair in pairs)
    assert [pair.strike for pair in near_the_money(chain, 103.2, 99)] == STRIKES


def test_walls_are_the_most_open_contracts_on_their_side() -> None:
    def held(big: float) -> Chain:
        return chain_of(
            STRIKES,
            100,
            NOW,
            calls=lambda k: 900 if k == big else 5000 if k < 100 else 100,
            puts=lambda k: 900 if k == 200 - big else 5000 if k > 100 else 100,
        )

    assert walls(near_the_money(held(103), 100, 20), 100) == (103, 97)
    assert walls(near_the_money(held(100), 100, 20), 100) == (100, 100)
    assert walls(near_the_money(chain_of(STRIKES, 100, NOW), 100, 20), 100) == (None, None)


def test_without_known_open_interest_no_wall_is_known() -> None:
    chain = chain_of(STRIKES, 100, NOW, calls=lambda _: None, puts=lambda k: 900 if k == 98 else 0)
    assert walls(near_the_money(chain, 100, 20), 100) == (None, 98)
    nothing = chain_of(STRIKES, 100, NOW, calls=lambda _: 0, puts=lambda _: 0)
    assert walls(near_the_money(nothing, 100, 20), 100) == (None, None)


def test_rows_of_one_right_only_give_walls_and_no_gamma() -> None:
    chain = chain_of(STRIKES, 100, NOW, calls=lambda k: 900 if k == 102 else 10)
    only: tuple[ChainRow, ...] = tuple(row for row in chain.rows if row.contract.right is Right.CALL)
    pairs = near_the_money(replace(chain, rows=only), 100, 20)
    assert walls(pairs, 100) == (102, None)
    assert dealer_gamma(pairs, 100, NOW, NOW, SESSION.close) is None
