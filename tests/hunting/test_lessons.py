"""What was learnt, as the engines and their signals get it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.engines.tapes import OPEN, SESSION
from tests.learning.world import Trade, at, consume, write_close
from wsb_snake import config
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.signals import Direction, Signal
from wsb_snake.db.database import Database
from wsb_snake.db.migrations import migrate
from wsb_snake.engines.probability import MOVED
from wsb_snake.engines.types import MarketView
from wsb_snake.hunting.lessons import Lessons
from wsb_snake.learning.boosts import MAX_POINTS, Tally
from wsb_snake.learning.learnt import Learnt
from wsb_snake.learning.time_learning import cell_of


def lessons(folder: Path, trades: int) -> Lessons:
    """After so many trades that ignition carried and that won."""
    settings = config.load(env_file=None, wsb_snake_data_dir=folder)
    with closing(sqlite3.connect(settings.db_path)) as conn:
        migrate(conn)
        for number in range(trades):
            told = {"ignition": 90.0, "pressure": 5.0, "surge": 5.0}
            write_close(conn, Trade(f"p{number}", at(number, time(10, 5)), "2.40", evidence=told))
        consume(conn)
        conn.commit()
    made = Lessons(settings, Database(settings.db_path, ThreadLanes(SystemClock())))
    made.take_up(None)
    return made


def test_weights_of_fewer_than_thirty_outcomes_move_no_score(tmp_path: Path) -> None:
    """So they carry nothing over the bar: neither strike nor tier knows of them."""
    few = lessons(tmp_path, 29)
    assert few.learnt.weights["ignition"] > 0.30
    assert set(few.weights().values()) == {1.0}


def test_weights_of_thirty_outcomes_count(tmp_path: Path) -> None:
    factors = lessons(tmp_path, 30).weights()
    assert factors["ignition"] > 1 > factors["surge"]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize(
    ("mean", "moved", "after"),
    [
        (1.0, 0.0, 70.0 + MAX_POINTS),
        (1.0, 7.0, 70.0 + MAX_POINTS - 7),
        (1.0, -7.0, 70.0 + MAX_POINTS),
        (-1.0, -7.0, 70.0 - MAX_POINTS + 7),
        (-1.0, 7.0, 70.0 - MAX_POINTS),
    ],
)
def test_weights_and_boosts_share_the_ten_points(
    tmp_path: Path, direction: Direction, mean: float, moved: float, after: float
) -> None:
    """``moved`` is what the weights gave towards the trade."""
    when = OPEN + timedelta(hours=1)
    cell = Tally(2000, 2000 * mean, 4000.0)
    taught = lessons(tmp_path, 0)
    taught.learnt = replace(
        Learnt(),
        everything=cell,
        cells=MappingProxyType({cell_of("orchestrator", "s", when, SESSION): cell}),
    )
    sign = 1 if direction is Direction.LONG else -1
    signal = Signal("o-1", when, "orchestrator", "s", "SPY", direction, 70.0, 500.0, ((MOVED, sign * moved),))
    view = MarketView(when, SESSION, "sip", {})
    assert taught.apply(signal, view, 60.0).signal.confidence == pytest.approx(after)
