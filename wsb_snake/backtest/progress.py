"""How far a driven day is, on standard error."""

import sys

from wsb_snake.core.clock import eastern
from wsb_snake.core.health import Facts


class DayProgress:
    """One line that a person can follow: rewritten in a terminal, every half hour elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._shown = ""

    def show(self, facts: Facts) -> None:
        wall = eastern(facts.now)
        if not self._live and wall.minute % 30 != 0:
            return
        pnl = facts.day_pnl if facts.day_pnl is not None else 0
        line = (
            f"{wall:%H:%M} ET  positions {len(facts.positions)}  P&L ${pnl:+.2f}  "
            f"{'paused  ' if facts.trading_paused else ''}{facts.last_event}"
        )
        if line != self._shown:
            sys.stderr.write(f"\r{line:<100}" if self._live else f"{line}\n")
            sys.stderr.flush()
        self._shown = line

    def end(self) -> None:
        if self._live and self._shown:
            sys.stderr.write("\n")
