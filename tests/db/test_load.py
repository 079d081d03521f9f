"""What the issue demands under load: nothing lost, nobody locked out, the order path not held up."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import Promise, ThreadLanes
from wsb_snake.db.database import Database
from wsb_snake.db.meta import set_meta
from wsb_snake.db.records import OutcomeRecord, SignalRecord

THREADS = 8
IN_FLIGHT = 100  # rows that a thread hands over before it waits for them
BOUND_MS = 10.0
MEMORY = Path("/dev/shm")

MakeSignal = Callable[[str], SignalRecord]
MakeOutcome = Callable[[str], OutcomeRecord]


def p99_ms(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))] * 1000


def machine_jitter_ms() -> float:
    """How late this machine wakes an idle process, p99 of 300 sleeps of 1 ms."""
    late = []
    for _ in range(300):
        start = time.perf_counter()
        time.sleep(0.001)
        late.append(time.perf_counter() - start - 0.001)
    return p99_ms(late)


def load(directory: Path, rows: int, make_signal: MakeSignal, make_outcome: MakeOutcome) -> float:
    """Write ``rows`` from 8 threads, read beside them; p99 of urgent transactions meanwhile, in ms."""
    database = Database(directory / "load.db", ThreadLanes(SystemClock()))
    database.open()
    problems: list[BaseException] = []
    finished = threading.Event()

    def guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:
            problems.append(error)

    def write(thread: int) -> None:
        waiting: list[Promise[bool] | Promise[None]] = []
        for number in range(rows // THREADS):
            key = f"{thread}-{number}"
            if number % 2:
                waiting.append(database.save_signal(make_signal(key)))
            else:
                waiting.append(database.save_outcome(make_outcome(key)))
            if len(waiting) == IN_FLIGHT:
                for promise in waiting:
                    promise.result(60)
                waiting.clear()
        for promise in waiting:
            promise.result(60)

    def read() -> None:
        seen = 0
        while not finished.wait(0.05):
            with database.get_connection() as conn:
                count = conn.execute("SELECT count(*) FROM signals").fetchone()[0]
            assert count >= seen
            seen = count

    writers = [threading.Thread(target=guarded, args=(partial(write, number),)) for number in range(THREADS)]
    reader = threading.Thread(target=guarded, args=(read,))
    for thread in [*writers, reader]:
        thread.start()
    urgent: list[float] = []
    while any(thread.is_alive() for thread in writers):
        handed_over = time.perf_counter()
        intent = partial(set_meta, key=f"intent-{len(urgent)}", value="sent")
        database.transact(intent, urgent=True).result(60)
        urgent.append(time.perf_counter() - handed_over)
        time.sleep(0.002)
    finished.set()
    reader.join()
    assert problems == []
    assert_all_there(database, rows, len(urgent))
    assert database.close()
    return p99_ms(urgent)


def assert_all_there(database: Database, rows: int, urgent: int) -> None:
    def count(conn: sqlite3.Connection, query: str) -> int:
        return int(conn.execute(query).fetchone()[0])

    with database.get_connection() as conn:
        assert count(conn, "SELECT count(*) FROM signals") == rows // 2
        assert count(conn, "SELECT count(*) FROM outcomes") == rows // 2
        assert count(conn, "SELECT count(*) FROM meta WHERE key LIKE 'intent-%'") == urgent


@pytest.mark.usefixtures("quick_switch")
def test_eight_threads_lose_nothing_and_do_not_hold_up_an_intent(
    tmp_path: Path,
    make_signal: MakeSignal,
    make_outcome: MakeOutcome,
) -> None:
    """50,000 rows on the disk. An intent that took too long is measured twice more without the disk's
    share, and does not count on a machine that cannot even wake an idle process in time."""
    measured = [load(tmp_path, 50_000, make_signal, make_outcome)]
    while measured[-1] > BOUND_MS and len(measured) < 3:
        with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
            measured.append(load(Path(directory), 16_000, make_signal, make_outcome))
    logging.getLogger(__name__).info("urgent p99 of each measurement, ms: %s", measured)
    if measured[-1] > BOUND_MS and (jitter := machine_jitter_ms()) > 2.0:
        pytest.skip(f"this machine is too busy to measure 10 ms: it wakes a sleeper {jitter:.1f} ms late")
    assert measured[-1] <= BOUND_MS, f"p99 of each measurement, ms: {measured}"
