"""The owner's flatten against what is held only after it was asked for."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.sim.bench import SPY_CALL, SPY_LATER, SPY_PUT
from tests.trading.world import Trouble, World, world
from wsb_snake import daemon_owner
from wsb_snake.core.orders import ExitReason, PositionState, Side
from wsb_snake.core.signals import NO_EXITS
from wsb_snake.sim.rules import Rules
from wsb_snake.trading import flatten_memory
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import Unavailable, Unknown
from wsb_snake.trading.eod_guard import Reading
from wsb_snake.trading.flat_proof import FlatProof
from wsb_snake.trading.flatten_memory import Asked, FlattenMemory
from wsb_snake.trading.flattening import DROPPED, LATE

FILL_WINS = Rules(partial_fill_chance=0, fill_beats_cancel_chance=1)


@pytest.mark.parametrize("delay_s", [0.1, 0.3, 0.6])
def test_an_entry_that_fills_before_its_cancel_is_sold(tmp_path: Path, delay_s: float) -> None:
    with world(tmp_path, rules=FILL_WINS) as w:
        order = w.enter()
        assert order is not None
        w.run(delay_s)
        assert w.position(order.position_id).state is PositionState.ENTERING
        assert alpaca_executor.close_all() == 1
        w.until(lambda: w.position(order.position_id).bought_qty and not w.held(), 60)
        w.until(w.outcomes)
        assert w.position(order.position_id).exit_reason is ExitReason.FLATTEN


def test_a_cancel_alone_keeps_what_filled_all_the_same(tmp_path: Path) -> None:
    with world(tmp_path, rules=FILL_WINS) as w:
        order = w.enter()
        assert order is not None
        w.run(0.3)
        assert alpaca_executor.cancel_open_orders().entries == 1
        w.run(60)
        assert w.position(order.position_id).state is PositionState.OPEN


@pytest.mark.parametrize(("scope", "left"), [("all", 0), ("0dte", 1)])
def test_before_the_broker_was_read_it_is_remembered(tmp_path: Path, scope: str, left: int) -> None:
    w = World(tmp_path)
    w.exchange.hold(SPY_CALL, 2, w.exchange.quote(SPY_CALL, w.clock.now()).ask)  # type: ignore[union-attr]
    w.exchange.hold(SPY_LATER, 1, w.exchange.quote(SPY_LATER, w.clock.now()).ask)  # type: ignore[union-attr]
    w.start(agree=False)
    w.run(3)
    answer = daemon_owner.do(alpaca_executor, "flatten", scope)
    assert "has not been read yet" in answer and answer.endswith(
        "unless that comes more than 10 minutes later"
    )
    assert w.held() == 2
    w.agree()
    w.until(lambda: not w.held(), 60)
    w.run(30)
    assert w.held(SPY_LATER) == left
    w.by_hand(SPY_CALL, "buy", 1)  # what comes later was not asked for
    w.run(60)
    assert w.held() == 1
    w.check()
    w.crash()


def buy_elsewhere(w: World, symbol: str, qty: int) -> None:
    """Contracts that nothing has told the daemon of."""
    w.exchange.hold(symbol, qty, w.exchange.quote(symbol, w.clock.now()).ask)  # type: ignore[union-attr]


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize(("scope", "left"), [("all", 0), ("0dte", 2)])
def test_what_only_the_next_reading_shows_is_sold_as_well(
    tmp_path: Path, scope: str, left: int, crashed: bool
) -> None:
    with world(tmp_path) as w:
        buy_elsewhere(w, SPY_CALL, 1)
        buy_elsewhere(w, SPY_LATER, 2)
        answer = w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", scope))
        assert not w.watched
        if crashed:
            w.broker.always["positions"] = Unavailable("HTTP 503")
            w.run(2)
            w.restart()
        w.until(lambda: not w.held() and not w.desk.flatten.unread, 60)
        assert answer.startswith("nothing to close") and "the broker is read again" in answer
        w.run(60)
        assert w.held(SPY_LATER) == left
        buy_elsewhere(w, SPY_PUT, 1)  # what comes later was not asked for
        w.run(60)
        assert w.held(SPY_PUT) == 1


def test_so_is_what_is_taken_up_only_once_our_own_sale_in_the_contract_is_over(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ours = w.open()
        w.price("0", "0.05")  # nobody buys
        w.exchange.hold(SPY_CALL, 2, Decimal("1.04"))
        assert "closing 1 positions" in w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(60)
        assert w.held() == ours.qty + 2
        buy_elsewhere(w, SPY_LATER, 1)
        w.run(60)
        w.price("1.00", "1.04")
        w.until(lambda: not w.held() and not w.desk.flatten.unread, 120)
        w.run(60)
        assert w.held(SPY_LATER) == 1


def test_a_restart_knows_when_it_was_asked_for_and_what_is_left_to_sell(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.open()
        w.price("0", "0.05")  # nobody buys
        w.exchange.hold(SPY_CALL, 2, Decimal("1.04"))
        w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(60)
        later = w.open(SPY_PUT, "two", plan=NO_EXITS)
        buy_elsewhere(w, SPY_LATER, 1)
        w.run(60)
        w.restart()
        w.run(60)
        assert w.position(later.position_id).state is PositionState.OPEN
        assert w.held(SPY_LATER) == 1
        w.price("1.00", "1.04")
        w.until(lambda: not w.held() and not w.desk.flatten.unread, 120)
        w.run(60)
        assert w.position(later.position_id).state is PositionState.OPEN
        assert w.held(SPY_LATER) == 1


def test_when_and_what_is_left_outlive_the_process_and_an_older_row_says_neither(tmp_path: Path) -> None:
    day = date(2026, 11, 24)
    at = datetime(2026, 11, 24, 15, 0, 1, 5, tzinfo=UTC)
    told = FlattenMemory()
    told.unread = {
        None: Asked(ExitReason.FLATTEN, at),
        day: Asked(ExitReason.FLATTEN, at, frozenset({SPY_CALL, SPY_PUT})),
    }
    assert reloaded(told.text(day), day).unread == told.unread
    row = json.loads(told.text(day))
    del row["asked"]
    known = reloaded(json.dumps(row), day).unread
    assert known == dict.fromkeys((None, day), Asked(ExitReason.FLATTEN, None))


def reloaded(text: str, day: date) -> FlattenMemory:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        flatten_memory.save(conn, text)
        memory = FlattenMemory()
        memory.load(conn, day)
    return memory


def test_what_is_entered_after_it_was_asked_for_is_kept(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.broker.always["positions"] = Unavailable("HTTP 503")
        w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(3)
        position = w.open()
        w.broker.always.clear()
        w.until(lambda: not w.desk.flatten.unread, 60)
        w.run(10)
        assert w.position(position.position_id).state is PositionState.OPEN


@pytest.mark.parametrize("resumed", [False, True])
def test_after_a_crash_an_entry_that_fills_is_sold_unless_resumed(tmp_path: Path, resumed: bool) -> None:
    with world(tmp_path) as w:
        w.broker.always["cancel"] = Unavailable("HTTP 503")
        order = w.enter()
        w.price("1.02", "1.60")  # dearer than the entry may cost, and no target of it
        assert order is not None
        w.run(0.5)
        assert "closing 1 positions" in daemon_owner.do(alpaca_executor, "flatten", "all")
        if resumed:
            w.do(lambda: daemon_owner.do(alpaca_executor, "resume", None))
        w.run(0.1)
        w.crash()
        w.start(agree=False)
        w.broker.always["cancel"] = Unavailable("HTTP 503")
        w.agree()
        assert w.position(order.position_id).bought_qty == 0
        w.price("1.00", "1.04")
        w.until(lambda: w.position(order.position_id).bought_qty, 60)
        w.run(30)
        assert (w.held() == 0) is not resumed
        reason = w.position(order.position_id).exit_reason
        assert reason == (None if resumed else ExitReason.FLATTEN)


def test_what_was_asked_before_the_broker_was_read_survives_a_crash_and_only_its_day(tmp_path: Path) -> None:
    w = World(tmp_path)
    w.exchange.hold(SPY_LATER, 1, w.exchange.quote(SPY_LATER, w.clock.now()).ask)  # type: ignore[union-attr]
    w.start(agree=False)
    daemon_owner.do(alpaca_executor, "flatten", "all")
    w.run(1)
    w.restart()
    w.until(lambda: not w.held(SPY_LATER), 60)
    assert w.desk.flatten.unread == {}
    with w.database.get_connection() as conn:
        left = FlattenMemory()
        left.load(conn, w.market.day)
    assert left.unread == {}
    told = FlattenMemory()
    told.unread[None] = Asked(ExitReason.FLATTEN, w.clock.now())
    told.when_filled["one"] = ExitReason.FLATTEN
    for day, found in ((w.market.day, 1), (w.market.day - timedelta(days=1), 0)):
        read = reloaded(told.text(day), w.market.day)
        assert (len(read.unread), len(read.when_filled)) == (found, found)
    w.crash()


@pytest.mark.parametrize(
    ("minutes", "left", "words"), [(9, 0, []), (11, 1, [LATE]), (60, 1, [LATE]), (14 * 60, 1, [DROPPED[0]])]
)
def test_what_was_asked_of_a_broker_that_cannot_be_read_grows_old(
    tmp_path: Path, minutes: int, left: int, words: list[str]
) -> None:
    w = World(tmp_path, "10:00")
    w.exchange.hold(SPY_LATER, 1, w.exchange.quote(SPY_LATER, w.clock.now()).ask)  # type: ignore[union-attr]
    w.start(agree=False)
    w.broker.always["positions"] = Unavailable("HTTP 503")
    daemon_owner.do(alpaca_executor, "flatten", "all")
    w.run(minutes * 60 + 1)
    w.broker.always.clear()
    late = minutes > 12 * 60
    assert len(w.desk.flatten.unread) == 1 - late
    assert dropped(w) == late
    w.agree()
    w.run(11 * 3600 if late else 60)
    assert w.held(SPY_LATER) == left
    assert w.desk.flatten.unread == {}
    assert [event["what"] for event in w.events("error") if event["what"] in {LATE, DROPPED[0]}] == words
    w.check()


def test_positions_that_were_read_in_time_are_sold_though_the_books_agree_only_long_after(
    tmp_path: Path,
) -> None:
    w = World(tmp_path)
    buy_elsewhere(w, SPY_LATER, 1)
    w.start(agree=False)
    w.broker.always["orders_since"] = Unavailable("HTTP 503")
    w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
    w.run(60)
    buy_elsewhere(w, SPY_PUT, 1)  # what comes later was not asked for
    w.run(600)
    with pytest.raises(Unavailable):
        w.agree()
    w.broker.always.clear()
    w.agree()
    w.until(lambda: not w.held(SPY_LATER), 60)
    w.run(60)
    assert w.desk.flatten.unread == {}
    assert w.held(SPY_PUT) == 1
    assert late_words(w) == []
    w.check()
    w.crash()


@pytest.mark.parametrize("bought_since", [0, 2])
def test_what_it_has_just_sold_is_not_told_as_left_though_the_broker_still_shows_it(
    tmp_path: Path, bought_since: int
) -> None:
    """What is held beside it in the same contract is."""
    with world(tmp_path) as w:
        ours = w.open(plan=NO_EXITS)
        w.run(20)
        for call in ("positions", "open_orders", "submit", "account", "order_by_client_id"):
            w.broker.always[call] = Unavailable("HTTP 503")
        w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(660)
        if bought_since:
            buy_elsewhere(w, SPY_CALL, bought_since)
        w.broker.always.clear()
        w.broker.shown["positions"] = w.do(w.broker.positions)
        w.until(lambda: w.held() == bought_since, 60)
        w.run(5)
        w.broker.shown.clear()
        w.run(60)
        assert w.position(ours.position_id).exit_reason is ExitReason.FLATTEN
        assert w.held() == bought_since
        told = late_words(w)
        assert [text.split(":")[0] for text in told] == [SPY_CALL] * (bought_since > 0)
        assert all("What expires today is closed at the end of day all the same. Fl" in text for text in told)
        assert w.desk.flatten.unread == {}


def test_what_lies_beside_an_exit_that_nobody_buys_is_told_soon_and_no_later_purchase_is(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        ours = w.open(plan=NO_EXITS)
        w.run(20)
        w.broker.always["positions"] = Unavailable("HTTP 503")
        w.price("0", "0.05")
        w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(660)
        buy_elsewhere(w, SPY_CALL, 2)
        w.broker.always.clear()
        w.run(20)
        buy_elsewhere(w, SPY_LATER, 3)
        w.run(100)
        assert w.position(ours.position_id).state is PositionState.EXITING
        assert [text.split(":")[0] for text in late_words(w)] == [SPY_CALL]
        assert w.desk.flatten.unread == {}


def test_what_a_late_reading_showed_is_not_sold_by_the_next_process(tmp_path: Path) -> None:
    """It dies while the request still waits for our own exit, and the next has no reading at first."""
    with world(tmp_path) as w:
        w.open(plan=NO_EXITS)
        w.run(20)
        w.broker.always["positions"] = Unavailable("HTTP 503")
        w.price("0", "0.05")
        w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(660)
        buy_elsewhere(w, SPY_CALL, 2)
        buy_elsewhere(w, SPY_LATER, 2)
        w.broker.always.clear()
        w.until(lambda: [p for p in w.watched if p.symbol == SPY_LATER], 30)
        assert w.desk.flatten.unread
        w.crash()
        w.start(agree=False)
        w.run(2)
        w.agree()
        w.run(60)
        (later,) = (p for p in w.desk.book.view.watched() if p.symbol == SPY_LATER)
        assert later.state is PositionState.OPEN
        assert w.held(SPY_LATER) == 2


def test_what_is_asked_anew_while_that_is_told_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.broker.always["positions"] = Unavailable("HTTP 503")
        w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
        w.run(660)
        buy_elsewhere(w, SPY_LATER, 2)
        tell = w.desk.alert

        def ask_and_tell(what: str, detail: str) -> None:
            if what == LATE:
                buy_elsewhere(w, SPY_PUT, 1)
                daemon_owner.do(alpaca_executor, "flatten", "all")
            tell(what, detail)

        monkeypatch.setattr(w.desk, "alert", ask_and_tell)
        w.broker.always.clear()
        w.until(lambda: late_words(w), 120)
        w.until(lambda: not w.desk.flatten.unread, 120)
        w.run(60)
        assert (w.held(SPY_LATER), w.held(SPY_PUT)) == (0, 0)
        assert len(late_words(w)) == 1


def late_words(w: World) -> list[str]:
    """What the owner was told of contracts that a flatten saw too late."""
    return [event["detail"] for event in w.events("error") if event["what"] == LATE]


def test_after_a_long_outage_it_sells_what_the_book_had_and_no_later_purchase(tmp_path: Path) -> None:
    w = World(tmp_path)
    w.start()
    ours = w.open(plan=NO_EXITS)
    w.run(5)
    w.crash()
    told = FlattenMemory()  # the process died before it had claimed anything
    told.remember(None, Asked(ExitReason.FLATTEN, w.clock.now()), w.market.day)
    with closing(sqlite3.connect(w.settings.db_path)) as conn, conn:
        flatten_memory.save(conn, told.text(w.market.day))
    w.clock.advance_to(w.clock.monotonic() + 3600)
    buy_elsewhere(w, SPY_LATER, 2)
    w.start()
    w.until(lambda: not w.held(), 60)
    w.run(60)
    assert w.position(ours.position_id).exit_reason is ExitReason.FLATTEN
    assert w.held(SPY_LATER) == 2
    (text,) = late_words(w)
    assert text.startswith(f"{SPY_LATER}: ") and "today" not in text
    w.check()
    w.crash()


def test_what_a_daemon_that_was_down_at_midnight_drops_is_told_once(tmp_path: Path) -> None:
    w = World(tmp_path, "10:00")
    w.start(agree=False)
    daemon_owner.do(alpaca_executor, "flatten", "all")
    w.run(1)
    w.crash()
    w.clock.advance_to(w.clock.monotonic() + 20 * 3600)
    for _ in range(2):
        w.start(agree=False)
        w.run(30)
        assert dropped(w) == 1
        w.crash()


def test_what_was_being_closed_when_it_is_dropped_is_sold_at_the_next_open_as_the_alert_says(
    tmp_path: Path,
) -> None:
    w = World(tmp_path, "15:30")
    w.start()
    w.price("4.00", "4.05", SPY_LATER)
    ours = w.open(SPY_LATER, plan=NO_EXITS)
    w.to("17:00:00")
    w.broker.always["positions"] = Unavailable("HTTP 503")
    w.do(lambda: daemon_owner.do(alpaca_executor, "flatten", "all"))
    w.run(8 * 3600)
    assert dropped(w) == 1
    (text,) = [event["detail"] for event in w.events("error") if event["what"] == DROPPED[0]]
    assert "what is being closed already is sold at the next open" in text
    w.broker.always.clear()
    w.run(8 * 3600)
    assert len(w.broker.sent()) == 1  # the entry
    w.run(3600)  # the exchange, whose day is over, refuses
    assert {ticket.symbol for ticket in w.broker.sent()[1:] if ticket.side is Side.SELL} == {SPY_LATER}
    assert w.position(ours.position_id).exit_reason is ExitReason.FLATTEN
    w.crash()


def dropped(w: World) -> int:
    """How often the owner was told that a flatten is dropped."""
    return sum(event["what"] == DROPPED[0] for event in w.events("error"))


def test_proven_flat_it_is_forgotten(tmp_path: Path) -> None:
    with world(tmp_path, rules=FILL_WINS) as w:
        order = w.enter()
        assert order is not None
        w.run(0.3)
        assert alpaca_executor.close_all() == 1
        w.until(lambda: w.position(order.position_id).state is PositionState.CLOSED, 60)
        assert w.desk.flatten.when_filled
        w.until(lambda: not w.desk.flatten.when_filled, 120)
        w.restart()
        assert not w.desk.flatten.when_filled


def test_an_order_of_unknown_fate_is_no_proof_of_flat(tmp_path: Path) -> None:
    """No list of the broker has it, and it may still arrive."""
    with world(tmp_path) as w:
        w.broker.once["submit"] = [Trouble(Unknown("reset"))]
        w.broker.always["order_by_client_id"] = Unavailable("HTTP 500")
        order = w.enter()
        w.run(3)
        assert order is not None and alpaca_executor.close_all() == 1
        proof = FlatProof(w.clock.now())
        for _ in range(12):
            w.run(5)
            proof = proof.after(shown(w))
        assert not proof.proven
        assert w.position(order.position_id).state is PositionState.ENTERING
        w.broker.always.clear()
        w.until(lambda: w.position(order.position_id).state is PositionState.VOID, 60)
        ended = w.clock.now()
        w.until(lambda: shown(w).clean, 60)
        assert shown(w).begun_at >= ended - timedelta(seconds=1)


def shown(w: World) -> Reading:
    facts = w.daemon.facts()
    assert facts.broker_read_at is not None
    return Reading(facts.broker_read_at, facts.broker_open)
