"""What a drill can do to a market: take the bids of a contract away, and end the day early."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from wsb_snake.core.types import Quote
from wsb_snake.sim.market import Market, SeededMarket
from wsb_snake.sim.sessions import SimSession


class MarketUnderDrill(Market, Protocol):
    """A market as whoever drives a drill sees it."""

    @property
    def regular(self) -> bool: ...

    def bare(self, symbol: str, until: datetime) -> None: ...

    def shorten(self, close: datetime) -> None: ...


class Drillable:
    """Mixed into a market that has a ``session``; ``begin_drill`` is called once, at its making."""

    session: SimSession

    def begin_drill(self) -> None:
        self.regular = True
        """Whether the day still ends when the calendar said."""
        self._bare_until: dict[str, datetime] = {}

    def bare(self, symbol: str, until: datetime) -> None:
        """Nobody bids for ``symbol`` before ``until``."""
        self._bare_until[symbol] = until

    def shorten(self, close: datetime) -> None:
        """The day ends at ``close`` instead of when the calendar said."""
        self.session = replace(self.session, close=close)
        self.regular = False

    def bid_at(self, symbol: str, bid: Decimal, at: datetime) -> Decimal:
        """``bid``, or zero while nobody bids."""
        until = self._bare_until.get(symbol)
        return Decimal(0) if until is not None and at < until else bid


class DrillableMarket(Drillable, SeededMarket):
    """The seeded market under drill, for the real engines."""

    def __init__(self, day: date, seed: int) -> None:
        SeededMarket.__init__(self, day, seed)
        self.begin_drill()

    def option_quote(self, symbol: str, at: datetime) -> Quote | None:
        quote = super().option_quote(symbol, at)
        if quote is None:
            return None
        bid = self.bid_at(symbol, quote.bid, at)
        return quote if bid == quote.bid else replace(quote, bid=bid, bid_size=0)
