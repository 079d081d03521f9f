"""What ``script/check_health.sh`` says to cron: one line, and an exit code as Nagios has them.

0 all is well (or no session today: quiet), 1 degraded, 2 unhealthy or no answer or EOD missing, 3 what
answers is not the daemon.
"""

import http.client
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import EASTERN, SystemClock, eastern

OK, DEGRADED, UNHEALTHY, UNKNOWN = 0, 1, 2, 3
TIMEOUT_S = 10.0
HOST, PORT = "127.0.0.1", "8080"
PLAIN_HOSTS = frozenset({HOST, "localhost"})
PLAIN_PORT = re.compile("[1-9][0-9]{0,3}|[1-5][0-9]{4}")
PROJECT_ROOT = Path(__file__).resolve().parents[2]


class NoAnswer(Exception):
    """Nobody answers; the text says how."""


class Garbage(Exception):
    """What answers is not the daemon."""


@dataclass(frozen=True, slots=True)
class Verdict:
    code: int
    line: str


def judge(
    health: Mapping[str, Any], status: Mapping[str, Any], now: datetime, *, hush: bool = True
) -> Verdict:
    """The verdict on the bodies of ``/health`` and ``/api/status``; ``now`` is aware. Pure.

    ``status`` may be empty, when only ``/health`` answered. Without ``hush`` a day without session counts
    like any other. Raises LookupError, TypeError and ValueError for bodies that the daemon does not write.
    """
    word = str(health["status"])
    told_at = _eastern(status["now_et"]) if "now_et" in status else eastern(now)
    session = status.get("session") if status else _session(told_at)
    what = _summary(health, status)
    if session is None and hush:
        return Verdict(OK, f"quiet, no session today ({word}): {what}")
    if session is not None:
        closed = told_at >= _eastern(session["close_et"])
        last_run = str(health["last_eod_run_et"] or "never")
        if closed and last_run[:10] != session["day"] and not _is_new(health, session, told_at):
            return Verdict(UNHEALTHY, f"EOD did NOT run today, last run {last_run}: {what}")
    code = {"healthy": OK, "degraded": DEGRADED, "unhealthy": UNHEALTHY}[word]
    return Verdict(code, f"{word}: {what}")


def _is_new(health: Mapping[str, Any], session: Mapping[str, Any], now: datetime) -> bool:
    """Whether the daemon ran for the first time after the session's close, so that it missed no EOD close."""
    began = now - timedelta(seconds=float(health["uptime_s"]))
    return health["last_eod_run_et"] is None and began >= _eastern(session["close_et"])


def unreachable(why: str, now: datetime) -> Verdict:
    """Nobody answers: trouble on a session day, quiet on others. ``now`` is aware."""
    if _session(eastern(now)) is None:
        return Verdict(OK, f"quiet, no session today: {why}")
    return Verdict(UNHEALTHY, f"UNREACHABLE: {why}")


def check(host: str, port: int, now: datetime, *, hush: bool = True) -> Verdict:
    """Ask the daemon at ``host``:``port``; ``hush`` as in ``judge``."""
    try:
        health = _get(host, port, "/health")
        status = _get(host, port, "/api/status")
        return judge(health, status, now, hush=hush)
    except NoAnswer as error:
        return unreachable(str(error), now)
    except (Garbage, LookupError, TypeError, ValueError) as error:
        return Verdict(UNKNOWN, f"UNKNOWN: what answers on {host}:{port} is not the daemon ({error})")


def address(env_file: Path) -> tuple[str, int]:
    """Host and port as the daemon has them: the environment wins over ``env_file``. Raises ValueError.

    Plain values are taken as they are; anything else is left to ``config``, whose import takes longer
    than the rest of the check.
    """
    readable = os.access(env_file, os.R_OK)  # it is the daemon's, and cron may be somebody else's
    told = {name.upper(): text for name, text in _file(env_file if readable else None).items()}
    told |= {name.upper(): text for name, text in os.environ.items()}
    host, port = told.get("WSB_SNAKE_HTTP_HOST", HOST), told.get("WSB_SNAKE_HTTP_PORT", PORT)
    if host in PLAIN_HOSTS and PLAIN_PORT.fullmatch(port):
        return host, int(port)
    return _as_the_daemon(env_file if readable else None)


def main() -> int:
    try:
        host, port = address(settings_file())
    except ValueError as error:
        verdict = Verdict(UNKNOWN, f"UNKNOWN: the settings do not tell the daemon's address ({error})")
    else:
        verdict = check(host, port, SystemClock().now())
    sys.stdout.write(f"wsb-snake {verdict.line}\n")
    return verdict.code


def _summary(health: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    reasons = [str(reason) for reason in status.get("reasons") or ()]
    if not reasons:
        reasons = [f"paused ({reason})" for reason in health["pause_reasons"]]
    facts = [
        f"{health['mode']}, {health['open_positions']} open",
        f"last EOD {health['last_eod_run_et'] or 'never'}",
    ]
    return " ".join("; ".join([*reasons, *facts]).split())


def _session(wall: datetime) -> dict[str, str] | None:
    """The session of the day of ``wall`` by the library's calendar."""
    session = MarketCalendar().session(wall.date())
    if session is None:
        return None
    return {"day": session.day.isoformat(), "close_et": f"{eastern(session.close):%Y-%m-%dT%H:%M:%S}"}


def _eastern(text: str) -> datetime:
    return EASTERN.localize(datetime.fromisoformat(text))


def _get(host: str, port: int, path: str) -> dict[str, Any]:
    """Raises NoAnswer and Garbage."""
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)) as link:
            link.request("GET", path)
            answer = link.getresponse()
            code, body = answer.status, answer.read(1_000_000)
    except (OSError, http.client.HTTPException) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        raise NoAnswer(f"no daemon answers on {host}:{port} ({why})") from None
    try:
        told = json.loads(body)
    except ValueError:
        raise Garbage(f"{path} gives no JSON") from None
    if code not in {200, 503} or not isinstance(told, dict):
        raise Garbage(f"{path} gives status {code}")
    return told


def settings_file() -> Path:
    """As ``config.settings_file``, without the half second of importing it each minute."""
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", PROJECT_ROOT)) / "wsb-snake.env"
    return handed if handed.is_file() else PROJECT_ROOT / ".env"


def _file(env_file: Path | None) -> dict[str, str]:
    """By the library that reads it for the daemon; a name without a value is none. Raises ValueError."""
    pairs = {} if env_file is None else dotenv_values(env_file)
    return {name: text for name, text in pairs.items() if text is not None}


def _as_the_daemon(env_file: Path | None) -> tuple[str, int]:
    """Raises ValueError."""
    from wsb_snake.config import ConfigError, load  # half a second, for what is not plain only

    try:
        settings = load(env_file)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return settings.wsb_snake_http_host, settings.wsb_snake_http_port


if __name__ == "__main__":
    sys.exit(main())
