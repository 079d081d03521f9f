"""Each field failure that we know of has its test here, or a reason why it can't happen to us."""

import ast
import re
from pathlib import Path

NUMBERS = frozenset(range(1, 45))
NOT_APPLICABLE: dict[int, str] = {}
"""Number: why it can't apply."""

_NAME = re.compile(r"test_([0-9]{2})[a-z]?_")


def numbered() -> dict[int, list[ast.FunctionDef]]:
    found: dict[int, list[ast.FunctionDef]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            name = _NAME.match(node.name) if isinstance(node, ast.FunctionDef) else None
            if name is not None and isinstance(node, ast.FunctionDef):
                found.setdefault(int(name[1]), []).append(node)
    return found


def test_every_field_failure_has_a_test_or_a_reason() -> None:
    tested = frozenset(numbered())
    assert tested <= NUMBERS
    assert NUMBERS - tested == frozenset(NOT_APPLICABLE)
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())


def test_every_test_says_what_went_wrong() -> None:
    silent = [node.name for tests in numbered().values() for node in tests if not ast.get_docstring(node)]
    assert silent == []
