"""What every test shares: the time zone, repeatable examples, and where optional data lies."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["TZ"] = "UTC"
time.tzset()

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference data beside the repository; a test that needs it is skipped where it is absent."""
    place = Path(__file__).resolve().parents[1].parent / "shared"
    if not place.is_dir():
        pytest.skip(f"no reference data at {place.name}/ beside the repository")
    return place
