"""The daemon's lanes beside the order path: data that fail, signs of life, the owner's verbs, the day."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.sim.bench import AAPL_CALL, SPY_CALL
from tests.trading.world import World, world
from wsb_snake.collectors.market_data import DataUnavailable
from wsb_snake.core.health import Status, verdict
from wsb_snake.core.lane_loop import overdue
from wsb_snake.daemon_owner import CommandRefused
from wsb_snake.daemon_start import StartRefused
from wsb_snake.trading.broker import Unavailable


def scan(w: World, times: int) -> None:
    for _ in range(times):
        w.do(w.daemon.scan)
        w.run(30)


def reasons(w: World) -> list[str]:
    return [pause.reason for pause in w.desk.pauses.listed()]


def owner(w: World, verb: str, argument: str | None = None) -> str:
    return w.do(w.daemon.ask(verb, argument).result)


def test_bars_that_fail_five_times_pause_entries_and_bars_that_come_heal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        w.until(lambda: w.daemon.hunt.names)
        scan(w, 1)
        assert reasons(w) == []

        def broken(*_: Any) -> None:
            raise DataUnavailable("503 from the data vendor")

        with monkeypatch.context() as patch:
            patch.setattr(w.daemon.world.market, "bars", broken)
            scan(w, 4)
            assert reasons(w) == []
            scan(w, 1)
            assert reasons(w) == ["data"]
            assert verdict(w.daemon.facts())[0] is Status.DEGRADED
        scan(w, 1)
        assert reasons(w) == []
        assert w.events("paused")[-1]["count"] == 5


def test_bars_that_stand_still_pause_entries_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "10:00") as w:
        w.until(lambda: w.daemon.hunt.names)
        scan(w, 1)
        monkeypatch.setattr(w.daemon.world.market, "data_age_s", lambda _: 300.0)
        scan(w, 5)
        assert reasons(w) == ["data"]
        assert "it ended 300 s ago" in w.events("paused")[-1]["detail"]


def test_every_lane_shows_signs_of_life_and_none_is_overdue_at_a_dead_broker(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        for name in ("account", "clock", "positions", "open_orders", "orders_since", "calendar"):
            w.broker.always[name] = Unavailable("503")
        w.run(300)
        beats = w.daemon.facts().heartbeats
        specs = [spec for spec in w.daemon.lanes() if spec.name != "scan"]
        assert {spec.name for spec in specs} <= beats.keys()
        assert {"poll-positions", "poll-orders", "poll-account", "senders", "db-writer"} <= beats.keys()
        assert beats["poll-positions"] > 290
        assert overdue(specs, beats, w.daemon.uptime_s(), disk_writes=True) == ()
        assert verdict(w.daemon.facts())[0] is Status.UNHEALTHY


@pytest.mark.parametrize("change", [{"options_level": 0}, {"blocked": True}])
def test_an_account_that_may_buy_nothing_is_refused_only_when_it_holds_nothing(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with world(tmp_path, "10:00") as w:
        account = w.do(w.broker.account)
        w.crash()
        w.start(agree=False)
        w.broker.shown["account"] = replace(account, **change)
        with pytest.raises(StartRefused) as refusal:
            w.agree()
        assert refusal.value.code == 4
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.agree()
        assert reasons(w) == ["reconcile"]
        assert w.enter(AAPL_CALL) is None
        w.price("1.50", "1.54")
        w.until(w.outcomes, 30)
        del w.broker.shown["account"]
        w.until(lambda: reasons(w) == [], 60)
        w.open(AAPL_CALL)
        w.broker.shown["account"] = replace(account, **change)
        w.until(lambda: reasons(w) == ["reconcile"], 60)


def test_an_options_level_that_nobody_tells_blocks_entries_and_refuses_no_start(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        account = w.do(w.broker.account)
        w.crash()
        w.start(agree=False)
        w.broker.shown["account"] = replace(account, options_level=None)
        w.agree()  # holding nothing
        assert w.desk.ready and reasons(w) == ["reconcile"]
        assert "does not say the options level" in w.events("paused")[-1]["detail"]
        assert w.enter(AAPL_CALL) is None
        w.broker.shown["account"] = replace(account, options_level=1)
        w.until(lambda: any("has options level 1" in text for text in w.alerts()), 60)
        assert reasons(w) == ["reconcile"]
        w.broker.shown["account"] = replace(account, options_level=None, blocked=True)
        w.run(40)
        del w.broker.shown["account"]
        w.until(lambda: reasons(w) == [], 60)
        w.open(AAPL_CALL)


def test_cancel_calls_working_entries_back_and_close_sells_one_contract(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        w.open(SPY_CALL)
        w.price("2.00", "2.05", AAPL_CALL)
        working = w.by_hand(AAPL_CALL, "buy", 1, "1.00")
        w.run(20)
        assert owner(w, "cancel").startswith("cancel asked for 0 entries of ours and 1 foreign orders")
        w.until(lambda: w.exchange.order(working.id).status == "canceled")
        assert owner(w, "close", SPY_CALL) == f"closing 1 positions in {SPY_CALL}"
        w.until(lambda: not w.watched)


def test_do_not_exercise_is_refused_with_a_reason_or_sent(tmp_path: Path) -> None:
    with world(tmp_path, "15:00", wsb_snake_cutoff_flatten=False) as w:
        with pytest.raises(CommandRefused):
            owner(w, "dne", SPY_CALL)
        w.exchange.hold(SPY_CALL, 1, w.exchange.quote(SPY_CALL, w.clock.now()).bid)  # type: ignore[union-attr]
        w.until(lambda: w.watched, 60)
        assert "on its way" in owner(w, "dne", SPY_CALL)
        w.until(lambda: w.events("dne_taken") or w.events("dne_refused"))


def test_the_halt_that_the_disk_refuses_holds_until_the_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with world(tmp_path, "10:00") as w:
        monkeypatch.setattr("wsb_snake.core.halt_file.create", full)
        assert "not across a restart (No space left on device)" in owner(w, "halt")
        assert reasons(w) == ["manual"]
        assert w.enter() is None


def test_a_disk_that_hangs_over_the_halt_file_keeps_no_other_command_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path, "10:00") as w:
        w.open(SPY_CALL)
        monkeypatch.setattr("wsb_snake.core.halt_file.create", lambda _: w.hub.sleep(3600))
        assert "not yet across a restart (the disk does not answer)" in owner(w, "halt")
        assert reasons(w) == ["manual"]
        assert "closing 1 positions" in owner(w, "flatten", "0dte")
        w.until(lambda: not w.watched)
        with pytest.raises(CommandRefused, match="still paused: the disk does not answer"):
            owner(w, "resume")
        assert reasons(w) == ["manual"]
        assert w.desk.now() < w.at("10:30")
