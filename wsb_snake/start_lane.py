"""The start lane of ``run``: reach the broker, agree with it, and open a database that would not open.

Neither waits for the other. Without the broker nothing is adopted yet; without the database everything
goes on but entries.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack

from wsb_snake.config import Settings
from wsb_snake.core.lanes import Flag
from wsb_snake.core.process_lock import AlreadyRunning, LockUnavailable
from wsb_snake.daemon import RETRY_S, Daemon
from wsb_snake.daemon_start import BAD_CONFIGURATION, RUNNING, StartRefused, account_lock
from wsb_snake.db.errors import DatabaseTooNew, DatabaseUnavailable
from wsb_snake.notifications.chat import Chat, ChatError
from wsb_snake.notifications.messages import WHAT_GOES_ON
from wsb_snake.trading.broker import BrokerError

log = logging.getLogger(__name__)


class StartLane:
    """Tries every 5 s until all is done. ``refuse`` ends the process; ``keep`` lets go at its end."""

    def __init__(
        self,
        settings: Settings,
        daemon: Daemon,
        chat: Chat | None,
        keep: ExitStack,
        stopping: Flag,
        refuse: Callable[[StartRefused], None],
        report: Callable[[str, Exception], None],
    ) -> None:
        self._settings = settings
        self._daemon = daemon
        self._chat = chat
        self._keep = keep
        self._stopping = stopping
        self._refuse = refuse
        self._report = report
        self._opened = self._locked = self._agreed = self._told = False
        self._trouble = ""

    def open_database(self) -> bool:
        """Open and load; on a disk that cannot be used the daemon runs without entries. Whether it is open.

        Raises DatabaseTooNew and StartRefused.
        """
        daemon = self._daemon
        try:
            daemon.world.database.open(daemon.take_up)
        except DatabaseUnavailable as error:
            if str(error) != self._trouble:
                log.error("%s; running without entries, watching and closing go on", error)
            self._trouble = str(error)
        else:
            self._opened = True
        return self._opened

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except StartRefused as refusal:
                self._refuse(refusal)
            except AlreadyRunning as error:
                self._refuse(StartRefused(RUNNING, str(error)))
            except DatabaseTooNew as error:
                self._refuse(StartRefused(BAD_CONFIGURATION, str(error)))
            except Exception as error:  # this lane's top loop: without it nothing would be adopted
                self._report("start", error)
            if self._agreed and self._opened:
                return
            self._stopping.wait(RETRY_S)

    def _step(self) -> None:
        if not self._agreed:
            try:
                self._agree()
            except (BrokerError, DatabaseUnavailable) as error:
                self._daemon.not_agreed()
                log.warning("not ready, entries stay blocked: %s", error)
        if not self._opened and not self.open_database():
            self._tell()

    def _agree(self) -> None:
        """Whose account this is, and nobody else on it: then the first reconciliation."""
        daemon = self._daemon
        if daemon.account is None:
            daemon.connect_account()
        if not self._locked and daemon.account is not None:
            lock = account_lock(self._settings, daemon.account.number)
            try:
                lock.acquire()
            except LockUnavailable as error:
                log.error("%s: a second daemon on this account would not be noticed", error)
            else:
                self._keep.callback(lock.release)
            self._locked = True
        daemon.agree()
        self._agreed = True

    def _tell(self) -> None:
        """Alerts wait in the database; without it this one goes out directly."""
        if self._chat is None or self._told:
            return
        goes_on = self._daemon.executor.desk.pauses.goes_on or WHAT_GOES_ON
        try:
            self._chat.send(
                f"Running without the database: {self._trouble}. {goes_on} Until it can be written no "
                "other alert can be sent: ask /health or `python main.py status`.",
                False,
            )
        except ChatError as error:
            log.warning("the owner could not be told: %s", error)
        else:
            self._told = True
