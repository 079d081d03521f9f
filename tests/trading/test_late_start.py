"""A database that opens after the daemon has adopted: nothing counts twice, nothing stored is forgotten."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL, SPY_LATER
from tests.trading.samples import position
from tests.trading.world import Trouble, World, world
from wsb_snake.core.orders import ExitReason, OrderStatus, PositionState
from wsb_snake.core.signals import ExitPlan
from wsb_snake.daemon import Daemon
from wsb_snake.daemon_start import StartRefused
from wsb_snake.db.database import Database
from wsb_snake.trading import flatten_memory, store
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.book import BookView
from wsb_snake.trading.broker import Unavailable, Unknown
from wsb_snake.trading.day_worth import DayWorth
from wsb_snake.trading.flatten_memory import Asked, FlattenMemory
from wsb_snake.trading.flattening import LATE
from wsb_snake.trading.late_start import continuing
from wsb_snake.trading.positions import Position, Watch, sold
from wsb_snake.trading.risk_governor import Brought, day_pnl


def start_without_database(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Database, "open", lambda *_: None)
        patch.setattr(Daemon, "load", lambda _: None)
        w.start()
    w.run(10)
    assert not w.database.writable()


def open_late(w: World) -> None:
    w.do(lambda: w.database.open(w.daemon.take_up))
    w.run(5)


def of_another(conn: sqlite3.Connection) -> None:
    conn.execute("UPDATE meta SET value = 'PA9' WHERE key = 'account'")


def reasons(w: World) -> list[str]:
    return [pause.reason for pause in w.desk.pauses.listed()]


def test_the_old_row_is_continued_by_what_was_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.by_hand(SPY_CALL, "buy", 2)
        w.until(lambda: w.watched, 60)
        (old,) = w.watched
        w.desk.pauses.set("manual", "halted by the owner")
        w.run(1)
        w.crash()
        start_without_database(w, monkeypatch)
        (heir,) = w.watched
        assert heir.position_id != old.position_id and heir.qty == old.qty
        assert reasons(w) == ["journal"]
        open_late(w)
        assert reasons(w) == ["manual"]
        assert [p.position_id for p in w.watched] == [heir.position_id]
        rows = {row["position_id"]: row for row in w.rows("SELECT * FROM positions")}
        assert (rows[old.position_id]["state"], rows[old.position_id]["qty"]) == ("void", 0)
        assert rows[old.position_id]["note"] == f"continued as {heir.position_id}"
        assert (rows[heir.position_id]["state"], rows[heir.position_id]["qty"]) == ("open", old.qty)
        w.price("1.50", "1.54")
        w.until(w.outcomes)
        assert len(w.outcomes()) == 1


def test_todays_end_is_taken_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "15:54:50") as w:
        w.to("15:55:30")
        assert w.desk.eod is not None and w.desk.eod.proven_at is not None
        ran_at = w.desk.eod.ran_at
        w.crash()
        start_without_database(w, monkeypatch)
        open_late(w)
        assert [row["ran_at"] for row in w.rows("SELECT ran_at FROM eod_runs")] != []
        assert w.desk.eod is not None and w.desk.eod.ran_at is not None and ran_at is not None
        assert w.desk.eod.ran_at >= ran_at


def test_a_database_of_another_account_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.crash()
        start_without_database(w, monkeypatch)
        w.by_hand(SPY_CALL, "buy", 1)
        w.until(lambda: w.watched, 60)
        changed = Database(w.settings.db_path, w.hub)
        w.do(lambda: changed.open(of_another))
        w.do(changed.close)
        with pytest.raises(StartRefused, match="belongs to embedded account PA9"):
            open_late(w)
        assert w.rows("SELECT * FROM positions") == []


def test_a_position_of_ours_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        old = w.open(SPY_CALL)
        w.crash()
        start_without_database(w, monkeypatch)
        open_late(w)
        assert [row["position_id"] for row in w.rows("SELECT position_id FROM positions")] == [
            old.position_id
        ]
        assert [p.qty for p in w.watched] == [old.qty]


def test_an_entry_that_never_arrived_is_looked_up_and_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"), seconds=3)]
        order = w.enter()
        assert order is not None
        w.run(2)
        w.crash()
        start_without_database(w, monkeypatch)
        open_late(w)
        w.until(lambda: w.position(order.position_id).state is PositionState.VOID, 60)
        assert [o.status for o in w.desk.book.view.orders] == [OrderStatus.NEVER_SENT]
        w.open(signal_id="two")


def test_the_breaker_is_taken_up_with_its_pause_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        for _ in range(5):
            w.desk.broker_failed("account", Unavailable("timed out"))
        w.run(0.2)
        assert w.paused() == {"alpaca"}
        w.crash()
        start_without_database(w, monkeypatch)
        open_late(w)
        w.until(lambda: w.paused() == set(), 60)


def test_a_flatten_of_before_sells_what_was_held_then_though_a_pass_falls_into_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was adopted meanwhile has its age from its row only."""
    w = World(tmp_path)
    w.exchange.hold(SPY_LATER, 2, Decimal("2.00"))
    w.start()
    w.until(lambda: w.watched)
    w.crash()
    told = FlattenMemory()  # the process died before it had claimed anything
    told.remember(None, Asked(ExitReason.FLATTEN, w.clock.now()), w.market.day)
    with closing(sqlite3.connect(w.settings.db_path)) as conn, conn:
        flatten_memory.save(conn, told.text(w.market.day))
    start_without_database(w, monkeypatch)
    w.run(700)
    read = store.load_positions

    def slowly(conn: sqlite3.Connection, since: datetime) -> list[Position]:
        w.daemon.monitor_once()
        return read(conn, since)

    monkeypatch.setattr(store, "load_positions", slowly)
    open_late(w)
    w.until(lambda: not w.held(SPY_LATER), 60)
    w.run(60)
    assert w.desk.flatten.unread == {}
    assert [event["what"] for event in w.events("error") if event["what"] == LATE] == []
    w.check()
    w.crash()


