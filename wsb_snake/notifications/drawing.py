"""Has a child process draw the day, so that the daemon never loads a plotting library."""

import json
import logging
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from wsb_snake.config import PROJECT_ROOT
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_text

PROGRAM = (sys.executable, "-m", "wsb_snake.notifications.chart")
PATIENCE_S = 60.0
PNG = b"\x89PNG\r\n\x1a\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """The running net result of ``session``, and the net results of the last days; the oldest comes first."""

    session: Session
    title: str
    curve: tuple[tuple[datetime, Decimal], ...]
    days: tuple[tuple[date, Decimal], ...]

    def to_json(self) -> str:
        """Times US/Eastern without offset, money as text."""
        return json.dumps(
            {
                "title": self.title,
                "hours": [eastern_text(self.session.open), eastern_text(self.session.close)],
                "curve": [[eastern_text(at), str(total)] for at, total in self.curve],
                "days": [[day.isoformat(), str(net)] for day, net in self.days],
            }
        )


def png_of(picture: Picture, program: tuple[str, ...] = PROGRAM) -> bytes | None:
    """The picture, or None where it could not be drawn; takes PATIENCE_S at most.

    The child gets no secret: neither the environment of the daemon nor its database.
    """
    with tempfile.TemporaryDirectory(prefix="wsb-snake-chart-") as folder:
        try:
            done = subprocess.run(
                program,
                input=picture.to_json().encode(),
                capture_output=True,
                timeout=PATIENCE_S,
                check=True,
                env={
                    "PYTHONPATH": str(PROJECT_ROOT),
                    "MPLCONFIGDIR": folder,
                    "MPLBACKEND": "Agg",
                    "HOME": folder,
                },
            )
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("the day could not be drawn: %s", type(error).__name__)
            return None
    return done.stdout if done.stdout.startswith(PNG) else None
