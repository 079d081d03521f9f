"""The owner's halt as a file: while it exists no entry is sent, whichever process looks."""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wsb_snake.core.lanes import Flag, Lanes, Promise


class HaltFile:
    """The file in the daemon. A lane of its own waits for the disk: one that hangs holds nobody else."""

    def __init__(self, lanes: Lanes, path: Path) -> None:
        self.path = path
        self.bell = Flag(lanes, "bell-halt-file")
        self._lanes = lanes
        self._asked: deque[tuple[Callable[[Path], None], Promise[None]]] = deque()

    def exists(self) -> bool:
        """Whether it is there; read from the disk each time."""
        return self.path.exists()

    def make(self) -> Promise[None]:
        """Have it made; the promise is kept once it is durable, or fails with OSError."""
        return self._ask(create)

    def take_away(self) -> Promise[None]:
        """Have it taken away, after what was asked before; the promise may fail with OSError."""
        return self._ask(remove)

    def work(self) -> None:
        """Do what was asked, oldest first: the step of its lane."""
        while self._asked:
            change, promise = self._asked.popleft()
            try:
                change(self.path)
            except OSError as error:
                promise.fail(error)
            else:
                promise.resolve(None)

    def _ask(self, change: Callable[[Path], None]) -> Promise[None]:
        promise: Promise[None] = Promise(self._lanes, "halt-file")
        self._asked.append((change, promise))
        self.bell.set()
        return promise


def create(path: Path) -> None:
    """Make the file, durable also across a power cut. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Take the file away, if it is there. Raises OSError."""
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems do not take it
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
