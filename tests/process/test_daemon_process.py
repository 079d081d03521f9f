"""The daemon as its owner runs it: a process of its own, beside the embedded exchange as another."""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.pair import Pair, ended, in_the_money, pair, until

pytestmark = pytest.mark.timeout(240)

LATER = "SPY261218C00820000"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


def held(both: Pair) -> set[str]:
    """Contracts that the daemon's database holds open."""
    with sqlite3.connect(f"file:{both.folder}/data/wsb_snake.db?mode=ro", uri=True) as conn:
        return {row[0] for row in conn.execute("SELECT symbol FROM positions WHERE qty > 0")}


def test_the_end_of_day_closes_today_proves_it_and_leaves_later_expiries(both: Pair) -> None:
    start = "2026-11-24T15:54:40-05:00"
    qqq, aapl = in_the_money("QQQ", start), in_the_money("AAPL", start)
    tomorrow = "SPY261125C00805000"
    both.exchange(start, f"{qqq}=1@9", f"{aapl}=2@4", f"{LATER}=1@10", f"{tomorrow}=1@9")
    both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    before = both.monitored(4)
    assert before["code"] == 200
    assert before["next_eod_et"] == "2026-11-24T15:55:00"
    after = until(lambda: (h := both.health()).get("eod_flat_proven") and h, "flat is proven", 90)
    assert after["last_eod_run_et"].startswith("2026-11-24T15:55:0")
    assert after["code"] == 200
    assert held(both) == {LATER, tomorrow}
    assert after["open_positions"] == 2
    until(lambda: any("flat is proven" in text for text in both.messages()), "the proof was told")
    assert any("EOD close ran (scheduled)." in text for text in both.messages())


def test_a_start_after_the_end_of_day_closes_at_once(both: Pair) -> None:
    start = "2026-11-24T15:57:00-05:00"
    qqq = in_the_money("QQQ", start)
    both.exchange(start, f"{qqq}=1@9")
    both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    until(lambda: both.health().get("last_eod_run_et"), "the EOD close ran", 30)
    until(lambda: qqq not in held(both), "the position is gone", 30)


def test_the_cut_off_takes_single_names_first(both: Pair) -> None:
    start = "2026-11-24T15:04:40-05:00"
    aapl, qqq = in_the_money("AAPL", start), in_the_money("QQQ", start, 0.03)
    both.exchange(start, f"{aapl}=1@4", f"{qqq}=1@22")
    both.run()
    both.monitored(2)
    until(lambda: aapl not in held(both), "the single name is gone", 60)
    assert qqq in held(both)


def test_foreign_shares_and_short_options_pause_entries_and_are_left_alone(both: Pair) -> None:
    both.exchange("2026-11-24T11:00:00-05:00", "AAPL=100@290", "SPY261218C00900000=-1@2")
    both.run()
    shown = until(lambda: (h := both.health()).get("pause_reasons") and h, "a pause")
    assert shown["status"] == "degraded"
    assert shown["code"] == 200
    assert shown["trading_paused"] is True
    until(lambda: any("AAPL" in text and "short option" in text for text in both.messages()), "the alert")
    assert held(both) == set()


def test_after_kill_9_every_position_is_watched_again_with_its_plan(both: Pair) -> None:
    start = "2026-11-24T11:00:00-05:00"
    qqq = in_the_money("QQQ", start, 0.03)
    both.exchange(start, f"{qqq}=1@22", f"{LATER}=1@10")
    process = both.run()
    both.monitored(2)
    rows = "SELECT position_id, symbol, plan, opened_at, entry_price FROM positions ORDER BY position_id"
    with sqlite3.connect(f"file:{both.folder}/data/wsb_snake.db?mode=ro", uri=True) as conn:
        before = conn.execute(rows).fetchall()
    ended(process, signal.SIGKILL)
    both.run()
    both.monitored(2)
    with sqlite3.connect(f"file:{both.folder}/data/wsb_snake.db?mode=ro", uri=True) as conn:
        assert conn.execute(rows).fetchall() == before
        first = conn.execute("SELECT MIN(seq) FROM events WHERE kind = 'entry_sent'").fetchone()[0]
        started = conn.execute("SELECT MAX(seq) FROM events WHERE kind = 'started'").fetchone()[0]
    assert first is None or first > started


