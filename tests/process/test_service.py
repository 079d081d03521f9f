"""The daemon as a service: it comes back from SIGKILL, a frozen monitor and ``flatten --direct``, and watches
what is open."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.pair import Pair, bought, in_the_money, pair, until
from tests.process.supervisor import Supervisor
from wsb_snake.flatten import UNWATCHED

pytestmark = pytest.mark.timeout(300)

MORNING = "2026-11-24T11:00:00-05:00"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as processes:
        yield processes


def supervised(both: Pair) -> Supervisor:
    return Supervisor(both.folder / "notify", lambda place: both.run(NOTIFY_SOCKET=place))


@pytest.mark.slow
def test_after_a_sigkill_it_runs_and_watches_again(both: Pair) -> None:
    both.exchange(MORNING, bought("SPY", MORNING, 2))
    with supervised(both) as systemd:
        until(lambda: systemd.ready, "READY")
        both.monitored(1)
        assert systemd.process is not None
        systemd.process.send_signal(signal.SIGKILL)
        until(lambda: systemd.starts == 2 and systemd.ready, "READY again")
        both.monitored(1)
        assert systemd.results == ["signal 9"]


@pytest.mark.slow
def test_a_frozen_monitor_is_ended_and_what_is_open_is_watched_again(both: Pair) -> None:
    both.program = ("-m", "tests.process.frozen_daemon")
    both.exchange(MORNING, bought("SPY", MORNING, 2))
    freeze = both.folder / "data" / "freeze"
    with supervised(both) as systemd:
        until(lambda: systemd.ready, "READY")
        both.monitored(1)
        freeze.touch()
        until(lambda: systemd.results, "the watchdog strikes", 150)
        freeze.unlink()
        until(lambda: systemd.ready, "READY again")
        both.monitored(1)
        assert systemd.results == ["watchdog"]


@pytest.mark.slow
def test_it_comes_back_when_flatten_direct_has_let_go_of_the_lock(both: Pair) -> None:
    """While that sells each start finds the lock taken; what expires later is watched again afterwards."""
    today = in_the_money("QQQ", MORNING, 0.03)
    both.exchange(MORNING, f"{today}=2@22", "SPY261218C00820000=1@14")
    with supervised(both) as systemd:
        until(lambda: systemd.ready, "READY")
        both.monitored(2)
        assert systemd.process is not None
        systemd.process.send_signal(signal.SIGSTOP)
        done = both.configured("flatten", "--direct")
        assert done.returncode == 0 and done.stdout.splitlines()[-1] == UNWATCHED, done.stdout + done.stderr
        until(lambda: systemd.ready or systemd.failed, "READY again")
        assert both.monitored(1)["pause_reasons"] == ["manual"]
        first, *locked = systemd.results
        assert first == "signal 9" and set(locked) == {"exit-code 3"}


def test_a_bad_configuration_is_not_tried_again(both: Pair) -> None:
    both.environment["WSB_SNAKE_MAX_POSITIONS"] = "many"
    with supervised(both) as systemd:
        until(lambda: systemd.failed, "it is given up")
        assert (systemd.starts, systemd.results) == (1, ["exit-code 2"])
