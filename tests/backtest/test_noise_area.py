"""The noise-area rule in shares: its arithmetic by hand, its files, and the published returns."""

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from wsb_snake.backtest.noise_area import Day, ShareRules, run
from wsb_snake.backtest.noise_area_files import (
    FileError,
    Published,
    read_bars,
    read_dividends,
    read_published,
)
from wsb_snake.backtest.noise_area_report import Report, compare, reproduce, table
from wsb_snake.cli import main
from wsb_snake.core.calendar import MarketCalendar, Session
from wsb_snake.core.types import Bar
from wsb_snake.engines.noise_area import BAR

CALENDAR = MarketCalendar()
LAST = date(2024, 12, 18)  # the day that is traded in hand-made histories
EQUITY = ShareRules().equity
HEADER = "volume,open,high,low,close,caldt"


def sessions_until(last: date, count: int) -> list[Session]:
    found: list[Session] = []
    day = last + timedelta(days=1)
    for _ in range(count):
        found.append(CALENDAR.previous_session(day))
        day = found[-1].day
    return found[::-1]


def drawn(session: Session, opened: float, closes: Mapping[int, float], last: float) -> list[Bar]:
    """A session at ``opened``, but in bars ended after so many minutes at ``closes``; ends at ``last``."""
    minutes = (session.close - session.open) // BAR
    bars = []
    for n in range(minutes):
        close = last if n + 1 == minutes else closes.get(n + 1, opened)
        bars.append(Bar("SPY", session.open + n * BAR, opened, opened, opened, close, 1000, opened))
    return bars


def history(step: float, count: int = 15) -> dict[date, list[Bar]]:
    """Sessions before ``LAST`` that close at 100 and 100 + ``step`` in turn, the last at 100.

    Within each day every half hour is ``step`` off the open, so that sigma is ``step`` %.
    """
    past = {}
    for n, session in enumerate(sessions_until(LAST, count + 1)[:-1]):
        close = 100.0 if (count - n) % 2 else 100.0 + step
        half_hours = dict.fromkeys(range(30, 390, 30), 100 + step)
        past[session.day] = drawn(session, 100, half_hours, close)
    return past


def traded(
    closes: Mapping[int, float],
    last: float = 100.0,
    opened: float = 100.0,
    dividends: Mapping[date, float] | None = None,
    step: float = 1.0,
) -> tuple[Day, float]:
    """The day that is traded and what it gained; VWAP is the open all day."""
    session = CALENDAR.session(LAST)
    assert session is not None
    days = run({**history(step), LAST: drawn(session, opened, closes, last)}, dividends or {})
    assert [day.traded for day in days] == [False] * 15 + [True]
    return days[-1], days[-1].equity - EQUITY


def test_in_at_the_half_hour_out_at_the_half_hour_at_their_closes() -> None:
    day, gain = traded({30: 102, 60: 103, 90: 100.5})
    assert day.entries == 1
    assert gain == pytest.approx(day.shares * (100.5 - 102 - 2 * 0.0045))


def test_what_is_held_is_sold_at_the_last_close() -> None:
    day, gain = traded({390 - n: 103 for n in range(0, 391, 30) if n <= 60}, last=104)
    assert (day.entries, gain) == pytest.approx((1, day.shares * (104 - 103 - 2 * 0.0045)))


def test_short_below_the_area() -> None:
    day, gain = traded({30: 98, 60: 97})
    assert (day.entries, gain) == pytest.approx((1, day.shares * (98 - 100 - 2 * 0.0045)))


def test_a_reversal_pays_two_sides_at_once() -> None:
    day, gain = traded({30: 102, 60: 98, 90: 97, 120: 100})
    assert day.entries == 2
    assert gain == pytest.approx(day.shares * ((98 - 102) + (98 - 100) - 4 * 0.0045))


def test_between_the_half_hours_nothing_is_decided() -> None:
    day, gain = traded({29: 110, 31: 110, 45: 90, 59: 110, 389: 110}, last=110)
    assert (day.entries, gain) == (0, 0)


def test_nothing_is_bought_at_the_close() -> None:
    assert traded({}, last=110)[0].entries == 0


def test_size_is_two_percent_of_risk_in_whole_shares() -> None:
    """Closes of 100 and 101 in turn: 7 returns of +1 % and 7 of -1/101."""
    returns = [0.01, -1 / 101] * 7
    mean = sum(returns) / 14
    spread = (sum((each - mean) ** 2 for each in returns) / 13) ** 0.5
    day, _ = traded({}, opened=104)
    assert day.shares == int(EQUITY * 0.02 / spread / 104)


