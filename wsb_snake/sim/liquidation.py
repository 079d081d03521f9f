"""Which positions the broker sells by itself in the last minutes of their expiration day."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.core.types import Contract
from wsb_snake.sim.account import Account, Holding, exercise_cost, in_the_money
from wsb_snake.sim.rules import Rules
from wsb_snake.sim.sessions import SimSession

_EVERY = timedelta(minutes=1)


def looks(session: SimSession, rules: Rules) -> frozenset[datetime]:
    """When the broker looks: each minute from the first liquidation time to the close."""
    if rules.liquidation == "never":
        return frozenset()
    before = max(rules.liquidation_from, rules.liquidation_from_broad)
    return frozenset(session.close - before + n * _EVERY for n in range(before // _EVERY))


def to_sell(
    expiring: Iterable[tuple[Holding, Contract]],
    account: Account,
    cash: Decimal,
    spot: Callable[[str], Decimal],
    session: SimSession,
    at: datetime,
    rules: Rules,
) -> list[Holding]:
    """The long positions among ``expiring`` to sell at ``at``.

    All of them, or those in the money whose exercise nobody declined and ``cash``, after what the
    earlier ones take of it, cannot pay for.
    """
    sold: list[Holding] = []
    for holding, contract in expiring:
        if holding.qty < 0 or at < rules.liquidates_at(contract.underlying, session):
            continue
        if rules.liquidation == "always":
            sold.append(holding)
        elif holding.symbol not in account.declined and in_the_money(contract, spot(contract.underlying)):
            if account.can_exercise(contract, holding.qty, cash):
                cash -= exercise_cost(contract, holding.qty)
            else:
                sold.append(holding)
    return sold
