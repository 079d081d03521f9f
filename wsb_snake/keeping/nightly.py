"""The ``backup`` command: one backup, one line, and an alert when it went wrong."""

from dataclasses import dataclass
from pathlib import Path

from wsb_snake.config import Settings
from wsb_snake.core.clock import Clock
from wsb_snake.keeping.backup import BackupFailed, Copy, back_up, carry_off
from wsb_snake.keeping.copies import copy_database


@dataclass(frozen=True, slots=True)
class Told:
    """``line`` is for cron; without ``ok`` something needs the owner."""

    ok: bool
    line: str


def nightly(settings: Settings, clock: Clock, copy: Copy = copy_database) -> Told:
    """Back up. What went wrong is told by Telegram as well, after the backup is through."""
    try:
        made = back_up(settings, clock.now(), copy)
    except BackupFailed as error:
        line = f"backup failed: {error}"
    else:
        if not made.problems:
            return Told(True, f"backup {made.line()}")
        line = f"backup {made.line()}"
    return _trouble(settings, line)


def carry(settings: Settings, file: Path) -> Told:
    """Run BACKUP_COPY_COMMAND on ``file``, a backup that was made without it."""
    problems = [*carry_off(settings, file)] if file.is_file() else ["there is no such file"]
    if not problems:
        return Told(True, f"backup {file} carried off" if settings.backup_copy_command else f"backup {file}")
    return _trouble(settings, "; ".join((f"backup {file}", *problems)))


def _trouble(settings: Settings, line: str) -> Told:
    from wsb_snake.keeping.alarm import tell_owner  # the chat's client, for nights that go wrong only

    why_not = tell_owner(settings, f"{line}. Trading is not affected.")
    return Told(False, line if why_not is None else f"{line} (not told by Telegram: {why_not})")
