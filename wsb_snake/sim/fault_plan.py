"""Which faults a drill day holds ready, by seed and by profile, and at what they aim.

A fault may wait for something to be in flight (an exit sent, an entry unknown …), so that a campaign
covers every kind at every stage and not only the idle hours. ``POSSIBLE`` lists the pairs that exist.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from wsb_snake.sim.faults import FaultKind as K
from wsb_snake.sim.sessions import SimSession

P = TypeVar("P")


class InFlight(StrEnum):
    """What the daemon has under way at one moment; several at once are common."""

    ENTRY_SENT = "entry_sent"
    ENTRY_UNKNOWN = "entry_unknown"
    EXIT_CLAIMED = "exit_claimed"
    EXIT_SENT = "exit_sent"
    EXIT_PARTIAL = "exit_partial"
    CANCEL_PENDING = "cancel_pending"
    PROOF = "proof_under_way"
    JOURNAL_STALLED = "journal_stalled"
    IDLE = "idle"


class CrashKind(StrEnum):
    """Where a process dies."""

    YIELD = "crash_at_yield"
    BEFORE_COMMIT = "crash_before_commit"
    INSIDE_COMMIT = "crash_inside_commit"
    AFTER_COMMIT = "crash_after_commit"


CALL_BEFORE = frozenset(
    {K.HANG_BEFORE, K.RESET_BEFORE, K.HTTP_429, K.HTTP_500_BEFORE, K.HTTP_503, K.HTTP_504_BEFORE}
)
CALL_AFTER = frozenset({K.HANG_AFTER, K.RESET_AFTER, K.HTTP_500_AFTER, K.HTTP_504_AFTER})
ANSWER_BYTES = frozenset({K.HTML_BODY, K.EMPTY_BODY, K.CUT_BODY, K.NULL_DATA, K.UNKNOWN_WORD})
BYTES = ANSWER_BYTES | {K.MALFORMED_FRAME}
"""Live in bytes, so they strike below the vendor's client only."""
EVENTS = frozenset({K.EVENT_TWICE, K.EVENT_LOST, K.EVENT_LATE, K.EVENTS_REORDERED})
VENUE = frozenset(
    {
        K.PARTIAL_FILL,
        K.NO_FILL,
        K.ASYNC_REJECT,
        K.STUCK_CANCEL,
        K.CANCEL_FILL_RACE,
        K.CUTOFF_OPENING,
        K.CUTOFF_ALL,
        K.POSITIONS_LAG,
    }
)
QUOTES = frozenset({K.STALE_QUOTES, K.CROSSED_QUOTES, K.ZERO_QUOTES})
WORLD = frozenset(
    {
        K.STREAM_MUTE,
        K.STREAM_FLAPS,
        K.EARLY_LIQUIDATION,
        K.NO_BID,
        K.FOREIGN_ORDER,
        K.MANUAL_CLOSE,
        K.CALENDAR_SURPRISE,
        K.SLOW_DISK,
        K.DISK_FULL,
        K.CHAT_DOWN,
    }
)
"""Come from outside of any call; whoever drives the day carries them out."""

RARE = frozenset({K.CALENDAR_SURPRISE})
"""Ends the day's entries, so it has days of its own."""
RARE_EVERY_DAYS = 4

PROFILES: MappingProxyType[str, frozenset[K]] = MappingProxyType(
    {
        "none": frozenset(),
        "network": CALL_BEFORE | CALL_AFTER | BYTES,
        "stream": EVENTS | {K.STREAM_MUTE, K.STREAM_FLAPS, K.MALFORMED_FRAME},
        "venue": VENUE | {K.EARLY_LIQUIDATION, K.NO_BID},
        "quotes": QUOTES | {K.NO_BID},
        "people": frozenset({K.FOREIGN_ORDER, K.MANUAL_CLOSE, K.CALENDAR_SURPRISE}),
        "house": frozenset({K.SLOW_DISK, K.DISK_FULL, K.CHAT_DOWN}),
        "all": frozenset(K),
    }
)

_OF_AN_ORDER = CALL_AFTER | (VENUE - {K.POSITIONS_LAG})
_IMPOSSIBLE: frozenset[tuple[K | CrashKind, InFlight]] = frozenset(
    {
        # these strike an order that is itself in flight
        *((kind, InFlight.IDLE) for kind in _OF_AN_ORDER),
        # after the end of day's close nothing is opened, and no earlier close can be announced
        (K.CUTOFF_OPENING, InFlight.PROOF),
        (K.CALENDAR_SURPRISE, InFlight.PROOF),
        # without a journal nothing is opened, and a stalled disk cannot stall
        (K.CUTOFF_OPENING, InFlight.JOURNAL_STALLED),
        (K.SLOW_DISK, InFlight.JOURNAL_STALLED),
        (K.DISK_FULL, InFlight.JOURNAL_STALLED),
        # a disk that takes no commit finishes none
        (CrashKind.AFTER_COMMIT, InFlight.JOURNAL_STALLED),
    }
)
POSSIBLE: tuple[tuple[K, InFlight], ...] = tuple(
    (kind, state) for kind in K for state in InFlight if (kind, state) not in _IMPOSSIBLE
)
POSSIBLE_CRASHES: tuple[tuple[CrashKind, InFlight], ...] = tuple(
    (kind, state) for kind in CrashKind for state in InFlight if (kind, state) not in _IMPOSSIBLE
)

