"""Flat or open, wrongly believed: after a lost event, a restart, a liquidation, an exercise."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.bench import AAPL_CALL, DAY, IWM_CALL, SPY_CALL, SPY_LATER
from tests.trading.samples import order as sample_order
from tests.trading.world import SCALP, Trouble, World, world
from wsb_snake.backtest.sim_broker import trade_update
from wsb_snake.core.orders import (
    ExitReason,
    OrderStatus,
    Origin,
    PositionState,
    Report,
    Side,
    apply_report,
)
from wsb_snake.core.signals import NO_EXITS, ExitPlan
from wsb_snake.sim.account import signed
from wsb_snake.sim.alpaca_json import order_json
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.alpaca_wire import order
from wsb_snake.trading.broker import Activity, Rejected, Unavailable, Unknown

POLLED_S = 15.0
"""A fill that no event told of is known at the latest after this many seconds."""


def booked(w: World) -> dict[str, int]:
    """Contracts that the executor believes to hold, by symbol."""
    held: dict[str, int] = {}
    for position in w.watched:
        held[position.symbol] = held.get(position.symbol, 0) + position.qty
    return held


def at_exchange(w: World) -> dict[str, int]:
    return {holding.symbol: holding.qty for holding in w.exchange.account.holdings}


def sold(w: World, symbol: str = SPY_CALL) -> int:
    return sum(o.filled_qty for o in w.own("sell") if o.symbol == symbol)


@pytest.mark.parametrize("wall", ["10:00", "15:56"])
def test_01_a_fill_whose_event_never_comes_is_learnt_by_polling(tmp_path: Path, wall: str) -> None:
    """Acknowledged and filled, and the stream stays silent about it."""
    with world(tmp_path, wall) as w:
        position = w.open(SPY_LATER, plan=SCALP)
        w.lose_updates = True
        alpaca_executor.execute_exit(position.position_id, ExitReason.MANUAL)
        w.until(lambda: w.held(SPY_LATER) == 0, 10)
        closed = lambda: w.position(position.position_id).state is PositionState.CLOSED  # noqa: E731
        assert w.until(closed, 30) <= POLLED_S
        assert w.position(position.position_id).exit_price == w.own("sell")[0].filled_avg_price


def test_01b_an_entry_whose_fill_event_never_comes_is_watched_within_seconds(tmp_path: Path) -> None:
    """A bought contract that nobody watches because the event was lost."""
    with world(tmp_path) as w:
        w.lose_updates = True
        w.enter()
        w.until(lambda: w.held() > 0, 10)
        assert w.until(lambda: w.watched, 30) <= POLLED_S
        assert booked(w) == at_exchange(w)


def test_04_events_that_come_again_change_nothing(tmp_path: Path) -> None:
    """The same answer twice made the quantity wrong, and the close was refused."""
    with world(tmp_path, rules=Rules(partial_fill_chance=1), seed=3) as w:
        w.repeat_updates = 2
        position = w.open()
        w.price("1.26", "1.30")
        w.until(w.outcomes, 60)
        fills, orders = w.events("fill"), w.rows("SELECT * FROM orders ORDER BY client_order_id")
        again = [trade_update(message) for message in w.updates]
        random.Random(4).shuffle(again)
        for update in again:
            w.daemon.take_update(update)
        w.run(15)
        assert w.events("fill") == fills
        assert w.rows("SELECT * FROM orders ORDER BY client_order_id") == orders
        assert sold(w) == position.bought_qty
        assert len(w.outcomes()) == 1


@given(
    st.integers(1, 60).flatmap(
        lambda qty: st.tuples(
            st.just(qty),
            st.lists(st.integers(0, qty), min_size=1, max_size=12).map(sorted),
            st.randoms(use_true_random=False),
        )
    )
)
def test_05_increments_add_up_to_what_was_told_last(drawn: tuple[int, list[int], random.Random]) -> None:
    """Cumulative quantities were added up as if each were new, and too much was sold."""
    qty, cumulative, luck = drawn
    arrived = cumulative + luck.choices(cumulative, k=luck.randrange(6))
    luck.shuffle(arrived)
    buy = sample_order(qty=qty)
    booked_qty = 0
    for filled in arrived:
        status = OrderStatus.FILLED if filled == qty else OrderStatus.PARTIALLY_FILLED
        told = Report(status if filled else OrderStatus.NEW, filled, Decimal(2), "b", buy.created_at)
        later = apply_report(buy, told)
        assert later.filled_qty >= buy.filled_qty
        booked_qty += later.filled_qty - buy.filled_qty
        buy = later
    assert booked_qty == max(cumulative)
    assert (buy.status is OrderStatus.FILLED) == (max(cumulative) == qty)


def test_08_orders_filled_and_positions_not_yet_there_is_no_finding(tmp_path: Path) -> None:
    """Positions lag their orders by ten seconds; what was just bought is neither gone nor unsellable."""
    with world(tmp_path) as w:
        w.broker.shown["positions"] = ()
        position = w.open()
        w.broker.once["submit"] = [
            Trouble(Rejected("insufficient qty available for order (requested: 4, available: 0)", 403)),
            Trouble(Rejected("insufficient qty available for order (requested: 4, available: 0)", 403)),
        ]
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.run(8)
        assert w.position(position.position_id).state in {PositionState.EXITING, PositionState.CLOSED}
        del w.broker.shown["positions"]
        w.until(w.outcomes, 60)
        assert sold(w) == position.qty
        assert w.events("position_adopted") == []
        assert "reconcile" not in w.paused()


def test_08b_what_another_order_holds_is_not_asked_for(tmp_path: Path) -> None:
    """The broker frees less than it shows as held; asking for all is refused for ever."""
    with world(tmp_path) as w:
        position = w.open()
        foreign = w.by_hand(SPY_CALL, "sell", 3, "9.00", "sell_to_close")
        w.run(15)
        w.broker.always["cancel"] = Unavailable("timed out")  # the other order cannot be called back
        alpaca_executor.execute_exit(position.position_id, ExitReason.STOP)
        w.until(lambda: sold(w) == 1, 60)
        assert all(order.qty == 1 for order in w.own("sell"))
        assert w.exchange.order(foreign.id).open
        del w.broker.always["cancel"]
        w.until(w.outcomes, 60)
        assert sold(w) == 4


def test_24_a_close_by_hand_while_the_daemon_was_down_is_taken_over_at_the_start(tmp_path: Path) -> None:
    """The bot came back, kept the position open and went on selling what was no longer there."""
    with world(tmp_path) as w:
        position = w.open()
        w.crash()
        w.clock.advance_to(w.clock.monotonic() + 900)
        w.price("1.10", "1.15")
        w.by_hand(SPY_CALL, "sell", position.qty)
        w.clock.advance_to(w.clock.monotonic() + 900)
        w.start()
        assert w.until(w.outcomes, 60) <= 30
        (outcome,) = w.outcomes()
        assert (outcome["exit_reason"], Decimal(outcome["exit_price"])) == ("manual_close", Decimal("1.10"))
        assert w.watched == ()
        assert w.own("sell") == []
        assert w.paused() == set()
        w.to("11:30")  # past the time exit of what is gone
        assert w.own("sell") == []


@pytest.mark.parametrize("database", ["kept", "lost"])
@pytest.mark.parametrize("stage", ["flat", "entering", "partial", "open", "closing"])
def test_30_a_restart_believes_the_broker(tmp_path: Path, stage: str, database: str) -> None:
    """After a restart the bot thought itself flat while it held, or sent its orders a second time."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, fills_within_size=True)
    with world(tmp_path, rules=rules) as w:
        _bring_to(w, stage)
        bought_before, sold_before = len(w.own("buy")), len(w.own("sell"))
        held = at_exchange(w)
        w.crash()
        if database == "lost":
            for file in tmp_path.glob("wsb_snake.db*"):
                file.unlink()
        w.start()
        assert booked(w) == held
        assert alpaca_executor.all_positions_monitored()
        w.price("1.10", "1.16")
        w.run(60)
        assert len(w.own("buy")) == bought_before
        assert booked(w) == at_exchange(w)
        w.price("0.60", "0.64")
        w.until(lambda: not at_exchange(w), 60)
        w.run(3)
        assert booked(w) == {}
        assert sold(w) == sum(o.filled_qty for o in w.own("buy"))
        assert len({o.client_order_id for o in w.own("sell")}) == len(w.own("sell")) >= sold_before
        assert len(w.outcomes()) == (0 if stage in {"flat", "entering"} else 1)
        assert not [text for text in w.broker.refusals if "unique" in text]


