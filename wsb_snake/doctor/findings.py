"""What the doctor found: one line each, with the fix where something is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The worst one is the exit code."""

    OK = 0
    WARNING = 1
    FAILURE = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` says what is, ``fix`` what to do about it (empty when all is well)."""

    level: Level
    subject: str
    text: str
    fix: str = ""

    def line(self) -> str:
        told = f"{self.level.name.lower():<8} {self.subject}: {self.text}"
        return " ".join(f"{told}; {self.fix}".split("\n")) if self.fix else " ".join(told.split("\n"))


def ok(subject: str, text: str) -> Finding:
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, fix: str) -> Finding:
    return Finding(Level.WARNING, subject, text, fix)


def failure(subject: str, text: str, fix: str) -> Finding:
    return Finding(Level.FAILURE, subject, text, fix)


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.level for finding in findings), default=Level.OK)
