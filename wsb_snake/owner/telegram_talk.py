"""The conversation with the owner: who is heard, what is asked, what is answered.

Nobody but the configured chat and user is heard; strangers get silence. Nothing here trades: what
changes anything goes through ``Commands``, which only enqueues.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wsb_snake.config import Settings
from wsb_snake.core.clock import Clock
from wsb_snake.core.health import Facts
from wsb_snake.notifications.chat import Button, ChatError, Conversation
from wsb_snake.notifications.outbox import TEXT_LIMIT, split_text
from wsb_snake.owner.commands import CommandError, Commands, Verb
from wsb_snake.owner.telegram_commands import Asked, parse
from wsb_snake.owner.telegram_reading import Reading
from wsb_snake.owner.telegram_taps import Question, Taps, words
from wsb_snake.owner.telegram_updates import Arrived, Said, Tapped, heard

LATE_S = 120.0
"""A command that was typed longer ago is not done any more; a halt is."""

AHEAD_S = 5.0
"""So far in the future a message may lie. Where Telegram gives no time with its answer our own clock stands
for it, and one that is behind would make everything young."""

HALT_S = 600.0
"""A halt that waited for the daemon to listen is done when it is this young, or younger than the process:
it was meant for this one, or for one that is being started again. An older one was for another day."""

NO_COMMAND = "I understand commands only; /help lists them."
SHOWN = 8
"""Names of dropped commands that are told."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """The one chat and the one user that are heard."""

    chat_id: int
    user_id: int

    def is_it(self, event: Said | Tapped) -> bool:
        return (event.chat_id, event.user_id) == (self.chat_id, self.user_id)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the conversation works with. ``stranger`` gets the ids of the user and the chat."""

    room: Conversation
    commands: Commands
    reading: Reading
    facts: Callable[[], Facts]
    owner: Owner
    settings: Settings
    clock: Clock
    stranger: Callable[[int, int], None]


class Talk:
    """One thread calls it. No method raises for what an update holds, or for a chat that is down."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._taps = Taps(parts.clock.monotonic)
        self._began = parts.clock.monotonic()

    @property
    def clock(self) -> Clock:
        return self._parts.clock

    def hear(self, arrived: Arrived) -> None:
        """Do and answer what an update asks for."""
        event = heard(arrived.update)
        if event is None:
            return
        if not self._parts.owner.is_it(event):
            self._parts.stranger(event.user_id, event.chat_id)
        elif isinstance(event, Said):
            self._said(event, self._age_s(event, arrived))
        else:
            self._tapped(event)

    def drop(self, queued: list[Arrived]) -> None:
        """Leave undone what queued up while nobody listened, and say so. A young halt is done."""
        mine, halts = [], 0
        for arrived in queued:
            event = heard(arrived.update)
            if event is None or not self._parts.owner.is_it(event):
                continue
            if isinstance(event, Said) and self._young_halt(event, arrived):
                halts += 1
            else:
                mine.append(event)
        if halts:
            done = self._parts.commands.run(Verb.HALT)
            self._say(f"Your /halt came while the daemon was not listening, and counts. {done.text}")
        if mine:
            self._tell_dropped(mine)

    def _young_halt(self, said: Said, arrived: Arrived) -> bool:
        asked = parse(said.text)
        is_halt = asked is not None and asked.command is not None and asked.command.verb is Verb.HALT
        alive_s = self._parts.clock.monotonic() - self._began
        return is_halt and self._age_s(said, arrived) <= max(HALT_S, alive_s)

    def _age_s(self, said: Said, arrived: Arrived) -> float:
        return arrived.age_s(said.at, self._parts.clock.monotonic())

    def _tell_dropped(self, mine: list[Said | Tapped]) -> None:
        named = [e.text.split(maxsplit=1)[0][:32] for e in mine if isinstance(e, Said) and e.text.strip()]
        listed = ", ".join(named[-SHOWN:]) or "taps"
        self._say(
            f"{len(mine)} of your messages came while the daemon was not listening and were dropped: "
            f"{listed}. Look at /status and send again what still matters."
        )

    def _said(self, event: Said, age_s: float) -> None:
        asked = parse(event.text)
        if asked is None:
            self._say(NO_COMMAND)
        elif asked.command is None:
            self._say(f"there is no /{asked.word}; /help lists the commands")
        elif asked.command.verb is None:
            self._say(self._parts.reading.answer(asked.command.name, asked.argument))
        elif age_s > LATE_S and asked.command.verb not in {Verb.HALT, Verb.WHY}:
            self._say(f"/{asked.word} came late and was not done. Send it again if it still matters.")
        elif asked.command.confirmed:  # also of a time to come: its question dies in 30 s
            self._ask(asked.command.verb, asked)
        elif age_s < -AHEAD_S and asked.command.verb not in {Verb.HALT, Verb.WHY}:
            self._say(
                f"/{asked.word} was not done: the clock here is behind, so nobody knows how old it is. "
                "Set the clock of the machine; /halt works, and so does what waits for your tap."
            )
        else:
            log.info("asked for in the chat: %s %s", asked.command.verb, asked.argument or "")
            self._say(self._parts.commands.run(asked.command.verb, asked.argument).text)

    def _ask(self, verb: Verb, asked: Asked) -> None:
        try:
            checked = self._parts.commands.checked(verb, asked.argument)
            question = Question(verb, self._parts.commands.bound(verb, checked))
        except CommandError as error:
            self._say(str(error))
            return
        told = words(self._parts.facts(), question, self._parts.settings)
        self._say(told, self._taps.ask(question))

    def _tapped(self, event: Tapped) -> None:
        tap = self._taps.tapped(event.data)
        question = tap.question
        if question is None:
            self._answer_tap(event, tap.text)
            if tap.settles:  # otherwise the message may hold what an earlier tap did
                self._rewrite(event, tap.text)
            return
        log.info("confirmed by a tap: %s %s", question.verb, question.argument or "")
        answer = self._parts.commands.run(question.verb, question.argument)
        self._answer_tap(event, answer.text)
        self._rewrite(event, f"/{question.verb} {question.argument or ''}".strip() + f"\n{answer.text}")

    # the way out: an answer that does not get through is no alert, it is only logged

    def _say(self, text: str, buttons: tuple[Button, ...] = ()) -> None:
        *firsts, last = split_text(text, TEXT_LIMIT)
        for part in firsts:
            self._try(partial(self._parts.room.say, part))
        self._try(partial(self._parts.room.say, last, buttons))

    def _answer_tap(self, event: Tapped, text: str) -> None:
        self._try(partial(self._parts.room.answer_tap, event.tap_id, text))

    def _rewrite(self, event: Tapped, text: str) -> None:
        self._try(partial(self._parts.room.rewrite, event.message_id, text))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ChatError as error:
            log.warning("an answer did not reach the owner: %s", error)
