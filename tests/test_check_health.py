"""``script/check_health.sh`` as cron starts it, against real small servers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.owner.test_health_check import answering
from tests.process.pair import clean_environment, free_port
from tests.source_rules import ROOT


def run(port: int | str, checkout: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "script/check_health.sh"],
        cwd="/",
        env={**clean_environment(), "WSB_SNAKE_HTTP_PORT": str(port), "TZ": "Pacific/Auckland"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


BODY = (
    b'{"status": "%s", "mode": "paper", "open_positions": 0, "last_eod_run_et": null, "pause_reasons": [],'
    b' "session": {"day": "2026-11-23", "close_et": "2026-11-23T16:00:00"}, "now_et": "2026-11-23T%s",'
    b' "uptime_s": 23400}'
)


@pytest.mark.parametrize(
    ("code", "word", "wall", "exit_code"),
    [
        (200, b"healthy", b"12:00:00", 0),
        (200, b"degraded", b"12:00:00", 1),
        (503, b"unhealthy", b"12:00:00", 2),
        (200, b"healthy", b"16:00:00", 2),
        (200, b"well", b"12:00:00", 3),
    ],
)
def test_each_state_is_an_exit_code_and_one_line(code: int, word: bytes, wall: bytes, exit_code: int) -> None:
    with answering(code, BODY % (word, wall)) as port:
        ran = run(port)
    assert (ran.returncode, ran.stderr) == (exit_code, "")
    assert ran.stdout.count("\n") == 1 and ran.stdout.startswith("wsb-snake ")


def test_nobody_there_and_a_port_that_is_none() -> None:
    gone = run(free_port())  # whether today has a session decides between the two
    assert (gone.returncode, gone.stdout.split()[1]) in {(2, "UNREACHABLE:"), (0, "quiet,")}
    assert run("many").returncode == 3


def test_without_its_python_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "script").mkdir()
    shutil.copy(ROOT / "script/check_health.sh", tmp_path / "script")
    missing = run(1, tmp_path)
    assert (missing.returncode, missing.stdout.count("\n")) == (3, 1)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    broken = tmp_path / ".venv/bin/python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    failed = run(1, tmp_path)
    assert (failed.returncode, "the check itself failed" in failed.stdout) == (3, True)
