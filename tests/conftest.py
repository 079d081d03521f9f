"""What every test shares: the time zone, repeatable examples, and where optional data lies."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["TZ"] = "UTC"
time.tzset()
os.environ.setdefault("PTB_TIMEDELTA", "true")

MEMORY = Path("/dev/shm")
ROOM = 2 * 1024**3


def keep_files_in_memory() -> None:
    """Thousands of small databases wait for the disk at every commit; where there is room, they need not.

    Who names a place by TMPDIR has it. A place where nothing can be started is none: tests make scripts.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return
    if not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


keep_files_in_memory()
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference data beside the repository; a test that needs it is skipped where it is absent."""
    place = Path(__file__).resolve().parents[1].parent / "shared"
    if not place.is_dir():
        pytest.skip(f"no reference data at {place.name}/ beside the repository")
    return place
