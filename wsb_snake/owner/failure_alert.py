"""The alert when systemd says that a unit of ours failed. Without the daemon and without its database.

It reads no more of the settings than it needs: a wrong one elsewhere may be why the daemon is down.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from wsb_snake.config import ConfigError, OptionalSecret, OptionalText, Settings, settings_file
from wsb_snake.core.clock import SystemClock
from wsb_snake.keeping.alarm import tell_owner
from wsb_snake.owner import health_check

DAEMON, BACKUP, HEALTH = "wsb-snake.service", "wsb-snake-backup.service", "wsb-snake-health.service"
GIVEN_UP = MappingProxyType({"2": "bad configuration", "4": "the broker refuses it"})
AT_EACH_STOP = frozenset({"watchdog", "signal", "core-dump", "timeout", "oom-kill"})
SYSTEMDS_OWN = 200
"""From this exit status on, systemd itself could not start the unit."""

CLOSE = "`wsb-snake flatten --direct` closes what expires today without it"


class _Telegram(BaseSettings):
    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True, case_sensitive=False)

    telegram_bot_token: OptionalSecret = None
    telegram_chat_id: OptionalText = None
    telegram_base_url: str = "https://api.telegram.org"


def alert_failure(unit: str) -> str | None:
    """Tell the owner that ``unit`` failed; why he was not told, or None.

    ``UNIT:RESULT`` is told each time that the daemon stops and is started again, ``UNIT`` by OnFailure=.
    """
    name, _, result = unit.partition(":")
    if not result and told_at_its_stop(name, os.environ):
        return None
    env_file = settings_file()
    settings = chat_settings(env_file)
    if settings.telegram_bot_token is None or settings.telegram_chat_id is None:
        return "TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID are not set"
    name, _, result = unit.partition(":")
    return tell_owner(
        settings, failure_text(name, result, os.environ, socket.gethostname(), _health(env_file))
    )


def chat_settings(env_file: Path) -> Settings:
    """Settings in which only what concerns Telegram was read. Raises ConfigError."""
    try:
        found = _Telegram(_env_file=env_file)
    except ValidationError as error:
        raise ConfigError(f"the settings of Telegram cannot be read ({error.error_count()} wrong)") from None
    return Settings.model_construct(
        telegram_bot_token=found.telegram_bot_token,
        telegram_chat_id=found.telegram_chat_id,
        telegram_base_url=found.telegram_base_url,
    )


def told_at_its_stop(unit: str, told: Mapping[str, str]) -> bool:
    """Whether the same end was told when the daemon stopped, or needs no telling (another holds the lock):
    systemd from 254 on has OnFailure= speak also of what it starts again. ``told`` are systemd's variables.
    """
    result, status = told.get("MONITOR_SERVICE_RESULT", ""), told.get("MONITOR_EXIT_STATUS", "")
    ran = result == "exit-code" and status.isdigit() and int(status) < SYSTEMDS_OWN
    return unit == DAEMON and (result in AT_EACH_STOP or (ran and status not in GIVEN_UP))


def failure_text(unit: str, result: str, told: Mapping[str, str], host: str, health: str) -> str:
    """``result`` is given for a daemon that is started again; else ``told``, the variables of systemd from
    251 on, may say how the unit ended. Pure."""
    again = bool(result)
    result = result or told.get("MONITOR_SERVICE_RESULT", "")
    status = told.get("MONITOR_EXIT_STATUS", "") if result == "exit-code" else ""
    how = f" ({' '.join(filter(None, (result, status)))})" if result else ""
    journal = f"Look: journalctl -u {unit.removesuffix('.service')} -n 50"
    head = f"{unit} failed{how} on {host}."
    if unit == DAEMON and again:
        return (
            f"{head} systemd starts it again; until it runs open positions are watched by nobody, and "
            f"{CLOSE}. Now: {health}. {journal}"
        )
    if unit == DAEMON:
        why = GIVEN_UP.get(status, "what is wrong is in the journal")
        return (
            f"{head} It does not run: {why}. Open positions are watched by nobody until it runs; {CLOSE}. "
            f"{journal}"
        )
    if unit == BACKUP:
        return f"{head} Trading is not affected; the last good backup stays. {journal}"
    return f"{head} Now: {health}. {journal}"


def _health(env_file: Path) -> str:
    try:
        host, port = health_check.address(env_file)
    except ValueError as error:
        return f"the settings do not tell the daemon's address ({error})"
    return health_check.check(host, port, SystemClock().now()).line
