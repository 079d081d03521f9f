"""The stop where quotes are polled: its second look does not wait for the next poll's turn."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.trading.world import world


@pytest.mark.parametrize("idle_s", [0.0, 1.3, 2.7, 4.1])
def test_a_crossed_stop_is_looked_at_again_after_a_second(tmp_path: Path, idle_s: float) -> None:
    with world(tmp_path) as w:
        w.streams_quotes = False
        w.restart()
        w.open()
        assert not w.desk.quote_stream_up
        w.run(idle_s)
        crossed_at = w.clock.now()
        w.price("0.86", "0.90")
        w.until(lambda: w.exits, 20)
        (exit_order,) = w.exits
        assert exit_order.reason == "stop"
        assert timedelta(seconds=1) <= exit_order.created_at - crossed_at <= timedelta(seconds=7.5)
