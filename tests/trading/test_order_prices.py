"""Ticks and limits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.samples import SPY, money, quote
from wsb_snake.trading.order_prices import entry_limit, exit_limit, on_tick_down, on_tick_up, tick

TSLA = "TSLA261124C00400000"
cents = st.integers(1, 5000).map(lambda n: Decimal(n) / 100)


@pytest.mark.parametrize(
    ("symbol", "price", "shown", "step"),
    [
        (SPY, "0.50", None, "0.01"),
        (SPY, "7.00", None, "0.01"),
        (TSLA, "2.99", None, "0.05"),
        (TSLA, "3.00", None, "0.10"),
        (TSLA, "2.99", quote("1.01", "1.03", symbol=TSLA), "0.01"),
        (TSLA, "3.00", quote("2.96", "3.05", symbol=TSLA), "0.05"),
        (TSLA, "2.00", quote("1.95", "2.05", symbol=TSLA), "0.05"),
    ],
)
def test_ticks(symbol: str, price: str, shown: object, step: str) -> None:
    assert tick(symbol, money(price), shown) == money(step)  # type: ignore[arg-type]


@given(price=cents, symbol=st.sampled_from([SPY, TSLA]))
def test_rounding_stays_on_tick_and_on_its_side(price: Decimal, symbol: str) -> None:
    down, up = on_tick_down(symbol, price, None), on_tick_up(symbol, price, None)
    step = tick(symbol, price, None)
    assert down % step == 0 and up % step == 0
    assert up >= price
    assert down <= price or down == step


def test_an_entry_pays_the_ask_within_two_percent() -> None:
    assert entry_limit(quote("1.98", "2.04"), money("2.00")) == money("2.04")
    assert entry_limit(quote("1.98", "2.05"), money("2.00")) is None


def test_exits_step_down_and_work_at_the_minimum_without_a_bid() -> None:
    assert exit_limit(SPY, quote("2.00", "2.05"), 1) == money("1.98")
    assert exit_limit(SPY, quote("2.00", "2.05"), 2) == money("1.90")
    assert exit_limit(SPY, quote("0", "0.05"), 1) == money("0.01")
    assert exit_limit(TSLA, quote("0", "0.05", symbol=TSLA), 1) == money("0.05")


@given(bid=cents, attempt=st.integers(1, 4))
def test_a_closing_limit_is_marketable(bid: Decimal, attempt: int) -> None:
    assert exit_limit(SPY, quote(str(bid), str(bid + 1)), attempt) <= bid
