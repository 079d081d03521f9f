"""Whatever is asked of the exchange in whatever order, its books stay true."""

import re
from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.bench import AAPL_CALL, SPY_CALL, SPY_LATER, XYZ_CALL, Bench
from wsb_snake.sim.account import signed
from wsb_snake.sim.order_entry import Refusal
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules

SYMBOLS = (SPY_CALL, SPY_LATER, AAPL_CALL, XYZ_CALL)
cents = st.integers(min_value=0, max_value=400).map(lambda n: f"{n / 100:.2f}")
symbol = st.sampled_from(SYMBOLS)
act = st.one_of(
    st.tuples(st.sampled_from(["buy", "sell"]), symbol, st.integers(1, 6), st.one_of(st.none(), cents)),
    st.tuples(st.just("close"), symbol),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("quote"), symbol, cents, cents, st.integers(0, 4)),
    st.tuples(st.just("wait"), st.sampled_from([0.3, 1.0, 2.0, 700.0])),
)
LIFE = re.compile(
    r"rejected|(new )?pending_cancel ((partial_fill )?canceled|fill)?"
    r"|new (partial_fill )*(pending_cancel )?(partial_fill )?(fill|canceled|expired)?"
)


def perform(bench: Bench, action: tuple[Any, ...]) -> None:
    match action:
        case ("buy" | "sell" as side, name, qty, limit):
            bench.order(name, side, qty, limit)
        case ("close", name):
            bench.exchange.close_position(name)
        case ("cancel", number):
            orders = bench.exchange.orders(status="all", limit=500)
            if orders:
                bench.exchange.cancel(orders[number % len(orders)].id)
        case ("quote", name, bid, ask, size):
            bench.market.put(name, bid, ask, size)
        case ("wait", seconds):
            bench.tick(seconds)


def check(bench: Bench) -> None:
    exchange = bench.exchange
    cash, held = Decimal(100_000), defaultdict[str, int](int)
    filled = defaultdict[str, int](int)
    for activity in exchange.activities():
        order, price = activity.fill, activity.price
        if order is None or price is None:
            continue
        assert not (order.limit_price and (price - order.limit_price) * signed(order.side, 1) > 0)
        cash -= signed(order.side, activity.qty) * price * 100
        held[activity.symbol] += signed(order.side, activity.qty)
        filled[order.id] += activity.qty
        assert filled[order.id] == order.filled_qty <= order.qty
    assert exchange.account.cash == cash
    assert {h.symbol: h.qty for h in exchange.account.holdings} == {s: q for s, q in held.items() if q}
    assert all(qty >= 0 for qty in held.values())
    for order in exchange.orders(status="all", limit=500):
        assert order.filled_qty == filled[order.id]
        assert (order.status is SimStatus.FILLED) == (order.filled_qty == order.qty)
    for name in SYMBOLS:
        promised = sum(o.remaining for o in exchange.orders(symbols=frozenset({name})) if o.side == "sell")
        assert promised <= held[name]
    assert exchange.buying_power >= 0


def check_lives(bench: Bench) -> None:
    told = defaultdict[str, list[str]](list)
    for update in bench.updates:
        told[update.order.id].append(update.event)
    for events in told.values():
        assert LIFE.fullmatch(" ".join(events)), events


@settings(max_examples=150, deadline=None)
@given(st.lists(act, max_size=40), st.integers(0, 9), st.booleans())
def test_the_books_stay_true(actions: list[tuple[Any, ...]], seed: int, within: bool) -> None:
    rules = Rules(
        liquidation="never",
        partial_fill_chance=0.4,
        fills_within_size=within,
    )
    bench = Bench("15:00", rules, seed=seed)
    for action in actions:
        try:
            perform(bench, action)
        except Refusal:
            continue
        finally:
            check(bench)
    bench.to("16:30")
    assert bench.exchange.orders() == []
    check(bench)
    check_lives(bench)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(symbol, st.integers(-3, 5).filter(bool), min_size=1),
    st.floats(600, 740),
    st.floats(200, 300),
    st.booleans(),
)
def test_settlement_conserves_money(held: dict[str, int], spy: float, aapl: float, declines: bool) -> None:
    """What cash loses, the shares have as their cost."""
    bench = Bench("15:59", Rules(liquidation="never"))
    bench.market.settlements |= {"SPY": spy, "AAPL": aapl}
    for name, qty in held.items():
        bench.exchange.hold(name, qty, Decimal(1))
        if declines and qty > 0 and name != SPY_LATER:
            bench.exchange.do_not_exercise(name)
    before = bench.exchange.account.cash
    bench.to("17:00")
    left = bench.exchange.account.holdings
    shares = [holding for holding in left if holding.multiplier == 1]
    assert bench.exchange.account.cash + sum(h.cost_basis for h in shares) == before
    assert {h.symbol for h in left} - {h.symbol for h in shares} <= {SPY_LATER}
    traded = [a.net_amount or Decimal(0) for a in bench.exchange.activities()]
    assert bench.exchange.account.cash == before + sum(traded)
    if declines:
        assert all(h.qty < 0 or h.symbol == SPY_LATER for h in left)
    if all(qty > 0 for qty in held.values()):
        assert bench.exchange.account.cash >= 0
