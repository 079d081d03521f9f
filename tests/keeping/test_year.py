"""The database of a year of busy sessions stays small, and what is asked of it all day costs what it did.

Only what is of all time by its nature grows: /profit, the lessons at a start, a trade's cell of hours.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.keeping import year_rows
from tests.watched_queries import Watch, watched
from wsb_snake.config import Settings
from wsb_snake.core.calendar import Session
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.events import EventKind
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.metrics import Metrics
from wsb_snake.daily import daily_report
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.values import instant_text
from wsb_snake.keeping.retention import SLICE, Retention
from wsb_snake.learning import daily_lessons, learnt, outcome_recorder, paper_trades
from wsb_snake.notifications.outbox import Outbox
from wsb_snake.owner import ledger, report, telegram_picture, telegram_reading, web_data, why
from wsb_snake.owner.metrics_page import JournalCount
from wsb_snake.trading import store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

YEAR, MONTH = 252, 20
KEEP_DAYS: int = Settings.model_fields["wsb_snake_keep_days"].default
BEFORE = date(2025, 1, 1)
MB = 2**20

SESSION_MB, LEARNT_MB = 1.0, 0.06
"""A busy session at most, and what of it stays for good."""

FEW_STEPS = 200
SLICE_STEPS = 60 * SLICE
"""Instructions of SQLite to remove a slice; a million of them take some tens of milliseconds."""


@dataclass(frozen=True)
class Life:
    """A database after some sessions, and its size in bytes after each evening."""

    path: Path
    sessions: list[Session]
    sizes: list[int]

    @property
    def last(self) -> Session:
        return self.sessions[-1]


def opened(path: Path) -> Database:
    database = Database(path, ThreadLanes(SystemClock()))
    database.open()
    return database


def done(database: Database) -> None:
    """All that was handed over is durable."""
    database.transact(lambda _: None).result(60)


def tidy(database: Database, retention: Retention, now: datetime) -> int:
    """Retention's pass of one evening; how many slices it took."""
    slices = 0
    while retention.step(now):
        slices += 1
        done(database)
    return slices


def pages(path: Path) -> tuple[int, int]:
    """Pages of the file, and those of them that are free."""
    with closing(sqlite3.connect(path)) as conn:
        return (
            conn.execute("PRAGMA page_count").fetchone()[0],
            conn.execute("PRAGMA freelist_count").fetchone()[0],
        )


