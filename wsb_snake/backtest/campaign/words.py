"""A campaign in words: one line of progress, a short summary, and each violation as a line."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from wsb_snake.backtest.campaign.day import DayReport
from wsb_snake.backtest.campaign.tally import Tally
from wsb_snake.core.clock import SystemClock

EVERY_DAYS = 50
"""Where nobody looks at a terminal, a line for so many days."""


class Progress:
    """Rewrites one line in a terminal, writes one now and then elsewhere."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._clock = SystemClock()
        self._began = self._clock.monotonic()
        self._live = sys.stderr.isatty()

    def show(self, tally: Tally, report: DayReport) -> None:
        for line in violations(report):
            sys.stderr.write(f"{line}\n")
        if not self._live and tally.days % EVERY_DAYS and tally.days != self._days:
            return
        rate = tally.days / max(0.001, self._clock.monotonic() - self._began)
        line = (
            f"day {tally.days} of {self._days}, {tally.violations} violations, "
            f"{tally.faults.total()} faults, {tally.crashes.total()} crashes, {rate:.2f} days/s"
        )
        sys.stderr.write(f"\r{line:<100}" if self._live else f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._live:
            sys.stderr.write("\n")


def violations(report: DayReport) -> Iterator[str]:
    """Where each was found, and what was broken."""
    for found in report.violations:
        place = f"seed {report.seed} day {report.number} step {found.step} {found.at:%H:%M:%S} UTC"
        yield f"{place} {found.promise}: {found.text}"


def summary(result: Mapping[str, Any]) -> str:
    """The campaign for a person."""
    averages = ", ".join(f"{value} {name}" for name, value in result["averages"].items())
    lines = [
        f"{result['days']} days ({result['wire_days']} below the vendors' clients), seed {result['seed']}, "
        f"faults {result['faults']}: {result['violations']} violations",
        f"a day: {averages}; {result['busy_share']:.0%} of the faults found something in flight",
        f"excused days {result['excused_days']}: {result['excused_by_reason'] or 'none'}",
        "checked: " + ", ".join(f"{name} {count}" for name, count in result["checked"].items()),
        f"{result['days_per_second_per_core']} days per second and core; a loop of two million additions "
        f"runs {result['python_loops_per_second']} times a second here",
        f"result {result['result_hash'][:16]}",
    ]
    lines += [f"too weak: {reason}" for reason in result["shortcomings"]]
    lines += [f"replay with: campaign --replay {path}" for path in result["violation_files"]]
    return "\n".join(lines)
