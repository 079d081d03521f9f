"""Whether the owner is heard: one alert when he is not, and a sign of life as old as the last answer."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.document_tables import text_of
from tests.owner.room import CHAT, ME, Room
from tests.owner.sample import facts
from tests.trading.world import world
from wsb_snake.core.clock import VirtualClock
from wsb_snake.core.health import DEAF_LIMIT_S, HEARD, verdict
from wsb_snake.notifications.chat import ChatConflict, ChatError, ChatUnavailable, Delivered
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.telegram import Around, talk_of
from wsb_snake.owner.telegram_hearing import CALM_S, NOT_HEARD, Hearing
from wsb_snake.owner.telegram_lane import HOLD_S, Inbound
from wsb_snake.owner.telegram_talk import Owner

CONFLICT = ChatConflict("another program takes this bot's messages: end it (Conflict)")
OUTAGE = ChatUnavailable("Telegram cannot be reached")


class Ear:
    """A ``Hearing`` on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = VirtualClock(datetime(2026, 11, 23, 15, tzinfo=UTC))
        self.heard_at = -1.0
        self.told: list[str] = []
        self.hearing = Hearing(
            self.clock.monotonic, self.beat, lambda what, detail: self.told.append(f"{what}: {detail}")
        )
        self.hearing.begins()

    def beat(self, name: str) -> None:
        assert name == HEARD
        self.heard_at = self.clock.monotonic()

    def after(self, seconds: float, error: ChatError | None) -> None:
        self.clock.advance_to(self.clock.monotonic() + seconds)
        if error is None:
            self.hearing.answered()
        else:
            self.hearing.failed(error)


@pytest.mark.parametrize("error", [CONFLICT, OUTAGE])
def test_three_minutes_without_being_heard_are_told_once(error: ChatError) -> None:
    ear = Ear()
    for _ in range(20):
        ear.after(30, error)
    (told,) = ear.told
    assert told.startswith(f"{NOT_HEARD}: {error}, for 4 min. What still works: ")
    assert ear.heard_at == 0
    assert f'"{NOT_HEARD}"' in text_of("docs/SYSTEM_OPERATOR_HANDBOOK.md")


def test_short_troubles_are_not_told() -> None:
    ear = Ear()
    for _ in range(10):
        ear.after(DEAF_LIMIT_S - 10, OUTAGE)
        ear.after(5, None)
    assert ear.told == []
    assert ear.heard_at == ear.clock.monotonic()


def test_being_heard_between_two_conflicts_is_not_being_heard() -> None:
    ear = Ear()
    for _ in range(10):
        ear.after(CALM_S / 2, CONFLICT)
        ear.after(1, None)
    assert len(ear.told) == 1 and ear.heard_at == 0
    ear.after(CALM_S, None)
    assert ear.heard_at == ear.clock.monotonic()
    for _ in range(10):
        ear.after(30, CONFLICT)
    assert len(ear.told) == 2


def test_a_way_in_that_is_deaf_degrades_and_one_that_does_not_exist_does_not() -> None:
    deaf = facts(heartbeats={HEARD: DEAF_LIMIT_S + 5})
    assert verdict(deaf) == ("degraded", ("commands by Telegram are not heard for 185 s",))
    assert verdict(facts(heartbeats={HEARD: DEAF_LIMIT_S}))[0] == "healthy"
    assert verdict(facts(heartbeats={}))[0] == "healthy"


def test_a_second_listener_is_told_and_shown_until_it_is_gone(tmp_path: Path) -> None:
    class Shared(Room):
        taken = False
        listened = 0

        def listen(self) -> None:
            self.listened += 1

        def updates(self, offset: int, hold_s: int) -> Delivered:
            w.hub.sleep(1 if self.taken else hold_s + 0.1)
            if self.taken:
                raise CONFLICT
            return Delivered([], None)

    def deaf() -> bool:
        return any("not heard" in reason for reason in verdict(w.daemon.facts())[1])

    with world(tmp_path) as w:
        room = Shared()
        commands = Commands(w.daemon, w.daemon.facts)
        around = Around(lambda n: [], w.stopping, w._on_error)
        talk = talk_of(w.daemon, commands, room, Owner(CHAT, ME), around)
        beat = w.daemon.heartbeats.beat
        w.hub.spawn("chat-in", Inbound(room, talk, w.stopping, beat, w._on_error, w.desk.alert).run)
        w.run(DEAF_LIMIT_S + HOLD_S)
        assert not deaf() and room.listened == 1
        room.taken = True
        w.until(deaf, 300)
        w.run(600)
        assert len([text for text in w.alerts() if NOT_HEARD in text]) == 1
        assert room.listened > 2  # a webhook that somebody set is taken away again
        room.taken = False
        w.until(lambda: not deaf(), 300)
