"""Alerts on their way to the owner: kept in the database until the chat has taken them, in order.

``enqueue`` is a journal consumer's handler: each event becomes its alerts exactly once. ``Outbox``
sends them. Before a send the row is marked ``sending``: a process that dies in between leaves the
mark, and its successor repeats the alert and says so.

States of a row: ``pending``, ``sending``, ``sent``, ``failed`` (the chat refuses the text), ``unsent``
(no chat is configured).
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from wsb_snake.core.clock import Clock
from wsb_snake.core.events import Event
from wsb_snake.core.lanes import Promise
from wsb_snake.db.database import Database
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.db.values import instant, instant_text
from wsb_snake.notifications.chat import (
    Chat,
    ChatError,
    ChatFatal,
    ChatRefused,
    ChatRetryAfter,
    ChatUnavailable,
    ChatUncertain,
    ChatUnclear,
)
from wsb_snake.notifications.messages import WHAT_GOES_ON, alerts_for
from wsb_snake.notifications.wording import SILENT

GAP_S = 1.0  # Telegram's limits: about one message a second to a chat,
PER_MINUTE = 20  # and twenty a minute to a group
BACK_OFF_S = (1.0, 60.0)
FATAL_AGAIN_S = 300.0  # what looks like a wrong token may be a gateway on the way, or a block that ends
UNCLEAR_MOST = 3  # refusals in a row, after which a text of our own shows whether the chat takes any
READ_AGAIN_S = 5.0
LATE_S = 60.0
TEXT_LIMIT = 4000  # of Telegram's 4096, which leaves room for the marks
MARK_WAIT_S = 2.0  # for one look at whether the disk has taken a mark
STUCK_TOLD_S = 10.0  # a disk that takes nothing for so long is told of directly
STUCK_AGAIN_S = 30.0
STUCK = (
    f"The database cannot be written: the disk is full or does not answer. {WHAT_GOES_ON} Until it can be "
    "written no other alert is sent: ask /health or `python main.py status`, and free some space."
)

OFF = "off"
USUAL: Mapping[str, str] = MappingProxyType({})

log = logging.getLogger(__name__)


Enqueue = Callable[[sqlite3.Connection, Event], None]


def enqueue_at(levels: Mapping[str, str]) -> Enqueue:
    """``enqueue`` at the owner's ``levels`` (``loud``, ``silent`` or ``off``) by kind."""
    return (lambda conn, event: enqueue(conn, event, levels)) if levels else enqueue


def enqueue(conn: sqlite3.Connection, event: Event, levels: Mapping[str, str] = USUAL) -> None:
    """Write the alerts of ``event``, unless they are there already or switched off.

    Not INSERT OR IGNORE: a row that it ignores uses up a number, and the owner counts on the numbers.
    """
    for index, alert in enumerate(alerts_for(event)):
        level = levels.get(alert.kind, alert.level)
        if level == OFF:
            continue
        row = (f"event:{event.seq}:{index}", instant_text(event.at), alert.kind, level, alert.text)
        conn.execute(
            "INSERT INTO alerts (dedupe_key, at, kind, level, text, state)"
            " SELECT ?1, ?2, ?3, ?4, ?5, 'pending'"
            " WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE dedupe_key = ?1)",
            row,
        )


class OutboxState(StrEnum):
    OFF = "off"  # no chat is configured
    UP = "up"
    DOWN = "down"  # the last attempt failed, see ``Outbox.trouble``; it goes on trying


@dataclass(slots=True)
class _Letter:
    """The alert that is being sent, and how far it has come."""

    number: int
    at: datetime
    silent: bool
    parts: tuple[str, ...]
    left_over: bool  # another process was about to send it
    doubt: bool  # the present part may have been delivered
    part: int = 0
    mark: Promise[None] | None = None  # of the attempt that is about to be made
    unclear: int = 0  # refusals in a row that may be of its text or of the chat,
    refusal: str = ""  # and the last of them

    def text(self, now: datetime) -> str:
        late_s = (now - self.at).total_seconds()
        late = f"late by {late_s // 60:.0f} min: " if late_s > LATE_S else ""
        count = f" ({self.part + 1}/{len(self.parts)})" if len(self.parts) > 1 else ""
        return f"{'(repeat) ' if self.doubt else ''}{late}{self.parts[self.part]}{count} #{self.number}"