_OF_AN_ANSWER = CALL_AFTER | {K.ASYNC_REJECT, K.CANCEL_FILL_RACE, K.CUTOFF_OPENING}
HARD: frozenset[tuple[K | CrashKind, InFlight]] = frozenset(
    {
        *((kind, state) for kind in K for state in (InFlight.PROOF, InFlight.EXIT_PARTIAL)),
        *(
            (kind, state)
            for kind in _OF_AN_ANSWER
            for state in (InFlight.ENTRY_UNKNOWN, InFlight.JOURNAL_STALLED)
        ),
        *((kind, state) for kind in BYTES for state in InFlight),
        *(
            (kind, state)
            for kind in EVENTS | {K.MALFORMED_FRAME, K.PARTIAL_FILL}
            for state in (InFlight.JOURNAL_STALLED, InFlight.IDLE)
        ),
        *((kind, InFlight.ENTRY_UNKNOWN) for kind in (K.CUTOFF_ALL, K.PARTIAL_FILL, K.STUCK_CANCEL)),
        *((kind, InFlight.ENTRY_SENT) for kind in (K.CUTOFF_ALL, K.CANCEL_FILL_RACE)),
        *((kind, InFlight.EXIT_CLAIMED) for kind in CALL_BEFORE | {K.CUTOFF_OPENING, K.ASYNC_REJECT}),
        (K.CUTOFF_OPENING, InFlight.EXIT_SENT),
        (K.CUTOFF_OPENING, InFlight.CANCEL_PENDING),
    }
)
"""Pairs that seldom get their chance, so they are armed more often;"""
HARDER = frozenset(
    {
        *(
            (K.CUTOFF_OPENING, s)
            for s in (InFlight.EXIT_CLAIMED, InFlight.EXIT_SENT, InFlight.CANCEL_PENDING)
        ),
        (K.HTTP_500_AFTER, InFlight.PROOF),
        *((kind, InFlight.EXIT_PARTIAL) for kind in (K.HTML_BODY, K.EMPTY_BODY, K.CUT_BODY)),
        *((K.UNKNOWN_WORD, s) for s in (InFlight.IDLE, InFlight.ENTRY_UNKNOWN)),
    }
)
"""those that do still less often;"""
HARDEST = frozenset(
    {
        *((kind, InFlight.ENTRY_UNKNOWN) for kind in (K.CANCEL_FILL_RACE, K.STUCK_CANCEL)),
        (K.CUTOFF_OPENING, InFlight.EXIT_PARTIAL),
        (K.NULL_DATA, InFlight.EXIT_PARTIAL),
        *((K.MALFORMED_FRAME, s) for s in (InFlight.IDLE, InFlight.EXIT_CLAIMED, InFlight.PROOF)),
        *((K.UNKNOWN_WORD, s) for s in (InFlight.EXIT_CLAIMED, InFlight.EXIT_PARTIAL)),
    }
)
"""and those that do hardly ever."""
_TIMES = ((HARDEST, 30), (HARDER, 7), (HARD, 3))

OPENERS: MappingProxyType[InFlight, tuple[tuple[K, InFlight | None, str], ...]] = MappingProxyType(
    {
        InFlight.ENTRY_UNKNOWN: (
            (K.RESET_BEFORE, InFlight.ENTRY_SENT, "POST /v2/orders"),
            (K.HTTP_503, InFlight.ENTRY_UNKNOWN, "GET /v2/orders:by"),
        ),
        InFlight.EXIT_CLAIMED: ((K.CUTOFF_ALL, InFlight.EXIT_SENT, ""),),
        InFlight.EXIT_PARTIAL: ((K.PARTIAL_FILL, InFlight.EXIT_SENT, ""),),
        InFlight.CANCEL_PENDING: (
            (K.NO_FILL, InFlight.EXIT_SENT, ""),
            (K.STUCK_CANCEL, InFlight.CANCEL_PENDING, ""),
        ),
        InFlight.JOURNAL_STALLED: (
            (K.NO_FILL, InFlight.EXIT_SENT, ""),
            (K.DISK_FULL, InFlight.EXIT_SENT, ""),
        ),
        InFlight.PROOF: ((K.NO_BID, None, ""),),
    }
)
"""What brings about a stage that is rare by itself: armed beside a fault or crash that waits for it."""
AN_ORDER_TO_TELL_OF = (K.FOREIGN_ORDER, InFlight.PROOF, "")
"""By then ours are over, so nothing that the broker tells holds a word that could become unknown."""

BARE_FROM, BARE_UNTIL = timedelta(minutes=60), timedelta(minutes=42)
"""Before the close: when a contract loses its bids, so that the end of day has something left to do."""

