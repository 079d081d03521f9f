"""Opening: the life of an entry order, and every gate and limit that refuses one."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import (
    AAPL_CALL,
    HALF_DAY,
    IWM_CALL,
    SPY_CALL,
    SPY_LATER,
    SPY_PUT,
    XYZ_CALL,
)
from tests.trading.world import Trouble, World, world
from wsb_snake.core.occ import build, parse
from wsb_snake.core.orders import OrderStatus, PositionState, Purpose
from wsb_snake.core.types import Right
from wsb_snake.sim.orders import SimStatus
from wsb_snake.sim.rules import Rules
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Unavailable, Unknown

BY_SIZE = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, fills_within_size=True)


def test_an_entry_is_a_day_limit_at_the_ask_to_open(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        (ticket,) = w.broker.sent()
        assert (ticket.type, ticket.side, ticket.intent) == ("limit", "buy", "buy_to_open")
        assert (ticket.limit_price, ticket.qty) == (Decimal("1.05"), 4)  # of $420 a trade
        assert ticket.client_order_id.startswith("wsb-20261123-s-")


def test_an_entry_not_filled_in_twenty_seconds_is_cancelled_and_void(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        order = w.enter()
        assert order is not None
        w.price("1.10", "1.15")
        w.run(19.9)
        (bought,) = w.own("buy")
        assert bought.status is SimStatus.NEW
        w.run(3)
        (bought,) = w.own("buy")
        assert bought.status is SimStatus.CANCELED
        assert w.position(order.position_id).state is PositionState.VOID
        (ended,) = w.events("entry_ended")
        assert (ended["status"], ended["filled_qty"]) == ("canceled", 0)
        w.price("1.00", "1.05")
        assert w.enter() is not None  # the second try of this signal
        w.run(5)
        assert w.enter() is None
        assert w.refusals()[-1] == "SPY261123C00670000 is already held"


def test_a_signal_keeps_its_count_when_its_entries_came_to_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for _ in range(2):
            w.price("1.00", "1.05")
            w.run(2)
            assert w.enter() is not None
            w.price("1.10", "1.15")
            w.run(30)
        w.price("1.00", "1.05")
        w.run(2)
        assert w.enter() is None
        assert w.refusals() == ["signal one was tried 2 times today, the limit"]
        w.restart()
        assert w.enter() is None


def test_what_filled_of_an_entry_is_the_position(tmp_path: Path) -> None:
    with world(tmp_path, rules=BY_SIZE) as w:
        w.price("1.00", "1.05", size=1)
        order = w.enter()
        assert order is not None
        w.until(lambda: w.held() == 1, 5)
        w.price("1.10", "1.15")
        w.until(lambda: w.position(order.position_id).state is PositionState.OPEN, 40)
        (opened,) = w.events("position_opened")
        assert opened["qty"] == w.held() == w.position(order.position_id).qty == 1
        assert w.own("buy")[0].status is SimStatus.CANCELED
        w.price("1.26", "1.30")
        w.until(w.outcomes)
        assert w.own("sell")[0].qty == 1


def test_an_exit_waits_for_the_end_of_its_own_entry(tmp_path: Path) -> None:
    with world(tmp_path, rules=BY_SIZE) as w:
        w.price("1.00", "1.05", size=1)
        w.enter()
        w.until(lambda: w.held() == 1, 5)
        w.price("0.60", "0.65", size=50)
        w.feed.shown[SPY_CALL] = ("0.60", "0.65")
        w.until(w.outcomes, 60)
        bought, sold = w.own("buy")[0], w.own("sell")[0]
        ended = bought.canceled_at or bought.filled_at
        assert ended is not None and ended <= sold.submitted_at
        assert w.held() == 0
        assert w.broker.refusals == []


def test_an_entry_that_fills_while_it_is_cancelled_is_a_position(tmp_path: Path) -> None:
    with world(tmp_path, rules=Rules(partial_fill_chance=0, fill_beats_cancel_chance=1)) as w:
        order = w.enter()
        assert order is not None
        w.price("1.10", "1.15")
        w.until(lambda: w.own("buy") and w.own("buy")[0].status is SimStatus.PENDING_CANCEL, 40)
        w.price("1.00", "1.05")
        w.run(20)
        assert w.position(order.position_id).state is PositionState.OPEN
        assert w.held() == w.position(order.position_id).qty == 4


def test_an_entry_that_the_broker_refuses_is_void_and_told(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.exchange.account.cash = Decimal(50)  # the account's reading is older
        order = w.enter()
        assert order is not None
        w.run(5)
        assert w.position(order.position_id).state is PositionState.VOID
        assert w.desk.book.orders[order.client_order_id].status is OrderStatus.REJECTED
        assert "insufficient options buying power" in w.events("error")[0]["detail"]
        assert w.paused() == set()


def test_a_price_off_the_tick_is_rejected_later_and_void(tmp_path: Path) -> None:
    """Alpaca takes it, the venue does not."""
    with world(tmp_path) as w:
        w.price("1.01", "1.02", XYZ_CALL)
        order = w.enter(XYZ_CALL)
        assert order is not None
        w.run(5)
        assert w.own("buy")[0].status is SimStatus.REJECTED
        assert w.position(order.position_id).state is PositionState.VOID


def test_working_entries_are_cancelled_when_zero_dte_entries_end(tmp_path: Path) -> None:
    with world(tmp_path, "15:04:50") as w:
        w.enter()
        w.price("1.10", "1.15")
        w.to("15:05:02")
        (bought,) = w.own("buy")
        assert bought.canceled_at is not None
        assert w.at("15:05") <= bought.canceled_at <= w.at("15:05:02")


# the gates


def halt_file(w: World) -> None:
    w.desk.halt_file.path.touch()


def halt_by_owner(w: World) -> None:
    w.do(lambda: w.daemon.ask("halt", None).result(5))


def stream_down(w: World) -> None:
    w.daemon.take_stream_state(False)
    w.run(1)


def stale_broker(w: World) -> None:
    """Every reading hangs, and the poller that asked is replaced each time."""
    w.broker.once["positions"] = [Trouble(Unavailable("timed out"), seconds=1000)] * 9
    w.run(80)


def stale_quote(w: World) -> None:
    w.market.stale[SPY_CALL] = w.clock.now() - timedelta(seconds=20)


def crossed_quote(w: World) -> None:
    w.price("1.10", "1.05")


def wide_quote(w: World) -> None:
    w.price("0.90", "1.05")


def eod_ran(w: World) -> None:
    w.to("15:55:02")


@pytest.mark.parametrize(
    ("wall", "prepare", "reason"),
    [
        ("10:00", halt_file, "halted by the owner"),
        ("10:00", halt_by_owner, "trading is paused: manual"),
        ("10:00", stream_down, "the trade stream is down"),
        ("10:00", stale_broker, "the broker's state is older than 60 s"),
        ("10:00", stale_quote, "s old"),
        ("10:00", crossed_quote, "one-sided or crossed"),
        ("10:00", wide_quote, "wider than 10%"),
        ("09:20", lambda w: None, "the market is closed"),
        ("16:00", lambda w: None, "the market is closed"),
        ("15:05", lambda w: None, "0DTE entries have ended for today"),
        ("15:54:30", eod_ran, "the EOD close has run"),
    ],
)
def test_a_gate_refuses_says_why_and_sends_nothing(
    tmp_path: Path, wall: str, prepare: Callable[[World], None], reason: str
) -> None:
    with world(tmp_path, wall) as w:
        prepare(w)
        assert w.enter() is None
        assert reason in w.refusals()[-1]
        assert w.broker.sent() == []


def cut_off(w: World) -> None:
    w.to("15:05:02")


def flattened(w: World) -> None:
    alpaca_executor.close_all()


def called_back(w: World) -> None:
    alpaca_executor.cancel_open_orders()


@pytest.mark.parametrize(
    ("wall", "happens", "reason"),
    [
        ("15:04:59", cut_off, "0DTE entries have ended"),
        ("15:00", flattened, "the owner closes everything"),
        ("15:00", called_back, "the owner closes everything"),
        ("15:00", stream_down, "the trade stream is down"),
    ],
)
def test_a_planned_entry_is_not_sent_after_what_would_have_refused_it(
    tmp_path: Path, wall: str, happens: Callable[[World], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row takes four seconds to become durable."""
    with world(tmp_path, "14:59") as w:
        w.to(wall)
        order = w.enter()
        assert order is not None
        row = w.desk.durable[order.client_order_id]
        wait = row.wait

        def late(timeout: float | None = None) -> bool:
            w.hub.sleep(4)
            return wait(timeout)

        monkeypatch.setattr(row, "wait", late)
        w.run(0.5)
        happens(w)
        w.until(lambda: not w.legs(Purpose.ENTRY)[0].live, 20)
        assert w.broker.sent() == []
        (ended,) = w.legs(Purpose.ENTRY)
        assert (ended.status, ended.note) == (OrderStatus.NEVER_SENT, reason)
        assert w.position(order.position_id).state == "void"