def _bring_to(w: World, stage: str) -> None:
    if stage == "flat":
        return
    if stage == "entering":
        w.enter()
        w.price("1.10", "1.16")  # it runs away while the order is on its way
        w.until(lambda: w.own("buy"), 5)
    elif stage == "partial":
        w.price("1.00", "1.05", size=1)
        w.enter()
        w.until(lambda: w.held() == 1, 5)
        w.price("1.10", "1.16")
    else:
        w.open()
        if stage == "closing":
            w.feed.shown[SPY_CALL] = ("1.40", "1.45")
            w.until(lambda: w.own("sell"), 10)  # a limit that nobody takes
            del w.feed.shown[SPY_CALL]


def test_31_positions_that_vanish_are_seen_without_a_row_at_the_broker(tmp_path: Path) -> None:
    """Only what the broker listed was compared, so what had gone was never missed."""
    with world(tmp_path) as w:
        w.open(SPY_CALL, "one")
        gone = w.open(IWM_CALL, "two")
        w.exchange.account.trade(IWM_CALL, -gone.qty, Decimal(1), 100)  # and nothing tells of it
        w.until(lambda: "reconcile" in w.paused(), 60)
        assert w.enter(SPY_LATER, "three") is None
        assert w.position(gone.position_id).state is PositionState.OPEN
        assert w.outcomes() == []
        assert not alpaca_executor.all_positions_monitored()
        assert [text for text in w.alerts() if "unexplained" in text]
        w.price("0.60", "0.64")  # the other one is closed all the same
        w.until(lambda: w.held() == 0, 10)


