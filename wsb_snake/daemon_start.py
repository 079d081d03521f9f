"""What is settled once at each start: whose account this is, and what the owner is told of it."""

import os
import sqlite3
from datetime import datetime
from pathlib import Path

from wsb_snake import __version__
from wsb_snake.config import ConfigError, Settings
from wsb_snake.core.clock import Clock, ShiftedClock, SystemClock, eastern
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.process_lock import ProcessLock
from wsb_snake.db.meta import Stamp, read_stamp
from wsb_snake.trading.broker import Account, Broker, BrokerError, Fatal
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, rungs

BUYING_LEVEL = 2
BAD_CONFIGURATION, RUNNING, REFUSED = 2, 3, 4
MAY_NOT_BUY, LEVEL_UNKNOWN = "account:", "account:level"
CLOCK_TRIES = 20
LOCK_PLACES = (Path("/run/lock"), Path("/tmp"))
"""Where the lock of an account is; the first is not swept of old files, and not writable everywhere."""


class StartRefused(Exception):
    """The daemon must not run as configured; ``code`` is the process's exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def own_account(broker: Broker, settings: Settings) -> Account:
    """The account behind the keys, when it is the one that the settings name.

    Raises StartRefused, or BrokerError when nobody answers.
    """
    try:
        account = broker.account()
    except Fatal as error:
        raise StartRefused(REFUSED, f"the broker refuses us: {error}") from error
    wanted = settings.alpaca_account_number
    if wanted is not None and wanted != account.number:
        raise StartRefused(
            BAD_CONFIGURATION, f"ALPACA_ACCOUNT_NUMBER is {wanted}, but these keys belong to {account.number}"
        )
    return account


def check_account(broker: Broker, settings: Settings) -> Account:
    """``own_account``, unless it may buy no options and holds none. Raises the same.

    What is held needs a daemon that watches and closes it, also while nothing may be bought.
    """
    account = own_account(broker, settings)
    why = refusal(account)
    if why is not None and not any(p.is_option for p in broker.positions()):
        raise StartRefused(REFUSED, why)
    return account


def refusal(account: Account) -> str | None:
    """Why the account may buy no options, as the broker says in so many words, or None."""
    if account.blocked:
        return f"account {account.number} is blocked for trading at the broker"
    if account.options_level is not None and account.options_level < BUYING_LEVEL:
        return (
            f"account {account.number} has options level {account.options_level}; "
            f"buying options needs level {BUYING_LEVEL}"
        )
    return None


def judge_account(desk: Desk, account: Account) -> None:
    """No entry while the account may buy no options, or nobody says whether it may.

    Every reading of the account is judged, so that a level that comes later is enough.
    """
    why = refusal(account)
    if why is not None:
        desk.disputes.open(MAY_NOT_BUY, why)
    if account.options_level is None:
        desk.disputes.open(
            LEVEL_UNKNOWN,
            f"the broker does not say the options level of account {account.number}; it is asked again",
        )
    else:
        desk.disputes.settle(LEVEL_UNKNOWN)
    if why is None:
        desk.disputes.settle(MAY_NOT_BUY)


def stamped(conn: sqlite3.Connection, settings: Settings, account: Account) -> bool:
    """Whether the database carries our stamp; False when nobody has stamped it. Raises StartRefused."""
    found, mine = read_stamp(conn), stamp_of(settings, account)
    if found is not None and found != mine:
        raise StartRefused(
            BAD_CONFIGURATION,
            f"{settings.data_dir} belongs to {found.mode} account {found.account}, "
            f"this is {mine.mode} account {mine.account}: choose another WSB_SNAKE_DATA_DIR",
        )
    return found is not None


def stamp_of(settings: Settings, account: Account) -> Stamp:
    return Stamp(settings.mode, account.number)


def directory_lock(settings: Settings) -> ProcessLock:
    """One daemon a data directory."""
    return ProcessLock(settings.data_dir / "daemon.lock", f"the data directory {settings.data_dir}")


def account_lock(settings: Settings, number: str) -> ProcessLock:
    """One daemon an account and broker for this user, whatever the data directory."""
    host = settings.trading_url.split("://")[-1].replace(":", "_").replace("/", "_")
    return ProcessLock(_lock_folder() / f"{host}-{number}.lock", f"account {number}")


def _lock_folder() -> Path:
    """The same for a service and a shell: no variable, and nothing that comes and goes with a login.

    Where a place is for root alone, the installation has made the folder in it.
    """
    folders = [place / f"wsb-snake-{os.getuid()}" for place in LOCK_PLACES]
    for folder in folders:
        if os.access(folder if folder.exists() else folder.parent, os.W_OK | os.X_OK):
            return folder
    return folders[-1]


def clock_for(settings: Settings, broker: Broker) -> Clock:
    """The clock that ``WSB_SNAKE_CLOCK_START`` asks for. Raises ConfigError and StartRefused."""
    start = settings.wsb_snake_clock_start
    if start is None:
        return SystemClock()
    if start != "broker":
        return ShiftedClock(datetime.fromisoformat(start))
    for _ in range(CLOCK_TRIES):
        try:
            return ShiftedClock(broker.clock().at)
        except Fatal as error:
            raise StartRefused(REFUSED, f"the broker refuses us: {error}") from error
        except BrokerError as error:
            last = error
            ThreadLanes(SystemClock()).sleep(0.5)
    raise ConfigError(f"WSB_SNAKE_CLOCK_START=broker, but {settings.trading_url} tells no time: {last}")


def start_words(
    settings: Settings, desk: Desk, account: Account | None, warnings: tuple[str, ...]
) -> dict[str, object]:
    """The data of a STARTED event."""
    session = desk.session()
    return {
        "mode": settings.mode,
        "account": "" if account is None else account.number,
        "version": __version__,
        "clock": settings.wsb_snake_clock_start or "",
        "limits": desk.limits.text(),
        "eod_at_et": None if session is None else wall(session.close - EOD_BEFORE_CLOSE),
        "cutoff_note": _cutoff_note(settings, desk),
        "positions": len(desk.book.view.watched()),
        "warnings": list(warnings),
    }


def _cutoff_note(settings: Settings, desk: Desk) -> str:
    """Empty on a session day with the flatten on: then the standing sentence is right."""
    session = desk.session()
    if not settings.wsb_snake_cutoff_flatten:
        return "The cut-off flatten is off: 0DTE is closed by the EOD close only."
    if session is None or not desk.calendar.is_half_day(session):
        return ""
    single, broad = (rungs(session, name, cutoff_flatten=True).cutoff for name in ("TSLA", "SPY"))
    if single is None or broad is None:
        return ""
    return (
        f"Half day: 0DTE closes at the cut-off, {wall(single)} ET, SPY and QQQ {wall(broad)} ET; "
        f"the EOD close at {wall(session.close - EOD_BEFORE_CLOSE)} ET is the net beneath."
    )


def warnings_of(settings: Settings, *, chat: bool) -> tuple[str, ...]:
    """What the owner should know about the configuration."""
    found = []
    if settings.wsb_snake_raise_limits:
        found.append("limits may exceed the defaults (WSB_SNAKE_RAISE_LIMITS=yes)")
    if not chat:
        found.append("no Telegram token: alerts stay in the database")
    group = (settings.telegram_chat_id or "").startswith(("-", "@"))
    if chat and group and settings.telegram_user_id is None:
        found.append("the chat is a group and TELEGRAM_USER_ID is not set: no command is heard from it")
    if settings.polygon_api_key is None:
        found.append("no Polygon key: no fail-over for market data")
    if settings.alpaca_option_feed == "indicative":
        found.append("option quotes are indicative, not OPRA")
    return tuple(found)


def wall(moment: datetime) -> str:
    """``HH:MM`` US/Eastern."""
    return f"{eastern(moment):%H:%M}"