def test_single_names_end_a_quarter_of_an_hour_before_the_broad_etfs(tmp_path: Path) -> None:
    with world(tmp_path, "14:50") as w:
        assert w.enter(AAPL_CALL, "aapl") is None
        assert w.enter(SPY_CALL, "spy") is not None


def test_a_later_expiry_may_be_bought_after_the_zero_dte_end(tmp_path: Path) -> None:
    with world(tmp_path, "15:20") as w:
        assert w.enter(SPY_LATER) is not None
        w.run(3)
        assert w.held(SPY_LATER) == 4


def test_no_entry_before_the_first_reconciliation(tmp_path: Path) -> None:
    w = World(tmp_path)
    w.start(agree=False)
    try:
        assert w.enter() is None
        assert w.refusals() == ["not reconciled with the broker yet"]
        w.agree()
        assert w.enter() is not None
    finally:
        w.crash()


@pytest.mark.parametrize("allowed", [True, False])
def test_half_days_have_entries_only_when_allowed(tmp_path: Path, allowed: bool) -> None:
    call = build("SPY", HALF_DAY, Right.CALL, Decimal(670))
    with world(tmp_path, day=HALF_DAY, wsb_snake_half_day_entries=allowed) as w:
        assert (w.enter(call) is not None) is allowed
        assert w.refusals() == ([] if allowed else ["0DTE entries are off on half days"])


