"""SIGKILL in the middle of writing: what was confirmed is there, and nothing is there by half."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import os, sys, threading
from pathlib import Path
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db.database import Database
from wsb_snake.db.meta import set_meta

path, run = Path(sys.argv[1]), sys.argv[2]
database = Database(path, ThreadLanes(SystemClock()))
database.open()

def pair(key):
    def work(conn):
        set_meta(conn, key, "first")
        set_meta(conn, "twin of " + key, "second")
    return work

def write(thread):
    number = 0
    while True:
        keys = [f"{run}-{thread}-{number + more}" for more in range(5)]
        promises = [database.transact(pair(key), urgent=thread == 0) for key in keys]
        for key, promise in zip(keys, promises):
            promise.result()
            os.write(1, (key + "\\n").encode())  # a short line to a pipe is written whole
        number += 5

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def confirmed_before_kill(path: Path, run: int, lines: int) -> list[str]:
    """Let a child write until it has confirmed ``lines`` rows, kill it, return all it confirmed."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(run)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        keys = [child.stdout.readline().strip() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        keys += child.stdout.read().split()
    assert child.returncode == -signal.SIGKILL
    return keys


@pytest.mark.timeout(60)
def test_killed_while_writing(db_path: Path) -> None:
    confirmed: list[str] = []
    for run, lines in enumerate((1, 97, 700)):
        confirmed += confirmed_before_kill(db_path, run, lines)
    assert len(confirmed) >= 798
    with closing(sqlite3.connect(db_path)) as conn:
        rows = {key for (key,) in conn.execute("SELECT key FROM meta")}
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set(confirmed) <= rows
    twins = {key for key in rows if key.startswith("twin of ")}
    assert twins == {"twin of " + key for key in rows - twins}
