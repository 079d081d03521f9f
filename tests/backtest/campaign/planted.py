"""Known bugs, each planted into the production code, and the promises that it breaks."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from pytest import MonkeyPatch

from wsb_snake.backtest.campaign.violation import Promise
from wsb_snake.core.events import Event
from wsb_snake.core.orders import (
    ExitReason,
    Order,
    OrderStatus,
    PositionState,
    Purpose,
    Report,
    apply_report,
)
from wsb_snake.core.signals import TradeIntent
from wsb_snake.core.types import Quote
from wsb_snake.db import journal
from wsb_snake.learning import outcome_recorder
from wsb_snake.notifications import outbox
from wsb_snake.notifications.chat import ChatError
from wsb_snake.trading import book as book_module
from wsb_snake.trading import (
    closing,
    dispatch,
    end_of_day,
    entries,
    entry_conditions,
    eod_guard,
    order_work,
    risk_governor,
)
from wsb_snake.trading.book import BookView, Change
from wsb_snake.trading.breaker_pause import BreakerPause
from wsb_snake.trading.broker import BrokerError
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.end_of_day import EndOfDay
from wsb_snake.trading.eod_guard import EodState, Reading, Rungs
from wsb_snake.trading.order_work import Cancel, Step, Wait
from wsb_snake.trading.pauses import Pauses
from wsb_snake.trading.pollers import Snapshot
from wsb_snake.trading.positions import Position
from wsb_snake.trading.reconciler import Shortfall
from wsb_snake.trading.reconciling import Reconciler
from wsb_snake.trading.risk_governor import Limits, Refused

P = Promise


@dataclass(frozen=True, slots=True)
class Bug:
    """``plant`` puts it in; any of ``promises`` may be the one that it is found by."""

    plant: Callable[[MonkeyPatch], None]
    promises: frozenset[Promise]

    @property
    def name(self) -> str:
        return self.plant.__name__


# unknown outcomes


def unknown_is_taken_for_failed(patch: MonkeyPatch) -> None:
    """A lost answer counts as a failure for good, so the next order goes out under a new name."""

    def final(order: Order, report: Report) -> Order:
        return order if order.status is OrderStatus.NEVER_SENT else apply_report(order, report)

    patch.setattr(dispatch, "Unavailable", BrokerError)
    patch.setattr(book_module, "apply_report", final)


def unknown_is_sent_again(patch: MonkeyPatch) -> None:
    """What cannot be found is sent once more under the same name."""

    def resend(desk: Desk, order: Order) -> None:
        with desk.book.change() as commit:
            known = desk.book.orders[order.client_order_id]
            if known.status is OrderStatus.UNKNOWN:
                commit.change.order(replace(known, status=OrderStatus.PLANNED))

    patch.setattr(dispatch, "_not_found", resend)


# the end of day


def proof_is_having_tried(patch: MonkeyPatch) -> None:
    """The latch is set by the close having run."""

    def tried(state: EodState, reading: Reading, view: BookView) -> EodState:
        return replace(state, proven_at=state.proven_at or state.ran_at)

    patch.setattr(end_of_day, "advance", tried)


def one_reading_is_proof(patch: MonkeyPatch) -> None:
    """The first clean reading sets the latch."""

    def once(state: EodState, reading: Reading, view: BookView) -> EodState:
        after = eod_guard.advance(state, reading, view)
        return replace(after, proven_at=after.proven_at or after.first_clean_at)

    patch.setattr(end_of_day, "advance", once)


def eod_closes_later_expiries(patch: MonkeyPatch) -> None:
    """Everything is closed for the day, whenever it expires."""
    due = EndOfDay.due

    def all_of_it(self: EndOfDay, position: Position, now: datetime) -> ExitReason | None:
        return due(self, replace(position, expiry=now.date()), now)

    patch.setattr(EndOfDay, "due", all_of_it)


def eod_leaves_what_it_did_not_open(patch: MonkeyPatch) -> None:
    """Only the scalper's own positions are closed for the day."""
    due = EndOfDay.due

    def own_only(self: EndOfDay, position: Position, now: datetime) -> ExitReason | None:
        return due(self, position, now) if position.engine == "spy_scalper" else None

    patch.setattr(EndOfDay, "due", own_only)


