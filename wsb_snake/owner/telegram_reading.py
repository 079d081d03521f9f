"""What the chat's questions are answered from: memory, the database, the log. Read-only."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from wsb_snake.config import Settings
from wsb_snake.core.calendar import MarketCalendar
from wsb_snake.core.clock import eastern_date
from wsb_snake.core.health import Facts
from wsb_snake.core.orders import Order, Purpose
from wsb_snake.db.errors import DatabaseUnavailable
from wsb_snake.notifications.wording import dollars
from wsb_snake.owner import ledger
from wsb_snake.owner import telegram_texts as texts
from wsb_snake.owner.telegram_commands import BadCount, count, help_text
from wsb_snake.trading.book import premium
from wsb_snake.trading.broker import Account
from wsb_snake.trading.desk import Desk

LONG_AGO = date(2000, 1, 1)
MOST_ROWS, MOST_LINES, MOST_WEEKS = 50, 60, 52


@dataclass(frozen=True, slots=True)
class Sources:
    """Where answers come from. ``logged`` gives the last lines of the log, without secrets."""

    facts: Callable[[], Facts]
    connect: Callable[[], AbstractContextManager[sqlite3.Connection]]
    settings: Settings
    calendar: Callable[[], MarketCalendar]
    account: Callable[[], Account | None]
    risk: Callable[[], str]
    logged: Callable[[int], list[str]]


class Reading:
    """Answers every command that only reads."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._answers: dict[str, Callable[[str | None], str]] = {
            "status": lambda _: texts.status(sources.facts()),
            "positions": lambda _: texts.positions(sources.facts()),
            "position": self._position,
            "orders": self._orders,
            "trades": self._trades,
            "daily": self._daily,
            "weekly": self._weekly,
            "profit": lambda _: self._profit(),
            "performance": lambda _: self._performance(),
            "balance": lambda _: texts.balance(sources.facts(), sources.account()),
            "signals": self._signals,
            "risk": lambda _: sources.risk(),
            "calendar": lambda _: self._calendar(),
            "health": lambda _: texts.health(sources.facts()),
            "logs": lambda argument: "\n".join(sources.logged(count(argument, 15, MOST_LINES))) or "no line",
            "config": lambda _: texts.config(sources.settings),
            "version": lambda _: texts.version(sources.facts()),
            "help": lambda _: help_text(),
        }

    def answer(self, name: str, argument: str | None) -> str:
        """The answer to a reading command of ``COMMANDS``. A database that cannot be read is told of."""
        try:
            return self._answers[name](argument)
        except BadCount as error:
            return f"/{name} takes {error}"
        except (DatabaseUnavailable, sqlite3.Error) as error:
            return f"/{name}: the database cannot be read ({error})"

    def _calendar(self) -> str:
        allowed = self._from.settings.wsb_snake_half_day_entries
        return texts.calendar(self._from.calendar(), self._from.facts().now, half_day_entries=allowed)

    def _today(self) -> date:
        return eastern_date(self._from.facts().now)

    def _position(self, argument: str | None) -> str:
        facts = self._from.facts()
        return texts.positions(facts) if argument is None else texts.position(facts, argument)

    def _orders(self, argument: str | None) -> str:
        most, today = count(argument, 10, MOST_ROWS), self._today()
        with self._from.connect() as conn:
            return texts.orders(ledger.orders(conn, today, today, most))

    def _trades(self, argument: str | None) -> str:
        most = count(argument, 10, MOST_ROWS)
        with self._from.connect() as conn:
            return texts.trades(ledger.trades(conn, LONG_AGO, self._today(), limit=most))

    def _daily(self, argument: str | None) -> str:
        most = count(argument, 7, MOST_ROWS)
        with self._from.connect() as conn:
            return texts.days(ledger.daily_rows(conn, LONG_AGO, self._today(), most))

    def _weekly(self, argument: str | None) -> str:
        most = count(argument, 8, MOST_WEEKS)
        with self._from.connect() as conn:
            first = self._today() - timedelta(weeks=most)
            return texts.weeks(ledger.daily_rows(conn, first, self._today()), most)

    def _profit(self) -> str:
        today = self._today()
        with self._from.connect() as conn:
            closed = ledger.trades(conn, LONG_AGO, today)
        spans = {"today": 0, "7 days": 6, "30 days": 29, "all time": (today - LONG_AGO).days}
        sums = {
            name: ledger.tally(t for t in closed if eastern_date(t.closed_at) >= today - timedelta(days=back))
            for name, back in spans.items()
        }
        return texts.profit(sums, self._from.facts().day_pnl)

    def _performance(self) -> str:
        with self._from.connect() as conn:
            return texts.performance(ledger.performance(conn))

    def _signals(self, argument: str | None) -> str:
        most, today = count(argument, 10, MOST_ROWS), self._today()
        with self._from.connect() as conn:
            return texts.signals(ledger.signals(conn, today, today, limit=most))


def risk_text(desk: Desk, day_pnl: Decimal) -> str:
    """The limits, and how much of them today has used."""
    limits, view = desk.limits, desk.book.view
    today = [o for o in view.orders if o.purpose is Purpose.ENTRY and o.created_at >= desk.day_start()]
    spent = sum((_spent(order) for order in today), Decimal(0))
    account = desk.pollers.account.latest
    loss = "unknown" if account is None else dollars(limits.daily_loss(account.value.equity))
    return "\n".join(
        [
            f"positions: {len(view.held())} of {limits.positions}",
            f"entry premium today: {dollars(spent)} of {dollars(limits.day_dollars)}",
            f"entry orders today: {len(today)} of {limits.orders_day}",
            f"the day, open and closed: {dollars(day_pnl, signed=True)}; entries end at a loss of {loss}",
            f"limits: {limits.text()}",
        ]
    )


def _spent(order: Order) -> Decimal:
    filled = premium(order.filled_qty, order.filled_avg_price or Decimal(0))
    return filled + premium(order.open_qty, order.limit_price or Decimal(0))
