"""Fees by hand."""

from decimal import Decimal

from wsb_snake.core.orders import Side
from wsb_snake.learning.fees import fees, rounded


def test_a_buy_pays_orf_occ_and_cat() -> None:
    assert fees(Side.BUY, 1, Decimal("1.50")) == Decimal("0.02685") + Decimal("0.025") + Decimal("0.0046")


def test_a_sale_pays_taf_and_sec_as_well() -> None:
    # 10 contracts at 1.50: proceeds 1,500
    expected = 10 * Decimal("0.05645") + 10 * Decimal("0.00329") + 1500 * Decimal("0.0000206")
    assert fees(Side.SELL, 10, Decimal("1.50")) == expected


def test_nothing_traded_nothing_charged() -> None:
    assert fees(Side.SELL, 0, Decimal("1.50")) == 0


def test_the_sum_is_rounded_up_to_the_cent() -> None:
    assert rounded(Decimal("0.1201")) == Decimal("0.13")
    assert rounded(Decimal("0.12")) == Decimal("0.12")
