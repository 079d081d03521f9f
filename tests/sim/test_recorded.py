"""Recorded chain days: quotes as in the file, minutes drawn in between."""

import csv
import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from wsb_snake.core import occ
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Right
from wsb_snake.sim.market import Market
from wsb_snake.sim.recorded import DataError, RecordedMarket

DAY = date(2026, 7, 17)
HEADER = "fetched_at_et,quote_ts,spot,expiry,type,strike,bid,ask,bid_size,ask_size,iv,volume,open_interest"
ROWS = [
    "x,2026-07-17T09:35:00,740.25,2026-07-17,C,741.0,1.5,1.52,10.0,12.0,0,100.0,500.0",
    "x,2026-07-17T09:35:00,740.25,2026-07-17,P,741.0,2.2,2.23,8.0,9.0,0,90.0,400.0",
    "x,2026-07-17T09:40:00,741.5,2026-07-17,C,741.0,2.0,2.02,10.0,12.0,0,150.0,500.0",
    "y,2026-07-17T09:40:00,741.5,2026-07-17,C,741.0,2.0,2.02,10.0,12.0,0,150.0,500.0",
    "x,2026-07-17T09:45:10,742.0,2026-07-17,C,741.0,2.3,2.2,10.0,12.0,0,170.0,500.0",
    "x,2026-07-17T09:45:10,742.0,2026-07-17,P,741.0,0.0,0.01,0.0,900.0,0,95.0,400.0",
]
CALL, PUT = "SPY260717C00741000", "SPY260717P00741000"

