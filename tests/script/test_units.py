"""The systemd units: valid, hardened, and saying what the code does."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.script.staging import Staging, stage
from tests.source_rules import ROOT
from wsb_snake import cli, daemon_start
from wsb_snake.core.health import MONITOR_LIMIT_S

UNITS = ROOT / "script/systemd"
SERVICES = sorted(file.name for file in UNITS.glob("*.service"))
THRESHOLD = 25
"""Of ``systemd-analyze security``: an exposure of 2.5 or less."""

ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")


@pytest.fixture
def machine(tmp_path: Path) -> Staging:
    """Installed, with the targets of this machine's systemd."""
    made = stage(tmp_path)
    (made.root / "usr/lib/systemd").mkdir(parents=True)
    shutil.copytree(
        "/usr/lib/systemd/system",
        made.root / "usr/lib/systemd/system",
        ignore=lambda _, names: [name for name in names if not name.endswith(".target")],
    )
    shell = made.root / "bin/sh"
    shell.parent.mkdir()
    shell.write_text("#!/bin/bash\n")
    shell.chmod(0o755)
    done = made.install()
    assert done.returncode == 0, done.stderr
    return made


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin"},
    )


@needs_analyze
def test_the_units_as_installed_are_clean(machine: Staging) -> None:
    places = sorted((machine.root / "etc/systemd/system").glob("wsb-snake*"))
    assert len(places) == 6
    found = analyze("verify", f"--root={machine.root}", *places)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@needs_analyze
def test_a_wrong_unit_would_be_noticed(machine: Staging) -> None:
    unit = machine.root / "etc/systemd/system/wsb-snake.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=sometimes"))
    assert "restart specifier" in analyze("verify", f"--root={machine.root}", unit).stderr


@needs_analyze
@pytest.mark.parametrize("name", SERVICES)
def test_the_services_are_hardened(name: str) -> None:
    found = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", "--no-pager", UNITS / name)
    assert found.returncode == 0, found.stdout[-200:]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root_and_secrets_come_as_a_credential(name: str) -> None:
    text = (UNITS / name).read_text()
    for line in (
        "User=wsb-snake",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "LoadCredential=wsb-snake.env:/etc/wsb-snake/wsb-snake.env",
        "LimitCORE=0",
    ):
        assert re.search(f"^{re.escape(line)}$", text, re.MULTILINE), line
    assert "EnvironmentFile" not in text


@pytest.mark.parametrize("name", [name for name in SERVICES if "alert" not in name])
def test_every_failure_is_told(name: str) -> None:
    assert "\nOnFailure=wsb-snake-alert@%n.service\n" in (UNITS / name).read_text()


def test_an_alert_that_does_not_get_through_is_tried_again_and_not_without_end() -> None:
    text = (UNITS / "wsb-snake-alert@.service").read_text()
    facts = dict(re.findall(r"^(Restart|RestartSec|StartLimit\w+|After)=(.+)$", text, re.MULTILINE))
    assert (facts["Restart"], facts["After"]) == ("on-failure", "network-online.target")
    tries, rest = int(facts["StartLimitBurst"]), int(facts["RestartSec"])
    longest_try = 90
    assert tries >= 3 and tries * (rest + longest_try) < int(facts["StartLimitIntervalSec"])


def test_every_command_of_the_units_exists() -> None:
    for file in UNITS.glob("*.service"):
        (command,) = re.findall(r"^ExecStart=(.+)$", file.read_text(), re.MULTILINE)
        program, *words = command.split()
        home = "/opt/wsb-snake/current/"
        if program.endswith("python"):
            assert words[0] == f"{home}main.py"
            assert cli._parser().parse_args(words[1:]).command
        else:
            assert (ROOT / program.removeprefix(home)).is_file()


def test_what_would_end_the_same_again_is_not_started_again() -> None:
    """A lock that is taken will be free: flatten --direct has it while it sells, however long that takes."""
    text = (UNITS / "wsb-snake.service").read_text()
    codes = (daemon_start.BAD_CONFIGURATION, daemon_start.REFUSED)
    assert f"\nRestartPreventExitStatus={' '.join(map(str, codes))}\n" in text
    assert text.index("[Unit]") < text.index("\nStartLimitIntervalSec=0\n") < text.index("[Service]")


@pytest.mark.parametrize(
    ("ended", "tells"),
    [
        ("success 0", False),
        (f"exit-code {daemon_start.BAD_CONFIGURATION}", False),
        (f"exit-code {daemon_start.RUNNING}", False),
        (f"exit-code {daemon_start.REFUSED}", False),
        ("exit-code 1", True),
        ("signal KILL", True),
        ("watchdog KILL", True),
    ],
)
def test_a_stop_that_is_no_end_is_told_and_a_taken_lock_is_not(
    tmp_path: Path, ended: str, tells: bool
) -> None:
    """The line is run by a shell, as systemd hands it over."""
    (line,) = re.findall(r"^ExecStopPost=\+(.+)$", (UNITS / "wsb-snake.service").read_text(), re.MULTILINE)
    notes = tmp_path / "notes"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{notes}\n')
    (tmp_path / "systemctl").chmod(0o755)
    result, status = ended.split()
    subprocess.run(
        shlex.split(line.replace("$$", "$").replace("%n", "wsb-snake.service")),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SERVICE_RESULT": result, "EXIT_STATUS": status},
        timeout=60,
        check=True,
    )
    told = notes.read_text() if notes.exists() else ""
    unit = f"wsb-snake-alert@wsb-snake.service:{result}.service"
    assert told == (f"--no-block start {unit}\n" if tells else "")


def test_the_daemon_may_write_where_the_lock_on_the_account_lies() -> None:
    text = (UNITS / "wsb-snake.service").read_text()
    assert f"ReadWritePaths={daemon_start.LOCK_PLACES[0]}\n" in text


def test_the_watchdog_has_no_less_patience_than_the_daemon() -> None:
    text = (UNITS / "wsb-snake.service").read_text()
    (seconds,) = re.findall(r"^WatchdogSec=(\d+)$", text, re.MULTILINE)
    assert 5 <= int(seconds) <= MONITOR_LIMIT_S


def test_the_backup_comes_at_night_in_new_york_also_when_the_machine_was_off() -> None:
    text = (UNITS / "wsb-snake-backup.timer").read_text()
    assert "\nOnCalendar=*-*-* 18:30:00 America/New_York\n" in text and "\nPersistent=yes\n" in text


@needs_analyze
@pytest.mark.parametrize("timer", sorted(UNITS.glob("*.timer")), ids=lambda file: file.stem)
def test_the_timers_mean_something(timer: Path) -> None:
    (when,) = re.findall(r"^OnCalendar=(.+)$", timer.read_text(), re.MULTILINE)
    assert analyze("calendar", when).returncode == 0
