"""The book on a real database: what reports do to it, in whatever order they come."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trading.samples import NOON, OPEN, exit_order, money, order, position
from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.orders import (
    QUIET,
    ExitReason,
    Order,
    OrderStatus,
    PositionState,
    Purpose,
    Report,
    Side,
)
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.trading.book import Book
from wsb_snake.trading.positions import Position, Watch, sold

LANES = ThreadLanes(SystemClock())
ID = position().position_id
ENTERING = position(state=PositionState.ENTERING, qty=0, bought_qty=0, entry_price=None)
ENTRY = order(status=OrderStatus.SENDING, qty=4)
NEW, PART, FILLED = OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
CANCELED, REJECTED, NEVER_SENT = OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.NEVER_SENT


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database(tmp_path_factory.mktemp("book") / "wsb_snake.db", LANES)
    made.open()
    yield made
    made.close()


@dataclass
class Bench:
    """A book with one position and its entry, and the events of every change."""

    database: Database
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOON))
    told: list[tuple[EventKind, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Book(LANES, self.clock, self.database)

    def start(self, held: Position = ENTERING, *orders: Order) -> "Bench":
        with self.book.change() as commit:
            commit.change.position(held)
            for each in orders or (ENTRY,):
                commit.change.order(each)
        return self

    def report(
        self, status: OrderStatus, filled: int = 0, price: str | None = "2.00", leg: str = "e-1"
    ) -> Order:
        told = Report(status, filled, money(price) if price and filled else None, "b", self.clock.now())
        return self.take(f"wsb-{ID}-{leg}", told)

    def take(self, name: str, report: Report) -> Order:
        with self.book.change() as commit:
            found = commit.change.report(name, report)
        self.told += [(kind, dict(data)) for kind, data in commit.change.events]
        return found

    @property
    def position(self) -> Position:
        return self.book.positions[ID]

    def events(self, kind: EventKind) -> list[dict[str, object]]:
        return [data for each, data in self.told if each is kind]

    def exits(self, qty: int, number: int = 1, reason: ExitReason = ExitReason.STOP) -> str:
        """Claim ``qty`` and put a closing order on the wire; its name."""
        name = f"wsb-{ID}-x-{number}"
        with self.book.change() as commit:
            claimed = replace(self.position, state=PositionState.EXITING, exit_reason=reason, to_sell=qty)
            commit.change.position(claimed)
            commit.change.order(
                exit_order(client_order_id=name, qty=qty, status=OrderStatus.SENDING, reason=reason)
            )
        return name


@pytest.fixture
def bench(database: Database) -> Bench:
    return Bench(database).start()


# one entry


def test_an_entry_that_fills_in_parts_opens_once_at_its_average(bench: Bench) -> None:
    bench.report(NEW)
    bench.report(PART, 1, "1.90")
    assert bench.position.watched and bench.position.state is PositionState.ENTERING
    bench.report(FILLED, 4, "2.05")
    assert (bench.position.state, bench.position.qty, bench.position.entry_price) == (
        PositionState.OPEN,
        4,
        money("2.05"),
    )
    assert [(f["qty"], f["price"], f["cumulative_qty"]) for f in bench.events(EventKind.FILL)] == [
        (1, money("1.90"), 1),
        (3, money("2.10"), 4),
    ]
    (opened,) = bench.events(EventKind.POSITION_OPENED)
    assert (opened["qty"], opened["entry_price"]) == (4, money("2.05"))
    assert opened["target_price"] == money("2.46")


def test_the_hold_time_counts_from_the_first_fill(bench: Bench) -> None:
    bench.clock.advance_to(15)
    bench.report(PART, 1)
    bench.clock.advance_to(18)
    bench.report(FILLED, 4)
    assert bench.position.opened_at == NOON + timedelta(seconds=15)


def test_what_filled_before_the_cancel_is_the_position(bench: Bench) -> None:
    bench.report(PART, 1)
    bench.report(CANCELED, 3)
    assert (bench.position.state, bench.position.qty) == (PositionState.OPEN, 3)


@pytest.mark.parametrize("ending", [CANCELED, REJECTED, OrderStatus.EXPIRED])
def test_an_entry_without_a_fill_voids_its_position(bench: Bench, ending: OrderStatus) -> None:
    bench.report(ending)
    assert (bench.position.state, bench.position.closed_at) == (PositionState.VOID, NOON)
    assert bench.events(EventKind.POSITION_CLOSED) == bench.events(EventKind.POSITION_OPENED) == []


@pytest.mark.parametrize("quiet", sorted(QUIET))
def test_a_quiet_entry_is_over_for_us_and_a_later_fill_still_counts(bench: Bench, quiet: OrderStatus) -> None:
    bench.report(quiet)
    assert (bench.position.state, bench.position.closed_at) == (PositionState.VOID, NOON)
    assert bench.book.view.live_orders() == ()
    bench.report(OrderStatus.EXPIRED)
    assert len(bench.events(EventKind.ENTRY_ENDED)) == 1
    bench.report(FILLED, 4)
    assert (bench.position.state, bench.position.qty) == (PositionState.OPEN, 4)


@pytest.mark.parametrize("quiet", sorted(QUIET))
def test_what_a_quiet_entry_had_filled_is_the_position(bench: Bench, quiet: OrderStatus) -> None:
    bench.report(PART, 1)
    bench.report(quiet, 1)
    assert (bench.position.state, bench.position.qty) == (PositionState.OPEN, 1)
    bench.report(NEW, 1)  # the broker works it again
    assert bench.book.view.live_orders() != ()


def test_a_quiet_entry_that_works_again_counts_again(bench: Bench) -> None:
    bench.report(OrderStatus.DONE_FOR_DAY)
    bench.report(NEW)
    assert bench.position.state is PositionState.ENTERING
    assert bench.position in bench.book.view.held()


def test_a_fill_that_raced_the_cancel_brings_the_position_back(bench: Bench) -> None:
    bench.report(CANCELED)
    bench.report(FILLED, 4)
    assert (bench.position.state, bench.position.qty, bench.position.closed_at) == (
        PositionState.OPEN,
        4,
        None,
    )
    assert len(bench.events(EventKind.POSITION_OPENED)) == 1


@pytest.mark.parametrize(("status", "filled"), [(NEW, 0), (PART, 2), (FILLED, 4)])
def test_an_entry_that_was_given_up_counts_again_when_the_broker_has_it(
    bench: Bench, status: OrderStatus, filled: int
) -> None:
    with bench.book.change() as commit:
        commit.change.end_order(bench.book.orders[ENTRY.client_order_id], NEVER_SENT, "lost")
    assert bench.position.state is PositionState.VOID
    bench.report(status, filled)
    assert bench.position in bench.book.view.held()
    assert (bench.position.qty, bench.position.closed_at) == (filled, None)
    bench.report(FILLED, 4)
    assert (bench.position.state, bench.position.qty) == (PositionState.OPEN, 4)


def test_a_fill_without_a_price_counts_at_the_limit_and_heals_with_the_next(bench: Bench) -> None:
    bench.report(PART, 2, None)
    assert bench.position.entry_price == ENTRY.limit_price == money("2.00")
    bench.report(FILLED, 4, "1.95")
    assert bench.position.entry_price == money("1.95")


def test_a_price_that_moves_without_a_fill_leaves_the_sums_right(bench: Bench) -> None:
    bench.report(PART, 2, "1.90")
    bench.report(PART, 2, "1.98")
    assert bench.position.entry_price == money("1.90")
    bench.report(FILLED, 4, "1.96")
    assert bench.position.entry_price == money("1.96")


# one exit


@pytest.fixture
def held(bench: Bench) -> Bench:
    bench.report(FILLED, 4)
    return bench


def test_the_last_sale_closes_at_the_average_of_all(held: Bench) -> None:
    held.exits(4)
    held.report(PART, 1, "1.60", "x-1")
    held.report(CANCELED, 1, "1.60", "x-1")
    assert (held.position.state, held.position.to_sell) == (PositionState.EXITING, 3)
    held.exits(3, 2)
    held.report(FILLED, 3, "1.40", "x-2")
    assert held.position.state is PositionState.CLOSED
    (closed,) = held.events(EventKind.POSITION_CLOSED)
    assert (closed["qty"], closed["exit_price"], closed["reason"]) == (4, money("1.45"), ExitReason.STOP)
    assert closed["gross_pnl"] == Decimal(-220)


def test_after_the_half_is_sold_the_rest_is_open_again(held: Bench) -> None:
    held.exits(2, reason=ExitReason.PARTIAL)
    held.report(FILLED, 2, "3.00", "x-1")
    assert (held.position.state, held.position.qty, held.position.to_sell) == (PositionState.OPEN, 2, 0)
    assert (held.position.half_sold, held.position.exit_reason) == (True, None)
    assert held.events(EventKind.POSITION_CLOSED) == []


def test_a_part_that_the_owner_sold_is_not_the_half_of_the_plan(held: Bench) -> None:
    held.exits(2, reason=ExitReason.MANUAL)
    held.report(FILLED, 2, "3.00", "x-1")
    assert (held.position.state, held.position.half_sold) == (PositionState.OPEN, False)


def test_the_half_that_sells_the_last_says_why_the_position_ended(held: Bench) -> None:
    """Somebody sold the rest by hand while the order for the half was working."""
    held.exits(2, reason=ExitReason.PARTIAL)
    with held.book.change() as commit:
        by_hand = sold(held.position, 2, money("3.00"))
        commit.change.position(by_hand)
        commit.change.close_if_sold(by_hand)
    assert held.position.state is PositionState.OPEN
    held.report(FILLED, 2, "3.00", "x-1")
    (closed,) = held.events(EventKind.POSITION_CLOSED)
    assert (closed["qty"], closed["reason"]) == (4, ExitReason.PARTIAL)


def test_an_exit_that_was_given_up_and_filled_after_all_counts(held: Bench) -> None:
    name = held.exits(4)
    with held.book.change() as commit:
        commit.change.end_order(held.book.orders[name], NEVER_SENT, "lost")
    held.report(FILLED, 4, "1.50", "x-1")
    assert (held.position.state, held.position.sold_qty) == (PositionState.CLOSED, 4)


def test_what_was_explained_as_gone_is_not_sold_a_second_time(held: Bench) -> None:
    """Lost, given up, seen as somebody's sale in the activities, and then reported as ours."""
    held.exits(4)
    with held.book.change() as commit:
        gone = replace(held.position, qty=0, sold_qty=4, exit_price=money("1.50"))
        commit.change.position(gone)
        commit.change.close_if_sold(gone)
    before = held.position
    assert before.state is PositionState.CLOSED
    held.report(FILLED, 4, "1.50", "x-1")
    assert held.position == before
    assert held.position.realised() == Decimal(-200)
    assert held.events(EventKind.POSITION_CLOSED) == []


