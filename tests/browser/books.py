"""A day of the owner's, made up: facts, a database file and the minutes of SPY."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from sqlite3 import Connection, connect

from tests.owner.books import SEEN, WON
from tests.owner.sample import facts, position
from wsb_snake.core.calendar import Session
from wsb_snake.core.health import Facts, PositionFacts
from wsb_snake.core.types import Bar
from wsb_snake.db.migrations import migrate
from wsb_snake.db.records import insert_outcome, insert_signal
from wsb_snake.owner.day_curve import DayCurve

DAY = date(2026, 11, 24)
OPEN = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SESSION = Session(DAY, OPEN, OPEN + timedelta(hours=6, minutes=30))
NOON = OPEN + timedelta(hours=2, minutes=41)
EOD = SESSION.close - timedelta(minutes=5)
LATER = "SPY261218C00620000"
EXITS = {
    "runner": "half off at +50%, a 20% trailing stop on the rest",
    "scalp": "target +20%, stop -15%, 45 minutes from now",
}
REASONS = ("target", "stop", "time", "trail", "eod")
ENGINES = ("spy_scalper", "orchestrator", "institutional_scalper", "momentum", "leaps")
TICKERS = ("SPY", "QQQ", "IWM", "NVDA", "TSLA")


def day(now: datetime = NOON, **changes: object) -> Facts:
    """A healthy session at ``now`` with an account that moves."""
    held: dict[str, object] = {
        "now": now,
        "started_at": OPEN - timedelta(hours=1),
        "session": SESSION,
        "next_eod_at": EOD if now < EOD else EOD + timedelta(days=1),
        "last_eod_run_et": "2026-11-23T15:55:00",
        "equity": Decimal("25269.46"),
        "day_pnl": Decimal("269.46"),
        "limits": {"all": "$1,500 a trade, $6,000 a day, 5 at once, loss $600 a day"},
        "exit_kinds": EXITS,
        "last_event": "position_closed SPY261124C00600000",
        "heartbeats": {
            **{"monitor": 0.8, "eod": 22.0, "scan": 11.2, "pipeline": 312.0, "journal": 1.2, "telegram": 4.0},
            **{"poll-account": 1.1, "poll-orders": 0.6, "poll-positions": 0.9, "poll-quotes": 0.4},
        },
    }
    return facts(**{**held, **changes})


def holding(count: int = 3) -> tuple[PositionFacts, ...]:
    """Positions from a clear gain to a clear loss."""
    made = []
    for number in range(count):
        ticker = TICKERS[number % len(TICKERS)]
        strike = 600 + number
        share = Decimal(number % 7 - 3) / 20 + Decimal("0.02")  # of the entry price
        entry = Decimal("1.25") + Decimal(number % 5) / 10
        mid = (entry * (1 + share)).quantize(Decimal("0.01"))
        made.append(
            position(
                f"{ticker}261124{'CP'[number % 2]}{strike * 1000:08d}",
                position_id=f"p{number}",
                underlying=ticker,
                engine=ENGINES[number % len(ENGINES)],
                qty=1 + number % 4,
                entry_price=entry,
                bid=mid - Decimal("0.01"),
                ask=mid + Decimal("0.01"),
                mid=mid,
                unrealised=(mid - entry) * 100 * (1 + number % 4),
                target_price=entry * Decimal("1.20"),
                stop_price=entry * Decimal("0.85"),
                opened_at=NOON - timedelta(minutes=3 * number + 2),
                time_exit_at=NOON + timedelta(minutes=43 - number % 40),
            )
        )
    return tuple(made)


def by_hand(**changes: object) -> PositionFacts:
    """A call for later that somebody bought at the broker, and that no rule sells."""
    bought = position(
        LATER,
        position_id="hand",
        engine="adopted",
        origin="foreign_later",
        qty=2,
        entry_price=Decimal("14.00"),
        bid=Decimal("14.35"),
        ask=Decimal("14.65"),
        mid=Decimal("14.50"),
        unrealised=Decimal(100),
        target_price=None,
        stop_price=None,
        time_exit_at=None,
        day_end_at=None,
        opened_at=OPEN,
        needs_exits=True,
    )
    return replace(bought, **changes)  # type: ignore[arg-type]


def minutes(symbol: str, until: datetime = NOON) -> tuple[Bar, ...]:
    """A wavy morning of SPY; nothing is known of other names."""
    if symbol != "SPY":
        return ()
    count = int((until - OPEN).total_seconds() // 60)
    closes = [600 + 2.2 * math.sin(n / 19) + 0.6 * math.sin(n / 4.3) + n / 90 for n in range(count)]
    return tuple(
        Bar("SPY", OPEN + timedelta(minutes=n), c - 0.1, c + 0.2, c - 0.3, c, 1e5, c)
        for n, c in enumerate(closes)
    )


def curve(until: datetime = NOON) -> DayCurve:
    """The result of the day, down first and then up."""
    made = DayCurve()
    for n in range(0, int((until - OPEN).total_seconds()), 15):
        pnl = Decimal(f"{-90 * math.sin(n / 1900) + n / 52:.2f}")
        made.note(day(OPEN + timedelta(seconds=n), day_pnl=pnl))
    return made


def database(path: Path, trades: int, today: int = 9) -> Path:
    """``trades`` closed trades, ``today`` of them on the day, with the signals that led to them."""
    conn = connect(path)
    migrate(conn)
    for number in range(trades):
        back = 0 if number < today else 1 + number // 9
        closed = OPEN + timedelta(minutes=7 + 16 * (number % 9)) - timedelta(days=back)
        ticker = "SPY" if number < today - 3 else TICKERS[number % len(TICKERS)]
        won = number % 5 not in (1, 3)
        net = Decimal(f"{(31 + number % 23) * (1 if won else -1)}.{number % 90 + 10}")
        outcome = replace(
            WON,
            position_id=f"t{number}",
            signal_id=f"s{number}",
            engine=ENGINES[number % len(ENGINES)],
            symbol=f"{ticker}{closed:%y%m%d}C00600000",
            underlying=ticker,
            opened_at=closed - timedelta(minutes=4 + number % 5),
            closed_at=closed,
            net_pnl=net,
            exit_price=Decimal("1.20") if won else Decimal("0.85"),
            r_multiple=1.3 if won else -1.05,
            exit_reason=REASONS[number % len(REASONS)] if won else "stop",
            holding_s=60.0 * (4 + number % 5),
        )
        insert_outcome(conn, outcome)
    for number in range(min(trades, 160) * 2):
        seen = replace(
            SEEN,
            signal_id=f"s{number}",
            at=OPEN + timedelta(seconds=50 * number),
            ticker=TICKERS[number % len(TICKERS)],
            engine=ENGINES[number % len(ENGINES)],
            confidence=float(48 + number * 7 % 45),
            verdict=("watched", "executed", "refused")[number % 3],
            reason=(
                "confidence 64 is too low: 75 is asked for",
                "",
                "5 positions are open, and no more than 5 may be at the same time",
            )[number % 3],
            evidence={"volume_ratio": 2.5, "vwap_gap": 0.12, "base_points": 60.0, "governor": "allowed 4"},
        )
        insert_signal(conn, seen)
    if trades:
        learnt(conn, trades)
    conn.commit()
    conn.close()
    return path


def learnt(conn: Connection, trades: int) -> None:
    """Weights, hours, and what engines and exits made."""
    at = NOON.isoformat()
    for n, feature in enumerate(("ignition", "pressure", "surge", "time", "pattern")):
        row = (feature, 4, 0.7 + 0.15 * n, trades, at, f"{trades} trades, mean R 0.2")
        conn.execute(
            "INSERT INTO model_weights (feature, version, weight, trades, at, why) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
    for n in range(14):
        cell = f"{ENGINES[n % 5]}|vwap_reclaim|{9 + n % 7:02d}|{('open', 'morning', 'lunch')[n % 3]}"
        conn.execute(
            "INSERT INTO time_performance (cell, trades, sum_r, sum_r2, at) VALUES (?, ?, ?, 9.0, ?)",
            (cell, 30 - n, (n - 5) * 1.1, at),
        )
    for n, engine in enumerate(ENGINES):
        for m, reason in enumerate(REASONS):
            conn.execute(
                "INSERT INTO trade_performance VALUES (?, 'vwap_reclaim', ?, ?, ?, ?, ?)",
                (engine, reason, 20 - n * m, 12 - n, f"{(m - 1) * 40 + n}.10", 3.0 * (m - 1)),
            )
