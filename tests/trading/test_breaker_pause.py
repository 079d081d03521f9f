"""The breaker's pause: what trips, what heals, and that a restart forgets neither."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.sim.bench import IWM_CALL, SPY_CALL, SPY_PUT
from tests.trading.samples import NOON
from tests.trading.world import Trouble, World, world
from wsb_snake.core.circuit_breaker import THRESHOLD, WAIT, CircuitBreaker
from wsb_snake.core.orders import ExitReason
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Fatal, Unavailable
from wsb_snake.trading.desk import SENDS

MINUTE = 60.0


def break_sends(w: World) -> None:
    """Five entries in a row that the broker does not take."""
    w.broker.always["submit"] = Unavailable("refused")
    for n in range(THRESHOLD):
        assert w.enter(signal_id=f"lost {n}") is not None
        w.run(15)
    assert "alpaca" in w.paused()


def test_no_other_group_heals_what_tripped(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        break_sends(w)
        del w.broker.always["submit"]
        w.run(14 * MINUTE)  # positions, orders and account answer all the time
        assert "alpaca" in w.paused()
        assert w.enter(SPY_PUT, "two") is None


def test_after_the_wait_one_entry_tries_and_its_success_heals(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        break_sends(w)
        del w.broker.always["submit"]
        w.run(WAIT.total_seconds() + 5)
        assert w.paused() == set()
        assert "one entry at a time" in w.alerts()[-1]
        assert w.enter(SPY_PUT, "two") is not None
        assert w.enter(IWM_CALL, "three") is None
        assert "tries first" in w.refusals()[-1]
        w.run(30)
        assert w.held(SPY_PUT)
        assert w.enter(IWM_CALL, "four") is not None


def test_a_probe_that_fails_pauses_at_once_and_doubles_the_wait(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        break_sends(w)
        w.run(WAIT.total_seconds() + 5)
        assert w.enter(SPY_PUT, "two") is not None
        w.run(5)
        assert "alpaca" in w.paused()
        again = w.events("paused")[-1]
        assert (again["count"], again["wait_s"], again["doubled"]) == (6, 1800, True)
        assert any("30 minutes (doubled" in text for text in w.alerts())


def test_a_closing_order_that_goes_through_heals_sends(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open(IWM_CALL)
        break_sends(w)
        del w.broker.always["submit"]
        alpaca_executor.execute_exit(held.position_id, ExitReason.MANUAL)
        w.until(lambda: w.paused() == set(), 30)


@pytest.mark.parametrize("early", [True, False])
def test_a_restart_forgets_neither_pause_nor_probe_time(tmp_path: Path, early: bool) -> None:
    with world(tmp_path) as w:
        break_sends(w)
        tripped_at = w.clock.now()
        w.restart()
        assert "alpaca" in w.paused()
        assert w.desk.breaker.tripped == (SENDS,)
        del_at = tripped_at + WAIT - timedelta(seconds=60 if early else -30)
        w.run((del_at - w.clock.now()).total_seconds())
        assert ("alpaca" in w.paused()) is early
        w.run(120)
        assert w.paused() == set()
        assert w.desk.alpaca.on_probation


def test_a_healed_breaker_stays_healed_after_a_restart(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.broker.always["account"] = Unavailable("timed out")
        w.until(lambda: "alpaca" in w.paused(), 400)
        del w.broker.always["account"]
        w.until(lambda: w.paused() == set(), 100)
        w.restart()
        assert w.paused() == set()


def test_a_crash_between_pause_and_state_is_impossible(tmp_path: Path) -> None:
    """Both are in one transaction, with the event."""
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Fatal("HTTP 401: the broker refuses the API keys"))]
        w.enter()
        w.hub.run(lambda: bool(w.rows("SELECT 1 FROM pauses")))
        assert w.rows("SELECT 1 FROM meta WHERE key = 'breaker_alpaca'")
        assert w.events("paused")
        w.restart()
        assert "alpaca" in w.paused()


def test_data_that_fail_five_times_pause_and_fresh_ones_heal(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for n in range(THRESHOLD):
            assert "data" not in w.paused()
            w.desk.data_failed(f"bars are {60 + n} s old")
        assert w.paused() == {"data"}
        w.run(1)
        (told,) = [text for text in w.alerts() if text.startswith("Trading paused")]
        assert told.startswith("Trading paused: 5 consecutive market data failures.")
        assert "bars are 64 s old" in told and "open positions are watched" in told
        assert w.enter() is None
        w.run(20 * MINUTE)
        assert w.paused() == {"data"}
        w.desk.data_answered()
        assert w.paused() == set()
        assert w.desk.breaker.tripped == ()
        w.price("1.00", "1.05", SPY_CALL)
        assert w.enter() is not None


def test_a_probe_is_let_through_only_when_its_group_alone_is_down() -> None:
    breaker = CircuitBreaker()
    for _ in range(THRESHOLD):
        breaker.failure(SENDS, NOON, "reset")
        breaker.failure("orders", NOON, "reset")
    due = NOON + WAIT
    assert not breaker.let_probe(SENDS, due)
    breaker.success("orders", due)
    assert not breaker.let_probe(SENDS, due - timedelta(seconds=1))
    assert breaker.let_probe(SENDS, due) and breaker.shaky(SENDS)
    assert breaker.failure(SENDS, due, "reset") is not None
