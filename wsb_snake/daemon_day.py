"""The day as a lane: its contracts, the word that we are awake, and the report."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.events import EventKind
from wsb_snake.daemon_start import wall
from wsb_snake.daily import daily_report, report_due_at
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.meta import get_meta, set_meta
from wsb_snake.engines.universe import ZERO_DTE
from wsb_snake.hunting.host import Host
from wsb_snake.keeping.retention import Retention
from wsb_snake.learning import daily_lessons, session_learnings
from wsb_snake.trading.alpaca_executor import AlpacaExecutor
from wsb_snake.trading.broker import Account, Broker, BrokerError
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, rungs

AWAKE_BEFORE_OPEN = timedelta(minutes=30)
SLICES_APART = timedelta(seconds=0.5)

Journal = Callable[[EventKind, Mapping[str, object], Callable[[sqlite3.Connection], None] | None], object]

log = logging.getLogger(__name__)


class Day:
    """One session day after the other."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        database: Database,
        executor: AlpacaExecutor,
        hunt: Host,
        journal: Journal,
    ) -> None:
        self._settings = settings
        self._broker = broker
        self._database = database
        self._executor = executor
        self._hunt = hunt
        self._journal = journal
        self._retention = Retention(database, settings.wsb_snake_keep_days)
        self._awake_for: str | None = None
        self._taught_by: date | None = None

    def load(self, conn: sqlite3.Connection) -> None:
        self._awake_for = get_meta(conn, "awake_for")

    def turn(self, account: Account | None) -> datetime | None:
        """Wake for the session, report after it, tidy up outside of it; when to be called again."""
        due, desk = self._turn(account), self._executor.desk
        if desk.ready and not desk.in_session() and self._retention.step(desk.now()):
            return desk.now() + SLICES_APART
        return due

    def _turn(self, account: Account | None) -> datetime:
        desk, now = self._executor.desk, self._executor.desk.now()
        session = desk.session()
        if session is None:
            return now + timedelta(minutes=10)
        wakes_at = session.open - AWAKE_BEFORE_OPEN
        if wakes_at <= now < session.close and desk.ready and account is not None:
            self._wake_for(session, account)
        if now >= report_due_at(session):
            following = desk.calendar.next_session(session.day)
            daily_report(self._database, session, desk.eod, now, following)
            self._teach(session, now)
        moments = (wakes_at, report_due_at(session))
        ahead = [moment for moment in moments if moment > now]
        return min([*ahead, now + timedelta(minutes=1)])

    def _teach(self, session: Session, now: datetime) -> None:
        """Once a session: its lesson, and the plan for the next one, into the learnings file."""
        if self._taught_by == session.day:
            return
        try:
            with self._database.get_connection() as conn:
                facts = daily_lessons.facts_of(conn, session.day)
            problem = daily_lessons.write_lessons(self._settings.session_learnings_path, facts, now)
        except (OSError, DatabaseUnavailable) as error:
            log.warning("the day's lesson cannot be written yet: %s", error)
            return
        self._taught_by = session.day
        if problem is not None:
            self._executor.desk.alert("session learnings", problem)

    def _plan(self, now: datetime) -> None:
        """Take up what the learnings file asks of today."""
        loaded = session_learnings.load(self._settings.session_learnings_path, now)
        if loaded.problem is not None:
            self._executor.desk.alert("session learnings", loaded.problem)
        if self._settings.wsb_snake_learning:
            self._hunt.raise_bar(loaded.learnings.raise_bar)
        for line in loaded.learnings.battle_plan:
            log.info("battle plan: %s", line)

    def _wake_for(self, session: Session, owner: Account) -> None:
        """Once a session: the day's contracts, and the word that we are awake."""
        desk = self._executor.desk
        if self._hunt.names_day != session.day and not self._list_names(session.day):
            return
        day = session.day.isoformat()
        if self._awake_for == day:
            return
        self._awake_for = day
        account = desk.pollers.account.latest
        words: dict[str, object] = {
            "session": day,
            "account": owner.number,
            "mode": self._settings.mode,
            "equity": owner.equity if account is None else account.value.equity,
            "limits": desk.limits.text(),
            "zero_dte_entries_end_et": wall(rungs(session, "TSLA", cutoff_flatten=True).entries_end),
            "eod_at_et": wall(session.close - EOD_BEFORE_CLOSE),
            "close_at_et": wall(session.close),
        }
        self._journal(EventKind.AWAKE, words, lambda conn: set_meta(conn, "awake_for", day))

    def _list_names(self, day: date) -> bool:
        """Which names list a contract of today, and a clean slate for the limits of a day."""
        desk = self._executor.desk
        try:
            listed = self._broker.contracts_expiring(ZERO_DTE, day)
        except BrokerError as error:
            log.warning("the day's contracts cannot be read yet: %s", error)
            return False
        names = {contract.underlying for contract in listed}
        self._hunt.names = tuple(name for name in ZERO_DTE if name in names)
        self._hunt.names_day = day
        self._plan(desk.now())
        desk.forget_before_today()
        if any(p.reason == "daily_loss" and p.since < desk.day_start() for p in desk.pauses.listed()):
            desk.pauses.clear("daily_loss")
        return True
