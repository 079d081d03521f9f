"""What the owner does on a drill day: now and then he halts the entries, and lets them go again."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from wsb_snake.sim.drillable import MarketUnderDrill

SHARE_OF_DAYS = 0.35
HALTED_S = (60.0, 1200.0)


@dataclass(frozen=True, slots=True)
class Said:
    """One command of the owner at its moment."""

    at: datetime
    verb: str


def plan_hand(market: MarketUnderDrill, luck: random.Random) -> list[Said]:
    """The day's commands in order of time; nothing on most days."""
    if luck.random() >= SHARE_OF_DAYS:
        return []
    session = market.session
    halted = session.open + luck.random() * (session.close - session.open)
    return [Said(halted, "halt"), Said(halted + timedelta(seconds=luck.uniform(*HALTED_S)), "resume")]
