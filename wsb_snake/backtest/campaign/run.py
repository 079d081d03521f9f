"""A whole campaign: many days on all cores, a file for each day that broke a promise, and its replay."""

import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from wsb_snake.backtest.campaign.day import DayPlan, DayReport, run_campaign_day
from wsb_snake.backtest.campaign.tally import Tally
from wsb_snake.core.clock import SystemClock
from wsb_snake.sim.fault_plan import PROFILES

DRILL_DAY = date(2026, 11, 24)
LOOP_STEPS = 2_000_000
"""A fixed piece of Python, timed in the same run: it tells how fast this machine was."""


class CampaignError(Exception):
    """The campaign cannot be run as asked; the text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """``days`` days from ``seed`` under the faults of ``profile``. ``jobs`` processes share them."""

    days: int
    seed: int
    profile: str
    crashes: bool
    engines: bool = False
    jobs: int = 0
    folder: Path = Path()

    def plans(self) -> list[DayPlan]:
        """Raises CampaignError for a profile that does not exist."""
        if self.profile not in PROFILES:
            raise CampaignError(
                f"there are no faults called {self.profile!r}; choose one of {', '.join(PROFILES)}"
            )
        return [
            DayPlan(DRILL_DAY, self.seed, number, self.profile, self.crashes, self.engines)
            for number in range(self.days)
        ]


def run_campaign(campaign: Campaign, progress: Callable[[Tally, DayReport], None]) -> dict[str, object]:
    """Run every day; what it came to as JSON values. Raises CampaignError."""
    plans = campaign.plans()
    jobs = campaign.jobs or os.cpu_count() or 1
    clock = SystemClock()
    began = clock.monotonic()
    tally = Tally(campaign.profile, campaign.crashes, campaign.engines)
    files = []
    for plan, report in zip(plans, _reports(plans, jobs), strict=True):
        tally.add(report)
        if report.violations:
            files.append(str(write_violations(plan, report, campaign.folder)))
        progress(tally, report)
    seconds = clock.monotonic() - began
    return {
        "seed": campaign.seed,
        "faults": campaign.profile,
        **tally.as_json(),
        "violation_files": files,
        "wall_seconds": round(seconds, 1),
        "jobs": jobs,
        "days_per_second_per_core": round(len(plans) / seconds / jobs, 3),
        "python_loops_per_second": round(_loops_per_second(clock), 2),
    }


def hush() -> None:
    """Thousands of injected failures are no news."""
    logging.disable(logging.ERROR)


def _reports(plans: list[DayPlan], jobs: int) -> Iterator[DayReport]:
    if jobs == 1:
        yield from map(run_campaign_day, plans)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=hush) as pool:
        yield from pool.map(run_campaign_day, plans, chunksize=1)


def write_violations(plan: DayPlan, report: DayReport, folder: Path) -> Path:
    """A file from which ``replay`` runs the day again."""
    path = folder / f"violation-{plan.seed}-{plan.number}.json"
    content = {
        "plan": asdict(plan),
        "violations": [
            {"promise": v.promise, "step": v.step, "at": v.at, "text": v.text} for v in report.violations
        ],
    }
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
    return path


def replay(path: Path) -> DayReport:
    """The day of a violation's file once more. Raises CampaignError for a file that is none."""
    try:
        plan = json.loads(path.read_text())["plan"]
        plan["day"] = date.fromisoformat(plan["day"])
        return run_campaign_day(DayPlan(**plan))
    except OSError as error:
        raise CampaignError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, LookupError, TypeError):
        raise CampaignError(f"{path} is no violation's file; take one that a campaign has written") from None


def _loops_per_second(clock: SystemClock) -> float:
    """How often a second a fixed loop of two million additions runs here."""
    began = clock.monotonic()
    total = 0
    for step in range(LOOP_STEPS):
        total += step
    return 1 / (clock.monotonic() - began)
