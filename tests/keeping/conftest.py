"""A data directory with a real database in it, open and written through the real writer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wsb_snake.config import Settings, load
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.db.database import Database
from wsb_snake.db.meta import Stamp, write_stamp

LOOPBACK = {
    "alpaca_trading_url": "http://127.0.0.1:1",
    "alpaca_data_url": "http://127.0.0.1:1",
    "alpaca_stream_url": "ws://127.0.0.1:1/stream",
    "alpaca_option_stream_url": None,
}
OURS = Stamp("embedded", "PA1")


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**changes: object) -> Settings:
        places = {"wsb_snake_data_dir": tmp_path / "data", "backup_dir": tmp_path / "backups"}
        return load(env_file=None, **{**LOOPBACK, **places, **changes})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Open, and stamped as ours; closed at the end, if it is not before."""
    made = Database(settings.db_path, ThreadLanes(SystemClock()))
    made.open(lambda conn: write_stamp(conn, OURS))
    yield made
    made.close()
