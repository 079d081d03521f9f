"""Seeded misfortune of every kind at once: whatever happens, all is sold once and learnt once."""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import IWM_CALL, SPY_CALL
from tests.trading.world import Trouble, World, world
from wsb_snake.core.orders import PositionState
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.broker import BrokerError, Throttled, Unavailable, Unknown

ROUGH = Rules(partial_fill_chance=0.5, fill_beats_cancel_chance=0.5)


def misfortune(w: World, luck: random.Random) -> None:
    """Troubles for the next calls of this process."""
    for name in ("submit", "cancel"):
        lost: list[BrokerError] = [Unknown("reset"), Throttled("429"), Unavailable("refused")]
        for _ in range(luck.randrange(3)):
            error = luck.choice(lost)
            effect = isinstance(error, Unknown) and luck.random() < 0.5
            w.broker.once.setdefault(name, []).append(Trouble(error, effect, luck.choice([0.0, 1.5, 12.0])))
    for name in ("positions", "open_orders", "order_by_client_id", "activities"):
        w.broker.once[name] = [Trouble(Unavailable("timed out"))] * luck.randrange(3)
    w.lose_updates = luck.random() < 0.4
    w.repeat_updates = luck.choice([1, 2])


@pytest.mark.parametrize("seed", range(30))
def test_everything_is_sold_once_and_learnt_once(tmp_path: Path, seed: int) -> None:
    luck = random.Random(f"campaign {seed}")
    with world(tmp_path, "14:30", seed=seed, rules=ROUGH) as w:
        misfortune(w, luck)
        w.enter(SPY_CALL, "one")
        w.enter(IWM_CALL, "two")
        for _ in range(luck.randrange(2, 5)):
            w.run(luck.uniform(0.0, 9.0))
            for symbol in (SPY_CALL, IWM_CALL):
                bid = luck.choice(["0.70", "0.84", "1.00", "1.00", "1.30"])
                w.price(bid, str(Decimal(bid) + Decimal("0.04")), symbol)
            if luck.random() < 0.5:
                w.restart()
            misfortune(w, luck)
        w.run(180)
        w.price("0.50", "0.54")
        w.price("0.50", "0.54", IWM_CALL)
        w.run(180)
        assert w.broker.refusals == []
        for symbol in (SPY_CALL, IWM_CALL):
            buys, sells = ([o for o in w.own(side) if o.symbol == symbol] for side in ("buy", "sell"))
            assert w.held(symbol) == 0
            assert sum(o.filled_qty for o in buys) == sum(o.filled_qty for o in sells)
            told = [o for o in w.outcomes() if o["symbol"] == symbol]
            gross = sum(o.filled_cost for o in sells) - sum(o.filled_cost for o in buys)
            assert sum(Decimal(o["gross_pnl"]) for o in told) == gross * 100
        states = {p.state for p in w.desk.book.view.positions}
        assert states <= {PositionState.CLOSED, PositionState.VOID}
