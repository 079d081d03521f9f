"""What the database tells the owner."""

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal

from tests.owner.books import MONDAY, OPENED, TUESDAY, books
from wsb_snake.owner import ledger


def test_the_curve_adds_up_from_the_oldest_trade() -> None:
    points = ledger.curve(books(), MONDAY, TUESDAY)
    assert [point.total for point in points] == [Decimal("5.00"), Decimal("44.80"), Decimal("29.70")]
    assert points[0].at == datetime(2026, 11, 24, 4, 59, tzinfo=UTC)


def test_signals_come_newest_first_and_by_ticker() -> None:
    conn = books()
    assert [s.signal_id for s in ledger.signals(conn, TUESDAY, TUESDAY)] == ["s-won", "s-seen"]
    (seen,) = ledger.signals(conn, TUESDAY, TUESDAY, "SPY")
    assert (seen.at, seen.confidence, seen.reason) == (OPENED, 64.0, "confidence 64 is too low")
    assert ledger.signals(conn, MONDAY, MONDAY) == ()
    assert len(ledger.signals(conn, TUESDAY, TUESDAY, limit=1)) == 1


def test_days_performance_weights_and_orders_are_read_back() -> None:
    conn = books()
    conn.executescript(
        """
        INSERT INTO daily_summaries VALUES ('2026-11-24', 2, 1, 1, '24.70', '0.30', '{"session":"x"}', 'y');
        INSERT INTO daily_summaries VALUES ('2026-11-23', 1, 1, 0, '5.00', '0.10', '{}', 'y');
        INSERT INTO trade_performance VALUES ('spy_scalper', 'vwap', 'target', 2, 2, '44.80', 1.5);
        INSERT INTO trade_performance VALUES ('spy_scalper', 'vwap', 'stop', 0, 0, '0.00', 0.0);
        INSERT INTO model_weights (feature, version, weight, trades, at, why)
            VALUES ('surge', 1, 0.35, 1, '2026-11-23T15:00:00.000000+00:00', 'old'),
                   ('surge', 2, 0.40, 2, '2026-11-24T15:00:00.000000+00:00', 'new');
        INSERT INTO orders VALUES ('wsb-1', 'p-won', 'entry', 'SPY261124C00600000', 'buy', 'buy_to_open',
            'limit', 2, '1.01', 'filled', 1, '', NULL, '2026-11-24T15:00:00.000000+00:00', NULL, NULL, NULL,
            2, '1.00', '1.00', '');
        """
    )
    newest, older = ledger.daily_rows(conn, MONDAY, TUESDAY)
    assert (newest.session, newest.net_pnl, newest.detail) == (TUESDAY, Decimal("24.70"), {"session": "x"})
    assert (older.session, older.wins) == (MONDAY, 1)
    (cell,) = ledger.performance(conn)
    assert (cell.exit_reason, cell.trades, cell.net_pnl) == ("target", 2, Decimal("44.80"))
    (weight,) = ledger.weights(conn)
    assert (weight.feature, weight.weight, weight.why) == ("surge", 0.40, "new")
    (order,) = ledger.orders(conn, TUESDAY, TUESDAY)
    assert (order.client_order_id, order.limit_price, order.filled_qty) == ("wsb-1", Decimal("1.01"), 2)


def test_an_empty_database_has_nothing_to_tell() -> None:
    conn = books()
    assert ledger.daily_rows(conn, MONDAY, TUESDAY) == ()
    assert ledger.performance(conn) == () and ledger.weights(conn) == ()
    assert ledger.orders(conn, MONDAY, TUESDAY) == ()
    conn.row_factory = sqlite3.Row
    assert len(ledger.trades(conn, MONDAY, TUESDAY)) == 3
