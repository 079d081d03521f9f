"""README, INVARIANTS.md and ARCHITECTURE_OVERVIEW.md tell the truth."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.document_tables import DOCUMENTS, code_spans
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
    for place in re.findall(r"`([a-z_./-]+)`", code):
        assert any((ROOT / start / place).exists() for start in ("wsb_snake", "")), place


def test_the_architecture_names_every_part_of_the_house() -> None:
    text = (ROOT / "ARCHITECTURE_OVERVIEW.md").read_text()
    parts = {module.name.split(".")[1] for module in package() if "." in module.name}
    assert [part for part in sorted(parts) if part not in text] == []


@cache
def shown(*arguments: str) -> str:
    """What the command line says."""
    done = subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def commands() -> list[str]:
    return re.findall(r"^    ([a-z][a-z-]+)\b", shown("--help"), re.MULTILINE)


def invocations() -> list[tuple[str, str]]:
    """Every command that a document tells to type, with the document's name."""
    begin = re.compile(r"(?:sudo )?(?:(?:\.venv/bin/)?python main\.py|wsb-snake) (?=[a-z])(.+)")
    spans = [(path.name, begin.match(span)) for path in DOCUMENTS for span in code_spans(path)]
    return [(name, found[1].split("#")[0].split("&&")[0].strip()) for name, found in spans if found]


def test_every_command_is_in_the_readme_and_explains_itself() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(commands()) >= 15
    for word in commands():
        assert re.search(rf"`{word}\b[^`]*`", readme), word
        assert shown(word, "--help").startswith(f"usage: wsb-snake {word}")


def test_every_command_that_a_document_tells_to_type_exists() -> None:
    told = invocations()
    assert len(told) >= 20
    for name, typed in told:
        word, *rest = typed.split()
        assert word in commands(), (name, typed)
        usage = shown(word, "--help")
        for option in (each for each in rest if each.startswith("--")):
            assert re.search(rf"{option}\b", usage), (name, typed)


def test_the_units_point_to_a_document_that_is_there() -> None:
    for unit in (ROOT / "script/systemd").glob("*.service"):
        for place in re.findall(
            r"^Documentation=file:///opt/wsb-snake/current/(.+)$", unit.read_text(), re.M
        ):
            assert (ROOT / place).is_file(), unit.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_no_file_that_is_missing(path: Path) -> None:
    text = path.read_text()
    for place in re.findall(r"\b((?:script|tests|wsb_snake)/[\w./-]*\w)", text):
        assert (ROOT / place).exists(), place
