import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.test_process_lock import HOLD
from wsb_snake.core.lock_holder import HolderUnknown, end_holder, holder
from wsb_snake.core.process_lock import ProcessLock

ROOT = Path(__file__).resolve().parents[2]
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