def test_size_is_at_most_four_times_equity() -> None:
    assert traded({}, step=0.1)[0].shares == 4000
    assert traded({}, step=0.0)[0].shares == 4000


def test_the_previous_close_is_taken_less_the_dividend() -> None:
    """97.9 is beyond the area of 98.01 (open 99) but not of one that begins at 98.5 less a percent."""
    closes = {30: 97.9}
    assert traded(closes, opened=99)[0].entries == 1
    assert traded(closes, opened=99, dividends={LAST: 1.5})[0].entries == 0
    assert traded(closes, opened=99, dividends={LAST - timedelta(days=1): 1.5})[0].entries == 1


def test_a_half_hour_without_its_bar_changes_nothing() -> None:
    session = CALENDAR.session(LAST)
    assert session is not None
    bars = drawn(session, 100, {30: 102, 90: 103, 120: 100}, 100)
    del bars[59]
    days = run({**history(1.0), LAST: bars}, {})
    assert days[-1].entries == 1
    assert days[-1].equity - EQUITY == pytest.approx(days[-1].shares * (100 - 102 - 2 * 0.0045))


def test_equity_compounds_and_without_history_nothing_is_traded() -> None:
    days = run(history(1.0), {})
    assert [(day.equity, day.traded) for day in days] == [(EQUITY, False)] * 15


# comparison


def year_of_days(gain: float = 1.0, last: date = date(2024, 12, 31)) -> list[Day]:
    """Every session from December 2023, each month a gain of ``gain`` percent on its first session."""
    days: list[Day] = []
    equity, month = 100.0, 11
    for session in sessions_until(last, 275):
        if session.day.month != month and session.day >= date(2023, 12, 1):
            equity, month = equity * (1 + gain / 100), session.day.month
        days.append(Day(session.day, equity, True, 0, 1))
    return days


MONTHS = [(2023, 12), *((2024, month) for month in range(1, 13))]


def test_whole_months_and_years_are_compared() -> None:
    published = Published({month: 1.0 + month[1] / 100 for month in MONTHS}, {2024: 12.0, 2023: 3.0})
    report = compare(year_of_days(), published)
    assert list(report.months) == MONTHS
    assert [each.ours for each in report.months.values()] == pytest.approx([1.0] * 13)
    assert list(report.years) == [2024]
    assert report.years[2024].ours == pytest.approx((1.01**12 - 1) * 100)
    assert report.mean_absolute_error == pytest.approx((12 * 2 + sum(range(1, 12))) / 1300)


def test_a_month_with_a_session_left_out_or_untraded_is_no_month() -> None:
    published = Published(dict.fromkeys(MONTHS, 1.0), {2024: 12.0})
    days = year_of_days()
    assert (2024, 5) not in compare([day for day in days if day.day != date(2024, 5, 15)], published).months
    untraded = [
        Day(day.day, day.equity, day.day != date(2024, 5, 15), day.entries, day.shares) for day in days
    ]
    report = compare(untraded, published)
    assert (2024, 5) not in report.months
    assert not report.years
    assert (2024, 12) not in compare(year_of_days(last=date(2024, 12, 30)), published).months


def test_too_few_months_are_refused() -> None:
    with pytest.raises(FileError, match="2 published months wholly, 3 are needed"):
        compare(year_of_days(), Published({(2024, 2): 1.0, (2024, 3): 1.0, (2022, 1): 1.0}, {}))


@pytest.mark.parametrize(
    ("correlation", "error", "year", "reproduced"),
    [
        (0.98, 0.5, 34.0, True),
        (0.979, 0.5, 34.0, False),
        (0.98, 0.51, 34.0, False),
        (0.98, 0.5, 34.3, False),
        (0.98, 0.5, 29.0, False),
    ],
)
def test_what_counts_as_reproduced(correlation: float, error: float, year: float, reproduced: bool) -> None:
    whole = compare(year_of_days(), Published(dict.fromkeys(MONTHS, 1.0), {2024: 32.0}))
    assert whole.correlation == 0  # the published side does not move
    years = {2024: type(whole.years[2024])(32.2, year)}
    report = Report(whole.months, years, 275, 0, correlation, error)
    assert report.reproduced is reproduced
    assert ("NOT" in table(report)) is not reproduced


# files


