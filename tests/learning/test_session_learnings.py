"""The learnings file: what is written is read, and what is broken is set aside."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from wsb_snake.learning.session_learnings import (
    KEPT_LESSONS,
    Lesson,
    SessionLearnings,
    load,
    save,
    with_lesson,
)

NOW = datetime(2026, 11, 24, 13, 0, 5, tzinfo=UTC)
LEARNINGS = SessionLearnings(
    battle_plan=("SPY first", "no size at lunch — “chop”"),
    raise_bar=5.0,
    lessons=(Lesson(date(2026, 11, 23), "late entries paid for the spread"),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session_learnings.json"


def test_what_is_saved_is_loaded(path: Path) -> None:
    save(path, LEARNINGS)
    found = load(path, NOW)
    assert found.learnings == LEARNINGS
    assert found.problem is None


def test_a_missing_file_is_an_empty_one(path: Path) -> None:
    found = load(path, NOW)
    assert found.learnings == SessionLearnings()
    assert found.problem is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        b'{"battle_plan": "buy"}',
        b'{"battle_plan": [1]}',
        b'{"raise_bar": -5}',
        b'{"raise_bar": 31}',
        b'{"raise_bar": NaN}',
        b'{"raise_bar": true}',
        b'{"lessons": {}}',
        b'{"lessons": [{"session": "yesterday", "text": "x"}]}',
        b'{"lessons": [{"session": "2026-11-23"}]}',
    ],
)
def test_a_corrupt_file_is_set_aside_and_reported(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found = load(path, NOW)
    assert found.learnings == SessionLearnings()
    assert found.problem is not None
    assert "\n" not in found.problem
    aside = path.with_name("session_learnings.json.corrupt-20261124T130005Z")
    assert aside.name in found.problem
    assert aside.read_bytes() == content
    assert not path.exists()


def test_a_place_that_is_no_file_is_reported_and_left(path: Path) -> None:
    path.mkdir()
    found = load(path, NOW)
    assert found.learnings == SessionLearnings()
    assert found.problem == "session_learnings.json cannot be read: Is a directory"


def test_the_file_knows_no_stops_and_lowers_no_bar(path: Path) -> None:
    path.write_text(json.dumps({"stop": 0.5, "eod": "15:59", "raise_bar": 3}), encoding="utf-8")
    assert load(path, NOW).learnings == SessionLearnings(raise_bar=3.0)


def test_a_failed_save_leaves_the_old_file(path: Path) -> None:
    save(path, LEARNINGS)
    (path.parent / ".session_learnings.json.tmp").mkdir()  # the disk refuses the new one
    with pytest.raises(OSError, match="directory"):
        save(path, SessionLearnings())
    assert load(path, NOW).learnings == LEARNINGS


def test_nothing_is_left_beside_the_file(path: Path) -> None:
    save(path, LEARNINGS)
    save(path, SessionLearnings())
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_one_lesson_a_session_and_the_newest_are_kept() -> None:
    learnings = SessionLearnings()
    first = date(2026, 1, 1)
    for n in range(KEPT_LESSONS + 5):
        learnings = with_lesson(learnings, Lesson(first + timedelta(days=n), "draft"))
        learnings = with_lesson(learnings, Lesson(first + timedelta(days=n), f"day {n}"))
    assert [lesson.text for lesson in learnings.lessons] == [f"day {n}" for n in range(5, KEPT_LESSONS + 5)]
