"""Listens to the chat in a thread of its own: a chat that hangs holds up this thread and nothing else."""

import logging
from collections import deque
from collections.abc import Callable

from wsb_snake.core.lanes import Flag
from wsb_snake.notifications.chat import ChatConflict, ChatError, ChatFatal, Conversation, Delivered
from wsb_snake.owner.telegram_commands import COMMANDS
from wsb_snake.owner.telegram_hearing import Hearing
from wsb_snake.owner.telegram_talk import Talk
from wsb_snake.owner.telegram_updates import Arrived, update_id

HOLD_S = 25
BACK_OFF_S = (1.0, 30.0)
FATAL_S = 60.0
MOST_DROPPED = 1000
"""Updates that are looked at when the daemon begins to listen."""

QUIET_S = 24 * 3600.0
"""After a quiet week Telegram numbers its updates anew, perhaps lower."""

NAME = "chat-in"

log = logging.getLogger(__name__)


class Inbound:
    """``beat`` notes a sign of life; ``report`` takes what must not happen, ``tell`` an alert."""

    def __init__(
        self,
        room: Conversation,
        talk: Talk,
        stopping: Flag,
        beat: Callable[[str], None],
        report: Callable[[str, Exception], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._room = room
        self._talk = talk
        self._stopping = stopping
        self._beat = beat
        self._report = report
        self._hearing = Hearing(talk.clock.monotonic, beat, tell)
        self._offset = 0
        self._queued: list[Arrived] = []
        self._waiting: deque[Arrived] = deque()
        self._heard_at = talk.clock.monotonic()
        self._listening = False
        self._back_off = BACK_OFF_S[0]
        self._trouble = ""
        self._taken = False  # somebody else had the updates, perhaps by a webhook

    def run(self) -> None:
        """Until the process stops."""
        self._hearing.begins()
        while not self._stopping.is_set():
            self._beat(NAME)
            try:
                self.step()
            except ChatError as error:
                self._wait(error)
            except Exception as error:  # this thread's top loop: the owner must be heard again
                self._report(NAME, error)
                self._hearing.failed(error)
                self._stopping.wait(BACK_OFF_S[1])

    def step(self) -> None:
        """Hear what came, waiting up to HOLD_S for it. Raises ChatError."""
        if not self._listening:
            self._begin()
        elif self._taken:
            self._room.listen()
        if not self._waiting:
            self._waiting.extend(self._ask(HOLD_S))
            self._works()
            self._note_silence()
        while self._waiting and not self._stopping.is_set():  # the next process drops the rest and says so
            self._talk.hear(self._waiting.popleft())

    def _note_silence(self) -> None:
        now = self._talk.clock.monotonic()
        if self._waiting:
            self._heard_at = now
        elif now - self._heard_at > QUIET_S:
            self._offset, self._heard_at = 0, now

    def _begin(self) -> None:
        """Drop what queued up while nobody listened; nothing of that is done but a halt."""
        self._room.listen()
        while len(self._queued) < MOST_DROPPED:
            more = self._ask(0)
            if not more:
                break
            self._queued += more  # kept, should the chat fail before the next page
        self._listening = True
        if self._queued:
            log.warning("%d updates came while nobody was listening", len(self._queued))
            self._talk.drop(self._queued)
        try:
            self._room.offer(tuple((each.name, each.does) for each in COMMANDS))
        except ChatError as error:
            log.warning("the chat does not list the commands: %s", error)

    def _ask(self, hold_s: int) -> list[Arrived]:
        delivered = self._room.updates(self._offset, hold_s)
        self._hearing.answered()
        return self._fresh(delivered)

    def _fresh(self, delivered: Delivered) -> list[Arrived]:
        """Those not seen yet, each once; what has no number cannot be confirmed and is left."""
        clock = self._talk.clock
        told_at = int(clock.now().timestamp()) if delivered.at is None else delivered.at
        fresh = []
        for update in delivered.updates:
            number = update_id(update)
            if number is not None and number >= self._offset:
                self._offset = number + 1
                fresh.append(Arrived(update, told_at, clock.monotonic()))
        if delivered.updates and not fresh:
            self._stopping.wait(BACK_OFF_S[0])  # the same again at once would be a busy loop
        return fresh

    def _works(self) -> None:
        if self._trouble:
            log.info("the chat is heard again")
        self._trouble, self._taken, self._back_off = "", False, BACK_OFF_S[0]

    def _wait(self, error: ChatError) -> None:
        if self._stopping.is_set():
            return
        if str(error) != self._trouble:
            log.warning("the chat cannot be heard: %s", error)
        self._trouble = str(error)
        self._taken = isinstance(error, ChatConflict)
        self._hearing.failed(error)
        self._stopping.wait(FATAL_S if isinstance(error, ChatFatal) else self._back_off)
        self._back_off = min(self._back_off * 2, BACK_OFF_S[1])
