"""What is settled once at each start: whose account this is, and what the owner is told of it."""

from datetime import datetime

from wsb_snake import __version__
from wsb_snake.config import Settings
from wsb_snake.core.clock import eastern
from wsb_snake.db.database import Database
from wsb_snake.db.meta import Stamp, read_stamp, write_stamp
from wsb_snake.trading.broker import Account, Broker, Fatal
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, rungs

BUYING_LEVEL = 2
BAD_CONFIGURATION, REFUSED = 2, 4


class StartRefused(Exception):
    """The daemon must not run as configured; ``code`` is the process's exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def check_account(broker: Broker, database: Database, settings: Settings) -> Account:
    """The account behind the keys, when it is the one that settings and database expect.

    Stamps a database that nobody has stamped. Raises StartRefused, or BrokerError when nobody answers.
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
    if account.blocked:
        raise StartRefused(REFUSED, f"account {account.number} is blocked for trading at the broker")
    if account.options_level < BUYING_LEVEL:
        raise StartRefused(
            REFUSED,
            f"account {account.number} has options level {account.options_level}; "
            f"buying options needs level {BUYING_LEVEL}",
        )
    _stamp(database, Stamp(settings.mode, account.number), settings)
    return account


def _stamp(database: Database, mine: Stamp, settings: Settings) -> None:
    with database.get_connection() as conn:
        stamp = read_stamp(conn)
    if stamp is None:
        database.transact(lambda conn: write_stamp(conn, mine), urgent=True)
    elif stamp != mine:
        raise StartRefused(
            BAD_CONFIGURATION,
            f"{settings.data_dir} belongs to {stamp.mode} account {stamp.account}, "
            f"this is {mine.mode} account {mine.account}: choose another WSB_SNAKE_DATA_DIR",
        )


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
    if settings.polygon_api_key is None:
        found.append("no Polygon key: no fail-over for market data")
    if settings.alpaca_option_feed == "indicative":
        found.append("option quotes are indicative, not OPRA")
    return tuple(found)


def wall(moment: datetime) -> str:
    """``HH:MM`` US/Eastern."""
    return f"{eastern(moment):%H:%M}"
