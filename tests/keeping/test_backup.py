"""Backups of a real database: while it is written, on disks that fail, and carried off the machine."""

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.process.pair import until
from tests.source_rules import ROOT
from wsb_snake.config import Settings, load
from wsb_snake.core.events import EventKind
from wsb_snake.core.process_lock import ProcessLock
from wsb_snake.db import journal
from wsb_snake.db.database import Database
from wsb_snake.db.meta import set_meta
from wsb_snake.keeping import backup, copies
from wsb_snake.keeping.backup import BackupFailed, back_up, backups_in
from wsb_snake.keeping.copies import Contents, copy_database

AT = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
STEM = "wsb_snake_20261124_2230"
THREADS = 8


class Writers:
    """Eight threads that write rows and events; ``confirmed`` holds what is durable."""

    def __init__(self, database: Database) -> None:
        self.confirmed: list[str] = []
        self._database = database
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(THREADS)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until(self, count: int) -> None:
        while len(self.confirmed) < count:
            assert not self._over.wait(0.01)

    def _write(self, number: int) -> None:
        row = 0
        while not self._over.is_set():
            names = [f"{number}-{row + more}" for more in range(20)]
            promises = [self._database.transact(partial(both, name=name)) for name in names]
            for promise in promises:
                promise.result(60)
            self.confirmed.extend(names)
            row += 20


def both(conn: sqlite3.Connection, name: str) -> None:
    """A row and its event; a copy that has one of them is torn."""
    set_meta(conn, f"row {name}", "x" * 200)
    journal.append(conn, AT, EventKind.SIGNAL, {"name": name})


def rows_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as conn:
        return {row[0][4:] for row in conn.execute("SELECT key FROM meta WHERE key LIKE 'row %'")}


