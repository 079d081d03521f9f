"""Marked secrets are planted in every setting that holds one; nothing that is written may hold a mark.

A real daemon trades on a marked exchange, fails against one that tells callers all that they sent, is
asked for everything, is backed up and ended; then everything that left it is searched.
"""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.marked import NAMES, MarkedExchange, Marks, marked_exchange
from tests.process.pair import Pair, clean_environment, ended, pair, until
from tests.process.venue import MORNING
from tests.sim.bench import SPY_CALL
from tests.source_rules import ROOT
from wsb_snake.config import Settings

pytestmark = pytest.mark.timeout(600)

PATIENCE_S = 180.0
HALF_DAY = "2026-11-27"

PAGES = (
    "/", "/health", "/status", "/api/status", "/api/live", "/api/today", "/api/decisions", "/api/trades",
    "/api/learning", "/api/why?of=SPY", "/api/openapi.json", "/metrics", "/nothing/here",
    "/api/trades?first=x",
)  # fmt: skip

DOCTOR = (("doctor",), ("doctor", "--telegram"), ("alert-failure", "wsb-snake.service"))
COMMANDS = (
    *DOCTOR,
    ("status",),
    ("status", "--json"),
    ("why", "SPY"),
    ("report",),
    ("report", "--journal", "--json"),
    ("backup",),
    ("close", "SPY261218C00900000"),
    ("restore", "nothing.db"),
)


@pytest.fixture(scope="module")
def marks() -> Marks:
    return Marks()


@pytest.fixture
def daemon(tmp_path: Path, marks: Marks) -> Iterator[tuple[Pair, MarkedExchange]]:
    with marked_exchange(marks, MORNING) as exchange, pair(tmp_path) as process:
        process.environment = exchange.environment | {"BACKUP_DIR": str(tmp_path / "backups")}
        process.program = ("-m", "tests.process.trading_daemon")
        yield process, exchange


def test_every_secret_setting_is_marked() -> None:
    secret = {
        name.upper() for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)
    }
    assert secret and secret <= set(NAMES)


def test_the_search_finds_what_is_planted(marks: Marks) -> None:
    for name in NAMES:
        assert marks.within(f"at {marks[name]}.".encode()) == [name]
        assert marks.within(f"at {marks[name][:13]}".upper().encode()) == [name]
    assert marks.within(b"") == []


def test_nothing_that_is_written_holds_a_secret(daemon: tuple[Pair, MarkedExchange], marks: Marks) -> None:
    both, exchange = daemon
    written: dict[str, bytes] = {}
    process = both.run(
        TRADE=f"{SPY_CALL}:2",
        WSB_SNAKE_LOG_LEVEL="debug",
        WSB_SNAKE_LOG_FILE=str(both.folder / "logs" / "snake.log"),
    )
    until(lambda: _rows(both, "SELECT * FROM outcomes"), "a trade is over", PATIENCE_S)
    until(lambda: _rows(both, "SELECT * FROM alerts WHERE state = 'sent'"), "an alert is out", PATIENCE_S)
    written |= _asked(both, marks, "well")
    written |= _commands(both, "well", *COMMANDS)
    assert b"BACKUP_COPY_COMMAND failed" in written["well backup"]
    assert b"a test message was taken" in written["well doctor --telegram"]
    _asked_by_phone(exchange, "/config", "WSB_SNAKE_CONTROL_TOKEN=(set, not shown)")
    exchange.told.status = 500
    until(lambda: "alpaca" in both.health().get("pause_reasons", ()), "the breaker trips", PATIENCE_S)
    until(lambda: any("paused" in text for text in exchange.telegram.texts), "that is told", PATIENCE_S)
    log = both.folder / "logs" / "snake.log"
    until(lambda: re.search(" WARNING wsb_snake.*you sent", log.read_text()), "it is in the log", PATIENCE_S)
    _asked_by_phone(exchange, "/logs 50", " WARNING wsb_snake", "you sent")
    exchange.told.status, exchange.told.telegram = 403, 400
    seen = len(exchange.told.seen)
    until(lambda: len(exchange.told.seen) > seen + 10, "more refusals", PATIENCE_S)
    written |= _asked(both, marks, "refused") | _commands(both, "refused", *DOCTOR)
    for words in ("doctor", "doctor --telegram", "alert-failure wsb-snake.service"):
        assert b"you sent" in written[f"refused {words}"].lower()
    assert ended(process, signal.SIGTERM, PATIENCE_S) == 0
    for status, clock in ((403, MORNING), (500, MORNING), (500, "broker")):
        exchange.told.status = status
        _start_refused(both, status, clock)
    written |= _commands(both, "dead", ("status",), ("report", "--journal"), ("backup",))
    written["direct"] = _flatten_direct(both)

    planted = b"".join(exchange.told.seen)
    assert set(marks.within(planted)) >= {"ALPACA_API_KEY", "ALPACA_SECRET_KEY", "TELEGRAM_BOT_TOKEN"}
    written |= {f"message {n}": text.encode() for n, text in enumerate(exchange.telegram.said())}
    written |= {str(f.relative_to(both.folder)): f.read_bytes() for f in _files(both.folder)}
    assert {"logs/snake.log", "logs/json.log", "data/wsb_snake.db", "run1.err", "run3.err"} <= written.keys()
    assert any(name.startswith("backups/") and name.endswith(".db") for name in written)
    for each in ("logs/snake.log", "logs/json.log", "data/wsb_snake.db"):
        assert b"you sent" in written[each]  # refusals are told, without the secrets in them
    assert {name: found for name, content in written.items() if (found := marks.within(content))} == {}


