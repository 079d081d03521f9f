from pathlib import Path

import pytest

from wsb_snake.core import halt_file
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.halt_file import HaltFile
from wsb_snake.core.lanes import ThreadLanes


def test_it_is_made_and_taken_away_also_twice(tmp_path: Path) -> None:
    path = tmp_path / "halt"
    halt_file.create(path)
    halt_file.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    halt_file.remove(path)
    halt_file.remove(path)
    assert not path.exists()


def test_what_the_disk_refuses_is_raised(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        halt_file.create(tmp_path / "none" / "halt")


def test_what_is_asked_is_done_in_order_by_whoever_does_the_work(tmp_path: Path) -> None:
    halt = HaltFile(ThreadLanes(SystemClock()), tmp_path / "halt")
    made, gone = halt.make(), halt.take_away()
    assert halt.bell.is_set()
    assert not made.done()
    halt.work()
    assert made.succeeded()
    assert gone.succeeded()
    assert not halt.exists()


def test_what_the_disk_refuses_comes_with_the_promise(tmp_path: Path) -> None:
    halt = HaltFile(ThreadLanes(SystemClock()), tmp_path / "none" / "halt")
    refused = halt.make()
    halt.work()
    with pytest.raises(OSError, match="No such file"):
        refused.result(0)
