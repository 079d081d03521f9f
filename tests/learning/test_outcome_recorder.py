"""Outcomes from rows as the executor writes them, to the cent."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsb_snake.core.clock import SystemClock, from_eastern
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.orders import (
    ExitReason,
    Order,
    OrderStatus,
    OrderType,
    Origin,
    PositionIntent,
    PositionState,
    Purpose,
    Side,
)
from wsb_snake.core.signals import NO_EXITS, ExitPlan
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.migrations import migrate
from wsb_snake.db.records import SignalRecord, insert_signal
from wsb_snake.learning.outcome_recorder import CONSUMER, exit_fill_price, record, record_trade_outcome
from wsb_snake.trading import store
from wsb_snake.trading.positions import Position, Watch

DAY = date(2026, 11, 24)
OPENED = from_eastern(DAY, time(12, 5))
CLOSED = OPENED + timedelta(minutes=7, seconds=30)
SYMBOL = "SPY261124C00501000"
SCALP = ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=2700)

Leg = tuple[int, str]  # quantity and price of one increment


HELD = Position(
    position_id="p1",
    symbol=SYMBOL,
    underlying="SPY",
    expiry=DAY,
    origin=Origin.OURS,
    engine="spy_scalper",
    setup="breakout",
    signal_id="s1",
    state=PositionState.CLOSED,
    plan=SCALP,
    opened_at=OPENED,
    bought_qty=3,
    sold_qty=3,
    entry_price=Decimal("1.25"),
    exit_price=Decimal("1.50"),
    exit_reason=ExitReason.TARGET,
    closed_at=CLOSED,
    watch=Watch(best_mid=Decimal("1.52"), worst_mid=Decimal("1.20")),
)


def write_order(
    conn: sqlite3.Connection, name: str, side: Side, legs: Sequence[Leg], decision: str | None, of: str = "p1"
) -> None:
    order = Order(
        client_order_id=name,
        position_id=of,
        purpose=Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
        symbol=SYMBOL,
        side=side,
        intent=PositionIntent.BUY_TO_OPEN if side is Side.BUY else PositionIntent.SELL_TO_CLOSE,
        type=OrderType.LIMIT,
        qty=sum(qty for qty, _ in legs),
        limit_price=Decimal("1.25"),
        status=OrderStatus.FILLED,
        created_at=OPENED,
        decision_price=None if decision is None else Decimal(decision),
    )
    for qty, price in legs:
        order = replace(order, filled_qty=order.filled_qty + qty)
        store.save_fill(conn, order, qty, Decimal(price), OPENED)
    store.save_order(conn, order)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "wsb_snake.db")
    migrate(connection)
    yield connection
    connection.close()


def closing_event(seq: int = 1, position_id: str = "p1") -> Event:
    return Event(seq, CLOSED, EventKind.POSITION_CLOSED, {"position_id": position_id})


def rows(conn: sqlite3.Connection, table: str) -> list[dict[str, object]]:
    cursor = conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def trade(conn: sqlite3.Connection) -> None:
    """Two at 1.25 and one at 1.26, decided at 1.25; three sold at 1.50, decided at 1.52."""
    store.save_position(conn, HELD)
    write_order(conn, "entry", Side.BUY, [(2, "1.25"), (1, "1.26")], "1.25")
    write_order(conn, "exit", Side.SELL, [(3, "1.50")], "1.52")


def test_an_outcome_to_the_cent(conn: sqlite3.Connection) -> None:
    trade(conn)
    record(conn, closing_event(seq=7))
    (outcome,) = rows(conn, "outcomes")
    r_multiple = outcome.pop("r_multiple")
    assert outcome == {
        "position_id": "p1",
        "signal_id": "s1",
        "event_seq": 7,
        "engine": "spy_scalper",
        "setup": "breakout",
        "symbol": SYMBOL,
        "underlying": "SPY",
        "opened_at": "2026-11-24T17:05:00.000000+00:00",
        "closed_at": "2026-11-24T17:12:30.000000+00:00",
        "qty": 3,
        "entry_price": "1.25333333",
        "exit_price": "1.50",
        "gross_pnl": "74.00",  # 450.00 - 376.00
        "fees": "0.36",  # 3 x 0.05645 + 3 x 0.05974 + 450 x 0.0000206 = 0.35784
        "net_pnl": "73.64",
        "entry_slippage": "0.00333333",
        "exit_slippage": "0.02",
        "mfe": "0.26666667",
        "mae": "-0.05333333",
        "exit_reason": "target",
        "holding_s": 450.0,
        "session_window": "lunch",
        "regime": None,
    }
    assert r_multiple == pytest.approx(73.64 / (0.15 * 376))


def test_the_outcome_is_counted_once(conn: sqlite3.Connection) -> None:
    trade(conn)
    for _ in range(3):
        record(conn, closing_event())
    assert len(rows(conn, "outcomes")) == 1
    (cell,) = rows(conn, "trade_performance")
    assert (cell["engine"], cell["setup"], cell["exit_reason"]) == ("spy_scalper", "breakout", "target")
    assert (cell["trades"], cell["wins"], cell["net_pnl"]) == (1, 1, "73.64")
    assert cell["sum_r"] == pytest.approx(73.64 / 56.4)


def test_cells_add_up(conn: sqlite3.Connection) -> None:
    trade(conn)
    loser = replace(
        HELD, position_id="p2", bought_qty=1, exit_price=Decimal("1.00"), entry_price=Decimal("1.20")
    )
    store.save_position(conn, loser)
    record(conn, closing_event(1))
    record(conn, closing_event(2, "p2"))
    (cell,) = rows(conn, "trade_performance")
    # -20.00 - (0.05645 + 0.05974 + 100 x 0.0000206, rounded up) = -20.12
    assert (cell["trades"], cell["wins"], cell["net_pnl"]) == (2, 1, "53.52")


def test_other_events_change_nothing(conn: sqlite3.Connection) -> None:
    trade(conn)
    for kind in set(EventKind) - {EventKind.POSITION_CLOSED}:
        record(conn, Event(1, CLOSED, kind, {"position_id": "p1"}))
    assert rows(conn, "outcomes") == []
    assert rows(conn, "trade_performance") == []


def test_a_late_fill_rewrites_the_outcome(conn: sqlite3.Connection) -> None:
    """Closed, one more contract bought by an entry that raced its cancel, closed again at the stop."""
    trade(conn)
    record(conn, closing_event(1))
    write_order(conn, "late", Side.BUY, [(1, "1.25")], "1.25")
    store.save_position(conn, replace(HELD, state=PositionState.OPEN, bought_qty=4, closed_at=None))
    record(conn, closing_event(2))  # read late: the position is open again
    assert [row["event_seq"] for row in rows(conn, "outcomes")] == [1]
    write_order(conn, "last", Side.SELL, [(1, "0.75")], "0.80")
    store.save_position(conn, replace(HELD, bought_qty=4, sold_qty=4, exit_reason=ExitReason.STOP))
    record(conn, closing_event(3))
    (outcome,) = rows(conn, "outcomes")
    assert (outcome["event_seq"], outcome["qty"], outcome["gross_pnl"]) == (3, 4, "24.00")
    cells = {row["exit_reason"]: row for row in rows(conn, "trade_performance")}
    assert (cells["target"]["trades"], cells["target"]["wins"], cells["target"]["net_pnl"]) == (0, 0, "0.00")
    assert cells["target"]["sum_r"] == pytest.approx(0)
    assert (cells["stop"]["trades"], cells["stop"]["net_pnl"]) == (1, outcome["net_pnl"])


def test_an_adopted_position_counts_from_the_brokers_average(conn: sqlite3.Connection) -> None:
    adopted = replace(HELD, origin=Origin.FOREIGN_TODAY, engine="adopted", setup="", signal_id=None)
    store.save_position(conn, replace(adopted, entry_price=Decimal("1.30"), exit_reason=ExitReason.EOD))
    write_order(conn, "exit", Side.SELL, [(1, "1.00"), (2, "1.03")], None)
    record(conn, closing_event())
    (outcome,) = rows(conn, "outcomes")
    assert (outcome["entry_price"], outcome["exit_price"], outcome["gross_pnl"]) == ("1.30", "1.02", "-84.00")
    assert (outcome["entry_slippage"], outcome["exit_slippage"]) == (None, None)


@pytest.mark.parametrize(
    ("reason", "exit_price", "gross", "fees"),
    [
        # buys 3 x 0.05645 = 0.16935; sales 3 x 0.05974 and the SEC's part of the proceeds
        (ExitReason.MANUAL_CLOSE, "1.10", "-45.00", "0.36"),
        (ExitReason.BROKER_LIQUIDATION, "1.10", "-45.00", "0.36"),
        (ExitReason.EXPIRED, "0", "-375.00", "0.17"),
        (ExitReason.EXERCISED, "2.00", "225.00", "0.17"),
    ],
)
def test_ends_that_we_did_not_make(
    conn: sqlite3.Connection, reason: ExitReason, exit_price: str, gross: str, fees: str
) -> None:
    store.save_position(conn, replace(HELD, exit_price=Decimal(exit_price), exit_reason=reason))
    write_order(conn, "entry", Side.BUY, [(3, "1.25")], "1.25")
    record(conn, closing_event())
    (outcome,) = rows(conn, "outcomes")
    assert (outcome["gross_pnl"], outcome["fees"], outcome["exit_reason"]) == (gross, fees, reason)


def test_partly_sold_by_us_and_partly_expired(conn: sqlite3.Connection) -> None:
    """The position's average covers both ways out; only our sale pays a sale's fees."""
    half = replace(HELD, bought_qty=2, sold_qty=2, exit_price=Decimal("0.50"), exit_reason=ExitReason.EXPIRED)
    store.save_position(conn, half)
    write_order(conn, "entry", Side.BUY, [(2, "1.25")], "1.25")
    write_order(conn, "exit", Side.SELL, [(1, "1.00")], "1.00")
    record(conn, closing_event())
    (outcome,) = rows(conn, "outcomes")
    assert (outcome["exit_price"], outcome["gross_pnl"]) == ("0.50", "-150.00")
    assert outcome["fees"] == "0.18"  # 2 x 0.05645 + 0.05974 + 0.00103 = 0.17367


def test_without_a_known_exit_the_premium_is_lost_and_teaches_nothing(conn: sqlite3.Connection) -> None:
    store.save_position(conn, replace(HELD, exit_price=None, exit_reason=ExitReason.UNEXPLAINED))
    record(conn, closing_event())
    (outcome,) = rows(conn, "outcomes")
    assert (outcome["gross_pnl"], outcome["r_multiple"]) == ("-375.00", None)
    assert rows(conn, "trade_performance")[0]["sum_r"] == 0


def test_without_a_stop_the_premium_is_the_risk(conn: sqlite3.Connection) -> None:
    trade(conn)
    store.save_position(conn, replace(HELD, plan=NO_EXITS))
    record(conn, closing_event())
    assert rows(conn, "outcomes")[0]["r_multiple"] == pytest.approx(73.64 / 376)


@pytest.mark.parametrize(
    ("watch", "mfe", "mae"),
    [
        (Watch(), None, None),
        (Watch(best_mid=Decimal("1.24"), worst_mid=Decimal("1.24")), "0.00", "-0.01"),
        (Watch(best_mid=Decimal("1.40"), worst_mid=Decimal("1.30")), "0.15", "0.00"),
    ],
)
def test_excursions_start_at_the_entry(
    conn: sqlite3.Connection, watch: Watch, mfe: str | None, mae: str | None
) -> None:
    store.save_position(conn, replace(HELD, watch=watch))
    record(conn, closing_event())
    (outcome,) = rows(conn, "outcomes")
    assert (outcome["mfe"], outcome["mae"]) == (mfe, mae)


def test_an_end_without_a_position_is_loud(conn: sqlite3.Connection) -> None:
    with pytest.raises(LookupError, match="p1"):
        record(conn, closing_event())
    with pytest.raises(LookupError, match="p1"):
        record_trade_outcome(conn, "p1", Decimal(1), 1)
    assert exit_fill_price(conn, "p1") is None


def test_a_position_that_was_never_bought_has_no_outcome(conn: sqlite3.Connection) -> None:
    store.save_position(conn, replace(HELD, bought_qty=0, entry_price=None))
    with pytest.raises(ValueError, match="never bought"):
        record(conn, closing_event())


cents = st.integers(1, 2000)
legs = st.lists(st.tuples(st.integers(1, 20), cents), min_size=1, max_size=5)


def split(qty: int, parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """``parts`` cut or stretched so that they add up to ``qty``."""
    found: list[tuple[int, int]] = []
    for size, price in parts:
        size = min(size, qty - sum(done for done, _ in found))
        if size:
            found.append((size, price))
    rest = qty - sum(done for done, _ in found)
    return [*found, (rest, parts[-1][1])] if rest else found


@settings(derandomize=True, max_examples=60, deadline=None)
@given(legs, legs)
def test_profit_is_what_the_fills_paid_and_received(
    buys: list[tuple[int, int]], sells: list[tuple[int, int]]
) -> None:
    """In whole cents, worked out without a division."""
    qty = sum(size for size, _ in buys)
    sells = split(qty, sells)
    conn = sqlite3.connect(":memory:")
    migrate(conn)
    store.save_position(conn, replace(HELD, bought_qty=qty, sold_qty=qty))
    for name, side, parts in (("entry", Side.BUY, buys), ("exit", Side.SELL, sells)):
        write_order(conn, name, side, [(size, str(Decimal(price) / 100)) for size, price in parts], None)
    record(conn, closing_event())
    (outcome,) = rows(conn, "outcomes")
    gross = sum(size * price for size, price in sells) - sum(size * price for size, price in buys)
    assert outcome["gross_pnl"] == str(Decimal(gross).quantize(Decimal("0.01")))
    from_prices = (Decimal(str(outcome["exit_price"])) - Decimal(str(outcome["entry_price"]))) * qty * 100
    assert from_prices.quantize(Decimal("0.01")) == gross
    assert Decimal(str(outcome["net_pnl"])) == gross - Decimal(str(outcome["fees"]))
    conn.close()


def test_as_a_consumer_of_the_journal(tmp_path: Path) -> None:
    """Through the real writer: events are handled in order, once, also by a consumer that starts anew."""
    database = Database(tmp_path / "wsb_snake.db", ThreadLanes(SystemClock()))
    database.open()
    try:

        def executor(conn: sqlite3.Connection) -> None:
            trade(conn)
            at: datetime = CLOSED
            journal.append(conn, at, EventKind.FILL, {"position_id": "p1"})
            journal.append(conn, at, EventKind.POSITION_CLOSED, {"position_id": "p1"})

        database.transact(executor).result(5)
        assert journal.Consumer(database, CONSUMER, record).catch_up() == 2
        assert journal.Consumer(database, CONSUMER, record).catch_up() == 0
        with database.get_connection() as conn:
            assert [row["net_pnl"] for row in rows(conn, "outcomes")] == ["73.64"]
            assert [row["trades"] for row in rows(conn, "trade_performance")] == [1]
    finally:
        database.close()


@pytest.mark.parametrize(
    ("evidence", "regime"), [({"regime": "calm"}, "calm"), ({}, None), ({"regime": 7}, None)]
)
def test_the_regime_is_that_of_the_signal(
    conn: sqlite3.Connection, evidence: dict[str, object], regime: str | None
) -> None:
    trade(conn)
    signal = SignalRecord(
        signal_id="s1",
        at=OPENED,
        engine="spy_scalper",
        setup="breakout",
        ticker="SPY",
        direction="long",
        confidence=75,
        price=501.0,
        evidence=evidence,
        verdict="executed",
    )
    insert_signal(conn, signal)
    record(conn, closing_event())
    assert rows(conn, "outcomes")[0]["regime"] == regime
