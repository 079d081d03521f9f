"""The way back: a backup takes the place of the state, or nothing changes at all."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.source_rules import ROOT
from wsb_snake.config import Settings
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.lanes import ThreadLanes
from wsb_snake.core.process_lock import ProcessLock
from wsb_snake.db.database import Database
from wsb_snake.db.meta import Stamp, get_meta, set_meta, write_stamp
from wsb_snake.db.migrations import migrate
from wsb_snake.db.schema import MIGRATIONS
from wsb_snake.keeping import restore as module
from wsb_snake.keeping.backup import back_up
from wsb_snake.keeping.copies import TEMPORARY
from wsb_snake.keeping.restore import Restored, RestoreRefused, restore

AT = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
LATER = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)


def lock_of(settings: Settings) -> ProcessLock:
    return ProcessLock(settings.data_dir / "daemon.lock", "the data directory")


def put_back(settings: Settings, file: Path, **options: Any) -> Restored:
    return restore(settings, file, lock_of(settings), LATER, **options)


def mark(database: Database, value: str) -> None:
    database.transact(partial(set_meta, key="mark", value=value)).result(60)


def marked(file: Path) -> str | None:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as conn:
        return get_meta(conn, "mark")


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as conn:
        return conn.execute(query).fetchall()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` but the lock, and what a reader leaves beside a database."""
    files = (file for file in folder.rglob("*") if file.is_file())
    files = (file for file in files if not file.name.endswith((".lock", "-wal", "-shm")))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture
def backup(settings: Settings, database: Database) -> Path:
    """A backup marked ``old``, of a database that is ``new`` by now, with learnings to match; all at rest."""
    settings.session_learnings_path.write_text('{"battle_plan": ["old"]}')
    mark(database, "old")
    made = back_up(settings, AT).path
    mark(database, "new")
    settings.session_learnings_path.write_text('{"battle_plan": ["new"]}')
    database.close()
    return made


def test_a_backup_comes_back_and_what_it_replaced_is_kept(settings: Settings, backup: Path) -> None:
    done = put_back(settings, backup)
    assert marked(settings.db_path) == "old"
    assert settings.session_learnings_path.read_text() == '{"battle_plan": ["old"]}'
    assert done.replaced == settings.data_dir / "replaced_20261125_130000"
    assert marked(done.replaced / "wsb_snake.db") == "new"
    assert (done.replaced / "session_learnings.json").read_text() == '{"battle_plan": ["new"]}'
    assert "embedded account PA1" in done.lines()[0]
    assert marked(backup) == "old" and not list(settings.data_dir.glob(".*"))
    assert settings.db_path.stat().st_mode & 0o777 == 0o600


def test_what_was_replaced_can_be_put_back_the_same_way(settings: Settings, backup: Path) -> None:
    replaced = put_back(settings, backup).replaced
    assert replaced is not None
    restore(settings, replaced / "wsb_snake.db", lock_of(settings), LATER.replace(hour=14))
    assert marked(settings.db_path) == "new"
    assert settings.session_learnings_path.read_text() == '{"battle_plan": ["new"]}'


def test_a_restored_state_is_paused_by_hand_and_says_so(settings: Settings, backup: Path) -> None:
    put_back(settings, backup)
    (pause,) = rows(settings.db_path, "SELECT reason, detail FROM pauses")
    assert pause == ("manual", f"{backup.name} was restored")
    assert rows(settings.db_path, "SELECT kind FROM events ORDER BY seq DESC LIMIT 1") == [("paused",)]


def test_alerts_that_waited_are_repeated_as_repeats(settings: Settings, database: Database) -> None:
    def alert(conn: sqlite3.Connection, state: str) -> None:
        conn.execute(
            "INSERT INTO alerts (dedupe_key, at, kind, level, text, state) VALUES (?, '', '', '', '', ?)",
            (state, state),
        )

    for state in ("pending", "sent"):
        database.transact(partial(alert, state=state)).result(60)
    made = back_up(settings, AT).path
    database.close()
    put_back(settings, made)
    assert rows(settings.db_path, "SELECT state FROM alerts ORDER BY number") == [("sending",), ("sent",)]


def test_a_fresh_machine_has_nothing_to_replace(settings: Settings, backup: Path, tmp_path: Path) -> None:
    fresh = settings.model_copy(update={"wsb_snake_data_dir": tmp_path / "fresh" / "data"})
    done = put_back(fresh, backup)
    assert (done.replaced, marked(fresh.db_path)) == (None, "old")
    assert fresh.session_learnings_path.exists()
    assert done.lines()[1] == "nothing was replaced"