def test_a_backup_beside_eight_writers_holds_all_that_was_committed_before(
    settings: Settings, database: Database
) -> None:
    with Writers(database) as writers:
        writers.until(8000)  # the log has been taken into the file by now, and goes on
        for turn in range(3):
            before = set(writers.confirmed)
            made = back_up(settings, AT + timedelta(minutes=turn))
            assert before <= rows_in(made.path)
            writers.until(len(before) + 500)
        last, plain = made, plain_copies(settings, database)
    with closing(sqlite3.connect(f"{last.path.as_uri()}?mode=ro", uri=True)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (head,) = conn.execute("SELECT MAX(seq) FROM events").fetchone()
        counted = conn.execute("SELECT COUNT(*) FROM events").fetchone()
        named = {json.loads(row[0])["name"] for row in conn.execute("SELECT data FROM events")}
    assert (last.contents.head, last.contents.rows["events"]) == (head, head) == (head, *counted)
    assert named == rows_in(last.path)
    assert any(plain), "cp of the database alone kept everything, five times"


def test_what_is_committed_while_the_copy_is_made_is_no_part_of_it(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = copies.contents_of

    def counted(conn: sqlite3.Connection) -> Contents:
        """Somebody writes between the count and the first page."""
        found = real(conn)
        if len(list(settings.backups.glob("*.db"))) == 0:
            database.transact(partial(both, name=f"late {found.head}")).result(60)
        return found

    database.transact(partial(both, name="early")).result(60)
    monkeypatch.setattr(copies, "contents_of", counted)
    assert rows_in(back_up(settings, AT).path) == {"early"}
    assert "late 1" in rows_in(settings.db_path)


def plain_copies(settings: Settings, database: Database) -> list[str]:
    """What is wrong with ``cp`` of the database file just after a commit, five times; empty: nothing."""
    troubles = []
    for turn in range(5):
        mark = f"mark {turn}"
        database.transact(partial(both, name=mark)).result(60)
        copied = settings.backups / f"plain{turn}.copy"
        shutil.copyfile(settings.db_path, copied)
        try:
            troubles.append("" if mark in rows_in(copied) else "it lacks what was committed before")
        except sqlite3.DatabaseError as error:
            troubles.append(f"it cannot be read: {error}")
    return troubles


def test_a_backup_is_three_files_of_one_minute_for_their_owner_alone(
    make_settings: Callable[..., Settings], database: Database
) -> None:
    settings = make_settings(
        alpaca_secret_key="hush-1",
        telegram_bot_token="hush-2",
        wsb_snake_heartbeat_url="https://hc.example/hush-3",
        backup_copy_command="true --password=hush-4",
        alpaca_trading_url="http://me:hush-5@127.0.0.1:1",
        wsb_snake_max_positions=3,
        wsb_snake_learning=False,
        wsb_snake_raise_limits=True,
        alpaca_account_number="PA1",
    )
    settings.session_learnings_path.write_text('{"battle_plan": ["be patient"]}')
    made = back_up(settings, AT.astimezone(tz=None))
    assert (made.path, made.problems) == (settings.backups / f"{STEM}.db", ())
    names = sorted(file.name for file in settings.backups.iterdir())
    assert names == ["backup.lock", f"{STEM}.db", f"{STEM}.env", f"{STEM}.json"]
    assert {file.stat().st_mode & 0o777 for file in settings.backups.iterdir()} == {0o600}
    assert settings.backups.stat().st_mode & 0o777 == 0o700
    assert json.loads(made.path.with_suffix(".json").read_text()) == {"battle_plan": ["be patient"]}
    told = made.path.with_suffix(".env")
    assert b"hush" not in b"".join(file.read_bytes() for file in settings.backups.iterdir())
    assert "#ALPACA_SECRET_KEY=\n" in told.read_text()
    again = load(told)
    assert (again.secrets(), again.backup_copy_command) == ((), None)
    assert (again.wsb_snake_max_positions, again.wsb_snake_learning) == (3, False)
    assert (again.wsb_snake_raise_limits, again.alpaca_account_number) == (True, "PA1")
    assert again.backups == settings.backups


def test_before_the_first_lesson_the_learnings_are_empty(settings: Settings, database: Database) -> None:
    assert back_up(settings, AT).path.with_suffix(".json").read_text() == "{}\n"


@pytest.mark.parametrize("content", [b'{"half": [1, 2', b"\xff", b"[" * 100_000])
def test_damaged_learnings_are_told_and_cost_no_database(
    settings: Settings, database: Database, content: bytes
) -> None:
    settings.session_learnings_path.write_bytes(content)
    made = back_up(settings, AT)
    assert made.path.with_suffix(".json").read_bytes() == content
    (problem,) = made.problems
    assert problem.startswith("session_learnings.json is damaged (") and "\n" not in problem
    assert problem in made.line()


def test_the_newest_stay_and_files_of_others_are_left_alone(
    make_settings: Callable[..., Settings], database: Database
) -> None:
    settings = make_settings(wsb_snake_backups_kept=2)
    settings.backups.mkdir()
    others = [settings.backups / name for name in ("mine.db", "wsb_snake_20200101_0000_before_upgrade.db")]
    for other in others:
        other.touch()
    for minute in (3, 1, 2, 0):  # a clock that was set back does not cost the newest backup
        made = back_up(settings, AT + timedelta(minutes=minute))
        assert made.path.exists()
    kept = [file.stem for file in backups_in(settings.backups)]
    assert kept == [STEM, "wsb_snake_20261124_2233"]
    assert {file.stem for file in settings.backups.glob("wsb_snake_2026*")} == set(kept)
    assert all(other.exists() for other in others)


def truncated(source: Path, target: Path) -> Contents:
    contents = copy_database(source, target)
    os.truncate(target, target.stat().st_size // 2)
    return contents


def emptied(source: Path, target: Path) -> Contents:
    contents = copy_database(source, target)
    os.truncate(target, 0)
    return contents


def flipped(source: Path, target: Path) -> Contents:
    """A disk that writes something else into a page of a table."""
    contents = copy_database(source, target)
    with target.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    return contents


def short(source: Path, target: Path) -> Contents:
    """A copy that is sound, and lacks a row."""
    contents = copy_database(source, target)
    with closing(sqlite3.connect(target)) as conn:
        conn.execute("DELETE FROM meta WHERE key = 'row 7'")
        conn.commit()
    return contents


def headless(source: Path, target: Path) -> Contents:
    copy_database(source, target)
    with closing(sqlite3.connect(target)) as conn:
        conn.execute("DELETE FROM events WHERE seq = (SELECT MAX(seq) FROM events)")
        conn.commit()
        return Contents(0, 0, {}, None)


def full(source: Path, target: Path) -> Contents:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))


@pytest.mark.parametrize(
    ("copy", "why"),
    [
        (truncated, "malformed|damaged"),
        (emptied, "no such table"),
        (flipped, "malformed|damaged"),
        (short, "meta has .* rows of"),
        (headless, "lacks events: it ends at 49 of 50"),
        (full, "No space left on device"),
    ],
)
def test_a_bad_copy_is_told_and_the_last_good_backup_stays(
    settings: Settings, database: Database, copy: Callable[[Path, Path], Contents], why: str
) -> None:
    for number in range(50):
        database.transact(partial(both, name=str(number))).result(60)
    good = back_up(settings, AT)
    before = {file.name: file.read_bytes() for file in settings.backups.glob("wsb_snake*")}
    for minute in (0, 1):  # also within the same minute
        with pytest.raises(BackupFailed, match=f"({why}).*; the last good one is {good.path.name}$"):
            back_up(settings, AT + timedelta(minutes=minute), copy)
    left = {file.name: file.read_bytes() for file in settings.backups.iterdir() if file.suffix != ".lock"}
    assert left == before


def test_without_a_database_there_is_no_backup_and_one_line_says_so(settings: Settings) -> None:
    with pytest.raises(BackupFailed, match=r"^there is no database at .*; there is no older one$"):
        back_up(settings, AT)


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_daemon_that_is_not_there_is_backed_up_all_the_same(
    settings: Settings, database: Database, end: str, tmp_path: Path
) -> None:
    """A stop takes the log into the file, a kill leaves it beside it."""
    database.transact(partial(both, name="last")).result(60)
    if end == "killed":
        dead = tmp_path / "dead"
        shutil.copytree(settings.data_dir, dead)
        settings = settings.model_copy(update={"wsb_snake_data_dir": dead})
    else:
        database.close()
    assert (settings.data_dir / "wsb_snake.db-wal").exists() is (end == "killed")
    assert rows_in(back_up(settings, AT).path) == {"last"}


def test_one_backup_at_a_time(settings: Settings, database: Database) -> None:
    settings.backups.mkdir()
    other = ProcessLock(settings.backups / "backup.lock", "it")
    other.acquire()
    with pytest.raises(BackupFailed, match="in use by process"):
        back_up(settings, AT)
    other.release()
    back_up(settings, AT)


def test_what_a_killed_backup_left_is_swept_away(settings: Settings, database: Database) -> None:
    settings.backups.mkdir()
    for name in (".wsb_snake_20261123_2230.db.tmp", ".wsb_snake_20261123_2230.db.tmp-journal"):
        (settings.backups / name).touch()
    back_up(settings, AT)
    assert list(settings.backups.glob(".*")) == []


@pytest.mark.parametrize("placed", [True, False])
def test_the_copy_command_gets_the_path_of_each_verified_backup(
    make_settings: Callable[..., Settings], database: Database, tmp_path: Path, placed: bool
) -> None:
    away = tmp_path / "away place"
    away.mkdir()
    command = f"cp {{}} '{away}'" if placed else f"cp -t '{away}'"
    made = back_up(make_settings(backup_copy_command=command), AT)
    assert made.problems == ()
    assert (away / made.path.name).read_bytes() == made.path.read_bytes()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("sh -c 'echo no route for hush-key >&2; exit 7'", "failed with code 7: no route for ***"),
        ("no-such-program-here", "cannot be started: No such file or directory"),
    ],
)
def test_a_copy_command_that_fails_is_told_and_the_backup_stays(
    make_settings: Callable[..., Settings], database: Database, command: str, why: str
) -> None:
    made = back_up(make_settings(backup_copy_command=command, alpaca_secret_key="hush-key"), AT)
    assert made.problems == (f"BACKUP_COPY_COMMAND {why}",)
    assert made.path.exists() and "hush" not in made.line()


