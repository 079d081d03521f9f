"""What the daemon takes while it waits: ``python -m tests.process.bench_idle [--seconds 60]``.

Beside the embedded exchange in a process of its own, with one position held: how long from the start of
the process to READY and to the first pass over the position, the resident memory, and the share of a
core between scans of the pipeline, first in a session and then after it. On a machine that is busy with
other things only the CPU seconds of the start mean something.
"""

import argparse
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.process.pair import Pair, bought, free_port, pair, until
from tests.process.supervisor import UNIT

SETTLE_S = 45.0
IN_SESSION, AFTERWARDS = "2026-11-24T11:01:00-05:00", "2026-11-24T18:01:00-05:00"
TARGETS = {"resident_mb": 160.0, "cpu_percent": 1.0, "first_pass_s": 2.0}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch (default 60)")
    asked = parser.parse_args()
    over = False
    for name, moment, held in (("in session", IN_SESSION, True), ("after it", AFTERWARDS, False)):
        folder = Path(tempfile.mkdtemp(prefix="bench-idle-"))
        try:
            with pair(folder) as both:
                found = _measure(both, moment, asked.seconds, held=held)
        finally:
            shutil.rmtree(folder)
        told = ", ".join(f"{key} {value}" for key, value in found.items())
        sys.stdout.write(f"{name}: {told}\n")
        over = over or any(found[key] > target for key, target in TARGETS.items())
    sys.stdout.write(f"targets: {json.dumps(TARGETS)}: {'missed' if over else 'kept'}\n")
    return int(over)


def _measure(both: Pair, moment: str, seconds: float, *, held: bool) -> dict[str, float]:
    both.exchange(moment, *([bought("SPY", moment, 2)] if held else []))
    port = free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(both.folder / "notify"))
        notify.settimeout(60)
        began = time.monotonic()
        process = both.run(
            NOTIFY_SOCKET=str(both.folder / "notify"), WSB_SNAKE_HTTP_PORT=str(port), **_as_a_service()
        )
        first = until(lambda: _passed(both, int(held)) and time.monotonic() - began, "the first pass")
        spent = _cpu_s(process.pid)
        while notify.recv(100) != b"READY=1":
            pass
        ready = time.monotonic() - began
    time.sleep(SETTLE_S)  # start-up, the first scan, and its connections
    before, started = _cpu_s(process.pid), time.monotonic()
    time.sleep(seconds)
    used = (_cpu_s(process.pid) - before) / (time.monotonic() - started)
    return {
        "first_pass_s": round(first, 2),
        "first_pass_cpu_s": round(spent, 2),
        "ready_s": round(ready, 2),
        "resident_mb": round(_resident_mb(process.pid), 1),
        "cpu_percent": round(100 * used, 2),
    }


def _as_a_service() -> dict[str, str]:
    """What the unit sets for the sake of memory."""
    return dict(re.findall(r"\b(MALLOC_ARENA_MAX|OPENBLAS_NUM_THREADS)=(\d+)", UNIT.read_text()))


def _passed(both: Pair, count: int) -> bool:
    """Whether the monitor has passed over all that is held."""
    shown: dict[str, Any] = both.health()
    return bool(shown.get("all_positions_monitored")) and shown["monitored_positions"] == count


def _cpu_s(number: int) -> float:
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(number: int) -> float:
    line = next(
        line for line in Path(f"/proc/{number}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
