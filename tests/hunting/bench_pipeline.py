"""How long a pass takes with 50 ms on every call: ``python -m tests.hunting.bench_pipeline``."""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from tests.hunting.pipeline_room import Pass, Room
from wsb_snake.collectors.alpaca_data import REQUESTS_A_MINUTE
from wsb_snake.config import ENGINES

LATENCY_S = 0.05
VIX = "v3/snapshot/indices"
SLOW = frozenset(ENGINES) - {"spy_scalper"}


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def told(what: str, of: Pass) -> str:
    kinds = ", ".join(f"{count} {path}" for path, count in sorted(of.requests.items()))
    chains = sum(count for path, count in of.requests.items() if "snapshot" in path) - of.requests[VIX]
    alpaca = sum(count for path, count in of.requests.items() if not path.startswith("v3/"))
    return (
        f"{what}: {of.fetched_s + of.computed_s:.2f} s, of them computing {of.computed_s:.3f} s; "
        f"CPU {of.cpu_s:.2f} s, and {of.exchange_s:.2f} s of the exchange\n"
        f"    {of.requests.total()} requests, {chains} of chains; of Alpaca {alpaca}, "
        f"{alpaca / REQUESTS_A_MINUTE:.0%} of the minute's budget\n    {kinds}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder), LATENCY_S)
        room.warm()
        first = room.pass_of(SLOW, room.at(timedelta(hours=1, seconds=5)))
        say(told("first pipeline of the day, all engines", first))
        for lack in first.look.lacks:
            say(f"    {lack}")
        room.pass_of(SLOW, room.at(timedelta(hours=5, seconds=5)))
        again = room.pass_of(SLOW, room.at(timedelta(hours=5, minutes=10, seconds=5)))
        say(told("pipeline ten minutes later, all engines", again))
        scan = room.pass_of(frozenset({"spy_scalper"}), room.at(timedelta(hours=5, minutes=11, seconds=2)))
        say(told("scanner pass", scan))
    with tempfile.TemporaryDirectory() as folder:
        room = Room(Path(folder), LATENCY_S, plan="free")
        room.warm()
        free = room.pass_of(SLOW, room.at(timedelta(hours=5, seconds=5)))
        say(told("first pipeline of the day on the free Polygon plan", free))
        for lack in (*free.look.lacks, *room.market.errors):
            say(f"    {lack}")
    with tempfile.TemporaryDirectory() as folder:
        say(f"computing of a whole day: {whole_day(Room(Path(folder))):.1f} s of 23,400 s")


def whole_day(room: Room) -> float:
    """Seconds of computing in every pass of a session."""
    computing = 0.0
    for minute in range(390):
        others = {"institutional_scalper"}
        for every, engine in ((2, "momentum_engine"), (10, "orchestrator"), (30, "leaps_engine")):
            others |= {engine} if minute % every == 0 else set()
        for second, due in ((2, {"spy_scalper"}), (5, others), (32, {"spy_scalper"})):
            now = room.at(timedelta(minutes=minute, seconds=second))
            computing += room.pass_of(frozenset(due), now).computed_s
    return computing


if __name__ == "__main__":
    main()
