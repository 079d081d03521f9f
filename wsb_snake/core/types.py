"""Values that travel between floors: contracts, quotes, bars.

Option prices are dollars per share as Decimal; one contract is 100 shares. Bars feed statistics
only and hold floats.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

CONTRACT_SHARES = 100


class Right(StrEnum):
    CALL = "C"
    PUT = "P"


@dataclass(frozen=True, slots=True)
class Contract:
    """One listed option. ``symbol`` is the OCC symbol without padding, as Alpaca writes it."""

    symbol: str
    underlying: str
    expiry: date
    right: Right
    strike: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """Top of book. ``at`` is the feed's own time stamp (aware UTC), never the time of receipt."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int
    at: datetime

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal:
        return self.ask - self.bid

    @property
    def two_sided(self) -> bool:
        """Both sides there and not crossed."""
        return Decimal(0) < self.bid <= self.ask

    def age_s(self, now: datetime) -> float:
        """Seconds between the feed's stamp and ``now``."""
        return (now - self.at).total_seconds()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, labelled by its start (aware UTC). Prices in dollars, volume in shares."""

    symbol: str
    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One contract of a chain as a vendor sees it; what the vendor lacks is None."""

    contract: Contract
    quote: Quote | None
    implied_volatility: float | None = None
    delta: float | None = None
    open_interest: int | None = None
    volume: int | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Contracts of one underlying and expiry near the money, as they were at ``at`` (aware UTC)."""

    underlying: str
    expiry: date
    at: datetime
    rows: tuple[ChainRow, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """One item of news. ``at`` is when it was published (aware UTC)."""

    at: datetime
    text: str
    source: str
    symbols: tuple[str, ...]
