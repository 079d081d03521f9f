"""How quickly the daemon gets out: benchmarks over loopback with the real process and the real clients.

``python -m tests.process.bench_exits [--json] [--quick] [NAME ...]`` prints one line a figure, in
milliseconds or seconds, with the machine's load. Names are those of ``BENCHES``; all of them take about
ten minutes. The exchange lives in this process, what it stamps is what it saw on its own socket: the
figures include its share.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zlib import crc32

from tests.process.pair import Pair, pair, until
from tests.process.venue import MORNING, LiveMarket, Strikes, Venue, venue
from tests.source_rules import ROOT
from wsb_snake.core.occ import build, parse
from wsb_snake.core.types import Quote, Right
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.faults import Action
from wsb_snake.sim.rules import Rules

CALM = Rules(partial_fill_chance=0, fill_beats_cancel_chance=0, liquidation="never")
UNLIMITED = Rules(
    partial_fill_chance=0, fill_beats_cancel_chance=0, liquidation="never", rate_limit_per_minute=None
)
TARGET, STOP = ("1.25", "1.30"), ("0.78", "0.82")
"""Quotes of a contract bought at 1.00: over the target, and under the stop but above twice its distance."""

EVERY_S = 0.7
"""Between two exits: not a whole part of a second, the pace of the feed."""

TICK_S = 10

HANGS = {
    "nothing": (),
    "market data": ("GET /v2/stocks", "GET /v1beta1/options/snapshots"),
    "market data and option quotes": ("GET /v2/stocks", "GET /v1beta1/"),
    "GET orders": ("GET /v2/orders",),
    "Telegram": (),
}
STREAMED = ("streamed", 2.5, "market data")
POLLED = ("polled", 7.5, "market data and option quotes")
"""Name, bound in seconds, and the hang that makes no sense there."""

EOD = "2026-11-23T15:55:00-05:00"
BEFORE_EOD = "2026-11-23T15:54:35-05:00"


class WideMarket(LiveMarket):
    """Fifty contracts of today in each name."""

    def __init__(self) -> None:
        super().__init__()
        for name, spot in self.spots.items():
            self._listed[name] = tuple(
                ListedContract(parse(build(name, self.day, right, Decimal(str(spot + step)))), 100, True)
                for right in Right
                for step in range(-12, 13)
            )

    def symbols_of(self, count: int) -> list[str]:
        found = [
            row.contract.symbol for name in ("SPY", "QQQ", "IWM", "AAPL") for row in self.contracts(name)
        ]
        return found[:count]


class Stamps(Strikes):
    """Notes when each quote left and when each order came, on the machine's own clock.

    Contracts tick one after the other, as on a real feed: each every ``TICK_S`` seconds, those that are
    being ``watched`` every second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watched: frozenset[str] = frozenset()
        self.sparse = True
        self.quoted: dict[str, list[tuple[float, Quote]]] = {}
        self.calls: list[tuple[str, datetime]] = []
        self.came: list[float] = []

    def before(self, call: str, at: datetime) -> Action:
        self.calls.append((call, at))
        if call == "POST /v2/orders":
            self.came.append(time.perf_counter())
        return super().before(call, at)

    def quote(self, quote: Quote, at: datetime) -> Quote | None:
        second = int(at.timestamp()) + crc32(quote.symbol.encode())
        due = quote.symbol in self.watched or second % TICK_S == 0
        shown = super().quote(quote, at) if due or not self.sparse else None
        if shown is not None:
            self.quoted.setdefault(quote.symbol, []).append((time.perf_counter(), shown))
        return shown


@dataclass
class Figure:
    """One line of the result."""

    name: str
    unit: str
    values: list[float]
    target: float
    load: tuple[float, ...] = field(default_factory=os.getloadavg)

    def at(self, share: float) -> float:
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": self.unit,
            "count": len(self.values),
            "p50": round(self.at(0.5), 2),
            "p99": round(self.at(0.99), 2),
            "max": round(max(self.values), 2),
            "target": self.target,
            "load": round(self.load[0], 2),
        }

    def line(self) -> str:
        shown = self.as_json()
        return (
            f"{self.name:<78} n {shown['count']:>5}  p50 {shown['p50']:>8}  p99 {shown['p99']:>8}  "
            f"max {shown['max']:>8} {self.unit}  (target {self.target:g}; load {shown['load']})"
        )


@dataclass
class Probe:
    """Milliseconds: of /health, and how late the machine woke the one that asked."""

    took: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Stand:
    """One exchange and one busy daemon that watches what was put there by hand."""

    market: Venue
    stamps: Stamps
    both: Pair
    symbols: list[str]

    def hang(self, what: str) -> None:
        self.stamps.hanging = HANGS[what]
        self.market.telegram.hanging = what == "Telegram"

    def turn(self, symbols: list[str], quote: tuple[str, str]) -> None:
        """Let the contracts trade at ``quote``, one after the other."""
        for symbol in symbols:
            with self.market.exchange.lock:
                self.stamps.quoted.pop(symbol, None)
                self.market.market.put(symbol, *quote)
                self.stamps.watched |= {symbol}
            time.sleep(EVERY_S)

    def answers(self, symbols: list[str], quote: tuple[str, str]) -> list[tuple[float, float]]:
        """Of each contract: seconds from its first such quote, and from its last one, to the POST."""
        until(lambda: self.posts().keys() >= set(symbols), "every exit went out", 60)
        found = []
        for symbol, came in self.posts().items():
            if symbol in symbols:
                quoted = [at for at, shown in self.stamps.quoted[symbol] if str(shown.bid) == quote[0]]
                found.append((came - quoted[0], came - max(at for at in quoted if at < came)))
        self.stamps.watched = frozenset()
        return found

    def posts(self) -> dict[str, float]:
        """When the first order in each contract came in."""
        came: dict[str, float] = {}
        for order, moment in zip(self.market.orders(), self.stamps.came, strict=False):
            came.setdefault(order.symbol, moment)
        return came


