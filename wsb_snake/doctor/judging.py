"""What the facts mean for a daemon that is to trade today. Pure: each function makes findings of values."""

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType

from wsb_snake.collectors.sources import DataError, NotEntitled
from wsb_snake.config import Settings
from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import eastern
from wsb_snake.core.types import Quote
from wsb_snake.daemon_start import BUYING_LEVEL, stamp_of
from wsb_snake.db.meta import Stamp
from wsb_snake.db.schema import MIGRATIONS
from wsb_snake.doctor.findings import Finding, failure, ok, warning
from wsb_snake.trading.broker import Account, BrokerError, Fatal
from wsb_snake.trading.pauses import Pause

SKEW_PAUSES_S = 2.0  # as trading/clock_watch
SKEW_NOTED_S = 0.5
UNCERTAIN_S = 2.0
LITTLE_BYTES, NO_BYTES = 1_000_000_000, 200_000_000
NO_NETWORK = "check the network and https://status.alpaca.markets, then try again"
LIFTED_BY = MappingProxyType(
    {
        "manual": "main.py resume, when you want entries again",
        "daily_loss": "leave it: it ends with the next session",
        "alpaca": "look at https://status.alpaca.markets: it ends when Alpaca answers again",
    }
)
STATUS_PAGE_KEYS = "make new keys on Alpaca's page of this account and put them into the settings"


def account(found: Account | BrokerError, settings: Settings) -> tuple[Finding, ...]:
    """Keys, account and mode, options level."""
    if isinstance(found, Fatal):
        kind = "live" if settings.alpaca_live_trading else "paper"
        return (failure("keys", f"the broker refuses them ({found})", f"{STATUS_PAGE_KEYS} ({kind} keys)"),)
    if isinstance(found, BrokerError):
        return (failure("broker", f"no account to be had ({found})", NO_NETWORK),)
    return (
        ok("keys", f"the broker takes them ({settings.mode})"),
        _whose(found, settings),
        _level(found),
    )


def _whose(found: Account, settings: Settings) -> Finding:
    wanted = settings.alpaca_account_number
    told = f"{settings.mode} {found.number}, {found.status.lower()}, equity ${found.equity:,.2f}"
    if wanted is not None and wanted != found.number:
        return failure(
            "account",
            f"the keys belong to {found.number}",
            f"ALPACA_ACCOUNT_NUMBER is {wanted}: set the right keys, or that number",
        )
    if found.blocked:
        return failure("account", f"{told}, blocked for trading", "ask Alpaca's support why")
    if found.options_buying_power <= 0:
        return warning("account", f"{told}, no buying power for options", "deposit, or close something")
    return ok("account", told)


def _level(found: Account) -> Finding:
    level, fix = (
        found.options_level,
        f"apply for options level {BUYING_LEVEL} on Alpaca's page of the account",
    )
    if level is None:
        return warning("options level", "the broker does not say", f"try again; if it stays so, {fix}")
    if level < BUYING_LEVEL:
        return failure("options level", f"{level}, buying options needs {BUYING_LEVEL}", fix)
    return ok("options level", str(level))


def clock(ours: datetime, told: datetime | BrokerError, took_s: float) -> Finding:
    """``ours`` is the middle between question and answer, which took ``took_s`` seconds."""
    if isinstance(told, BrokerError):
        return failure("clock", f"the broker tells no time ({told})", NO_NETWORK)
    skew = (ours - told).total_seconds()
    text = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the broker's"
    if took_s > UNCERTAIN_S:
        return warning("clock", f"the answer took {took_s:.1f} s, too long to compare", "try again")
    if abs(skew) > SKEW_PAUSES_S:
        return failure("clock", f"{text}, entries pause", "set it by NTP: timedatectl set-ntp true")
    if abs(skew) > SKEW_NOTED_S:
        return warning("clock", text, "set it by NTP: timedatectl set-ntp true")
    return ok("clock", text)


def calendar(found: MarketCalendar | BrokerError, days: Iterable[date], today: date) -> tuple[Finding, ...]:
    """The broker's sessions of ``days`` against the library's."""
    if isinstance(found, BrokerError):
        return (failure("calendar", f"the broker tells none ({found})", NO_NETWORK),)
    disputes = [text for day in days if (text := found.disagreement(day)) is not None]
    if disputes:
        return tuple(
            warning("calendar", text, "entries stop on that day; look at nyse.com, and upgrade if it is old")
            for text in disputes
        )
    session = found.session(today) or found.next_session(today)
    hours = f"{eastern(session.open):%H:%M}-{eastern(session.close):%H:%M} ET"
    half = ", a half day" if found.is_half_day(session) else ""
    return (ok("calendar", f"broker and library agree; next session {session.day} {hours}{half}"),)


def stock_feed(found: int | DataError, settings: Settings, *, in_session: bool) -> Finding:
    """``found`` is the number of bars that came."""
    feed = settings.alpaca_stock_feed
    if isinstance(found, NotEntitled):
        return failure(
            "stock data",
            f"{feed} is not in the plan ({found})",
            "ALPACA_STOCK_FEED=iex, or Alpaca's paid plan",
        )
    if isinstance(found, DataError):
        return failure("stock data", f"{feed} does not answer ({found})", NO_NETWORK)
    if not found and in_session:
        return warning("stock data", f"{feed} has no bar of the last minutes", "try again in a minute")
    return ok("stock data", f"{feed}, {found} bars of the last minutes")


