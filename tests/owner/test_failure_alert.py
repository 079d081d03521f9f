"""The alert of a failed unit: what it says, and that it goes out when little else works."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.pair import clean_environment, free_port
from tests.sim.serving import served
from tests.source_rules import ROOT
from wsb_snake.owner.failure_alert import BACKUP, DAEMON, HEALTH, failure_text, told_at_its_stop

ENDED = {"MONITOR_SERVICE_RESULT": "exit-code", "MONITOR_EXIT_STATUS": "1"}


@pytest.mark.parametrize(
    ("unit", "result", "told", "words"),
    [
        (
            DAEMON,
            "watchdog",
            {},
            ("failed (watchdog) on vps", "starts it again", "watched by nobody", "unwell"),
        ),
        (DAEMON, "signal", {}, ("failed (signal)", "flatten --direct")),
        (DAEMON, "", {}, ("wsb-snake.service failed on vps. It does not run",)),
        (DAEMON, "", ENDED | {"MONITOR_EXIT_STATUS": "2"}, ("It does not run: bad configuration",)),
        (DAEMON, "", ENDED | {"MONITOR_EXIT_STATUS": "4"}, ("It does not run: the broker refuses it",)),
        (DAEMON, "", ENDED | {"MONITOR_EXIT_STATUS": "243"}, ("failed (exit-code 243)", "flatten --direct")),
        (BACKUP, "", ENDED, ("Trading is not affected", "journalctl -u wsb-snake-backup -n 50")),
        (HEALTH, "", ENDED | {"MONITOR_EXIT_STATUS": "2"}, ("Now: unwell",)),
    ],
)
def test_it_says_what_happened_what_it_means_and_where_to_look(
    unit: str, result: str, told: dict[str, str], words: tuple[str, ...]
) -> None:
    text = failure_text(unit, result, told, "vps", "unwell")
    for each in (*words, "Look: journalctl -u "):
        assert each in text


@pytest.mark.parametrize(
    ("unit", "result", "status", "told"),
    [
        (DAEMON, "watchdog", "9", True),
        (DAEMON, "exit-code", "1", True),
        (DAEMON, "exit-code", "2", False),
        (DAEMON, "exit-code", "3", True),
        (DAEMON, "exit-code", "4", False),
        (DAEMON, "exit-code", "243", False),
        (DAEMON, "resources", "", False),
        (DAEMON, "", "", False),
        (HEALTH, "exit-code", "1", False),
    ],
)
def test_what_was_told_when_the_daemon_stopped_is_not_told_twice(
    unit: str, result: str, status: str, told: bool
) -> None:
    assert told_at_its_stop(unit, {"MONITOR_SERVICE_RESULT": result, "MONITOR_EXIT_STATUS": status}) is told


def test_it_goes_out_with_a_bad_configuration_and_no_database(tmp_path: Path) -> None:
    """The settings come as a credential and would stop every other command."""
    with served() as world:
        settings = world.server.environment()
        (tmp_path / "wsb-snake.env").write_text(
            "".join(f"{name}={settings[name]}\n" for name in settings if name.startswith("TELEGRAM_"))
            + f"WSB_SNAKE_MAX_POSITIONS=many\nWSB_SNAKE_HTTP_PORT={free_port()}\n"
        )
        environment = clean_environment() | {
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "WSB_SNAKE_DATA_DIR": "/nowhere",
            **ENDED,
            "MONITOR_EXIT_STATUS": "2",
        }
        done = {
            words: subprocess.run(
                [sys.executable, "main.py", *words.split()],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for words in ("backup", "alert-failure wsb-snake.service")
        }
        assert done["backup"].returncode == 2 and "WSB_SNAKE_MAX_POSITIONS" in done["backup"].stderr
        alert = done["alert-failure wsb-snake.service"]
        assert (alert.returncode, alert.stdout, alert.stderr) == (0, "", "")
        (message,) = world.telegram.messages
        assert "It does not run: bad configuration" in message.text


def test_an_alert_that_reaches_nobody_says_so(tmp_path: Path) -> None:
    (tmp_path / "wsb-snake.env").write_text(
        f"TELEGRAM_BOT_TOKEN=9:marked\nTELEGRAM_CHAT_ID=1\nTELEGRAM_BASE_URL=http://127.0.0.1:{free_port()}\n"
        f"WSB_SNAKE_HTTP_PORT={free_port()}\n"
    )
    done = subprocess.run(
        [sys.executable, "main.py", "alert-failure", "wsb-snake.service"],
        cwd=ROOT,
        env=clean_environment() | {"CREDENTIALS_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "not told: Telegram cannot be reached" in done.stderr and "marked" not in done.stderr


@pytest.mark.parametrize(
    ("module", "settings", "says"),
    [
        ("raise ImportError('broken')", {}, "(ImportError: broken)"),
        ("", {}, "(ImportError: cannot import name 'Bot'"),
        (None, {"SSL_CERT_FILE": "/nowhere.pem"}, "(FileNotFoundError: "),
    ],
)
def test_a_client_that_cannot_be_made_is_one_line_too(
    tmp_path: Path, module: str | None, settings: dict[str, str], says: str
) -> None:
    (tmp_path / "wsb-snake.env").write_text(
        "TELEGRAM_BOT_TOKEN=9:marked\nTELEGRAM_CHAT_ID=1\nTELEGRAM_BASE_URL=https://192.0.2.1\n"
        f"WSB_SNAKE_HTTP_PORT={free_port()}\n"
    )
    if module is not None:
        (tmp_path / "telegram.py").write_text(module)
        settings = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "main.py", "alert-failure", "wsb-snake.service"],
        cwd=ROOT,
        env=clean_environment() | {"CREDENTIALS_DIRECTORY": str(tmp_path)} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "not told: the Telegram client does not start" in done.stderr and says in done.stderr
    assert "marked" not in done.stderr
