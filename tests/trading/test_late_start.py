"""A database that opens after the daemon has adopted: nothing counts twice, nothing stored is forgotten."""

import sqlite3
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL
from tests.trading.world import World, world
from wsb_snake.daemon import Daemon
from wsb_snake.daemon_start import StartRefused
from wsb_snake.db.database import Database


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
