"""The daemon as its owner runs it: a process of its own, beside the embedded exchange as another."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.pair import Pair, ended, free_port, in_the_money, pair, until

pytestmark = pytest.mark.timeout(240)

MORNING = "2026-11-24T11:00:00-05:00"
LATER = "SPY261218C00820000"
TOMORROW = "SPY261125C00805000"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


@pytest.mark.slow
def test_an_exchange_that_dies_shows_and_comes_back_without_a_restart(both: Pair) -> None:
    gone = both.exchange(MORNING, f"{LATER}=1@14")
    port = int(both.environment["ALPACA_TRADING_URL"].rsplit(":", 1)[1])
    process = both.run()
    both.monitored(1)
    ended(gone, signal.SIGKILL)
    until(lambda: both.health()["status"] == "degraded", "the outage shows")
    down = until(lambda: (h := both.health())["code"] == 503 and h, "the broker's state is stale", 120)
    assert (down["status"], down["snake_running"]) == ("unhealthy", True)
    assert down["all_positions_monitored"] is False
    assert "stream" in down["pause_reasons"]
    both.exchange("2026-11-24T11:01:30-05:00", f"{LATER}=1@14", port=port)
    both.monitored(1)
    until(lambda: (h := both.health())["status"] == "healthy" and not h["pause_reasons"], "all is well", 90)
    assert process.poll() is None


def test_the_end_of_day_closes_today_proves_it_and_leaves_later_expiries(both: Pair) -> None:
    start = "2026-11-24T15:54:35-05:00"
    # the account can pay for the exercise of both, so the exchange does not sell them by itself
    aapl, nvda = in_the_money("AAPL", start, 0.02), in_the_money("NVDA", start, 0.02)
    both.exchange(start, f"{aapl}=1@6", f"{nvda}=1@4", f"{LATER}=1@14", f"{TOMORROW}=1@9")
    both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    before = both.monitored(4)
    assert (before["code"], before["mode"]) == (200, "embedded")
    after = until(lambda: (h := both.health()).get("eod_flat_proven") and h, "flat is proven", 90)
    assert after["code"] == 200
    assert after["last_eod_run_et"].startswith("2026-11-24T15:55:0")
    assert after["next_eod_et"] == "2026-11-25T15:55:00"
    assert both.held() == {LATER, TOMORROW}
    assert both.monitored(2)["broker_positions"] == 2
    assert both.sold() == {aapl: 1, nvda: 1}
    until(lambda: any("flat is proven" in text for text in both.messages()), "the proof was told")
    assert any("EOD close ran (scheduled)." in text for text in both.messages())


def test_a_start_after_the_end_of_day_closes_at_once(both: Pair) -> None:
    start = "2026-11-24T15:57:00-05:00"
    aapl, nvda = in_the_money("AAPL", start, 0.02), in_the_money("NVDA", start, 0.02)
    both.exchange(start, f"{aapl}=1@6", f"{nvda}=1@4", f"{LATER}=1@14")
    both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    until(lambda: both.health().get("last_eod_run_et"), "the EOD close ran", 30)
    until(lambda: both.held() == {LATER}, "what expires today is gone", 30)
    assert both.health()["last_eod_run_et"].startswith("2026-11-24T15:57:")


def test_the_cut_off_takes_single_names_first(both: Pair) -> None:
    start = "2026-11-24T15:04:45-05:00"
    aapl, spy = in_the_money("AAPL", start, 0.03), in_the_money("SPY", start, 0.03)
    both.exchange(start, f"{aapl}=1@9", f"{spy}=1@25")
    both.run()
    until(lambda: both.health().get("all_positions_monitored"), "it agrees with the exchange")
    until(lambda: both.held() == {spy}, "the single name is gone", 60)
    assert both.rows("SELECT exit_reason FROM positions WHERE qty = 0") == [("cutoff",)]
    assert both.monitored(1)["last_eod_run_et"] is None


def test_foreign_shares_and_short_options_pause_entries_and_are_left_alone(both: Pair) -> None:
    both.exchange(MORNING, "AAPL=100@290", "SPY261218C00900000=-1@2")
    both.run()
    shown = until(lambda: (h := both.health()).get("pause_reasons") and h, "a pause")
    assert (shown["status"], shown["code"]) == ("degraded", 200)
    assert shown["next_eod_et"] == "2026-11-24T15:55:00"
    assert shown["pause_reasons"] == ["reconcile"]
    until(lambda: any("AAPL" in text and "short option" in text for text in both.messages()), "the alert")
    assert both.held() == set()
    assert both.rows("SELECT * FROM orders") == []


def test_after_kill_9_every_position_is_watched_again_with_its_plan(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{qqq}=1@22", f"{LATER}=1@14")
    process = both.run()
    both.monitored(2)
    query = "SELECT position_id, symbol, plan, opened_at, entry_price FROM positions ORDER BY position_id"
    before = both.rows(query)
    ended(process, signal.SIGKILL)
    both.run()
    both.monitored(2)
    assert both.rows(query) == before
    (started,) = both.rows("SELECT MAX(seq) FROM events WHERE kind = 'started'")
    (first,) = both.rows("SELECT MIN(seq) FROM events WHERE kind = 'entry_sent'")
    assert first[0] is None or first[0] > started[0]


def test_after_kill_9_in_the_middle_of_the_end_of_day_it_is_finished(both: Pair) -> None:
    start = "2026-11-24T15:57:00-05:00"
    aapl, nvda = in_the_money("AAPL", start, 0.02), in_the_money("NVDA", start, 0.02)
    both.exchange(start, f"{aapl}=2@6", f"{nvda}=1@4", f"{LATER}=1@14")
    process = both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    until(lambda: "EOD close ran" in both.log(), "the EOD close ran")
    ran_at = both.rows("SELECT ran_at FROM eod_runs")
    ended(process, signal.SIGKILL)
    both.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
    shown = until(lambda: (h := both.health()).get("eod_flat_proven") and h, "flat is proven", 90)
    assert shown["open_positions"] == 1
    assert both.held() == {LATER}
    assert not ran_at or both.rows("SELECT ran_at FROM eod_runs") == ran_at
    assert both.sold() == {aapl: 2, nvda: 1}


def test_sigterm_says_what_stays_unwatched_and_a_second_daemon_is_refused(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{qqq}=1@22", f"{LATER}=1@14")
    first = both.run()
    both.monitored(2)
    assert f"is in use by process {first.pid}" in both.refused(3)
    other_place = both.refused(3, WSB_SNAKE_DATA_DIR=str(both.folder / "other"))
    assert f"is in use by process {first.pid}" in other_place and "account PA" in other_place
    assert ended(first, signal.SIGTERM) == 0
    assert any("stopped, 2 positions unwatched, 1 expire today" in text for text in both.messages())


def test_sigint_ends_it_too(both: Pair) -> None:
    both.exchange(MORNING)
    process = both.run()
    both.monitored(0)
    assert ended(process, signal.SIGINT) == 0
    until(lambda: any("stopped, no position is open." in text for text in both.messages()), "the last word")


def test_the_owners_commands(both: Pair) -> None:
    qqq = in_the_money("QQQ", MORNING, 0.03)
    for words in ("status", "flatten", "halt", "resume"):
        alone = both.command(words)
        assert (alone.returncode, alone.stdout) == (1, "")
        assert "is it running?" in alone.stderr and alone.stderr.count("\n") == 1
    both.exchange(MORNING, f"{qqq}=1@22", f"{LATER}=1@14")
    process = both.run()
    both.monitored(2)
    assert qqq in both.command("status").stdout
    assert both.command("halt").returncode == 0
    assert both.health()["pause_reasons"] == ["manual"]
    assert (both.folder / "data" / "halt").exists()
    assert both.command("flatten", "--wait", "10").stdout.startswith("closing 1 positions")
    until(lambda: both.held() == {LATER}, "what expires today is gone")
    assert both.command("flatten", "--wait", "10").stdout.startswith("nothing to close")
    assert both.command("resume").returncode == 0
    assert both.health()["pause_reasons"] == []
    assert not (both.folder / "data" / "halt").exists()
    process.send_signal(signal.SIGUSR1)
    until(lambda: both.health()["pause_reasons"] == ["manual"], "SIGUSR1 halts")
    assert both.command("flatten", "all", "--wait", "10").stdout.startswith("closing 1 positions")
    until(lambda: both.held() == set(), "everything is gone")
    assert process.poll() is None


def test_a_halt_file_made_by_hand_shows_and_outlasts_a_restart(both: Pair) -> None:
    both.exchange(MORNING)
    process = both.run()
    both.monitored(0)
    (both.folder / "data" / "halt").touch()
    until(lambda: both.health()["pause_reasons"] == ["manual"], "the halt shows")
    ended(process, signal.SIGKILL)
    both.run()
    assert both.monitored(0)["pause_reasons"] == ["manual"]
    both.command("resume")
    assert both.health()["pause_reasons"] == []


def test_what_cannot_run_ends_with_one_line_that_names_the_fix(both: Pair) -> None:
    keyless = both.refused(2)
    assert all(word in keyless for word in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "script/demo"))
    both.exchange(MORNING)
    assert "WSB_SNAKE_HTTP_PORT" in both.refused(2, WSB_SNAKE_HTTP_PORT="99999")
    assert "WSB_SNAKE_SCALP_STOP" in both.refused(2, WSB_SNAKE_SCALP_STOP="much")
    assert "WSB_SNAKE_RAISE_LIMITS" in both.refused(2, WSB_SNAKE_MAX_TRADE_DOLLARS="5000")
    port = both.environment["ALPACA_TRADING_URL"].rsplit(":", 1)[1]
    assert f"cannot listen on 127.0.0.1:{port}" in both.refused(2, WSB_SNAKE_HTTP_PORT=port)
    assert "refuses" in both.refused(4, ALPACA_API_KEY="nobody")
    assert "refuses" in both.refused(4, ALPACA_SECRET_KEY="wrong", WSB_SNAKE_CLOCK_START=MORNING)
    elsewhere = both.refused(2, ALPACA_ACCOUNT_NUMBER="PA0000000001")
    assert "ALPACA_ACCOUNT_NUMBER is PA0000000001" in elsewhere


def test_a_data_directory_of_another_account_is_refused(both: Pair) -> None:
    both.exchange(MORNING)
    process = both.run()
    both.monitored(0)
    ended(process, signal.SIGTERM)
    both.exchange(MORNING, seed=8)
    refused = both.refused(2)
    assert "belongs to embedded account PA" in refused and "WSB_SNAKE_DATA_DIR" in refused


def test_a_daemon_that_is_there_before_the_exchange_waits_for_it(both: Pair) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    names = ("ALPACA_TRADING_URL", "ALPACA_DATA_URL", "POLYGON_BASE_URL", "TELEGRAM_BASE_URL")
    process = both.run(
        **dict.fromkeys(names, url),
        ALPACA_STREAM_URL=f"ws://127.0.0.1:{port}/stream",
        ALPACA_API_KEY="embedded-key",
        ALPACA_SECRET_KEY="embedded-secret",
        WSB_SNAKE_CLOCK_START=MORNING,
    )
    until(lambda: "not ready, entries stay blocked" in both.log(), "it says that nobody answers")
    alone = both.health()
    assert (alone["status"], alone["code"]) == ("degraded", 200)
    assert alone["all_positions_monitored"] is False and alone["broker_age_s"] is None
    both.exchange("2026-11-24T11:00:05-05:00", f"{LATER}=1@14", port=port)
    assert both.monitored(1)["code"] == 200
    assert process.poll() is None


def test_an_exchange_that_hangs_does_not_hold_up_the_stop(both: Pair) -> None:
    hung = both.exchange(MORNING, f"{LATER}=1@14")
    process = both.run()
    both.monitored(1)
    hung.send_signal(signal.SIGSTOP)
    until(lambda: both.health()["broker_age_s"] > 11, "every poller waits for an answer")
    assert ended(process, signal.SIGTERM) == 0