def live(path: Path, sessions: list[Session]) -> Life:
    """Session after session, with the default retention in the evenings; the last one has no report yet."""
    database, sizes = opened(path), []
    retention = Retention(database, KEEP_DAYS)
    for session in sessions:

        def fill(conn: sqlite3.Connection, session: Session = session) -> None:
            year_rows.write_session(conn, session, first=session is sessions[0])
            if session is not sessions[-1]:
                year_rows.write_report(conn, session)

        database.transact(fill).result(60)
        tidy(database, retention, year_rows.evening_of(session))
        sizes.append(pages(path)[0] * 4096)
    database.close()
    return Life(path, sessions, sizes)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    path = tmp_path_factory.mktemp("year") / "wsb_snake.db"
    yield live(path, year_rows.sessions_from(BEFORE, YEAR))
    path.unlink()


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The last sessions of the year alone."""
    path = tmp_path_factory.mktemp("month") / "wsb_snake.db"
    yield live(path, year_rows.sessions_from(BEFORE, YEAR)[-MONTH:])
    path.unlink()


@pytest.fixture
def copy_of(tmp_path: Path) -> Iterator[Callable[[Life], Path]]:
    """Makes copies to write into; they take too much room to be left lying about."""
    copies = []

    def copy(life: Life) -> Path:
        made = tmp_path / f"{len(life.sessions)}.db"
        copies.append(made)
        with closing(sqlite3.connect(life.path)) as source, closing(sqlite3.connect(made)) as target:
            source.backup(target)
        return made

    yield copy
    for made in copies:
        made.unlink()


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as conn:
        tables = [row[0] for row in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: conn.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in tables}


@pytest.fixture(scope="module")
def small(year: Life, month: Life) -> frozenset[str]:
    """The tables that a year fills no further than a month does."""
    after_month = counts(month.path)
    found = frozenset(name for name, rows in counts(year.path).items() if rows <= 2 * after_month[name])
    assert not found & {"events", "alerts", "signals", "paper_trades", "positions", "orders", "outcomes"}
    return found | {"CONSTANT"}


def test_the_file_of_a_year_is_small_and_levels_off(year: Life) -> None:
    last = year.last.day
    kept = [s for s in year.sessions if (last - s.day).days <= KEEP_DAYS]
    assert len(kept) < YEAR / 2
    bound = len(kept) * SESSION_MB + YEAR * LEARNT_MB
    assert year.sizes[len(kept) // 2] / MB < year.sizes[-1] / MB <= bound
    grown = (year.sizes[-1] - year.sizes[199]) / MB
    assert grown <= (YEAR - 200) * LEARNT_MB
    with closing(sqlite3.connect(year.path)) as conn:
        oldest = instant_text(year_rows.evening_of(year.last) - timedelta(days=KEEP_DAYS))
        for table in ("paper_trades", "positions"):
            old = conn.execute(f"SELECT COUNT(*) FROM {table} WHERE closed_at < ?", (oldest,))
            assert old.fetchone() == (0,), table
        left = {row[0] for row in conn.execute("SELECT kind FROM events WHERE at < ?", (oldest,))}
    assert left == {"started", "position_opened"}  # the first start, and what is held since then
    assert counts(year.path)["outcomes"] == YEAR * year_rows.TRADES


def test_a_shorter_retention_frees_pages_in_small_transactions_and_they_are_used_again(
    year: Life, copy_of: Callable[[Life], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy_of(year)
    before, free_before = pages(path)
    following = year_rows.sessions_from(year.last.day, 5)
    with watched(monkeypatch, writer_only=True) as watch:
        database = opened(path)
        slices = tidy(database, Retention(database, 30), year_rows.evening_of(year.last))
    assert slices > 1000
    assert 0 < watch.largest <= SLICE_STEPS
    assert pages(path)[0] == before
    assert pages(path)[1] > free_before + before / 2
    for session in following:
        database.transact(partial(year_rows.write_session, session=session, first=False)).result(60)
    database.close()
    assert pages(path)[0] == before


@dataclass(frozen=True)
class Asked:
    """What a query of the day is asked with."""

    database: Database
    session: Session

    @property
    def day(self) -> date:
        return self.session.day

    @property
    def signal(self) -> str:
        return f"{self.day}-institutional_scalper-SPY-breakout-0000"

    def read(self, work: Callable[[sqlite3.Connection], object]) -> None:
        with self.database.get_connection() as conn:
            assert work(conn) is not None

    def write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        self.database.transact(work).result(60)


def book(asked: Asked) -> None:
    asked.read(lambda conn: store.load_positions(conn, asked.session.open))
    asked.read(lambda conn: store.load_orders(conn, asked.session.open))


def chat(asked: Asked) -> None:
    day, long_ago = asked.day, telegram_reading.LONG_AGO
    asked.read(lambda conn: ledger.trades(conn, long_ago, day, limit=10))
    asked.read(lambda conn: ledger.orders(conn, day, day, 10))
    asked.read(lambda conn: ledger.signals(conn, day, day, limit=10))
    asked.read(lambda conn: ledger.daily_rows(conn, long_ago, day, 7))
    asked.read(ledger.performance)
    asked.read(lambda conn: telegram_picture._told(conn, instant_text(asked.session.close)))


def page(asked: Asked) -> None:
    day = asked.day
    asked.read(lambda conn: ledger.trades(conn, day, day))
    asked.read(lambda conn: ledger.trades(conn, day - web_data.TRADES_BACK, day, limit=101))
    asked.read(lambda conn: ledger.signals(conn, day, day, "SPY", 51))
    asked.read(web_data.learning_json)
    asked.read(lambda conn: ledger.curve(conn, day, day))


def of_a_signal(asked: Asked) -> None:
    assert why.why(asked.database.path, asked.signal).told


def of_a_day(asked: Asked) -> None:
    found = report.report(asked.database.path, asked.day, journal=True)
    assert found.journal is not None and len(found.journal) > year_rows.SIGNALS


def journal_read(asked: Asked) -> None:
    consumer = journal.Consumer(asked.database, "alerts", lambda conn, event: None)
    for _ in range(30):
        asked.write(lambda conn: journal.append(conn, asked.session.close, EventKind.ERROR, {}))
    assert consumer.catch_up() == 30


def outbox(asked: Asked) -> None:
    assert Outbox(asked.database, None, SystemClock()).step() is None


def scrape(asked: Asked) -> None:
    assert JournalCount(Metrics(), asked.database.path, asked.session.open).step()


def on_paper(asked: Asked) -> None:
    asked.read(paper_trades.open_trades)
    asked.read(lambda conn: paper_trades.ids_since(conn, asked.session.open))


def evening(asked: Asked) -> None:
    daily_report(asked.database, asked.session, None, year_rows.evening_of(asked.session))
    done(asked.database)
    assert journal.Consumer(asked.database, learnt.CONSUMER, learnt.learn).catch_up() == 1
    asked.read(lambda conn: daily_lessons.facts_of(conn, asked.day))
    asked.read(lambda conn: ledger.daily_rows(conn, asked.day, asked.day)[0])


def closed_trade(asked: Asked) -> None:
    at = asked.session.close

    def close(conn: sqlite3.Connection) -> None:
        row = year_rows.position_row("new", asked.signal, instant_text(asked.session.open), instant_text(at))
        year_rows.put(conn, "positions", {**row, "setup": "first of its kind"})
        journal.append(conn, at, EventKind.POSITION_CLOSED, {"position_id": "new"})

    asked.write(close)
    outcomes = journal.Consumer(asked.database, "outcomes", outcome_recorder.record)
    lessons = journal.Consumer(asked.database, learnt.CONSUMER, learnt.learn, behind="outcomes")
    assert outcomes.catch_up() == lessons.catch_up() == 1


def nothing_old(asked: Asked) -> None:
    assert not Retention(asked.database, 36_500).step(year_rows.evening_of(asked.session))


def of_a_ticker(asked: Asked) -> None:
    assert why.why(asked.database.path, "SPY").more > 0


DAILY = (
    book,
    chat,
    page,
    of_a_signal,
    of_a_day,
    journal_read,
    outbox,
    scrape,
    on_paper,
    evening,
    closed_trade,
)


def asked_of(
    path: Path, session: Session, work: Callable[[Asked], None], monkeypatch: pytest.MonkeyPatch
) -> Watch:
    with watched(monkeypatch) as watch:
        database = opened(path)
        work(Asked(database, session))
        database.close()
    assert watch.steps > 0
    return watch


@pytest.mark.parametrize("work", DAILY)
def test_what_is_asked_all_day_takes_the_steps_that_it_took_after_a_month(
    work: Callable[[Asked], None],
    year: Life,
    month: Life,
    small: frozenset[str],
    copy_of: Callable[[Life], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late, early = (asked_of(copy_of(life), life.last, work, monkeypatch) for life in (year, month))
    assert late.whole_tables(year.path, small) == []
    assert late.steps <= 1.1 * early.steps + FEW_STEPS


@pytest.mark.parametrize("work", [nothing_old, of_a_ticker])
def test_what_counts_all_rows_that_are_kept_goes_by_index(
    work: Callable[[Asked], None],
    year: Life,
    small: frozenset[str],
    copy_of: Callable[[Life], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = asked_of(copy_of(year), year.last, work, monkeypatch)
    assert asked.whole_tables(year.path, small) == []
