"""Why no new position may be opened: a set of reasons, durable where a person or a limit set them.

A pause stops entries only. Watching and closing never ask here.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import Lanes, Promise
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant, instant_text

REASONS = frozenset(
    {"alpaca", "data", "stream", "journal", "clock", "calendar", "reconcile", "manual", "daily_loss", "eod"}
)

DURABLE = frozenset({"manual", "daily_loss", "alpaca"})
"""Survive a restart; the others are found out anew at each start."""

Also = Callable[[sqlite3.Connection], None]
"""Writes something else in the transaction of the pause."""


@dataclass(frozen=True, slots=True)
class Pause:
    """``until``: when it ends by itself (aware UTC); None: it does not."""

    reason: str
    since: datetime
    detail: str
    until: datetime | None = None


class Pauses:
    """The reasons in force."""

    def __init__(self, lanes: Lanes, database: Database) -> None:
        self._lanes = lanes
        self._database = database
        self._lock = lanes.lock("pauses")
        self._held: dict[str, Pause] = {}
        self._kept: Promise[None] | None = None  # what the last ``hold`` wrote
        self.goes_on = ""  # what a pause leaves going on, where it isn't the usual

    def load(self, conn: sqlite3.Connection) -> None:
        found = stored(conn)
        with self._lock:
            self._held.update({pause.reason: pause for pause in found})

    @property
    def any(self) -> bool:
        return bool(self._held)

    def listed(self) -> tuple[Pause, ...]:
        held = self._held.copy()  # one step to other lanes
        return tuple(held[reason] for reason in sorted(held))

    def has(self, reason: str) -> bool:
        return reason in self._held

    def set(self, reason: str, detail: str, *, also: Also | None = None, **data: object) -> bool:
        """Pause for ``reason``; True when it is new. ``data`` goes into the event."""
        if reason not in REASONS:
            raise ValueError(f"{reason} is not a pause reason")
        now = self._lanes.clock.now()
        with self._lock:
            if reason in self._held:
                return False
            pause = Pause(reason, now, detail)
            self._held[reason] = pause
            if self.goes_on:
                data["goes_on"] = self.goes_on
            self._database.transact(_writes_pause(pause, data, also, now), urgent=True)
        return True

    def hold(self, reason: str, detail: str, until: datetime | None) -> Pause:
        """Pause for ``reason`` until then (None: until it is cleared); the pause that holds from now on.

        A pause without an end stays as it is, one with an end gives way to this.
        """
        with self._lock:
            held = self._held.get(reason)
            if held is not None and held.until is None:
                return held
            pause = Pause(reason, self._lanes.clock.now() if held is None else held.since, detail, until)
            if pause != held:
                self._held[reason] = pause
                data: dict[str, object] = {"until": until}
                if self.goes_on:
                    data["goes_on"] = self.goes_on
                write = _writes_pause(pause, data, None, self._lanes.clock.now())
                self._kept = self._database.transact(write, urgent=True)
        return pause

    def kept(self, timeout: float) -> bool:
        """Whether what ``hold`` wrote is durable, waiting ``timeout`` seconds for it at most."""
        kept = self._kept
        return kept is None or (kept.wait(timeout) and kept.succeeded())

    def end_those_over(self) -> None:
        """Take away every pause whose end has come."""
        now = self._lanes.clock.now()
        for pause in self.listed():
            if pause.until is not None and pause.until <= now:
                self.clear(pause.reason, detail="the time that you set is over")

    def clear(self, reason: str, *, detail: str = "", also: Also | None = None) -> bool:
        """Take one reason away; True when it was there. ``detail`` says why, if it is not plain."""
        now = self._lanes.clock.now()
        with self._lock:
            if self._held.pop(reason, None) is None:
                return False
            self._database.transact(_writes_resume(reason, now, detail, also), urgent=True)
        return True


def stored(conn: sqlite3.Connection) -> tuple[Pause, ...]:
    """Those that a restart finds again. Raises sqlite3.Error."""
    rows = conn.execute("SELECT reason, since, detail, until FROM pauses ORDER BY reason").fetchall()
    return tuple(
        Pause(reason, instant(since), detail, instant(until)) for reason, since, detail, until in rows
    )


def _writes_pause(pause: Pause, data: dict[str, object], also: Also | None, now: datetime) -> Also:
    def write(conn: sqlite3.Connection) -> None:
        if pause.reason in DURABLE:
            conn.execute(
                "INSERT OR REPLACE INTO pauses (reason, since, detail, until) VALUES (?, ?, ?, ?)",
                (pause.reason, instant_text(pause.since), pause.detail, instant_text(pause.until)),
            )
        journal.append(conn, now, EventKind.PAUSED, {"reason": pause.reason, "detail": pause.detail, **data})
        if also is not None:
            also(conn)

    return write


def _writes_resume(reason: str, now: datetime, detail: str, also: Also | None) -> Also:
    def write(conn: sqlite3.Connection) -> None:
        conn.execute("DELETE FROM pauses WHERE reason = ?", (reason,))
        told = {"reason": reason, "detail": detail} if detail else {"reason": reason}
        journal.append(conn, now, EventKind.RESUMED, told)
        if also is not None:
            also(conn)

    return write
