"""Rows mirror their tables and come back as they went in."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest

from wsb_snake.db.database import Database
from wsb_snake.db.records import OutcomeRecord, PaperTradeRecord, Record, SignalRecord, insert_signal

PAPER = PaperTradeRecord(
    paper_id="p-1",
    signal_id="s-1",
    symbol="SPY261124C00500000",
    opened_at=datetime(2026, 11, 24, 15, tzinfo=UTC),
    entry_price=Decimal("0.80"),
    why_not="too dear",
)


@pytest.mark.parametrize(
    ("table", "record"),
    [("signals", SignalRecord), ("outcomes", OutcomeRecord), ("paper_trades", PaperTradeRecord)],
)
def test_a_record_has_its_tables_columns_in_order(
    database: Database, table: str, record: type[Record]
) -> None:
    with database.get_connection() as conn:
        columns = [row["name"] for row in conn.execute(f"PRAGMA table_info({table})")]
    assert [column.name for column in fields(record)] == columns


def test_a_signal_as_it_stands_in_its_row(
    database: Database, make_signal: Callable[[str], SignalRecord]
) -> None:
    database.save_signal(make_signal("s-1")).result(10)
    with database.get_connection() as conn:
        assert dict(conn.execute("SELECT * FROM signals").fetchone()) == {
            "signal_id": "s-1",
            "at": "2026-11-24T14:30:00.000000+00:00",
            "engine": "spy_scalper",
            "setup": "vwap_reclaim",
            "ticker": "SPY",
            "direction": "call",
            "confidence": 71.5,
            "price": 501.25,
            "evidence": '{"vwap":"500.10","since":"2026-11-24T14:30:00.000000+00:00"}',
            "verdict": "traded",
            "reason": "",
            "position_id": None,
        }


def test_money_of_an_outcome_is_exact_text(
    database: Database, make_outcome: Callable[[str], OutcomeRecord]
) -> None:
    database.save_outcome(make_outcome("o-1")).result(10)
    with database.get_connection() as conn:
        row = conn.execute("SELECT net_pnl, mfe, mae, r_multiple, closed_at FROM outcomes").fetchone()
    assert tuple(row) == ("47.92", "0.31", None, None, "2026-11-24T14:42:00.000000+00:00")


def test_saving_again_replaces_the_row(database: Database) -> None:
    closed_at = datetime(2026, 11, 24, 15, 45, tzinfo=UTC)
    database.save_paper_trade(PAPER)
    closed = replace(PAPER, closed_at=closed_at, exit_price=Decimal("1.00"), exit_reason="target")
    database.save_paper_trade(closed).result(10)
    with database.get_connection() as conn:
        rows = conn.execute("SELECT entry_price, exit_price, exit_reason FROM paper_trades").fetchall()
    assert [tuple(row) for row in rows] == [("0.80", "1.00", "target")]


def test_a_traded_signal_is_not_replaced_by_one_that_is_not(
    database: Database, make_signal: Callable[[str], SignalRecord]
) -> None:
    watched = replace(make_signal("s-1"), verdict="watched", reason="paused")
    traded = replace(watched, verdict="executed", reason="", position_id="p-1")
    again = replace(traded, position_id="p-2")
    told = [
        database.transact(partial(insert_signal, signal=each)).result(10)
        for each in (watched, traded, watched, again)
    ]
    assert told == [True, True, False, True]
    with database.get_connection() as conn:
        rows = conn.execute("SELECT verdict, position_id FROM signals").fetchall()
    assert [tuple(row) for row in rows] == [("executed", "p-2")]


def test_a_record_that_cannot_be_written_fails_alone(
    database: Database, make_signal: Callable[[str], SignalRecord]
) -> None:
    naive = database.save_signal(replace(make_signal("bad"), at=datetime(2026, 11, 24)))
    good = database.save_signal(make_signal("good"))
    with pytest.raises(ValueError, match="time zone"):
        naive.result(10)
    good.result(10)
    with database.get_connection() as conn:
        assert [row[0] for row in conn.execute("SELECT signal_id FROM signals")] == ["good"]