@contextmanager
def stand(
    held: int, probe: Probe, start_at: str, rules: Rules, pipelines: int = 1, **settings: str
) -> Iterator[Stand]:
    """``probe`` gets what was measured beside the block."""
    wide, stamps = WideMarket(), Stamps()
    symbols = wide.symbols_of(held)
    with (
        venue(start_at, rules, wide, stamps) as market,
        tempfile.TemporaryDirectory() as folder,
        pair(Path(folder)) as both,
        bars() as url,
    ):
        for symbol in symbols:
            market.exchange.hold(symbol, 1, Decimal(1))
        both.environment = market.environment
        both.program = ("-m", "tests.process.busy_daemon")
        both.run(BARS_URL=url, PIPELINES=str(pipelines), WSB_SNAKE_CUTOFF_FLATTEN="false", **settings)
        both.monitored(held)
        if "ALPACA_OPTION_STREAM_URL" not in settings:
            until(lambda: market.server.quote_subscriptions() >= set(symbols), "the quotes are streamed")
        with probed(both, probe):
            yield Stand(market, stamps, both, symbols)


@contextmanager
def bars() -> Iterator[str]:
    """Where the pipeline gets its bars."""
    command = [sys.executable, "-m", "tests.process.bar_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@contextmanager
def probed(both: Pair, probe: Probe) -> Iterator[None]:
    host, port = both.log().split("health on http://", 1)[1].split("/", 1)[0].split(":")
    command = [sys.executable, "-m", "tests.process.health_probe", host, port]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield
        told, _ = process.communicate()
    took, late = json.loads(told)
    probe.took += took
    probe.late += late


def exits(streamed: bool, count: int, probe: Probe, pipelines: int = 1) -> Iterator[Figure]:
    """Exits while one vendor after the other hangs, each time with a new daemon."""
    way, bound, spared = STREAMED if streamed else POLLED
    settings = {} if streamed else {"ALPACA_OPTION_STREAM_URL": ""}
    decided: list[float] = []
    for hang in (name for name in HANGS if name != spared):
        what = f"hanging: {hang}; full-size pipelines: {pipelines}"
        with stand(2 * count, probe, MORNING, UNLIMITED, pipelines, **settings) as one:
            one.stamps.sparse = streamed
            one.hang(hang)
            for quote, symbols in ((TARGET, one.symbols[:count]), (STOP, one.symbols[count:])):
                one.turn(symbols, quote)
                took = one.answers(symbols, quote)
                decided += [1000 * last for _, last in took]
            firsts = [first for first, _ in took]
        yield Figure(f"{way}: deciding quote to POST, {what}", "ms", decided[-2 * count :], 50)
        yield Figure(f"{way}: first crossing quote to POST, {what}", "s", firsts, bound)
    yield Figure(f"{way}: deciding quote to POST, all of these", "ms", decided, 50)


def end_of_day(held: int, within_s: float, probe: Probe) -> Iterator[Figure]:
    """The EOD close at a healthy broker with its rate limit."""
    with stand(held, probe, BEFORE_EOD, CALM) as one:
        until(lambda: not one.market.held(), "it is flat", 150)
        orders = one.market.orders()
        due = datetime.fromisoformat(EOD)
        fills = [(order.filled_at - due).total_seconds() for order in orders if order.filled_at is not None]
        posts = [(order.submitted_at - due).total_seconds() for order in orders]
        until(lambda: one.both.health().get("eod_flat_proven"), "flat is proven", 60)
        minutes = Counter(at.strftime("%H:%M") for call, at in one.stamps.calls if _trading(call))
        refused = one.stamps.posts - len(orders)
    yield Figure(f"EOD of {held}: 15:55:00 to the POST", "s", posts, within_s)
    yield Figure(f"EOD of {held}: 15:55:00 to the fill", "s", fills, within_s)
    yield Figure(f"EOD of {held}: orders a position", "", [len(orders) / held], 1)
    yield Figure(f"EOD of {held}: requests a minute", "", [float(n) for n in minutes.values()], 200)
    yield Figure(f"EOD of {held}: orders refused, 429 among them", "", [float(refused)], 0)


def _trading(call: str) -> bool:
    return not call.split()[1].startswith(("/v2/stocks/", "/v1beta1/"))


BENCHES: dict[str, Callable[[int, Probe], Iterator[Figure]]] = {
    "streamed": lambda share, probe: exits(True, 25 // share, probe),
    "polled": lambda share, probe: exits(False, 25 // share, probe),
    "crowded": lambda share, probe: exits(True, 12 // share, probe, pipelines=8),
    "eod_5": lambda _, probe: end_of_day(5, 5.0, probe),
    "eod_100": lambda _, probe: end_of_day(100, 60.0, probe),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="How quickly the daemon gets out.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHES)} (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="a fifth of the samples")
    asked = parser.parse_args()
    for name in asked.names or BENCHES:
        probe = Probe()
        for figure in BENCHES[name](5 if asked.quick else 1, probe):
            show(figure, asked.json)
        show(Figure(f"/health, throughout {name}", "ms", probe.took, 20), asked.json)
        show(Figure(f"a sleeper is woken late by, throughout {name}", "ms", probe.late, 1), asked.json)
    return 0


def show(figure: Figure, as_json: bool) -> None:
    sys.stdout.write((json.dumps(figure.as_json()) if as_json else figure.line()) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
