"""A copy of the files is what a real death leaves: the same day in a process that SIGKILL ends."""

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.backtest.campaign.dying import armed_at, plan, run_until
from tests.source_rules import ROOT
from wsb_snake.backtest.campaign.day import DayPlan
from wsb_snake.backtest.campaign.disk import copy_database
from wsb_snake.sim.fault_plan import CrashKind

SEED = 20
DAYS = 60
SCRIPT = Path(__file__).parent / "dying.py"
POINTS = 13
"""Of each kind, in the long run."""


def days_with(kind: CrashKind) -> list[DayPlan]:
    """Days on which a crash of ``kind`` waits, those where it waits from early on first."""
    armed: list[tuple[datetime, int]] = []
    for number in range(DAYS):
        at = armed_at(plan(SEED, number), kind)
        if at is not None:
            armed.append((at, number))
    return [plan(SEED, number) for _, number in sorted(armed)]


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    conn = sqlite3.connect(path)
    try:
        names = [row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: conn.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in names}
    finally:
        conn.close()


def killed(asked: DayPlan, kind: CrashKind, memory: Path) -> Path:
    """The database that a process leaves which dies at the same point; the newest of its folders."""
    words = [str(asked.seed), str(asked.number), kind.value, str(memory)]
    child = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "5"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()[-2000:]
    return max(memory.glob("*/*/wsb_snake.db"), key=lambda path: int(path.parent.name))


def same_rows(folder: Path, kind: CrashKind, candidates: list[DayPlan]) -> None:
    """On the first of ``candidates`` with such a crash: the copy and the dead process's files agree."""
    here, there, kept = (folder / name for name in ("here", "there", "kept"))
    here.mkdir()
    there.mkdir()
    for asked in candidates:
        if run_until(asked, kind, here, partial(copy_database, target=kept)):
            break
    else:
        pytest.fail(f"no {kind} on any of the days {[asked.number for asked in candidates]}")
    copied, left = rows(kept / "wsb_snake.db"), rows(killed(asked, kind, there))
    assert copied["meta"], "the database was in use"
    assert copied == left, f"day {asked.number} of seed {asked.seed}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "nth"), [*((kind, 0) for kind in CrashKind), (CrashKind.INSIDE_COMMIT, 1)])
def test_a_copy_is_what_sigkill_leaves(kind: CrashKind, nth: int, tmp_path: Path) -> None:
    same_rows(tmp_path, kind, days_with(kind)[nth : nth + 3])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", list(CrashKind))
@pytest.mark.parametrize("nth", range(POINTS))
def test_copies_are_what_sigkill_leaves_all_day_long(kind: CrashKind, nth: int, tmp_path: Path) -> None:
    found = days_with(kind)
    step = len(found) // POINTS
    assert step >= 1
    same_rows(tmp_path, kind, found[nth * step :])
