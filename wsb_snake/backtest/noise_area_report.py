"""The noise-area rule beside its published monthly returns: the comparison and its table."""

import math
from calendar import monthrange
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from wsb_snake.backtest.noise_area import Day, run
from wsb_snake.backtest.noise_area_files import (
    FileError,
    Month,
    Published,
    read_bars,
    read_dividends,
    read_published,
)
from wsb_snake.core.calendar import MarketCalendar

LEAST_CORRELATION = 0.98
MOST_ERROR = 0.5  # percentage points, mean over the months
MOST_YEAR_ERROR = 2.0  # percentage points
LEAST_MONTHS = 3  # fewer have no correlation worth the name


@dataclass(frozen=True, slots=True)
class Compared:
    """Returns of one month or year in percent."""

    published: float
    ours: float

    @property
    def difference(self) -> float:
        """Percentage points."""
        return self.ours - self.published


@dataclass(frozen=True, slots=True)
class Report:
    """``months`` and ``years`` are whole ones, in order; ``entries`` counts positions opened."""

    months: Mapping[Month, Compared]
    years: Mapping[int, Compared]
    sessions: int
    entries: int
    correlation: float
    mean_absolute_error: float  # percentage points a month

    @property
    def reproduced(self) -> bool:
        """Whether the rule is the published one, as far as these returns can tell."""
        return (
            self.correlation >= LEAST_CORRELATION
            and self.mean_absolute_error <= MOST_ERROR
            and all(abs(each.difference) <= MOST_YEAR_ERROR for each in self.years.values())
        )

    def as_json(self) -> dict[str, object]:
        return {
            "months": {f"{year}-{month:02d}": _row(each) for (year, month), each in self.months.items()},
            "years": {str(year): _row(each) for year, each in self.years.items()},
            "correlation": round(self.correlation, 4),
            "mean_absolute_error": round(self.mean_absolute_error, 3),
            "sessions": self.sessions,
            "entries": self.entries,
            "reproduced": self.reproduced,
        }


def reproduce(bars: Path, published: Path, dividends: Path) -> Report:
    """Trade the rule on the file ``bars`` and compare. Raises FileError for files that cannot be used."""
    returns, paid = read_published(published), read_dividends(dividends)
    return compare(run(read_bars(bars), paid), returns)


def compare(days: Sequence[Day], published: Published) -> Report:
    """``days`` beside the published months and years that they cover wholly.

    Raises FileError when those are too few.
    """
    ends = {_month(day): day.equity for day in days}
    before = dict(zip(list(ends)[1:], ends.values(), strict=False))
    traded = [day for day in days if day.traded]
    count = Counter(_month(day) for day in traded)
    months = {
        month: Compared(published.months[month], (ends[month] / before[month] - 1) * 100)
        for month in before
        if month in published.months and count[month] == _sessions_in(month)
    }
    if len(months) < LEAST_MONTHS:
        raise FileError(f"the bars cover {len(months)} published months wholly, {LEAST_MONTHS} are needed")
    whole = [year for year, held in Counter(year for year, _ in months).items() if held == 12]
    years = {
        year: Compared(published.years[year], (ends[year, 12] / before[year, 1] - 1) * 100)
        for year in whole
        if year in published.years
    }
    errors = [abs(each.difference) for each in months.values()]
    return Report(
        months,
        years,
        sessions=len(traded),
        entries=sum(day.entries for day in traded),
        correlation=_correlation(list(months.values())),
        mean_absolute_error=math.fsum(errors) / len(errors),
    )


def table(report: Report) -> str:
    """The comparison for a person: returns in percent, differences in percentage points."""
    rows = {f"{year}-{month:02d}": each for (year, month), each in report.months.items()}
    rows |= {str(year): each for year, each in report.years.items()}
    lines = [f"{'':<9}{'published':>9}{'ours':>9}{'difference':>12}"]
    lines += [
        f"{name:<9}{each.published:>9.1f}{each.ours:>9.2f}{each.difference:>+12.2f}"
        for name, each in rows.items()
    ]
    verdict = "reproduced" if report.reproduced else "NOT reproduced"
    lines += [
        "",
        f"correlation of monthly returns {report.correlation:.4f}, at least {LEAST_CORRELATION}",
        f"mean absolute error {report.mean_absolute_error:.2f} points a month, at most {MOST_ERROR}",
        f"difference of a year at most {MOST_YEAR_ERROR} points",
        f"{report.sessions} sessions, {report.entries} entries: the published returns are {verdict}",
    ]
    return "\n".join(lines)


def _row(each: Compared) -> dict[str, float]:
    return {
        "published": each.published,
        "ours": round(each.ours, 3),
        "difference": round(each.difference, 3),
    }


def _month(day: Day) -> Month:
    return day.day.year, day.day.month


def _sessions_in(month: Month) -> int:
    calendar = MarketCalendar()
    year, number = month
    days = (date(year, number, day) for day in range(1, monthrange(year, number)[1] + 1))
    return sum(calendar.session(day) is not None for day in days)


def _correlation(rows: Sequence[Compared]) -> float:
    """Pearson's; 0 where one side does not move."""
    published = _deviations([each.published for each in rows])
    ours = _deviations([each.ours for each in rows])
    together = math.fsum(one * other for one, other in zip(published, ours, strict=True))
    size = math.hypot(*published) * math.hypot(*ours)
    return together / size if size > 0 else 0.0


def _deviations(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]
