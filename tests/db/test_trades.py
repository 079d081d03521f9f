"""Closed trades: which day they belong to, and what they sum to."""

from decimal import Decimal

from tests.owner.books import MONDAY, TUESDAY, books
from wsb_snake.db.trades import TradeFilter, slippage, tallies, tally, trades


def test_a_day_is_new_yorks_and_the_newest_trade_comes_first() -> None:
    conn = books()
    assert [t.position_id for t in trades(conn, TUESDAY, TUESDAY)] == ["p-lost", "p-won"]
    assert [t.position_id for t in trades(conn, MONDAY, MONDAY)] == ["p-before"]
    assert [t.position_id for t in trades(conn, MONDAY, TUESDAY, limit=2)] == ["p-lost", "p-won"]


def test_each_filter_narrows_and_together_they_narrow_further() -> None:
    conn = books()

    def named(only: TradeFilter) -> list[str]:
        return [t.position_id for t in trades(conn, MONDAY, TUESDAY, only)]

    assert named(TradeFilter(engine="orchestrator")) == ["p-lost"]
    assert named(TradeFilter(underlying="SPY")) == ["p-won", "p-before"]
    assert named(TradeFilter(exit_reason="stop")) == ["p-lost"]
    assert named(TradeFilter(setup="other")) == []
    assert named(TradeFilter(engine="orchestrator", exit_reason="target")) == []
    assert named(TradeFilter(engine="x' OR 1=1 --")) == []


def test_a_tally_counts_what_is_known_and_says_none_for_what_is_not() -> None:
    conn = books()
    day = tally(trades(conn, TUESDAY, TUESDAY))
    assert (day.trades, day.wins, day.losses, day.win_rate) == (2, 1, 1, 0.5)
    assert (day.net_pnl, day.fees, day.mean_r) == (Decimal("24.70"), Decimal("0.30"), 1.3)
    empty = tally(())
    assert (empty.trades, empty.win_rate, empty.mean_r, empty.net_pnl) == (0, None, None, Decimal(0))


def test_groups_and_slippage() -> None:
    conn = books()
    by_reason = tallies(trades(conn, MONDAY, TUESDAY), lambda trade: trade.exit_reason)
    assert {name: each.trades for name, each in by_reason.items()} == {"stop": 1, "target": 2}
    assert slippage(trades(conn, TUESDAY, TUESDAY)) == Decimal("-2.00")  # (0.01 - 0.02) × 2 × 100
    assert slippage(()) is None
