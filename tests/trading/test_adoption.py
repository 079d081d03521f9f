"""Taking over what the broker has, and explaining what it has no more."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.trading.samples import CLOSE, NOON, SPY, at_broker, exit_order, held, money, order, position
from wsb_snake.config import Settings
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.events import EventKind
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
from wsb_snake.db.database import Database
from wsb_snake.trading.adoption import adopt, explain, recover
from wsb_snake.trading.book import Book
from wsb_snake.trading.broker import Activity
from wsb_snake.trading.engine_plans import RUNNER_PLAN, scalp_plan
from wsb_snake.trading.order_ids import OrderIds
from wsb_snake.trading.positions import Position, Watch
from wsb_snake.trading.reconciler import Shortfall

LANES = ThreadLanes(SystemClock())
SETTINGS = Settings(_env_file=None)
LATER = "SPY261218C00600000"
STOP_ONLY = ExitPlan(stop=SETTINGS.wsb_snake_scalp_stop)
LIQUIDATION = CLOSE - timedelta(hours=1)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    database = Database(tmp_path / "wsb_snake.db", LANES)
    database.open()
    yield Book(LANES, VirtualClock(NOON), database)
    assert database.close()


def entry_of(letter: str, symbol: str, filled: int = 4) -> object:
    name = f"wsb-20261124-{letter}-aaaaaaaaaaaa-e-1"
    return at_broker(client_order_id=name, symbol=symbol, filled_qty=Decimal(filled))


@pytest.mark.parametrize(
    ("symbol", "opened_by", "origin", "engine", "plan"),
    [
        (SPY, None, Origin.FOREIGN_TODAY, "adopted", scalp_plan(SETTINGS)),
        (LATER, None, Origin.FOREIGN_LATER, "adopted", NO_EXITS),
        (SPY, entry_of("s", SPY), Origin.OURS, "spy_scalper", scalp_plan(SETTINGS)),
        (LATER, entry_of("s", LATER), Origin.OURS, "spy_scalper", scalp_plan(SETTINGS)),
        (LATER, entry_of("m", LATER), Origin.OURS, "momentum_engine", RUNNER_PLAN),
        (LATER, entry_of("l", LATER), Origin.OURS, "leaps_engine", RUNNER_PLAN),
        # what did not open it says nothing about it
        (SPY, entry_of("i", SPY), Origin.OURS, "institutional_scalper", STOP_ONLY),
        (SPY, entry_of("s", SPY, filled=0), Origin.FOREIGN_TODAY, "adopted", scalp_plan(SETTINGS)),
        (LATER, entry_of("s", SPY), Origin.FOREIGN_LATER, "adopted", NO_EXITS),
        (LATER, at_broker(symbol=LATER, client_order_id="by-hand", filled_qty=Decimal(4)),
         Origin.FOREIGN_LATER, "adopted", NO_EXITS),
        (LATER, replace(at_broker(symbol=LATER, filled_qty=Decimal(4)), side=Side.SELL),
         Origin.FOREIGN_LATER, "adopted", NO_EXITS),
    ],
)  # fmt: skip
def test_adoption_is_by_kind(
    book: Book, symbol: str, opened_by: object, origin: Origin, engine: str, plan: ExitPlan
) -> None:
    recent = [] if opened_by is None else [opened_by]
    with book.change() as commit:
        got = adopt(commit.change, held(symbol, 3), 3, recent, OrderIds(random.Random(1)), SETTINGS)  # type: ignore[arg-type]
    assert (got.origin, got.engine, got.plan) == (origin, engine, plan)
    assert (got.state, got.qty, got.bought_qty, got.opened_at) == (PositionState.OPEN, 3, 3, NOON)
    assert got.entry_price == money("2.00")
    assert got.watch == Watch(money("2.00"), money("2.00"), money("2.00"))
    assert book.view.watched() == (got,)
    ((kind, told),) = commit.change.events
    assert kind is EventKind.POSITION_ADOPTED
    # what the owner is told is what happens
    assert ("not sold by any rule" in str(told["treatment"])) is (plan == NO_EXITS)


def test_a_scalps_exits_are_those_configured() -> None:
    lower = Settings(
        _env_file=None,
        wsb_snake_scalp_target=Decimal("0.1"),
        wsb_snake_scalp_stop=Decimal("0.05"),
        wsb_snake_scalp_minutes=7,
    )
    assert scalp_plan(lower) == ExitPlan(target=money("0.1"), stop=money("0.05"), max_hold_s=420)


def test_a_recovered_closing_order_counts_and_is_worked_on(book: Book) -> None:
    name = "wsb-20261124-s-aaaaaaaaaaaa-x-3"
    found = at_broker(
        client_order_id=name, side=Side.SELL, intent=None, limit_price=None, type="market", id="b-9"
    )
    with book.change() as commit:
        commit.change.position(position(state=PositionState.EXITING, to_sell=4))
        got = recover(commit.change, found, position())
    assert (got.purpose, got.side, got.intent) == (Purpose.EXIT, Side.SELL, PositionIntent.SELL_TO_CLOSE)
    assert (got.type, got.qty, got.broker_id, got.status) == (OrderType.MARKET, 4, "b-9", OrderStatus.UNKNOWN)
    assert book.view.live_order(got.position_id, Purpose.EXIT) == got
    assert [kind for kind, _ in commit.change.events] == [EventKind.ORDER_RECOVERED]


# explaining


def sale(qty: int, price: str, minutes: float = 0, order_id: str | None = "foreign") -> Activity:
    at = NOON + timedelta(minutes=minutes)
    return Activity(f"{minutes}", "FILL", SPY, Side.SELL, Decimal(qty), money(price), at, order_id)


def ending(kind: str, minutes: float = 0) -> Activity:
    at = NOON + timedelta(minutes=minutes)
    return Activity(kind, kind, SPY, None, Decimal(4), None, at, None)


def explained(book: Book, missing: int, told: list[Activity], now: Position, *orders: Order) -> bool:
    with book.change() as commit:
        commit.change.position(now)
        for each in orders:
            commit.change.order(each)
    with book.change() as commit:
        return explain(commit.change, Shortfall(position(), missing), told, frozenset({"b-1"}), LIQUIDATION)


@pytest.mark.parametrize(
    ("told", "reason", "price"),
    [
        ([sale(4, "2.50")], ExitReason.MANUAL_CLOSE, "2.50"),
        ([sale(1, "2.50"), sale(3, "2.10", 1)], ExitReason.MANUAL_CLOSE, "2.20"),
        ([sale(4, "0.30", 181)], ExitReason.BROKER_LIQUIDATION, "0.30"),
        ([ending("OPEXP", 240)], ExitReason.EXPIRED, "0"),
        ([ending("OPEXC", 240)], ExitReason.EXERCISED, "0"),
        ([ending("OPASN", 240)], ExitReason.EXERCISED, "0"),
    ],
)
def test_evidence_closes_what_is_gone(
    book: Book, told: list[Activity], reason: ExitReason, price: str
) -> None:
    assert explained(book, 4, told, position())
    (gone,) = book.view.positions
    assert (gone.state, gone.qty, gone.exit_reason) == (PositionState.CLOSED, 0, reason)
    assert gone.exit_price == money(price)


@pytest.mark.parametrize(
    "told",
    [
        [],
        [sale(3, "2.50")],  # not enough
        [sale(4, "2.50", order_id="b-1")],  # our own, which the book has counted already
        [sale(4, "2.50", minutes=-10)],  # before we held it
        [replace(sale(4, "2.50"), symbol=LATER)],
        [replace(sale(4, "2.50"), side=Side.BUY)],
        [ending("DIV")],
    ],
)
def test_what_the_activities_do_not_show_stays_unexplained(book: Book, told: list[Activity]) -> None:
    assert not explained(book, 4, told, position())
    assert book.view.positions == (position(),)


def test_one_sale_explains_one_gap_only(book: Book) -> None:
    """Half sold by hand and explained; the rest expires worthless and must not count as sold."""
    assert explained(book, 2, [sale(2, "2.50")], position())
    (rest,) = book.view.positions
    assert (rest.state, rest.qty, rest.exit_reason) == (PositionState.OPEN, 2, None)
    assert not explained(book, 2, [sale(2, "2.50")], rest)
    assert explained(book, 2, [sale(2, "2.50"), ending("OPEXP", 240)], rest)
    (gone,) = book.view.positions
    assert (gone.state, gone.exit_reason, gone.exit_price) == (
        PositionState.CLOSED,
        ExitReason.EXPIRED,
        money("1.25"),
    )


def test_our_own_sales_do_not_use_up_anybody_elses(book: Book) -> None:
    half = position(qty=2, sold_qty=2, exit_price=money("3.00"), half_sold=True)
    ours = exit_order(qty=2, filled_qty=2, status=OrderStatus.FILLED, ended_at=NOON)
    told = [sale(2, "3.00", order_id="b-1"), sale(2, "2.00", 5)]
    assert explained(book, 2, told, half, ours)
    assert book.view.positions[0].exit_price == money("2.50")


def test_a_claim_made_meanwhile_is_kept(book: Book) -> None:
    """The activities take a while; the owner's flatten must not be forgotten over them."""
    claimed = position(state=PositionState.EXITING, exit_reason=ExitReason.FLATTEN, to_sell=4)
    assert explained(book, 1, [sale(1, "2.50")], claimed)
    (left,) = book.view.positions
    assert (left.state, left.exit_reason) == (PositionState.EXITING, ExitReason.FLATTEN)
    assert (left.qty, left.to_sell) == (3, 3)


def test_a_half_that_somebody_else_sold_leaves_no_exit_hanging(book: Book) -> None:
    half = position(state=PositionState.EXITING, exit_reason=ExitReason.PARTIAL, to_sell=2)
    assert explained(book, 2, [sale(2, "3.00")], half)
    (left,) = book.view.positions
    assert (left.state, left.qty, left.to_sell, left.half_sold) == (PositionState.OPEN, 2, 0, True)


def test_an_entry_of_ours_is_no_explanation(book: Book) -> None:
    bought = order(status=OrderStatus.FILLED, filled_qty=4, ended_at=NOON)
    told = [Activity("1", "FILL", SPY, Side.BUY, Decimal(4), money("2.00"), NOON, "b-1")]
    assert not explained(book, 4, told, position(), bought)