Record = Callable[..., Path]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Writes a chain file of the given rows and gives its folder."""

    def write(rows: list[str], header: str = HEADER) -> Path:
        with gzip.open(tmp_path / f"SPY_{DAY}.csv.gz", "wt") as file:
            file.write("\n".join([header, *rows, ""]))
        return tmp_path

    return write


def at(hour: int, minute: int, second: int = 0) -> datetime:
    """A moment of the morning of DAY, US/Eastern."""
    return datetime(2026, 7, 17, hour + 4, minute, second, tzinfo=UTC)


def sides(market: RecordedMarket, symbol: str, moment: datetime) -> tuple[Decimal, Decimal]:
    quote = market.option_quote(symbol, moment)
    assert quote is not None
    return quote.bid, quote.ask


def test_a_capture_is_held_until_the_next_and_stamped_as_fresh(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    for moment in (at(9, 35), at(9, 37), at(9, 39, 59)):
        assert sides(market, CALL, moment) == (Decimal("1.5"), Decimal("1.52"))
        quote = market.option_quote(CALL, moment + timedelta(milliseconds=400))
        assert quote is not None
        assert quote.at == moment
    assert sides(market, CALL, at(9, 40)) == (Decimal("2"), Decimal("2.02"))
    assert market.latest_capture_at(at(9, 44)) == at(9, 40)


def test_there_is_no_quote_before_the_first_and_after_the_last_capture(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    nothing = (Decimal(0), Decimal(0))
    assert market.latest_capture_at(at(9, 34, 59)) is None
    assert sides(market, CALL, at(9, 34, 59)) == nothing
    assert sides(market, PUT, at(9, 45, 10)) == (Decimal(0), Decimal("0.01"))
    assert sides(market, PUT, at(9, 45, 11)) == nothing
    late = market.option_quote(CALL, at(15, 0))
    assert late is not None
    assert late.at == at(9, 45, 10)
    assert (late.bid, late.ask) == nothing


def test_a_contract_missing_from_a_capture_has_no_quote_in_it(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    assert sides(market, PUT, at(9, 41)) == (Decimal(0), Decimal(0))


def test_crossed_quotes_are_passed_on(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    assert sides(market, CALL, at(9, 45, 10)) == (Decimal("2.3"), Decimal("2.2"))
    assert market.implied_volatility(CALL, at(9, 45, 10)) is None


def test_only_what_was_recorded_is_listed(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    port: Market = market
    assert port.symbols() == ("SPY",)
    assert port.synthetic_bars
    assert [row.contract.symbol for row in port.contracts("SPY")] == [CALL, PUT]
    assert [row.open_interest for row in port.contracts("SPY")] == [500, 400]
    assert port.contracts("QQQ") == ()
    assert port.option_quote("SPY260717C00742000", at(9, 40)) is None
    with pytest.raises(KeyError):
        port.spot("QQQ", at(9, 40))


def test_volume_is_that_of_the_latest_capture(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    assert [market.option_volume(CALL, at(9, m)) for m in (31, 36, 41)] == [0, 100, 150]


def test_the_price_goes_through_the_recorded_spots(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    assert market.spot("SPY", at(9, 35)) == 740.25
    assert market.spot("SPY", at(9, 40)) == 741.5
    assert market.spot("SPY", at(9, 45, 10)) == 742.0
    between = {market.spot("SPY", at(9, 35) + timedelta(seconds=s)) for s in range(300)}
    assert len(between) > 20


def test_bars_are_made_from_that_price_and_never_from_the_future(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    session = market.session
    bars = market.bars("SPY", session.open, session.close, session.close)
    assert len(bars) == 390
    path = [market.spot("SPY", bars[7].start + timedelta(seconds=s)) for s in range(60)]
    assert (bars[7].open, bars[7].high, bars[7].low, bars[7].close) == (
        path[0],
        max(path),
        min(path),
        path[-1],
    )
    assert len(market.bars("SPY", session.open, session.close, at(9, 36, 30))) == 6
    assert bars[-1].close == market.settlement("SPY")


def test_history_joins_on_at_the_level_of_the_day(record: Record) -> None:
    market = RecordedMarket(record(ROWS), DAY, 1)
    bars = market.daily_bars("SPY", date(2026, 4, 1), DAY)
    assert len(bars) > 60
    assert bars[-1].close == pytest.approx(740, rel=0.05)
    assert bars[-1].start == from_eastern(date(2026, 7, 16), datetime.min.time())
    assert market.spot("SPY", market.session.open - timedelta(hours=8)) == pytest.approx(
        bars[-1].close, abs=0.01
    )
    minutes = market.bars("SPY", market.session.open - timedelta(days=1), market.session.open, at(9, 31))
    assert len(minutes) == 390
    assert minutes[-1].close == pytest.approx(bars[-1].close, abs=0.01)


def test_seeds_change_what_lies_between_only(record: Record) -> None:
    one, two = RecordedMarket(record(ROWS), DAY, 1), RecordedMarket(record(ROWS), DAY, 2)
    again = RecordedMarket(record(ROWS), DAY, 1)
    span = (one.session.open, one.session.close, one.session.close)
    assert one.bars("SPY", *span) == again.bars("SPY", *span) != two.bars("SPY", *span)
    assert sides(one, CALL, at(9, 41)) == sides(two, CALL, at(9, 41))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (ROWS[0].replace("1.5,", "abc,"), "line 3: could not convert string to float: 'abc'"),
        (ROWS[0].replace("1.5,", "nan,"), "line 3: bid is nan"),
        (ROWS[0].replace("1.52", "-1"), "line 3: ask is -1"),
        (ROWS[0].replace(",C,", ",X,"), "line 3: 'X' is not a valid Right"),
        (ROWS[0].replace("2026-07-17,C", "2026-07-18,C"), "line 3: expiry 2026-07-18 is not the day"),
        (ROWS[0].replace("741.0", "0"), "line 3: an option symbol cannot hold the strike 0"),
        (ROWS[0].replace("17T09:35:00", "16T09:36:00"), "line 3: quote_ts 2026-07-16T09:36:00 is not"),
        (ROWS[0].replace("T09:35:00,740.25", "T09:36:00,0"), "line 3: spot is 0"),
        ("x,2026-07-17T09:36:00", "line 3: not as many cells as columns"),
        (ROWS[0] + ",1", "line 3: not as many cells as columns"),
    ],
)
def test_a_malformed_row_is_named_in_one_line(record: Record, row: str, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        RecordedMarket(record([ROWS[1], row]), DAY, 1)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_columns_captures_and_sessions_are_named(record: Record, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        RecordedMarket(tmp_path / "nowhere", DAY, 1)
    with pytest.raises(DataError, match="shut on 2026-07-18"):
        RecordedMarket(tmp_path, date(2026, 7, 18), 1)
    with pytest.raises(DataError, match="has no column ask"):
        RecordedMarket(record(ROWS, HEADER.replace(",ask,", ",offer,")), DAY, 1)
    with pytest.raises(DataError, match="holds no capture"):
        RecordedMarket(record([]), DAY, 1)
    with pytest.raises(DataError, match="holds no capture"):
        RecordedMarket(record([ROWS[0].replace("T09:35", "T16:35")]), DAY, 1)


def test_a_file_that_is_not_gzip_or_is_cut_off_is_named(record: Record) -> None:
    file = record(ROWS * 50) / f"SPY_{DAY}.csv.gz"
    whole = file.read_bytes()
    for content in (b"plain text", whole[: len(whole) // 2], b""):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"SPY_2026-07-17\.csv\.gz"):
            RecordedMarket(file.parent, DAY, 1)


@pytest.mark.parametrize("day", [date(2026, 7, 20), date(2026, 7, 31)])
def test_quotes_of_a_real_day_are_rows_of_the_latest_capture(shared_dir: Path, day: date) -> None:
    folder = shared_dir / "data" / "spy_0dte_chains"
    market = RecordedMarket(folder, day, 5)
    captures: dict[datetime, dict[str, tuple[str, str]]] = {}
    with gzip.open(folder / f"SPY_{day}.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            wall = datetime.fromisoformat(row["quote_ts"])
            symbol = occ.build("SPY", day, Right(row["type"]), Decimal(row["strike"]))
            rows = captures.setdefault(from_eastern(day, wall.time()), {})
            rows[symbol] = (row["bid"], row["ask"])
    times = sorted(captures)
    assert len(times) > 70
    for taken, following in pairwise(times):
        for moment in (taken, taken + (following - taken) / 2, following - timedelta(seconds=1)):
            assert market.latest_capture_at(moment) == taken
            for symbol, (bid, ask) in list(captures[taken].items())[::17]:
                assert sides(market, symbol, moment) == (Decimal(bid), Decimal(ask))


def test_volatilities_of_a_real_day_are_plausible_at_the_money(shared_dir: Path) -> None:
    market = RecordedMarket(shared_dir / "data" / "spy_0dte_chains", DAY, 5)
    for hours in (1, 3, 5):
        moment = market.session.open + timedelta(hours=hours)
        near = [
            row.contract.symbol
            for row in market.contracts("SPY")
            if abs(float(row.contract.strike) - market.spot("SPY", moment)) < 2
        ]
        vols = [market.implied_volatility(symbol, moment) for symbol in near]
        assert len(vols) >= 4
        assert all(vol is not None and 0.1 < vol < 0.6 for vol in vols)
