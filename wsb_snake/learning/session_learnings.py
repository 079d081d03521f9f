"""``session_learnings.json``: the battle plan and the daily lessons.

The file may raise the confidence bar and nothing else; stops, limits and the EOD time are no fields
of it. It is written atomically. A file that cannot be understood is set aside under another name and
reported; it never stops the daemon.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path

MAX_BAR_RAISE = 30
KEPT_LESSONS = 60


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one session taught, in a sentence."""

    session: date
    text: str


@dataclass(frozen=True, slots=True)
class SessionLearnings:
    """``raise_bar`` is added to the confidence that an entry needs: 0 to MAX_BAR_RAISE points."""

    battle_plan: tuple[str, ...] = ()
    raise_bar: float = 0.0
    lessons: tuple[Lesson, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """``problem`` is one line for the owner when the file could not be used."""

    learnings: SessionLearnings
    problem: str | None = None


def load(path: Path, now: datetime) -> Loaded:
    """What ``path`` holds; a missing file is an empty one. ``now`` (aware UTC) names a file set aside."""
    try:
        return Loaded(_parse(path.read_bytes()))
    except FileNotFoundError:
        return Loaded(SessionLearnings())
    except OSError as error:
        return Loaded(SessionLearnings(), f"{path.name} cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        return Loaded(SessionLearnings(), _set_aside(path, now, str(error)))


def save(path: Path, learnings: SessionLearnings) -> None:
    """Replace ``path`` as a whole: a reader, or a crash at any instruction, finds the old or the new.

    Its directory is made where it is missing. Raises OSError when the disk refuses.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(learnings), file, ensure_ascii=False, indent=2, default=date.isoformat)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the new name is durable, too
    finally:
        os.close(directory)


def with_lesson(learnings: SessionLearnings, lesson: Lesson) -> SessionLearnings:
    """``learnings`` with ``lesson``, one a session, the newest KEPT_LESSONS kept."""
    others = (known for known in learnings.lessons if known.session != lesson.session)
    ordered = sorted((*others, lesson), key=lambda known: known.session)
    return replace(learnings, lessons=tuple(ordered[-KEPT_LESSONS:]))


def _parse(content: bytes) -> SessionLearnings:
    """Raises ValueError that says what is wrong."""
    stored = json.loads(content)
    if not isinstance(stored, dict):
        raise ValueError("it is no JSON object")
    plan, lessons, bar = stored.get("battle_plan", []), stored.get("lessons", []), stored.get("raise_bar", 0)
    if not isinstance(plan, list) or not all(isinstance(line, str) for line in plan):
        raise ValueError("battle_plan is no list of texts")
    if isinstance(bar, bool) or not isinstance(bar, int | float) or not 0 <= bar <= MAX_BAR_RAISE:
        raise ValueError(f"raise_bar is not between 0 and {MAX_BAR_RAISE}")
    if not isinstance(lessons, list):
        raise ValueError("lessons is no list")
    return SessionLearnings(tuple(plan), float(bar), tuple(_lesson(item) for item in lessons))


def _lesson(item: object) -> Lesson:
    match item:
        case {"session": str(day), "text": str(text)}:
            return Lesson(date.fromisoformat(day), text)
    raise ValueError("a lesson has no session and text")


def _set_aside(path: Path, now: datetime, why: str) -> str:
    aside = path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}")
    try:
        path.replace(aside)
    except OSError as error:
        return f"{path.name} is corrupt ({why}) and could not be set aside: {error.strerror}"
    return f"{path.name} is corrupt ({why}): set aside as {aside.name}, starting with an empty one"
