"""The last lines of the log, kept in memory for whoever has no shell at hand."""

import logging
from collections import deque

from wsb_snake.core.logs import RedactingFormatter

KEPT = 200
LONGEST = 300
"""Characters of a line that are kept."""


class LogTail(logging.Handler):
    """Keeps the last lines; ``secrets`` are never in them."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(RedactingFormatter(secrets))
        self._lines: deque[str] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._lines.append(line[:LONGEST])

    def last(self, count: int) -> list[str]:
        """The last ``count`` lines, the oldest first."""
        return list(self._lines)[-count:]
