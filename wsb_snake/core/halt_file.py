"""The owner's halt as a file: while it exists no entry is sent, whichever process looks."""

import os
from contextlib import suppress
from pathlib import Path


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
