"""The real daemon, in the machine's time, while Telegram is a black hole around a stop and the end of day.

The half hour in full takes as long as it takes: ``python -m tests.process.silent_chat``.
"""

from pathlib import Path

import pytest

from tests.process.silent_chat import Hole, watch
from wsb_snake.core.clock import eastern

SHORT = Hole("15:53:30", "15:53:55", "15:54:00", "15:54:40", "15:56:15", frozenset({2, 5}))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_exits_are_on_time_and_every_alert_comes_afterwards_in_order(tmp_path: Path) -> None:
    found = watch(tmp_path, SHORT)
    assert found.sold_after_s < 60
    assert f"{eastern(found.eod_ran):%H:%M:%S}" in {f"15:55:0{n}" for n in range(10)}
    assert found.proven_after_s < 60
    assert found.repeats >= len(SHORT.reach)
