"""Orders that neither end nor fill: cancels that are never confirmed, words that we do not know."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL
from tests.trading.samples import NOON, exit_order, money, order, quote
from tests.trading.world import Trouble, World, world
from wsb_snake.core.orders import (
    LIVE,
    UNSETTLED,
    ExitReason,
    OrderStatus,
    OrderType,
    PositionState,
    Purpose,
)
from wsb_snake.sim.matching import Execution
from wsb_snake.sim.orders import NewOrder, SimOrder
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerOrder, NotFound, Rejected, Unknown
from wsb_snake.trading.order_ids import order_id
from wsb_snake.trading.order_signs import GONE_AFTER, Signs
from wsb_snake.trading.order_work import Cancel, LookUp, Send, beside_entry, entry_step, exit_step

NEVER_CONFIRMED = "is not confirmed"


def stuck(w: World, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancels of that side are taken and never happen."""
    monkeypatch.setattr(w.feed, "holds_cancel", lambda order, at: order.side == side)


def part_filled(w: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """An entry of four contracts of which one fills; its position."""

    def one(order: SimOrder, execution: Execution | None, at: object) -> Execution | None:
        if execution is None or order.side == "sell":
            return execution
        return None if order.filled_qty else Execution(1, execution.price)

    monkeypatch.setattr(w.feed, "execution", one)
    entry = w.enter()
    assert entry is not None
    w.until(lambda: w.position(entry.position_id).qty == 1, 10)
    return entry.position_id


def complaints(w: World) -> list[str]:
    return [text for text in w.alerts() if NEVER_CONFIRMED in text]


def test_an_exit_goes_ahead_beside_an_entry_whose_cancel_is_never_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        position_id = part_filled(w, monkeypatch)
        stuck(w, "buy", monkeypatch)
        w.price("1.30", "1.34")  # the target; the bid is above the entry's limit
        w.until(lambda: w.held() == 0, 60)
        (entry,) = w.legs(Purpose.ENTRY)
        assert entry.live
        sale = w.own("sell")[-1]
        assert sale.limit_price is not None and entry.limit_price is not None
        assert sale.limit_price > entry.limit_price
        assert sale.submitted_at - entry.created_at < timedelta(seconds=45)
        assert complaints(w)
        monkeypatch.undo()
        w.until(lambda: w.position(position_id).state is PositionState.CLOSED, 30)
        w.until(w.outcomes, 5)


@pytest.mark.parametrize("seconds", [8.0, 30.0])
def test_a_cancel_that_hangs_does_not_starve_the_exit_beside_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    with world(tmp_path) as w:
        part_filled(w, monkeypatch)

        def hangs(broker_id: str) -> None:
            w.hub.sleep(seconds)
            raise Unknown("time-out")

        monkeypatch.setattr(w.broker, "cancel", hangs)
        w.price("1.30", "1.34")  # the target; the bid is above the entry's limit
        w.until(lambda: w.held() == 0, 60 + seconds)
        (entry,) = w.legs(Purpose.ENTRY)
        assert entry.live
        monkeypatch.undo()
        w.until(lambda: not w.legs(Purpose.ENTRY)[0].live, 60 + seconds)


def test_a_wash_trade_refusal_is_tried_again_until_the_broker_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        part_filled(w, monkeypatch)
        stuck(w, "buy", monkeypatch)
        w.price("0.60", "0.64")  # below the entry's limit: every sale is a wash trade
        w.run(90)
        assert w.held() == 1
        assert w.broker.refusals and all("wash trade" in text for text in w.broker.refusals)
        monkeypatch.undo()
        w.until(lambda: w.held() == 0, 40)


def test_a_sale_refused_for_want_of_contracts_is_tried_again_for_what_the_broker_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has just sold some; the readings from before still show all of them."""
    with world(tmp_path) as w:
        position = w.open()
        shown = w.do(w.broker.positions)
        monkeypatch.setattr(w.broker, "positions", lambda: shown)
        w.by_hand(SPY_CALL, "sell", position.qty - 1)
        w.do(lambda: alpaca_executor.close_position(SPY_CALL))
        w.until(lambda: len(w.broker.sent()) > 2, 10)
        assert [ticket.qty for ticket in w.broker.sent()[1:3]] == [position.qty, 1]
        w.until(lambda: w.held() == 0, 10)
        monkeypatch.undo()


def test_what_was_sold_by_hand_while_an_exit_waited_for_its_cancel_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reading from after the cancel is old enough to be believed; what is held shows already before."""
    with world(tmp_path) as w:
        position = w.open()
        w.run(15)
        w.by_hand(SPY_CALL, "sell", position.qty - 1)
        w.until(lambda: w.held() == 1, 5)
        monkeypatch.setattr(w.feed, "execution", lambda *_: None)
        stuck(w, "sell", monkeypatch)
        w.do(lambda: alpaca_executor.close_position(SPY_CALL))
        w.run(40)
        monkeypatch.undo()
        w.until(lambda: w.held() == 0, 30)
        assert [ticket.qty for ticket in w.broker.sent()[1:3]] == [1, 1]


def test_an_exit_stuck_in_its_cancel_is_told_each_minute_and_sells_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        position = w.open()
        stuck(w, "sell", monkeypatch)
        w.feed.shown[SPY_CALL] = ("2.00", "2.02")
        w.until(lambda: w.exits, 10)
        w.run(200)
        assert 3 <= len(complaints(w)) <= 4
        assert len(w.own("sell")) == 1
        assert sum(name == "cancel" for name, _, _ in w.broker.calls) > 20
        monkeypatch.undo()
        w.feed.shown.clear()
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 60)