def test_what_has_tripped_since_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        w.crash()
        start_without_database(w, monkeypatch)
        for _ in range(5):
            w.desk.broker_failed("sends", Unavailable("timed out"))
        open_late(w)
        assert w.paused() == {"alpaca"} and w.desk.breaker.tripped == ("sends",)


def test_a_decided_exit_and_the_stored_plan_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = ExitPlan(half_at=Decimal("0.5"), trail=Decimal("0.2"))
    with world(tmp_path) as w:
        old = w.open(plan=runner)
        w.broker.always["submit"] = Unavailable("no route")
        alpaca_executor.close_all()
        w.run(8)
        w.crash()
        start_without_database(w, monkeypatch)
        (found,) = w.watched
        assert found.position_id == old.position_id
        assert (found.plan == runner, found.state) == (False, PositionState.OPEN)
        w.do(lambda: w.database.open(w.daemon.take_up))
        (found,) = w.watched
        assert (found.plan, found.opened_at) == (runner, old.opened_at)
        assert (found.state, found.exit_reason, found.to_sell) == (
            PositionState.EXITING,
            ExitReason.FLATTEN,
            old.qty,
        )
        w.until(w.outcomes, 30)


ROW = position(
    position_id="old",
    state=PositionState.EXITING,
    exit_reason=ExitReason.PARTIAL,
    plan=ExitPlan(half_at=Decimal("0.5"), trail=Decimal("0.2")),
    qty=4,
    to_sell=2,
    watch=Watch(high_bid=Decimal("2.00"), worst_mid=Decimal("0.90")),
)
HEIR = position(
    position_id="heir",
    opened_at=ROW.opened_at + timedelta(minutes=9),
    watch=Watch(high_bid=Decimal("1.50"), worst_mid=Decimal("1.20")),
    qty=4,
)


def test_the_heir_has_the_plan_the_past_and_the_claim_of_its_row() -> None:
    got = continuing(HEIR, [ROW])
    assert (got.position_id, got.plan, got.opened_at) == ("heir", ROW.plan, ROW.opened_at)
    assert got.watch == Watch(high_bid=Decimal("2.00"), worst_mid=Decimal("0.90"))
    assert (got.state, got.exit_reason, got.to_sell) == (PositionState.EXITING, ExitReason.PARTIAL, 2)
    assert not got.half_sold


@pytest.mark.parametrize(("held", "to_sell"), [(3, 1), (2, 0)])
def test_what_has_gone_since_was_of_what_was_to_be_sold(held: int, to_sell: int) -> None:
    got = continuing(replace(HEIR, qty=held), [ROW])
    assert (got.to_sell, got.half_sold) == (to_sell, to_sell == 0)
    assert got.state is (PositionState.EXITING if to_sell else PositionState.OPEN)


