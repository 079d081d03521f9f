"""A campaign day up to its first crash of one kind: what becomes of the database is the caller's choice.

As a script it is the process that really dies there: ``dying.py SEED NUMBER KIND FOLDER`` runs the day with
its files in FOLDER and kills itself.
"""

import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pytest import MonkeyPatch

from wsb_snake.backtest.campaign import day as day_module
from wsb_snake.backtest.campaign.day import DayPlan, run_campaign_day
from wsb_snake.backtest.campaign.disk import copy_database
from wsb_snake.backtest.campaign.run import DRILL_DAY
from wsb_snake.sim.drill_market import DrillMarket
from wsb_snake.sim.fault_plan import CrashKind, plan_crashes

AtDeath = Callable[[Path], None]
"""Gets the folder of the dying process."""


class Over(BaseException):
    """The day has been driven as far as the test wants it."""


def plan(seed: int, number: int) -> DayPlan:
    return DayPlan(DRILL_DAY, seed, number, "all", crashes=True)


def armed_at(asked: DayPlan, kind: CrashKind) -> datetime | None:
    """From when on the first crash of ``kind`` waits on that day, if one does."""
    session = DrillMarket(asked.day, asked.day_seed).session
    armed = plan_crashes(asked.number, session, random.Random(f"{asked.day_seed}:crashes"))
    return min((crash.not_before for crash in armed if crash.kind is kind), default=None)


def run_until(asked: DayPlan, kind: CrashKind, memory: Path, at_death: AtDeath) -> bool:
    """Drive the day to its first crash of ``kind``, with its files in ``memory``; False without one."""
    present: list[CrashKind] = []
    dies_here = day_module._Day._dies_here

    def noting(self: day_module._Day, what: CrashKind) -> bool:
        present[:] = [what]
        return dies_here(self, what)

    def copying(source: Path, target: Path) -> None:
        if present == [kind]:
            at_death(source)
            raise Over
        copy_database(source, target)

    with MonkeyPatch.context() as patch:
        patch.setattr(day_module, "MEMORY", memory)
        patch.setattr(day_module._Day, "_dies_here", noting)
        patch.setattr(day_module, "copy_database", copying)
        try:
            run_campaign_day(asked)
        except Over:
            return True
    return False


def _kill(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    run_until(plan(int(sys.argv[1]), int(sys.argv[2])), CrashKind(sys.argv[3]), Path(sys.argv[4]), _kill)