def test_an_order_of_unknown_status_that_is_really_over_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("2.00", "2.02")
        w.lose_updates = True
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.own("sell") and w.exits[0].broker_id, 10)
        (sale,) = w.own("sell")
        seen = w.do(lambda: w.broker.order_by_client_id(sale.client_order_id))
        w.exchange.cancel(sale.id)
        w.run(1)
        w.broker.shown["open_orders"] = ()
        w.broker.shown["order_by_client_id"] = replace(seen, status=OrderStatus.UNRECOGNISED)
        w.broker.always["cancel"] = Rejected("order is already over", 422)
        began = w.clock.monotonic()
        w.until(lambda: not w.exits[0].live, 60)
        assert w.clock.monotonic() - began >= GONE_AFTER.total_seconds() - 5
        assert "taken for ended" in w.exits[0].note
        assert any("taken for ended" in text for text in w.alerts())
        w.broker.shown.clear()
        w.broker.always.clear()
        w.feed.shown.clear()
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 60)
        assert w.broker.refusals == []


def test_a_fill_that_only_the_activities_tell_of_closes_the_position_at_its_price(tmp_path: Path) -> None:
    """The order filled, and the broker goes on showing it unfilled under a word that we do not know."""
    with world(tmp_path) as w:
        position = w.open()
        w.run(15)
        w.lose_updates = True
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.own("sell"), 10)
        (sale,) = w.own("sell")
        w.broker.shown["open_orders"] = ()
        seen = w.do(lambda: w.broker.order_by_client_id(sale.client_order_id))
        unseen = replace(seen, status=OrderStatus.UNRECOGNISED, filled_qty=money("0"), filled_avg_price=None)
        w.broker.shown["order_by_client_id"] = unseen
        w.broker.shown["submit"] = unseen
        w.broker.always["cancel"] = Rejected("order is already over", 422)
        w.until(w.outcomes, 120)
        (outcome,) = w.outcomes()
        assert (outcome["exit_reason"], outcome["exit_price"]) == ("manual", "1.00")
        assert sum(o.filled_qty for o in w.own("sell")) == position.qty
        w.until(lambda: "reconcile" not in w.paused(), 60)


def test_an_order_of_unknown_status_that_is_listed_goes_on_being_live(tmp_path: Path) -> None:
    unknown = exit_order(status=OrderStatus.UNRECOGNISED)
    later = NOON + timedelta(seconds=60)
    said = Signs(listed_at=NOON, refused_at=NOON + timedelta(seconds=20))
    assert said.over(unknown, later, later)
    assert not said.over(unknown, NOON, later)  # the latest reading has it
    assert not said.over(unknown, later, NOON + timedelta(seconds=29))
    assert not Signs(listed_at=NOON).over(unknown, later, later)  # no cancel was refused
    assert not Signs(listed_at=later, refused_at=NOON).over(unknown, later, later)  # seen since
    assert not said.over(exit_order(), later, later)  # a word that we know


def test_an_order_that_the_broker_has_lost_is_over_once_nothing_knows_it() -> None:
    mine, later = exit_order(), NOON + timedelta(seconds=60)
    lost = Signs(
        listed_at=NOON, unfound_at=NOON + timedelta(seconds=5), nothing_at=NOON + timedelta(seconds=40)
    )
    assert lost.missing(mine, later) and lost.over(mine, later, later)
    assert not lost.missing(mine, NOON + timedelta(seconds=29))
    assert not lost.over(mine, NOON, later)  # the latest reading has it
    assert not lost.over(mine, None, later)
    assert not replace(lost, unfound_at=None).over(mine, later, later)
    assert not replace(lost, nothing_at=None).over(mine, later, later)
    assert not replace(lost, shown_at=later).over(mine, later, later + timedelta(seconds=60))
    assert not lost.over(exit_order(status=OrderStatus.UNKNOWN), later, later)


