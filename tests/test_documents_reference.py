"""CONFIGURATION.md, DATABASE_SCHEMA.md and END_TO_END_FLOW.md say what the code says."""

import re
import sqlite3
from contextlib import closing

import pytest

from tests.document_tables import bounds_text, default_text, rows, sections, settings_fields, text_of
from tests.source_rules import ROOT, package
from wsb_snake.config import ALERT_KINDS, ENGINES, NEVER_OFF
from wsb_snake.core.orders import ExitReason
from wsb_snake.db.migrations import migrate

CONFIGURATION = text_of("docs/CONFIGURATION.md")
SCHEMA = text_of("docs/DATABASE_SCHEMA.md")
FLOW = text_of("docs/END_TO_END_FLOW.md")

SETTINGS = {row[0].strip("`"): row[1:] for row in rows(CONFIGURATION) if re.match(r"`[A-Z_]+`$", row[0])}
BESIDE_THE_DAEMON = ("keeping", "doctor", "cli", "config")
"""Parts of the house in which commands work, not the daemon; ``keeping`` also has its retention."""

PROPERTIES = {"BACKUP_DIR": "backups"}


def test_every_setting_is_listed_once_and_exists() -> None:
    listed = re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION, re.MULTILINE)
    assert sorted(listed) == sorted(settings_fields())


@pytest.mark.parametrize("name", settings_fields())
def test_a_setting_is_shown_with_its_default_and_bounds(name: str) -> None:
    field = settings_fields()[name]
    default, bounds, unit, effect, meaning = SETTINGS[name]
    assert default == default_text(field)
    assert bounds == (bounds_text(name.lower(), field) or bounds)
    assert bounds
    assert unit
    assert meaning
    assert effect in {"restart", "live-safe"}


@pytest.mark.parametrize("name", settings_fields())
def test_live_safe_is_what_the_daemon_does_not_read(name: str) -> None:
    read = re.compile(rf"settings\.({name.lower()}|{PROPERTIES.get(name, 'nothing')})\b")
    readers = {m.part for m in package() if read.search((ROOT / m.place).read_text())}
    only_kept = "keeping" in readers and readers <= set(BESIDE_THE_DAEMON)
    assert (SETTINGS[name][3] == "live-safe") == only_kept


def test_every_engine_and_every_alert_that_is_never_off_is_named() -> None:
    assert [name for name in (*ENGINES, *NEVER_OFF) if f"`{name}`" not in CONFIGURATION] == []
    told = re.findall(r"`(\w+)=(?:off|silent|loud)|(\w+)=(?:off|silent|loud)", CONFIGURATION)
    assert {one or other for one, other in told} <= set(ALERT_KINDS) | {"kind"}


def real_schema() -> dict[str, list[tuple[str, str, str]]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        migrate(conn)
        tables = conn.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        ).fetchall()
        return {table: [_column(row) for row in _columns(conn, table)] for (table,) in tables}


def _columns(conn: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return conn.execute(f"PRAGMA table_info({table})").fetchall()


def _column(row: tuple[object, ...]) -> tuple[str, str, str]:
    _, name, kind, not_null, _, key = row
    return f"`{name}`", f"{kind}{', key' if key else ''}", "no" if not_null or key else "yes"


def test_every_table_and_column_is_described_as_a_fresh_database_has_them() -> None:
    described = {
        name: [tuple(row[:3]) for row in rows(body) if row[0] != "column"]
        for name, body in sections(SCHEMA, "### ").items()
    }
    assert described == real_schema()


def test_every_column_says_what_it_holds() -> None:
    empty = [row for row in rows(SCHEMA) if len(row) != 4 or not row[3]]
    assert empty == []


STEPS = re.findall(r"`([a-z_/]+\.py):(\w+)`", FLOW)


def test_the_flow_names_enough_of_the_code_to_be_followed() -> None:
    assert len(STEPS) >= 30


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_each_step_of_the_flow_is_in_the_code(file: str, name: str) -> None:
    assert re.search(rf"^\s*(def|class) {name}\b", (ROOT / "wsb_snake" / file).read_text(), re.MULTILINE)


def test_every_reason_of_an_exit_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows(FLOW) if row[0] != "exit reason"]
    assert explained == [str(reason) for reason in ExitReason]
