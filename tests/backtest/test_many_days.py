"""Many days and their sum: who acted, what it came to, and that every day kept its promises."""

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from tests.backtest.test_summary import TRADES, day
from wsb_snake.backtest.driver import DEMO_DAY, DriverError
from wsb_snake.backtest.family_days import FamilyDay
from wsb_snake.backtest.limit_check import LimitCheck
from wsb_snake.backtest.many_days import ENGINES, ManyDays, plans, run_days, table
from wsb_snake.cli import main
from wsb_snake.engines.setup_families import Family
from wsb_snake.sim.recorded import DataError, recorded_days

SEEDS = 20
RECORDED_DAYS = 9
CHECKED = LimitCheck(3, 2)


@cache
def seeded(first: int, last: int) -> ManyDays:
    return run_days(plans(range(first, last + 1), None, None, False, "port"))


def made_up(families: tuple[FamilyDay, ...] = (), limits: LimitCheck = CHECKED) -> ManyDays:
    return ManyDays(tuple((seed, replace(day(TRADES), families=families, limits=limits)) for seed in (1, 2)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_days_add_up_and_keep_every_promise() -> None:
    told: list[str] = []
    result = run_days(plans((1, 2), None, None, False, "port"), told.append)
    assert result.ok
    assert result.flat == 2
    assert [line.split()[:3] for line in told] == [["1", "of", "2"], ["2", "of", "2"]]
    rows = {row.engine: row for row in result.engines}
    assert rows["spy_scalper"].trades
    assert rows["institutional_scalper"].trades
    for name, row in rows.items():
        its = [each for _, one in result.days for each in one.engines if each.engine == name]
        assert row.net == sum(each.net for each in its)
        assert row.net == row.gross - row.fees
    entered = sum(row.entered for name, row in rows.items() if name != "adopted")
    assert sum(one.limits.entries for _, one in result.days) >= entered > 0


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_over_twenty_days_every_engine_acts_and_every_family_lives() -> None:
    result = seeded(1, SEEDS)
    assert result.ok, table(result)
    assert result.flat == SEEDS
    assert result.breaches == ()
    assert result.silent == ()
    assert {row.engine for row in result.engines} >= set(ENGINES)
    assert {each.total.family for each in result.families if each.days} == set(Family)
    assert "SPY" in result.too_dear or "QQQ" in result.too_dear


def test_the_sum_counts_days_on_which_a_family_lived() -> None:
    pin = FamilyDay(Family.STRIKE_MAGNET_BREAK, lives=2, signals=1, strikes=0, traded=0)
    watch = FamilyDay(Family.CROWD_IGNITION, lives=0, signals=1, strikes=1, traded=1)
    sums = {each.total.family: each for each in made_up((pin, watch)).families}
    assert (sums[Family.STRIKE_MAGNET_BREAK].days, sums[Family.STRIKE_MAGNET_BREAK].total.lives) == (2, 4)
    assert (sums[Family.CROWD_IGNITION].days, sums[Family.CROWD_IGNITION].total.traded) == (0, 2)
    assert sums[Family.END_OF_DAY_SNAP].days == 0


def test_who_never_acted_is_named() -> None:
    result = made_up()
    assert "momentum_engine" in result.silent
    assert "leaps_engine" not in result.silent
    assert Family.FALSE_BREAK_TRAP in result.silent
    assert "Never acted or lived: institutional_scalper, momentum_engine" in table(result)


def test_the_table_has_each_engine_once_over_all_days() -> None:
    lines = table(made_up()).splitlines()
    (scalper,) = [line for line in lines if line.startswith("spy_scalper")]
    assert scalper.split() == ["spy_scalper", "4", "4", "50%", "+20.00", "10.40", "+9.60"]
    assert "Limits: 6 entry orders checked (4 also against the day's loss), 0 exceeded one" in lines
    told = made_up().as_json()
    assert (told["entries_checked"], told["entries_checked_by_loss"]) == (6, 4)
    assert "Flat of what expires today, proven by the broker: 2 of 2 days" in lines


def test_seeded_days_say_what_they_do_not_prove() -> None:
    for told in (table(made_up()).splitlines()[-1], str(made_up().as_json()["note"])):
        assert "plays scenes that the setup families look for" in told and told.endswith("act, no edge.")


def test_a_limit_that_was_exceeded_is_told_and_fails() -> None:
    result = made_up(limits=LimitCheck(3, 2, ("wsb-x: positions is 6, the limit 5",)))
    assert not result.ok
    assert "2026-11-24, seed 1: wsb-x: positions is 6, the limit 5" in table(result)
    assert result.as_json()["limit_breaches"] == list(result.breaches)


def test_all_days_are_those_of_the_folder(tmp_path: Path) -> None:
    for name in ("SPY_2026-07-29.csv.gz", "SPY_2026-07-17.csv.gz", "README.md"):
        (tmp_path / name).touch()
    assert recorded_days(tmp_path) == (date(2026, 7, 17), date(2026, 7, 29))
    wanted = plans((7,), None, tmp_path, True, "port")
    assert [(plan.day, plan.seed, plan.data) for plan in wanted] == [
        (date(2026, 7, 17), 7, tmp_path),
        (date(2026, 7, 29), 7, tmp_path),
    ]


def test_a_folder_without_days_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recorded days"):
        recorded_days(tmp_path)
    (tmp_path / "SPY_2026-13-40.csv.gz").touch()
    with pytest.raises(DataError, match="no day"):
        recorded_days(tmp_path)


def test_all_days_without_data_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DriverError, match="--all-days goes with --data"):
        plans((7,), None, None, True, "port")
    assert main(["demo", "--all-days"]) == 2
    assert capsys.readouterr().err == "wsb-snake: --all-days goes with --data and without --date\n"


def test_seeds_are_a_range(capsys: pytest.CaptureFixture[str]) -> None:
    assert [plan.day for plan in plans(range(1, 3), None, None, False, "port")] == [DEMO_DAY] * 2
    with pytest.raises(SystemExit):
        main(["demo", "--seeds", "20-1"])
    assert "is not a range such as 1-20" in capsys.readouterr().err


@pytest.mark.timeout(900)
def test_a_recorded_day_says_what_it_does_not_prove(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "spy_0dte_chains"
    wanted = plans((7,), None, folder, True, "port")
    assert len(wanted) == RECORDED_DAYS
    result = run_days(wanted[:1])
    assert result.ok
    said = table(result).splitlines()[-1]
    assert "which flatters what trades on bars" in said
    assert said.endswith("this proves fills and arithmetic, no edge.")
    assert result.as_json()["synthetic_bars"] is True
