from pathlib import Path

import pytest

from wsb_snake.core import halt_file


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