def option_feed(found: Quote | BrokerError | DataError | None, settings: Settings) -> Finding:
    feed = settings.alpaca_option_feed
    if isinstance(found, NotEntitled):
        return failure(
            "option data",
            f"{feed} is not in the plan ({found})",
            "sign the OPRA agreement on Alpaca's page, or ALPACA_OPTION_FEED=indicative",
        )
    if isinstance(found, BrokerError | DataError):
        return failure("option data", f"{feed} does not answer ({found})", NO_NETWORK)
    if feed == "indicative" and settings.mode == "live" and not settings.wsb_snake_allow_indicative:
        return failure(
            "option data",
            "indicative quotes, and live entries on them are refused",
            "ALPACA_OPTION_FEED=opra, or WSB_SNAKE_ALLOW_INDICATIVE=true",
        )
    if found is None:
        return warning("option data", f"{feed} has no quote for a listed contract", "try again in a session")
    if feed == "indicative":
        return warning(
            "option data", "indicative: delayed and altered quotes", "for live: ALPACA_OPTION_FEED=opra"
        )
    return ok("option data", feed)


def polygon(found: int | DataError | None, settings: Settings) -> Finding:
    """``found`` is None without a key."""
    if found is None:
        return warning(
            "Polygon", "no key: nothing stands in for Alpaca's data", "POLYGON_API_KEY, or leave it"
        )
    if isinstance(found, DataError):
        return failure(
            "Polygon", f"{settings.polygon_plan} plan: {found}", "check POLYGON_API_KEY and POLYGON_PLAN"
        )
    return ok("Polygon", f"{settings.polygon_plan} plan answers")


def place(subject: str, path: Path, free: int | None, *, writable: bool, fix: str) -> Finding:
    """A directory that is written to; ``free`` bytes, None where nobody can say."""
    if not writable:
        return failure(subject, f"{path} cannot be written by this account", fix)
    if free is None:
        return failure(subject, f"{path} cannot be examined", fix)
    text = f"{path}, {free / 1e9:.1f} GB free"
    if free < NO_BYTES:
        return failure(subject, text, "free some space: entries stop when a write fails")
    if free < LITTLE_BYTES:
        return warning(subject, text, "free some space")
    return ok(subject, text)


def database(
    path: Path,
    version: int,
    problem: str | None,
    stamp: Stamp | None,
    found: Account | BrokerError,
    settings: Settings,
) -> Finding:
    """``problem`` is the first complaint of the integrity check, or None."""
    known = len(MIGRATIONS)
    if problem is not None:
        return failure(
            "database", f"{path} is damaged ({problem})", "stop the daemon, main.py restore a backup"
        )
    if version > known:
        return failure(
            "database",
            f"version {version}, this program knows {known}",
            "update the program, or restore a backup",
        )
    if stamp is not None and isinstance(found, Account) and stamp != stamp_of(settings, found):
        return failure(
            "database",
            f"it belongs to {stamp.mode} account {stamp.account}, the keys to {settings.mode} {found.number}",
            "choose another WSB_SNAKE_DATA_DIR",
        )
    older = "" if version == known else f", the next start migrates it to {known}"
    whose = "nobody's yet" if stamp is None else f"{stamp.mode} account {stamp.account}"
    return ok("database", f"whole, version {version}{older}, {whose}")


def halt_file(path: Path, *, exists: bool) -> Finding:
    if exists:
        return warning("halt", f"{path} stops all entries", "main.py resume, once you have looked why")
    return ok("halt", "no halt file")


def pauses(stored: Iterable[Pause], now: datetime) -> tuple[Finding, ...]:
    """The pauses that a restart finds again. ``now`` is aware."""
    held = [pause for pause in stored if pause.until is None or pause.until > now]
    return tuple(_pause(pause) for pause in held) or (ok("pauses", "none is stored"),)


def _pause(pause: Pause) -> Finding:
    until = "" if pause.until is None else f" until {_moment(pause.until)}"
    return warning(
        "pauses",
        f"{pause.reason} stops new entries since {_moment(pause.since)}{until} ({pause.detail})",
        LIFTED_BY.get(pause.reason, "docs/SYSTEM_OPERATOR_HANDBOOK.md says under Pauses what ends it"),
    )


def _moment(at: datetime) -> str:
    return f"{eastern(at):%Y-%m-%d %H:%M} ET"


def telegram(problem: str | None, *, tried: bool, sent: bool) -> Finding:
    """``tried`` is false without a token or chat, ``sent`` when a test message went out."""
    if not tried:
        return warning(
            "Telegram", "not configured: nobody is told", "TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID"
        )
    if problem is not None:
        return failure("Telegram", problem, "check TELEGRAM_BOT_TOKEN, TELEGRAM_CHAT_ID and the network")
    if sent:
        return ok("Telegram", "a test message was taken: it is on your phone")
    return ok("Telegram", "the bot answers; --telegram sends a test message")
