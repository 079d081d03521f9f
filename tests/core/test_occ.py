from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.core import occ
from wsb_snake.core.types import Contract, Right

roots = st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True)
expiries = st.dates(date(2000, 1, 1), date(2099, 12, 31))
strikes = st.integers(1, 10**8 - 1).map(lambda mills: Decimal(mills) / 1000)


def test_parse_reads_every_part() -> None:
    assert occ.parse("SPY261124C00672500") == Contract(
        "SPY261124C00672500", "SPY", date(2026, 11, 24), Right.CALL, Decimal("672.5")
    )
    assert occ.parse("F261218P00000500").strike == Decimal("0.5")


@given(roots, expiries, st.sampled_from(Right), strikes)
def test_build_and_parse_undo_each_other(root: str, expiry: date, right: Right, strike: Decimal) -> None:
    symbol = occ.build(root, expiry, right, strike)
    assert occ.parse(symbol) == Contract(symbol, root, expiry, right, strike)
    assert occ.is_option(symbol)


@given(st.text(alphabet="SPYQ0123456789CP ", max_size=22))
def test_whatever_parses_is_built_the_same_again(text: str) -> None:
    if occ.is_option(text):
        found = occ.parse(text)
        assert occ.build(found.underlying, found.expiry, found.right, found.strike) == text


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "SPY",
        "BTCUSD",
        "SPY261124C0067250",  # seven digits
        "SPY261124C006725000",  # nine
        "SPY261124X00672500",
        "SPY261131C00672500",  # no 31st of November
        "SPY261124C00000000",
        "spy261124C00672500",
        "SPY   261124C00672500",  # padded
        "SPY261124C00672500\n",
        "TOOLONG261124C00672500",
        "1SPY261124C00672500",
        "SPY26112\N{ARABIC-INDIC DIGIT FOUR}C00672500",
    ],
)
def test_what_is_no_option_symbol_is_refused(symbol: str) -> None:
    assert not occ.is_option(symbol)
    with pytest.raises(occ.SymbolError):
        occ.parse(symbol)


@pytest.mark.parametrize(
    ("root", "expiry", "strike", "complaint"),
    [
        ("BRK.B", date(2026, 11, 24), "450", "'BRK.B' is not an option root"),
        ("", date(2026, 11, 24), "450", "is not an option root"),
        ("SPY", date(1999, 11, 24), "450", "year 1999"),
        ("SPY", date(2026, 11, 24), "450.0005", "strike 450.0005"),
        ("SPY", date(2026, 11, 24), "0", "strike 0"),
        ("SPY", date(2026, 11, 24), "-1", "strike -1"),
        ("SPY", date(2026, 11, 24), "100000", "strike 100000"),
        ("SPY", date(2026, 11, 24), "NaN", "strike NaN"),
    ],
)
def test_what_no_symbol_can_hold_is_refused(root: str, expiry: date, strike: str, complaint: str) -> None:
    with pytest.raises(occ.SymbolError, match=complaint):
        occ.build(root, expiry, Right.CALL, Decimal(strike))