def test_a_copy_command_that_hangs_is_ended_with_its_children(
    make_settings: Callable[..., Settings],
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backup, "COMMAND_S", 1.0)
    number = tmp_path / "child"
    command = f"sh -c 'sleep 300 & echo $! >{number}; wait'"
    made = back_up(make_settings(backup_copy_command=command), AT)
    assert made.problems == ("BACKUP_COPY_COMMAND took more than 1 s and was ended",)
    child = int(number.read_text())
    until(lambda: over(child), "the child is over")


def over(process: int) -> bool:
    """Gone, or a zombie that nobody has fetched yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_the_copy_command_does_not_run_after_a_failure(
    make_settings: Callable[..., Settings], database: Database, tmp_path: Path
) -> None:
    witness = tmp_path / "ran"
    with pytest.raises(BackupFailed):
        back_up(make_settings(backup_copy_command=f"touch {witness}"), AT, truncated)
    assert not witness.exists()


def run_script(settings: Settings, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """``backup_state.sh`` as cron runs it; no file may grow beyond ``limit`` bytes."""
    places = {"WSB_SNAKE_DATA_DIR": settings.data_dir, "BACKUP_DIR": settings.backups}
    bounds = None
    if limit is not None:
        bounds = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run(
        [ROOT / "script" / "backup_state.sh"],
        cwd="/",
        env={"PATH": os.environ["PATH"], **{name: str(place) for name, place in places.items()}},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=bounds,
    )


@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="the script runs the project's own venv")
def test_the_script_says_one_line_and_how_it_went(settings: Settings, database: Database) -> None:
    good = run_script(settings)
    assert (good.returncode, good.stderr) == (0, "")
    (made,) = backups_in(settings.backups)
    assert good.stdout.startswith(f"backup {made}: ") and good.stdout.count("\n") == 1
    for number in range(2000):
        database.transact(partial(both, name=str(number)))
    database.transact(partial(set_meta, key="last", value="one")).result(60)
    full_disk = run_script(settings, limit=300_000)
    assert (full_disk.returncode, full_disk.stdout) == (1, "")
    assert full_disk.stderr.startswith("wsb-snake: backup failed: ")
    assert full_disk.stderr.endswith(f"the last good one is {made.name}\n")
    assert full_disk.stderr.count("\n") == 1
    assert {file.stem for file in settings.backups.iterdir()} == {made.stem, "backup"}


def test_the_command_line_uses_no_client_of_a_vendor(settings: Settings, database: Database) -> None:
    """A nightly job on a small machine: neither the broker's library nor Telegram's is loaded for it."""
    program = (
        "import sys\n"
        "from wsb_snake.cli import main\n"
        "code = main(['backup'])\n"
        "sys.exit(code or any(name in sys.modules for name in ('alpaca', 'telegram', 'pandas', 'flask')))\n"
    )
    places = {"WSB_SNAKE_DATA_DIR": str(settings.data_dir), "BACKUP_DIR": str(settings.backups)}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=places, capture_output=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
