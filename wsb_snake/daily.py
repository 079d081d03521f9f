"""The day's sum: one row in ``daily_summaries`` and one DAILY_REPORT event a session."""

import sqlite3
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import eastern_text, from_eastern
from wsb_snake.core.events import EventKind
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant_text, json_text, money, money_text
from wsb_snake.trading.eod_guard import EodState

REPORT_AFTER_CLOSE = timedelta(minutes=15)


def report_due_at(session: Session) -> datetime:
    return session.close + REPORT_AFTER_CLOSE


def daily_report(database: Database, session: Session, eod: EodState | None, now: datetime) -> None:
    """Write the session's summary and its event, once; later calls find it there."""
    ran_at = eod.ran_at if eod is not None and eod.day == session.day else None
    proven = eod is not None and eod.day == session.day and eod.proven_at is not None

    def write(conn: sqlite3.Connection) -> None:
        day = session.day.isoformat()
        if conn.execute("SELECT 1 FROM daily_summaries WHERE session = ?", (day,)).fetchone():
            return
        rows = outcomes_of(conn, session.day)
        nets = [money(row["net_pnl"]) for row in rows]
        fees = sum((money(row["fees"]) for row in rows), Decimal(0))
        summary = {
            "session": day,
            "trades": len(rows),
            "wins": sum(net > 0 for net in nets),
            "losses": sum(net <= 0 for net in nets),
            "net_pnl": sum(nets, Decimal(0)),
            "fees": fees,
            "eod_ran_et": None if ran_at is None else eastern_text(ran_at),
            "eod_flat_proven": proven,
        }
        conn.execute(
            "INSERT INTO daily_summaries (session, trades, wins, losses, net_pnl, fees, detail, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                day,
                summary["trades"],
                summary["wins"],
                summary["losses"],
                money_text(sum(nets, Decimal(0))),
                money_text(fees),
                json_text(summary),
                instant_text(now),
            ),
        )
        journal.append(conn, now, EventKind.DAILY_REPORT, summary)

    database.transact(write)


def outcomes_of(conn: sqlite3.Connection, day: date) -> list[sqlite3.Row]:
    """The outcomes closed on a US/Eastern day, oldest first."""
    start = from_eastern(day, time.min)
    bounds = (instant_text(start), instant_text(start + timedelta(days=1)))
    query = "SELECT * FROM outcomes WHERE closed_at >= ? AND closed_at < ? ORDER BY closed_at"
    cursor = conn.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(query, bounds).fetchall()
