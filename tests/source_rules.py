"""Reads the project's source as syntax trees; each rule yields ``place: what is wrong there``."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "wsb_snake"

_FLOORS = {
    "cli": 8,
    "main": 7,
    "flatten": 7,
    "doctor": 7,
    "backtest": 7,
    "vendors": 6,
    "owner": 6,
    "daemon": 5,
    "engines": 4,
    "keeping": 4,
    "sim": 4,
    "trading": 3,
    "learning": 3,
    "notifications": 3,
    "db": 2,
    "collectors": 2,
    "core": 1,
    "config": 1,
}

_PARTS_OF = {
    **dict.fromkeys(
        ("daemon_day", "daemon_facts", "daemon_owner", "daemon_start", "daily", "hunting"), "daemon"
    ),
    **dict.fromkeys(("measuring", "start_lane", "watchdog"), "main"),
    "cli_values": "cli",
    "direct_flatten": "flatten",
}
"""Modules that are one part of the house although they are no package."""


@dataclass(frozen=True)
class Module:
    """One source file. ``name`` is dotted, ``place`` is its path from the project."""

    name: str
    place: str
    tree: ast.Module
    lines: int

    @property
    def part(self) -> str:
        """The package or module directly below ``wsb_snake``; empty for ``wsb_snake`` itself."""
        return part_of(self.name)


def part_of(name: str) -> str:
    first = name.partition(".")[2].partition(".")[0]
    return _PARTS_OF.get(first, first)


def module(text: str, place: str) -> Module:
    name = place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Module(name, place, ast.parse(text), text.count("\n"))


@cache
def package() -> tuple[Module, ...]:
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    return tuple(module(file.read_text(), file.relative_to(ROOT).as_posix()) for file in files)


# imports


def imports(of: Module, known: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Dotted names that ``of`` imports, and where; ``from package import module`` is that module."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                yield "relative import", node.lineno
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in known else base), node.lineno


def upward_imports(modules: tuple[Module, ...]) -> Iterator[str]:
    """Imports that do not point down: to a floor above, or sideways into another package."""
    known = frozenset(each.name for each in modules)
    for each in modules:
        for name, line in imports(each, known):
            if name == "relative import":
                yield f"{each.place}:{line}: relative import"
            part = part_of(name)
            if not name.startswith(f"{PACKAGE}.") or part == each.part or not each.part:
                continue
            if part not in _FLOORS or each.part not in _FLOORS:
                yield f"{each.place}:{line}: {each.part} or {part} has no floor yet"
            elif _FLOORS[part] >= _FLOORS[each.part]:
                yield f"{each.place}:{line}: imports {name}, which is not on a floor below"


def forbidden_imports(
    modules: tuple[Module, ...], package_name: str, allowed: frozenset[str]
) -> Iterator[str]:
    """Imports of ``package_name`` by a module whose name or part is not in ``allowed``."""
    known = frozenset(each.name for each in modules)
    for each in modules:
        if each.name in allowed or each.part in allowed:
            continue
        for name, line in imports(each, known):
            if name == package_name or name.startswith(f"{package_name}."):
                yield f"{each.place}:{line}: imports {name}"


def foreign_to_sim(modules: tuple[Module, ...], allowed: frozenset[str]) -> Iterator[str]:
    """What ``sim`` imports from the rest of the project beyond ``allowed``."""
    known = frozenset(each.name for each in modules)
    for each in modules:
        if each.part != "sim":
            continue
        for name, line in imports(each, known):
            if name.startswith(PACKAGE) and not name.startswith(f"{PACKAGE}.sim") and name not in allowed:
                yield f"{each.place}:{line}: imports {name}"


def cycles(modules: tuple[Module, ...]) -> Iterator[str]:
    """Modules that import each other in a circle."""
    known = frozenset(each.name for each in modules)
    below = {each.name: {name for name, _ in imports(each, known)} & known for each in modules}
    settled: set[str] = set()

    def descend(name: str, path: tuple[str, ...]) -> Iterator[str]:
        if name in path:
            yield " -> ".join((*path[path.index(name) :], name))
        elif name not in settled:
            for other in sorted(below[name] - {name}):
                yield from descend(other, (*path, name))
            settled.add(name)

    for name in sorted(below):
        yield from descend(name, ())


# the clock

_OF_TIME = (
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"),
    *("localtime", "gmtime", "ctime", "strftime"),
)
CLOCKS = frozenset(
    {
        *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
        "datetime.date.today",
        *(f"time.{name}" for name in _OF_TIME),
    }
)


def clock_readings(of: Module) -> Iterator[str]:
    """Uses of the machine's clock or sleep, called or handed on."""
    names = _imported_names(of.tree)
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            full = _dotted(node, names)
            if full in CLOCKS:
                yield f"{of.place}:{node.lineno}: uses {full}"


def _imported_names(tree: ast.Module) -> dict[str, str]:
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, names)
        return f"{owner}.{node.attr}" if owner else None
    return None


# constructions and handlers


def constructions(modules: tuple[Module, ...], class_name: str) -> list[str]:
    """Where ``class_name(...)`` is called."""
    return [
        f"{each.place}:{node.lineno}"
        for each in modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Call) and _last_name(node.func) == class_name
    ]


def broad_handlers(of: Module) -> Iterator[tuple[str, str]]:
    """``except`` clauses that catch everything and do not raise it again: (function, place)."""
    for function, node in _with_function(of.tree, "module"):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
            yield function, f"{of.place}:{node.lineno}"


def _with_function(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield inside, child
        yield from _with_function(child, inside)


def _is_broad(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(_is_broad(each) for each in kind.elts)
    return kind is None or _last_name(kind) in {"Exception", "BaseException"}


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
