"""What is true now, and what it amounts to: the facts behind ``/health``, and the verdict on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from wsb_snake.core.calendar import Session

MONITOR_LIMIT_S = 30.0
"""A monitor pass older than this is unhealthy."""
BROKER_LIMIT_S = 60.0
"""Broker state older than this is stale, and in session unhealthy."""
EOD_PROOF_LIMIT_S = 60.0
"""A 0DTE position that is not proven flat this long after the EOD time is unhealthy."""
DATA_LIMIT_S = 120.0
"""In session, market data older than this is stale: a minute until the next bar ends, and one to read it."""
DEAF_LIMIT_S = 180.0
"""The owner's commands were not heard for so long: the way to the chat is down, or somebody else listens."""
HEARD = "chat-heard"
"""The heartbeat of the way in from the chat; absent where nobody is listened to."""


@dataclass(frozen=True, slots=True)
class PositionFacts:
    """One position as the monitor last saw it.

    Prices in dollars per share, ``unrealised`` in dollars for the whole position, times aware UTC.
    ``trail_price`` is where the bid sells it once it trails, else None. ``day_end_at`` is when the end of
    day sells it, None while that is not today. ``monitored`` says whether its exits are being watched,
    ``needs_exits`` that no rule sells it until the owner adopts it; what covers a short option needs none,
    for no rule would sell it then either. ``sold_if_adopted`` gives the contracts that adopting would sell at
    the present quote, for each kind of exits that would; ``quotes_wait`` says that quotes decide nothing
    about it before the session's first 5 minutes are over.
    """

    position_id: str
    symbol: str
    underlying: str
    engine: str
    origin: str
    state: str
    qty: int
    entry_price: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    unrealised: Decimal | None
    target_price: Decimal | None
    stop_price: Decimal | None
    trail_price: Decimal | None
    time_exit_at: datetime | None
    day_end_at: datetime | None
    opened_at: datetime
    monitored: bool
    needs_exits: bool = False
    sold_if_adopted: Mapping[str, int] = field(default_factory=dict)
    quotes_wait: bool = False


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """What the broker shows and no rule here looks after. ``qty`` is signed; ``why`` is a few words."""

    symbol: str
    qty: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the owner may be told, read from memory in one go.

    Times are aware UTC, ages and waits seconds, money dollars. An age is None while the thing was
    never read. ``eod_due_not_proven_s`` is the time since today's EOD time while a 0DTE position is
    not proven flat, else None. ``stream_up`` and ``chat_up`` are None when there is none to be up.
    ``broker_positions`` is how many positions the broker shows, None when never read.
    """

    mode: str
    snake_running: bool
    started_at: datetime
    now: datetime
    version: str
    account: str | None
    feeds: Mapping[str, str]

    session: Session | None
    market_open: bool
    next_eod_at: datetime | None
    last_eod_run_et: str | None
    eod_flat_proven: bool
    eod_due_not_proven_s: float | None

    positions: tuple[PositionFacts, ...]
    broker_positions: int | None
    all_positions_monitored: bool
    broker_read_at: datetime | None  # when the older of its readings was asked for
    broker_open: tuple[str, ...]  # contracts in which it shows a long position or a live order

    trading_paused: bool
    pause_reasons: tuple[tuple[str, str], ...]  # (reason, detail)

    heartbeats: Mapping[str, float]  # thread -> seconds since its last sign of life
    monitor_age_s: float | None
    broker_age_s: float | None
    clock_skew_s: float | None  # our clock less the broker's
    data_age_s: float | None
    stream_up: bool | None
    chat_up: bool | None
    db_writable: bool
    db_waiting_s: float

    limits: Mapping[str, str]
    warnings: tuple[str, ...]
    equity: Decimal | None
    day_pnl: Decimal | None
    last_event: str

    eod_withdrawn_at: datetime | None = None  # when a proof of flat was last withdrawn, and by what
    eod_withdrawn_for: tuple[str, ...] = ()

    unmanaged: tuple[Unmanaged, ...] = ()
    exit_kinds: Mapping[str, str] = field(default_factory=dict)  # what adopt gives -> its exits in words

    @property
    def uptime_s(self) -> float:
        return (self.now - self.started_at).total_seconds()


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


def verdict(facts: Facts) -> tuple[Status, tuple[str, ...]]:
    """The status (DESIGN section 8) and every reason for it, the worst first."""
    bad = _unhealthy(facts)
    poor = _degraded(facts)
    status = Status.UNHEALTHY if bad else Status.DEGRADED if poor else Status.HEALTHY
    return status, (*bad, *poor)


def due_by_now(facts: Facts) -> tuple[PositionFacts, ...]:
    """What the end-of-day check sells at this moment; nothing while the market is shut."""
    if not facts.market_open:
        return ()
    return tuple(
        p for p in facts.positions if p.qty > 0 and p.day_end_at is not None and p.day_end_at <= facts.now
    )


def broker_stale(facts: Facts) -> bool:
    """Whether the broker's state is too old to say anything about positions.

    A market that is shut changes no position, so out of session only a state never read is stale.
    """
    if facts.broker_age_s is None:
        return True
    return facts.market_open and facts.broker_age_s > BROKER_LIMIT_S


def _unhealthy(facts: Facts) -> tuple[str, ...]:
    # what has never happened yet is as old as the process
    monitor_age = facts.uptime_s if facts.monitor_age_s is None else facts.monitor_age_s
    broker_age = facts.uptime_s if facts.broker_age_s is None else facts.broker_age_s
    reasons = []
    if monitor_age > MONITOR_LIMIT_S:
        reasons.append(f"the monitor has not finished a pass for {monitor_age:.0f} s")
    if facts.market_open and broker_age > BROKER_LIMIT_S:
        reasons.append(f"the broker's state is {broker_age:.0f} s old")
    if not facts.db_writable:
        reasons.append("the database cannot be written")
    if facts.eod_due_not_proven_s is not None and facts.eod_due_not_proven_s >= EOD_PROOF_LIMIT_S:
        reasons.append(f"0DTE not proven flat {facts.eod_due_not_proven_s:.0f} s after the EOD time")
    return tuple(reasons)


def _degraded(facts: Facts) -> tuple[str, ...]:
    reasons = [f"entries paused ({reason})" for reason, _ in facts.pause_reasons]
    if facts.trading_paused and not reasons:
        reasons.append("entries paused")
    if facts.stream_up is False:
        reasons.append("the order stream is down")
    if facts.chat_up is False:
        reasons.append("Telegram is down")
    deaf_s = facts.heartbeats.get(HEARD, 0.0)
    if deaf_s > DEAF_LIMIT_S:
        reasons.append(f"commands by Telegram are not heard for {deaf_s:.0f} s")
    data_age = facts.uptime_s if facts.data_age_s is None else facts.data_age_s
    if facts.market_open and data_age > DATA_LIMIT_S:
        reasons.append(f"market data are {data_age:.0f} s old")
    return tuple(reasons)
