"""The end of day at work: claims what is due, runs the EOD close once a session, keeps the proof.

Called by the schedule job, the monitor, the pipeline and at start-up; whoever comes first works, the
others find it done.
"""

import logging
import sqlite3
from dataclasses import replace
from datetime import date, datetime, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_text
from wsb_snake.core.events import EventKind
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import LIVE, ExitReason, PositionIntent, Side
from wsb_snake.db.values import instant, instant_text
from wsb_snake.trading.book import Change
from wsb_snake.trading.closing import claim
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.dispatch import cancel_foreign
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, EodState, advance, read, rungs
from wsb_snake.trading.eod_reasons import FOREIGN, NO_ANSWER, NOT_BOOKED, why_open
from wsb_snake.trading.exercise import ExerciseWatch, held_today
from wsb_snake.trading.positions import Position
from wsb_snake.trading.reconciler import never_traded, ours

ON_TIME = timedelta(seconds=60)
NOT_FLAT_AFTER = timedelta(seconds=45)  # so that the first alert is out within the minute
NOT_FLAT_EVERY = timedelta(seconds=60)

log = logging.getLogger(__name__)


class EndOfDay:
    """One session's end after the other."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._read_at: datetime | None = None
        self._not_flat_told_at: datetime | None = None
        self._exercise = ExerciseWatch(desk)

    def load(self, conn: sqlite3.Connection) -> None:
        """Take up what an earlier process did."""
        row = conn.execute("SELECT * FROM eod_runs ORDER BY session DESC LIMIT 1").fetchone()
        if row is None:
            return
        ran_at = instant(row["ran_at"])
        proven = instant(row["proven_at"])
        withdrawn, names = instant(row["withdrawn_at"]), tuple(row["detail"].split())
        day = date.fromisoformat(row["session"])
        self._desk.eod = EodState(day, ran_at, None, proven, withdrawn, names)
        self._desk.last_eod_run_at = ran_at

    def due(self, position: Position, now: datetime) -> ExitReason | None:
        """Why ``position`` must be closed for the day, or None. Later expiries never are."""
        session = self._desk.session()
        if session is None or position.expiry != session.day or not self._desk.in_session():
            return None
        steps = rungs(session, position.underlying, self._desk.settings.wsb_snake_cutoff_flatten)
        if now >= steps.eod:
            return ExitReason.EOD
        return ExitReason.CUTOFF if steps.cutoff is not None and now >= steps.cutoff else None

    def check(self, trigger: str) -> None:
        """Do what the hour asks for."""
        session = self._desk.session()
        now = self._desk.now()
        if session is None or not self._desk.in_session():
            return
        if self._desk.eod is None or self._desk.eod.day != session.day:
            self._desk.eod = EodState(session.day)
        for position in self._desk.book.view.watched():
            reason = self.due(position, now)
            if reason is not None:
                claim(self._desk, position.position_id, reason)
        if now >= session.close - EOD_BEFORE_CLOSE:
            if self._desk.may_close:  # before, "nothing to close" would be a guess
                self.close_all(session, trigger)
                self._call_back_foreign(session)
            self._prove(session)
            self._tell_if_not_flat(session)  # also of a broker that was never read
            self._exercise.check(session)

    def close_all(self, session: Session, trigger: str) -> None:
        """The EOD close: every position expiring today; runs and is recorded once a session, always."""
        desk = self._desk
        with desk.book.change() as commit:
            state = desk.eod
            if state is None or state.ran_at is not None:
                return
            now = commit.change.now
            if now < session.close - EOD_BEFORE_CLOSE + ON_TIME:
                trigger = "scheduled"  # whichever lane was first
            closing = [p for p in desk.book.view.watched() if p.expiry == session.day]
            desk.eod = replace(state, ran_at=now)
            desk.last_eod_run_at = now
            commit.change.event(
                EventKind.EOD_RAN,
                session=session.day.isoformat(),
                trigger=trigger,
                closing=[{"symbol": p.symbol, "qty": p.qty} for p in closing],
                at=now,
            )
            _store(commit.change, desk.eod, len(closing))
        log.info("EOD close ran at %s (%s), %d to close", eastern_text(now), trigger, len(closing))
        for position in closing:
            claim(desk, position.position_id, ExitReason.EOD)
        desk.pollers.positions.ask()
        desk.pollers.orders.ask()

    def _call_back_foreign(self, session: Session) -> None:
        """Cancel somebody else's orders that could still open a contract expiring today."""
        reading = self._desk.pollers.orders.latest
        for order in () if reading is None else reading.value:
            buying = order.side is Side.BUY and order.intent is not PositionIntent.BUY_TO_CLOSE
            opening = buying and order.is_option and order.status in LIVE
            if opening and not ours(order) and parse(order.symbol).expiry == session.day:
                cancel_foreign(self._desk, order)

    def next_rung(self) -> datetime | None:
        """The next moment at which something falls due today."""
        session = self._desk.session()
        if session is None:
            return None
        now = self._desk.now()
        moments = [session.close - EOD_BEFORE_CLOSE]
        for position in self._desk.book.view.held():
            if position.expiry == session.day:
                steps = rungs(session, position.underlying, self._desk.settings.wsb_snake_cutoff_flatten)
                moments += [steps.entries_end] if steps.cutoff is None else [steps.entries_end, steps.cutoff]
        return min((moment for moment in moments if moment > now), default=None)

    def _prove(self, session: Session) -> None:
        desk = self._desk
        positions, orders = desk.pollers.positions.latest, desk.pollers.orders.latest
        if positions is None or orders is None or desk.eod is None:
            return
        begun = min(positions.begun_at, orders.begun_at)
        if begun == self._read_at:
            return
        self._read_at = begun
        reading = read(positions.value, orders.value, begun, session.day)
        before, after = desk.eod, advance(desk.eod, reading, desk.book.view)
        if before.first_clean_at is None and after.first_clean_at is not None:
            # ten seconds from the later question, so that neither is asked again too soon
            after = replace(after, first_clean_at=max(positions.begun_at, orders.begun_at))
        if after != before:
            self._record(before, after)

    def _record(self, before: EodState, after: EodState) -> None:
        with self._desk.book.change() as commit:
            self._desk.eod = after
            session = after.day.isoformat()
            if after.proven_at is not None and before.proven_at is None:
                commit.change.event(EventKind.EOD_PROVEN, session=session, at=after.proven_at)
                log.info("EOD proof of flat for %s", session)
            elif before.proven_at is not None and after.proven_at is None:
                commit.change.event(
                    EventKind.EOD_PROOF_WITHDRAWN, session=session, symbols=list(after.withdrawn_for)
                )
            else:
                return
            _store(commit.change, after, 0)

    def _tell_if_not_flat(self, session: Session) -> None:
        desk = self._desk
        now = desk.now()
        if desk.eod is None or desk.eod.proven_at is not None:
            return
        if now < session.close - EOD_BEFORE_CLOSE + NOT_FLAT_AFTER:
            return
        if self._not_flat_told_at is not None and now - self._not_flat_told_at < NOT_FLAT_EVERY:
            return
        self._not_flat_told_at = now
        with desk.book.change() as commit:
            commit.change.event(
                EventKind.EOD_NOT_FLAT,
                session=session.day.isoformat(),
                open=list(self._still_open(session.day)),
            )

    def _still_open(self, day: date) -> tuple[dict[str, object], ...]:
        """What stands in contracts expiring on ``day``, by book and broker, each with its reasons."""
        desk = self._desk
        answering, now = desk.broker_age_s() is not None and desk.broker_fresh(), desk.now()
        positions, orders = desk.pollers.positions.latest, desk.pollers.orders.latest
        untouchable = {f.symbol for f in never_traded(() if positions is None else positions.value)}
        held = {holding.symbol: holding.qty for holding in held_today(desk, day)}
        reasons: dict[str, list[str]] = {symbol: [] for symbol in held}
        for position in desk.book.view.held():
            own = [o for o in desk.book.view.orders if o.position_id == position.position_id]
            if position.expiry == day and (position.qty or any(o.live for o in own)):
                why = why_open(position, own, desk.board.get(position.symbol), answering, now)
                if position.symbol in untouchable and answering:
                    why = FOREIGN
                reasons.setdefault(position.symbol, []).append(why)
        for symbol in held:
            if not reasons[symbol]:
                why = FOREIGN if symbol in untouchable else NOT_BOOKED
                reasons[symbol].append(why if answering else NO_ANSWER)
        for order in () if orders is None else orders.value:
            if order.is_option and order.status in LIVE and parse(order.symbol).expiry == day:
                why = (
                    f"somebody's order to {order.side} {order.qty} is still open" if answering else NO_ANSWER
                )
                reasons.setdefault(order.symbol, [why])
        if not reasons and not answering:
            return ({"symbol": "the account", "qty": 0, "why": NO_ANSWER},)
        return tuple(
            {"symbol": symbol, "qty": held.get(symbol, 0), "why": "; ".join(dict.fromkeys(reasons[symbol]))}
            for symbol in sorted(reasons)
        )


def _store(change: Change, state: EodState, closing: int) -> None:
    ran_at = state.ran_at
    if ran_at is None:
        return

    def write(conn: sqlite3.Connection) -> None:
        conn.execute(
            "INSERT INTO eod_runs (session, ran_at, closing, proven_at, withdrawn_at, detail)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (session) DO UPDATE SET proven_at = excluded.proven_at,"
            " withdrawn_at = excluded.withdrawn_at, detail = excluded.detail",
            (
                state.day.isoformat(),
                instant_text(ran_at),
                closing,
                instant_text(state.proven_at),
                instant_text(state.withdrawn_at),
                " ".join(state.withdrawn_for),
            ),
        )

    change.also(write)
