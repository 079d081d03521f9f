"""A lock file that one process holds while it lives; the kernel lets go when it dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process holds the lock; the text is one line that names it."""


class LockUnavailable(Exception):
    """The disk gives no lock file; the text is one line."""


class ProcessLock:
    """``flock`` on a file that holds the owner's process id."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock for as long as this process lives. Raises AlreadyRunning and LockUnavailable.

        On a full or read-only disk an existing file is locked all the same, without our number in it.
        """
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            number = os.read(fd, 32).decode(errors="replace").strip()
            os.close(fd)
            raise AlreadyRunning(f"{self._what} is in use by process {number or 'unknown'}") from None
        with suppress(OSError):
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            with suppress(OSError):
                return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            raise LockUnavailable(f"{self._what} cannot be locked ({error.strerror})") from error

    def release(self) -> None:
        """Let go; the file stays, since removing it could split the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
