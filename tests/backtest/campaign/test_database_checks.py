"""What a day leaves in its database: rows that were tampered with are found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.trading.world import World, world
from wsb_snake.backtest.campaign.database_checks import DatabaseChecks, check_deliveries, durable_pauses
from wsb_snake.backtest.campaign.drill_chat import Delivery
from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.core.clock import VirtualClock

AT = datetime(2026, 11, 23, 20, 56, tzinfo=UTC)
P = Promise


@pytest.fixture
def traded(tmp_path: Path) -> Iterator[World]:
    """A position bought and sold, everything read by its consumers."""
    with world(tmp_path) as w:
        position = w.open()
        w.price("1.30", "1.34")
        w.until(lambda: w.position(position.position_id).state == "closed")
        w.run(5)
        yield w


def copied(w: World) -> sqlite3.Connection:
    """A database of its own with the same rows."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with w.database.get_connection() as conn:
        conn.backup(copy)
    copy.row_factory = sqlite3.Row
    return copy


def broken(w: World, *statements: str) -> set[Promise]:
    """What the checks find after ``statements``."""
    findings = Findings(w.clock)
    with closing(copied(w)) as conn:
        for statement in statements:
            assert conn.execute(statement).rowcount > 0, statement
        DatabaseChecks(conn, w.exchange, findings).run()
    return {found.promise for found in findings.violations}


def test_a_day_as_it_should_be(traded: World) -> None:
    findings = Findings(traded.clock)
    with traded.database.get_connection() as conn:
        DatabaseChecks(conn, traded.exchange, findings).run()
    assert findings.violations == []
    assert set(findings.checked) == {P.ONE_OUTCOME, P.CONSUMED_ONCE, P.EXPLAINED}


@pytest.mark.parametrize(
    ("statement", "promise"),
    [
        ("DELETE FROM outcomes", P.ONE_OUTCOME),
        ("UPDATE positions SET state = 'open'", P.ONE_OUTCOME),
        ("UPDATE outcomes SET exit_price = '1.31'", P.ONE_OUTCOME),
        ("UPDATE outcomes SET entry_price = '1.04'", P.ONE_OUTCOME),
        ("UPDATE offsets SET seq = seq - 1 WHERE consumer = 'alerts'", P.CONSUMED_ONCE),
        ("UPDATE trade_performance SET trades = 2", P.CONSUMED_ONCE),
        ("DELETE FROM alerts WHERE number = (SELECT MAX(number) FROM alerts)", P.CONSUMED_ONCE),
        ("DELETE FROM events WHERE kind = 'entry_sent'", P.EXPLAINED),
        ("DELETE FROM events WHERE kind = 'exit_sent'", P.EXPLAINED),
        (
            "UPDATE events SET data = json_remove(data, '$.reason') WHERE kind = 'position_closed'",
            P.EXPLAINED,
        ),
    ],
)
def test_a_row_that_is_wrong(traded: World, statement: str, promise: Promise) -> None:
    assert promise in broken(traded, statement)


def test_contracts_that_nobody_sold_have_no_price_to_compare(traded: World) -> None:
    tampered = "UPDATE outcomes SET exit_price = '0.00'"
    assert broken(traded, tampered, "UPDATE positions SET exit_reason = 'expired'") == set()
    assert broken(traded, tampered) == {P.ONE_OUTCOME}


# proof and pauses


def test_whether_flat_stands_as_proven(traded: World) -> None:
    with closing(copied(traded)) as conn:
        checks = DatabaseChecks(conn, traded.exchange, Findings(traded.clock))
        assert not checks.proven("2026-11-23")
        conn.execute("INSERT INTO eod_runs VALUES ('2026-11-23', 'x', 0, NULL, NULL, '')")
        assert not checks.proven("2026-11-23")
        conn.execute("UPDATE eod_runs SET proven_at = 'y'")
        assert checks.proven("2026-11-23")


def test_pauses_in_the_database(traded: World) -> None:
    traded.desk.pauses.set("manual", "by the test")
    traded.run(1)
    with traded.database.get_connection() as conn:
        assert durable_pauses(conn).keys() == {"manual"}


# the phone


def at(second: int) -> datetime:
    return AT + timedelta(seconds=second)


def alerts(*deliveries: Delivery, deaths: tuple[datetime, ...] = ()) -> list[str]:
    findings = Findings(VirtualClock(AT))
    check_deliveries(deliveries, deaths, findings)
    assert sum(findings.checked.values()) == len(deliveries)
    return [found.text for found in findings.violations]


def test_alerts_in_order() -> None:
    parts = Delivery(at(2), "long (1/2) #2", True), Delivery(at(3), "long (2/2) #2", True)
    assert alerts(Delivery(at(1), "a #1", True), *parts, Delivery(at(4), "c #3", True)) == []


@pytest.mark.parametrize(
    "texts", [("a #1", "c #3"), ("b #2", "a #1"), ("a #2",), ("a #1", "without")], ids=str
)
def test_alerts_left_out_or_out_of_order_or_unnumbered(texts: tuple[str, ...]) -> None:
    assert alerts(*(Delivery(at(n), text, True) for n, text in enumerate(texts))) != []


def test_a_repeat_in_doubt_is_marked() -> None:
    lost = Delivery(at(1), "a #1", False)
    assert alerts(lost, Delivery(at(2), "(repeat) a #1", True)) == []
    assert alerts(lost, Delivery(at(2), "a #1", True)) != []


def test_a_repeat_without_doubt_is_wrong() -> None:
    known = Delivery(at(1), "a #1", True)
    again = Delivery(at(3), "(repeat) a #1", True)
    assert alerts(known, again) != []
    assert alerts(known, again, deaths=(at(2),)) == []
    assert alerts(known, again, deaths=(at(4),)) != []