def test_claims_of_several_rows_add_up_and_a_larger_own_one_stays() -> None:
    whole = replace(ROW, exit_reason=ExitReason.FLATTEN, qty=2, to_sell=2)
    assert continuing(HEIR, [whole, replace(whole, position_id="other")]).to_sell == 4
    own = replace(HEIR, state=PositionState.EXITING, exit_reason=ExitReason.STOP, to_sell=4)
    assert continuing(own, [ROW]).exit_reason is ExitReason.STOP


def test_a_row_without_a_claim_leaves_the_heir_s_state_alone() -> None:
    got = continuing(HEIR, [replace(ROW, state=PositionState.OPEN, exit_reason=None, half_sold=True)])
    assert (got.state, got.half_sold, got.to_sell) == (PositionState.OPEN, True, 0)


def test_what_was_over_before_the_start_is_not_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        position = w.open()
        foreign = w.exchange.close_position(SPY_CALL)
        w.until(lambda: w.position(position.position_id).state == "closed", 60)
        assert foreign.qty == position.qty
        w.until(w.outcomes)
        w.crash()
        start_without_database(w, monkeypatch)
        w.run(60)
        assert w.watched == ()
        assert w.own("sell") == []
        open_late(w)
        assert len(w.outcomes()) == 1
        assert [row["state"] for row in w.rows("SELECT state FROM positions")] == ["closed"]


def begun_with(w: World, symbol: str, qty: int, cost: str) -> None:
    """Held from before the start, and looked at twice."""
    w.exchange.hold(symbol, qty, Decimal(cost))
    w.start()
    w.until(lambda: w.desk.worth.brought)


def without_database_for_a_while(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    w.crash()
    start_without_database(w, monkeypatch)
    w.run(30)
    open_late(w)
    w.run(30)


def test_the_day_s_result_goes_on_from_where_it_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = World(tmp_path)
    w.price("11.98", "12.02")
    begun_with(w, SPY_CALL, 3, "14.00")
    w.price("12.08", "12.12")
    w.run(30)
    assert alpaca_executor.day_pnl() == 30
    without_database_for_a_while(w, monkeypatch)
    assert alpaca_executor.day_pnl() == 30
    w.restart()
    w.run(30)
    assert alpaca_executor.day_pnl() == 30
    w.price("12.18", "12.22")
    w.run(30)
    assert alpaca_executor.day_pnl() == 60
    w.crash()


def test_an_old_gain_is_no_loss_of_a_day_whose_database_opens_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = World(tmp_path)
    w.price("7.98", "8.02", SPY_LATER)
    w.exchange.hold(SPY_LATER, 1, Decimal(1))
    w.start()
    w.until(lambda: w.watched)
    with w.desk.book.change() as commit:
        plan = ExitPlan(target=Decimal(20), stop=Decimal("0.5"))
        commit.change.position(replace(w.watched[0], plan=plan))
    w.until(lambda: w.desk.worth.brought)
    without_database_for_a_while(w, monkeypatch)
    assert alpaca_executor.day_pnl() == 0
    assert w.paused() == set()
    w.crash()


@pytest.mark.parametrize("watched", [True, False])
def test_what_was_sold_before_and_meanwhile_stays_in_the_day_s_result(watched: bool) -> None:
    """Three of an earlier day at 14 dollars, 12 at the day's first mid: one goes at 12.50 with the database,
    one or two at 11 without."""
    start, first, now = ROW.opened_at - timedelta(hours=9), Decimal("12.00"), Decimal("11.00")
    row = replace(
        ROW, signal_id=None, bought_qty=3, qty=3, entry_price=Decimal("14.00"), state=PositionState.OPEN
    )
    earlier = {"old": Brought(row.unrealised(first), first)}
    row = sold(row, 1, Decimal("12.50"))
    heir = replace(HEIR, signal_id=None, bought_qty=2, qty=2, entry_price=Decimal("14.00"))
    heir = sold(heir, 1 if watched else 2, now)
    worth = DayWorth()
    worth.brought = {**earlier, "heir": Brought(heir.realised(), now)}
    worth.passed_on(earlier, [row], heir)
    ended = replace(row, state=PositionState.VOID, qty=0)
    view = BookView((ended, heir))
    made = day_pnl((ended, heir), {heir.symbol: now}, view, start, worth.brought)
    assert made == 50 - 200
    again = DayWorth()
    again.passed_on(
        {"heir": earlier["old"]}, [replace(row, position_id="heir")], heir
    )  # a row that kept its name
    assert day_pnl((heir,), {heir.symbol: now}, BookView((heir,)), start, again.brought) == -200
    again.passed_on({}, [row], heir)
    assert again.brought.keys() == {"heir"}
