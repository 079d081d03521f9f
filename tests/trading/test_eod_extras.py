"""What the owner is told and can ask for at the end of a day: reasons, exercise, do-not-exercise, cancel."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import AAPL_CALL, HALF_DAY, IWM_CALL, SPY_CALL, SPY_LATER, SPY_PUT
from tests.trading.samples import NOON, exit_order, order, position, quote
from tests.trading.world import World, world
from wsb_snake.core.calendar import Session
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import ExitReason, Order, OrderStatus, PositionState
from wsb_snake.core.signals import ExitPlan
from wsb_snake.core.types import Quote
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Rejected, Unavailable, Unknown
from wsb_snake.trading.eod_reasons import why_open
from wsb_snake.trading.exercise import in_the_money

LATE = NOON + timedelta(seconds=30)
BID = quote("1.90", "1.95", LATE)
NOBODY = quote("0", "0.05", LATE)
KEPT = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, liquidation="never")


@pytest.mark.parametrize(
    ("orders", "shown", "answering", "why"),
    [
        ((exit_order(),), BID, False, "the broker does not answer"),
        ((), BID, True, "no closing order has gone out yet"),
        ((), NOBODY, True, "no bid"),
        ((), None, True, "no quote is known"),
        ((exit_order(),), None, True, "no quote is known"),
        ((exit_order(),), BID, True, "the closing order is not filled yet"),
        ((exit_order(),), NOBODY, True, "no bid"),
        (
            (exit_order(status=OrderStatus.UNKNOWN),),
            NOBODY,
            True,
            "the outcome of the closing order is unknown",
        ),
        (
            (exit_order(cancel_asked_at=LATE),),
            NOBODY,
            True,
            "the cancel of the closing order is not confirmed",
        ),
        (
            (order(status=OrderStatus.PENDING_CANCEL),),
            BID,
            True,
            "the cancel of the entry order is not confirmed",
        ),
        (
            (exit_order(status=OrderStatus.REJECTED, note="wash trade", ended_at=LATE),),
            NOBODY,
            True,
            "the broker refuses: wash trade",
        ),
    ],
)
def test_the_reason_is_the_true_one(
    orders: tuple[Order, ...], shown: Quote | None, answering: bool, why: str
) -> None:
    assert why_open(position(), orders, shown, answering, LATE) == why


def reasons(w: World) -> list[list[tuple[str, int, str]]]:
    return [[(row["symbol"], row["qty"], row["why"]) for row in e["open"]] for e in w.events("eod_not_flat")]


def test_the_first_alert_is_out_within_the_minute_and_names_contract_quantity_and_reason(
    tmp_path: Path,
) -> None:
    with world(tmp_path, "15:54:30", rules=KEPT, wsb_snake_cutoff_flatten=False) as w:
        w.price("0.00", "0.03")
        w.exchange.hold(SPY_CALL, 3, Decimal("1.05"))
        w.exchange.hold(IWM_CALL, 2, Decimal("1.05"))
        w.broker.always["submit"] = Rejected('contract "X" is not tradable', 422)
        w.to("15:56:00")
        (first,) = reasons(w)
        refused = 'the broker refuses: contract "X" is not tradable'
        assert first == [(IWM_CALL, 2, refused), (SPY_CALL, 3, refused)]
        assert any("NOT FLAT" in text and "not tradable" in text for text in w.alerts())
        assert w.desk.eod is not None and w.desk.eod.proven_at is None
        w.to("15:59:59")
        assert len(reasons(w)) == 5
        w.broker.always.clear()


def test_two_positions_in_one_contract_are_told_with_all_their_contracts(tmp_path: Path) -> None:
    with world(tmp_path, "15:00", rules=KEPT, wsb_snake_cutoff_flatten=False) as w:
        ours = w.open(plan=ExitPlan())
        w.by_hand(SPY_CALL, "buy", 2)
        w.until(lambda: len(w.watched) == 2, 60)
        w.price("0", "0.05")
        w.to("15:56:55")
        assert [[row[:2] for row in told] for told in reasons(w)] == [[(SPY_CALL, ours.qty + 2)]] * 2
        w.broker.always["submit"] = Rejected("account is restricted", 403)
        w.exchange.hold(IWM_CALL, 1, Decimal("1.05"))
        w.to("15:58:55")
        assert len(w.watched) == 3
        why = {row[0]: row[2] for row in reasons(w)[-1]}
        assert why == {SPY_CALL: "no bid", IWM_CALL: "the broker refuses: account is restricted"}


def test_each_contract_that_is_left_is_warned_of_once_two_minutes_before_the_close(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:30", rules=KEPT, wsb_snake_cutoff_flatten=False) as w:
        for symbol in (SPY_CALL, SPY_PUT):
            w.price("0.00", "0.03", symbol)
        w.exchange.hold(SPY_CALL, 3, Decimal("1.05"))
        w.exchange.hold(SPY_PUT, 1, Decimal("1.05"))
        w.exchange.hold(SPY_LATER, 1, Decimal("1.05"))
        w.to("15:57:55")
        assert w.events("exercise_warning") == []
        w.to("15:59:50")
        told = {e["symbol"]: (e["qty"], e["shares"], e["dollars"]) for e in w.events("exercise_warning")}
        strike = parse(SPY_CALL).strike
        assert told == {
            SPY_CALL: (3, 300, str(strike * 300)),
            SPY_PUT: (1, 100, str(parse(SPY_PUT).strike * 100)),
        }
        assert len(w.events("exercise_warning")) == 2
        assert any("buys 300 shares" in text for text in w.alerts())


def test_in_or_out_of_the_money_goes_by_the_underlying() -> None:
    call, put = parse(SPY_CALL), parse(SPY_PUT)
    above, below = call.strike + 1, call.strike - 1
    assert (in_the_money(call, above), in_the_money(call, below)) == (True, False)
    assert (in_the_money(put, put.strike + 1), in_the_money(put, put.strike - 1)) == (False, True)
    assert in_the_money(call, call.strike) is in_the_money(put, put.strike) is False
    assert in_the_money(call, None) is None


def test_a_do_not_exercise_goes_to_the_broker_and_its_answer_to_the_journal(tmp_path: Path) -> None:
    with world(tmp_path, "15:57", rules=KEPT, wsb_snake_cutoff_flatten=False) as w:
        w.price("0.00", "0.03")
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.run(20)
        assert alpaca_executor.do_not_exercise(SPY_LATER) is not None
        assert alpaca_executor.do_not_exercise(SPY_CALL) is None
        w.until(lambda: w.events("dne_taken"), 5)
        assert w.exchange.account.declined == {SPY_CALL}
        w.broker.always["do_not_exercise"] = Rejected("dne requests are not accepted after 16:30", 403)
        assert alpaca_executor.do_not_exercise(SPY_CALL) is None
        w.until(lambda: w.events("dne_refused"), 5)
        w.broker.always["do_not_exercise"] = Unknown("timed out")
        assert alpaca_executor.do_not_exercise(SPY_CALL) is None
        w.until(lambda: len(w.events("dne_refused")) == 2, 5)
        assert "unknown" in w.events("dne_refused")[1]["why"]
        w.run(1)
        assert any("did NOT go through" in text and "16:30" in text for text in w.alerts())


def test_never_means_never(tmp_path: Path) -> None:
    with world(tmp_path, "15:57", rules=KEPT, wsb_snake_cutoff_flatten=False, wsb_snake_dne="never") as w:
        w.price("0.00", "0.03")
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.run(20)
        assert "WSB_SNAKE_DNE" in (alpaca_executor.do_not_exercise(SPY_CALL) or "")
        w.run(5)
        assert w.exchange.account.declined == set()


def test_shares_that_an_exercise_left_are_told_as_such_and_kept(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.exchange.account.trade("SPY", 100, Decimal(670), 1)
        w.exchange.account._record(
            "OPTRD", w.clock.now() - timedelta(hours=16), "SPY", 100, Decimal(670), net_amount=Decimal(-67000)
        )
        w.exchange.hold("AAPL", 7, Decimal(200))
        w.until(lambda: len(w.events("foreign_risk")) == 2, 60)
        kinds = {item["symbol"]: item["kind"] for item in w.events("foreign_risk")[-1]["items"]}
        assert "exercise" in kinds["SPY"] and kinds["AAPL"] == "shares"
        w.run(600)
        assert len(w.events("foreign_risk")) == 2
        assert w.broker.sent() == []


def test_cancel_calls_back_what_could_open_and_leaves_closing_orders(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        held = w.open(IWM_CALL, "held")
        w.feed.shown[IWM_CALL] = ("2.00", "2.02")
        w.until(lambda: [o for o in w.exits if o.broker_id], 20)
        w.market.put(IWM_CALL, "0", "2.50", 50)
        foreign = w.by_hand(SPY_LATER, "buy", 1, "0.10")
        w.market.put(SPY_CALL, "1.00", "1.05", 50)
        w.run(16)
        w.enter(SPY_CALL, "two")
        w.price("1.20", "1.25")
        w.until(lambda: [o for o in w.own("buy") if o.symbol == SPY_CALL and o.open], 10)
        done = alpaca_executor.cancel_open_orders()
        assert (done.entries, done.foreign, done.closing, done.asked) == (1, 1, 1, 2)
        assert done.text().startswith("cancel asked for 1 entries of ours and 1 foreign orders; 1 closing")
        w.until(lambda: w.exchange.order(foreign.id).status is SimStatus.CANCELED, 10)
        w.until(lambda: [o for o in w.own("buy") if o.symbol == SPY_CALL and not o.open], 10)
        assert w.held(SPY_CALL) == 0
        assert w.position(held.position_id).state is PositionState.EXITING
        w.feed.shown.clear()


def test_with_nothing_open_cancel_says_so(tmp_path: Path) -> None:
    with world(tmp_path):
        assert alpaca_executor.cancel_open_orders().text() == "no order to cancel"


def test_a_close_that_moves_during_the_day_moves_every_rung_at_once(tmp_path: Path) -> None:
    with world(tmp_path, "12:00") as w:
        held = w.open()
        rows = w.do(lambda: w.broker.calendar(w.market.day, w.market.day))
        early = type(rows[0])(rows[0].day, rows[0].open, w.at("13:00"))
        w.broker.shown["calendar"] = (early,)
        w.until(lambda: w.desk.session() == early, 1000)
        assert "calendar" in w.paused()
        assert any("13:00" in text for text in w.alerts())
        w.to("12:20:10")
        w.until(lambda: w.position(held.position_id).state is PositionState.CLOSED, 60)
        assert w.position(held.position_id).exit_reason is ExitReason.CUTOFF
        w.to("12:55:05")
        (ran,) = w.events("eod_ran")
        assert ran["at"].startswith(f"{w.at('12:55'):%Y-%m-%dT%H:%M}")
        w.to("13:01")
        assert not w.desk.in_session()


def test_a_day_that_the_broker_calls_closed_has_no_entries_and_an_alert(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        rows = w.do(lambda: w.broker.calendar(w.market.day - timedelta(days=5), w.market.day + timedelta(5)))
        w.broker.shown["calendar"] = tuple(row for row in rows if row.day != w.market.day)
        w.until(lambda: w.desk.session() is None, 1000)
        w.run(5)
        assert "calendar" in w.paused()
        assert any("the broker says closed" in text for text in w.alerts())
        assert w.enter() is None
        passes = w.daemon.monitor_at
        w.run(60)
        assert w.daemon.monitor_at is not None and passes is not None and w.daemon.monitor_at > passes
        assert w.broker.sent() == []


def without_today(w: World) -> None:
    rows = w.do(lambda: w.broker.calendar(w.market.day - timedelta(days=5), w.market.day + timedelta(5)))
    w.broker.shown["calendar"] = tuple(row for row in rows if row.day != w.market.day)
    w.until(lambda: "calendar" in w.paused(), 1000)


@pytest.mark.parametrize("price", ["0.40", "1.02"])
def test_what_is_held_on_a_day_that_only_the_broker_calls_closed_is_watched_and_closed(
    tmp_path: Path, price: str
) -> None:
    with world(tmp_path, "14:40") as w:
        held = w.open()
        without_today(w)
        w.run(1)
        assert any("what is held is watched and closed while either says open" in text for text in w.alerts())
        assert w.enter(AAPL_CALL, "two") is None
        w.price(price, "1.04")
        w.to("15:56:30")
        reason = ExitReason.STOP if price == "0.40" else ExitReason.CUTOFF
        assert w.position(held.position_id).exit_reason is reason
        assert w.held() == 0
        assert len(w.events("eod_ran")) == len(w.events("eod_proven")) == 1
        assert w.daemon.facts().market_open


def test_the_eod_close_runs_on_a_day_that_only_the_broker_calls_closed(tmp_path: Path) -> None:
    with world(tmp_path, "15:30", wsb_snake_cutoff_flatten=False) as w:
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.until(lambda: w.watched, 60)
        without_today(w)
        w.to("15:55:00")
        w.until(w.outcomes, 30)
        (ran,) = w.events("eod_ran")
        assert ran["closing"] == [{"symbol": SPY_CALL, "qty": 1}]


def test_after_the_earlier_close_what_is_still_held_is_watched_until_the_later(tmp_path: Path) -> None:
    """The library says 13:00; who holds a contract of a later day must not wait for tomorrow."""
    with world(tmp_path, "12:00", day=HALF_DAY) as w:
        held = w.open(SPY_LATER, plan=ExitPlan(stop=Decimal("0.15")))
        w.broker.shown["calendar"] = (Session(HALF_DAY, w.at("09:30"), w.at("16:00")),)
        w.until(lambda: "calendar" in w.paused(), 1000)
        w.to("13:30")
        assert len(w.events("eod_ran")) == 1  # by the earlier close
        w.price("0.40", "0.42", SPY_LATER)
        w.until(lambda: w.position(held.position_id).state is PositionState.EXITING, 60)
        assert w.position(held.position_id).exit_reason is ExitReason.STOP


def test_a_broker_that_does_not_answer_is_the_reason_given(tmp_path: Path) -> None:
    with world(tmp_path, "15:54:00", wsb_snake_cutoff_flatten=False, rules=KEPT) as w:
        w.exchange.hold(SPY_CALL, 1, Decimal("1.05"))
        w.run(45)
        for name in ("positions", "open_orders", "submit", "order_by_client_id"):
            w.broker.always[name] = Unavailable("timed out")
        w.to("15:56:50")
        assert reasons(w)[-1] == [(SPY_CALL, 1, "the broker does not answer")]