def test_while_the_daemon_runs_nothing_is_restored(settings: Settings, backup: Path) -> None:
    daemon = lock_of(settings)
    daemon.acquire()
    before = contents(settings.data_dir)
    with pytest.raises(RestoreRefused, match=r"in use by process .*: stop the daemon first") as refusal:
        put_back(settings, backup)
    assert refusal.value.code == 3
    assert contents(settings.data_dir) == before
    daemon.release()
    put_back(settings, backup)


@pytest.mark.parametrize("damage", ["truncated", "spoilt", "text", "missing", "itself", "foreign"])
def test_a_file_that_is_no_good_changes_nothing(settings: Settings, backup: Path, damage: str) -> None:
    file = backup
    if damage == "truncated":
        os.truncate(backup, backup.stat().st_size // 2)
    elif damage == "spoilt":
        with backup.open("r+b") as spoilt:
            spoilt.seek(3 * 4096)
            spoilt.write(b"\xff" * 4096)
    elif damage == "text":
        backup.write_text("This is no database, but it is long enough to be looked at.\n" * 20)
    elif damage == "missing":
        file = backup.with_name("elsewhere.db")
    elif damage == "itself":
        file = settings.db_path
    elif damage == "foreign":
        backup.unlink()
        with closing(sqlite3.connect(backup)) as conn:
            conn.execute("CREATE TABLE trades (id INTEGER)")
    before = contents(settings.data_dir)
    with pytest.raises(RestoreRefused) as refusal:
        put_back(settings, file)
    assert refusal.value.code == 1
    assert file.stem in str(refusal.value) and "\n" not in str(refusal.value)
    assert TEMPORARY not in str(refusal.value)
    assert contents(settings.data_dir) == before


def test_damaged_learnings_are_left_out_and_told(settings: Settings, backup: Path) -> None:
    settings.session_learnings_path.write_text('{"mine": 1}')
    backup.with_suffix(".json").write_text("{")
    done = put_back(settings, backup)
    assert marked(settings.db_path) == "old"
    assert settings.session_learnings_path.read_text() == '{"mine": 1}'
    assert f"{backup.stem}.json is damaged (" in done.lines()[0] and "left out" in done.lines()[0]


@pytest.mark.parametrize("stamp", [Stamp("paper", "PA1"), Stamp("live", "PA1"), Stamp("embedded", "PA2")])
def test_a_backup_of_another_account_or_mode_is_told(settings: Settings, backup: Path, stamp: Stamp) -> None:
    with closing(sqlite3.connect(backup)) as conn:
        write_stamp(conn, stamp)
        conn.commit()
    before = contents(settings.data_dir)
    with pytest.raises(RestoreRefused, match=f"is of {stamp.mode} account {stamp.account}, but") as refusal:
        put_back(settings, backup)
    assert refusal.value.code == 2 and str(refusal.value).endswith("--yes")
    assert contents(settings.data_dir) == before
    assert put_back(settings, backup, anyones=True).contents.stamp == stamp


def test_the_account_that_the_settings_name_counts_on_a_fresh_machine(
    make_settings: Callable[..., Settings], backup: Path, tmp_path: Path
) -> None:
    fresh = {"wsb_snake_data_dir": tmp_path / "fresh"}
    with pytest.raises(RestoreRefused, match="the settings are for embedded account PA9"):
        put_back(make_settings(**fresh, alpaca_account_number="PA9"), backup)
    put_back(make_settings(**fresh, alpaca_account_number="PA1"), backup)


def test_an_old_version_is_migrated(settings: Settings, tmp_path: Path) -> None:
    old = tmp_path / "wsb_snake_20250101_0000.db"
    with closing(sqlite3.connect(old, isolation_level=None)) as conn:
        conn.execute("BEGIN")
        migrate(conn, MIGRATIONS[:1])
        set_meta(conn, "mark", "ancient")
        conn.execute("COMMIT")
    done = put_back(settings, old)
    assert (done.contents.version, done.version) == (1, len(MIGRATIONS))
    assert f"migrated to version {len(MIGRATIONS)}" in done.lines()[0]
    reopened = Database(settings.db_path, ThreadLanes(SystemClock()))
    reopened.open()
    reopened.close()
    assert marked(settings.db_path) == "ancient" and marked(old) == "ancient"


def test_a_version_of_the_future_is_refused(settings: Settings, backup: Path) -> None:
    with closing(sqlite3.connect(backup)) as conn:
        conn.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(RestoreRefused, match="update the program"):
        put_back(settings, backup)
    assert marked(settings.db_path) == "new"


@pytest.mark.parametrize("damage", ["killed", "damaged"])
def test_the_log_of_the_replaced_database_never_meets_the_new_one(
    settings: Settings, database: Database, damage: str, tmp_path: Path
) -> None:
    """A killed daemon leaves its write-ahead log; SQLite would play it into whatever has the name."""
    mark(database, "old")
    made = back_up(settings, AT).path
    mark(database, "new")
    dead = tmp_path / "dead"
    shutil.copytree(settings.data_dir, dead)  # as a kill leaves it: file, log and shared memory
    assert (dead / "wsb_snake.db-wal").stat().st_size > 0
    if damage == "damaged":
        for name in ("wsb_snake.db", "wsb_snake.db-wal"):
            with (dead / name).open("r+b") as file:
                file.write(b"?" * 4096)
    dying = settings.model_copy(update={"wsb_snake_data_dir": dead})
    done = put_back(dying, made)
    assert marked(dying.db_path) == "old"
    assert not (dead / "wsb_snake.db-wal").exists()
    assert done.replaced is not None
    if damage == "killed":
        assert marked(done.replaced / "wsb_snake.db") == "new"
    else:
        assert (done.replaced / "wsb_snake.db-wal").stat().st_size > 0


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN EXCLUSIVE"])
def test_a_database_that_somebody_reads_is_not_replaced(
    settings: Settings, database: Database, begin: str
) -> None:
    """It keeps its log; a crash between the end of that and the new name would leave an older state."""
    mark(database, "old")
    made = back_up(settings, AT).path
    reader = sqlite3.connect(settings.db_path, isolation_level=None)
    reader.execute("SELECT COUNT(*) FROM meta").fetchone()
    mark(database, "new")
    database.close()
    reader.execute(begin)
    reader.execute("SELECT COUNT(*) FROM meta").fetchone()
    before = contents(settings.data_dir)
    with closing(reader), pytest.raises(RestoreRefused, match="another program reads") as refusal:
        put_back(settings, made)
    assert refusal.value.code == 1
    assert contents(settings.data_dir).keys() == before.keys()
    assert marked(settings.db_path) == "new"
    put_back(settings, made)
    assert marked(settings.db_path) == "old"


class Died(Exception):
    """The machine went down."""


@pytest.mark.parametrize("step", ["_prepare", "_keep_old", "_swap", "_second_name"])
def test_a_crash_on_the_way_leaves_the_old_state(
    settings: Settings, backup: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(module, step)

    def dies(*arguments: Any) -> Any:
        if step != "_swap":
            real(*arguments)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(module, step, dies)
        with pytest.raises(Died):
            put_back(settings, backup)
    assert marked(settings.db_path) == "new"
    restore(settings, backup, lock_of(settings), LATER.replace(hour=15))
    assert marked(settings.db_path) == "old"


def test_a_full_disk_leaves_the_old_state(
    settings: Settings, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(module, "copy_database", full)
    before = contents(settings.data_dir)
    with pytest.raises(RestoreRefused, match="No space left on device"):
        put_back(settings, backup)
    assert contents(settings.data_dir) == before


def test_the_command_line_restores_and_refuses(settings: Settings, backup: Path) -> None:
    places = {"WSB_SNAKE_DATA_DIR": settings.data_dir, "BACKUP_DIR": settings.backups}
    urls = {name.upper(): "http://127.0.0.1:1" for name in ("alpaca_trading_url", "alpaca_data_url")}
    stream = {"ALPACA_STREAM_URL": "ws://127.0.0.1:1/stream"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "main.py", "restore", *words],
            cwd=ROOT,
            env={**{name: str(place) for name, place in places.items()}, **urls, **stream},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    daemon = lock_of(settings)
    daemon.acquire()
    refused = run(str(backup))
    assert (refused.returncode, refused.stdout) == (3, "")
    assert f"in use by process {os.getpid()}: stop the daemon first" in refused.stderr
    daemon.release()
    done = run(str(backup))
    assert (done.returncode, done.stderr) == (0, "")
    assert "entries are paused (manual)" in done.stdout
    assert marked(settings.db_path) == "old"
    assert run("nothing.db").returncode == 1
