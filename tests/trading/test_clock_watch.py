"""Our clock against the broker's."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.sim.bench import SPY_PUT
from tests.trading.world import World, world
from wsb_snake.trading.broker import BrokerClock


def skew(w: World, seconds: float) -> None:
    """From the next question on the broker's clock is ``seconds`` behind ours."""

    def told() -> BrokerClock:
        return BrokerClock(w.clock.now() - timedelta(seconds=seconds), True)

    w.broker._broker.clock = told  # type: ignore[method-assign]


@pytest.mark.parametrize("sign", [1, -1])
def test_two_readings_more_than_two_seconds_apart_pause(tmp_path: Path, sign: int) -> None:
    with world(tmp_path) as w:
        assert w.desk.clock_skew_s is not None and abs(w.desk.clock_skew_s) < 0.1
        skew(w, sign * 2.5)
        w.until(lambda: abs(w.desk.clock_skew_s or 0) > 2, 70)
        assert w.paused() == set()
        w.until(lambda: w.paused() == {"clock"}, 70)
        assert w.desk.clock_skew_s == pytest.approx(sign * 2.5, abs=0.1)
        w.run(1)
        assert any(("ahead of" if sign > 0 else "behind") in text for text in w.alerts())
        assert w.enter(SPY_PUT, "two") is None
        skew(w, sign * 1.8)
        w.run(130)
        assert w.paused() == {"clock"}
        skew(w, sign * 1.2)
        w.until(lambda: w.paused() == set(), 70)


def test_one_odd_reading_pauses_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        skew(w, 30)
        w.until(lambda: abs(w.desk.clock_skew_s or 0) > 2, 70)
        skew(w, 0)
        w.run(180)
        assert w.events("paused") == []


def test_a_slow_answer_says_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:

        def slow() -> BrokerClock:
            told = BrokerClock(w.clock.now(), True)
            w.hub.sleep(9)
            return told

        w.broker._broker.clock = slow  # type: ignore[method-assign]
        w.run(300)
        assert w.events("paused") == []
