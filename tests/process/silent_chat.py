"""The real daemon while Telegram is a black hole: ``python -m tests.process.silent_chat`` takes 34 minutes.

For half an hour from 15:30 Telegram's connections are taken, read and never answered, the last two minutes
reset. While they hang a stop is crossed and the end of day comes. Time is the machine's; ``watch`` does the
same in a shorter hole.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.process.pair import Pair, pair, until
from tests.process.venue import Venue, venue
from tests.sim import black_hole
from tests.sim.bench import AAPL_CALL, DAY, SPY_CALL
from wsb_snake.core.clock import eastern, from_eastern
from wsb_snake.notifications.telegram_bot import READ_TIMEOUT_S
from wsb_snake.sim.orders import SimOrder

EVERY_S = 0.05
EOD = "15:55:00"
PROVEN_S = 60.0


@dataclass(frozen=True)
class Hole:
    """US/Eastern moments; from ``resets`` on, after the proof of flat, connections are reset, not held.

    ``reach``: see BlackHole; all but the last of these sends hang, that one is reset.
    """

    starts: str
    begins: str
    falls: str
    resets: str
    ends: str
    reach: frozenset[int]


HALF_HOUR = Hole("15:28:30", "15:30:00", "15:31:46", "15:58:00", "16:00:00", frozenset({2, 28}))


@dataclass(frozen=True)
class Found:
    """What happened: seconds, the moment of the EOD run, and what Telegram met."""

    sold_after_s: float
    eod_ran: datetime
    closed_after_s: float
    proven_after_s: float
    held: int
    reset: int
    sends: int
    alerts: int
    repeats: int
    caught_up_s: float

    def __str__(self) -> str:
        return (
            f"sold {self.sold_after_s:.1f} s after the stop was crossed; "
            f"the rest {self.closed_after_s:.1f} s after the end of day was due; "
            f"EOD ran {eastern(self.eod_ran):%H:%M:%S.%f}, flat proven {self.proven_after_s:.1f} s later; "
            f"{self.held} calls were held and {self.reset} reset, {self.sends} of them sends; "
            f"{self.alerts} alerts arrived in order, the last {self.caught_up_s:.0f} s after the hole, "
            f"{self.repeats} marked as repeats"
        )


def watch(folder: Path, hole: Hole) -> Found:
    """Run a daemon through ``hole`` and check it. Raises AssertionError."""
    start = _at(hole.starts).isoformat()
    with venue(start, reach=hole.reach) as room, pair(folder) as processes:
        processes.environment.update(room.environment)
        with room.exchange.lock:
            for symbol in (SPY_CALL, AAPL_CALL):
                room.exchange.hold(symbol, 2, Decimal("1.03"))
        processes.run(WSB_SNAKE_CUTOFF_FLATTEN="false")
        processes.monitored(2)
        _all_sent(processes)
        found = _through(room, processes, hole)
    assert found.sold_after_s < READ_TIMEOUT_S, str(found)  # less than one call that hangs
    assert 0 <= (found.eod_ran - _at(EOD)).total_seconds() < READ_TIMEOUT_S, str(found)
    assert found.closed_after_s < READ_TIMEOUT_S, str(found)
    assert found.proven_after_s < PROVEN_S, str(found)
    return found


def _through(room: Venue, daemon: Pair, hole: Hole) -> Found:
    telegram = room.telegram
    _to(room, hole.begins)
    telegram.hanging = True
    _to(room, hole.falls)
    room.market.put(SPY_CALL, "0.80", "0.84")
    fell_at = room.exchange.clock.now()
    until(lambda: SPY_CALL not in room.held(), "the stop is sold", every_s=EVERY_S)
    assert room.held() == {AAPL_CALL: 2}
    _to(room, EOD)
    proven = "SELECT ran_at, proven_at FROM eod_runs WHERE proven_at IS NOT NULL"
    (eod,) = until(lambda: daemon.rows(proven), "flat is proven", 90)
    assert room.held() == {}
    ran_at, proven_at = (datetime.fromisoformat(moment) for moment in eod)
    assert daemon.health()["code"] == 200
    _to(room, hole.resets)
    assert len(telegram.lost) == len(hole.reach) - 1
    telegram.hanging, telegram.resetting = False, True
    _to(room, hole.ends)
    assert len(telegram.lost) == len(hole.reach)
    telegram.resetting = False
    open_at = room.exchange.clock.now()
    alerts = _all_sent(daemon)
    black_hole.check(telegram, alerts)
    _heard(room)
    stop, rest = sorted((o for o in room.orders() if o.side == "sell" and o.filled_qty), key=_filled)
    assert (stop.symbol, rest.symbol) == (SPY_CALL, AAPL_CALL)
    assert stop.client_order_id.startswith("wsb-") and rest.client_order_id.startswith("wsb-")
    return Found(
        sold_after_s=(_filled(stop) - fell_at).total_seconds(),
        eod_ran=ran_at,
        closed_after_s=(_filled(rest) - _at(EOD)).total_seconds(),
        proven_after_s=(proven_at - ran_at).total_seconds(),
        held=telegram.held,
        reset=telegram.reset,
        sends=telegram.sends,
        alerts=len(alerts),
        repeats=sum(m.text.startswith("(repeat) ") for m in telegram.messages),
        caught_up_s=(telegram.messages[-1].at - open_at).total_seconds(),
    )


def _filled(order: SimOrder) -> datetime:
    assert order.filled_at is not None
    return order.filled_at


def _at(wall: str) -> datetime:
    return from_eastern(DAY, time.fromisoformat(wall))


def _to(room: Venue, wall: str) -> None:
    """Wait for ``wall``, should it be to come."""
    left_s = (_at(wall) - room.exchange.clock.now()).total_seconds()
    until(lambda: room.exchange.clock.now() >= _at(wall), wall, left_s + 60, EVERY_S)


def _all_sent(daemon: Pair) -> list[tuple[Any, ...]]:
    """The alerts (number, at, state), once none waits any more."""

    def sent() -> list[tuple[Any, ...]] | None:
        rows = daemon.rows("SELECT number, at, state FROM alerts ORDER BY number")
        return rows if all(state == "sent" for _, _, state in rows) else None

    found: list[tuple[Any, ...]] = until(sent, "every alert is sent", 240)
    return found


def _heard(room: Venue) -> None:
    """What the owner types is answered again."""
    before = len(room.telegram.messages)
    room.telegram.say("/version")
    until(lambda: any("#" not in m.text for m in room.telegram.messages[before:]), "an answer", 120)


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="silent-chat-"))
    try:
        sys.stdout.write(f"{watch(folder, HALF_HOUR)}\n")
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
