"""Logging for the daemon: one line an event, UTC, and never a secret."""

import logging
import sys
from datetime import UTC, datetime
from urllib.parse import quote


class RedactingFormatter(logging.Formatter):
    """Formats in UTC and replaces every secret in the finished text, tracebacks included,
    also as a URL would quote it."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
        self._secrets = tuple(sorted(forms, key=len, reverse=True))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def set_up(secrets: tuple[str, ...], level: int = logging.INFO) -> None:
    """Log to standard error from ``level`` up; vendors' clients from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in (
        "httpx",
        "httpcore",
        "urllib3",
        "websockets",
        "alpaca",
        "telegram",
        "apscheduler",
        "waitress",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
