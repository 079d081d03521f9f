"""SIGKILL all along the order path, over HTTP with the real clients; then a restart, and the books.

The exchange strikes at calls and trade updates, the daemon's own entry script around commits. Whatever
the moment: no order twice, no position lost, one outcome a position with the exchange's prices.
"""

import signal
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.process.pair import Pair, ended, pair, until
from tests.process.venue import Point, Venue, venue
from tests.sim.bench import SPY_CALL
from wsb_snake.sim.orders import SimOrder, SimStatus
from wsb_snake.sim.rules import Rules

pytestmark = pytest.mark.timeout(900)

HOLD_S = 2
PATIENCE_S = 120
AT_ONCE = 4
"""Points that are played beside each other: most of a point is waiting."""

POST, CANCEL, LOOK_UP = "POST /v2/orders", "DELETE /v2/orders/*", "GET /v2/orders:by_client_order_id"
ORDERS, POSITIONS = "GET /v2/orders", "GET /v2/positions"
PARTIAL = Rules(partial_fill_chance=1.0, fill_beats_cancel_chance=1.0)


@dataclass(frozen=True)
class Case:
    """Killed at ``points`` one after the other, each in a new process.

    ``ladder``: the feed shows a bid that is not there, so a closing order takes all its steps.
    ``lost``: the answer to that POST never arrives.
    """

    points: tuple[Point, ...]
    ladder: bool = False
    lost: int = 0
    partial: bool = False

    def __str__(self) -> str:
        kind = "ladder: " if self.ladder else "partial: " if self.partial else ""
        return kind + ", then ".join(map(str, self.points))


def case(*points: Point, ladder: bool = False, lost: int = 0, partial: bool = False) -> Case:
    return Case(points, ladder, lost, partial)


def commits(kind: str, *whens: str, nth: int = 1) -> Iterable[Case]:
    return (case(Point(f"commit {kind}", nth, when)) for when in whens)


QUICK = (
    case(Point(POST, 1, "before")),
    case(Point(POST, 1, "after")),
    case(Point("update fill", 1)),
    case(Point(POST, 2, "before")),
    case(Point(POST, 2, "after")),
    case(Point("update fill", 2)),
    case(Point(CANCEL, 1, "after"), ladder=True),
    case(Point(LOOK_UP, 1, "after"), lost=2),
    *commits("entry_sent", "inside"),
    *commits("exit_sent", "after"),
    *commits("position_closed", "before"),
    *commits("outcome", "before"),
)

SLOW = (
    case(Point(CANCEL, 1, "before"), ladder=True),
    case(Point("update canceled", 1), ladder=True),
    case(Point(POST, 3, "before"), ladder=True),
    case(Point(POST, 3, "after"), ladder=True),
    case(Point(CANCEL, 2, "before"), ladder=True),
    case(Point(CANCEL, 2, "after"), ladder=True),
    case(Point(POST, 4, "before"), ladder=True),
    case(Point(POST, 4, "after"), ladder=True),
    case(Point(LOOK_UP, 1, "before"), lost=1),
    case(Point(LOOK_UP, 1, "after"), lost=1),
    case(Point(LOOK_UP, 1, "before"), lost=2),
    case(Point("update new", 1)),
    case(Point("update new", 2)),
    case(Point("update partial_fill", 1), partial=True),
    case(Point(ORDERS, 1, "after", since=POST)),
    case(Point(POSITIONS, 1, "before", since=POST)),
    case(Point(POSITIONS, 1, "after", since="update fill")),
    # the next process dies too, while it finds out what the one before left
    case(Point(POST, 1, "before"), Point(LOOK_UP, 1, "before")),
    case(Point(POST, 1, "after"), Point(ORDERS, 1, "after")),
    case(Point(POST, 2, "after"), Point(POSITIONS, 1, "before")),
    case(Point(POST, 2, "before"), Point(POST, 1, "after")),
    case(Point(POST, 1, "after"), Point("commit position_opened", 1, "before")),
    case(Point("update fill", 2), Point("commit position_closed", 1, "after")),
    *commits("entry_sent", "before", "after"),
    *commits("fill", "before", "inside", "after"),
    *commits("position_opened", "inside"),
    *commits("exit_condition", "before", "inside", "after"),
    *commits("exit_sent", "before", "inside"),
    *commits("fill", "before", "after", nth=2),
    *commits("position_closed", "inside", "after"),
    *commits("outcome", "inside", "after"),
    *commits("alert", "before", "after", nth=3),
)


def in_groups(cases: Sequence[Case]) -> list[Sequence[Case]]:
    return [cases[first : first + AT_ONCE] for first in range(0, len(cases), AT_ONCE)]


@pytest.mark.parametrize("group", in_groups(QUICK)[:2], ids=lambda group: f"{len(group)} points")
def test_after_sigkill_nothing_is_doubled_or_lost(group: Sequence[Case], tmp_path: Path) -> None:
    play(group, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "group", in_groups(QUICK)[2:] + in_groups(SLOW), ids=lambda group: f"{len(group)} points"
)
def test_after_sigkill_anywhere_else_nothing_is_doubled_or_lost(
    group: Sequence[Case], tmp_path: Path
) -> None:
    play(group, tmp_path)


