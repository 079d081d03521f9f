"""The account's books: cash, positions, activities, and what expiry does to them.

Money is Decimal dollars. Every change of cash has its activity, except a position that was put there
by hand. Non-trade activities appear at once; on Alpaca's paper accounts they appear the next day.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from wsb_snake.core.types import CONTRACT_SHARES, Contract, Right
from wsb_snake.sim.dice import Dice
from wsb_snake.sim.matching import Execution
from wsb_snake.sim.orders import Side, SimOrder

_REMEMBERED = 64  # changes of the positions
_AUTO_EXERCISE_FROM = Decimal("0.01")  # dollars in the money


@dataclass(frozen=True, slots=True)
class Holding:
    """A position: ``qty`` is signed, in contracts or shares of ``multiplier`` shares each."""

    symbol: str
    qty: int
    avg_price: Decimal
    multiplier: int

    @property
    def cost_basis(self) -> Decimal:
        return self.qty * self.avg_price * self.multiplier


@dataclass(frozen=True, slots=True)
class Position:
    """A holding as the account shows it: at the mid, ``available`` (signed) is what no order holds."""

    holding: Holding
    asset_id: str
    price: Decimal
    available: int

    @property
    def is_option(self) -> bool:
        return self.holding.multiplier == CONTRACT_SHARES

    @property
    def market_value(self) -> Decimal:
        return self.holding.qty * self.price * self.holding.multiplier


@dataclass(frozen=True, slots=True)
class Figures:
    """The account's dollars; long and short values are at the mid."""

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    last_equity: Decimal
    buying_power: Decimal

    @property
    def equity(self) -> Decimal:
        return self.cash + self.long_value + self.short_value


@dataclass(frozen=True, slots=True)
class Activity:
    """One account activity. ``qty`` is signed for non-trade activities, as Alpaca's is.

    A FILL has ``fill`` (the order after it) and ``price``; an option event has ``net_amount``.
    """

    id: str
    type: str
    at: datetime
    symbol: str
    qty: int
    price: Decimal | None = None
    net_amount: Decimal | None = None
    fill: SimOrder | None = None


def intrinsic(contract: Contract, spot: Decimal) -> Decimal:
    """What exercise is worth per share, at least zero."""
    gain = spot - contract.strike if contract.right is Right.CALL else contract.strike - spot
    return max(Decimal(0), gain)


def in_the_money(contract: Contract, spot: Decimal) -> bool:
    """Whether the clearing house would exercise a long position by itself."""
    return intrinsic(contract, spot) >= _AUTO_EXERCISE_FROM


def exercise_cost(contract: Contract, qty: int) -> Decimal:
    """Dollars that the exercise of ``qty`` contracts takes; a put takes shares instead."""
    return contract.strike * qty * CONTRACT_SHARES if contract.right is Right.CALL else Decimal(0)


class Account:
    def __init__(self, cash: Decimal, dice: Dice) -> None:
        self.cash = cash
        self.start_equity = cash
        self.activities: list[Activity] = []
        self.declined: set[str] = set()  # do-not-exercise was asked for these
        self._holdings: dict[str, Holding] = {}
        self._past: deque[tuple[datetime, list[Holding]]] = deque(maxlen=_REMEMBERED)
        self._dice = dice

    @property
    def holdings(self) -> list[Holding]:
        """All positions, sorted by symbol."""
        return [self._holdings[symbol] for symbol in sorted(self._holdings)]

    def remember(self, at: datetime) -> None:
        """Keep the positions as they are just before a change at ``at``."""
        self._past.append((at, self.holdings))

    def holdings_at(self, at: datetime) -> list[Holding]:
        """The positions as of ``at``, as far back as they are remembered."""
        return next((held for changed, held in self._past if changed > at), self.holdings)

    def holding(self, symbol: str) -> Holding | None:
        return self._holdings.get(symbol)

    def qty(self, symbol: str) -> int:
        """Signed quantity held, 0 when none."""
        holding = self._holdings.get(symbol)
        return holding.qty if holding else 0

    def trade(self, symbol: str, qty: int, price: Decimal, multiplier: int) -> None:
        """Move ``qty`` (signed; negative sells) of ``symbol`` at ``price`` against cash."""
        self.cash -= qty * price * multiplier
        old = self._holdings.get(symbol)
        held, average = (old.qty, old.avg_price) if old else (0, price)
        total = held + qty
        if total == 0:
            del self._holdings[symbol]
            return
        if held * qty >= 0:  # opened or added to
            average = (held * average + qty * price) / total
        elif held * total < 0:  # turned around
            average = price
        self._holdings[symbol] = Holding(symbol, total, average, multiplier)

    def fill(self, order: SimOrder, execution: Execution, at: datetime) -> None:
        """Book ``execution``; ``order`` is the order after it."""
        self.trade(order.symbol, signed(order.side, execution.qty), execution.price, order.multiplier)
        self._record("FILL", at, order.symbol, execution.qty, execution.price, fill=order)

    def can_exercise(self, contract: Contract, qty: int, cash: Decimal) -> bool:
        """Whether ``qty`` long contracts can turn into shares: a call needs cash, a put the shares."""
        if contract.right is Right.PUT and self.qty(contract.underlying) < qty * CONTRACT_SHARES:
            return False
        return exercise_cost(contract, qty) <= cash

    def settle(self, contract: Contract, close: Decimal, at: datetime) -> None:
        """End an expired position at the underlying's official close.

        Out of the money, declined or unaffordable: it is gone (OPEXP). Else a long one is exercised
        and a short one assigned at the strike (OPEXC or OPASN, and OPTRD for the shares).
        """
        qty = self.qty(contract.symbol)
        exercised = in_the_money(contract, close) and (
            qty < 0 or (contract.symbol not in self.declined and self.can_exercise(contract, qty, self.cash))
        )
        del self._holdings[contract.symbol]
        if not exercised:
            self._record("OPEXP", at, contract.symbol, -qty, net_amount=Decimal(0))
            return
        kind = "OPEXC" if qty > 0 else "OPASN"
        self._record(kind, at, contract.symbol, -qty, net_amount=Decimal(0))
        shares = qty * CONTRACT_SHARES * (1 if contract.right is Right.CALL else -1)
        self.trade(contract.underlying, shares, contract.strike, 1)
        amount = -shares * contract.strike
        self._record("OPTRD", at, contract.underlying, shares, contract.strike, net_amount=amount)

    def _record(
        self,
        kind: str,
        at: datetime,
        symbol: str,
        qty: int,
        price: Decimal | None = None,
        net_amount: Decimal | None = None,
        fill: SimOrder | None = None,
    ) -> None:
        stamp = f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}"
        name = f"{stamp}::{self._dice.uuid('activity', len(self.activities))}"
        self.activities.append(Activity(name, kind, at, symbol, qty, price, net_amount, fill))


def signed(side: Side, qty: int) -> int:
    return qty if side == "buy" else -qty
