"""Rows of whole sessions, as many and as long as the daemon wrote on its busiest seeded day."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from wsb_snake.core.calendar import Session
from wsb_snake.db.values import instant_text
from wsb_snake.sim.sessions import session_after

SIGNALS, PAPER_TRADES, REFUSALS, TRADES = 550, 230, 100, 12
"""Of a session. Each trade is a position with entry, exit and outcome, and their events and alerts."""

TICKERS = ("SPY", "QQQ", "IWM", "NVDA", "TSLA", "AAPL", "AMD", "META", "AMZN", "GLD", "SLV", "TLT")
CONSUMERS = ("outcomes", "learning", "alerts")
OF_A_TRADE = (
    "entry_sent",
    "fill",
    "position_opened",
    "exit_condition",
    "exit_sent",
    "fill",
    "position_closed",
)
LONG_HELD = "long held"
"""A position that is opened in the first session and held ever after."""

SCORES = {"ignition": 64.5, "pressure": 71.25, "surge": 12.0}
EVIDENCE = json.dumps({**SCORES, **{f"figure_{n}": 0.1234567890123 for n in range(15)}})
"""480 characters on average; the scores make an outcome teach something."""

PLAN = json.dumps({"target": "0.20", "stop": "0.15", "max_hold_s": 2700, "half_at": None, "trail": None})
WORDS = "x" * 150

Row = Mapping[str, object]


def sessions_from(day: date, count: int) -> list[Session]:
    """``count`` sessions of the exchange's calendar after ``day``."""
    found: list[Session] = []
    while len(found) < count:
        listed = session_after(day)
        found.append(Session(listed.day, listed.open, listed.close))
        day = listed.day
    return found


def put(conn: sqlite3.Connection, table: str, *rows: Row) -> None:
    """Insert ``rows``, which all have the columns of the first."""
    columns, marks = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
    conn.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)


