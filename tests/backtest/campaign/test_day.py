"""One campaign day: the same seed gives the same one, at both depths."""

from datetime import timedelta

import pytest
from pytest import MonkeyPatch

from tests.backtest.campaign.hunt import plan
from wsb_snake.backtest.campaign import day as day_module
from wsb_snake.backtest.campaign.day import WIRE_EVERY, DayReport, run_campaign_day
from wsb_snake.sim.fault_plan import BYTES


@pytest.fixture
def morning(monkeypatch: MonkeyPatch) -> None:
    """Days end early, which is enough to compare them."""
    monkeypatch.setattr(day_module, "ENDS_AFTER_CLOSE", -timedelta(hours=5))


def come_to(report: DayReport) -> tuple[object, ...]:
    return report.order_list_hash, report.strikes, report.crashes, report.checked


@pytest.mark.parametrize("number", [4, WIRE_EVERY - 1])
def test_the_same_seed_gives_the_same_day(morning: None, number: int) -> None:
    asked = plan(3, number)
    first = run_campaign_day(asked)
    assert first.wire is (number == WIRE_EVERY - 1)
    assert first.orders > 0
    assert first.strikes
    assert come_to(first) == come_to(run_campaign_day(asked))


def test_another_number_gives_another_day(morning: None) -> None:
    assert run_campaign_day(plan(3, 4)).order_list_hash != run_campaign_day(plan(3, 5)).order_list_hash


def test_bytes_are_spoilt_below_the_clients_only(morning: None) -> None:
    port, wire = (run_campaign_day(plan(3, number, "network")) for number in (4, WIRE_EVERY - 1))
    assert not [strike for strike in port.strikes if strike.kind in BYTES]
    assert [strike for strike in wire.strikes if strike.kind in BYTES]


def test_nothing_strikes_and_nothing_dies_unless_asked(morning: None) -> None:
    report = run_campaign_day(plan(3, 4, "none", crashes=False))
    assert report.strikes == []
    assert report.crashes == []
    assert report.orders > 0
