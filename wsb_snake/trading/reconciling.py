"""Reconciliation at work: takes the readings, acts on what ``reconciler.compare`` finds.

A failed reading changes nothing: "unknown" is never "flat". What cannot be explained pauses entries.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from wsb_snake.core.clock import eastern_date
from wsb_snake.core.events import EventKind
from wsb_snake.core.occ import is_option, parse
from wsb_snake.trading import adoption, dispatch, recovery
from wsb_snake.trading.broker import BrokerError, BrokerOrder, BrokerPosition
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.positions import Position
from wsb_snake.trading.reconciler import SHARES, Findings, Foreign, Shortfall, compare, settling

FOREIGN_ALERT_EVERY = timedelta(hours=1)
FOREIGN_ALERT_LAST_HOUR = timedelta(minutes=10)
LIQUIDATION_BEFORE_CLOSE = timedelta(minutes=60)
ACTIVITIES_BEFORE = timedelta(minutes=5)
"""How long before we knew of a position somebody may have acted in it."""

FROM_EXERCISE = "shares that an exercise or assignment left; never sold unasked"
SHARES_BACK = timedelta(days=5)
SHARES_AGAIN = timedelta(minutes=1)
"""How long after a question about shares that got no answer the next one waits."""

log = logging.getLogger(__name__)


class Reconciler:
    """Compares each new pair of readings with the book, once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._done: datetime | None = None
        self._foreign_told_at: datetime | None = None
        self._foreign_told: frozenset[str] = frozenset()
        self._shares_asked: dict[str, bool] = {}  # of each share position: whether an exercise left it
        self._shares_failed_at: datetime | None = None

    def step(self) -> None:
        """Reconcile when there is a pair of readings that has not been looked at yet."""
        positions = self._desk.pollers.positions.latest
        orders = self._desk.pollers.orders.latest
        if positions is None or orders is None or positions.begun_at == self._done:
            return
        self._done = positions.begun_at
        self.run(positions.value, orders.value, min(positions.begun_at, orders.begun_at), ())

    def run(
        self,
        positions: tuple[BrokerPosition, ...],
        open_orders: tuple[BrokerOrder, ...],
        begun_at: datetime,
        recent: Iterable[BrokerOrder],
    ) -> None:
        """Act on one pair of readings; ``recent`` are orders that tell who opened what."""
        found = compare(self._desk.book.view, positions, open_orders, begun_at)
        for order in found.unseen:
            dispatch.look_up(self._desk, order)
        for stray in found.strays:
            recovery.recover(self._desk, stray, positions, (*recent, *open_orders))
        for ghost in found.ghosts:
            self._revive(ghost)
        self._adopt(found, (*recent, *open_orders))
        for missing in found.shortfall:
            self._desk.senders.offer(
                f"explain:{missing.position.position_id}", partial(self._explain, missing)
            )
        self._settle(found, open_orders, begun_at)
        self._judge(found.foreign)

    def _adopt(self, found: Findings, recent: tuple[BrokerOrder, ...]) -> None:
        for surplus in found.surplus:
            with self._desk.book.change() as commit:
                adoption.adopt(
                    commit.change, surplus.held, surplus.qty, recent, self._desk.ids, self._desk.settings
                )
            log.warning("adopted %s contracts of %s", surplus.qty, surplus.held.symbol)

    def _revive(self, ghost: BrokerOrder) -> None:
        """An order that we were told is over, and is not: it is worked again, and told of."""
        with self._desk.book.change() as commit:
            commit.change.revive(ghost.client_order_id, ghost.status, ghost.id)
            commit.change.event(
                EventKind.ERROR,
                what=f"the broker still works an order in {ghost.symbol} that was reported as over",
                detail=ghost.client_order_id,
            )
        self._desk.bell.set()

    def _explain(self, missing: Shortfall) -> None:
        """Ask the account's activities where the contracts went (on a sender lane)."""
        desk = self._desk
        position = missing.position
        try:
            activities = desk.ports.broker.activities(position.opened_at - ACTIVITIES_BEFORE)
        except BrokerError as error:
            desk.broker_failed("account", error)
            return
        desk.broker_answered("account")
        with desk.book.change() as commit:
            now_held = desk.book.positions.get(position.position_id)
            if now_held is None or now_held.qty != position.qty:
                return
            own = frozenset(o.broker_id for o in desk.book.orders.values() if o.broker_id is not None)
            explained = adoption.explain(
                commit.change, missing, activities, own, self._liquidation_from(position)
            )
        cause = f"gone:{position.position_id}"
        if explained:
            desk.disputes.settle(cause)
        else:
            desk.disputes.open(cause, f"{missing.qty} {position.symbol} are gone at the broker, unexplained")

    def _liquidation_from(self, position: Position) -> datetime:
        """From when on a sale that nobody here made counts as the broker's own."""
        session = self._desk.calendar.session(position.expiry)
        today = eastern_date(self._desk.now())
        if session is None or position.expiry != today:
            return self._desk.now() + timedelta(days=1)
        return session.close - LIQUIDATION_BEFORE_CLOSE

    def _settle(self, found: Findings, open_orders: tuple[BrokerOrder, ...], begun_at: datetime) -> None:
        """End the disputes whose cause is gone; a symbol that no reading can judge yet keeps its own."""
        desk = self._desk
        missing = {m.position.position_id for m in found.shortfall}
        untouchable = {f.symbol for f in found.foreign}
        for position_id in desk.disputes.causes("gone"):
            position = desk.book.positions.get(position_id)
            if position is None or position.qty == 0:
                desk.disputes.settle(f"gone:{position_id}")
                continue
            judged = position.symbol not in untouchable and not settling(
                desk.book.view, position.symbol, begun_at
            )
            if judged and position_id not in missing:
                desk.disputes.settle(f"gone:{position_id}")
        working = {o.client_order_id for o in open_orders}
        for name in desk.disputes.causes("order"):
            mine = desk.book.orders.get(name)
            if name not in working and (mine is None or not mine.live):
                desk.disputes.settle(f"order:{name}")

    def _judge(self, foreign: tuple[Foreign, ...]) -> None:
        """Pause while something stands there that we never trade."""
        self._ask_origin(tuple(item.symbol for item in foreign if item.kind == SHARES))
        foreign = tuple(self._with_origin(item) for item in foreign)
        if foreign:
            listed = ", ".join(f"{item.qty} {item.symbol} ({item.kind})" for item in foreign)
            self._desk.disputes.open("foreign:", f"not ours to trade: {listed}")
            self._tell(foreign)
        else:
            self._foreign_told_at = None
            self._shares_asked.clear()
            self._desk.disputes.settle("foreign:")

    def _ask_origin(self, shares: tuple[str, ...]) -> None:
        """Ask once, for all of them, where shares came from."""
        unknown = tuple(symbol for symbol in shares if symbol not in self._shares_asked)
        failed_at = self._shares_failed_at
        rested = failed_at is None or self._desk.now() - failed_at >= SHARES_AGAIN
        if unknown and rested:
            self._desk.senders.offer("shares:", partial(self._ask_shares, unknown))

    def _with_origin(self, item: Foreign) -> Foreign:
        exercised = item.kind == SHARES and self._shares_asked.get(item.symbol)
        return replace(item, kind=FROM_EXERCISE) if exercised else item

    def _ask_shares(self, symbols: tuple[str, ...]) -> None:
        """Look for the exercises or assignments that left shares (on a sender lane)."""
        desk = self._desk
        try:
            told = desk.ports.broker.activities(desk.now() - SHARES_BACK)
        except BrokerError as error:
            desk.broker_failed("account", error)
            self._shares_failed_at = desk.now()
            return
        desk.broker_answered("account")
        self._shares_failed_at = None
        exercised = {_underlying(a.symbol) for a in told if a.type == "OPTRD"}
        self._shares_asked.update({symbol: symbol in exercised for symbol in symbols})

    def _tell(self, foreign: tuple[Foreign, ...]) -> None:
        now = self._desk.now()
        every = FOREIGN_ALERT_LAST_HOUR if self._last_hour(foreign, now) else FOREIGN_ALERT_EVERY
        items = frozenset(f"{item.symbol} {item.kind}" for item in foreign)
        recent = self._foreign_told_at is not None and now - self._foreign_told_at < every
        if recent and items <= self._foreign_told:
            return
        self._foreign_told_at, self._foreign_told = now, items
        with self._desk.book.change() as commit:
            commit.change.event(
                EventKind.FOREIGN_RISK,
                items=[{"symbol": f.symbol, "qty": str(f.qty), "kind": f.kind} for f in foreign],
            )

    def _last_hour(self, foreign: tuple[Foreign, ...], now: datetime) -> bool:
        session = self._desk.session()
        if session is None or not session.close - timedelta(hours=1) <= now < session.close:
            return False
        return any(is_option(f.symbol) and parse(f.symbol).expiry == session.day for f in foreign)


def _underlying(symbol: str) -> str:
    """Of a row about the shares or about the option."""
    return parse(symbol).underlying if is_option(symbol) else symbol
