"""One ticker's way to a trade, minute by minute: pure.

LURK -> COILED (compression near a level, or the power hour is near) -> RATTLE (a setup stirs) -> STRIKE
(may trade) -> CONSTRICT (holds a position) -> VENOM (post-mortem) -> LURK. Each minute moves at most one
step, so nothing goes from LURK to STRIKE at once. A strike needs a setup whose conditions have all held
in the same direction for several minutes in a row, no chop, and a fused score that agrees.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from wsb_snake.engines.types import Direction


class Phase(StrEnum):
    LURK = "lurk"
    COILED = "coiled"
    RATTLE = "rattle"
    STRIKE = "strike"
    CONSTRICT = "constrict"
    VENOM = "venom"


@dataclass(frozen=True, slots=True)
class MachineRules:
    persist_minutes: int = 3  # in a row in which all conditions must have held before a strike
    strike_score: float = 60  # fused score that a strike needs, 0 to 100
    lunch_score: float = 5  # added to it in the lunch window
    keep_score: float = 40  # below it a strike is over
    coil_minutes: int = 20  # that a coil is remembered for
    quiet_minutes: int = 5  # without any stirring that end RATTLE
    gap_minutes: int = 3  # longer without a bar breaks a row of minutes
    constrict_minutes: int = 60  # after which a position is taken for closed although nobody said so
    venom_minutes: int = 10  # of post-mortem


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one minute showed. ``at`` is the end of its bar.

    ``stirring``: a setup has most of what it needs; ``aligned`` is the direction of one that has all
    of it, and ``score`` the fused score towards it, 0 where there is none, of which learnt weights
    gave ``moved`` points.
    """

    at: datetime
    coiled: bool = False
    stirring: bool = False
    aligned: Direction | None = None
    choppy: bool = False
    score: float = 0.0
    moved: float = 0.0
    lunch: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """``since`` is the minute in which the phase began; ``held`` counts minutes of ``direction`` in a row;
    ``score`` and ``moved`` are those with which it struck."""

    phase: Phase = Phase.LURK
    since: datetime | None = None
    seen: datetime | None = None
    coiled_at: datetime | None = None
    stirred_at: datetime | None = None
    direction: Direction | None = None
    held: int = 0
    score: float = 0.0
    moved: float = 0.0


def step(machine: Machine, now: Conditions, rules: MachineRules = MachineRules()) -> Machine:
    """``machine`` after one more minute; a minute that it has seen already changes nothing."""
    if machine.seen is not None and now.at <= machine.seen:
        return machine
    machine = _remember(machine, now, rules)
    phase = _next(machine, now, rules)
    if phase is machine.phase:
        return machine
    machine = replace(machine, phase=phase, since=now.at)
    return replace(machine, score=now.score, moved=now.moved) if phase is Phase.STRIKE else machine


def traded(machine: Machine, now: datetime) -> Machine:
    """``machine`` after an entry was sent: it holds on. Only what struck can hold."""
    if machine.phase is not Phase.STRIKE:
        return machine
    return replace(machine, phase=Phase.CONSTRICT, since=now)


def closed(machine: Machine, now: datetime) -> Machine:
    """``machine`` after its position was closed, or its entry did not fill."""
    if machine.phase is not Phase.CONSTRICT:
        return machine
    return replace(machine, phase=Phase.VENOM, since=now)


def _remember(machine: Machine, now: Conditions, rules: MachineRules) -> Machine:
    gap = machine.seen is not None and now.at - machine.seen > _minutes(rules.gap_minutes)
    goes_on = now.aligned is not None and now.aligned is machine.direction and not gap
    return replace(
        machine,
        seen=now.at,
        coiled_at=now.at if now.coiled else machine.coiled_at,
        stirred_at=now.at if now.stirring or now.aligned is not None else machine.stirred_at,
        direction=now.aligned,
        held=machine.held + 1 if goes_on else int(now.aligned is not None),
    )


def _next(machine: Machine, now: Conditions, rules: MachineRules) -> Phase:
    """The phase after this minute, at most one step from the one before."""
    match machine.phase:
        case Phase.LURK:
            return Phase.COILED if now.coiled else Phase.LURK
        case Phase.COILED:
            if _fresh(machine.stirred_at, now.at, 0):
                return Phase.RATTLE
            return Phase.COILED if _fresh(machine.coiled_at, now.at, rules.coil_minutes) else Phase.LURK
        case Phase.RATTLE:
            if _strikes(machine, now, rules):
                return Phase.STRIKE
            return Phase.RATTLE if _fresh(machine.stirred_at, now.at, rules.quiet_minutes) else Phase.COILED
        case Phase.STRIKE:
            return Phase.STRIKE if _stays(machine, now, rules) else Phase.RATTLE
        case Phase.CONSTRICT:
            return Phase.CONSTRICT if _fresh(machine.since, now.at, rules.constrict_minutes) else Phase.VENOM
        case Phase.VENOM:
            return Phase.VENOM if _fresh(machine.since, now.at, rules.venom_minutes) else Phase.LURK


def _strikes(machine: Machine, now: Conditions, rules: MachineRules) -> bool:
    needed = rules.strike_score + (rules.lunch_score if now.lunch else 0)
    return now.score >= needed and _stays(machine, now, rules)


def _stays(machine: Machine, now: Conditions, rules: MachineRules) -> bool:
    """What a strike needs to go on."""
    return machine.held >= rules.persist_minutes and now.score >= rules.keep_score and not now.choppy


def _fresh(at: datetime | None, now: datetime, minutes: int) -> bool:
    """Whether ``at`` lies at most ``minutes`` before ``now``."""
    return at is not None and now - at <= _minutes(minutes)


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)
