"""Paper trades: what they cost, what they would have made, and that they stay apart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from tests.learning.world import new_database
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.occ import parse
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.db.records import PaperTradeRecord, insert_paper_trade
from wsb_snake.learning.paper_trades import NO_QUOTE, begin, end, ids_since, missed, open_trades

DAY = date(2026, 11, 24)
NOW = from_eastern(DAY, time(12, 5))
SYMBOL = "SPY261124C00501000"
PLAN = ExitPlan(target=Decimal("0.20"), stop=Decimal("0.15"), max_hold_s=2700)


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    with closing(new_database()) as made:
        yield made


def quote(bid: str, ask: str, at: datetime = NOW) -> Quote:
    return Quote(SYMBOL, Decimal(bid), Decimal(ask), 10, 10, at)


def intent(name: str = "s1", of: Quote | None = None, engine: str = "spy_scalper") -> TradeIntent:
    signal = Signal(name, NOW, engine, "breakout", "SPY", Direction.LONG, 65.0, 501.0, ())
    return TradeIntent(signal, parse(SYMBOL), of or quote("1.98", "2.00"), PLAN)


def begun(name: str = "s1", engine: str = "spy_scalper") -> PaperTradeRecord:
    trade = begin(intent(name, engine=engine), "confidence 65 is below the bar of 70", NOW)
    assert trade is not None
    return trade


def test_it_buys_at_the_ask_and_sells_at_the_bid_with_fees() -> None:
    """(2.40 - 2.00) x 100 - 0.13 in risks of 0.15 x 200."""
    trade = end(begun(), "target", quote("2.40", "2.44"), NOW + timedelta(minutes=9))
    assert (trade.entry_price, trade.exit_price, trade.fees) == (
        Decimal("2.00"),
        Decimal("2.40"),
        Decimal("0.13"),
    )
    assert trade.net_r == pytest.approx(39.87 / 30)


def test_without_a_quote_the_result_is_unknown() -> None:
    trade = end(begun(), NO_QUOTE, None, NOW + timedelta(hours=4))
    assert (trade.exit_price, trade.fees, trade.net_r) == (None, None, None)
    assert trade.exit_reason == "no_quote"


def test_nobody_sells_no_trade() -> None:
    assert begin(intent(of=quote("0", "0.05")), "too dear", NOW) is None


def test_rows_come_back_as_they_went(conn: sqlite3.Connection) -> None:
    trade = begun()
    insert_paper_trade(conn, trade)
    insert_paper_trade(conn, end(begun("s2"), "stop", quote("1.60", "1.64"), NOW))
    assert open_trades(conn) == [trade]
    assert ids_since(conn, NOW) == {"paper-s1", "paper-s2"}
    assert ids_since(conn, NOW + timedelta(seconds=1)) == frozenset()


def test_what_was_missed_on_a_day(conn: sqlite3.Connection) -> None:
    ends = [
        ("a", "spy_scalper", "2.40", NOW),
        ("b", "spy_scalper", "1.70", NOW),
        ("c", "orchestrator", "2.40", NOW),
        ("d", "orchestrator", "2.40", NOW + timedelta(days=1)),
    ]
    for name, engine, bid, at in ends:
        insert_paper_trade(conn, end(begun(name, engine), "time", quote(bid, "3.00"), at))
    insert_paper_trade(conn, end(begun("e"), NO_QUOTE, None, NOW))
    insert_paper_trade(conn, begun("f"))
    found = missed(conn, DAY)
    assert [(each.engine, each.trades, each.wins) for each in found] == [
        ("orchestrator", 1, 1),
        ("spy_scalper", 2, 1),
    ]
    assert [each.total_r for each in found] == pytest.approx([39.87 / 30, (39.87 - 30.12) / 30])


def test_paper_is_no_outcome(conn: sqlite3.Connection) -> None:
    insert_paper_trade(conn, end(replace(begun()), "target", quote("2.40", "2.44"), NOW))
    for table in ("outcomes", "trade_performance", "time_performance", "pattern_memory", "model_weights"):
        assert conn.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
