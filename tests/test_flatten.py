"""What ``flatten`` does before anything is sold: who is asked, who is ended, and when it declines."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.test_process_lock import HOLD
from tests.owner.sample import NOW, facts
from tests.owner.test_commands import RecordingDesk
from tests.source_rules import ROOT
from wsb_snake import flatten as module
from wsb_snake.config import Settings, load
from wsb_snake.core.health import Facts
from wsb_snake.flatten import Asked, FlattenFailed, flatten
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.control import ControlServer


def settings(folder: Path, **changes: Any) -> Settings:
    return load(
        None,
        alpaca_api_key="key",
        alpaca_secret_key="secret",
        alpaca_trading_url="http://127.0.0.1:1",
        wsb_snake_data_dir=folder,
        **changes,
    )


class Daemon:
    """The owner's side of one: answers with ``facts`` whose broker readings go on."""

    def __init__(self, folder: Path, shown: Callable[[int], Facts]) -> None:
        self.desk = RecordingDesk()
        self._shown = shown
        self._reads = 0
        self.server = ControlServer(folder / "control.sock", Commands(self.desk, self._read))

    def _read(self) -> Facts:
        self._reads += 1
        return self._shown(self._reads)


def reading(second: int, *symbols: str) -> Facts:
    return facts(broker_read_at=NOW + timedelta(seconds=second), broker_open=symbols)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    monkeypatch.setattr(module, "DEAD_AFTER_S", 1.0)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        ((1, 11), 0),
        ((1, 2, 3, 4), 1),  # never ten seconds apart
        ((-5, 11), 1),  # the first was asked for before
    ],
)
def test_the_proof_is_two_readings_ten_seconds_apart(
    tmp_path: Path, seconds: tuple[int, ...], code: int
) -> None:
    daemon = Daemon(tmp_path, lambda n: reading(seconds[min(n, len(seconds)) - 1]))
    daemon.server.start()
    said: list[str] = []
    assert flatten(settings(tmp_path), Asked("0dte", False, 1.0), said.append) == code
    daemon.server.stop()
    assert said[0] == "flatten done"
    assert said[-1].startswith("flat: the broker has shown it twice" if code == 0 else "NOT PROVEN FLAT")


@pytest.mark.parametrize(
    ("scope", "symbol", "code"),
    [
        ("0dte", "SPY261218C00600000", 0),
        ("all", "SPY261218C00600000", 1),
        ("0dte", "SPY261123C00600000", 1),
    ],
)
def test_what_is_out_of_scope_does_not_count(tmp_path: Path, scope: str, symbol: str, code: int) -> None:
    daemon = Daemon(tmp_path, lambda n: reading(10 * n, symbol))
    daemon.server.start()
    said: list[str] = []
    assert flatten(settings(tmp_path), Asked(scope, False, 1.0), said.append) == code
    daemon.server.stop()
    assert code == 0 or symbol in said[-1]


def test_without_a_daemon_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        FlattenFailed, match=r"is it running\?; to close without the daemon: flatten all --direct"
    ):
        flatten(settings(tmp_path), Asked("all", False, 1.0), print)


def test_a_lock_whose_number_is_another_process_ends_nobody(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    with (
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        ) as holder,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander,
    ):
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        path.write_text(f"{bystander.pid}\n")
        with pytest.raises(FlattenFailed, match=r"does not hold .*; nothing was sent"):
            flatten(settings(tmp_path), Asked("0dte", True, 10.0), print)
        assert holder.poll() is None and bystander.poll() is None
        holder.kill()
        bystander.kill()


def test_a_broker_that_does_not_answer_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ACCOUNT_TRIES", 2)
    said: list[str] = []
    with pytest.raises(FlattenFailed, match="the broker does not answer; nothing was sent") as failed:
        flatten(settings(tmp_path), Asked("0dte", True, 10.0), said.append)
    assert failed.value.code != 0
    assert (tmp_path / "halt").exists()
    assert sum("trying again" in line for line in said) == 2