AIMED, LOOSE, AIMED_CRASHES = 40, 6, 4
"""Faults that wait for a stage, faults that wait for an hour, and crashes, of one day."""


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault that is ready from ``not_before`` on, once ``state`` is in flight (None: whatever is).

    ``call`` is how the call begins that it waits for; empty: any.
    """

    kind: K
    state: InFlight | None
    not_before: datetime
    call: str = ""


@dataclass(frozen=True, slots=True)
class ArmedCrash:
    kind: CrashKind
    state: InFlight
    not_before: datetime


def plan_faults(
    profile: str, number: int, session: SimSession, luck: random.Random, *, wire: bool
) -> list[Armed]:
    """The faults of day ``number``, earliest first. Bytes are spoilt on wire days only.

    The aimed ones go round all pairs that the profile allows, so that each comes up equally often; on wire
    days every pair of bytes comes up. Raises KeyError for a profile that does not exist.
    """
    allowed = PROFILES[profile]
    pairs = _weighted(allowed - BYTES - RARE)
    random.Random(profile).shuffle(pairs)  # so that one day gets many kinds
    chosen = _round_robin(pairs, number, AIMED)
    if wire:
        # in the proof all are ready at once, and only an answer with a word in it can have that spoilt
        chosen += sorted(_weighted(allowed & BYTES), key=lambda pair: pair[0] is not K.UNKNOWN_WORD)
    armed: list[Armed] = []
    for kind, state in chosen:
        armed += _with_openers(kind, state, _aimed_from(state, session, luck), session, luck)
    rare = [pair for pair in POSSIBLE if pair[0] in allowed & RARE]
    if rare and number % RARE_EVERY_DAYS == 0:
        kind, state = rare[number // RARE_EVERY_DAYS % len(rare)]
        surprise = session.open + timedelta(minutes=luck.uniform(20, 150))
        armed += _with_openers(kind, state, surprise, session, luck)
    armed = [one for one in _one_bare(armed) if one.kind in allowed]
    loose = sorted(allowed - RARE if wire else allowed - RARE - BYTES)
    for _ in range(LOOSE if loose else 0):
        kind = luck.choice(loose)
        armed.append(Armed(kind, None, _some_time(session, luck), _call_for(kind, None, luck)))
    return sorted(armed, key=lambda item: item.not_before)


def plan_crashes(number: int, session: SimSession, luck: random.Random) -> list[ArmedCrash]:
    """The crashes of day ``number``, earliest first."""
    chosen = _round_robin(list(POSSIBLE_CRASHES), number, AIMED_CRASHES)
    crashes = [ArmedCrash(kind, state, _aimed_from(state, session, luck)) for kind, state in chosen]
    return sorted(crashes, key=lambda item: item.not_before)


def _weighted(kinds: frozenset[K]) -> list[tuple[K, InFlight]]:
    """The possible pairs of ``kinds``, the hard ones several times."""
    return [pair for pair in POSSIBLE if pair[0] in kinds for _ in range(_times(pair))]


def _times(pair: tuple[K, InFlight]) -> int:
    return next((times for pairs, times in _TIMES if pair in pairs), 1)


def _round_robin(pairs: list[P], number: int, count: int) -> list[P]:
    count = min(count, len(pairs))
    return [pairs[(number * count + step) % len(pairs)] for step in range(count)]


def _aimed_from(state: InFlight, session: SimSession, luck: random.Random) -> datetime:
    """The proof has its own hour, anything else may come up all day."""
    if state is InFlight.PROOF:
        return session.close - timedelta(minutes=5)
    return session.open + luck.random() * (session.close - timedelta(minutes=70) - session.open)


def _with_openers(
    kind: K, state: InFlight, not_before: datetime, session: SimSession, luck: random.Random
) -> list[Armed]:
    """A fault that waits for ``state``, and what brings that about."""
    opens_at = not_before
    if state is InFlight.PROOF:
        opens_at = session.close - BARE_UNTIL - luck.random() * (BARE_FROM - BARE_UNTIL)
    openers = OPENERS.get(state, ())
    if (kind, state) == (K.UNKNOWN_WORD, InFlight.PROOF):
        openers += (AN_ORDER_TO_TELL_OF,)
    aimed = Armed(kind, state, not_before, _call_for(kind, state, luck))
    return [aimed, *(Armed(opener, at, opens_at, call) for opener, at, call in openers)]


def _one_bare(armed: list[Armed]) -> list[Armed]:
    """One contract without bids is enough for all that wait for the end of day."""
    bare = [one for one in armed if one.kind is K.NO_BID and one.state is None]
    return [one for one in armed if one not in bare[1:]]


def _some_time(session: SimSession, luck: random.Random) -> datetime:
    return session.open + luck.random() * (session.close - session.open)


def _call_for(kind: K, state: InFlight | None, luck: random.Random) -> str:
    """Mostly what changes something: there the answer matters most."""
    if kind in CALL_AFTER:
        return luck.choices(("POST /v2/orders", "DELETE"), (4, 1))[0]
    if kind not in CALL_BEFORE or state in (InFlight.IDLE, InFlight.PROOF):
        return ""
    return luck.choices(("POST /v2/orders", "DELETE", "GET /v2/orders:by", ""), (4, 2, 2, 3))[0]
