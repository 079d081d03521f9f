"""The scripts of a fresh machine, with stand-ins for Python and pip: what runs when, and what is said."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash", "cat", "dirname", "mkdir", "chmod", "rm", "cp")

PYTHON = """#!{bash}
# Stands for an interpreter: makes venvs of itself, notes what pip is asked for.
case "$*" in
    *"import venv"*) exit {no_venv} ;;
    *"import pip"*) exit 0 ;;
    *"sys.version_info"*) exit {too_old} ;;
    "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;
    "-m pip"*) echo "$*" >>pip.log; test ! -e pip.fails; exit ;;
    -) exec {real} - ;;
esac
echo "TZ=$TZ $*"
"""


@dataclass(frozen=True)
class Machine:
    """A checkout in a directory whose name has a space, and the only PATH there is."""

    checkout: Path
    bin: Path

    def install(self, name: str, too_old: bool = False, no_venv: bool = False) -> None:
        text = PYTHON.format(
            bash=shutil.which("bash"), real=sys.executable, too_old=int(too_old), no_venv=int(no_venv)
        )
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / script, *arguments],
            cwd="/",
            env={"PATH": str(self.bin), "TZ": "Pacific/Auckland"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def pip_calls(self) -> list[str]:
        log = self.checkout / "pip.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    checkout, bin_dir = tmp_path / "a checkout", tmp_path / "bin"
    (checkout / "script").mkdir(parents=True)
    bin_dir.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, checkout)
    for name in ("setup_venv.sh", "test", "demo"):
        shutil.copy(ROOT / "script" / name, checkout / "script")
    for name in TOOLS:
        tool = shutil.which(name)
        assert tool is not None
        (bin_dir / name).symlink_to(tool)
    return Machine(checkout, bin_dir)


def test_the_demo_installs_once_and_hands_its_arguments_on(machine: Machine) -> None:
    machine.install("python3")
    first = machine.run("script/demo", "--seed", "7 8")
    assert (first.returncode, first.stdout) == (0, "TZ=UTC main.py demo --seed 7 8\n")
    assert [call.split()[-1] for call in machine.pip_calls()] == ["requirements.txt"]
    assert machine.run("script/demo").stdout == "TZ=UTC main.py demo\n"
    assert len(machine.pip_calls()) == 1


def test_the_tests_install_on_top_and_cover_the_demo(machine: Machine) -> None:
    machine.install("python3")
    ran = machine.run("script/test", "-k", "orders")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "TZ=UTC -m ruff check .",
        "TZ=UTC -m ruff format --check .",
        "TZ=UTC -m mypy --strict wsb_snake main.py tests",
        "TZ=UTC -m pytest -n 2 --dist worksteal -k orders",
    ]
    machine.run("script/demo")
    assert [call.split()[-1] for call in machine.pip_calls()] == ["requirements-dev.txt"]


def test_the_slow_tests_run_when_asked_for(machine: Machine) -> None:
    machine.install("python3")
    ran = machine.run("script/test", "--slow", "-k", "campaign")
    assert ran.stdout.splitlines()[-1] == "TZ=UTC -m pytest -n 2 --dist worksteal -m slow -k campaign"


def test_changed_requirements_are_installed_again(machine: Machine) -> None:
    machine.install("python3")
    machine.run("script/demo")
    with (machine.checkout / "requirements.txt").open("a") as file:
        file.write("one-more==1.0\n")
    machine.run("script/demo")
    assert len(machine.pip_calls()) == 2


def test_a_failed_installation_is_tried_again(machine: Machine) -> None:
    machine.install("python3")
    fails = machine.checkout / "pip.fails"
    fails.touch()
    failed = machine.run("script/demo")
    assert failed.returncode != 0 and failed.stdout == ""
    fails.unlink()
    assert machine.run("script/demo").returncode == 0
    assert len(machine.pip_calls()) == 2


def test_an_old_python_is_passed_over_for_a_newer_one(machine: Machine) -> None:
    machine.install("python3", too_old=True)
    machine.install("python3.12")
    assert machine.run("script/demo").returncode == 0


@pytest.mark.parametrize("script", ["script/demo", "script/test"])
def test_without_a_new_enough_python_one_line_says_so(machine: Machine, script: str) -> None:
    machine.install("python3", too_old=True)
    ran = machine.run(script)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1 and "needs Python 3.11 or newer" in ran.stderr


def test_without_the_venv_module_one_line_says_so(machine: Machine) -> None:
    machine.install("python3", no_venv=True)
    ran = machine.run("script/demo")
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1 and "apt install python3-venv" in ran.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "script").glob("*")), ids=lambda file: file.name)
def test_every_shell_script_is_strict_and_can_be_started(file: Path) -> None:
    if not file.is_file() or not file.read_text().startswith("#!"):
        pytest.skip("no script")
    assert os.access(file, os.X_OK)
    if "bash" in file.read_text().splitlines()[0]:
        assert "set -euo pipefail" in file.read_text()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_and_no_index_is_named(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        assert line == "-r requirements.txt" or line.count("==") == 1, line
        assert "://" not in line
