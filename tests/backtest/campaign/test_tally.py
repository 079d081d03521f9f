"""Sums over days, and when a campaign was too weak to prove anything."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from wsb_snake.backtest.campaign.day import DayReport
from wsb_snake.backtest.campaign.tally import CELLS_FROM_DAYS, LEAST_IN_A_CELL, Tally
from wsb_snake.backtest.campaign.violation import Promise, Violation
from wsb_snake.sim.fault_plan import BYTES, POSSIBLE, POSSIBLE_CRASHES, CrashKind, InFlight
from wsb_snake.sim.faults import FaultKind
from wsb_snake.sim.seeded_faults import Strike

AT = datetime(2026, 11, 24, 15, tzinfo=UTC)
BUSY = frozenset({InFlight.EXIT_SENT, InFlight.CANCEL_PENDING})


def strikes(count: int, *states: InFlight) -> list[Strike]:
    return [Strike(FaultKind.HTTP_503, AT, frozenset(states), "") for _ in range(count)]


def good(number: int, *, wire: bool = False) -> DayReport:
    """A day that is hard enough."""
    report = DayReport(1, number, wire, positions=9, orders=31, order_list_hash=f"hash {number}")
    report.strikes = strikes(21, *BUSY)
    report.crashes = [(CrashKind.YIELD, frozenset({InFlight.EXIT_SENT}))]
    report.checked = Counter({Promise.LIMITS: 5})
    report.before_due = Counter({Promise.EXITS_GET_DONE: 3})
    return report


def tally(*reports: DayReport, profile: str = "all", crashing: bool = True) -> Tally:
    made = Tally(profile, crashing)
    for report in reports:
        made.add(report)
    return made


def test_days_add_up() -> None:
    wire = good(1, wire=True)
    wire.excused = Counter({"nobody bid": 2})
    wire.violations = [Violation(Promise.LIMITS, 7, AT, "too much")]
    summed = tally(good(0), wire)
    assert (summed.days, summed.wire_days) == (2, 1)
    assert (summed.positions, summed.orders, summed.violations) == (18, 62, 1)
    assert summed.faults == {FaultKind.HTTP_503: 42}
    assert summed.wire_faults == {FaultKind.HTTP_503: 21}
    assert summed.crashes == {CrashKind.YIELD: 2}
    assert summed.cells[(FaultKind.HTTP_503, InFlight.CANCEL_PENDING)] == 42
    assert summed.cells[(CrashKind.YIELD, InFlight.EXIT_SENT)] == 2
    assert (summed.excused, summed.excused_days) == ({"nobody bid": 2}, 1)
    assert summed.checked[Promise.LIMITS] == 10
    assert summed.checked[Promise.EXITS_GET_DONE] == 0
    assert summed.as_json()["done_before_due"] == {"I-116": 6}


def test_a_good_campaign_falls_short_of_nothing() -> None:
    assert tally(good(0), good(1)).shortcomings() == []


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("positions", 1, "5.0 positions a day"),
        ("orders", 1, "16.0 orders a day"),
        ("strikes", strikes(1, *BUSY), "11.0 faults a day"),
        ("crashes", [], "0.5 crashes a day"),
        ("violations", [Violation(Promise.LIMITS, 7, AT, "too much")], "1 violations"),
        ("excused", Counter({"nobody bid": 1}), "1 of 2 days are excused"),
        ("strikes", strikes(40, InFlight.IDLE), "21 of 61 faults found something in flight"),
    ],
)
def test_what_is_too_weak_is_said(field: str, value: object, complaint: str) -> None:
    weak = good(1)
    setattr(weak, field, value)
    found = tally(good(0), weak).shortcomings()
    assert len(found) == 1
    assert found[0].startswith(complaint)


def test_a_part_of_the_faults_need_not_fill_a_day() -> None:
    quiet = DayReport(1, 0, False, positions=2, orders=4)
    assert tally(quiet, profile="none", crashing=False).shortcomings() == []


def test_a_long_campaign_must_have_struck_everything_everywhere() -> None:
    summed = tally(*(good(n) for n in range(CELLS_FROM_DAYS)))
    found = summed.shortcomings()
    empty = {pair for pair in POSSIBLE if pair[0] not in BYTES}
    empty -= {(FaultKind.HTTP_503, InFlight.EXIT_SENT), (FaultKind.HTTP_503, InFlight.CANCEL_PENDING)}
    assert {f"{kind} while {state}: 0 times" for kind, state in empty} <= set(found)
    assert f"{CrashKind.BEFORE_COMMIT} while {InFlight.IDLE}: 0 times" in found
    assert f"{Promise.ONE_OUTCOME} was never checked" in found
    assert not [line for line in found if line.startswith(f"{FaultKind.HTTP_503} while exit_sent")]


def test_bytes_must_have_been_spoilt_when_there_were_wire_days() -> None:
    kinds = {line.split()[0] for line in tally(good(0, wire=True)).as_json()["thin_cells"]}  # type: ignore[attr-defined]
    assert kinds >= {kind.value for kind in BYTES}


def test_full_cells_are_enough() -> None:
    full = good(0)
    full.strikes = [
        Strike(kind, AT, frozenset({state}), "") for kind, state in POSSIBLE for _ in range(LEAST_IN_A_CELL)
    ]
    full.crashes = [
        (kind, frozenset({state})) for kind, state in POSSIBLE_CRASHES for _ in range(LEAST_IN_A_CELL)
    ]
    full.checked = Counter(dict.fromkeys(Promise, 1))
    summed = tally(full)
    summed.days = CELLS_FROM_DAYS
    assert summed.as_json()["thin_cells"] == []


def test_the_hash_knows_the_days_and_not_the_order_of_arrival() -> None:
    assert tally(good(0), good(1)).result_hash == tally(good(1), good(0)).result_hash
    other = good(1)
    other.order_list_hash = "another"
    assert tally(good(0), good(1)).result_hash != tally(good(0), other).result_hash


def test_as_json_counts_every_kind_also_at_zero() -> None:
    told = tally(good(0)).as_json()
    faults, crashes = told["faults_injected"], told["crashes"]
    assert isinstance(faults, dict)
    assert isinstance(crashes, dict)
    assert faults.keys() == {kind.value for kind in FaultKind if kind not in BYTES}
    assert crashes.keys() == {kind.value for kind in CrashKind}
    assert (faults["http_503"], faults["hang_before"]) == (21, 0)
    assert told["averages"] == {"positions": 9, "orders": 31, "faults": 21, "crashes": 1}
    assert told["in_flight"] == {
        "http_503": {"cancel_pending": 21, "exit_sent": 21},
        "crash_at_yield": {"exit_sent": 1},
    }
