"""The operator's handbook: every alert, pause, command and address is in it, and says what is so."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from tests.document_tables import DOCUMENTS, rows, sections, text_of
from tests.notifications.test_messages import ONE_OF_EACH, ROUTINE, alerts
from tests.source_rules import ROOT, package
from wsb_snake import __version__
from wsb_snake.config import ALERT_KINDS, NEVER_OFF
from wsb_snake.core.events import EventKind
from wsb_snake.daemon_start import BAD_CONFIGURATION, REFUSED, RUNNING
from wsb_snake.notifications import outbox
from wsb_snake.owner.failure_alert import DAEMON, HEALTH
from wsb_snake.owner.openapi import description
from wsb_snake.owner.telegram_commands import COMMANDS
from wsb_snake.owner.web_commands import CONFIRMED, OFFERED, offered
from wsb_snake.trading.pauses import DURABLE, REASONS

HANDBOOK = text_of("docs/SYSTEM_OPERATOR_HANDBOOK.md")
PARTS = sections(HANDBOOK, "## ")
ALERTS = {name.strip("`"): body for name, body in sections(HANDBOOK, "### ").items() if name[0] == "`"}
SEVERAL_WORDS: dict[str, tuple[dict[str, Any], ...]] = {
    "position_closed": ({}, {"reason": "expired"}),
    "fill": ({}, {"side": "sell"}),
    "eod_not_flat": ({}, {"open": []}),
}
"""Kinds whose first words depend on the data: each of the quoted beginnings by a change of the sample."""


def quoted(body: str) -> list[str]:
    """What a section says that the owner reads, each without what the dots leave out."""
    (line,) = re.findall(r"^You read: (.+?)\. (?:Loud|Silent)\b", body, re.MULTILINE)
    return [text.split("…")[0].strip() for text in re.findall(r'"([^"]+)"', line)]


def test_every_kind_of_alert_is_explained_and_exists() -> None:
    assert sorted(ALERTS) == sorted(ALERT_KINDS)
    assert sorted(set(EventKind) - ROUTINE) == sorted(ALERT_KINDS)


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_an_alert_begins_as_the_handbook_quotes_it(kind: str) -> None:
    for text, change in zip(quoted(ALERTS[kind]), SEVERAL_WORDS.get(kind, ({},)), strict=True):
        (alert,) = alerts(EventKind(kind), **change)
        assert text in alert.text


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_an_alert_is_as_loud_as_the_handbook_says(kind: str) -> None:
    (alert,) = alerts(EventKind(kind))
    head = ALERTS[kind].split("- Happened")[0]
    assert f" {alert.level.capitalize()}" in head
    assert ("never off" in head) == (kind in NEVER_OFF)


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_an_alert_says_what_happened_what_stops_what_goes_on_and_what_to_do(kind: str) -> None:
    assert re.findall(r"^- (\w[\w ]*?): \S", ALERTS[kind], re.MULTILINE) == [
        "Happened",
        "Stops",
        "Goes on",
        "Do",
    ]


def test_there_is_a_sample_of_every_alert() -> None:
    assert set(ONE_OF_EACH) >= {EventKind(kind) for kind in ALERT_KINDS}


def _parts(node: ast.expr) -> list[str]:
    """The fixed parts of a text that is written in the source, without what stands for values."""
    pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = (p.value for p in pieces if isinstance(p, ast.Constant) and isinstance(p.value, str))
    return [text.strip(" :") for text in texts if " " in text.strip(" :")]


def errors_in_the_code() -> set[str]:
    """The texts of alerts of the kind ``error``, as far as they are fixed."""
    found: list[str] = []
    for module in package():
        for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name == "alert" and len(call.args) == 2:
                found += _parts(call.args[0])
            if name == "event" and call.args and ast.unparse(call.args[0]) == "EventKind.ERROR":
                found += [part for k in call.keywords if k.arg == "what" for part in _parts(k.value)]
    return set(found)


def test_every_error_that_is_told_is_in_the_table_of_errors() -> None:
    told = errors_in_the_code()
    assert len(told) >= 7
    table = " ".join(row[0].replace(" … ", " ") for row in rows(ALERTS["error"]))
    assert [text for text in sorted(told) if text not in table] == []


def test_alerts_without_a_number_are_those_of_the_code() -> None:
    told = [row[0].strip('"') for row in rows(PARTS["Alerts without a number"])][1:]
    source = " ".join((ROOT / m.place).read_text() for m in package())
    assert outbox.STUCK.startswith(told[0])
    assert f'f"{told[1]} ' in source
    assert f"{told[2]} {{error}}" in source
    assert told[3:5] == [f"{DAEMON} failed", f"{HEALTH} failed"]
    assert told[5] in source and told[7] in source


def test_every_pause_is_explained_and_exists() -> None:
    table = [row[0].strip("`") for row in rows(PARTS["Pauses"])][1:]
    assert sorted(table) == sorted(REASONS)
    for reason in DURABLE:
        assert f"`{reason}`" in PARTS["Pauses"].split("survive a restart")[0]


def test_every_reason_for_not_being_flat_is_explained() -> None:
    tree = ast.parse((ROOT / "wsb_snake/trading/eod_reasons.py").read_text())
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr))
    reasons = {part for node in nodes for part in _parts(node) if re.match(r"(the|no|it|not) \w+", part)}
    table = sections(HANDBOOK, "### ")["Not flat"].replace(" … ", " ")
    assert len(reasons) >= 8
    assert [reason for reason in sorted(reasons) if reason not in table] == []


def test_every_telegram_command_is_listed_as_it_is() -> None:
    listed = [tuple(row) for row in rows(HANDBOOK) if row[0].startswith("`/")]
    usages = (command.usage.replace("|", "\\|") for command in COMMANDS)
    names = [f"`/{c.name} {usage}`".replace(" `", "`") for c, usage in zip(COMMANDS, usages, strict=True)]
    assert listed == [
        (name, c.does, "yes" if c.confirmed else "no") for name, c in zip(names, COMMANDS, strict=True)
    ]


def test_every_address_is_listed_and_exists() -> None:
    listed = dict(row[:2] for row in rows(HANDBOOK) if re.match(r"`(GET|POST) ", row[0]))
    paths = description(__version__, offered())["paths"]
    assert isinstance(paths, dict)
    real = {f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods}
    assert set(listed) == real
    for verb in OFFERED:
        assert ("confirm" in listed[f"`POST /api/{verb}`"]) == (verb in CONFIRMED)


INCIDENTS_ASKED = (
    "Alpaca is down at 15:50",
    "The stream is down",
    "The database is locked, full or damaged",
    "The daemon is dead with positions open",
    "Not flat",
    "Exercise warning",
    "Wrong account, or the start is refused",
    "A cancel is stuck",
    "Telegram is down",
    "Leftover shares next morning",
)


@pytest.mark.parametrize("incident", INCIDENTS_ASKED)
def test_every_incident_has_its_steps_and_is_found_from_the_first_table(incident: str) -> None:
    assert re.search(r"^1\. ", sections(HANDBOOK, "### ")[incident], re.MULTILINE)
    assert f"(#{anchor(incident)})" in PARTS["Something is wrong now"]


def test_the_exit_codes_of_a_refused_start_are_told() -> None:
    told = {row[0] for row in rows(sections(HANDBOOK, "### ")["Wrong account, or the start is refused"])}
    assert {str(code) for code in (BAD_CONFIGURATION, RUNNING, REFUSED)} <= told


def anchor(heading: str) -> str:
    """The anchor that is made of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_the_documents_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        file, _, place = target.partition("#")
        if file.startswith("http"):
            continue
        found = (path.parent / file).resolve() if file else path
        assert found.is_file(), target
        headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
        assert not place or place in {anchor(heading) for heading in headings}, target
