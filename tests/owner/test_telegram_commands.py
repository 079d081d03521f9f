"""How a message becomes a command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsb_snake.owner.commands import Verb
from wsb_snake.owner.telegram_commands import COMMANDS, MOST_WORDS, BadCount, count, help_text, parse

ISSUE = (
    "status positions position orders trades daily weekly profit performance balance signals why risk "
    "calendar health logs config version help pause resume halt cancel close flatten eod adopt dne"
)


def test_every_command_of_the_owner_s_list_is_there_and_in_the_help() -> None:
    assert {command.name for command in COMMANDS} == set(ISSUE.split())
    assert [line for line in help_text().splitlines() if line.startswith("/")] == [c.line for c in COMMANDS]


def test_what_sells_or_cannot_be_taken_back_is_confirmed_and_a_halt_is_not() -> None:
    confirmed = {command.verb for command in COMMANDS if command.confirmed}
    assert confirmed == {Verb.CANCEL, Verb.CLOSE, Verb.FLATTEN, Verb.EOD, Verb.ADOPT, Verb.DNE}
    verbs = {command.verb for command in COMMANDS if command.verb is not None}
    assert verbs - confirmed == {Verb.HALT, Verb.RESUME, Verb.PAUSE, Verb.WHY}


@pytest.mark.parametrize(
    ("text", "word", "argument"),
    [
        ("/status", "status", None),
        ("  /STATUS  ", "status", None),
        ("/close SPY", "close", "SPY"),
        ("/close@the_bot   spy \n now", "close", "spy now"),
        ("/sell everything", "sell", "everything"),
        ("/", "", None),
        ("/adopt " + "x" * 500, "adopt", "x" * MOST_WORDS),
    ],
)
def test_a_command_and_its_argument(text: str, word: str, argument: str | None) -> None:
    asked = parse(text)
    assert asked is not None
    assert (asked.word, asked.argument) == (word, argument)
    assert (asked.command is not None) == (word in ISSUE.split())


@pytest.mark.parametrize("text", ["", " ", "status", "sell /flatten all", "\n\n"])
def test_what_does_not_begin_with_a_slash_is_none(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=300))
def test_any_text_is_a_command_or_none(text: str) -> None:
    asked = parse(text)
    assert asked is None or asked.command is None or asked.command in COMMANDS


def test_a_number_is_bounded_and_what_is_none_is_refused() -> None:
    assert (count(None, 10, 50), count("7", 10, 50), count("999", 10, 50)) == (10, 7, 50)
    for text in ("0", "-1", "x", "1.5", "٣", "9" * 40):
        with pytest.raises(BadCount):
            count(text, 10, 50)
