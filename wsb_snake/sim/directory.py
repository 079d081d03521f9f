"""What is listed on the embedded exchange, what it is quoted at, and when the market is open."""

from datetime import date, datetime

from wsb_snake.core.occ import SymbolError, parse
from wsb_snake.core.types import Contract, Quote
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.dice import Dice
from wsb_snake.sim.market import Market
from wsb_snake.sim.sessions import SimSession, sessions


class Directory:
    """One market's names; answers from the market alone, whatever the account does."""

    def __init__(self, market: Market, seed: int) -> None:
        self.market = market
        self.dice = Dice(seed)
        self._listings: dict[str, dict[str, ListedContract]] = {}

    def sessions(self, first: date, last: date) -> list[SimSession]:
        """The calendar from ``first`` to ``last``, today's hours as the market has them."""
        today = self.market.session
        return [today if session.day == today.day else session for session in sessions(first, last)]

    def in_session(self, at: datetime) -> bool:
        session = self.market.session
        return session.open <= at < session.close

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """The true quote of a contract or share at ``at``; None when nothing of that name trades."""
        if contract_of(symbol) is not None:
            return self.market.option_quote(symbol, at)
        return self.market.stock_quote(symbol, at) if symbol in self.market.symbols() else None

    def listed(self, symbol: str) -> ListedContract | None:
        """The listing of an option symbol, or None."""
        contract = contract_of(symbol)
        return None if contract is None else self.listings(contract.underlying).get(symbol)

    def listings(self, underlying: str) -> dict[str, ListedContract]:
        """Everything listed on ``underlying`` by symbol, in order of symbols; empty when unknown."""
        if underlying not in self._listings:
            known = underlying in self.market.symbols()
            rows = self.market.contracts(underlying) if known else ()
            self._listings[underlying] = dict(sorted((row.contract.symbol, row) for row in rows))
        return self._listings[underlying]

    def asset_id(self, symbol: str) -> str:
        return self.dice.uuid("asset", symbol)


def contract_of(symbol: str) -> Contract | None:
    """The contract of an option symbol, None for shares."""
    try:
        return parse(symbol)
    except SymbolError:
        return None
