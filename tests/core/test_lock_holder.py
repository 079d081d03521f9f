import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.test_process_lock import HOLD
from wsb_snake.core.lock_holder import HolderUnknown, end_holder, holder
from wsb_snake.core.process_lock import ProcessLock

ROOT = Path(__file__).resolve().parents[2]
UNSEEN = "import ctypes; ctypes.CDLL(None).prctl(4, 0)\n" + HOLD
"""Not dumpable: nobody without privileges sees its files, as with systemd's ``PrivateUsers=``."""

END = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 19)  # also root is to read no files of others
os.execv(sys.executable, [sys.executable, "-c", sys.argv[3], *sys.argv[1:3]])
"""
ENDER = """
import sys
from pathlib import Path
from wsb_snake.core.lock_holder import HolderUnknown, end_holder
number, path = int(sys.argv[2]), Path(sys.argv[1])
seen = []
try:
    for file in Path(f"/proc/{number}/fd").iterdir():
        file.stat()
        seen.append(file)
except PermissionError:
    pass
assert not seen
try:
    print("over", end_holder(path, number))
except HolderUnknown as error:
    print(error)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HOLD


def started(code: str, path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    return process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(("code", "number"), [(HOLD, -15), (DEAF, -9)])
def test_the_holder_ends_and_the_lock_is_free(path: Path, code: str, number: int) -> None:
    with started(code, path) as process:
        assert holder(path) == process.pid
        assert end_holder(path, process.pid, term_s=5.0 if number == -15 else 0.2)
        assert process.wait(30) == number
    ProcessLock(path, "it").acquire()


def ended_by_a_stranger(path: Path, number: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", END, str(path), str(number), ENDER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_holder_whose_files_nobody_sees_ends_as_well(path: Path) -> None:
    with started(UNSEEN, path) as process:
        assert ended_by_a_stranger(path, process.pid) == "over True\n"
        assert process.wait(30) == -15
    ProcessLock(path, "it").acquire()


def test_a_process_whose_files_nobody_sees_is_left_alone_for_another_lock(path: Path) -> None:
    with started(UNSEEN, path.with_name("other")) as process:
        path.write_text(f"{process.pid}\n")
        assert f"process {process.pid} does not hold" in ended_by_a_stranger(path, process.pid)
        assert process.poll() is None
        process.kill()


def test_a_process_that_does_not_hold_it_is_left_alone(
    path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    path.write_text(f"{bystander.pid}\n")
    with pytest.raises(HolderUnknown, match=f"process {bystander.pid} does not hold"):
        end_holder(path, holder(path))
    assert bystander.poll() is None


def test_a_process_that_is_gone_is_over_and_no_number_is_no_process(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(30)
    path.write_text("")
    assert end_holder(path, gone.pid)
    for text in ("", "nobody\n"):
        path.write_text(text)
        with pytest.raises(HolderUnknown, match="names no process"):
            holder(path)
