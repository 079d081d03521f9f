"""Names of signals, directions, and the lists of names."""

from datetime import UTC, date, datetime

from wsb_snake.core.types import Right
from wsb_snake.engines import universe
from wsb_snake.engines.types import Direction, right_of, signal_id


def test_a_signal_is_named_by_session_and_eastern_minute() -> None:
    summer = datetime(2026, 7, 20, 14, 5, 59, tzinfo=UTC)
    winter = datetime(2026, 11, 24, 15, 5, tzinfo=UTC)
    assert signal_id(date(2026, 7, 20), "e", "SPY", "s", summer) == "2026-07-20-e-SPY-s-1005"
    assert signal_id(date(2026, 11, 24), "e", "SPY", "s", winter) == "2026-11-24-e-SPY-s-1005"


def test_a_fall_is_traded_with_puts() -> None:
    assert right_of(Direction.LONG) is Right.CALL
    assert right_of(Direction.SHORT) is Right.PUT


def test_the_lists_hold_each_name_once() -> None:
    for names in (universe.ZERO_DTE, universe.MOMENTUM, universe.LEAPS):
        assert len(set(names)) == len(names)


def test_funds_are_no_single_names() -> None:
    assert not any(universe.is_single_name(name) for name in ("SPY", "IWM", "GDXJ", "XLE"))
    assert all(universe.is_single_name(name) for name in ("TSLA", "RKLB", "PYPL"))
