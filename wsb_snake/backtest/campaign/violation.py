"""What the campaign holds the daemon to, and what it is when it does not keep to it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wsb_snake.core.clock import Clock


class Promise(StrEnum):
    """Invariants by their number in INVARIANTS.md."""

    NEVER_SHORT = "I-60"
    ONE_LIVE_EXIT = "I-61"
    LIMITS = "I-62"
    NO_ENTRY_WHEN_FORBIDDEN = "I-63"
    GONE_AT_THE_END = "I-64"
    TOLD_WHEN_NOT = "I-65"
    LATER_UNTOUCHED = "I-66"
    BOOK_IS_BROKER = "I-67"
    ONE_OUTCOME = "I-68"
    CONSUMED_ONCE = "I-69"
    PAUSES_SURVIVE = "I-70"
    ALERTS_IN_ORDER = "I-71"
    EXPLAINED = "I-72"
    NO_BLIND_RESEND = "I-73"
    PROOF_IS_TRUE = "I-74"
    EXITS_GET_DONE = "I-75"
    RESERVATIONS_END = "I-76"
    NO_LANE_FAILS = "I-77"


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was not kept, when (also as the day's ``step``) and how."""

    promise: Promise
    step: int
    at: datetime
    text: str


@dataclass(slots=True)
class Findings:
    """What a day's checks came to. ``checked`` counts how often a premise was true."""

    clock: Clock
    step: int = 0
    violations: list[Violation] = field(default_factory=list)
    checked: Counter[Promise] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    def check(self, promise: Promise, kept: bool, text: str) -> None:
        """Count one check, and note it when ``kept`` is false."""
        self.checked[promise] += 1
        if not kept:
            self.violations.append(Violation(promise, self.step, self.clock.now(), text))
