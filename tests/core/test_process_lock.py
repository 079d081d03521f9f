import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wsb_snake.core.process_lock import AlreadyRunning, LockUnavailable, ProcessLock

HOLD = """
import sys
from pathlib import Path
from wsb_snake.core.process_lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]), "it")
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_the_lock_names_its_holder_and_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    first, second = ProcessLock(path, "the data directory"), ProcessLock(path, "the data directory")
    first.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AlreadyRunning, match=f"^the data directory is in use by process {os.getpid()}$"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()
    assert path.exists()


def test_a_longer_number_of_an_earlier_holder_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("123456789012345678\n")
    lock = ProcessLock(path, "it")
    lock.acquire()
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_another_process_is_kept_out_until_the_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = ProcessLock(path, "it")
    command = [sys.executable, "-c", HOLD, str(path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=f"by process {holder.pid}$"):
            mine.acquire()
        holder.kill()
        holder.wait(30)
        mine.acquire()
        mine.release()


def test_a_read_only_disk_locks_what_is_there_and_says_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    path.write_text("1\n")
    opened = os.open

    def read_only(name: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(name, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    first, second = ProcessLock(path, "it"), ProcessLock(path, "it")
    first.acquire()
    with pytest.raises(AlreadyRunning):
        second.acquire()
    first.release()
    with pytest.raises(LockUnavailable, match=r"^it cannot be locked \(Read-only file system\)$"):
        ProcessLock(tmp_path / "none", "it").acquire()