def bars_file(folder: Path, rows: Sequence[str], name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_bars_are_read_within_the_hours_of_their_session(tmp_path: Path) -> None:
    """Friday after Thanksgiving ends at 13:00; Thursday is none."""
    rows = [
        "9,600,602,599,601,2024-11-27 09:29:00",
        "10,600,602,599,601,2024-11-27 09:30:00",
        "11,601,603,600,602,2024-11-27 15:59:00",
        "12,601,603,600,602,2024-11-27 16:00:00",
        "10,600,602,599,601,2024-11-28 09:30:00",
        "20,600,602,599,601,2024-11-29 09:30:00",
        "21,600,602,599,601,2024-11-29 12:59:00",
        "22,600,602,599,601,2024-11-29 13:00:00",
    ]
    found = read_bars(bars_file(tmp_path, rows))
    assert {day: [bar.volume for bar in bars] for day, bars in found.items()} == {
        date(2024, 11, 27): [10, 11],
        date(2024, 11, 29): [20, 21],
    }
    first = found[date(2024, 11, 27)][0]
    assert (first.open, first.high, first.low, first.close, first.vwap) == (600, 602, 599, 601, 0)
    assert first.start.isoformat() == "2024-11-27T14:30:00+00:00"


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (["10,600,602,599,601,2024-11-27 09:31:00"], "line 2: .* its opening bar"),
        (["10,600,602,599,601,2024-11-27 09:30:00"] * 2, "line 3: .* does not follow"),
        (["10,600,602,599,x,2024-11-27 09:30:00"], "line 2: no 1-minute bar"),
        (["10,600"], "line 2: no 1-minute bar"),
        (
            ["1,6,6,6,6,2024-11-27 09:30:00", "1,6,6,6,6,2024-11-26 09:30:00"],
            "the days are not in order",
        ),
    ],
)
def test_bars_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path, rows: list[str], what: str) -> None:
    with pytest.raises(FileError, match=what) as refused:
        read_bars(bars_file(tmp_path, rows))
    assert "\n" not in str(refused.value)


def test_files_that_are_not_there_or_broken_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv cannot be read: No such file"):
        read_bars(tmp_path / "none.csv")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(HEADER.encode() * 100)[:-12])
    with pytest.raises(FileError, match=r"cut\.csv\.gz cannot be read"):
        read_bars(cut)
    other = bars_file(tmp_path, ["10,600,602,599,601,2024-11-27 09:30:00"])
    with pytest.raises(FileError, match="line 2: no dividend"):
        read_dividends(other)
    with pytest.raises(FileError, match="line 2: no year of returns"):
        read_published(other)


def test_published_months_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(
        "year,jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec,yearly\n2007,,,,,,,,,,,1.9,0.1,2.0\n2008,5.1,,,,,,,,,,,,\n"
    )
    assert read_published(path) == Published({(2007, 11): 1.9, (2007, 12): 0.1, (2008, 1): 5.1}, {2007: 2.0})


# the published returns


@pytest.fixture(scope="module")
def files(shared_dir: Path) -> tuple[Path, Path, Path]:
    """Bars, published returns, dividends."""
    data = shared_dir / "data"
    return (
        data / "spy_1min" / "SPY_1min_20231106_20241231.csv.gz",
        data / "published" / "intraday_momentum_monthly_returns.csv",
        data / "published" / "spy_dividends.csv",
    )


@pytest.fixture(scope="module")
def report(files: tuple[Path, Path, Path]) -> Report:
    return reproduce(*files)


def test_the_published_monthly_returns_come_out(report: Report) -> None:
    assert list(report.months) == MONTHS
    assert report.correlation >= 0.98
    assert report.mean_absolute_error <= 0.5


def test_the_published_year_comes_out(report: Report) -> None:
    """The paper's headline for 2024 is 32.1 %; its monthly table says 32.2 %."""
    assert report.years[2024].published == 32.2
    assert abs(report.years[2024].ours - 32.1) <= 2


def test_one_command_prints_it(
    files: tuple[Path, Path, Path], report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    bars, published, dividends = map(str, files)
    arguments = ["noise-area", "--bars", bars, "--published", published, "--dividends", dividends, "--json"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert table(report) in printed
    assert "are reproduced" in printed
    result = json.loads(printed.splitlines()[-1])
    assert result == json.loads(json.dumps(report.as_json()))
    assert result["months"]["2024-07"]["published"] == 8.2


def test_the_command_refuses_a_wrong_file_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = str(tmp_path / "none.csv")
    assert main(["noise-area", "--bars", none, "--published", none, "--dividends", none]) == 2
    complaint = capsys.readouterr().err
    assert complaint == f"wsb-snake: {none} cannot be read: No such file or directory\n"
