"""What the campaign holds the daemon to, and what it is when it does not keep to it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from wsb_snake.core.clock import Clock


class Promise(StrEnum):
    """Invariants by their number in INVARIANTS.md."""

    NEVER_SHORT = "I-101"
    ONE_LIVE_EXIT = "I-102"
    LIMITS = "I-103"
    NO_ENTRY_WHEN_FORBIDDEN = "I-104"
    GONE_AT_THE_END = "I-105"
    TOLD_WHEN_NOT = "I-106"
    LATER_UNTOUCHED = "I-107"
    BOOK_IS_BROKER = "I-108"
    ONE_OUTCOME = "I-109"
    CONSUMED_ONCE = "I-110"
    PAUSES_SURVIVE = "I-111"
    ALERTS_IN_ORDER = "I-112"
    EXPLAINED = "I-113"
    NO_BLIND_RESEND = "I-114"
    PROOF_IS_TRUE = "I-115"
    EXITS_GET_DONE = "I-116"
    RESERVATIONS_END = "I-117"
    NO_LANE_FAILS = "I-118"


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was not kept, when (also as the day's ``step``) and how."""

    promise: Promise
    step: int
    at: datetime
    text: str


@dataclass(slots=True)
class Findings:
    """What a day's checks came to. ``checked`` counts how often a premise was true, ``before_due`` how
    often what is promised was done without it."""

    clock: Clock
    step: int = 0
    violations: list[Violation] = field(default_factory=list)
    checked: Counter[Promise] = field(default_factory=Counter)
    before_due: Counter[Promise] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    def check(self, promise: Promise, kept: bool, text: str) -> None:
        """Count one check, and note it when ``kept`` is false."""
        self.checked[promise] += 1
        if not kept:
            self.violations.append(Violation(promise, self.step, self.clock.now(), text))
