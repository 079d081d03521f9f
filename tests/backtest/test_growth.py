"""A process that lives on: memory levels off, the disk takes little a day."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DAYS, SETTLED = 7, 3
SLACK_MB, DISK_MB_A_DAY = 12.0, 5.0


@pytest.mark.slow
@pytest.mark.timeout(1860)
def test_days_add_no_memory_and_little_on_disk() -> None:
    asked = [sys.executable, "-m", "tests.backtest.bench_growth", "--days", str(DAYS)]
    root = Path(__file__).parents[2]
    told = subprocess.run(asked, cwd=root, capture_output=True, text=True, timeout=1800, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    evenings = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(evenings) == DAYS
    assert evenings[-1]["opened"] > evenings[SETTLED]["opened"] > 0
    assert evenings[-1]["resident_mb"] <= evenings[SETTLED]["resident_mb"] + SLACK_MB
    grown = evenings[-1]["disk_mb"] - evenings[0]["disk_mb"]
    assert 0 < grown <= DISK_MB_A_DAY * (DAYS - 1)
