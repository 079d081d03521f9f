"""The trade stream: down, connected and mute, well again."""

from pathlib import Path

from tests.sim.bench import SPY_PUT
from tests.trading.world import World, world
from wsb_snake.core.orders import ExitReason
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerOrder
from wsb_snake.trading.stream_watch import CLEAN_AFTER_RECONNECT, CLEAN_WITHOUT


def mute(w: World) -> bool:
    return w.desk.stream_mute


def go_mute(w: World) -> None:
    """The stream stays connected and tells nothing of an entry's fill."""
    w.run(20)
    w.lose_updates = True
    w.open()
    w.until(lambda: mute(w), 30)


def test_a_stream_that_tells_nothing_of_what_polling_shows_is_mute(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.run(20)
        w.lose_updates = True
        w.open()
        w.run(10)
        assert not mute(w)
        w.run(10)
        assert w.desk.stream_up and mute(w)
        assert w.paused() == {"stream"}
        assert any("mute" in text for text in w.alerts())
        assert w.enter(SPY_PUT, "two") is None
        polls = [at for name, at, _ in w.broker.calls if name == "open_orders"]
        w.run(20)
        now = [at for name, at, _ in w.broker.calls if name == "open_orders"]
        assert len(now) - len(polls) >= 8


def test_a_message_heals_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        go_mute(w)
        w.lose_updates = False
        alpaca_executor.close_all(ExitReason.FLATTEN)
        w.until(lambda: w.paused() == set(), 10)
        assert not mute(w)


def test_a_reconnect_heals_it_after_a_clean_minute_only(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        go_mute(w)
        w.daemon.take_stream_state(False)
        w.run(1)
        w.daemon.take_stream_state(True)
        w.run(CLEAN_AFTER_RECONNECT.total_seconds() - 10)
        alpaca_executor.close_all(ExitReason.FLATTEN)  # told by nobody again: not clean
        w.run(30)
        assert w.held() == 0 and mute(w)
        w.run(CLEAN_AFTER_RECONNECT.total_seconds())
        assert not mute(w) and w.paused() == set()


def test_without_a_reconnect_it_is_given_another_chance_much_later(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        go_mute(w)
        w.run(CLEAN_WITHOUT.total_seconds() - 30)
        assert mute(w)
        w.run(60)
        assert w.paused() == set()


def test_what_happened_while_it_was_down_it_need_not_tell(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.run(20)
        w.daemon.take_stream_state(False)
        w.lose_updates = True
        w.run(1)
        w.price("1.00", "1.05")
        w.daemon.take_stream_state(True)
        w.run(0.5)
        w.open()
        w.run(60)
        assert not mute(w) and w.paused() == set()


def test_a_stream_that_is_down_for_half_a_minute_pauses(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.daemon.take_stream_state(False)
        w.run(25)
        assert w.paused() == set()
        assert w.enter() is None
        w.run(25)  # idle, the monitor passes every 15 s
        assert w.paused() == {"stream"}
        w.daemon.take_stream_state(True)
        w.run(1)
        assert w.paused() == set()


def test_a_look_up_that_shows_what_was_not_told_counts_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.run(20)
        held = w.open()
        w.lose_updates = True
        none: tuple[BrokerOrder, ...] = ()
        w.broker.shown["open_orders"] = none
        alpaca_executor.execute_exit(held.position_id, ExitReason.STOP)
        w.until(w.outcomes, 20)
        w.until(lambda: mute(w), 30)
