"""Every setting, typed and bounded, from the environment or ``.env``.

``load()`` returns immutable ``Settings`` or raises ``ConfigError`` whose text is one line that names
the variable and the fix. Secrets are ``SecretStr``: they print as asterisks.
"""

import os
import shlex
from datetime import datetime
from decimal import Decimal
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def settings_file() -> Path:
    """The settings that systemd hands a service as a credential, or else the project's ``.env``."""
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", PROJECT_ROOT)) / "wsb-snake.env"
    return handed if handed.is_file() else PROJECT_ROOT / ".env"


PAPER_TRADING_URL = "https://paper-api.alpaca.markets"
LIVE_TRADING_URL = "https://api.alpaca.markets"

Mode = Literal["paper", "live", "embedded"]

TELLING = 6
"""A part of an address or a command that is shorter than this is no secret by itself."""

SHORTEST_TOKEN = 12

ENGINES = ("spy_scalper", "orchestrator", "institutional_scalper", "momentum_engine", "leaps_engine")


ALERT_KINDS = (
    *("started", "awake", "stopped", "entry_sent", "entry_ended", "fill", "position_opened"),
    *("position_adopted", "exit_condition", "exit_sent", "exit_ended", "position_closed", "order_recovered"),
    *("eod_ran", "eod_proven", "eod_proof_withdrawn", "eod_not_flat", "exercise_warning", "dne_taken"),
    *("dne_refused", "paused", "resumed", "foreign_risk", "no_quote", "stranger", "error", "daily_report"),
)
ALERT_LEVELS = ("loud", "silent", "off")

NEVER_OFF = ("stopped", "eod_ran", "eod_not_flat", "exercise_warning", "foreign_risk", "paused", "error")
"""Whoever does not read these takes silence for safety."""


class ConfigError(Exception):
    """A setting is missing or wrong; the text is one line for the owner."""


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _money(default: str, high: str, text: str) -> Any:
    """A dollar limit: the default is also the ceiling until ``WSB_SNAKE_RAISE_LIMITS=yes``."""
    return Field(Decimal(default), gt=0, le=Decimal(high), description=text)


def _url(text: str, *schemes: str) -> str:
    text = text.strip().rstrip("/")
    if urlsplit(text).scheme not in schemes or not urlsplit(text).hostname:
        raise ValueError(f"not a URL that starts with {schemes[-1]}://")
    return text


def _web_url(text: str) -> str:
    return _url(text, "http", "https")


def _socket_url(text: str) -> str:
    return _url(text, "ws", "wss")


def _api_url(text: str) -> str:
    text = _web_url(text)
    if urlsplit(text).path:
        raise ValueError("leave out the path, the version is added to it")
    return text


def _engine_list(text: str) -> str:
    wanted = text.replace(",", " ").split()
    unknown = [name for name in wanted if name not in ENGINES]
    if unknown:
        raise ValueError(f"there is no engine {unknown[0]!r}; name some of {', '.join(ENGINES)}")
    return " ".join(name for name in ENGINES if name in wanted)


def _alert_levels(text: str) -> str:
    """``kind=level`` with spaces or commas between; the later of two wins."""
    for item in text.replace(",", " ").split():
        kind, _, level = item.partition("=")
        if kind not in ALERT_KINDS:
            raise ValueError(f"there is no alert {kind!r}; name some of {', '.join(ALERT_KINDS)}")
        if level not in ALERT_LEVELS:
            raise ValueError(f"{kind} is {' or '.join(ALERT_LEVELS)}, not {level!r}")
        if level == "off" and kind in NEVER_OFF:
            raise ValueError(f"{kind} cannot be off; silent makes no sound")
    return text


