"""A process that starts: what leads to an exit works first, and the libraries of the rest come after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.pair import PATIENCE_S, Pair, bought, pair

pytestmark = pytest.mark.timeout(240)

MORNING = "2026-11-24T11:00:00-05:00"
BROKEN = """
import os, time
while not os.path.exists({sign!r}):
    time.sleep(0.05)
raise ImportError("this installation is broken")
"""


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


@pytest.mark.parametrize("library", ["polygon", "telegram"])
def test_no_exit_waits_for_a_library_that_it_does_not_need_and_a_broken_one_ends_the_start(
    both: Pair, tmp_path: Path, library: str
) -> None:
    """It takes its time to load, and then it fails."""
    sign, before_all_others = tmp_path / "fail", tmp_path / "path"
    before_all_others.mkdir()
    (before_all_others / f"{library}.py").write_text(BROKEN.format(sign=str(sign)))
    both.exchange(MORNING, bought("SPY", MORNING, 2))
    process = both.run(PYTHONPATH=str(before_all_others))
    assert both.monitored(1)["heartbeats"]["monitor"] < PATIENCE_S
    assert process.poll() is None
    sign.touch()
    assert process.wait(PATIENCE_S) == 1
    assert "ImportError: this installation is broken" in both.log()
