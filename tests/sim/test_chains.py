"""Listing and quotes of the seeded option chains."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from wsb_snake.core import occ
from wsb_snake.core.types import Contract, Quote, Right
from wsb_snake.sim.market import SeededMarket
from wsb_snake.sim.sessions import sessions

TUESDAY, FRIDAY = date(2026, 11, 24), date(2026, 11, 20)
CENT, NICKEL, DIME = Decimal("0.01"), Decimal("0.05"), Decimal("0.10")


@pytest.fixture(scope="module")
def market() -> SeededMarket:
    return SeededMarket(TUESDAY, 11)


@pytest.fixture(scope="module")
def friday() -> SeededMarket:
    return SeededMarket(FRIDAY, 11)


def contracts(market: SeededMarket, underlying: str, expiry: date) -> list[Contract]:
    return [row.contract for row in market.contracts(underlying) if row.contract.expiry == expiry]


def quote(market: SeededMarket, symbol: str, at: datetime) -> Quote:
    found = market.option_quote(symbol, at)
    assert found is not None
    return found


def sampled(market: SeededMarket, *underlyings: str) -> Iterator[tuple[Contract, Quote, datetime]]:
    """Every seventh contract of ``underlyings`` at moments of the whole session."""
    moments = [market.session.open + timedelta(seconds=s) for s in (0, 1, 1800, 12_000, 23_000, 23_399)]
    for underlying in underlyings:
        for row in market.contracts(underlying)[::7]:
            for at in moments:
                yield row.contract, quote(market, row.contract.symbol, at), at


def at_the_money(market: SeededMarket, underlying: str, expiry: date, right: Right, at: datetime) -> Contract:
    spot = market.spot(underlying, at)
    same = [c for c in contracts(market, underlying, expiry) if c.right is right]
    return min(same, key=lambda c: abs(float(c.strike) - spot))


def test_symbols_are_occ_symbols_of_their_contracts(market: SeededMarket) -> None:
    for underlying in ("SPY", "NVDA", "POET"):
        for row in market.contracts(underlying):
            assert occ.parse(row.contract.symbol) == row.contract


def test_listing_covers_a_tenth_either_side_of_the_open(market: SeededMarket) -> None:
    for underlying in ("SPY", "AAPL", "QQQ"):
        opening = market.spot(underlying, market.session.open)
        strikes = [float(c.strike) for c in contracts(market, underlying, TUESDAY)]
        assert min(strikes) <= 0.905 * opening
        assert max(strikes) >= 1.095 * opening


def test_strikes_of_the_index_etfs_are_a_dollar_apart(market: SeededMarket) -> None:
    opening = market.spot("SPY", market.session.open)
    near = (c.strike for c in contracts(market, "SPY", TUESDAY) if abs(float(c.strike) / opening - 1) < 0.1)
    strikes = sorted(set(near))
    assert len(strikes) > 100
    assert {b - a for a, b in pairwise(strikes)} == {Decimal(1)}


def test_calls_and_puts_come_in_pairs(market: SeededMarket) -> None:
    rows = contracts(market, "AAPL", TUESDAY)
    calls = {c.strike for c in rows if c.right is Right.CALL}
    assert calls == {c.strike for c in rows if c.right is Right.PUT}


def test_what_is_listed_stays_listed_until_it_expires() -> None:
    days = [session.day for session in sessions(date(2026, 11, 2), date(2026, 12, 4))][::3]
    for underlying in ("IWM", "PYPL"):
        listed: set[str] = set()
        for day in days:
            rows = SeededMarket(day, 3).contracts(underlying)
            assert {s for s in listed if occ.parse(s).expiry >= day} <= {r.contract.symbol for r in rows}
            listed |= {row.contract.symbol for row in rows}


def test_quotes_are_two_sided_on_tick(market: SeededMarket) -> None:
    for contract, seen, at in sampled(market, "SPY", "TSLA", "RKLB", "POET"):
        assert seen.symbol == contract.symbol
        assert seen.at == at
        assert 0 <= seen.bid < seen.ask
        assert seen.ask_size > 0
        assert (seen.bid_size > 0) == (seen.bid > 0)
        for side in (seen.bid, seen.ask):
            if contract.underlying == "SPY":
                tick = CENT
            elif contract.underlying == "POET":
                tick = NICKEL if side < 3 else DIME
            else:
                tick = CENT if side < 3 else NICKEL
            assert side % tick == 0, f"{contract.symbol} {side}"


def test_tick_classes_are_listed(market: SeededMarket) -> None:
    assert all(row.penny for row in market.contracts("AAPL"))
    assert not any(row.penny for row in market.contracts("POET"))


def test_no_ask_lies_below_the_intrinsic_value(market: SeededMarket) -> None:
    for contract, seen, at in sampled(market, "SPY", "TSLA", "USAR", "PYPL"):
        spot = Decimal(str(market.spot(contract.underlying, at)))
        gain = spot - contract.strike if contract.right is Right.CALL else contract.strike - spot
        assert seen.ask >= gain


def test_parity_holds_within_the_spreads(market: SeededMarket) -> None:
    at = market.session.open + timedelta(hours=2)
    spot = market.spot("SPY", at)
    for expiry in (TUESDAY, date(2026, 12, 18), date(2028, 1, 21)):
        for call in (c for c in contracts(market, "SPY", expiry) if c.right is Right.CALL):
            put = call.symbol[:-9] + "P" + call.symbol[-8:]
            calls, puts = quote(market, call.symbol, at), quote(market, put, at)
            forward = spot - float(call.strike)
            assert float(calls.bid - puts.ask) <= forward <= float(calls.ask - puts.bid)


@pytest.mark.parametrize("underlying", ["SPY", "TSLA", "PYPL", "ASTS"])
def test_calls_never_gain_with_the_strike(market: SeededMarket, underlying: str) -> None:
    """No vertical spread can be bought for less than nothing."""
    at = market.session.open + timedelta(hours=3)
    expiries = sorted({row.contract.expiry for row in market.contracts(underlying)})
    for expiry in expiries:
        chain = [c for c in contracts(market, underlying, expiry) if c.right is Right.CALL]
        quotes = [quote(market, c.symbol, at) for c in sorted(chain, key=lambda c: c.strike)]
        assert all(low.ask >= high.bid for low, high in pairwise(quotes)), expiry


def test_premiums_decay_to_nothing_at_the_close(market: SeededMarket) -> None:
    session = market.session
    far = max(contracts(market, "SPY", TUESDAY), key=lambda c: (c.right is Right.CALL, c.strike))
    assert quote(market, far.symbol, session.close).bid == 0
    ways = []
    for minutes in (30, 200, 380):
        at = session.open + timedelta(minutes=minutes)
        call = at_the_money(market, "SPY", TUESDAY, Right.CALL, at)
        put = at_the_money(market, "SPY", TUESDAY, Right.PUT, at)
        ways.append(quote(market, call.symbol, at).mid + quote(market, put.symbol, at).mid)
    assert ways[0] > ways[1] > ways[2] > 0


def test_later_expiries_are_dearer(market: SeededMarket) -> None:
    at = market.session.open + timedelta(hours=1)
    expiries = sorted({row.contract.expiry for row in market.contracts("SPY")})
    mids = []
    for expiry in (expiries[0], expiries[4], expiries[-5], expiries[-1]):
        contract = at_the_money(market, "SPY", expiry, Right.PUT, at)
        mids.append(quote(market, contract.symbol, at).mid)
    assert mids == sorted(mids)


def test_deep_out_of_the_money_has_no_bid(market: SeededMarket) -> None:
    at = market.session.open + timedelta(hours=5)
    lowest = min(contracts(market, "SPY", TUESDAY), key=lambda c: (c.right is Right.CALL, c.strike))
    assert lowest.right is Right.PUT
    assert quote(market, lowest.symbol, at).bid == 0
    assert quote(market, lowest.symbol, at).ask == CENT


def test_spreads_widen_in_the_money_at_the_open_and_towards_the_close(friday: SeededMarket) -> None:
    def width(contract: Contract, second: int) -> float:
        """Mean width over half a minute, relative to the mid."""
        moments = [friday.session.open + timedelta(seconds=second + n) for n in range(30)]
        seen = [quote(friday, contract.symbol, at) for at in moments]
        return sum(float(q.spread / q.mid) for q in seen) / len(seen)

    noon = friday.session.open + timedelta(seconds=9000)
    near = at_the_money(friday, "AAPL", FRIDAY, Right.CALL, noon)
    deep = min(contracts(friday, "AAPL", FRIDAY), key=lambda c: (c.right is Right.PUT, c.strike))
    far = at_the_money(friday, "AAPL", date(2026, 12, 18), Right.CALL, noon)
    assert width(deep, 9000) * float(quote(friday, deep.symbol, noon).mid) > 5 * width(near, 9000) * float(
        quote(friday, near.symbol, noon).mid
    )
    assert width(far, 5) > 1.3 * width(far, 9000)
    late = at_the_money(friday, "AAPL", FRIDAY, Right.CALL, friday.session.close - timedelta(seconds=60))
    assert width(late, 23_300) > 1.5 * width(near, 9000)


def test_at_the_money_quotes_of_the_liquid_names_are_tradable(market: SeededMarket) -> None:
    """The scalper asks for at most five per cent of the mid. Half way between two strikes the nearest call
    and put differ: one of them lies in the money."""
    for underlying in ("SPY", "QQQ", "IWM", "AAPL", "NVDA", "TSLA"):
        for minutes in (30, 120, 240):
            at = market.session.open + timedelta(minutes=minutes)
            near = (at_the_money(market, underlying, TUESDAY, right, at) for right in Right)
            seen = max((quote(market, contract.symbol, at) for contract in near), key=lambda q: q.mid)
            assert seen.spread / seen.mid < Decimal("0.05"), f"{underlying} {minutes}"


def test_smile_rises_to_both_sides_and_leans_to_puts(market: SeededMarket) -> None:
    at = market.session.open + timedelta(hours=1)
    spot = market.spot("SPY", at)

    def vol(strike: float) -> float:
        contract = min(contracts(market, "SPY", TUESDAY), key=lambda c: abs(float(c.strike) - strike))
        found = market.implied_volatility(contract.symbol, at)
        assert found is not None
        return found

    low, middle, high = vol(spot * 0.98), vol(spot), vol(spot * 1.02)
    assert low > high > middle


def test_open_interest_peaks_near_the_money_at_round_strikes(market: SeededMarket) -> None:
    rows = [row for row in market.contracts("SPY") if row.contract.expiry == TUESDAY]
    opening = market.spot("SPY", market.session.open)
    near = [r for r in rows if abs(float(r.contract.strike) - opening) < 12]
    rounds = [r.open_interest for r in near if r.contract.strike % 5 == 0]
    others = [r.open_interest for r in near if r.contract.strike % 5]
    wings = [r.open_interest for r in rows if abs(float(r.contract.strike) - opening) > 40]
    assert sum(rounds) / len(rounds) > 1.3 * sum(others) / len(others)
    assert max(wings) < min(others)
