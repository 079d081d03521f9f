"""What the documents hold, as values that a test can compare with the code."""

import re
from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from tests.source_rules import ROOT
from wsb_snake.config import LIMITS, Settings

DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]))
RAISED = "with WSB_SNAKE_RAISE_LIMITS=yes"

_CODE = re.compile(r"`([^`]+)`")


def text_of(name: str) -> str:
    """A document by its path from the project."""
    return (ROOT / name).read_text()


def rows(text: str) -> list[list[str]]:
    """Every row of every table, cell by cell, without the lines between head and body."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in _table_lines(text)]
    return [row for row in cells if not set("".join(row)) <= set("-|: ")]


def _table_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("|")]


def sections(text: str, mark: str) -> dict[str, str]:
    """What stands below each heading that begins with ``mark`` (``"### "``), by the heading's text."""
    parts = re.split(rf"^{re.escape(mark)}(.+)$", text, flags=re.MULTILINE)
    bodies = [re.split(r"^#{1,3} ", body, maxsplit=1, flags=re.MULTILINE)[0] for body in parts[2::2]]
    return dict(zip(parts[1::2], bodies, strict=True))


def code_spans(path: Path) -> list[str]:
    """Whatever a document sets in code: spans, and lines of blocks."""
    text = path.read_text()
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [*_CODE.findall(plain), *(line.strip() for block in blocks for line in block.splitlines())]


def default_text(field: FieldInfo) -> str:
    """The default of a setting as CONFIGURATION.md shows it."""
    default = field.default
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if str(default) else "empty"


def bounds_text(name: str, field: FieldInfo) -> str | None:
    """The bounds of a setting as CONFIGURATION.md shows them; None where the type gives none."""
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(field.annotation))
    if name == "wsb_snake_raise_limits":
        return "`yes`, or nothing"
    if field.annotation is bool:
        return "`true` or `false`"
    low = _first("from", Ge, "ge", field) or _first("above", Gt, "gt", field)
    high = _first("below", Lt, "lt", field) or _first("to", Le, "le", field)
    if low is None or high is None:
        return None
    if name in LIMITS:
        return f"{low} to {field.default}; {high} {RAISED}"
    return f"{low} {high}"


def _first(word: str, kind: type, attribute: str, field: FieldInfo) -> str | None:
    return next(
        (f"{word} {getattr(each, attribute)}" for each in field.metadata if isinstance(each, kind)), None
    )


def settings_fields() -> dict[str, FieldInfo]:
    """The environment variables and their fields."""
    return {name.upper(): field for name, field in Settings.model_fields.items()}