def test_a_mistake_in_the_settings_and_the_demo_tell_nothing(tmp_path: Path, marks: Marks) -> None:
    wrong = {
        "ALPACA_TRADING_URL": f"http://me:{marks['ALPACA_API_KEY']}@127.0.0.1:1/v2",
        "TELEGRAM_BASE_URL": f"ftp://me:{marks['TELEGRAM_BASE_URL']}@chat",
        "BACKUP_COPY_COMMAND": f"carry '{marks['BACKUP_COPY_COMMAND']}",
        "WSB_SNAKE_HEARTBEAT_URL": f"ping/{marks['WSB_SNAKE_HEARTBEAT_URL']}",
    }
    for name, value in wrong.items():
        told = _main(tmp_path, {name: value}, "run")
        assert told.returncode == 2 and name.encode() in told.stderr
        assert marks.within(told.stdout + told.stderr) == []
    planted = {name: marks[name] for name in NAMES if not name.endswith("_URL")}
    told = _main(tmp_path, planted, "demo", "--in-process", "--json", "--date", HALF_DAY)
    assert told.returncode == 0 and json.loads(told.stdout.splitlines()[-1])["eod_flat_proven"]
    assert marks.within(told.stdout + told.stderr) == []


def _asked(both: Pair, marks: Marks, when: str) -> dict[str, bytes]:
    """Every page and answer, read without a token, then what changes, with a wrong one and the right one."""
    told = {}
    for path in PAGES:
        told[f"{when} GET {path}"] = _fetch(both, path)
    for token in ("wrong", marks["WSB_SNAKE_CONTROL_TOKEN"]):
        for verb in ("halt", "resume", "flatten"):
            told[f"{when} POST {verb} {token == 'wrong'}"] = _fetch(both, f"/api/{verb}", token)
    return told


def _fetch(both: Pair, path: str, token: str | None = None) -> bytes:
    """Status, headers and body."""
    url = both.log().split("health on ", 1)[1].split("/health")[0] + path
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    asked = urllib.request.Request(url, headers=headers, method="GET" if token is None else "POST")
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return bytes(f"{answer.status} {answer.headers}".encode() + answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.headers}".encode() + error.read()


def _commands(both: Pair, when: str, *asked: tuple[str, ...]) -> dict[str, bytes]:
    """What commands print, beside the daemon or after it."""
    done = {words: _main(both.folder, both.environment, *words) for words in asked}
    return {f"{when} {' '.join(words)}": each.stdout + each.stderr for words, each in done.items()}


def _asked_by_phone(exchange: MarkedExchange, typed: str, *pieces: str) -> None:
    """Until the answer, which holds all ``pieces``, has come."""
    exchange.telegram.say(typed)
    until(
        lambda: any(all(piece in text for piece in pieces) for text in exchange.telegram.said()),
        f"an answer to {typed}",
        PATIENCE_S,
    )


def _start_refused(both: Pair, status: int, clock: str) -> None:
    """A start against an exchange that refuses all: it ends with one line, or stays up and tries again."""
    process = both.run(
        WSB_SNAKE_LOG_LEVEL="debug",
        WSB_SNAKE_LOG_FORMAT="json",
        WSB_SNAKE_LOG_FILE=str(both.folder / "logs" / "json.log"),
        WSB_SNAKE_DATA_DIR=str(both.folder / f"new{status}"),
        WSB_SNAKE_CLOCK_START=clock,
    )
    until(lambda: process.poll() is not None or "you sent" in both.log(), "it is refused", PATIENCE_S)
    if process.poll() is None:
        ended(process, signal.SIGTERM, PATIENCE_S)


def _flatten_direct(both: Pair) -> bytes:
    nobodys = {"WSB_SNAKE_DATA_DIR": str(both.folder / "nobodys")}
    done = _main(both.folder, both.environment | nobodys, "flatten", "--direct", "--wait", "10")
    assert done.returncode != 0 and b"you sent" in done.stdout + done.stderr
    return done.stdout + done.stderr


def _main(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "main.py", *words],
        cwd=ROOT,
        env={**clean_environment(), "WSB_SNAKE_DATA_DIR": str(folder / "data"), **environment},
        capture_output=True,
        timeout=240,
        check=False,
    )


def _rows(both: Pair, query: str) -> list[tuple[object, ...]]:
    try:
        with closing(sqlite3.connect(f"file:{both.folder}/data/wsb_snake.db?mode=ro", uri=True)) as conn:
            return conn.execute(query).fetchall()
    except sqlite3.Error:
        return []


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
