"""A campaign in words."""

from datetime import UTC, datetime

from wsb_snake.backtest.campaign.day import DayReport
from wsb_snake.backtest.campaign.tally import Tally
from wsb_snake.backtest.campaign.violation import Promise, Violation
from wsb_snake.backtest.campaign.words import summary, violations


def test_a_violation_says_where_it_was_found() -> None:
    report = DayReport(3, 17, False)
    at = datetime(2026, 11, 24, 19, 5, 6, tzinfo=UTC)
    report.violations = [Violation(Promise.NEVER_SHORT, 99, at, "-1 SPY")]
    assert list(violations(report)) == [f"seed 3 day 17 step 99 19:05:06 UTC {Promise.NEVER_SHORT}: -1 SPY"]


def test_the_summary_names_what_a_reader_must_know() -> None:
    tally = Tally("all", crashing=True)
    tally.add(DayReport(3, 0, False, order_list_hash="x"))
    result = {
        "seed": 3,
        "faults": "all",
        **tally.as_json(),
        "violation_files": ["violation-3-0.json"],
        "days_per_second_per_core": 0.5,
        "python_loops_per_second": 9.0,
    }
    text = summary(result)
    assert text.startswith("1 days (0 below the vendors' clients), seed 3, faults all: 0 violations")
    assert "too weak: 0.0 positions a day" in text
    assert text.endswith("replay with: campaign --replay violation-3-0.json")