def test_36_the_broker_s_own_sale_is_taken_over_with_its_price(tmp_path: Path) -> None:
    """A liquidation was dropped because no order of ours belonged to it."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, liquidation="always")
    with world(tmp_path, "15:04", rules=rules, wsb_snake_cutoff_flatten=False) as w:
        position = w.open(plan=NO_EXITS)
        w.to("15:40")
        w.price("0.70", "0.74")
        w.until(w.outcomes, 600)
        (outcome,) = w.outcomes()
        assert outcome["position_id"] == position.position_id
        assert outcome["exit_reason"] == "broker_liquidation"
        assert Decimal(outcome["exit_price"]) == Decimal("0.70")
        assert Decimal(outcome["gross_pnl"]) == (Decimal("0.70") - Decimal("1.05")) * 100 * position.qty
        assert w.own("sell") == []
        assert w.paused() == set()
        assert any("liquidat" in text.lower() for text in w.alerts())


def _unsellable(w: World, qty: int = 1) -> None:
    """A call deep in the money that nobody bids for, and whose exercise the account can pay."""
    w.price("0.00", "0.05")
    w.market.spots["SPY"] = w.market.settlements["SPY"] = 680.0
    w.exchange.hold(SPY_CALL, qty, Decimal("1.05"))


def test_37_an_exercise_ends_the_position_and_the_shares_are_reported_not_sold(tmp_path: Path) -> None:
    """Held into the close in the money: next there are shares, and nobody had planned for them."""
    with world(tmp_path, "15:54", cash="200000") as w:
        _unsellable(w)
        w.to("15:59:30")
        assert w.held() == 1
        w.to("16:50")
        w.until(w.outcomes, 600)
        assert w.outcomes()[0]["exit_reason"] == "exercised"
        assert at_exchange(w) == {"SPY": 100}
        w.until(lambda: "reconcile" in w.paused(), 300)
        items = [item for event in w.events("foreign_risk") for item in event["items"]]
        assert {(item["symbol"], item["kind"][:6]) for item in items} == {("SPY", "shares")}
        assert all(ticket.symbol != "SPY" for ticket in w.broker.sent())
        assert w.watched == ()


def test_37b_the_morning_after_is_told_from_the_account_s_activities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died before settlement: the books still hold what became shares in the night."""
    cash, next_day = "200000", DAY + timedelta(days=1)
    evening = World(tmp_path, "15:54", cash=cash)
    _unsellable(evening)
    evening.start()
    evening.to("15:59:30")
    (held,) = evening.watched
    evening.crash()
    evening.clock.advance_to(evening.clock.monotonic() + 600)
    evening.exchange.advance()
    resting = order(order_json(evening.own("sell")[-1]))
    morning = World(tmp_path, "10:00", day=next_day, cash=cash)
    morning.exchange.hold("SPY", 100, Decimal(670))
    morning.start(agree=False)
    settled = datetime(DAY.year, DAY.month, DAY.day, 21, 45, tzinfo=UTC)
    told = (
        Activity("a-1", "OPEXC", SPY_CALL, None, Decimal(1), None, settled, None),
        Activity("a-2", "OPTRD", "SPY", Side.BUY, Decimal(100), Decimal(670), settled, None),
    )
    try:
        morning.broker.shown["activities"] = told
        monkeypatch.setattr(morning.broker, "order_by_client_id", lambda _: resting)  # over since the close
        morning.agree()
        morning.until(morning.outcomes, 120)
        (outcome,) = morning.outcomes()
        assert (outcome["position_id"], outcome["exit_reason"]) == (held.position_id, "exercised")
        morning.until(lambda: "reconcile" in morning.paused(), 60)
        assert any("100" in text and "SPY" in text and "shares" in text for text in morning.alerts())
        morning.to("10:45")
        assert morning.enter(morning_call(next_day)) is None
        assert all(ticket.symbol != "SPY" for ticket in morning.broker.sent())
        assert at_exchange(morning) == {"SPY": 100}
    finally:
        morning.crash()