# what the broker says


def a_failed_fetch_is_flat(patch: MonkeyPatch) -> None:
    """A poller that gets no answer publishes an empty one, and what is missing then is closed."""
    failed = Desk.broker_failed

    def publish_nothing(self: Desk, group: str, error: BrokerError) -> None:
        failed(self, group, error)
        if group == "positions" and hasattr(self, "pollers"):
            now = self.now()
            self.pollers.positions.latest = Snapshot((), now, now)

    def close(self: Reconciler, missing: Shortfall) -> None:
        with self._desk.book.change() as commit:
            position = self._desk.book.positions[missing.position.position_id]
            if position.qty:
                commit.change.close(replace(position, exit_reason=ExitReason.UNEXPLAINED))

    patch.setattr(Desk, "broker_failed", publish_nothing)
    patch.setattr(Reconciler, "_explain", close)


def fills_are_added_up(patch: MonkeyPatch) -> None:
    """Each report's cumulative quantity is taken for an increment."""

    def added(order: Order, report: Report) -> Order:
        if order.live and 0 < report.filled_qty < order.qty:
            total = min(order.qty, order.filled_qty + report.filled_qty)
            report = replace(report, filled_qty=total)
        return apply_report(order, report)

    patch.setattr(book_module, "apply_report", added)


# reservations and limits


def no_reservation_is_released(patch: MonkeyPatch) -> None:
    """A position whose entry ended without a fill goes on entering."""
    ended = Change._ended

    def keep(self: Change, order: Order) -> None:
        before = self._book.positions[order.position_id]
        ended(self, order)
        if self._book.positions[order.position_id].state is PositionState.VOID:
            self.position(before)

    patch.setattr(Change, "_ended", keep)


def closing_gives_premium_back(patch: MonkeyPatch) -> None:
    """The day's premium counts only what still works."""
    patch.setattr(risk_governor, "_spent", risk_governor._open_premium)


def working_entries_count_nothing(patch: MonkeyPatch) -> None:
    """The count of positions is looked up before the entries under way are in it."""
    by_count = risk_governor._by_count

    def opened_only(
        intent: TradeIntent, view: BookView, entries: list[Order], limits: Limits, now: datetime
    ) -> Refused | None:
        held = tuple(p for p in view.positions if p.state is not PositionState.ENTERING)
        return by_count(intent, BookView(held, view.orders), entries, limits, now)

    patch.setattr(risk_governor, "_by_count", opened_only)


def never_sent_counts_no_orders(patch: MonkeyPatch) -> None:
    """Orders that failed do not count against the rate."""

    def counts(order: Order) -> bool:
        return order.live or order.filled_qty > 0

    patch.setattr(risk_governor, "_counts", counts)


# entries


def entries_go_past_the_cutoff(patch: MonkeyPatch) -> None:
    """0DTE entries end with the session."""
    rungs = eod_guard.rungs

    def none(session: object, underlying: str, cutoff_flatten: bool) -> Rungs:
        steps = rungs(session, underlying, cutoff_flatten)  # type: ignore[arg-type]
        return replace(steps, entries_end=steps.eod)

    patch.setattr(entry_conditions, "rungs", none)


def entries_go_while_paused(patch: MonkeyPatch) -> None:
    """Nobody asks for the pauses."""
    patch.setattr(Pauses, "any", property(lambda self: False))


def entries_go_on_any_quote(patch: MonkeyPatch) -> None:
    """The age of the quote is not looked at."""
    patch.setattr(entries, "ENTRY_QUOTE_S", 1e9)


# exits


