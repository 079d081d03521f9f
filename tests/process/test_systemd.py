"""What systemd hears from a real ``run``: READY, WATCHDOG, and silence when the monitor is stuck."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.pair import Pair, ended, free_port, pair, until

pytestmark = pytest.mark.timeout(240)

MORNING = "2026-11-24T11:00:00-05:00"


class Systemd:
    """A notify socket as systemd's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.heard: list[str] = []

    def listen(self, timeout: float) -> str | None:
        """The next word, or None when none comes within ``timeout`` seconds."""
        self._socket.settimeout(timeout)
        try:
            word = self._socket.recv(100).decode()
        except TimeoutError:
            return None
        self.heard.append(word)
        return word

    def drain(self) -> None:
        while self.listen(0.01) is not None:
            pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    there = Systemd(tmp_path / "notify")
    yield there
    there.close()


def nobody(port: int) -> dict[str, str]:
    """Settings of a daemon whose broker, data and chat are a port on which nobody listens."""
    url = f"http://127.0.0.1:{port}"
    names = ("ALPACA_TRADING_URL", "ALPACA_DATA_URL", "POLYGON_BASE_URL", "TELEGRAM_BASE_URL")
    return {
        **dict.fromkeys(names, url),
        "ALPACA_STREAM_URL": f"ws://127.0.0.1:{port}/stream",
        "ALPACA_API_KEY": "embedded-key",
        "ALPACA_SECRET_KEY": "embedded-secret",
        "WSB_SNAKE_CLOCK_START": MORNING,
    }


@pytest.mark.slow
def test_a_broker_that_is_dead_from_the_start_restarts_nothing(both: Pair, systemd: Systemd) -> None:
    process = both.run(**nobody(free_port()), NOTIFY_SOCKET=str(systemd.path))
    assert systemd.listen(60) == "READY=1"
    assert both.health()["snake_running"] is True
    shown = until(lambda: (h := both.health())["code"] == 503 and h, "the outage shows", 120)
    assert shown["trading_paused"] and "reconcile" in shown["pause_reasons"]
    systemd.drain()
    assert [systemd.listen(20) for _ in range(3)] == ["WATCHDOG=1"] * 3
    assert process.poll() is None
    assert both.log().count("not ready, entries stay blocked") > 3
    assert ended(process, signal.SIGTERM) == 0
    systemd.drain()
    assert systemd.heard.count("READY=1") == 1 and systemd.heard[-1] == "STOPPING=1"


def test_a_stuck_monitor_is_no_longer_fed_to_the_watchdog(both: Pair, systemd: Systemd) -> None:
    both.program = ("-m", "tests.process.frozen_daemon")
    both.exchange(MORNING)
    process = both.run(NOTIFY_SOCKET=str(systemd.path))
    assert systemd.listen(60) == "READY=1"
    both.monitored(0)
    assert systemd.listen(20) == "WATCHDOG=1"
    (both.folder / "data" / "freeze").touch()
    until(lambda: both.health()["code"] == 503, "health shows the stuck monitor", 90)
    until(lambda: "no sign of life from: " in both.log(), "the log names it")
    assert "a monitor pass" in both.log()
    systemd.drain()
    assert systemd.listen(10) is None
    assert process.poll() is None
