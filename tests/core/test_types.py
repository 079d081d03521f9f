from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from wsb_snake.core.types import Quote

AT = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def quote(bid: str, ask: str) -> Quote:
    return Quote("SPY261124C00672500", Decimal(bid), Decimal(ask), 10, 12, AT)


def test_mid_and_spread_are_exact() -> None:
    assert quote("1.23", "1.26").mid == Decimal("1.245")
    assert quote("1.23", "1.26").spread == Decimal("0.03")


@pytest.mark.parametrize(
    ("bid", "ask", "two_sided"),
    [
        ("1.23", "1.26", True),
        ("1.23", "1.23", True),  # locked
        ("1.27", "1.26", False),  # crossed
        ("0", "0.05", False),
        ("0", "0", False),
        ("1.23", "0", False),
    ],
)
def test_two_sided_means_both_there_and_not_crossed(bid: str, ask: str, two_sided: bool) -> None:
    assert quote(bid, ask).two_sided is two_sided


def test_age_counts_from_the_stamp_of_the_feed() -> None:
    assert quote("1", "2").age_s(AT + timedelta(seconds=2.5)) == 2.5
