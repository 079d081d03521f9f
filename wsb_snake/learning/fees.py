"""What a broker without commissions still charges for option trades: regulatory and clearing fees.

Rates in dollars, as published for 2026; a paper account is not charged them, an outcome counts them all
the same, so that what is learnt on paper holds for live trading. Where sources differ the dearer one
stands here.

==========  ==================  ====================  ==========================================
fee         side                rate                  source
==========  ==================  ====================  ==========================================
ORF         buys and sells      0.02685 a contract    docs.alpaca.markets/docs/regulatory-fees
OCC         buys and sells      0.025 a contract      OCC schedule of fees, 90 FR 10544 (no cap)
CAT         buys and sells      0.000046 a share      docs.alpaca.markets/docs/regulatory-fees
TAF         sells               0.00329 a contract    FINRA By-Laws, Schedule A, section 1
SEC         sells               20.60 a million       SEC fee rate advisory, fiscal year 2026
==========  ==================  ====================  ==========================================

Alpaca adds up each fee over the day and rounds the total up to the next cent. Here the sum of all
fees of one position is rounded up once, which is at most a cent a position too dear.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from wsb_snake.core.orders import Side
from wsb_snake.core.types import CONTRACT_SHARES

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class FeeTable:
    """Dollars per contract, except where the name says otherwise."""

    orf: Decimal = Decimal("0.02685")
    occ: Decimal = Decimal("0.025")
    cat_per_share: Decimal = Decimal("0.000046")
    taf: Decimal = Decimal("0.00329")
    sec_per_dollar: Decimal = Decimal("0.0000206")


RATES = FeeTable()


def fees(side: Side, qty: int, price: Decimal, rates: FeeTable = RATES) -> Decimal:
    """Dollars for ``qty`` contracts at ``price`` a share, exact; see ``rounded``."""
    total = qty * (rates.orf + rates.occ + rates.cat_per_share * CONTRACT_SHARES)
    if side is Side.SELL:
        total += qty * (rates.taf + rates.sec_per_dollar * price * CONTRACT_SHARES)
    return total


def rounded(total: Decimal) -> Decimal:
    """Up to the next cent, as the broker charges."""
    return total.quantize(CENT, ROUND_CEILING)
