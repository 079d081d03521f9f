"""The real daemon on a restored state: it agrees with the broker first, and enters nothing before resume."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.sim.bench import IWM_CALL, SPY_CALL
from tests.trading.world import World, world
from wsb_snake.core.orders import ExitReason, PositionState
from wsb_snake.daemon_start import directory_lock
from wsb_snake.keeping.backup import back_up
from wsb_snake.keeping.restore import restore
from wsb_snake.trading.alpaca_executor import alpaca_executor

AT = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "data", backup_dir=tmp_path / "backups") as made:
        yield made


def move(w: World, backup: Path, data: Path) -> None:
    """The daemon's machine dies; another one starts from ``backup``."""
    w.crash()
    w.settings = w.settings.model_copy(update={"wsb_snake_data_dir": data})
    restore(w.settings, backup, directory_lock(w.settings), AT)
    w.start()


def test_a_fresh_machine_takes_up_an_open_position_and_closes_it(w: World, tmp_path: Path) -> None:
    before = w.open()
    backup = back_up(w.settings, AT).path
    move(w, backup, tmp_path / "fresh")
    (after,) = w.watched
    assert (after.position_id, after.plan, after.entry_price, after.qty) == (
        before.position_id,
        before.plan,
        before.entry_price,
        before.qty,
    )
    w.price("1.26", "1.30")
    w.until(w.outcomes)
    assert w.outcomes()[0]["exit_reason"] == "target"
    assert w.held() == 0 and len(w.own("sell")) == 1


def test_nothing_is_entered_before_the_owner_resumes(w: World, tmp_path: Path) -> None:
    w.open()
    move(w, back_up(w.settings, AT).path, tmp_path / "fresh")
    assert w.paused() == {"manual"}
    w.run(60)
    assert w.enter(IWM_CALL, "early") is None
    assert any("was restored" in text for text in w.alerts())
    w.restart()
    assert w.paused() == {"manual"} and w.enter(IWM_CALL, "early") is None
    asked = w.daemon.ask("resume", None)
    w.until(asked.done)
    assert w.paused() == set()
    w.open(IWM_CALL, "late")


def test_what_happened_after_the_backup_is_learnt_from_the_broker(w: World, tmp_path: Path) -> None:
    """One position was closed since, another opened, a third has its exit at work."""
    first = w.open()
    backup = back_up(w.settings, AT).path
    alpaca_executor.execute_exit(first.position_id, ExitReason.STOP)
    w.until(w.outcomes)
    second = w.open(IWM_CALL, "two")
    move(w, backup, tmp_path / "fresh")
    w.run(30)
    assert w.position(first.position_id).state is PositionState.CLOSED
    assert [row["position_id"] for row in w.outcomes()] == [first.position_id]
    assert [p.position_id for p in w.watched] == [second.position_id]
    assert (w.watched[0].qty, w.held(SPY_CALL)) == (w.held(IWM_CALL), 0)
    assert len(w.own("sell")) == 1
    assert w.paused() == {"manual"}


def test_an_exit_at_work_is_found_and_not_repeated(w: World, tmp_path: Path) -> None:
    position = w.open()
    backup = back_up(w.settings, AT).path
    w.price("0", "0.90")
    alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
    w.run(5)
    sent = len(w.own("sell"))
    move(w, backup, tmp_path / "fresh")
    w.price("0.88", "0.90")
    w.until(w.outcomes)
    names = [order.client_order_id for order in w.own("sell")]
    assert len(set(names)) == len(names) >= sent
    assert w.held() == 0


def test_the_limits_of_the_day_count_what_the_backup_does_not_know(w: World, tmp_path: Path) -> None:
    backup = back_up(w.settings, AT).path
    spent = w.open()
    move(w, backup, tmp_path / "fresh")
    w.run(10)
    (known,) = w.desk.book.view.orders
    assert known.position_id == spent.position_id
    assert (known.filled_qty, known.filled_avg_price) == (spent.qty, spent.entry_price)
