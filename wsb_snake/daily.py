"""The day's sum: one row in ``daily_summaries`` and one DAILY_REPORT event a session."""

import sqlite3
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from wsb_snake.core.calendar import REGULAR_CLOSE, Session
from wsb_snake.core.clock import eastern, eastern_text
from wsb_snake.core.events import EventKind
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.trades import Tally, Trade, bounds_of, rows, slippage, tallies, tally, trades
from wsb_snake.db.values import instant, instant_text, json_text, money_text
from wsb_snake.learning.paper_trades import missed
from wsb_snake.trading.eod_guard import EOD_BEFORE_CLOSE, EodState

REPORT_AFTER_CLOSE = timedelta(minutes=15)


def report_due_at(session: Session) -> datetime:
    return session.close + REPORT_AFTER_CLOSE


def daily_report(
    database: Database,
    session: Session,
    eod: EodState | None,
    now: datetime,
    following: Session | None = None,
) -> None:
    """Write the session's summary and its event, once; later calls find it there.

    ``following`` is the next session.
    """

    def write(conn: sqlite3.Connection) -> None:
        day = session.day.isoformat()
        if conn.execute("SELECT 1 FROM daily_summaries WHERE session = ?", (day,)).fetchone():
            return
        closed = trades(conn, session.day, session.day)
        total = tally(closed)
        summary = {
            **_counted(day, total),
            **_closed(closed, total),
            **_eod(session, eod),
            "first_started_et": _first_start_after(conn, session.close),
            "missed": [
                {"engine": m.engine, "trades": m.trades, "wins": m.wins, "total_r": m.total_r}
                for m in missed(conn, session.day)
            ],
            "learnt": learnt_on(conn, session.day),
            "following": None if following is None else _following(following),
        }
        conn.execute(
            "INSERT INTO daily_summaries (session, trades, wins, losses, net_pnl, fees, detail, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(day, total.trades, total.wins, total.losses, money_text(total.net_pnl)),
                *(money_text(total.fees), json_text(summary), instant_text(now)),
            ),
        )
        journal.append(conn, now, EventKind.DAILY_REPORT, summary)

    database.transact(write)


def outcomes_of(conn: sqlite3.Connection, day: date) -> list[sqlite3.Row]:
    """The outcomes closed on a US/Eastern day, oldest first."""
    query = "SELECT * FROM outcomes WHERE closed_at >= ? AND closed_at < ? ORDER BY closed_at"
    return rows(conn, query, bounds_of(day, day))


def learnt_on(conn: sqlite3.Connection, day: date) -> list[dict[str, object]]:
    """How far each component's weight moved on a US/Eastern day, through how many trades; none at rest."""
    start, end = bounds_of(day, day)
    query = (
        "SELECT weight, trades FROM model_weights WHERE feature = ? AND at < ? ORDER BY version DESC LIMIT 1"
    )
    moved = "SELECT DISTINCT feature FROM model_weights WHERE at >= ? AND at < ? ORDER BY feature"
    changes: list[dict[str, object]] = []
    for (feature,) in conn.execute(moved, (start, end)).fetchall():
        before = conn.execute(query, (feature, start)).fetchone()
        after = conn.execute(query, (feature, end)).fetchone()
        weight, count = (None, 0) if before is None else before
        changes.append(
            {"feature": feature, "before": weight, "after": after[0], "trades": max(0, after[1] - count)}
        )
    return changes


def _counted(day: str, total: Tally) -> dict[str, object]:
    return {
        "session": day,
        "trades": total.trades,
        "wins": total.wins,
        "losses": total.losses,
        "net_pnl": total.net_pnl,
        "fees": total.fees,
        "mean_r": total.mean_r,
    }


def _closed(closed: tuple[Trade, ...], total: Tally) -> dict[str, object]:
    by_result = sorted(closed, key=lambda trade: trade.net_pnl)
    return {
        "best": _one(by_result[-1]) if total.trades else None,
        "worst": _one(by_result[0]) if total.trades else None,
        "by_engine": _groups(tallies(closed, lambda trade: trade.engine)),
        "by_exit": _groups(tallies(closed, lambda trade: trade.exit_reason)),
        "slippage": slippage(closed),
    }


def _one(trade: Trade) -> dict[str, object]:
    return {
        "symbol": trade.symbol,
        "net_pnl": trade.net_pnl,
        "net_r": trade.net_r,
        "reason": trade.exit_reason,
    }


def _groups(sums: Mapping[str, Tally]) -> list[dict[str, object]]:
    return [
        {"name": name, "trades": held.trades, "wins": held.wins, "net_pnl": held.net_pnl}
        for name, held in sums.items()
    ]


def _eod(session: Session, eod: EodState | None) -> dict[str, object]:
    of_today = eod if eod is not None and eod.day == session.day else None
    ran_at = None if of_today is None else of_today.ran_at
    proven_at = None if of_today is None else of_today.proven_at
    withdrawn_at = None if of_today is None else of_today.withdrawn_at
    return {
        "eod_ran_et": None if ran_at is None else eastern_text(ran_at),
        "eod_flat_proven": proven_at is not None,
        "eod_proven_et": None if proven_at is None else eastern_text(proven_at),
        "eod_withdrawn_et": None if withdrawn_at is None else eastern_text(withdrawn_at),
        "eod_withdrawn_for": [] if of_today is None else list(of_today.withdrawn_for),
    }


def _first_start_after(conn: sqlite3.Connection, close: datetime) -> str | None:
    """When the journal begins, if that is after ``close`` and no EOD close ever ran: none was missed."""
    if conn.execute("SELECT 1 FROM eod_runs LIMIT 1").fetchone():
        return None
    began = conn.execute("SELECT MIN(at) FROM events").fetchone()[0]
    return None if began is None or instant(began) < close else eastern_text(instant(began))


def _following(session: Session) -> dict[str, object]:
    return {
        "session": session.day.isoformat(),
        "open_et": f"{eastern(session.open):%H:%M}",
        "close_et": f"{eastern(session.close):%H:%M}",
        "eod_at_et": f"{eastern(session.close - EOD_BEFORE_CLOSE):%H:%M}",
        "half_day": eastern(session.close).time() < REGULAR_CLOSE,
    }
