"""What the doctor looks at on this machine. It reads only: the daemon may run meanwhile."""

import os
import shutil
import socket
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from wsb_snake.config import Settings
from wsb_snake.core.clock import SystemClock
from wsb_snake.db.meta import read_stamp
from wsb_snake.doctor import judging
from wsb_snake.doctor.findings import Finding, failure, ok, warning
from wsb_snake.owner import health_check
from wsb_snake.trading.broker import Account, BrokerError
from wsb_snake.trading.pauses import stored

INTEGRITY_S = 20.0
STEPS = 10_000  # of SQLite's machine, between two looks at the clock


class _TooLong(Exception):
    """The check of a large database was given up."""


def examine(settings: Settings, account: Account | BrokerError, now: datetime) -> tuple[Finding, ...]:
    """Disk, database, halt file, port. ``now`` is aware."""
    halt = settings.data_dir / "halt"
    return (
        _place("data", settings.data_dir, "chown it to the daemon's account, or WSB_SNAKE_DATA_DIR"),
        _place("backups", settings.backups, "chown it to the daemon's account, or BACKUP_DIR"),
        _database(settings, account),
        judging.halt_file(halt, exists=halt.exists()),
        *_pauses(settings, now),
        _port(settings, now),
    )


def _place(subject: str, path: Path, fix: str) -> Finding:
    there = next(each for each in (path, *path.parents) if each.exists())
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(there).free
    writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return judging.place(subject, path, free, writable=writable, fix=fix)


def _database(settings: Settings, account: Account | BrokerError) -> Finding:
    path = settings.db_path
    if not path.exists():
        return ok("database", f"{path} will be made at the first start")
    if not os.access(path, os.R_OK | os.W_OK):
        return failure(
            "database", f"{path} cannot be written by this account", "chown it to the daemon's account"
        )
    try:
        with closing(_reader(path)) as conn:
            version = int(conn.execute("PRAGMA user_version").fetchone()[0])
            stamp = read_stamp(conn) if version else None
            problem = _problem(conn)
    except _TooLong:
        return warning(
            "database", f"not checked through within {INTEGRITY_S:.0f} s", "lower WSB_SNAKE_KEEP_DAYS"
        )
    except sqlite3.Error as error:
        return failure(
            "database", f"{path} cannot be read ({error})", "stop the daemon, main.py restore a backup"
        )
    return judging.database(path, version, problem, stamp, account, settings)


def _reader(path: Path) -> sqlite3.Connection:
    # without a log beside it nobody has it open, and even a reader would make one
    live = path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro{'' if live else '&immutable=1'}"
    return sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None)


def _pauses(settings: Settings, now: datetime) -> tuple[Finding, ...]:
    """What stops entries also after a restart; nothing is said of a database that cannot be read."""
    try:
        with closing(_reader(settings.db_path)) as conn:
            return judging.pauses(stored(conn), now)
    except (sqlite3.Error, ValueError):  # none yet, or as its own line says
        return ()


def _problem(conn: sqlite3.Connection) -> str | None:
    """The first complaint of the integrity check. Raises _TooLong and sqlite3.Error."""
    clock = SystemClock()
    ends = clock.monotonic() + INTEGRITY_S
    conn.set_progress_handler(lambda: clock.monotonic() > ends, STEPS)
    try:
        (told,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError:
        if clock.monotonic() > ends:
            raise _TooLong from None
        raise
    return None if told == "ok" else str(told)


def _port(settings: Settings, now: datetime) -> Finding:
    """Whether the daemon answers there, or could."""
    host, port = settings.wsb_snake_http_host, settings.wsb_snake_http_port
    if port == 0:
        return ok("HTTP", "any free port")
    verdict = health_check.check(host, port, now, hush=False)  # /health hushes nothing up either
    if verdict.code == health_check.UNKNOWN:
        return failure("HTTP", f"another program answers on {host}:{port}", "WSB_SNAKE_HTTP_PORT")
    if "no daemon answers" not in verdict.line:
        told = f"the daemon answers on {host}:{port}: {verdict.line}"
        if verdict.code == health_check.OK:
            return ok("HTTP", told)
        level = warning if verdict.code == health_check.DEGRADED else failure
        return level("HTTP", told, "main.py status says more")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            return failure("HTTP", f"{host}:{port} cannot be had ({error.strerror})", "WSB_SNAKE_HTTP_PORT")
    return ok("HTTP", f"{host}:{port} is free: no daemon runs")
