"""Checks at each order: against the exchange's own books, never against the daemon's arithmetic."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from wsb_snake.backtest.campaign.violation import Findings, Promise
from wsb_snake.core.occ import parse
from wsb_snake.core.orders import ExitReason, Side
from wsb_snake.core.types import CONTRACT_SHARES
from wsb_snake.sim.exchange import Exchange
from wsb_snake.sim.orders import SimOrder, TradeUpdateMessage
from wsb_snake.sim.seeded_faults import OURS
from wsb_snake.trading.broker import OrderTicket, Rejected
from wsb_snake.trading.desk import Desk
from wsb_snake.trading.order_ids import position_of
from wsb_snake.trading.order_work import BROKER_LAG_S

OTHERS_LINGER = timedelta(seconds=45)
"""For this long a sale of somebody else explains that the daemon's picture was old, not counting the time
in which an order of ours was under way: nothing is reconciled meanwhile."""

ENDED_LINGER = timedelta(seconds=BROKER_LAG_S)
"""For this long the broker's lists may show as open what has ended."""

_BROAD = frozenset({"SPY", "QQQ"})
_ENTRIES_END = (timedelta(minutes=70), timedelta(minutes=55))
_FOR_THE_DAY = frozenset({ExitReason.EOD, ExitReason.CUTOFF})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry order as it was sent."""

    at: datetime
    ticket: OrderTicket

    @property
    def dollars(self) -> Decimal:
        return self.ticket.qty * (self.ticket.limit_price or Decimal(0)) * CONTRACT_SHARES


class OrderChecks:
    """One day's orders."""

    def __init__(self, exchange: Exchange, findings: Findings) -> None:
        self._exchange = exchange
        self._findings = findings
        self._entries: list[_Entry] = []
        self._sent: set[str] = set()
        self._refused: set[str] = set()
        self.last_fill_at = exchange.clock.now()

    def died(self) -> None:
        """The process is dead: of what was lost with its rows and never arrived, the name is free again."""
        self._sent.clear()

    def sending(self, ticket: OrderTicket, desk: Desk) -> None:
        """The instant at which the daemon calls the broker with ``ticket``."""
        name, check = ticket.client_order_id, self._findings.check
        new = name not in self._sent and self._exchange.find_order(name) is None
        check(Promise.NO_BLIND_RESEND, new, f"{name} is sent a second time")
        self._sent.add(name)
        if ticket.side is Side.BUY:
            self._entry(ticket, desk)
        else:
            self._exit(ticket, desk)

    def refused(self, ticket: OrderTicket, error: Rejected) -> None:
        """A sale that the broker refused for want of contracts: somebody else's sales must be the reason,
        for as many contracts as it lacked."""
        self._refused.add(ticket.client_order_id)
        if ticket.side is Side.BUY or not any(
            word in error.reason for word in ("insufficient qty", "uncovered")
        ):
            return
        held = self._exchange.account.qty(ticket.symbol)
        ours, others = self._sales(ticket.symbol)
        text = f"{ticket.client_order_id} would sell {ticket.qty} {ticket.symbol}: {error.reason}"
        self._findings.check(
            Promise.NEVER_SHORT,
            ticket.qty + ours <= held + others,
            f"{text}; {held} held, our orders sell {ours}, others' sold {others}",
        )

    def _sales(self, symbol: str) -> tuple[int, int]:
        """Contracts that our open orders still sell, and those in others' sales of the last moments."""
        now, others = self._exchange.clock.now(), 0
        found = self._exchange.orders("all", limit=500, direction="asc", symbols=frozenset({symbol}))
        sales = [order for order in found if order.side == "sell"]
        mine = [order for order in sales if order.client_order_id.startswith(OURS)]
        for order in sales:
            if order in mine:
                continue
            if order.open or now - order.updated_at <= ENDED_LINGER:
                others += order.qty
            elif now <= _explains_until(order, mine):
                others += order.filled_qty
        return sum(order.remaining for order in mine if order.open), others

    def on_update(self, message: TradeUpdateMessage) -> None:
        """Each event of the exchange, before any fault touches it."""
        order = message.order
        if message.qty is not None:
            self.last_fill_at = message.at
            held = self._exchange.account.qty(order.symbol)
            self._findings.check(
                Promise.NEVER_SHORT, held >= 0, f"{held} {order.symbol} after {order.client_order_id}"
            )
        if order.side == "sell" and order.open and order.client_order_id.startswith(OURS):
            self._one_live_exit(order)

    def _one_live_exit(self, order: SimOrder) -> None:
        mine = position_of(order.client_order_id)
        live = [
            other.client_order_id
            for other in self._exchange.orders(limit=500, symbols=frozenset({order.symbol}))
            if other.side == "sell" and position_of(other.client_order_id) == mine
        ]
        self._findings.check(Promise.ONE_LIVE_EXIT, len(live) <= 1, f"live exits of {mine}: {live}")

    def _exit(self, ticket: OrderTicket, desk: Desk) -> None:
        order = desk.book.orders[ticket.client_order_id]
        if order.reason in _FOR_THE_DAY:
            today = self._exchange.market.day
            expiry = parse(ticket.symbol).expiry
            self._findings.check(
                Promise.LATER_UNTOUCHED, expiry == today, f"{order.reason} sells {ticket.symbol} of {expiry}"
            )

    def _entry(self, ticket: OrderTicket, desk: Desk) -> None:
        now = self._exchange.clock.now()
        self._findings.check(Promise.NO_ENTRY_WHEN_FORBIDDEN, *self._allowed(ticket, desk, now))
        self._entries.append(_Entry(now, ticket))
        for kept, text in self._within(desk, now):
            self._findings.check(Promise.LIMITS, kept, f"{ticket.client_order_id}: {text}")

    def _allowed(self, ticket: OrderTicket, desk: Desk, now: datetime) -> tuple[bool, str]:
        contract, session = parse(ticket.symbol), desk.session()
        reasons = [pause.reason for pause in desk.pauses.listed()]
        if reasons:
            return False, f"{ticket.symbol} is bought while paused: {reasons}"
        if desk.halted():
            return False, f"{ticket.symbol} is bought while halted"
        if not desk.ready or session is None:
            return False, f"{ticket.symbol} is bought before the reconciliation"
        ends = session.close - _ENTRIES_END[contract.underlying in _BROAD]
        if contract.expiry == session.day and now >= ends:
            return False, f"{ticket.symbol} is bought at {now}, 0DTE entries ended at {ends}"
        return True, ""

    def _within(self, desk: Desk, now: datetime) -> list[tuple[bool, str]]:
        """Each limit, with what there is of it after the newest entry."""
        limits, entries = desk.limits, self._entries
        newest = entries[-1]
        minute = sum(entry.at > now - timedelta(minutes=1) for entry in entries)
        day = sum((self._cost(entry) for entry in entries), Decimal(0))
        name = parse(newest.ticket.symbol).underlying
        standing = {entry.ticket.symbol for entry in entries if self._stands(entry)}
        ticker = sum((self._at_risk(s) for s in standing if parse(s).underlying == name), Decimal(0))
        return [
            (newest.dollars <= limits.trade_dollars, f"${newest.dollars} in one trade"),
            (minute <= limits.orders_minute, f"{minute} entry orders within a minute"),
            (len(entries) <= limits.orders_day, f"{len(entries)} entry orders today"),
            (day <= limits.day_dollars, f"${day} of premium today"),
            (len(standing) <= limits.positions, f"{len(standing)} positions"),
            (ticker <= limits.ticker_dollars, f"${ticker} in {name}"),
        ]

    def _cost(self, entry: _Entry) -> Decimal:
        """What the entry has cost or may still cost, by the exchange's books."""
        order = self._order(entry)
        if order is None:
            return entry.dollars if self._underway(entry) else Decimal(0)
        return order.filled_cost * CONTRACT_SHARES + order.reserved

    def _stands(self, entry: _Entry) -> bool:
        """Whether the position of the entry may be open: its order works, or contracts are held."""
        order = self._order(entry)
        if order is None:
            return self._underway(entry)
        return order.open or (order.filled_qty > 0 and self._exchange.account.qty(entry.ticket.symbol) > 0)

    def _at_risk(self, symbol: str) -> Decimal:
        """Premium in one contract: what is held at its average price, and what still works at its limit."""
        holding = self._exchange.account.holding(symbol)
        held = Decimal(0) if holding is None else holding.cost_basis
        mine = [entry for entry in self._entries if entry.ticket.symbol == symbol]
        working = (order.reserved for order in map(self._order, mine) if order is not None)
        newest = mine[-1]
        unborn = newest.dollars if self._order(newest) is None and self._underway(newest) else Decimal(0)
        return held + sum(working, Decimal(0)) + unborn

    def _underway(self, entry: _Entry) -> bool:
        """Not at the exchange: it may be on its way for a moment, then it never arrived."""
        refused = entry.ticket.client_order_id in self._refused
        return not refused and self._exchange.clock.now() - entry.at < timedelta(seconds=1)

    def _order(self, entry: _Entry) -> SimOrder | None:
        return self._exchange.find_order(entry.ticket.client_order_id)


def _explains_until(sale: SimOrder, mine: list[SimOrder]) -> datetime:
    """When somebody else's ``sale`` no longer explains anything, ``mine`` being ours in its contract, oldest
    first."""
    until = sale.updated_at + OTHERS_LINGER
    for order in mine:
        if not order.open and order.submitted_at <= until:
            until += max(timedelta(0), order.updated_at - max(order.submitted_at, sale.updated_at))
    return until