def lose(w: World, name: str, broker_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker ends that order, says nothing, and from then on has never heard of it."""
    find, cancel = w.broker.order_by_client_id, w.broker.cancel

    def found(client_order_id: str) -> BrokerOrder:
        if client_order_id == name:
            raise NotFound("order not found", 404)
        return find(client_order_id)

    def cancelled(order_id: str) -> None:
        if order_id == broker_id:
            raise NotFound("order not found", 404)
        cancel(order_id)

    monkeypatch.setattr(w.broker, "order_by_client_id", found)
    monkeypatch.setattr(w.broker, "cancel", cancelled)
    w.lose_updates = True
    w.exchange.cancel(broker_id)
    w.run(1)
    w.lose_updates = False


def test_an_exit_that_the_broker_has_lost_does_not_hold_its_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("2.00", "2.02")
        w.until(lambda: w.exits and w.exits[0].broker_id, 10)
        lose(w, w.exits[0].client_order_id, w.own("sell")[0].id, monkeypatch)
        w.feed.shown.clear()
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 90)
        assert sum(o.filled_qty for o in w.own("sell")) == position.qty
        assert w.exits[0].status is OrderStatus.CANCELED and "taken for ended" in w.exits[0].note
        assert any("taken for ended" in text for text in w.alerts())


def test_an_entry_that_the_broker_has_lost_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path) as w:
        monkeypatch.setattr(w.feed, "execution", lambda order, execution, at: None)
        entry = w.enter()
        assert entry is not None
        w.until(lambda: w.legs(Purpose.ENTRY)[0].broker_id, 10)
        lose(w, entry.client_order_id, w.own("buy")[0].id, monkeypatch)
        w.until(lambda: w.position(entry.position_id).state is PositionState.VOID, 90)


def test_a_resting_exit_that_the_broker_has_lost_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit at the minimum tick is never cancelled by itself, so nothing would ask."""
    with world(tmp_path) as w:
        position = w.open()
        w.price("0.00", "0.05")
        w.run(1)
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.exits and w.exits[-1].broker_id and w.exits[-1].limit_price == money("0.01"), 30)
        lost = w.exits[-1]
        lose(w, lost.client_order_id, w.own("sell")[-1].id, monkeypatch)
        w.until(lambda: any(o.client_order_id == lost.client_order_id and not o.live for o in w.exits), 90)
        w.price("0.10", "0.15")
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 60)


@pytest.mark.parametrize("status", sorted(LIVE - UNSETTLED))
def test_whatever_live_status_the_broker_shows_an_order_is_cancelled_in_its_time(status: OrderStatus) -> None:
    at = NOON + timedelta(seconds=60)
    bid = quote("1.90", "1.95", at)
    assert isinstance(entry_step(order(status=status), at, None), Cancel)
    assert isinstance(exit_step(exit_order(status=status), bid, at), Cancel)
    asked = exit_order(status=status, cancel_asked_at=at - timedelta(seconds=3))
    assert exit_step(asked, bid, at) == LookUp()


def test_a_sale_beside_a_working_entry_stands_above_its_limit_where_the_bid_allows() -> None:
    bid = quote("2.10", "2.14")
    market = Send(OrderType.MARKET, None, money("2.10"))
    low = Send(OrderType.LIMIT, money("1.99"), money("2.10"))
    high = Send(OrderType.LIMIT, money("2.08"), money("2.10"))
    above = Send(OrderType.LIMIT, money("2.01"), money("2.10"))
    assert beside_entry(order(), market, bid) == above
    assert beside_entry(order(), low, bid) == above
    assert beside_entry(order(), high, bid) == high
    under = Send(OrderType.LIMIT, money("1.80"), money("1.82"))
    assert beside_entry(order(), under, quote("1.82", "1.86")) == under


def test_another_order_under_the_name_of_our_exit_is_cancelled_as_foreign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for our own, however long its cancel takes; the exit follows once it is gone."""
    with world(tmp_path) as w:
        position = w.open()
        name = order_id(position.position_id, Purpose.EXIT, 1)
        other = w.exchange.place(
            NewOrder(SPY_CALL, "sell", position.qty, "limit", money("2.00"), client_order_id=name)
        )
        free_at = w.clock.now() + timedelta(seconds=60)
        monkeypatch.setattr(w.feed, "holds_cancel", lambda order, at: order.id == other.id and at < free_at)
        w.broker.shown["open_orders"] = ()  # the list lags
        w.price("0.40", "0.42")
        w.run(4)
        w.broker.shown.clear()
        began = len(w.broker.calls)
        w.run(46)
        assert all(o.broker_id != other.id for o in w.exits)
        assert len(w.broker.calls) - began < 200
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED, 60)


def test_an_entry_that_was_refused_and_works_all_the_same_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        monkeypatch.setattr(w.feed, "execution", lambda order, execution, at: None)
        w.broker.once["submit"] = [Trouble(Rejected("no", 403), effect=True)]
        w.lose_updates = True
        assert w.enter() is not None
        w.until(lambda: w.own("buy"), 10)
        w.lose_updates = False
        (working,) = w.own("buy")
        w.until(lambda: w.legs(Purpose.ENTRY)[0].broker_id == working.id, 90)
        w.until(lambda: not w.own("buy")[0].open and not w.legs(Purpose.ENTRY)[0].live, 60)
        assert any("reported as over" in text for text in w.alerts())
