"""The owner's verbs on the command line, over the daemon's socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.owner.sample import facts, position
from tests.owner.test_commands import RecordingDesk
from wsb_snake.cli import main
from wsb_snake.owner.commands import Commands, Verb
from wsb_snake.owner.control import ControlServer

LATER = "SPY270115C00700000"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingDesk]:
    monkeypatch.setenv("WSB_SNAKE_DATA_DIR", str(tmp_path))
    made = RecordingDesk()
    held = facts(positions=(position(LATER, origin="foreign_later"),))
    server = ControlServer(tmp_path / "control.sock", Commands(made, lambda: held))
    server.start()
    yield made
    server.stop()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("pause", (Verb.PAUSE, None)),
        ("pause 45", (Verb.PAUSE, "45")),
        (f"adopt {LATER} --yes", (Verb.ADOPT, f"{LATER} runner")),
        (f"adopt {LATER.lower()} scalp --yes", (Verb.ADOPT, f"{LATER} scalp")),
        ("halt", (Verb.HALT, None)),
        ("resume", (Verb.RESUME, None)),
    ],
)
def test_a_verb_reaches_the_daemon(
    desk: RecordingDesk, capsys: pytest.CaptureFixture[str], words: str, asked: tuple[Verb, str | None]
) -> None:
    assert main(words.split()) == 0
    assert desk.asked == [asked]
    assert capsys.readouterr().out == f"{asked[0]} done\n"


@pytest.mark.parametrize(
    ("words", "again"),
    [
        (f"adopt {LATER}", f"adopt {LATER} runner --yes"),
        (f"adopt {LATER} scalp", f"adopt {LATER} scalp --yes"),
        (f"dne {LATER}", f"dne {LATER} --yes"),
    ],
)
def test_what_sells_or_cannot_be_taken_back_wants_a_yes(
    desk: RecordingDesk, capsys: pytest.CaptureFixture[str], words: str, again: str
) -> None:
    assert main(words.split()) == 2
    assert desk.asked == []
    assert capsys.readouterr().err.endswith(f"; if you mean it: {again}\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("pause soon", "pause takes whole minutes"),
        ("pause 0", "pause takes 1 to"),
        ("adopt QQQ --yes", "no position in the ticker QQQ"),
    ],
)
def test_a_verb_that_is_wrong_does_nothing_and_says_why(
    desk: RecordingDesk, capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    assert main(words.split()) == 1
    assert desk.asked == []
    assert says in capsys.readouterr().out
