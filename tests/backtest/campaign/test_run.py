"""Whole campaigns: a short one in each run of the tests, long ones under ``slow``; files and their replay."""

import json
import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from tests.backtest.campaign.hunt import plan
from tests.backtest.campaign.planted import entries_go_on_any_quote
from wsb_snake.backtest.campaign import day as day_module
from wsb_snake.backtest.campaign.day import DayReport, run_campaign_day
from wsb_snake.backtest.campaign.run import Campaign, CampaignError, replay, run_campaign, write_violations
from wsb_snake.backtest.campaign.tally import Tally
from wsb_snake.backtest.campaign.violation import Violation
from wsb_snake.backtest.campaign.words import violations
from wsb_snake.sim.fault_plan import PROFILES

FIXED_SEED = 1
DAYS, LONG_DAYS = 2, 200


class Told:
    """Keeps what a campaign tells on its way."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.numbers: list[int] = []

    def __call__(self, tally: Tally, report: DayReport) -> None:
        self.found += violations(report)
        self.numbers.append(report.number)


def clean(campaign: Campaign) -> dict[str, object]:
    """What the campaign came to; fails with seed, day and step of every violation."""
    told = Told()
    result = run_campaign(campaign, told)
    assert told.found == [], f"seed {campaign.seed}: {told.found}"
    assert told.numbers == list(range(campaign.days))
    assert result["violations"] == 0
    return result


# campaigns


def test_a_short_campaign(tmp_path: Path) -> None:
    clean(Campaign(DAYS, FIXED_SEED, "all", crashes=True, jobs=2, folder=tmp_path))


def test_a_short_campaign_with_a_fresh_seed(tmp_path: Path) -> None:
    clean(Campaign(1, secrets.randbelow(10**6), "all", crashes=True, jobs=1, folder=tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_long_campaign(tmp_path: Path) -> None:
    result = clean(Campaign(LONG_DAYS, FIXED_SEED, "all", crashes=True, folder=tmp_path))
    assert result["shortcomings"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("profile", sorted(PROFILES.keys() - {"all"}))
def test_a_campaign_of_one_kind_of_fault(profile: str, tmp_path: Path) -> None:
    clean(Campaign(2, FIXED_SEED, profile, crashes=profile == "house", jobs=2, folder=tmp_path))


def test_a_profile_that_does_not_exist() -> None:
    with pytest.raises(CampaignError, match="no faults called 'some'; choose one of "):
        run_campaign(Campaign(1, 1, "some", crashes=False), Told())


# violations in files


@pytest.fixture
def short_and_wrong(monkeypatch: MonkeyPatch) -> None:
    """A daemon that buys on stale quotes, and days that end in the morning."""
    monkeypatch.setattr(day_module, "ENDS_AFTER_CLOSE", -timedelta(hours=5))
    entries_go_on_any_quote(monkeypatch)


def without_end(found: list[Violation]) -> list[Violation]:
    return [violation for violation in found if violation.promise.name == "NO_ENTRY_WHEN_FORBIDDEN"]


def test_a_violation_comes_again_at_the_same_step(short_and_wrong: None, tmp_path: Path) -> None:
    asked, report = next(
        (asked, report)
        for asked in (plan(FIXED_SEED, number) for number in range(4))
        if without_end((report := run_campaign_day(asked)).violations)
    )
    path = write_violations(asked, report, tmp_path)
    told = json.loads(path.read_text())["violations"]
    assert [(v["promise"], v["step"]) for v in told] == [(v.promise, v.step) for v in report.violations]
    again = replay(path)
    assert again.violations == report.violations
    assert (again.seed, again.number) == (asked.seed, asked.number)


def test_a_campaign_names_the_files_of_its_violations(short_and_wrong: None, tmp_path: Path) -> None:
    told = Told()
    result = run_campaign(Campaign(1, FIXED_SEED, "all", crashes=False, jobs=1, folder=tmp_path), told)
    path = tmp_path / f"violation-{FIXED_SEED}-0.json"
    assert result["violation_files"] == [str(path)]
    assert path.exists()
    assert told.found[0].startswith(f"seed {FIXED_SEED} day 0 step ")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot be read"):
        replay(tmp_path / "nothing.json")
    for number, text in enumerate(("", "[]", '{"plan": {"day": "2026-11-24"}}', '{"plan": {}}')):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        with pytest.raises(CampaignError, match="no violation's file"):
            replay(path)
