"""Ends the process that holds a lock file, and no other.

A number in a file may be anybody's by now. So the process is pinned first (a pidfd names one process
for good), then it must prove to have the file open or locked, and only then is it sent anything.
"""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

TERM_S = 10.0
"""What a daemon needs at most to end by itself."""

KILL_S = 5.0


class HolderUnknown(Exception):
    """Who holds the lock cannot be told for certain; the text is one line."""


def holder(path: Path) -> int:
    """The process number in the lock file. Raises HolderUnknown."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        raise HolderUnknown(f"{path} names no process") from None


def end_holder(path: Path, number: int, term_s: float = TERM_S) -> bool:
    """SIGTERM, then SIGKILL; whether process ``number`` is over. Raises HolderUnknown before any signal."""
    try:
        pinned = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    except (OSError, AttributeError) as error:
        raise HolderUnknown(f"process {number} cannot be examined ({error}); end it yourself") from None
    try:
        if not _holds(number, path):
            raise HolderUnknown(f"process {number} does not hold {path}; end the daemon yourself")
        for word, wait_s in ((signal.SIGTERM, term_s), (signal.SIGKILL, KILL_S)):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pinned, word)
            if _over(pinned, wait_s):
                return True
        return False
    finally:
        os.close(pinned)


def _over(pinned: int, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(pinned, select.POLLIN)
    return bool(poll.poll(wait_s * 1000))


def _holds(number: int, path: Path) -> bool:
    """Raises HolderUnknown."""
    try:
        return _has_open(number, path) or _has_locked(number, path)
    except OSError as error:
        raise HolderUnknown(f"process {number} cannot be examined ({error.strerror})") from None


def _has_open(number: int, path: Path) -> bool:
    """As far as its files can be seen; those of a process in a user namespace of its own cannot."""
    wanted = path.stat()
    with suppress(OSError):
        for file in Path(f"/proc/{number}/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(file.stat(), wanted):
                    return True
    return False


def _has_locked(number: int, path: Path) -> bool:
    """Whether the kernel's list of locks, which anybody may read, has it."""
    inode = f"{_device(path)}:{path.stat().st_ino}"
    locks = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return any(words[1] == "FLOCK" and words[4:6] == [str(number), inode] for words in locks)


def _device(path: Path) -> str:
    """The file system's number as the kernel lists it; ``stat`` does not tell it on each of them."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        facts = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    finally:
        os.close(fd)
    (mount,) = (line.split()[1] for line in facts if line.startswith("mnt_id:"))
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    for words in mounts:
        if words[0] == mount:
            major, minor = map(int, words[2].split(":"))
            return f"{major:02x}:{minor:02x}"
    return ""
