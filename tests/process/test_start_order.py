"""A process that starts: what leads to an exit works first, and the libraries of the rest come after it."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.pair import PATIENCE_S, Pair, bought, ended, pair, until

pytestmark = pytest.mark.timeout(300)

MORNING = "2026-11-24T11:00:00-05:00"
TO_AN_EXIT = frozenset({"monitor", "stream", "quotes", "eod", "owner", "halt-file"})
AFTER_THE_LIBRARIES = frozenset({"journal", "telegram", "scan", "pipeline", "day"})
BROKEN = """
import os, time
while not os.path.exists({sign!r}):
    time.sleep(0.05)
raise ImportError("this installation is broken")
"""
WORDS = {
    "polygon": "no fail-over for market data: Polygon's library cannot be loaded",
    "telegram": "nothing is sent or heard by Telegram: the Telegram client does not start",
}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


def at_work(both: Pair) -> set[str]:
    """Lanes that have given a sign of life."""
    return set(both.health().get("heartbeats", ()))


def status(both: Pair) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(both.command("status", "--json").stdout)
    return shown


@pytest.mark.parametrize("library", list(WORDS))
def test_no_exit_waits_for_a_library_that_it_does_not_need_or_ends_with_it(
    both: Pair, tmp_path: Path, library: str
) -> None:
    """It takes its time to load, and then it fails."""
    sign, before_all_others = tmp_path / "fail", tmp_path / "path"
    before_all_others.mkdir()
    (before_all_others / f"{library}.py").write_text(BROKEN.format(sign=str(sign)))
    hold = bought("SPY", MORNING, 2)
    contract = hold.partition("=")[0]
    both.exchange(MORNING, hold)
    process = both.run(PYTHONPATH=str(before_all_others))
    both.monitored(1)
    until(lambda: at_work(both) >= TO_AN_EXIT, "what leads to an exit is at work")
    assert AFTER_THE_LIBRARIES.isdisjoint(at_work(both))

    sign.touch()
    until(lambda: at_work(both) >= AFTER_THE_LIBRARIES, "the rest works without it")
    (warning,) = (each for each in status(both)["warnings"] if "restart" in each)
    assert warning.startswith(f"{WORDS[library]} (ImportError: this installation is broken)")
    both.monitored(1)
    asked = both.command("close", contract)
    assert asked.returncode == 0, asked
    until(lambda: both.sold() == {contract: 2}, "it is closed", every_s=1.0)
    if library == "telegram":
        until(lambda: "Telegram is down" in status(both)["reasons"], "it says that nobody is told")
        assert both.health()["status"] == "degraded"
    else:
        until(lambda: any(WORDS[library] in text for text in both.messages()), "the owner is told")
    assert process.poll() is None and "Traceback" not in both.log()
    assert ended(process, signal.SIGTERM, PATIENCE_S) == 0
    assert both.rows("SELECT COUNT(*) FROM events WHERE kind = 'stopped'") == [(1,)]
    assert not both.rows("SELECT 1 FROM alerts WHERE state NOT IN ('pending', 'sending', 'sent')")
