"""Backup and restore beside daemons in processes of their own: one machine is lost, another goes on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.pair import Pair, clean_environment, ended, pair, until
from tests.source_rules import ROOT

START = "2026-11-24T10:00:00-05:00"
LATER = "SPY261218C00820000"


def command(both: Pair, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command with the daemon's own settings."""
    places = {"WSB_SNAKE_DATA_DIR": str(data), "BACKUP_DIR": str(both.folder / "backups")}
    return subprocess.run(
        [sys.executable, "main.py", *words],
        cwd=ROOT,
        env={**clean_environment(), **both.environment, **places},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.timeout(240)
def test_a_daemon_goes_on_from_a_backup_on_a_fresh_machine(tmp_path: Path) -> None:
    old, fresh = tmp_path / "data", tmp_path / "fresh"
    with pair(tmp_path) as both:
        both.exchange(START, f"{LATER}=2@4.00")
        daemon = both.run(WSB_SNAKE_ENGINES="")
        both.monitored(1)

        saved = command(both, old, "backup")
        assert (saved.returncode, saved.stderr) == (0, "")
        (made,) = (tmp_path / "backups").glob("*.db")
        refused = command(both, old, "restore", str(made))
        assert refused.returncode == 3
        assert f"in use by process {daemon.pid}: stop the daemon first" in refused.stderr

        ended(daemon, signal.SIGKILL)
        restored = command(both, fresh, "restore", str(made))
        assert (restored.returncode, restored.stderr) == (0, "")
        both.run(WSB_SNAKE_ENGINES="", WSB_SNAKE_DATA_DIR=str(fresh))
        assert "manual" in both.monitored(1)["pause_reasons"]
        assert command(both, fresh, "resume").returncode == 0
        until(lambda: "manual" not in both.health().get("pause_reasons", ["manual"]), "entries may go")