def _command_line(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        try:
            shlex.split(secret.get_secret_value())
        except ValueError as error:
            raise ValueError(f"not a command as a shell reads it ({error})") from None
    return secret


def _loopback(host: str) -> str:
    """Who can reach the page can read it."""
    if host != "localhost" and not _is_loopback_v4(host):
        raise ValueError("not an address of this machine alone, such as 127.0.0.1; from elsewhere use ssh -L")
    return host


def _is_loopback_v4(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False


def _hard_to_guess(token: SecretStr | None) -> SecretStr | None:
    if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(f"shorter than {SHORTEST_TOKEN} characters; make one with: openssl rand -hex 24")
    return token


Optional = BeforeValidator(_blank_is_unset)
OptionalSecret = Annotated[SecretStr | None, Optional]
OptionalCommand = Annotated[OptionalSecret, AfterValidator(_command_line)]
ControlToken = Annotated[OptionalSecret, AfterValidator(_hard_to_guess)]
LoopbackHost = Annotated[str, AfterValidator(_loopback)]
OptionalText = Annotated[str | None, Optional]
WebUrl = Annotated[str, AfterValidator(_web_url)]
ApiUrl = Annotated[str, AfterValidator(_api_url)]
OptionalWebUrl = Annotated[WebUrl | None, Optional]
OptionalApiUrl = Annotated[ApiUrl | None, Optional]
OptionalSocketUrl = Annotated[Annotated[str, AfterValidator(_socket_url)] | None, Optional]
YesOnly = Annotated[bool, BeforeValidator(lambda value: value == "yes" if isinstance(value, str) else value)]


class Settings(BaseSettings):
    """All settings; a field's environment variable is its name in capitals."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True, case_sensitive=False)

    alpaca_api_key: OptionalSecret = None
    alpaca_secret_key: OptionalSecret = None
    alpaca_live_trading: bool = False
    alpaca_account_number: OptionalText = None
    alpaca_trading_url: OptionalApiUrl = None
    alpaca_data_url: ApiUrl = "https://data.alpaca.markets"
    alpaca_stream_url: OptionalSocketUrl = None
    alpaca_option_stream_url: OptionalSocketUrl = None
    alpaca_option_feed: Literal["opra", "indicative"] = "indicative"
    alpaca_stock_feed: Literal["sip", "iex"] = "iex"

    polygon_api_key: OptionalSecret = None
    polygon_base_url: ApiUrl = "https://api.polygon.io"
    polygon_plan: Literal["free", "starter", "developer", "advanced"] = "free"

    telegram_bot_token: OptionalSecret = None
    telegram_chat_id: OptionalText = None
    telegram_user_id: OptionalText = None
    telegram_base_url: WebUrl = "https://api.telegram.org"
    wsb_snake_alerts: Annotated[str, AfterValidator(_alert_levels)] = Field(
        "", description="alerts that are louder or quieter than usual, as kind=loud, silent or off"
    )

    wsb_snake_data_dir: Path = Path("wsb_snake_data")
    backup_dir: Path = Path("backups")
    backup_copy_command: OptionalCommand = Field(None, description="secret, since it may hold a password")
    wsb_snake_backups_kept: int = Field(14, ge=1, le=10_000)
    wsb_snake_keep_days: int = Field(
        180, ge=30, le=36_500, description="age from which rows are removed; never what was learnt or is open"
    )
    wsb_snake_http_host: LoopbackHost = "127.0.0.1"
    wsb_snake_http_port: int = Field(8080, ge=0, le=65535)
    wsb_snake_control_token: ControlToken = None
    wsb_snake_clock_start: OptionalText = None
    wsb_snake_cutoff_flatten: bool = True
    wsb_snake_half_day_entries: bool = False
    wsb_snake_dne: Literal["ask", "never"] = "ask"
    wsb_snake_raise_limits: YesOnly = False
    wsb_snake_allow_indicative: bool = False
    wsb_snake_heartbeat_url: OptionalWebUrl = None

    wsb_snake_log_format: Literal["plain", "json"] = "plain"
    wsb_snake_log_level: Literal["debug", "info", "warning"] = "info"
    wsb_snake_log_file: Annotated[Path | None, Optional] = None
    wsb_snake_log_file_mb: int = Field(10, ge=1, le=10_000, description="megabytes before it turns over")
    wsb_snake_log_files: int = Field(5, ge=1, le=100, description="older log files that are kept")

    # limits (DESIGN section 3): may be lowered freely
    wsb_snake_max_trade_dollars: Decimal = _money("1500", "1000000", "premium of one trade, dollars")
    wsb_snake_max_trade_equity: Decimal = Field(Decimal("0.05"), gt=0, le=1)
    wsb_snake_max_day_dollars: Decimal = _money("6000", "10000000", "entry premium of one day, dollars")
    wsb_snake_max_engine_dollars: Decimal = _money(
        "1500", "10000000", "entry premium of one engine in one day, dollars"
    )
    wsb_snake_max_overnight_dollars: Decimal = _money(
        "2000", "10000000", "entry premium of one day in what is held overnight, dollars"
    )
    wsb_snake_max_positions: int = Field(5, ge=1, le=100)
    wsb_snake_max_overnight_positions: int = Field(1, ge=0, le=100)
    wsb_snake_max_ticker_dollars: Decimal = _money(
        "2000", "1000000", "open premium of one underlying, dollars"
    )
    wsb_snake_max_sector_dollars: Decimal = _money(
        "3000", "1000000", "open premium of underlyings that move together, dollars"
    )
    wsb_snake_max_daily_loss_dollars: Decimal = _money("600", "1000000", "loss of one day, dollars")
    wsb_snake_max_daily_loss_equity: Decimal = Field(Decimal("0.03"), gt=0, le=1)
    wsb_snake_max_orders_minute: int = Field(6, ge=1, le=60)
    wsb_snake_max_orders_day: int = Field(60, ge=1, le=1000)
    wsb_snake_max_entries_per_signal: int = Field(2, ge=1, le=20)
    # size: as many contracts as this buys, one at least, within the limits
    wsb_snake_trade_dollars: Decimal = Field(Decimal(500), gt=0, le=1_000_000)
    # exits
    wsb_snake_scalp_target: Decimal = Field(Decimal("0.20"), gt=0, le=5)
    wsb_snake_scalp_stop: Decimal = Field(Decimal("0.15"), gt=0, lt=1)
    wsb_snake_scalp_minutes: int = Field(45, ge=1, le=390)
    # engines
    wsb_snake_engines: Annotated[str, AfterValidator(_engine_list)] = Field(
        " ".join(ENGINES), description="the engines that run; empty: none, positions are watched and closed"
    )
    wsb_snake_alert_confidence: int = Field(60, ge=0, le=100)
    wsb_snake_execute_confidence: int = Field(70, ge=0, le=100)
    wsb_snake_learning: bool = True

    @model_validator(mode="after")
    def _bounds_between_settings(self) -> "Settings":
        if not self.wsb_snake_raise_limits:
            for name in LIMITS:
                ceiling = type(self).model_fields[name].default
                if getattr(self, name) > ceiling:
                    raise ValueError(
                        f"{name.upper()} is above {ceiling}; lower it, or set WSB_SNAKE_RAISE_LIMITS=yes"
                    )
        if self.alpaca_live_trading and not self.alpaca_account_number:
            raise ValueError("ALPACA_ACCOUNT_NUMBER is missing; live trading needs the account's number")
        if self.wsb_snake_clock_start is not None:
            self._check_clock_start(self.wsb_snake_clock_start)
        return self

    def _check_clock_start(self, text: str) -> None:
        if self.mode != "embedded":
            raise ValueError(
                "WSB_SNAKE_CLOCK_START is for the embedded exchange; unset it, or use loopback URLs"
            )
        if text == "broker":
            return
        try:
            aware = datetime.fromisoformat(text).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise ValueError(
                "WSB_SNAKE_CLOCK_START is neither 'broker' nor an instant with offset "
                "such as 2026-11-24T09:25:00-05:00"
            )

    @property
    def mode(self) -> Mode:
        """``embedded`` when every broker URL is loopback, else ``live`` or ``paper``."""
        urls = [self.trading_url, self.alpaca_data_url, self.stream_url]
        if self.alpaca_option_stream_url:
            urls.append(self.alpaca_option_stream_url)
        if all(is_loopback(url) for url in urls):
            return "embedded"
        return "live" if self.alpaca_live_trading else "paper"

    @property
    def trading_url(self) -> str:
        """Base of Alpaca's trading REST API, without a version path."""
        if self.alpaca_trading_url:
            return self.alpaca_trading_url
        return LIVE_TRADING_URL if self.alpaca_live_trading else PAPER_TRADING_URL

    @property
    def stream_url(self) -> str:
        """Full URL of the trade_updates stream."""
        if self.alpaca_stream_url:
            return self.alpaca_stream_url
        return "ws" + self.trading_url.removeprefix("http") + "/stream"

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that are switched on."""
        return tuple(self.wsb_snake_engines.split())

    @property
    def alert_levels(self) -> dict[str, str]:
        """``loud``, ``silent`` or ``off`` by kind of alert, where it isn't the usual level."""
        items = self.wsb_snake_alerts.replace(",", " ").split()
        return {kind: level for kind, _, level in (item.partition("=") for item in items)}

    @property
    def data_dir(self) -> Path:
        return _from_project(self.wsb_snake_data_dir)

    @property
    def db_path(self) -> Path:
        return self.data_dir / "wsb_snake.db"

    @property
    def session_learnings_path(self) -> Path:
        return self.data_dir / "session_learnings.json"

    @property
    def backups(self) -> Path:
        return _from_project(self.backup_dir)

    @property
    def log_file(self) -> Path | None:
        return None if self.wsb_snake_log_file is None else _from_project(self.wsb_snake_log_file)

    def require_keys(self) -> tuple[str, str]:
        """Alpaca's key and secret; raises ConfigError that names what is missing."""
        missing = [
            name
            for name, value in (
                ("ALPACA_API_KEY", self.alpaca_api_key),
                ("ALPACA_SECRET_KEY", self.alpaca_secret_key),
            )
            if value is None
        ]
        if missing or self.alpaca_api_key is None or self.alpaca_secret_key is None:
            raise ConfigError(
                f"{' and '.join(missing)} not set: put them into .env (see .env.example), "
                "or try script/demo, which needs no keys"
            )
        return self.alpaca_api_key.get_secret_value(), self.alpaca_secret_key.get_secret_value()

    def secrets(self) -> tuple[str, ...]:
        """Every secret in clear, for the redaction of logs and messages only.

        That is each ``SecretStr``, what tells anything in the heartbeat's address, the name and password
        of any address, and the words of the copy command.
        """
        told: list[str] = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr) and name != "backup_copy_command":
                told.append(value.get_secret_value())
            elif isinstance(value, str) and name.endswith("_url"):
                told += _credentials(value)
        if self.backup_copy_command is not None:
            told += _telling_words(self.backup_copy_command.get_secret_value())
        if self.wsb_snake_heartbeat_url is not None:
            url = self.wsb_snake_heartbeat_url
            told += [url, *(part for part in urlsplit(url).path.split("/") if len(part) >= TELLING)]
        return tuple(dict.fromkeys(told))


LIMITS = (
    "wsb_snake_max_trade_dollars",
    "wsb_snake_max_trade_equity",
    "wsb_snake_max_day_dollars",
    "wsb_snake_max_engine_dollars",
    "wsb_snake_max_overnight_dollars",
    "wsb_snake_max_positions",
    "wsb_snake_max_overnight_positions",
    "wsb_snake_max_ticker_dollars",
    "wsb_snake_max_sector_dollars",
    "wsb_snake_max_daily_loss_dollars",
    "wsb_snake_max_daily_loss_equity",
    "wsb_snake_max_orders_minute",
    "wsb_snake_max_orders_day",
    "wsb_snake_max_entries_per_signal",
)


def load(env_file: Path | Literal["found"] | None = "found", **overrides: Any) -> Settings:
    """Read the settings; ``overrides`` win over the environment, which wins over ``env_file`` (None: no file;
    by default ``settings_file()``).

    Raises ConfigError.
    """
    try:
        return Settings(_env_file=settings_file() if env_file == "found" else env_file, **overrides)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


def is_loopback(url: str) -> bool:
    """Whether ``url`` points at this machine, by a literal address or the name localhost."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(url: str) -> list[str]:
    """The name and password that stand in an address, together and each."""
    named, at, _ = urlsplit(url).netloc.rpartition("@")
    return [named, *(part for part in named.split(":") if len(part) >= TELLING)] if at else []


def _telling_words(command: str) -> list[str]:
    """The whole command, and its words and values that may be a password: neither options nor ``{}``."""
    words = [word.partition("=")[2] if word.startswith("-") else word for word in shlex.split(command)[1:]]
    return [command, *(word for word in words if len(word) >= TELLING and "{}" not in word)]


def _from_project(path: Path) -> Path:
    return path if path.is_absolute() else PROJECT_ROOT / path


def _one_line(error: ValidationError) -> str:
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        name = "_".join(str(part) for part in item["loc"]).upper()
        text = item["msg"].removeprefix("Value error, ")
        problems.append(f"{name}: {text}" if name else text)
    return "; ".join(problems)


def __getattr__(name: str) -> Path:
    """``DATA_DIR``, ``DB_PATH`` and ``SESSION_LEARNINGS_PATH`` as the present environment has them."""
    if name in {"DATA_DIR", "DB_PATH", "SESSION_LEARNINGS_PATH"}:
        settings = load()
        return {
            "DATA_DIR": settings.data_dir,
            "DB_PATH": settings.db_path,
            "SESSION_LEARNINGS_PATH": settings.session_learnings_path,
        }[name]
    raise AttributeError(name)
