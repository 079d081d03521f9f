"""README, INVARIANTS.md and ARCHITECTURE_OVERVIEW.md tell the truth."""

import re
import subprocess
import sys

import pytest

from tests.source_rules import ROOT, package

ROW = re.compile(r"^\| (I-\d{2,3}) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


def invariants() -> list[tuple[str, str, str, str]]:
    return ROW.findall((ROOT / "INVARIANTS.md").read_text())


def test_every_invariant_has_a_number_of_its_own() -> None:
    text = (ROOT / "INVARIANTS.md").read_text()
    numbers = [row[0] for row in invariants()]
    assert len(numbers) == text.count("\n| I-")
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("row", invariants(), ids=lambda row: row[0])
def test_every_invariant_names_tests_and_code_that_exist(row: tuple[str, str, str, str]) -> None:
    _, _, code, tests = row
    for test in tests.split(", "):
        assert (ROOT / test).is_file(), test
    for place in re.findall(r"`([a-z_/]+(?:\.py)?)`", code):
        assert (ROOT / "wsb_snake" / place).exists(), place


def test_the_architecture_names_every_part_of_the_house() -> None:
    text = (ROOT / "ARCHITECTURE_OVERVIEW.md").read_text()
    parts = {module.name.split(".")[1] for module in package() if "." in module.name}
    assert [part for part in sorted(parts) if part not in text] == []


WORDS = (
    "run demo exchange campaign noise-area status report why halt resume cancel"
    " flatten close eod dne backup restore doctor"
)


@pytest.mark.parametrize("word", WORDS.split())
def test_every_command_is_in_the_readme_and_explains_itself(word: str) -> None:
    assert re.search(rf"`{word}\b[^`]*`", (ROOT / "README.md").read_text())
    shown = subprocess.run(
        [sys.executable, "main.py", word, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout.startswith(f"usage: wsb-snake {word}")


def test_the_readme_names_no_script_that_is_missing() -> None:
    for script in re.findall(r"script/[a-z_]+(?:\.sh)?", (ROOT / "README.md").read_text()):
        assert (ROOT / script).exists(), script
