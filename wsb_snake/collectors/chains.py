"""Chains near the money with open interest, kept for ten minutes.

Open interest is last session's figure: one look a day is enough. So the first chain of a day is the
fallback's where the primary's chains lack it, and the later ones, which are fresher in all else, get it
from there: one request a chain either way. A contract whose open interest nobody told has None, which
is not zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import MappingProxyType

from wsb_snake.collectors.failover import Failover
from wsb_snake.collectors.kept import KEEP_S, Kept, for_the_day
from wsb_snake.collectors.sources import DataError, DataUnavailable
from wsb_snake.core.types import Chain, ChainRow

NEAR = Decimal("0.08")
"""How far strikes may lie from the spot, as a share of it."""

LEAST_NEAR = Decimal(2)
"""Dollars: enough strikes of a cheap name."""

MOST_NEAR = Decimal(60)
"""Dollars: strikes a dollar apart fit one page of the fallback, which holds 250 contracts."""

INTEREST = "open interest"

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class _Interest:
    """Open interest by OCC symbol of the contracts near ``spot``."""

    spot: float
    by_symbol: Mapping[str, int]


class PressureChains:
    """Safe from several lanes."""

    def __init__(self, failover: Failover) -> None:
        self._failover = failover
        self._chains: Kept[Chain] = Kept()
        self._interest: Kept[_Interest] = Kept()

    def get(self, underlying: str, expiry: date, spot: float, now: datetime) -> Chain:
        """The chain about ``spot``, dollars, at most ten minutes old. Raises DataError."""
        return self._chains.get(
            (underlying, expiry),
            now,
            lambda: Chain(underlying, expiry, now, self._rows(underlying, expiry, spot, now)),
        )

    def _rows(self, underlying: str, expiry: date, spot: float, now: datetime) -> tuple[ChainRow, ...]:
        low, high = near(spot)
        known = self._interest.find((underlying, expiry), now)
        if known is None or abs(spot / known.spot - 1) > NEAR / 2:
            told = self._with_interest(underlying, expiry, low, high)
            if told is not None:
                known = _Interest(spot, _by_symbol(told))
                self._interest.put((underlying, expiry), known, for_the_day(now), now)
                if told:
                    return told
        rows = self._failover.ask("chain", lambda source: source.chain(underlying, expiry, expiry, low, high))
        interest = {} if known is None else known.by_symbol
        return tuple(
            replace(row, open_interest=interest.get(row.contract.symbol))
            if row.open_interest is None
            else row
            for row in rows
        )

    def _with_interest(
        self, underlying: str, expiry: date, low: Decimal, high: Decimal
    ) -> tuple[ChainRow, ...] | None:
        """The fallback's chain; None where it does not give one, and then the reason is told."""
        for source in self._failover.sources[1:]:
            try:
                rows = self._failover.unless_resting(
                    source, INTEREST, lambda asked: asked.chain(underlying, expiry, expiry, low, high)
                )
            except DataError as error:
                self._failover.tell(INTEREST, source, error)
                if isinstance(error, DataUnavailable):
                    self._failover.rest(source, INTEREST, KEEP_S, error)
            else:
                self._failover.well(INTEREST)
                return rows
        return None


def _by_symbol(rows: tuple[ChainRow, ...]) -> Mapping[str, int]:
    return MappingProxyType(
        {row.contract.symbol: row.open_interest for row in rows if row.open_interest is not None}
    )


def near(spot: float) -> tuple[Decimal, Decimal]:
    """Lowest and highest strike that count, dollars."""
    middle = Decimal(str(spot))
    reach = min(max(middle * NEAR, LEAST_NEAR), MOST_NEAR)
    low = (middle - reach).quantize(_CENT, ROUND_FLOOR)
    return max(low, _CENT), (middle + reach).quantize(_CENT, ROUND_CEILING)
