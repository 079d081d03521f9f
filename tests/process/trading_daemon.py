"""The daemon, with a trader at its side and a hand on its plug: an entry script of the tests.

``TRADE=SYMBOL:SECONDS`` buys that contract once, with an exit plan of that many seconds.
``PLUG=KIND:N:WHEN`` ends this process by SIGKILL before, inside or after the N-th commit that holds an
event of that kind; the kinds ``outcome`` and ``alert`` stand for what the consumers write.
"""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from wsb_snake.cli import main
from wsb_snake.core.occ import parse
from wsb_snake.core.signals import Direction, ExitPlan, Signal, TradeIntent
from wsb_snake.db.writer import WriteConnection
from wsb_snake.trading.alpaca_executor import alpaca_executor
from wsb_snake.trading.broker import BrokerError
from wsb_snake.trading.desk import Desk

CONSUMED = MappingProxyType(
    {"outcome": "SELECT COUNT(*) FROM outcomes", "alert": "SELECT COUNT(*) FROM alerts"}
)


def start() -> int:
    """Run the daemon as ``run`` does; the exit code."""
    if plug := os.environ.get("PLUG"):
        kind, nth, when = plug.split(":")
        sqlite3.connect = watched(sqlite3.connect, plugged(kind, int(nth), when))
    if trade := os.environ.get("TRADE"):
        symbol, seconds = trade.split(":")
        threading.Thread(target=buy, args=(symbol, int(seconds)), name="trader", daemon=True).start()
    return main(["run"])


def watched(connect: Callable[..., Any], writing: type[WriteConnection]) -> Callable[..., Any]:
    """``connect`` that makes every writing connection a ``writing`` one."""

    def connected(*arguments: Any, **options: Any) -> Any:
        if issubclass(options.get("factory", sqlite3.Connection), WriteConnection):
            options["factory"] = writing
        return connect(*arguments, **options)

    return connected


def pull() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plugged(kind: str, nth: int, when: str) -> type[WriteConnection]:
    """A writing connection that ends its process around the ``nth`` commit of ``kind``."""
    go = threading.Event()

    def inside() -> None:
        """SQLite lets go of the interpreter while it writes and syncs: that is when this thread runs."""
        go.wait()
        pull()

    if when == "inside":
        threading.Thread(target=inside, name="plug", daemon=True).start()

    class Plugged(WriteConnection):
        begun = (0, 0)
        commits = 0

        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            due = False
            if sql == "BEGIN IMMEDIATE":
                answer = super().execute(sql)
                self.begun = self._mark()
                return answer
            if sql == "COMMIT" and self._holds():
                self.commits += 1
                due = self.commits == nth
            if due and when == "before":
                pull()
            if due and when == "inside":
                go.set()
            answer = super().execute(sql, *arguments)
            if due:  # also when the commit was quicker than the other thread
                pull()
            return answer

        def _mark(self) -> tuple[int, int]:
            try:
                (last,) = super().execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()
                (rows,) = super().execute(CONSUMED.get(kind, "SELECT 0")).fetchone()
            except sqlite3.OperationalError:  # the tables are made in the first transaction
                return 0, 0
            return last, rows

        def _holds(self) -> bool:
            last, rows = self.begun
            if kind in CONSUMED:
                return self._mark()[1] > rows
            query = "SELECT COUNT(*) FROM events WHERE seq > ? AND kind = ?"
            (found,) = super().execute(query, (last, kind)).fetchone()
            return bool(found)

    return Plugged


def buy(symbol: str, seconds: int) -> None:
    """Hand one intent down as soon as entries may go; an entry that is refused is offered again."""
    refusals: Counter[str] = Counter()
    desk = _when(_ready)
    while True:
        try:
            quote = desk.ports.fetch_quotes((symbol,))[symbol]
        except (BrokerError, KeyError) as error:
            refusals[repr(error)] += 1
            time.sleep(0.1)
            continue
        signal_ = Signal(
            f"test-{symbol}", desk.now(), "spy_scalper", "test", "SPY", Direction.LONG, 80.0, 1.0, ()
        )
        plan = ExitPlan(max_hold_s=seconds)
        if alpaca_executor.execute_scalp_entry(TradeIntent(signal_, parse(symbol), quote, plan)):
            return
        time.sleep(0.1)


def _ready() -> Desk | None:
    try:
        desk = alpaca_executor.desk
    except RuntimeError:  # not connected yet
        return None
    ready = desk.ready and desk.stream_up and not desk.pauses.any
    return desk if ready and desk.pollers.account.latest is not None else None


def _when(ready: Callable[[], Desk | None]) -> Desk:
    while (found := ready()) is None:
        time.sleep(0.02)
    return found


if __name__ == "__main__":
    sys.exit(start())
