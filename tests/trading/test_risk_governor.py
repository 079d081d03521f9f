"""Limits: no entry exceeds one, counting what is working or unknown."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.samples import DAY, NOON, OPEN, account, intent, money, order, position
from wsb_snake.config import Settings
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import OrderStatus, PositionState
from wsb_snake.trading.book import BookView, premium
from wsb_snake.trading.risk_governor import Limits, Refused, day_pnl, size

DEFAULTS = Limits.from_settings(Settings(_env_file=None))
LIMITS = replace(DEFAULTS, engine_dollars=Decimal(6000), overnight_dollars=Decimal(2000))
"""An engine may use the whole day, so that the other limits are met."""
EMPTY = BookView()
START = OPEN - timedelta(hours=9)
QQQ = "QQQ261124C00700000"


def sized(
    view: BookView = EMPTY, price: str = "2.00", limits: Limits = LIMITS, **changes: object
) -> int | Refused:
    return size(intent(), money(price), view, account(**changes), NOON, limits, START, NOON)


def entered(number: int, symbol: str, qty: int, price: str, status: OrderStatus) -> BookView:
    """One position with its entry order: filled when it is FILLED, else still to fill."""
    filled = qty if status is OrderStatus.FILLED else 0
    name = f"p{number}"
    entry = order(
        client_order_id=f"wsb-{name}-e-1",
        position_id=name,
        symbol=symbol,
        qty=qty,
        limit_price=money(price),
        status=status,
        filled_qty=filled,
        filled_avg_price=money(price) if filled else None,
        created_at=NOON - timedelta(minutes=10),
        ended_at=NOON - timedelta(minutes=9) if filled else None,
    )
    held = position(
        position_id=name,
        symbol=symbol,
        underlying=symbol[:3],
        signal_id=f"other-{number}",
        state=PositionState.OPEN if filled else PositionState.ENTERING,
        qty=filled,
        bought_qty=filled,
        entry_price=money(price) if filled else None,
    )
    return BookView((held,), (entry,))


def together(*views: BookView) -> BookView:
    return BookView(
        tuple(p for view in views for p in view.positions), tuple(o for view in views for o in view.orders)
    )


def test_a_trade_costs_at_most_its_limit() -> None:
    assert sized() == 7  # 1,400 of 1,500
    assert sized(equity=Decimal(10_000)) == 2  # 5 % of equity


def test_a_contract_above_the_limit_is_too_dear() -> None:
    refused = sized(price="15.01")
    assert isinstance(refused, Refused) and refused.reason.startswith("too dear")


@pytest.mark.parametrize(
    "status", [OrderStatus.FILLED, OrderStatus.NEW, OrderStatus.UNKNOWN, OrderStatus.PLANNED]
)
def test_the_ticker_limit_counts_what_is_held_working_and_unknown(status: OrderStatus) -> None:
    assert sized(entered(1, "SPY261124C00610000", 7, "2.00", status)) == 3  # 2,000 less 1,400


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.NEVER_SENT, OrderStatus.REJECTED])
def test_what_ended_without_a_fill_counts_nothing(status: OrderStatus) -> None:
    ended = entered(1, "SPY261124C00610000", 7, "2.00", status)
    gone = replace(ended.positions[0], state=PositionState.VOID)
    assert sized(BookView((gone,), ended.orders)) == 7


def test_the_days_premium_is_not_given_back_by_closing() -> None:
    assert sized(closed_day("momentum_engine", 4)) == 2  # 6,000 less 5,600


def closed_day(engine: str, trades: int) -> BookView:
    """``trades`` of $1,400 each that ``engine`` opened today and that are closed."""
    spent = together(
        *(entered(n, f"QQQ26112{n}C00700000", 7, "2.00", OrderStatus.FILLED) for n in range(4, 4 + trades))
    )
    over = (
        replace(p, engine=engine, state=PositionState.CLOSED, qty=0, closed_at=NOON) for p in spent.positions
    )
    return BookView(tuple(over), spent.orders)


def test_an_engine_has_a_day_s_premium_of_its_own() -> None:
    tight = replace(LIMITS, engine_dollars=Decimal(4000))
    assert sized(closed_day("spy_scalper", 2), limits=tight) == 6  # 4,000 less 2,800
    assert sized(closed_day("momentum_engine", 2), limits=tight) == 7  # another engine's
    refused = sized(closed_day("spy_scalper", 3), limits=tight)  # 4,200
    assert isinstance(refused, Refused) and "for spy_scalper" in refused.reason


LATER = "RKLB261204C00050000"


def bought_later(engine: str, view: BookView = EMPTY, limits: Limits = LIMITS) -> int | Refused:
    """Contracts at 2.00 that ``engine`` may buy of what expires next week."""
    wish = intent()
    signal = replace(wish.signal, engine=engine)
    wish = replace(wish, signal=signal, contract=parse(LATER))
    return size(wish, money("2.00"), view, account(), NOON, limits, START, NOON)


def overnight(number: int, symbol: str, engine: str, qty: int) -> BookView:
    view = entered(number, symbol, qty, "2.00", OrderStatus.FILLED)
    held = replace(view.positions[0], engine=engine, expiry=parse(symbol).expiry)
    return BookView((held,), view.orders)


def test_what_is_held_overnight_has_a_premium_and_places_of_its_own() -> None:
    other = overnight(1, "XLE271217C00060000", "leaps_engine", 6)
    assert bought_later("momentum_engine") == 7
    assert bought_later("momentum_engine", other) == 4  # 2,000 less 1,200
    assert sized(other) == 7  # of today: nothing to do with it
    mine = overnight(2, "MU261204C00200000", "momentum_engine", 1)
    refused = bought_later("momentum_engine", mine)
    assert (
        isinstance(refused, Refused) and "1 positions of momentum_engine are held overnight" in refused.reason
    )
    assert bought_later("momentum_engine", mine, replace(LIMITS, overnight_positions=2)) == 7
    assert bought_later("leaps_engine", mine) == 7


def test_underlyings_that_move_together_share_a_limit() -> None:
    tight = replace(LIMITS, sector_dollars=Decimal(2500))
    funds = together(overnight(1, "QQQ261217C00700000", "a", 5), overnight(2, "IWM261217C00300000", "b", 5))
    assert sized(funds, limits=tight) == 2  # 2,500 less 2,000
    assert sized(overnight(3, "XLE261217C00060000", "c", 5), limits=tight) == 7
    refused = sized(together(funds, overnight(4, "QQQ261217C00710000", "a", 2)), limits=tight)
    assert isinstance(refused, Refused) and "for broad market" in refused.reason


def test_who_acts_early_leaves_room_for_every_engine_of_the_day() -> None:
    early = 2 * DEFAULTS.engine_dollars + DEFAULTS.overnight_dollars
    assert DEFAULTS.day_dollars - early >= 1000  # for the last of three
    assert DEFAULTS.positions - 2 * DEFAULTS.overnight_positions == 3


def test_a_budget_sizes_a_trade_and_one_contract_may_cost_more() -> None:
    def of(dollars: int, price: str) -> int | Refused:
        wish = replace(intent(), budget=Decimal(dollars))
        return size(wish, money(price), EMPTY, account(), NOON, LIMITS, START, NOON)

    assert of(500, "2.00") == 2
    assert of(500, "7.00") == 1
    assert of(5000, "2.00") == 7  # the limits still hold
    assert isinstance(of(500, "15.01"), Refused)


def test_counts_forbid() -> None:
    five = together(
        *(entered(n, f"QQQ26112{n}C00700000", 1, "1.00", OrderStatus.FILLED) for n in range(4, 9))
    )
    refused = sized(five)
    assert isinstance(refused, Refused) and "5 positions" in refused.reason
    rushed = [
        replace(order(), client_order_id=f"wsb-r{n}-e-1", position_id=f"r{n}", status=OrderStatus.CANCELED)
        for n in range(6)
    ]
    refused = sized(BookView((), tuple(rushed)))
    assert isinstance(refused, Refused) and "within a minute" in refused.reason
    many = [
        replace(o, created_at=NOON - timedelta(hours=1), client_order_id=f"wsb-m{n}-e-1")
        for n in range(60)
        for o in rushed[:1]
    ]
    refused = sized(BookView((), tuple(many)))
    assert isinstance(refused, Refused) and "60 entry orders" in refused.reason


def test_a_signal_is_tried_twice_a_day() -> None:
    tries = tuple(
        position(position_id=f"t{n}", signal_id="sig-9", state=PositionState.VOID, qty=0) for n in range(2)
    )
    refused = sized(BookView(tries, ()))
    assert isinstance(refused, Refused) and "tried 2 times" in refused.reason


def test_the_same_contract_is_not_bought_twice() -> None:
    refused = sized(BookView((position(signal_id="other"),), ()))
    assert isinstance(refused, Refused) and "already held" in refused.reason


def test_buying_power_counts_what_was_ordered_since_it_was_read() -> None:
    recent = entered(1, QQQ, 5, "2.00", OrderStatus.NEW)
    recent = BookView(recent.positions, (replace(recent.orders[0], created_at=NOON),))
    assert sized(recent, options_buying_power=Decimal(1_500)) == 2


@given(
    price=st.decimals("0.30", "15", places=2),
    equity=st.integers(1_000, 200_000),
    power=st.integers(0, 50_000),
    held=st.integers(0, 9),
)
def test_no_size_exceeds_any_limit(price: Decimal, equity: int, power: int, held: int) -> None:
    view = entered(1, "SPY261124C00610000", held, "2.00", OrderStatus.FILLED) if held else EMPTY
    got = size(
        intent(),
        price,
        view,
        account(equity=Decimal(equity), options_buying_power=Decimal(power)),
        NOON,
        LIMITS,
        START,
        NOON,
    )
    if isinstance(got, Refused):
        return
    cost = premium(got, price)
    assert got >= 1
    assert cost <= min(LIMITS.trade_dollars, LIMITS.trade_equity * equity, Decimal(power))
    assert cost + premium(held, money("2.00")) <= LIMITS.ticker_dollars


def test_the_days_result_is_realised_plus_open() -> None:
    closed = position(
        position_id="c",
        state=PositionState.CLOSED,
        qty=0,
        sold_qty=4,
        exit_price=money("1.50"),
        closed_at=NOON,
    )
    yesterday = replace(closed, position_id="y", closed_at=START - timedelta(hours=1))
    view = BookView((closed, yesterday, position()), ())
    assert day_pnl(view.positions, {position().symbol: money("2.25")}, view, START, {}) == Decimal(-100)


def test_the_daily_loss_is_the_smaller_of_the_two() -> None:
    assert LIMITS.daily_loss(Decimal(100_000)) == Decimal(600)
    assert LIMITS.daily_loss(Decimal(10_000)) == Decimal(300)
    assert DAY.year == 2026


@pytest.mark.parametrize(
    ("status", "sent_s", "allowed"),
    [
        (OrderStatus.NEW, -5, 7),  # in the account's buying power already
        (OrderStatus.NEW, 5, 2),  # sent after the account was read
        (OrderStatus.UNKNOWN, -5, 2),  # perhaps never arrived
    ],
)
def test_buying_power_counts_what_the_account_cannot_know(
    status: OrderStatus, sent_s: int, allowed: int
) -> None:
    known = entered(1, QQQ, 5, "2.00", status)
    sent = NOON + timedelta(seconds=sent_s)
    view = BookView(known.positions, (replace(known.orders[0], sent_at=sent),))
    assert sized(view, options_buying_power=Decimal(1_500)) == allowed