class Outbox:
    """Sends the alerts that wait, oldest first, one part a ``step``. One lane steps, any may ask."""

    def __init__(self, database: Database, chat: Chat | None, clock: Clock) -> None:
        self._database = database
        self._chat = chat
        self._clock = clock
        self._state = OutboxState.UP if chat is not None else OutboxState.OFF
        self._trouble = ""
        self._waiting = 0
        self._letter: _Letter | None = None
        self._done = 0  # no alert up to this number is sent again, even while the disk refuses the mark
        self._attempts: deque[float] = deque(maxlen=PER_MINUTE)
        self._not_before = 0.0
        self._back_off = BACK_OFF_S[0]
        self._hurry = False
        self._stuck_told = False
        self._stuck_again = 0.0  # when the next try to tell of it is due

    def step(self) -> float | None:
        """Send at most one message, without sleeping.

        Seconds until it wants to be called again; None when nothing waits, so that a call is due after
        the next alert. Raises DatabaseClosed.
        """
        self._tell_of_a_stuck_disk()
        try:
            letter = self._next_letter()
        except (DatabaseUnavailable, sqlite3.Error) as error:
            log.warning("alerts cannot be read: %s", error)
            return READ_AGAIN_S
        if letter is None:
            return None
        if self._chat is None:
            self._drop_all()
            return None
        wait = self._wait_s()
        if wait > 0:
            return wait
        if letter.unclear < UNCLEAR_MOST:
            self._send(self._chat, letter)
        else:
            self._probe(self._chat, letter)
        if not self._waiting:
            return None
        return max(0.0, self._wait_s())

    def pending(self) -> int:
        """How many alerts waited at the last step; memory only."""
        return self._waiting

    def chat_up(self) -> bool | None:
        """Whether the last message went out; None without a chat. Memory only."""
        return None if self._state is OutboxState.OFF else self._state is OutboxState.UP

    def state(self) -> OutboxState:
        return self._state

    def trouble(self) -> str:
        """One line: what the last failure was; empty while the chat is up."""
        return self._trouble

    def hurry(self) -> None:
        """The process ends: keep to no pace of our own from now on."""
        self._hurry = True

    def _next_letter(self) -> _Letter | None:
        where = "FROM alerts WHERE state IN ('pending', 'sending') AND number > ?"
        with self._database.get_connection() as conn:
            self._waiting = conn.execute(f"SELECT COUNT(*) {where}", (self._done,)).fetchone()[0]
            row = conn.execute(
                f"SELECT number, at, level, text, state {where} ORDER BY number LIMIT 1", (self._done,)
            ).fetchone()
        if row is None:
            return None
        if self._letter is None or self._letter.number != row["number"]:
            left_over = row["state"] == "sending"
            self._letter = _Letter(
                number=row["number"],
                at=instant(row["at"]),
                silent=row["level"] == SILENT,
                parts=split_text(row["text"], TEXT_LIMIT),
                left_over=left_over,
                doubt=left_over,
            )
        return self._letter

    def _wait_s(self) -> float:
        """Seconds until a message may go out; not positive when it may go now."""
        now = self._clock.monotonic()
        moments = [self._not_before]
        if self._attempts and not self._hurry:
            moments.append(self._attempts[-1] + GAP_S)
            if len(self._attempts) == PER_MINUTE:
                moments.append(self._attempts[0] + 60.0)
        return max(moments) - now

    def _tell_of_a_stuck_disk(self) -> None:
        """Once, without the database: whatever happens meanwhile cannot become an alert."""
        if self._database.writable():
            self._stuck_told = False
            return
        now = self._clock.monotonic()
        silent = self._chat is None or self._stuck_told or now < self._stuck_again
        if self._chat is not None and not silent and self._database.oldest_waiting_s() > STUCK_TOLD_S:
            self._stuck_again = now + STUCK_AGAIN_S
            self._stuck_told = _goes(self._chat, STUCK)

    def _send(self, chat: Chat, letter: _Letter) -> None:
        """Try once, as soon as the disk has the mark: a successor must know that it may have been sent."""
        if letter.mark is None:
            letter.mark = self._mark(letter.number, "sending", attempts=1)
        if not letter.mark.wait(MARK_WAIT_S):
            return
        letter.mark = None
        self._attempts.append(self._clock.monotonic())
        unclear, letter.unclear = letter.unclear, 0
        try:
            chat.send(letter.text(self._clock.now()), letter.silent)
        except ChatRetryAfter as error:
            self._not_before = self._clock.monotonic() + error.seconds
            self._undelivered(letter)
        except ChatUnavailable as error:
            self._down(str(error))
            self._undelivered(letter)
        except ChatUncertain as error:
            self._down(str(error))
            letter.doubt = True
        except ChatRefused as error:
            log.error("alert %d failed: %s", letter.number, error)
            self._finish(letter, "failed")
        except ChatUnclear as error:
            letter.unclear, letter.refusal = unclear + 1, str(error)
            if letter.unclear < UNCLEAR_MOST:  # otherwise a text of our own is next
                self._refused(str(error))
            self._undelivered(letter)
        except ChatFatal as error:
            self._refused(str(error))
            self._undelivered(letter)
        else:
            self._delivered(letter)

    def _up(self) -> None:
        if self._state is OutboxState.DOWN:
            log.info("the chat is up again")
        self._state, self._trouble = OutboxState.UP, ""
        self._back_off = BACK_OFF_S[0]

    def _delivered(self, letter: _Letter) -> None:
        self._up()
        letter.part += 1
        letter.doubt = letter.left_over
        if letter.part == len(letter.parts):
            self._finish(letter, "sent")

    def _undelivered(self, letter: _Letter) -> None:
        """The present part is certainly not there: a later process may send the alert unmarked."""
        if letter.part == 0 and not letter.doubt:
            self._mark(letter.number, "pending").wait(MARK_WAIT_S)

    def _down(self, trouble: str) -> None:
        if self._state is OutboxState.UP:
            log.warning("the chat is down: %s", trouble)
        self._state, self._trouble = OutboxState.DOWN, trouble
        self._not_before = self._clock.monotonic() + self._back_off
        self._back_off = min(self._back_off * 2, BACK_OFF_S[1])

    def _refused(self, trouble: str) -> None:
        """Most likely a person must mend it; each attempt is a fresh chance all the same."""
        if trouble != self._trouble:
            log.error("no alert is taken, tried again every %.0f min: %s", FATAL_AGAIN_S / 60, trouble)
        self._state, self._trouble = OutboxState.DOWN, trouble
        self._not_before = self._clock.monotonic() + FATAL_AGAIN_S

    def _probe(self, chat: Chat, letter: _Letter) -> None:
        """Where the chat takes another text, it was the letter's fault, and the next may go out."""
        self._attempts.append(self._clock.monotonic())
        told = f"Alert {letter.number} could not be sent: the chat refuses its text and takes this one."
        try:
            chat.send(told, False)
        except ChatRetryAfter as error:
            self._not_before = self._clock.monotonic() + error.seconds
        except (ChatUnavailable, ChatUncertain) as error:
            self._down(str(error))
        except ChatError as error:  # it refuses both: it is the chat for as long again
            letter.unclear = 0
            self._refused(str(error))
        else:
            log.error("alert %d failed: the chat refuses its text: %s", letter.number, letter.refusal)
            self._up()
            self._finish(letter, "failed")

    def _finish(self, letter: _Letter, state: str) -> None:
        self._done = letter.number
        self._letter = None
        self._waiting -= 1
        sent_at = self._clock.now() if state == "sent" else None
        self._mark(letter.number, state, sent_at=sent_at).wait(MARK_WAIT_S)

    def _mark(
        self, number: int, state: str, attempts: int = 0, sent_at: datetime | None = None
    ) -> Promise[None]:
        row = (state, attempts, instant_text(sent_at), number)

        def write(conn: sqlite3.Connection) -> None:
            conn.execute(
                "UPDATE alerts SET state = ?, attempts = attempts + ?, sent_at = ? WHERE number = ?", row
            )

        return self._database.transact(write)

    def _drop_all(self) -> None:
        """Without a chat every alert counts as undelivered by choice."""

        def write(conn: sqlite3.Connection) -> None:
            conn.execute("UPDATE alerts SET state = 'unsent' WHERE state IN ('pending', 'sending')")

        self._database.transact(write).wait(MARK_WAIT_S)
        self._waiting, self._letter = 0, None


def _goes(chat: Chat, text: str) -> bool:
    """Tell the owner ``text``, which is no alert of the database's."""
    try:
        chat.send(text, False)
    except ChatError as error:
        log.warning("the owner could not be told %r: %s", text[:40], error)
        return False
    return True


def split_text(text: str, limit: int) -> tuple[str, ...]:
    """``text`` in pieces of at most ``limit`` characters, cut at line feeds where there are any."""
    parts = []
    while len(text) > limit:
        cut = text.rfind("\n", 1, limit + 1)
        end = cut if cut > 0 else limit
        parts.append(text[:end])
        text = text[end:].removeprefix("\n")
    return (*parts, text)
