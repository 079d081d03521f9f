"""Logging for the daemon: one line an event, UTC, and never a secret.

Lines go to standard error, which systemd keeps, and where asked for into a file that turns over by size.
The file is written by a thread of its own: a disk that hangs holds up no lane, and what does not fit
meanwhile is dropped.
"""

import atexit
import copy
import json
import logging
import os
import queue
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TextIO

from wsb_snake.core.redaction import Redactor

WAITING_LINES = 10_000
"""Lines that may wait for the disk."""

QUIET = ("httpx", "httpcore", "urllib3", "websockets", "alpaca", "telegram", "apscheduler", "waitress")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of ``megabytes`` at most and ``kept`` older ones beside it (``.1`` is the newest)."""

    path: Path
    megabytes: int
    kept: int


class RedactingFormatter(logging.Formatter):
    """Formats in UTC and replaces every secret in the finished text, tracebacks included."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._redact = Redactor(secrets)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class JsonFormatter(RedactingFormatter):
    """One JSON object a line, a traceback within it; times to the millisecond."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = self.formatStack(record.stack_info)
        return json.dumps({name: self._redact(str(value)) for name, value in told.items()})


class _Stream(logging.StreamHandler[TextIO]):
    """Standard error. What cannot be formatted is said without its arguments, which may be secret."""

    def handleError(self, record: logging.LogRecord) -> None:
        _lost(record)


class _Rotating(RotatingFileHandler):
    """The file, for its owner alone."""

    def _open(self) -> TextIO:  # type: ignore[override]
        fd = os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        return os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:
        """The disk refuses: standard error has the line."""


class _Lines(QueueHandler):
    """Hands finished lines over to the thread that writes the file."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        done = copy.copy(record)
        done.msg, done.args = self.format(record), None
        done.exc_info = done.exc_text = done.stack_info = None
        return done

    def handleError(self, record: logging.LogRecord) -> None:
        """The queue is full: standard error has the line."""


def set_up(
    secrets: tuple[str, ...],
    level: int = logging.INFO,
    *,
    as_json: bool = False,
    file: LogFile | None = None,
) -> None:
    """Log to standard error, and into ``file``, from ``level`` up; vendors' clients from WARNING up.

    What ends a thread or the process unforeseen is logged too, so that no traceback passes by the
    redaction. A file that cannot be opened is told of and left out.
    """
    formatter = JsonFormatter(secrets) if as_json else RedactingFormatter(secrets)
    stream = _Stream(sys.stderr)
    stream.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[stream], force=True)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _ended
    threading.excepthook = _thread_ended
    if file is not None:
        _add_file(file, formatter)


def _add_file(file: LogFile, formatter: logging.Formatter) -> None:
    try:
        file.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = _Rotating(
            file.path, maxBytes=file.megabytes * 1_000_000, backupCount=file.kept, encoding="utf-8"
        )
    except OSError as error:
        log.error("no log file: %s: %s", file.path, error.strerror)
        return
    lines: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_LINES)
    handler = _Lines(lines)
    handler.setFormatter(formatter)
    listener = QueueListener(lines, written)
    listener.start()
    logging.getLogger().addHandler(handler)
    atexit.register(listener.stop)


def _lost(record: logging.LogRecord) -> None:
    try:
        sys.stderr.write(f"a line of {record.name} could not be logged ({record.filename}:{record.lineno})\n")
    except (OSError, ValueError):  # nobody listens any more
        return


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("the process ends by an error", exc_info=(kind, error, trace))


def _thread_ended(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        name = "unknown" if told.thread is None else told.thread.name
        log.critical("thread %s ended by an error", name, exc_info=told.exc_value)
