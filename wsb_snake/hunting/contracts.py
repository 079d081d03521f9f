"""From a signal to an intent: the contract that its engine wants, out of the live chain."""

from dataclasses import dataclass
from decimal import Decimal

from wsb_snake.collectors.market_data import DataError, DataSilent, MarketData
from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.signals import Signal, TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.engines.contract_picker import NoPick, TooDear, pick, strike_window
from wsb_snake.engines.expiry_choice import expiries
from wsb_snake.engines.pick_rules import pick_rules, reach
from wsb_snake.engines.types import right_of
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.engine_plans import engine_plan

CHAINS_S = 10.0
"""Seconds that the chains of one pass may take together: all engines compute in the lane that waits."""


@dataclass(frozen=True, slots=True)
class NoContract:
    """Why there is nothing to buy; ``too_dear``: the right contract exists and costs more than its limit."""

    reason: str
    too_dear: bool = False


class Contracts:
    """Asks the chain, never cached, for each signal that may be traded, while the pass has time for it."""

    def __init__(self, settings: Settings, market: MarketData) -> None:
        self._settings = settings
        self._market = market
        self._waited_s = 0.0  # for the chains of this pass
        self._failed = ""  # the name for whose chain no answer came in this pass

    def begin(self) -> None:
        """A pass begins."""
        self._waited_s = 0.0
        self._failed = ""

    def intent(self, desk: Desk, signal: Signal, session: Session) -> TradeIntent | NoContract:
        """What to buy for ``signal``, or why there is nothing.

        After the first chain without any answer the vendor is in trouble: the pass asks for no other. An
        answer that refuses one name says nothing of the next.
        """
        if self._failed:
            return NoContract(f"not asked for a contract: the chain of {self._failed} did not come")
        if self._waited_s >= CHAINS_S:
            return NoContract(f"not asked for a contract: the chains before it took {self._waited_s:.0f} s")
        engine = signal.engine
        wanted = expiries(engine, session.day, desk.calendar)
        low, high = strike_window(signal.price, reach(engine))
        began = desk.clock.monotonic()
        try:
            rows = self._market.chain(signal.ticker, wanted.first, wanted.last, low, high)
        except DataError as error:
            if isinstance(error, DataSilent):
                self._failed = signal.ticker
            return NoContract(f"no chain: {error}")
        finally:
            self._waited_s += desk.clock.monotonic() - began
        picked = pick(
            rows,
            right_of(signal.direction),
            signal.price,
            desk.now(),
            wanted.closes(rows, desk.calendar),
            pick_rules(engine, self._settings, self._max_cost(desk)),
        )
        if isinstance(picked, NoPick):
            return NoContract(picked.reason, isinstance(picked, TooDear))
        plan = engine_plan(engine, self._settings)
        budget = self._settings.wsb_snake_trade_dollars
        return TradeIntent(signal, picked.contract, picked.quote, plan, budget)

    def quotes(self, symbols: tuple[str, ...]) -> dict[str, Quote]:
        """The latest quotes of contracts; empty where they do not come."""
        try:
            return self._market.option_quotes(symbols)
        except DataError:
            return {}

    def _max_cost(self, desk: Desk) -> Decimal:
        """What one contract may cost, in dollars."""
        account = desk.pollers.account.latest
        most = desk.limits.trade_dollars
        return most if account is None else min(most, desk.limits.trade_equity * account.value.equity)
