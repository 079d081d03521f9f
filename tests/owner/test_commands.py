import json
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.owner.sample import CALL, PUT, facts, position
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.health import Unmanaged
from wsb_snake.core.lanes import Promise, ThreadLanes
from wsb_snake.owner import commands as module
from wsb_snake.owner.commands import CommandError, Commands, Verb

LATER = "SPY270115C00700000"


class RecordingDesk:
    """Answers at once, unless told to stay silent or to refuse."""

    def __init__(self) -> None:
        self.lanes = ThreadLanes(SystemClock())
        self.asked: list[tuple[Verb, str | None]] = []
        self.silent = False
        self.refusal: CommandError | None = None

    def ask(self, verb: Verb, argument: str | None) -> Promise[str]:
        self.asked.append((verb, argument))
        promise: Promise[str] = Promise(self.lanes, "desk")
        if self.refusal is not None:
            promise.fail(self.refusal)
        elif not self.silent:
            promise.resolve(f"{verb} done")
        return promise


@pytest.fixture
def desk() -> RecordingDesk:
    return RecordingDesk()


@pytest.fixture
def commands(desk: RecordingDesk) -> Commands:
    later = replace(position(LATER), origin="foreign_later")
    return Commands(desk, lambda: facts(positions=(position(), position(PUT), later)))


@pytest.mark.parametrize(
    ("verb", "argument", "asked"),
    [
        ("flatten", None, (Verb.FLATTEN, "0dte")),
        ("flatten", "ALL", (Verb.FLATTEN, "all")),
        ("FLATTEN", " 0DTE ", (Verb.FLATTEN, "0dte")),
        ("halt", None, (Verb.HALT, None)),
        ("resume", "", (Verb.RESUME, None)),
        ("cancel", None, (Verb.CANCEL, None)),
        ("eod", None, (Verb.EOD, None)),
        ("close", CALL, (Verb.CLOSE, CALL)),
        ("close", "qqq", (Verb.CLOSE, "QQQ")),
        ("close", f"{CALL} SPY261123C00601000 {LATER}", (Verb.CLOSE, f"{CALL} {LATER}")),
        ("dne", CALL.lower(), (Verb.DNE, CALL)),
        ("pause", None, (Verb.PAUSE, None)),
        ("pause", "030", (Verb.PAUSE, "30")),
        ("adopt", LATER.lower(), (Verb.ADOPT, f"{LATER} runner")),
        ("adopt", f"{LATER} SCALP", (Verb.ADOPT, f"{LATER} scalp")),
    ],
)
def test_a_good_command_reaches_the_desk_in_one_form(
    commands: Commands, desk: RecordingDesk, verb: str, argument: str | None, asked: tuple[Verb, str | None]
) -> None:
    answer = commands.run(verb, argument)
    assert answer.ok
    assert answer.text.endswith("done")
    assert desk.asked == [asked]


@pytest.mark.parametrize(
    ("verb", "argument", "says"),
    [
        ("flatten", "everything", "0dte (what expires today) or all"),
        ("close", None, "needs the OCC symbol or the ticker"),
        ("close", "IWM", "no position in the ticker IWM; held: QQQ261123P00500000, SPY261123C00600000, "),
        ("close", "SPY261123C00601000", "no position in the contract"),
        ("close", "SPY261123C00601000 SPY261123C00602000", "no position in"),
        ("close", f"{CALL} SPY", "no position in"),
        ("dne", None, "dne needs the OCC symbol of"),
        ("dne", "SPY", "no position in the ticker SPY"),
        ("halt", "now", "halt takes no argument"),
        ("status", "x", "status takes json or nothing"),
        ("pause", "soon", "pause takes whole minutes"),
        ("pause", "0", "pause takes 1 to 10080 minutes"),
        ("pause", "99999", "pause takes 1 to 10080 minutes"),
        ("pause", "-5", "pause takes whole minutes"),
        ("pause", "٣", "pause takes whole minutes"),
        ("adopt", None, "adopt needs the OCC symbol"),
        ("adopt", CALL, "has exits already"),
        ("adopt", f"{LATER} gently", "adopt takes a symbol and runner or scalp"),
        ("sell", None, "unknown command 'sell'; there are status, flatten"),
    ],
)
def test_a_bad_command_gets_one_clear_line_and_reaches_nobody(
    commands: Commands, desk: RecordingDesk, verb: str, argument: str | None, says: str
) -> None:
    answer = commands.run(verb, argument)
    assert not answer.ok
    assert says in answer.text
    assert "\n" not in answer.text
    assert desk.asked == []


@pytest.mark.parametrize("why", ["covers a short option", "short option"])
def test_what_no_rule_would_sell_is_not_adopted(desk: RecordingDesk, why: str) -> None:
    later = position(LATER, origin="foreign_later")
    told = Commands(desk, lambda: facts(positions=(later,), unmanaged=(Unmanaged(LATER, Decimal(1), why),)))
    answer = told.run("adopt", LATER)
    assert not answer.ok and answer.text.startswith(LATER)
    assert why in answer.text and "settle" in answer.text
    assert desk.asked == []


def test_what_was_bought_on_top_is_no_reason_against_adopting(desk: RecordingDesk) -> None:
    later = position(LATER, origin="foreign_later")
    more = Unmanaged(LATER, Decimal(1), "not in the book yet")
    assert Commands(desk, lambda: facts(positions=(later,), unmanaged=(more,))).run("adopt", LATER).ok


def test_close_with_nothing_held_says_so(desk: RecordingDesk) -> None:
    assert Commands(desk, facts).run("close", "SPY").text.endswith("nothing is held")


def test_status_asks_nobody(commands: Commands, desk: RecordingDesk) -> None:
    answer = commands.run("status")
    assert answer.ok
    assert CALL in answer.text
    assert desk.asked == []


def test_status_for_programs_is_one_line_of_json(commands: Commands, desk: RecordingDesk) -> None:
    answer = commands.run("status", "json")
    assert answer.ok and "\n" not in answer.text
    told = json.loads(answer.text)
    assert (told["status"], told["broker_open"]) == ("healthy", [])
    assert told["broker_read_at"] == "2026-11-23T15:59:58+00:00"
    assert desk.asked == []


def test_a_refusal_is_passed_on(commands: Commands, desk: RecordingDesk) -> None:
    desk.refusal = CommandError("the calendar still disagrees")
    answer = commands.run("resume")
    assert (answer.ok, answer.text) == (False, "the calendar still disagrees")


def test_a_desk_that_takes_long_is_no_failure(
    commands: Commands, desk: RecordingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.01)
    desk.silent = True
    answer = commands.run("flatten", "all")
    assert answer.ok
    assert "still at work" in answer.text
    assert desk.asked == [(Verb.FLATTEN, "all")]
