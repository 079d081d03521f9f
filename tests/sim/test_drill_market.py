"""The market for fault drills."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from wsb_snake.sim.drill_market import SPOTS, DrillMarket
from wsb_snake.sim.sessions import session_after

DAY = date(2026, 11, 24)


def symbols(market: DrillMarket) -> list[str]:
    return [row.contract.symbol for name in SPOTS for row in market.contracts(name)]


def test_it_lists_today_and_one_later_expiry() -> None:
    market = DrillMarket(DAY, 1)
    assert market.symbols() == tuple(SPOTS)
    for name in SPOTS:
        rows = market.contracts(name)
        assert {row.contract.expiry for row in rows} == {DAY, market.later}
        assert len({row.contract.symbol for row in rows}) == len(rows) == 12
    assert market.later > session_after(session_after(session_after(DAY).day).day).day
    assert market.contracts("XYZ") == ()
    assert market.option_quote("XYZ261124C00010000", market.session.open) is None


def test_what_is_no_session_is_refused() -> None:
    with pytest.raises(ValueError, match="no session"):
        DrillMarket(date(2026, 11, 26), 1)


def test_the_order_of_questions_changes_nothing() -> None:
    one, other = DrillMarket(DAY, 1), DrillMarket(DAY, 1)
    moments = [one.session.open + timedelta(minutes=minute) for minute in (3, 100, 380)]
    asked = [(symbol, at) for symbol in symbols(one)[:20] for at in moments]
    assert [one.option_quote(*q) for q in asked] == [other.option_quote(*q) for q in asked[::-1]][::-1]


def test_the_seed_decides() -> None:
    quotes = []
    for seed in (1, 2):
        market = DrillMarket(DAY, seed)
        at = market.session.open + timedelta(hours=1)
        quotes.append([market.option_quote(symbol, at) for symbol in symbols(market)])
    assert quotes[0] != quotes[1]


def test_quotes_lie_on_the_tick_and_never_cross() -> None:
    market = DrillMarket(DAY, 3)
    for symbol in symbols(market)[::7]:
        nickels = symbol.startswith(("AAPL", "NVDA"))
        for minute in range(0, 390, 13):
            quote = market.option_quote(symbol, market.session.open + timedelta(minutes=minute))
            assert quote is not None
            assert Decimal(0) < quote.bid < quote.ask
            for price in (quote.bid, quote.ask):
                coarse = nickels and price >= 3
                assert price % (Decimal("0.05") if coarse else Decimal("0.01")) == 0


def test_prices_move_far_enough_for_targets_and_stops() -> None:
    market = DrillMarket(DAY, 4)
    far = 0
    for symbol in symbols(market):
        quotes = [
            market.option_quote(symbol, market.session.open + timedelta(minutes=minute))
            for minute in range(0, 390, 10)
        ]
        mids = [quote.mid for quote in quotes if quote is not None]
        far += max(mids) > mids[0] * Decimal("1.2") or min(mids) < mids[0] * Decimal("0.85")
    assert far > len(symbols(market)) / 2


def test_a_quote_carries_the_second_it_is_of() -> None:
    market = DrillMarket(DAY, 1)
    symbol, at = symbols(market)[0], market.session.open + timedelta(seconds=90.7)
    quote = market.option_quote(symbol, at)
    assert quote is not None
    assert quote.at == market.session.open + timedelta(seconds=90)
    late = market.option_quote(symbol, market.session.close + timedelta(hours=1))
    assert late is not None
    assert late.at == market.session.close


def test_a_bare_contract_has_an_ask_and_no_bid_until_then() -> None:
    market = DrillMarket(DAY, 1)
    symbol, at = symbols(market)[0], market.session.open + timedelta(hours=1)
    market.bare(symbol, at + timedelta(seconds=30))
    bare, after = market.option_quote(symbol, at), market.option_quote(symbol, at + timedelta(seconds=30))
    assert bare is not None
    assert after is not None
    assert bare.bid == 0 < bare.ask
    assert after.bid > 0


def test_a_day_can_be_shortened() -> None:
    market = DrillMarket(DAY, 1)
    assert market.regular
    early = market.session.close - timedelta(hours=2)
    market.shorten(early)
    assert market.session.close == early
    assert not market.regular