def write_session(conn: sqlite3.Connection, session: Session, *, first: bool) -> None:
    """All that a busy session leaves behind, read by every consumer and sent."""
    at = [session.open + timedelta(seconds=n * session_s(session) / SIGNALS) for n in range(SIGNALS)]
    moments = [instant_text(moment) for moment in at]
    day = session.day.isoformat()
    names = [
        f"{day}-institutional_scalper-{TICKERS[n % len(TICKERS)]}-breakout-{n:04}" for n in range(SIGNALS)
    ]
    put(conn, "signals", *_signals(names, moments))
    traded = names[:: SIGNALS // TRADES][:TRADES]  # one here and one there: what stays lies among what goes
    watched = [name for name in names if name not in traded]
    put(conn, "paper_trades", *_paper_trades(watched[:PAPER_TRADES], moments))
    events: list[tuple[str, str, dict[str, object]]] = [
        ("signal", moment, {"signal_id": name, "more": WORDS})
        for name, moment in zip(names, moments, strict=True)
    ]
    events += [("entry_refused", moment, {"reason": WORDS}) for moment in moments[:REFUSALS]]
    for number in range(TRADES):
        position, opened, closed = f"{day}-i-{number:012}", moments[10 * number], moments[10 * number + 9]
        events += [(kind, closed, {"position_id": position, "more": WORDS}) for kind in OF_A_TRADE]
        _write_trade(conn, position, traded[number], opened, closed)
    if first:
        put(conn, "positions", position_row(LONG_HELD, watched[-1], moments[0], None))
        events.append(("position_opened", moments[0], {"position_id": LONG_HELD}))
        events.append(("started", moments[0], {"first_start": True}))
    evening = instant_text(session.close + timedelta(minutes=15))
    events += [(kind, evening, {"more": WORDS}) for kind in ("awake", "eod_ran", "eod_proven")]
    _write_evening(conn, day, evening)
    _write_journal(conn, events)


def session_s(session: Session) -> float:
    return (session.close - session.open).total_seconds()


def _signals(names: Sequence[str], moments: Sequence[str]) -> Iterator[Row]:
    for number, (name, at) in enumerate(zip(names, moments, strict=True)):
        yield {
            **{"signal_id": name, "at": at, "engine": "institutional_scalper", "setup": "breakout"},
            **{"ticker": TICKERS[number % len(TICKERS)], "direction": "long", "confidence": 64.0},
            **{"price": 601.25, "evidence": EVIDENCE, "verdict": "watched", "reason": WORDS[:56]},
            "position_id": None,
        }


def _paper_trades(names: Sequence[str], moments: Sequence[str]) -> Iterator[Row]:
    for number, name in enumerate(names):
        yield {
            **{"paper_id": f"paper-{name}", "signal_id": name, "symbol": "SPY261124C00600000"},
            **{"opened_at": moments[number], "closed_at": moments[number + 100], "entry_price": "1.34"},
            **{"exit_price": "1.84", "exit_reason": "target", "why_not": WORDS[:59], "plan": PLAN},
            **{"engine": "institutional_scalper", "setup": "breakout", "high_bid": "1.90", "fees": "0.12"},
            "net_r": 2.481592039800995,
        }


def position_row(name: str, signal: str, opened: str, closed: str | None) -> Row:
    return {
        **{"position_id": name, "symbol": "SPY261124C00600000", "underlying": "SPY", "expiry": opened[:10]},
        **{"origin": "ours", "engine": "institutional_scalper", "setup": "breakout", "signal_id": signal},
        **{"state": "closed" if closed else "open", "qty": 0 if closed else 2, "bought_qty": 2},
        **{"entry_price": "0.82", "decision_price": "0.83", "plan": PLAN, "opened_at": opened},
        **{
            "closed_at": closed,
            "sold_qty": 2 if closed else 0,
            "exit_price": "1.00",
            "exit_reason": "target",
        },
        **{
            "to_sell": 0,
            "half_sold": 0,
            "high_bid": "1.00",
            "best_mid": "1.01",
            "worst_mid": "0.71",
            "note": "",
        },
    }


def _write_trade(conn: sqlite3.Connection, position: str, signal: str, opened: str, closed: str) -> None:
    put(conn, "positions", position_row(position, signal, opened, closed))
    verdict = (position, signal)
    conn.execute("UPDATE signals SET verdict = 'executed', position_id = ? WHERE signal_id = ?", verdict)
    for leg, side, at in (("e", "buy", opened), ("x", "sell", closed)):
        common = {
            "client_order_id": f"wsb-{position}-{leg}-1",
            "position_id": position,
            "side": side,
            "qty": 2,
        }
        symbol = "SPY261124C00600000"
        order = {
            **{**common, "symbol": symbol, "purpose": "entry" if leg == "e" else "exit", "type": "limit"},
            **{
                "intent": "buy_to_open" if leg == "e" else "sell_to_close",
                "limit_price": "0.99",
                "status": "filled",
                "attempt": 1,
            },
            **{"reason": "target", "broker_id": "1e68766e-951f-4aba-8469-19daefca515e", "created_at": at},
            **{"sent_at": at, "ended_at": at, "filled_qty": 2, "filled_avg_price": "1", "note": ""},
        }
        put(conn, "orders", order)
        put(conn, "fills", {**common, "symbol": symbol, "cumulative_qty": 2, "price": "1", "at": at})


def write_lesson(conn: sqlite3.Connection, position: str, signal: str, closed: str, seq: int) -> None:
    """The outcome of a position, and what was learnt from it: these rows stay for good."""
    outcome = {
        **{"position_id": position, "signal_id": signal, "event_seq": seq, "engine": "institutional_scalper"},
        **{"setup": "breakout", "symbol": "SPY261124C00600000", "underlying": "SPY", "opened_at": closed},
        **{"closed_at": closed, "qty": 2, "entry_price": "0.82", "exit_price": "1.00", "gross_pnl": "36.00"},
        **{"fees": "0.71", "net_pnl": "35.29", "r_multiple": 1.4537940379403793, "exit_reason": "target"},
        **{"holding_s": 670.0, "session_window": "early_power", "regime": "normal"},
    }
    put(conn, "outcomes", outcome)
    cell = f"institutional_scalper|breakout|{int(closed[11:13]):02}|lunch"
    put(conn, "time_cells", {"position_id": position, "cell": cell})
    window = json.dumps([-0.1399] * 10)
    common = {"position_id": position, "at": closed, "net_r": 1.45, "engine": "institutional_scalper"}
    put(conn, "pattern_memory", {"pattern_id": position, "window": window, **common})
    _write_weights(conn, closed, position)


def _write_weights(conn: sqlite3.Connection, at: str, cause: str) -> None:
    (version,) = conn.execute("SELECT COALESCE(MAX(version), 0) + 1 FROM model_weights").fetchone()
    common = {
        "version": version,
        "weight": 0.35,
        "trades": version,
        "at": at,
        "why": WORDS[:50],
        "cause": cause,
    }
    features = ("ignition", "pressure", "surge")
    rows = [{**common, "feature": name, "raw": 0.3447311128, "mean_r": 0.13405540338} for name in features]
    put(conn, "model_weights", *rows)


def _write_evening(conn: sqlite3.Connection, day: str, evening: str) -> None:
    run = {"session": day, "ran_at": evening, "closing": 0, "proven_at": evening, "detail": ""}
    put(conn, "eod_runs", run)


def write_report(conn: sqlite3.Connection, session: Session) -> None:
    """The row of the daily report, and the weights after it."""
    day, evening = session.day.isoformat(), instant_text(session.close + timedelta(minutes=15))
    summary = {"session": day, "trades": TRADES, "wins": 5, "losses": 7, "net_pnl": "1.00", "fees": "1.00"}
    put(conn, "daily_summaries", {**summary, "detail": json.dumps({"more": "x" * 1350}), "at": evening})
    _write_weights(conn, evening, f"report {day}")


def _write_journal(conn: sqlite3.Connection, events: list[tuple[str, str, dict[str, object]]]) -> None:
    """The events in order, each trade's outcome, the alerts of what is told, and every offset at the head."""
    for kind, at, data in sorted(events, key=lambda event: event[1]):
        row = (at, kind, json.dumps(data))
        seq = conn.execute("INSERT INTO events (at, kind, data) VALUES (?, ?, ?)", row).lastrowid
        assert seq is not None
        if kind not in ("signal", "entry_refused"):
            alert = {"dedupe_key": f"event:{seq}:0", "at": at, "kind": kind, "level": "loud", "text": WORDS}
            put(conn, "alerts", {**alert, "state": "sent", "attempts": 1, "sent_at": at})
        if kind == "position_closed":
            position = str(data["position_id"])
            query = "SELECT signal_id FROM positions WHERE position_id = ?"
            write_lesson(conn, position, conn.execute(query, (position,)).fetchone()[0], at, seq)
    for name in CONSUMERS:
        conn.execute("INSERT OR REPLACE INTO offsets SELECT ?, MAX(seq) FROM events", (name,))


def evening_of(session: Session) -> datetime:
    """When the daemon tidies up after ``session``."""
    return session.close + timedelta(hours=1)