def test_sigterm_says_what_stays_unwatched_and_a_second_daemon_is_refused(both: Pair) -> None:
    start = "2026-11-24T11:00:00-05:00"
    qqq = in_the_money("QQQ", start, 0.03)
    both.exchange(start, f"{qqq}=1@22")
    first = both.run()
    both.monitored(1)
    second = both.run()
    assert second.wait(60) == 3
    assert len(both.log().strip().splitlines()) == 1
    assert "is in use by process" in both.log()
    both.runs = 1
    assert ended(first, signal.SIGTERM) == 0
    assert any("stopped, 1 positions unwatched, 1 expire today" in text for text in both.messages())


def test_sigint_ends_it_too(both: Pair) -> None:
    both.exchange("2026-11-24T11:00:00-05:00")
    process = both.run()
    both.monitored(0)
    assert ended(process, signal.SIGINT) == 0


def test_the_owners_commands(both: Pair) -> None:
    start = "2026-11-24T11:00:00-05:00"
    qqq = in_the_money("QQQ", start, 0.03)
    alone = both.command("status")
    assert alone.returncode == 1
    assert len(alone.stderr.strip().splitlines()) == 1
    both.exchange(start, f"{qqq}=1@22", f"{LATER}=1@10")
    both.run()
    both.monitored(2)
    assert qqq in both.command("status").stdout
    assert both.command("halt").returncode == 0
    assert both.health()["pause_reasons"] == ["manual"]
    assert (both.folder / "data" / "halt").exists()
    assert both.command("flatten").returncode == 0
    until(lambda: held(both) == {LATER}, "what expires today is gone")
    assert both.command("resume").returncode == 0
    assert both.health()["pause_reasons"] == []


def test_without_keys_it_names_what_is_missing(both: Pair) -> None:
    process = both.run()
    assert process.wait(60) == 2
    (line,) = both.log().strip().splitlines()
    assert "ALPACA_API_KEY" in line and "ALPACA_SECRET_KEY" in line and "script/demo" in line


def test_refused_keys_and_foreign_accounts_end_it_with_one_line(both: Pair) -> None:
    both.exchange("2026-11-24T11:00:00-05:00")
    wrong = both.run(ALPACA_API_KEY="nobody", WSB_SNAKE_CLOCK_START="2026-11-24T11:00:00-05:00")
    assert wrong.wait(60) == 4
    assert "refuses" in both.log().splitlines()[-1]
    other = both.run(ALPACA_ACCOUNT_NUMBER="PA0000000001")
    assert other.wait(60) == 2
    assert "ALPACA_ACCOUNT_NUMBER is PA0000000001" in both.log().splitlines()[-1]
    assert "Traceback" not in both.log()


def test_an_exchange_that_goes_away_shows_and_comes_back_without_a_restart(both: Pair) -> None:
    start = "2026-11-24T11:00:00-05:00"
    gone = both.exchange(start)
    port = int(both.environment["ALPACA_TRADING_URL"].rsplit(":", 1)[1])
    process = both.run()
    both.monitored(0)
    ended(gone, signal.SIGKILL)
    shown = until(lambda: (h := both.health()).get("status") != "healthy" and h, "the outage shows", 90)
    assert process.poll() is None
    assert shown["snake_running"] is True
    both.exchange("2026-11-24T11:01:30-05:00", port=port)
    until(lambda: both.health().get("broker_age_s", 99) < 20, "the broker is read again", 90)
    assert process.poll() is None
