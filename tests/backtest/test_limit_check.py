"""The limits, told from orders and fills alone: what exceeds one is found, what uses all of it is not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from wsb_snake.backtest.limit_check import Figures, Fill, check
from wsb_snake.config import Settings
from wsb_snake.sim.orders import SimOrder, SimStatus

DAY = date(2026, 11, 24)
START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
CLOSE = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SPY, QQQ, TSLA = "SPY261124C00760000", "QQQ261124C00715000", "TSLA261124P00400000"
LATER = "INTC261211C00040000"
FIGURES = Figures(
    trade_dollars=Decimal(1500),
    day_dollars=Decimal(6000),
    engine_dollars=Decimal(6500),
    overnight_dollars=Decimal(2000),
    ticker_dollars=Decimal(2000),
    sector_dollars=Decimal(3000),
    loss_dollars=Decimal(600),
    positions=5,
    overnight_positions=1,
    orders_minute=6,
    orders_day=60,
)


def entry(number: int, symbol: str, dollars: int, *, at: datetime, filled: bool = True) -> SimOrder:
    """One contract for so many ``dollars``; an unfilled one was cancelled after 20 s."""
    price = Decimal(dollars) / 100
    return SimOrder(
        id=str(number),
        client_order_id=f"wsb-20261124-s-{number:012d}-e-1",
        symbol=symbol,
        is_option=True,
        asset_id="",
        side="buy",
        intent="buy_to_open",
        type="limit",
        qty=1,
        limit_price=price,
        reserve_price=price,
        status=SimStatus.FILLED if filled else SimStatus.CANCELED,
        submitted_at=at,
        updated_at=at,
        expires_at=CLOSE,
        filled_qty=int(filled),
        filled_cost=price if filled else Decimal(0),
        filled_at=at + SECOND if filled else None,
        canceled_at=None if filled else at + 20 * SECOND,
    )


def bought(orders: Sequence[SimOrder]) -> list[Fill]:
    return [
        Fill(o.filled_at, o.client_order_id, o.symbol, o.side, o.qty, o.limit_price)
        for o in orders
        if o.filled_at is not None and o.limit_price is not None
    ]


def sold(order: SimOrder, at: datetime, dollars: int | None = None) -> Fill:
    """At what it cost, or for so many ``dollars``."""
    price = (order.limit_price or Decimal(0)) if dollars is None else Decimal(dollars) / 100
    return Fill(at, "wsb-20261124-s-x-x-1", order.symbol, "sell", order.qty, price)


def series(symbol: str, dollars: int, count: int, apart: timedelta, filled: bool = True) -> list[SimOrder]:
    return [entry(n, symbol, dollars, at=START + n * apart, filled=filled) for n in range(count)]


def found(orders: Sequence[SimOrder], fills: Sequence[Fill], figures: Figures = FIGURES) -> list[str]:
    checked = check(orders, fills, figures, DAY)
    assert checked.entries == len(orders)
    return [line.partition(": ")[2] for line in checked.breaches]


def test_a_trade_may_cost_its_limit_and_no_dollar_more() -> None:
    assert found([entry(0, SPY, 1500, at=START)], []) == []
    assert found([entry(0, SPY, 1501, at=START)], []) == ["premium of the trade is 1501.00, the limit 1500"]


def test_a_ticker_counts_what_is_held_and_gives_back_what_was_sold() -> None:
    first, second = entry(0, TSLA, 1200, at=START), entry(1, TSLA, 900, at=START + 60 * SECOND)
    orders = [first, second]
    assert found(orders, bought(orders)) == ["premium in TSLA is 2100.00, the limit 2000"]
    between = START + 30 * SECOND
    assert found(orders, [*bought([first]), sold(first, between), *bought([second])]) == []


def test_a_sector_counts_all_of_its_names() -> None:
    names = (SPY, QQQ, "IWM261124C00300000")
    orders = [entry(n, name, 1100, at=START + n * 60 * SECOND) for n, name in enumerate(names)]
    assert found(orders, bought(orders)) == ["premium in broad market is 3300.00, the limit 3000"]


def test_the_day_s_premium_is_not_given_back() -> None:
    orders = series(SPY, 1300, 5, 60 * SECOND)
    fills = [fill for o in orders for fill in (*bought([o]), sold(o, o.submitted_at + 30 * SECOND))]
    assert found(orders, fills) == ["premium of the day is 6500.00, the limit 6000"]
    less = replace(FIGURES, engine_dollars=Decimal(5000))
    assert "premium of the engine is 5200.00, the limit 5000" in found(orders, fills, less)


def test_what_was_cancelled_unfilled_costs_nothing() -> None:
    assert found(series(SPY, 1500, 10, 60 * SECOND, filled=False), []) == []


def test_what_still_works_counts_at_its_limit() -> None:
    orders = series(TSLA, 1100, 2, 10 * SECOND, filled=False)
    assert found(orders, []) == ["premium in TSLA is 2200.00, the limit 2000"]


@pytest.mark.parametrize(("count", "breaches"), [(5, 0), (6, 1)])
def test_so_many_positions_at_a_time(count: int, breaches: int) -> None:
    names = ("SPY", "TSLA", "USO", "SLV", "RKLB", "AAPL")
    orders = [
        entry(n, f"{name}261124C00100000", 100, at=START + n * 60 * SECOND)
        for n, name in enumerate(names[:count])
    ]
    assert found(orders, bought(orders)) == ["positions is 6, the limit 5"] * breaches


@pytest.mark.parametrize(("apart", "breaches"), [(10, 0), (9, 1)])
def test_so_many_entries_a_minute(apart: int, breaches: int) -> None:
    orders = series(SPY, 10, 7, apart * SECOND, filled=False)
    assert found(orders, []) == ["entry orders in a minute is 7, the limit 6"] * breaches


def test_so_many_entries_a_day() -> None:
    orders = series(SPY, 10, 61, 60 * SECOND, filled=False)
    assert found(orders, []) == ["entry orders in a day is 61, the limit 60"]


def test_what_is_held_overnight_has_a_limit_of_its_own() -> None:
    orders = [entry(n, LATER, 1050, at=START + n * 60 * SECOND) for n in range(2)]
    fills = [fill for o in orders for fill in (*bought([o]), sold(o, o.submitted_at + 30 * SECOND))]
    assert found(orders, fills) == ["premium held overnight is 2100.00, the limit 2000"]


@pytest.mark.parametrize(
    ("letter", "sold_first", "breaches"), [("s", False, 1), ("s", True, 0), ("m", False, 0)]
)
def test_one_engine_has_so_many_places_overnight(letter: str, sold_first: bool, breaches: int) -> None:
    first = entry(0, LATER, 500, at=START)
    second = entry(1, "AAPL261211C00200000", 500, at=START + 60 * SECOND)
    second = replace(second, client_order_id=f"wsb-20261124-{letter}-000000000001-e-1")
    fills = [*bought([first]), *([sold(first, START + 30 * SECOND)] if sold_first else []), *bought([second])]
    told = ["positions of the engine overnight is 2, the limit 1"]
    assert found([first, second], fills) == told * breaches


def test_what_of_an_engine_still_works_takes_its_place_overnight() -> None:
    symbols = (LATER, "AAPL261211C00200000")
    orders = [entry(n, name, 500, at=START + n * 10 * SECOND, filled=False) for n, name in enumerate(symbols)]
    assert found(orders, []) == ["positions of the engine overnight is 2, the limit 1"]


LOST = ["realised loss of the day is 600.00, entries end at 600"]


def lost(dollars: int, *, again_s: int = 120) -> tuple[list[SimOrder], list[Fill]]:
    """A trade that loses ``dollars`` half a minute after it was bought, and so long after that the next."""
    first = entry(0, SPY, 1000, at=START)
    over = START + 30 * SECOND
    second = entry(1, QQQ, 100, at=over + again_s * SECOND)
    return [first, second], [*bought([first]), sold(first, over, 1000 - dollars), *bought([second])]


@pytest.mark.parametrize(("dollars", "again_s", "told"), [(600, 120, LOST), (599, 120, []), (600, 40, [])])
def test_no_entry_follows_the_day_s_loss_once_it_can_be_known(
    dollars: int, again_s: int, told: list[str]
) -> None:
    orders, fills = lost(dollars, again_s=again_s)
    assert found(orders, fills) == told


@pytest.mark.parametrize(("again_s", "count"), [(120, 1), (40, 0)])
def test_how_many_entries_the_day_s_loss_was_held_against(again_s: int, count: int) -> None:
    orders, fills = lost(10, again_s=again_s)
    assert check(orders, fills, FIGURES, DAY).after_trades == count
    by_hand = Fill(START, "9f1c", TSLA, "buy", 1, Decimal(1))
    assert check(orders, [by_hand, *fills], FIGURES, DAY).after_trades == 0
    assert check(orders, [], FIGURES, DAY).after_trades == 0


def test_what_is_open_may_make_up_for_a_loss() -> None:
    orders, fills = lost(600)
    open_one = entry(2, TSLA, 100, at=START)
    assert found([orders[0], open_one, orders[1]], [*bought([open_one]), *fills]) == []
    by_hand = Fill(START, "9f1c", TSLA, "buy", 1, Decimal(1))
    assert found(orders, [by_hand, *fills]) == []


@pytest.mark.parametrize(("proceeds", "told"), [(1, []), (0, LOST)])
def test_what_others_bought_and_the_daemon_sold_cost_nothing_at_most(proceeds: int, told: list[str]) -> None:
    orders, fills = lost(600)
    by_hand = Fill(START, "9f1c", TSLA, "buy", 1, Decimal(15))
    sale = Fill(START + SECOND, "wsb-20261124-a-x-x-1", TSLA, "sell", 1, Decimal(proceeds))
    assert found(orders, [by_hand, sale, *fills]) == told


def test_the_loss_limit_is_the_smaller_of_dollars_and_share_of_equity() -> None:
    settings = Settings(_env_file=None)
    assert Figures.of(settings, Decimal(100_000)).loss_dollars == 600
    assert Figures.of(settings, Decimal(10_000)).loss_dollars == 300


def test_what_somebody_buys_by_hand_counts_once_it_can_be_known() -> None:
    by_hand = Fill(START, "9f1c", TSLA, "buy", 1, Decimal(15))
    early = entry(0, TSLA, 600, at=START + 20 * SECOND)
    late = entry(0, TSLA, 600, at=START + 120 * SECOND)
    assert found([early], [by_hand]) == []
    assert found([late], [by_hand]) == ["premium in TSLA is 2100.00, the limit 2000"]


def test_orders_of_others_are_not_looked_at() -> None:
    other = replace(entry(0, SPY, 9000, at=START), client_order_id="9f1c")
    assert check([other], [], FIGURES, DAY).entries == 0
