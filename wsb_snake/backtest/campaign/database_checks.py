"""Checks of what is left in the database when the day is over, against the exchange's books."""

import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from wsb_snake.backtest.campaign.drill_chat import Delivery
from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.core.events import Event, EventKind
from wsb_snake.core.orders import ExitReason, Origin
from wsb_snake.db import journal
from wsb_snake.db.values import instant, money
from wsb_snake.notifications.messages import alerts_for
from wsb_snake.notifications.outbox import STUCK
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.orders import SimOrder
from wsb_snake.sim.seeded_faults import OURS
from wsb_snake.trading.order_ids import position_of

ALL = 1_000_000
_PENNY = Decimal("0.000001")
_NUMBER = re.compile(r"(?: \((\d+)/\d+\))? #(\d+)$")
_SENT = frozenset({EventKind.ENTRY_SENT, EventKind.EXIT_SENT, EventKind.ORDER_RECOVERED})
_NOBODY_SOLD = frozenset({ExitReason.EXPIRED, ExitReason.EXERCISED, ExitReason.UNEXPLAINED})


class DatabaseChecks:
    """One day's rows."""

    def __init__(self, conn: sqlite3.Connection, exchange: Exchange, findings: Findings) -> None:
        self._conn = conn
        self._findings = findings
        self._orders = exchange.orders("all", ALL, direction="asc")
        self.events = journal.read(conn, 0, ALL)

    def run(self) -> None:
        self._outcomes()
        self._consumers()
        self._explanations()

    def proven(self, day: str) -> bool:
        """Whether flat stands as proven for ``day``."""
        row = self._conn.execute("SELECT proven_at FROM eod_runs WHERE session = ?", (day,)).fetchone()
        return row is not None and row["proven_at"] is not None

    def _outcomes(self) -> None:
        counts = Counter(r["position_id"] for r in self._conn.execute("SELECT position_id FROM outcomes"))
        closed = self._conn.execute("SELECT * FROM positions WHERE state = 'closed'").fetchall()
        for row in closed:
            name = row["position_id"]
            self._findings.check(
                Promise.ONE_OUTCOME, counts.pop(name, 0) == 1, f"{name} has not exactly one outcome"
            )
            self._price(row)
        self._findings.check(
            Promise.ONE_OUTCOME, not counts, f"outcomes of what is not closed: {dict(counts)}"
        )

    def _price(self, row: sqlite3.Row) -> None:
        """The outcome's prices are the exchange's, wherever our own orders account for every contract."""
        name = row["position_id"]
        outcome = self._conn.execute("SELECT * FROM outcomes WHERE position_id = ?", (name,)).fetchone()
        if outcome is None:
            return
        for side, column in (("buy", "entry_price"), ("sell", "exit_price")):
            if side == "buy" and row["origin"] != Origin.OURS:
                continue
            if side == "sell" and row["exit_reason"] in _NOBODY_SOLD:
                continue
            fills = [o for o in self._of(name) if o.side == side]
            qty = sum(o.filled_qty for o in fills)
            if qty != row["bought_qty"]:
                continue
            true = sum((o.filled_cost for o in fills), Decimal(0)) / qty
            told = money(outcome[column])
            near = told is not None and abs(told - true) <= _PENNY
            self._findings.check(
                Promise.ONE_OUTCOME, near, f"{name}: {column} {told}, the exchange says {true}"
            )

    def _of(self, position_id: str) -> list[SimOrder]:
        return [o for o in self._orders if position_of(o.client_order_id) == position_id]

    def _consumers(self) -> None:
        newest = self.events[-1].seq if self.events else 0
        for row in self._conn.execute("SELECT consumer, seq FROM offsets"):
            behind = newest - row["seq"]
            self._findings.check(Promise.CONSUMED_ONCE, behind == 0, f"{row['consumer']} is {behind} behind")
        counted = self._conn.execute("SELECT COALESCE(SUM(trades), 0) FROM trade_performance").fetchone()[0]
        written = self._conn.execute("SELECT COUNT(*) FROM outcomes").fetchone()[0]
        self._findings.check(
            Promise.CONSUMED_ONCE, counted == written, f"{counted} counted, {written} outcomes"
        )
        expected = sorted(key for event in self.events for key in _alert_keys(event))
        present = sorted(r["dedupe_key"] for r in self._conn.execute("SELECT dedupe_key FROM alerts"))
        self._findings.check(Promise.CONSUMED_ONCE, expected == present, "alerts and events do not fit")

    def _explanations(self) -> None:
        named = {event.data["client_order_id"] for event in self.events if event.kind in _SENT}
        for order in self._orders:
            if order.client_order_id.startswith(OURS):
                known = order.client_order_id in named
                self._findings.check(Promise.EXPLAINED, known, f"no event tells of {order.client_order_id}")
        for event in self.events:
            if event.kind is EventKind.POSITION_CLOSED:
                why = event.data.get("reason")
                self._findings.check(Promise.EXPLAINED, bool(why), f"closed without a reason: {event.data}")


def check_deliveries(deliveries: Sequence[Delivery], deaths: Sequence[datetime], findings: Findings) -> None:
    """In order, none left out, repeated only in doubt and then marked."""
    last = (0, 0)
    seen: dict[tuple[int, int], Delivery] = {}
    for delivery in deliveries:
        if delivery.text == STUCK:
            continue  # told without the database, so it has no number
        match = _NUMBER.search(delivery.text)
        if match is None:
            findings.check(Promise.ALERTS_IN_ORDER, False, f"without a number: {delivery.text[-40:]}")
            continue
        key = (int(match[2]), int(match[1] or 1))
        before = seen.get(key)
        if before is None:
            gap = key[0] - last[0] > 1 or key < last
            findings.check(Promise.ALERTS_IN_ORDER, not gap, f"#{key} came after #{last}")
        else:
            doubted = not before.answered or any(before.at <= death <= delivery.at for death in deaths)
            marked = delivery.text.startswith("(repeat)")
            findings.check(
                Promise.ALERTS_IN_ORDER, doubted and marked, f"#{key} was repeated: {delivery.text[:30]}"
            )
        seen[key] = delivery
        last = max(last, key)


def _alert_keys(event: Event) -> list[str]:
    return [f"event:{event.seq}:{index}" for index, _ in enumerate(alerts_for(event))]


def durable_pauses(conn: sqlite3.Connection) -> dict[str, datetime]:
    """Pause reasons in the database, and since when."""
    return {row["reason"]: instant(row["since"]) for row in conn.execute("SELECT reason, since FROM pauses")}