def test_an_ask_that_ran_away_refuses(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        intent = w.intent()
        w.open(SPY_CALL, "other")
        w.price("1.03", "1.08")
        w.run(3)  # the board of held contracts knows the newer quote
        assert alpaca_executor.execute_scalp_entry(intent) is None
        assert "ran more than 2 % above" in w.refusals()[-1]


# limits


def test_the_limits_of_count_and_ticker(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_positions=2, wsb_snake_max_ticker_dollars=Decimal(500)) as w:
        w.open(SPY_CALL, "one")
        assert w.enter(SPY_CALL, "again") is None
        assert w.enter(SPY_PUT, "put") is None  # $420 of $500 are in SPY
        w.open(IWM_CALL, "two")
        assert w.enter(AAPL_CALL, "three") is None
        assert [text.split(",")[0] for text in w.refusals()] == [
            "SPY261123C00670000 is already held",
            "the limit of $500 for SPY leaves $80.00",
            "2 positions are open",
        ]


def test_the_day_s_premium_is_not_given_back_by_closing(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_day_dollars=Decimal(500)) as w:
        position = w.open()
        w.price("1.26", "1.30")
        w.until(lambda: w.position(position.position_id).state is PositionState.CLOSED)
        assert w.enter(IWM_CALL, "two") is None
        assert w.refusals() == ["the day's premium of $500 leaves $80.00, one contract costs $105.00"]
        w.restart()
        assert w.enter(IWM_CALL, "three") is None


def test_orders_a_minute_and_a_day(tmp_path: Path) -> None:
    with world(
        tmp_path,
        wsb_snake_max_orders_minute=2,
        wsb_snake_max_orders_day=3,
        wsb_snake_max_trade_dollars=Decimal(110),
    ) as w:
        assert w.enter(SPY_CALL, "one") is not None
        assert w.enter(SPY_PUT, "two") is not None
        assert w.enter(IWM_CALL, "three") is None
        w.run(61)
        assert w.enter(IWM_CALL, "three") is not None
        w.run(61)
        assert w.enter(AAPL_CALL, "four") is None
        assert w.refusals() == [
            "2 entry orders within a minute, the limit",
            "3 entry orders today, the limit",
        ]


def test_a_contract_dearer_than_a_trade_may_cost_is_too_dear(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.price("4.90", "5.00")
        assert w.enter() is None
        assert w.refusals()[0].startswith("too dear: one contract costs $500.00")


def test_an_unknown_outcome_keeps_its_budget_reserved(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_ticker_dollars=Decimal(500)) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"))]
        w.enter()
        w.run(1)
        assert w.enter(SPY_PUT, "two") is None
        w.run(40)
        assert w.enter(SPY_PUT, "three") is not None


def test_the_daily_loss_stops_entries_for_the_day_and_survives_a_restart(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_daily_loss_dollars=Decimal(40)) as w:
        w.open()
        w.price("0.70", "0.75")
        w.until(w.outcomes)
        w.run(10)
        assert w.paused() == {"daily_loss"}
        assert any("daily loss limit is reached" in text for text in w.alerts())
        assert w.enter(IWM_CALL, "two") is None
        w.restart()
        assert w.paused() == {"daily_loss"}
        assert w.enter(IWM_CALL, "three") is None


def test_an_open_loss_counts_too(tmp_path: Path) -> None:
    with world(tmp_path, wsb_snake_max_daily_loss_dollars=Decimal(40)) as w:
        w.open()
        w.price("0.92", "0.94")
        w.run(20)
        assert w.exits == []
        assert "daily_loss" in w.paused()


def test_the_halt_file_stops_an_entry_that_is_already_queued(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        order = w.enter()
        assert order is not None
        w.desk.halt_file.path.touch()
        w.run(5)
        assert w.broker.sent() == []
        assert w.position(order.position_id).state is PositionState.VOID
        w.do(lambda: w.daemon.ask("resume", None).result(5))
        assert w.enter(SPY_CALL, "two") is not None


def test_a_contract_of_yesterday_is_never_bought(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        old = parse(build("SPY", w.market.day - timedelta(days=3), Right.CALL, Decimal(670)))
        intent = w.intent()
        assert (
            alpaca_executor.execute_scalp_entry(type(intent)(intent.signal, old, intent.quote, intent.plan))
            is None
        )