@pytest.mark.parametrize(("status", "filled"), [(CANCELED, 0), (FILLED, 2)])
def test_a_closing_order_found_without_its_position_leaves_none_behind(
    database: Database, status: OrderStatus, filled: int
) -> None:
    """The database was lost: all that is known is one closing order of ours at the broker."""
    bench = Bench(database).start(ENTERING, exit_order(qty=2, status=OrderStatus.UNKNOWN))
    bench.report(status, filled, "1.50", "x-1")
    assert bench.position.state is PositionState.VOID
    assert bench.book.view.held() == ()
    assert bench.events(EventKind.POSITION_CLOSED) == []


# any order of reports


@pytest.mark.timeout(600)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_reports_in_any_order_sell_what_was_bought_and_close_once(
    data: st.DataObject, database: Database
) -> None:
    """Cumulative reports of an entry and of several exits, lost, repeated and out of order."""
    bench = Bench(database)
    wanted = data.draw(st.integers(1, 6), "entry quantity")
    bench.start(ENTERING, replace(ENTRY, qty=wanted))
    mail: list[tuple[str, Report]] = []
    truth: dict[str, Report] = {}
    number = reopened = 0

    def at_the_broker() -> int:
        """Contracts that are really there, whatever was told: a broker sells no more."""
        bought = truth[ENTRY.client_order_id].filled_qty
        return 2 * bought - sum(report.filled_qty for report in truth.values())

    def trade(name: str, qty: int) -> None:
        """The broker's history of one order goes into the mail; the last line of it is the truth."""
        done, cost = 0, Decimal(0)
        room = qty if name == ENTRY.client_order_id else at_the_broker()
        history = [Report(NEW, 0, None, "b", NOON)]
        for part in data.draw(st.lists(st.integers(1, 3), max_size=3), f"fills of {name}"):
            part = min(part, qty - done, room - done)
            if part:
                done, cost = done + part, cost + part * data.draw(prices, "price")
                history.append(Report(PART if done < qty else FILLED, done, cost / done, "b", NOON))
        if done < qty:
            price = cost / done if done else None
            history.append(Report(CANCELED, done, price, "b", NOON))
            if done and data.draw(st.booleans(), "the cancel is told before the last fill"):
                early = history[-3]
                history.insert(-2, Report(CANCELED, early.filled_qty, early.filled_avg_price, "b", NOON))
        truth[name] = history[-1]
        mail.extend((name, each) for each in history)

    def deliver(name: str, report: Report) -> None:
        nonlocal reopened
        was = bench.position.state
        bench.take(name, report)
        held = bench.position
        assert 0 <= held.sold_qty <= held.bought_qty <= wanted
        assert held.qty == held.bought_qty - held.sold_qty
        assert held.to_sell <= held.qty
        closed = held.state is PositionState.CLOSED
        assert not (closed and held.qty)
        reopened += was is PositionState.CLOSED and not closed  # a fill that raced the entry's cancel
        assert len(bench.events(EventKind.POSITION_CLOSED)) == reopened + closed

    trade(ENTRY.client_order_id, wanted)
    for _ in range(40):
        if len(mail) > 0 and data.draw(st.integers(0, 3), "read mail"):
            at = data.draw(st.integers(0, len(mail) - 1), "which")
            name, report = mail[at]
            deliver(name, report)
            if data.draw(st.booleans(), "for the last time"):
                mail.pop(at)
        elif bench.position.qty and not bench.book.view.live_orders():
            number += 1
            part = data.draw(st.integers(1, bench.position.qty), "exit quantity")
            trade(bench.exits(part, number), part)
    for name, last in truth.items():  # what polling finds in the end
        deliver(name, last)
    while bench.position.qty:
        number += 1
        name = bench.exits(bench.position.qty, number)
        deliver(name, Report(FILLED, bench.position.qty, money("1.00"), "b", NOON))
        truth[name] = Report(FILLED, bench.book.orders[name].qty, money("1.00"), "b", NOON)
    final = bench.position
    entry = truth[ENTRY.client_order_id]
    assert final.bought_qty == final.sold_qty == entry.filled_qty
    if not entry.filled_qty:
        assert final.state is PositionState.VOID
        return
    assert final.state is PositionState.CLOSED
    proceeds = sum(
        (r.filled_qty * r.filled_avg_price for n, r in truth.items() if "-x-" in n and r.filled_avg_price),
        Decimal(0),
    )
    assert entry.filled_avg_price is not None
    cost = entry.filled_qty * entry.filled_avg_price
    assert abs(final.realised() - (proceeds - cost) * CONTRACT_SHARES) < money("1e-15")
    last_told = bench.events(EventKind.POSITION_CLOSED)[-1]
    assert (last_told["qty"], last_told["gross_pnl"]) == (final.sold_qty, final.realised())
    filled = dict.fromkeys(Side, 0)
    for event in bench.events(EventKind.FILL):
        filled[Side(str(event["side"]))] += int(str(event["qty"]))
    assert filled == {Side.BUY: entry.filled_qty, Side.SELL: entry.filled_qty}


