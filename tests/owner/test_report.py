import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.owner.books import DAY_BEFORE, LOST, WON, books
from wsb_snake.cli import main
from wsb_snake.core.events import EventKind
from wsb_snake.db import journal
from wsb_snake.owner.report import NothingToReport, report

TUESDAY = date(2026, 11, 24)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "wsb_snake.db"
    conn = books()
    for hour, kind, data in (
        (4, EventKind.STARTED, {"version": "1"}),  # still Monday in New York
        (15, EventKind.FILL, {"symbol": WON.symbol, "price": Decimal("1.50")}),
        (16, EventKind.POSITION_CLOSED, {"symbol": WON.symbol}),
    ):
        journal.append(conn, datetime(2026, 11, 24, hour, tzinfo=UTC), kind, data)
    conn.commit()
    with closing(sqlite3.connect(path)) as target:
        conn.backup(target)
    return path


def test_the_day_of_the_newest_event_is_reported(database: Path) -> None:
    told = report(database, None, journal=False)
    assert told.day == TUESDAY
    assert {trade.position_id for trade in told.trades} == {LOST.position_id, WON.position_id}
    assert sorted(told.trades, key=lambda trade: trade.closed_at) == list(told.trades)
    shown = told.as_json()
    assert "journal" not in shown
    assert shown["sum"]["trades"] == 2 and shown["sum"]["wins"] == 1
    assert Decimal(shown["sum"]["net_pnl"]) == WON.net_pnl + LOST.net_pnl
    assert shown["by_exit_reason"]["stop"]["trades"] == 1
    assert f"net ${WON.net_pnl + LOST.net_pnl:+.2f}" in told.text()


def test_the_journal_of_a_day_is_whole_and_in_order(database: Path) -> None:
    told = report(database, TUESDAY, journal=True)
    assert [(entry["seq"], entry["kind"]) for entry in told.as_json()["journal"]] == [
        (2, "fill"),
        (3, "position_closed"),
    ]
    assert told.as_json()["journal"][0]["data"]["price"] == "1.50"
    lines = told.text().splitlines()
    assert lines[-2].startswith("2 2026-11-24 10:00:00 ET fill {") and "journal: 2 events" in lines
    monday = report(database, date(2026, 11, 23), journal=True)
    assert [trade.position_id for trade in monday.trades] == [DAY_BEFORE.position_id]
    assert [entry.kind for entry in monday.journal or ()] == ["started"]


def test_a_day_without_a_trade(database: Path) -> None:
    told = report(database, date(2026, 11, 20), journal=True)
    assert "no trade was closed" in told.text() and told.as_json()["journal"] == []


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NothingToReport, match="there is no database"):
        report(tmp_path / "none.db", None, journal=False)
    (tmp_path / "bad.db").write_bytes(b"x" * 5000)
    with pytest.raises(NothingToReport, match=r"bad\.db cannot be read"):
        report(tmp_path / "bad.db", None, journal=False)


def test_the_command(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSB_SNAKE_DATA_DIR", str(database.parent))
    assert main(["report", "--date", "2026-11-24", "--journal", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["journal"]) == 2
    assert main(["report"]) == 0
    assert "Tuesday 2026-11-24: 2 trades, 1 won" in capsys.readouterr().out
    monkeypatch.setenv("WSB_SNAKE_DATA_DIR", str(database.parent / "elsewhere"))
    assert main(["report"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