def morning_call(day: object) -> str:
    return f"SPY{day:%y%m%d}C00670000"


def test_37c_an_open_order_does_not_stand_in_the_way_of_the_end(tmp_path: Path) -> None:
    """The resting sale of an expiring contract is over with the session, and so is the position."""
    with world(tmp_path, "15:50") as w:
        w.price("0.00", "0.05")
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.to("15:59:59")
        assert [o.open for o in w.own("sell")].count(True) == 1
        w.to("16:50")
        w.until(w.outcomes, 600)
        assert w.outcomes()[0]["exit_reason"] == "expired"
        assert w.desk.book.view.live_orders() == ()


def test_38_a_fill_between_cancel_and_next_order_leaves_only_the_rest_to_sell(tmp_path: Path) -> None:
    """A fill was lost while the order was being changed; every later sale asked for too much."""
    rules = Rules(partial_fill_chance=0, fill_beats_cancel_chance=1, fills_within_size=True)
    with world(tmp_path, rules=rules) as w:
        position = w.open()
        w.feed.shown[SPY_CALL] = ("1.00", "1.05")
        w.price("0.90", "0.95")
        alpaca_executor.execute_exit(position.position_id, ExitReason.TIME)
        w.until(lambda: w.own("sell") and w.own("sell")[0].status == "pending_cancel", 20)
        w.lose_updates = True  # nobody hears of the three that fill now
        w.price("1.00", "1.05", size=3)
        w.until(lambda: w.own("sell")[0].filled_qty == 3, 10)
        w.price("0.90", "0.95", size=50)
        w.until(w.outcomes, 60)
        assert [o.qty for o in w.own("sell")][1:] in ([1], [1, 1])
        assert sold(w) == position.qty
        assert w.broker.refusals == []


def test_38b_fills_of_a_disconnected_hour_are_recovered(tmp_path: Path) -> None:
    """What filled while the connection was away was never booked."""
    with world(tmp_path) as w:
        w.daemon.take_stream_state(True)
        entry = w.enter()
        assert entry is not None
        w.lose_updates = True
        w.until(lambda: w.own("buy"), 5)
        w.daemon.take_stream_state(False)
        for name in ("open_orders", "positions", "order_by_client_id", "orders_since"):
            w.broker.always[name] = Unavailable("no route")
        w.run(600)
        assert w.held() == 4
        w.broker.always.clear()
        w.lose_updates = False
        w.daemon.take_stream_state(True)
        w.until(lambda: w.position(entry.position_id).state is PositionState.OPEN, 30)
        assert booked(w) == at_exchange(w)
        assert w.position(entry.position_id).origin is Origin.OURS