def play(cases: Sequence[Case], folder: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda numbered: wrong(numbered[1], folder / str(numbered[0])), enumerate(cases))
        assert [line for lines in found for line in lines] == []


def wrong(one: Case, folder: Path) -> list[str]:
    """Play a case; every promise that it broke, with its name before it."""
    folder.mkdir()
    rules = PARTIAL if one.partial else None
    with venue(rules=rules) as market, pair(folder) as both:
        try:
            survive(one, market, both)
            return [f"{one}: {line}" for line in broken(market, both)]
        except AssertionError as error:
            return [f"{one}: {error}\n{both.log()[-3000:]}"]


def survive(one: Case, market: Venue, both: Pair) -> None:
    """Trade, die at each point, come back and finish."""
    both.environment = market.environment
    both.program = ("-m", "tests.process.trading_daemon")
    if one.ladder:
        market.market.put(SPY_CALL, "0.90", "1.05")
        market.faults.shown[SPY_CALL] = ("1.00", "1.05")
    market.faults.lost = (POST, one.lost) if one.lost else None
    trade = f"{SPY_CALL}:{HOLD_S}"
    for point in one.points:
        kind, _, rest = point.what.partition(" ")
        plug = f"{rest}:{point.nth}:{point.when}" if kind == "commit" else ""
        market.faults.arm(None if plug else point)
        process = both.run(TRADE=trade, PLUG=plug)
        market.faults.pid = process.pid
        until(partial(gone, process), f"it dies {point}", PATIENCE_S)
        assert process.returncode == -signal.SIGKILL, "it ended by itself"
        trade = ""
    market.faults.arm(None)
    process = both.run()
    until(lambda: settled(market, both), "everything is closed and learnt", PATIENCE_S)
    assert ended(process, signal.SIGTERM) == 0


def gone(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def settled(market: Venue, both: Pair) -> bool:
    if not both.health().get("all_positions_monitored") or market.held():
        return False
    ((open_rows,),) = both.rows("SELECT COUNT(*) FROM positions WHERE state NOT IN ('closed', 'void')")
    ((closed,),) = both.rows("SELECT COUNT(*) FROM positions WHERE state = 'closed'")
    ((learnt,),) = both.rows("SELECT COUNT(*) FROM outcomes")
    return not open_rows and closed == learnt and not any(order.open for order in market.orders())


def broken(market: Venue, both: Pair) -> Iterable[str]:
    """What does not hold between the exchange's orders and the daemon's tables."""
    orders = market.orders()
    buys, sells = [o for o in orders if o.side == "buy"], [o for o in orders if o.side == "sell"]
    if len(buys) > 1:
        yield f"bought {len(buys)} times"
    if market.faults.posts != len(orders):
        yield f"{market.faults.posts} orders reached the exchange, it took {len(orders)}"
    if any(later.submitted_at < ended_at(earlier) for earlier, later in pairwise(sells)):
        yield "two closing orders were live at once"
    if filled(sells) != filled(buys):
        yield f"bought {filled(buys)}, sold {filled(sells)}"
    rows = both.rows("SELECT client_order_id, status, filled_qty FROM orders WHERE status != 'never_sent'")
    told = [(o.client_order_id, o.status.value, o.filled_qty) for o in orders]
    if sorted(rows) != sorted(told):
        yield f"the book has {sorted(rows)}, the exchange {sorted(told)}"
    outcomes = both.rows("SELECT qty, entry_price, exit_price FROM outcomes")
    wanted = [(filled(buys), price(buys), price(sells))] if filled(buys) else []
    if [(qty, Decimal(entry), Decimal(exit_)) for qty, entry, exit_ in outcomes] != wanted:
        yield f"learnt {outcomes}, the exchange had {wanted}"
    fills = both.rows("SELECT side, SUM(qty) FROM fills GROUP BY side ORDER BY side")
    if fills != ([("buy", filled(buys)), ("sell", filled(sells))] if filled(buys) else []):
        yield f"fills {fills}"
    alerts = both.rows("SELECT COUNT(*), COUNT(DISTINCT text) FROM alerts WHERE kind = 'position_closed'")
    if alerts[0][0] > 1:
        yield f"the closing was told {alerts[0][0]} times"


def ended_at(order: SimOrder) -> datetime:
    ended_at = order.filled_at if order.status is SimStatus.FILLED else order.canceled_at
    assert ended_at is not None, order.status
    return ended_at


def filled(orders: Iterable[SimOrder]) -> int:
    return sum(order.filled_qty for order in orders)


def price(orders: Sequence[SimOrder]) -> Decimal:
    """The average of all fills, dollars a share."""
    cost = sum((order.filled_cost for order in orders), Decimal(0))
    return cost / filled(orders)