def two_lanes_plan_one_exit(patch: MonkeyPatch) -> None:
    """Whether an exit is live is asked outside of the book's lock, with a wait before it is taken."""
    plan = closing._plan_exit

    def check_then_act(
        desk: Desk, position_id: str, qty: int, attempt: int, quote: Quote | None
    ) -> Order | None:
        live = desk.book.view.live_order(position_id, Purpose.EXIT)
        desk.ports.lanes.sleep(0.25)  # for the row to be written
        if live is not None:
            return None
        unseen = {
            name: order
            for name, order in desk.book.orders.items()
            if order.position_id == position_id and order.purpose is Purpose.EXIT and order.live
        }
        over = {name: replace(order, status=OrderStatus.CANCELED) for name, order in unseen.items()}
        desk.book.orders.update(over)
        planned = plan(desk, position_id, qty, attempt, quote)
        desk.book.orders.update(unseen)
        desk.book._publish()
        return planned

    patch.setattr(closing, "_free_at_once", lambda desk, position: None)
    patch.setattr(closing, "_plan_exit", check_then_act)


def two_lanes_claim_one_position(patch: MonkeyPatch) -> None:
    """Whether a position is claimed, with its exit live, is asked outside of the book's lock, with a wait
    before the claim and its order are written in one commit."""
    free_at_once, add_exit = closing._free_at_once, closing._add_exit
    asked: set[str] = set()

    def check(desk: Desk, position: Position) -> int | None:
        free = free_at_once(desk, position)
        if free is not None:
            desk.ports.lanes.sleep(0.25)  # for the row to be written
            known = desk.book.positions[position.position_id]
            if known.state is PositionState.EXITING:
                asked.add(position.position_id)
                desk.book.positions[position.position_id] = replace(known, state=position.state)
        return free

    def act(
        desk: Desk, change: Change, position: Position, free: int, attempt: int, quote: Quote | None
    ) -> Order | None:
        unseen = {
            name: order
            for name, order in desk.book.orders.items()
            if order.position_id == position.position_id and order.purpose is Purpose.EXIT and order.live
        }
        if position.position_id not in asked:
            unseen.clear()
        asked.discard(position.position_id)
        over = {name: replace(order, status=OrderStatus.CANCELED) for name, order in unseen.items()}
        desk.book.orders.update(over)
        planned = add_exit(desk, change, position, free, attempt, quote)
        desk.book.orders.update(unseen)
        return planned

    patch.setattr(closing, "_free_at_once", check)
    patch.setattr(closing, "_add_exit", act)


def exits_are_never_priced_again(patch: MonkeyPatch) -> None:
    """The first limit works for ever."""

    def wait(order: Order, quote: Quote | None, now: datetime) -> Step:
        step = order_step(order, quote, now)
        return Wait(now.replace(year=now.year + 1)) if isinstance(step, Cancel) else step

    order_step = order_work.exit_step
    patch.setattr(closing, "exit_step", wait)


def a_refused_exit_is_given_up(patch: MonkeyPatch) -> None:
    """After the first refusal nobody tries again."""

    def never(tried: list[Order]) -> datetime | None:
        refused = any(o.status in {OrderStatus.REJECTED, OrderStatus.NEVER_SENT} for o in tried)
        return tried[-1].created_at.replace(year=tried[-1].created_at.year + 1) if refused else None

    patch.setattr(closing, "back_off", never)


# restarts


def pauses_are_forgotten(patch: MonkeyPatch) -> None:
    """A restart begins without pauses and with a whole breaker."""

    def nothing(self: object, conn: sqlite3.Connection) -> None:
        return

    patch.setattr(Pauses, "load", nothing)
    patch.setattr(BreakerPause, "load", nothing)


# the journal's readers


def outcomes_come_from_the_quote(patch: MonkeyPatch) -> None:
    """The price learnt from is the one that the exit was decided on."""

    def decided(conn: sqlite3.Connection, position_id: str) -> Decimal | None:
        row = conn.execute(
            "SELECT decision_price FROM orders WHERE position_id = ? AND purpose = 'exit'"
            " AND decision_price IS NOT NULL ORDER BY created_at LIMIT 1",
            (position_id,),
        ).fetchone()
        return fill(conn, position_id) if row is None else Decimal(row[0])

    fill = outcome_recorder.exit_fill_price
    patch.setattr(outcome_recorder, "exit_fill_price", decided)