@pytest.mark.parametrize("how", ["target", "stop", "time", "trail"])
def test_39_exits_are_in_force_after_a_restart(tmp_path: Path, how: str) -> None:
    """Stop and target were gone after a restart, and the position ran on alone."""
    trail = ExitPlan(half_at=Decimal("0.50"), trail=Decimal("0.20"))
    with world(tmp_path) as w:
        position = w.open(plan=trail if how == "trail" else replace(SCALP, max_hold_s=1200))
        if how == "trail":
            w.price("1.60", "1.64")
            w.until(lambda: w.position(position.position_id).half_sold, 20)
            w.price("2.00", "2.04")
            w.run(40)
        w.run(600)
        w.restart()
        after = w.position(position.position_id)
        assert (after.plan, after.opened_at, after.entry_price) == (
            position.plan,
            position.opened_at,
            position.entry_price,
        )
        moves = {"target": ("1.26", "1.30"), "stop": ("0.80", "0.84"), "trail": ("1.60", "1.64")}
        if how in moves:
            w.price(*moves[how])
        took = w.until(w.outcomes, 900)
        assert w.outcomes()[0]["exit_reason"] == how
        assert took < 10 or how == "time"
        if how == "time":  # counted from the fill, not from the restart
            assert w.exits[-1].created_at - position.opened_at < timedelta(minutes=20, seconds=5)


def test_40_the_end_of_day_books_nothing_closed_before_the_broker_says_so(tmp_path: Path) -> None:
    """The books were closed on having tried; at the broker the position lived on."""
    with world(tmp_path, "15:54:30", wsb_snake_cutoff_flatten=False) as w:
        w.exchange.hold(SPY_CALL, 2, Decimal("1.05"))
        w.exchange.hold(AAPL_CALL, 1, Decimal("1.05"))
        w.broker.always["submit"] = Rejected("orders are not accepted at this time", 403)
        w.to("15:58:30")
        assert booked(w) == at_exchange(w) == {SPY_CALL: 2, AAPL_CALL: 1}
        assert w.outcomes() == []
        assert w.events("eod_proven") == []
        assert w.daemon.facts().eod_flat_proven is False
        stored = w.rows("SELECT symbol, qty, closed_at FROM positions ORDER BY symbol")
        assert [(row["symbol"], row["qty"], row["closed_at"]) for row in stored] == [
            (AAPL_CALL, 1, None),
            (SPY_CALL, 2, None),
        ]
        del w.broker.always["submit"]
        w.until(lambda: len(w.outcomes()) == 2, 60)
        assert {Decimal(row["exit_price"]) for row in w.outcomes()} == {Decimal(1)}


def test_40b_a_sale_that_may_have_happened_is_not_booked_as_one(tmp_path: Path) -> None:
    """An answer that was lost is no evidence; only the broker's order is."""
    with world(tmp_path, "15:54:30", wsb_snake_cutoff_flatten=False) as w:
        w.exchange.hold(SPY_CALL, 2, Decimal("1.05"))
        w.lose_updates = True
        w.broker.once["submit"] = [Trouble(Unknown("reset"), effect=False)]
        w.until(lambda: w.broker.sent(), 60)
        w.broker.always["order_by_client_id"] = Unavailable("timed out")
        w.run(20)
        assert booked(w) == {SPY_CALL: 2}
        assert len(w.broker.sent()) == 1
        del w.broker.always["order_by_client_id"]
        w.until(w.outcomes, 60)
        assert sold(w) == 2


def test_40c_one_row_a_position_for_ever(tmp_path: Path) -> None:
    """A row that was used again let a sweeper write off a position that lived."""
    with world(tmp_path) as w:
        first = w.open(signal_id="one")
        w.price("1.26", "1.30")
        w.until(w.outcomes, 30)
        w.price("1.00", "1.05")
        w.run(20)
        second = w.open(signal_id="two")
        assert second.position_id != first.position_id
        w.run(60)
        w.restart()
        rows = w.rows("SELECT position_id, state, qty FROM positions ORDER BY opened_at")
        assert [(row["position_id"], row["state"], row["qty"]) for row in rows] == [
            (first.position_id, "closed", 0),
            (second.position_id, "open", second.qty),
        ]
        assert replace(w.position(second.position_id), watch=second.watch) == second
        assert sum(signed(o.side, o.filled_qty) for o in (*w.own("buy"), *w.own("sell"))) == second.qty
