"""The tape holds what was known at the moment, and nothing of another session."""

from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from tests.engines.tapes import DAY, OPEN, SESSION, USUAL, bar, flat, history, line, tape_of, timed, view_of
from wsb_snake.core.clock import from_eastern
from wsb_snake.core.types import Chain
from wsb_snake.engines.day_tape import BAR, mean, read


def test_bars_of_other_hours_and_unended_ones_are_left_out() -> None:
    bars = [*timed(flat(30), OPEN - 30 * BAR), *timed(flat(10))]
    now = OPEN + 5 * BAR + timedelta(seconds=59)
    tape = read(view_of(bars, now), "SPY")
    assert tape is not None
    assert [each.start for each in tape.bars] == [OPEN + n * BAR for n in range(5)]
    assert tape.end(4) == OPEN + 5 * BAR
    after_hours = timed(flat(5), SESSION.close - 2 * BAR)
    tape = read(view_of(after_hours), "SPY")
    assert tape is not None
    assert len(tape.bars) == 2


def test_without_an_ended_bar_there_is_no_tape() -> None:
    assert read(view_of(timed(flat(3)), OPEN + BAR - timedelta.resolution), "SPY") is None
    assert read(view_of(timed(flat(3))), "QQQ") is None


def test_the_usual_day_comes_from_sessions_before_this_one() -> None:
    today = replace(history()[-1], start=from_eastern(DAY, time()), high=500.0)
    tape = tape_of(flat(5), daily=[*history(), today])
    assert tape.day_range == pytest.approx(0.01)
    assert tape.swing(4) == pytest.approx(1.0)
    assert tape.day_deviation == pytest.approx(0.004, rel=0.01)
    assert len(tape.daily) == 30


def test_a_short_history_has_no_swing() -> None:
    assert tape_of(flat(5), daily=history(5)).swing(0) is not None
    short = tape_of(flat(5), daily=history(4))
    assert (short.swing(0), short.day_deviation) == (None, None)


def test_news_and_chains_of_later_are_not_known() -> None:
    later = OPEN + 5 * BAR + timedelta.resolution
    tape = tape_of(flat(5), headlines=[later, OPEN])
    assert tape.headlines == [OPEN]
    for at, known in ((later, False), (OPEN + 5 * BAR, True)):
        chain = Chain("SPY", date(2026, 11, 24), at, ())
        assert (tape_of(flat(5), chains={"SPY": chain}).chain is not None) is known


def test_missing_minutes_are_counted_and_have_no_index() -> None:
    bars = timed(flat(20))
    thinned = [each for n, each in enumerate(bars) if n not in (5, 6)]
    tape = read(view_of(thinned), "SPY")
    assert tape is not None
    assert len(tape.closes) == 18
    assert not tape.whole(0, 17, 1)
    assert tape.whole(0, 17, 2)
    assert tape.whole(5, 17, 0)
    assert not tape.whole(-1, 17, 9)
    assert tape.at(OPEN + 5 * BAR) == 5  # the minute after the hole


def test_columns_agree_with_the_bars() -> None:
    tape = tape_of([*line(100, 101, 10), bar(101.5)])
    assert tape.closes[-1] == 101.5
    assert tape.ranges[-1] == pytest.approx(0.505)  # with the gap from the close before
    assert mean(tape.volumes, 0, 11) == USUAL
    assert mean(tape.volumes, -1, 5) is None
    assert mean(tape.volumes, 5, 5) is None