def a_restart_counts_events_again(patch: MonkeyPatch) -> None:
    """Each process begins with a batch that was handled before, and counts it again."""
    begun: set[int] = set()

    def take(self: journal.Consumer, batch: int, conn: sqlite3.Connection) -> int:
        if id(self) not in begun:
            begun.add(id(self))
            for event in journal.read(conn, max(0, journal._offset(conn, self._name) - batch), batch):
                self._handle(conn, event)
        return once(self, batch, conn)

    def count(conn: sqlite3.Connection, outcome: sqlite3.Row | None, times: int) -> None:
        if times > 0:
            counted(conn, outcome, times)

    once, counted = journal.Consumer._take, outcome_recorder._count
    patch.setattr(journal.Consumer, "_take", take)
    patch.setattr(outcome_recorder, "_count", count)


def an_event_is_alerted_twice(patch: MonkeyPatch) -> None:
    """Handled again, an event becomes an alert again."""
    once = outbox.enqueue

    def twice(conn: sqlite3.Connection, event: Event) -> None:
        once(conn, event)
        conn.execute(
            "INSERT INTO alerts (dedupe_key, at, kind, level, text, state)"
            " SELECT dedupe_key || 'b', at, kind, level, text, 'pending' FROM alerts"
            " WHERE dedupe_key LIKE ? || '%'",
            (f"event:{event.seq}:",),
        )

    patch.setattr(outbox, "enqueue", twice)


def repeats_are_not_marked(patch: MonkeyPatch) -> None:
    """An answer that was lost counts as nothing delivered."""
    patch.setattr(outbox, "ChatUnavailable", ChatError)


BUGS = (
    Bug(unknown_is_taken_for_failed, frozenset({P.ONE_LIVE_EXIT, P.NEVER_SHORT, P.BOOK_IS_BROKER})),
    Bug(unknown_is_sent_again, frozenset({P.NO_BLIND_RESEND})),
    Bug(proof_is_having_tried, frozenset({P.PROOF_IS_TRUE, P.TOLD_WHEN_NOT})),
    Bug(one_reading_is_proof, frozenset({P.PROOF_IS_TRUE})),
    Bug(eod_closes_later_expiries, frozenset({P.LATER_UNTOUCHED})),
    Bug(eod_leaves_what_it_did_not_open, frozenset({P.GONE_AT_THE_END})),
    Bug(a_failed_fetch_is_flat, frozenset({P.BOOK_IS_BROKER})),
    Bug(fills_are_added_up, frozenset({P.BOOK_IS_BROKER, P.NEVER_SHORT, P.ONE_OUTCOME, P.EXITS_GET_DONE})),
    Bug(no_reservation_is_released, frozenset({P.RESERVATIONS_END})),
    Bug(closing_gives_premium_back, frozenset({P.LIMITS})),
    Bug(working_entries_count_nothing, frozenset({P.LIMITS})),
    Bug(never_sent_counts_no_orders, frozenset({P.LIMITS})),
    Bug(entries_go_past_the_cutoff, frozenset({P.NO_ENTRY_WHEN_FORBIDDEN})),
    Bug(entries_go_while_paused, frozenset({P.NO_ENTRY_WHEN_FORBIDDEN})),
    Bug(entries_go_on_any_quote, frozenset({P.NO_ENTRY_WHEN_FORBIDDEN})),
    Bug(two_lanes_plan_one_exit, frozenset({P.ONE_LIVE_EXIT, P.NEVER_SHORT})),
    Bug(two_lanes_claim_one_position, frozenset({P.ONE_LIVE_EXIT, P.NEVER_SHORT})),
    Bug(exits_are_never_priced_again, frozenset({P.EXITS_GET_DONE, P.GONE_AT_THE_END})),
    Bug(a_refused_exit_is_given_up, frozenset({P.EXITS_GET_DONE, P.GONE_AT_THE_END})),
    Bug(pauses_are_forgotten, frozenset({P.PAUSES_SURVIVE})),
    Bug(outcomes_come_from_the_quote, frozenset({P.ONE_OUTCOME})),
    Bug(a_restart_counts_events_again, frozenset({P.CONSUMED_ONCE})),
    Bug(an_event_is_alerted_twice, frozenset({P.CONSUMED_ONCE})),
    Bug(repeats_are_not_marked, frozenset({P.ALERTS_IN_ORDER})),
)
