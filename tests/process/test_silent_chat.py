"""The real daemon, in the machine's time, while Telegram is a black hole around a stop and the end of day.

The half hour in full takes as long as it takes: ``python -m tests.process.silent_chat``.
"""

from pathlib import Path

import pytest

from tests.process.silent_chat import Hole, watch

SHORT = Hole("15:53:25", "15:53:50", "15:53:56", "15:55:45", "15:56:45", frozenset({2, 7}))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_exits_are_on_time_and_every_alert_comes_afterwards_in_order(tmp_path: Path) -> None:
    found = watch(tmp_path, SHORT)
    assert found.repeats >= len(SHORT.reach)
