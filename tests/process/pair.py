"""The embedded exchange and the daemon as two real processes beside each other."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tests.source_rules import ROOT
from wsb_snake.sim.market import SeededMarket

DAY = date(2026, 11, 24)
SEED = 7
PATIENCE_S = 60.0
OURS = ("ALPACA_", "POLYGON_", "TELEGRAM_", "WSB_SNAKE_")


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that configures a daemon."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def until(ready: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, every_s: float = 0.1) -> Any:
    """What ``ready`` gives once it is true."""
    ends = time.monotonic() + patience_s
    while time.monotonic() < ends:
        answer = ready()
        if answer:
            return answer
        time.sleep(every_s)
    raise AssertionError(f"not within {patience_s:.0f} s: {what}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def in_the_money(underlying: str, at: str, depth: float = 0.012) -> str:
    """A call of today that has a bid until the close, with its strike ``depth`` under the price at ``at``."""
    market = SeededMarket(DAY, SEED)
    wanted = market.spot(underlying, datetime.fromisoformat(at)) * (1 - depth)
    calls = [
        row.contract
        for row in market.contracts(underlying)
        if row.contract.expiry == DAY and row.contract.right == "C"
    ]
    return min(calls, key=lambda c: abs(float(c.strike) - wanted)).symbol


def bought(underlying: str, at: str, qty: int) -> str:
    """Such a call for the exchange to hold, paid for at its price, so that no exit is due at once."""
    symbol = in_the_money(underlying, at)
    quote = SeededMarket(DAY, SEED).option_quote(symbol, datetime.fromisoformat(at))
    assert quote is not None
    return f"{symbol}={qty}@{quote.mid:.2f}"


@dataclass
class Pair:
    """Starts and stops the two processes; everything lives in ``folder``."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    runs: int = 0
    program: tuple[str, ...] = ("main.py", "run")

    def exchange(
        self, start_at: str, *holds: str, port: int | None = None, seed: int = SEED
    ) -> subprocess.Popen[bytes]:
        """An exchange that listens; another seed gives another market and another account."""
        command = [
            "exchange",
            "--port",
            str(port or free_port()),
            "--start-at",
            start_at,
            "--seed",
            str(seed),
        ]
        for hold in holds:
            command += ["--hold", hold]
        process = self._start(["main.py", *command], clean_environment(), self.folder / "exchange")
        until(lambda: "listening on" in self.told() or process.poll() is not None, "the exchange listens")
        assert process.poll() is None, (self.folder / "exchange.err").read_text()
        for line in self.told().splitlines():
            name, equals, value = line.partition("=")
            if equals and name.isupper():
                self.environment[name] = value
        return process

    def run(self, **settings: str) -> subprocess.Popen[bytes]:
        """A daemon on the exchange; its standard error goes to ``run<n>.err``."""
        self.runs += 1
        environment = {
            **clean_environment(),
            **self.environment,
            "WSB_SNAKE_DATA_DIR": str(self.folder / "data"),
            "WSB_SNAKE_HTTP_PORT": "0",
            "WSB_SNAKE_ENGINES": "spy_scalper",  # the others would buy beside what a test holds
            **settings,
        }
        return self._start(self.program, environment, self.folder / f"run{self.runs}")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that needs no more than the data directory."""
        return self._command(words, {})

    def configured(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the environment that the exchange printed."""
        return self._command(words, self.environment)

    def _command(self, words: Sequence[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = {
            **clean_environment(),
            **settings,
            "WSB_SNAKE_DATA_DIR": str(self.folder / "data"),
        }
        return subprocess.run(
            [sys.executable, "main.py", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE_S,  # flatten waits for the proof
            check=False,
        )

    def told(self) -> str:
        """What the exchange printed: the environment, and each Telegram message."""
        return (self.folder / "exchange.out").read_text()

    def messages(self) -> list[str]:
        return [line for line in self.told().splitlines() if line.startswith("telegram: ")]

    def log(self) -> str:
        return (self.folder / f"run{self.runs}.err").read_text()

    def refused(self, code: int, **settings: str) -> str:
        """The one line of a daemon that declines to run and ends with ``code``; a thread may log after it."""
        running = self.runs
        assert self.run(**settings).wait(PATIENCE_S) == code, self.log()
        assert "Traceback" not in self.log()
        (line,) = (each for each in self.log().splitlines() if each.startswith("wsb-snake: "))
        self.runs = running  # what health() asks
        return line

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the daemon's database answers."""
        with closing(sqlite3.connect(f"file:{self.folder}/data/wsb_snake.db?mode=ro", uri=True)) as conn:
            return conn.execute(query).fetchall()

    def held(self) -> set[str]:
        """Contracts that the daemon's database holds open."""
        return {symbol for (symbol,) in self.rows("SELECT symbol FROM positions WHERE qty > 0")}

    def sold(self) -> dict[str, int]:
        """Contracts that the account has sold, by the exchange's own list of orders; the daemon and who
        asks share one rate limit, so wait for it with ``every_s`` of a second."""
        keys = {
            "APCA-API-KEY-ID": self.environment["ALPACA_API_KEY"],
            "APCA-API-SECRET-KEY": self.environment["ALPACA_SECRET_KEY"],
        }
        url = self.environment["ALPACA_TRADING_URL"] + "/v2/orders?status=all&limit=500"
        with urllib.request.urlopen(urllib.request.Request(url, headers=keys), timeout=60) as answer:
            orders = json.load(answer)
        total: Counter[str] = Counter()
        for order in orders:
            if order["side"] == "sell":
                total[order["symbol"]] += int(order["filled_qty"])
        return {symbol: qty for symbol, qty in total.items() if qty}

    def health(self) -> dict[str, Any]:
        """The latest daemon's /health, an empty dict while it does not answer."""
        marker = "health on "
        if marker not in self.log():
            return {}
        url = self.log().split(marker, 1)[1].split()[0]
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                code, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                code, body = error.code, error.read()
        except OSError:
            return {}
        shown: dict[str, Any] = json.loads(body)
        return {**shown, "code": code}

    def monitored(self, count: int) -> dict[str, Any]:
        """Wait until ``count`` positions are monitored."""

        def there() -> dict[str, Any] | None:
            shown = self.health()
            full = shown.get("all_positions_monitored") and shown["monitored_positions"] == count
            return shown if full else None

        answer: dict[str, Any] = until(there, f"{count} positions monitored")
        return answer

    def _start(
        self, command: Sequence[str], environment: dict[str, str], output: Path
    ) -> subprocess.Popen[bytes]:
        with output.with_suffix(".out").open("wb") as out, output.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=out, stderr=err
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    both = Pair(folder)
    try:
        yield both
    finally:
        both.end()


def ended(process: subprocess.Popen[bytes], number: signal.Signals, within_s: float = 10.0) -> int:
    """Send a signal and wait; the exit code."""
    process.send_signal(number)
    return process.wait(within_s)
