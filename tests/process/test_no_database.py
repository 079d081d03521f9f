"""A start whose database cannot be used: no entries, and everything else."""

import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.pair import Pair, ended, in_the_money, pair, until

pytestmark = pytest.mark.timeout(240)

LATE = "2026-11-24T15:57:00-05:00"
MORNING = "2026-11-24T11:00:00-05:00"
LATER = "SPY261218C00820000"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


def test_a_directory_in_its_place_and_0dte_at_1557_is_closed(both: Pair) -> None:
    aapl = in_the_money("AAPL", LATE, 0.02)
    both.exchange(LATE, f"{aapl}=2@6", f"{LATER}=1@14")
    in_its_place = both.folder / "data" / "wsb_snake.db"
    in_its_place.mkdir(parents=True)
    process = both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    until(lambda: both.health().get("last_eod_run_et"), "the EOD close ran", 60)
    until(lambda: both.sold() == {aapl: 2}, "what expires today is sold", 60, every_s=1)
    shown = until(lambda: (h := both.health()).get("eod_flat_proven") and h, "flat is proven", 90)
    assert (shown["status"], shown["code"], shown["db_writable"]) == ("unhealthy", 503, False)
    assert "journal" in shown["pause_reasons"]
    assert shown["open_positions"] == shown["monitored_positions"] == 1
    until(lambda: any("Running without the database" in text for text in both.messages()), "the owner knows")
    assert process.poll() is None
    shutil.rmtree(in_its_place)
    until(lambda: both.health()["db_writable"], "it opens by itself", 60)
    until(lambda: both.held() == {LATER}, "what was adopted meanwhile is written")
    assert both.rows("SELECT value FROM meta WHERE key = 'account'")[0][0].startswith("PA")
    assert len(both.rows("SELECT * FROM eod_runs WHERE proven_at IS NOT NULL")) == 1
    assert ended(process, signal.SIGTERM) == 0


def test_a_full_disk_from_the_start(both: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    aapl = in_the_money("AAPL", LATE, 0.02)
    both.exchange(LATE, f"{aapl}=1@6")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        process = both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    until(lambda: both.sold() == {aapl: 1}, "what expires today is sold", 90, every_s=1)
    assert both.health()["db_writable"] is False
    assert process.poll() is None


@pytest.mark.slow
def test_a_database_that_comes_back_counts_no_position_twice(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{qqq}=1@22", f"{LATER}=1@14")
    process = both.run()
    both.monitored(2)
    (both.folder / "data" / "halt").touch()
    until(lambda: both.health()["pause_reasons"] == ["manual"], "the halt is known")
    assert ended(process, signal.SIGTERM) == 0
    (both.folder / "data" / "halt").unlink()
    database, away = both.folder / "data" / "wsb_snake.db", both.folder / "away.db"
    database.rename(away)
    database.mkdir()
    process = both.run()
    shown = both.monitored(2)
    assert shown["db_writable"] is False and shown["open_positions"] == 2
    database.rmdir()
    away.rename(database)
    until(lambda: both.health()["db_writable"], "it opens by itself", 60)
    until(lambda: both.health()["pause_reasons"] == ["manual"], "the stored pause is in force again")
    assert both.monitored(2)["open_positions"] == 2
    until(lambda: len(both.rows("SELECT 1 FROM positions WHERE state = 'open'")) == 2, "each row once")
    continued = both.rows("SELECT state, qty FROM positions WHERE note LIKE 'continued as %'")
    assert continued == [("void", 0), ("void", 0)]
    assert both.rows("SELECT * FROM outcomes") == []
    assert ended(process, signal.SIGTERM) == 0
    both.run()
    assert both.monitored(2)["open_positions"] == 2


@pytest.mark.slow
def test_a_database_of_another_account_that_comes_back_ends_it(both: Pair) -> None:
    both.exchange(MORNING)
    process = both.run()
    both.monitored(0)
    assert ended(process, signal.SIGTERM) == 0
    database, away = both.folder / "data" / "wsb_snake.db", both.folder / "away.db"
    database.rename(away)
    database.mkdir()
    both.exchange(MORNING, f"{LATER}=1@14", seed=8)
    process = both.run()
    both.monitored(1)
    database.rmdir()
    away.rename(database)
    assert process.wait(60) == 2
    assert "belongs to embedded account PA" in both.log()
    assert both.held() == set()
