"""A stand-in for systemd: starts a daemon as ``wsb-snake.service`` says, hears it, and starts it again.

Of the unit it follows what matters here: Type=notify, WatchdogSec, WatchdogSignal=SIGKILL, Restart=always,
RestartSec and RestartPreventExitStatus.
"""

import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.source_rules import ROOT

UNIT = ROOT / "script/systemd/wsb-snake.service"
TICK_S = 0.2


def told(name: str) -> str:
    """A setting of the unit."""
    (value,) = re.findall(rf"^{name}=(.+)$", UNIT.read_text(), re.MULTILINE)
    return str(value)


class Supervisor:
    """``start`` starts a process that notifies the given socket. ``results`` are how processes ended."""

    def __init__(self, place: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
        assert (told("Type"), told("Restart"), told("WatchdogSignal")) == ("notify", "always", "SIGKILL")
        self._watchdog_s, self._restart_s = float(told("WatchdogSec")), float(told("RestartSec"))
        self._final = {int(code) for code in told("RestartPreventExitStatus").split()}
        self._place, self._start = place, start
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(place))
        self._socket.settimeout(TICK_S)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor")
        self.results: list[str] = []
        self.starts = 0
        self.ready = False
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Supervisor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    @property
    def failed(self) -> bool:
        """Whether it was given up."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.starts += 1
            self.process = self._start(str(self._place))
            result = self._watch(self.process)
            self.ready = False
            self.results.append(result)
            if result in {f"exit-code {code}" for code in self._final}:
                return
            self._stopping.wait(self._restart_s)

    def _watch(self, process: subprocess.Popen[bytes]) -> str:
        """Until it ends, or is ended for its silence."""
        fed = time.monotonic()
        while not self._stopping.is_set():
            try:
                word = self._socket.recv(100)
            except TimeoutError:
                word = b""
            if word in (b"READY=1", b"WATCHDOG=1"):
                fed = time.monotonic()
                self.ready = self.ready or word == b"READY=1"
            code = process.poll()
            if code is not None:
                return "success" if code == 0 else f"signal {-code}" if code < 0 else f"exit-code {code}"
            if self.ready and time.monotonic() - fed > self._watchdog_s:
                process.kill()
                process.wait()
                return "watchdog"
        return "stopped"