prices = st.decimals("0.01", "9.99", places=2)


# the change itself


def test_a_change_that_fails_leaves_nothing_behind(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it in memory would be a fill that no later report brings back."""
    held.exits(4)
    before = held.book.view
    with monkeypatch.context() as broken:
        broken.setattr("wsb_snake.trading.book.sold", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            held.report(FILLED, 4, "2.40", "x-1")
    assert held.book.view is before
    assert tuple(held.book.orders.values()) == before.orders
    assert not held.book.lock.locked()
    held.report(FILLED, 4, "2.40", "x-1")
    assert held.position.state is PositionState.CLOSED


def test_a_view_is_a_picture_that_later_changes_leave_alone(bench: Bench) -> None:
    before = bench.book.view
    bench.report(FILLED, 4)
    assert before.positions == (ENTERING,)
    assert bench.book.view.positions != before.positions


def test_a_change_without_content_writes_nothing(bench: Bench) -> None:
    with bench.book.change() as commit:
        pass
    assert commit.promise is None


def test_rows_events_and_fills_are_durable_together(tmp_path: Path) -> None:
    database = Database(tmp_path / "wsb_snake.db", LANES)
    database.open()
    bench = Bench(database).start()
    bench.report(PART, 1, "1.90")
    bench.report(FILLED, 4, "2.05")
    bench.exits(4)
    bench.report(FILLED, 4, "2.46", "x-1")
    assert database.close()
    with database.get_connection() as conn:
        kinds = [event.kind for event in events_of(conn)]
        fills = conn.execute("SELECT side, SUM(qty), SUM(qty * price) FROM fills GROUP BY side").fetchall()
        again = Book(LANES, bench.clock, database)
        again.load(conn, OPEN)
    assert kinds == [kind for kind, _ in bench.told]
    assert [tuple(row) for row in fills] == [("buy", 4, pytest.approx(8.2)), ("sell", 4, pytest.approx(9.84))]
    assert again.view == bench.book.view


def events_of(conn: sqlite3.Connection) -> list[Event]:
    return journal.read(conn, 0)


@pytest.mark.parametrize("status", [OrderStatus.PLANNED, OrderStatus.SENDING])
def test_after_a_crash_around_the_send_only_the_broker_knows(tmp_path: Path, status: OrderStatus) -> None:
    database = Database(tmp_path / "wsb_snake.db", LANES)
    database.open()
    Bench(database).start(ENTERING, replace(ENTRY, status=status))
    assert database.close()
    book = Book(LANES, VirtualClock(NOON), database)
    with database.get_connection() as conn:
        book.load(conn, OPEN)
    assert book.orders[ENTRY.client_order_id].status is OrderStatus.UNKNOWN
    assert book.view.live_order(ID, Purpose.ENTRY) is not None


def test_sending_and_watching_show_in_the_next_picture(held: Bench) -> None:
    held.exits(4)
    sent = held.book.sending(f"wsb-{ID}-x-1")
    assert (sent.status, sent.sent_at) == (OrderStatus.SENDING, NOON)
    assert held.book.view.live_order(ID, Purpose.EXIT) == sent
    seen = Watch(high_bid=money("2.30"))
    held.book.watch(ID, seen)
    held.book.watch("unknown", seen)
    assert held.book.view.watched()[0].watch == seen


def test_what_was_over_yesterday_is_forgotten_and_what_is_held_is_not(database: Database) -> None:
    bench = Bench(database)
    long_ago = NOON - timedelta(days=3)
    old = order(client_order_id="old", position_id="over", created_at=long_ago, status=FILLED)
    kept = order(client_order_id="kept", position_id="kept", created_at=long_ago, status=FILLED)
    bench.start(
        position(position_id="over", state=PositionState.CLOSED, qty=0, closed_at=long_ago), old, kept
    )
    with bench.book.change() as commit:
        commit.change.position(position(position_id="kept", opened_at=long_ago))
        commit.change.position(
            position(position_id="today", state=PositionState.CLOSED, qty=0, closed_at=NOON)
        )
    bench.book.forget_before(OPEN)
    assert set(bench.book.positions) == {"kept", "today"}
    assert set(bench.book.orders) == {"kept"}
    assert {p.position_id for p in bench.book.view.positions} == {"kept", "today"}
