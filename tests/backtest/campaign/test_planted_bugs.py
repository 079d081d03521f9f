"""The campaign can fail: known bugs in the production code are found, each within 300 days.

How many days each took is printed (``pytest -rP`` shows it).
"""

import sys
from collections.abc import Iterable

import pytest

from tests.backtest.campaign.hunt import broken_without, hunt
from tests.backtest.campaign.planted import BUGS, Bug
from tests.source_rules import ROOT

SEED = 1
WITHIN = 300

QUICK = (
    "entries_go_while_paused",
    "entries_go_on_any_quote",
    "no_reservation_is_released",
    "outcomes_come_from_the_quote",
)
SOON = 3
"""Bugs that turn up within so many days."""


def find(bug: Bug, numbers: Iterable[int]) -> None:
    """Fail unless ``bug`` is found on one of the days, which are good without it."""
    catch = hunt(bug.plant, bug.promises, SEED, numbers)
    assert catch is not None, f"{bug.name} was not found by any of {sorted(bug.promises)}"
    sys.stdout.write(f"{bug.name}: day {catch.days} ({catch.at:%H:%M:%S} UTC, {catch.how})\n")
    broken = broken_without(bug.promises, SEED, catch)
    assert broken is None, f"day {catch.number} breaks {broken} without {bug.name} too"


@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_found_soon(name: str) -> None:
    bug = next(bug for bug in BUGS if bug.name == name)
    find(bug, range(SOON))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_every_planted_bug_is_found(bug: Bug) -> None:
    find(bug, range(WITHIN))


def test_enough_different_bugs_are_planted() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 20
    assert len({promise for bug in BUGS for promise in bug.promises}) >= 12


def test_the_invariants_name_this_file_only_for_what_a_planted_bug_breaks() -> None:
    rows = (ROOT / "INVARIANTS.md").read_text().splitlines()
    named = {row.split(" | ")[0].removeprefix("| ") for row in rows if "campaign/test_planted_bugs.py" in row}
    assert len(named) >= 12
    assert named <= {str(promise) for bug in BUGS for promise in bug.promises}
