"""What a tap will do, in words; and that it counts once, for 30 s."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.owner.sample import CALL, PUT, facts, position
from tests.owner.test_commands import RecordingDesk
from wsb_snake import config
from wsb_snake.core.health import Facts
from wsb_snake.owner.commands import Commands, Verb
from wsb_snake.owner.telegram_taps import ANSWERED, LEFT, TOO_LATE, UNKNOWN, Question, Tap, Taps, words

LATER = "SPY261218C00700000"
HELD = facts(
    positions=(
        position(),
        position(PUT, qty=5, bid=Decimal(0), mid=None, unrealised=None),
        replace(position(LATER), origin="foreign_later", bid=None, day_end_at=None),
        position("IWM261123C00200000", qty=0, state="entering"),
    )
)
FLATTEN = Question(Verb.FLATTEN, "all")


@pytest.mark.parametrize(
    ("question", "named", "left_out", "last"),
    [
        (FLATTEN, (CALL, PUT, LATER), ("IWM",), "about $260.00; 7 contracts have no bid, or no quote yet."),
        (Question(Verb.FLATTEN, "0dte"), (CALL, PUT), (LATER, "IWM"), "about $260.00; 5 contracts"),
        (Question(Verb.EOD, None), ("only what is due",), (CALL, PUT, LATER), "there is nothing of that."),
        (Question(Verb.CLOSE, CALL), (CALL,), (PUT, LATER), "At the bid that is about $260.00."),
        (Question(Verb.CLOSE, f"{CALL} {LATER}"), (CALL, LATER), (PUT,), "2 contracts have no bid"),
        (Question(Verb.CLOSE, "IWM261123C00200000"), (), (CALL, PUT), "At present there is nothing of that."),
        (
            Question(Verb.ADOPT, f"{LATER} scalp"),
            (LATER, "target +20%, stop -15%, 45 minutes"),
            (CALL, "At the bid"),
            "Tap within 30 s.",
        ),
        (Question(Verb.DNE, CALL), (CALL, "cannot be taken back"), (PUT,), "Tap within 30 s."),
        (Question(Verb.CANCEL, None), ("every open entry",), (CALL,), "Tap within 30 s."),
    ],
)
def test_the_question_says_exactly_what_would_be_done(
    question: Question, named: tuple[str, ...], left_out: tuple[str, ...], last: str
) -> None:
    told = words(HELD, question, config.load(env_file=None))
    assert told.startswith(f"/{question.verb}") and told.endswith("Tap within 30 s.")
    assert all(piece in told for piece in named)
    assert not any(piece in told.partition("\n")[2] for piece in left_out)
    assert last in told


def on_the_page(at: Facts) -> str:
    return Commands(RecordingDesk(), lambda: at).describe(Verb.EOD, None)


def test_an_eod_lists_what_is_due_at_this_moment_and_nothing_else() -> None:
    spy = position(day_end_at=datetime(2026, 11, 23, 20, 20, tzinfo=UTC))
    aapl = position("AAPL261123C00250000", day_end_at=datetime(2026, 11, 23, 20, 5, tzinfo=UTC))
    later = position(LATER, day_end_at=None)
    told = {}
    for minute, is_open in ((4, True), (5, True), (20, True), (20, False)):
        now = datetime(2026, 11, 23, 20, minute, tzinfo=UTC)
        at = facts(positions=(spy, aapl, later), now=now, market_open=is_open)
        text = words(at, Question(Verb.EOD, None), config.load(env_file=None))
        told[minute, is_open] = [p.symbol for p in (spy, aapl, later) if p.symbol in text]
        web = on_the_page(at)
        assert told[minute, is_open] == [p.symbol for p in (spy, aapl, later) if p.symbol in web]
    assert told[4, True] == told[20, False] == []
    assert told[5, True] == [aapl.symbol]
    assert told[20, True] == [spy.symbol, aapl.symbol]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_button_works_once_and_for_thirty_seconds() -> None:
    clock = Clock()
    taps = Taps(clock)
    do_it, leave = taps.ask(FLATTEN)
    assert len(do_it.data) <= 64 and do_it.data != leave.data
    assert taps.tapped(do_it.data) == Tap(FLATTEN, "", settles=True)
    assert taps.tapped(do_it.data) == Tap(None, ANSWERED, settles=False)
    do_it, leave = taps.ask(FLATTEN)
    assert taps.tapped(leave.data) == Tap(None, LEFT, settles=True)
    assert taps.tapped(do_it.data) == Tap(None, ANSWERED, settles=False)
    do_it, _ = taps.ask(FLATTEN)
    clock.now += 30.0
    assert taps.tapped(do_it.data) == Tap(None, TOO_LATE, settles=True)
    assert taps.tapped(do_it.data) == Tap(None, ANSWERED, settles=False)
    assert Taps(clock).tapped(do_it.data) == Tap(None, UNKNOWN, settles=False)


def test_the_newest_questions_stay_when_there_are_many() -> None:
    taps = Taps(Clock())
    asked = [taps.ask(FLATTEN)[0] for _ in range(100)]
    assert taps.tapped(asked[0].data) == Tap(None, UNKNOWN, settles=False)
    assert taps.tapped(asked[-1].data) == Tap(FLATTEN, "", settles=True)
