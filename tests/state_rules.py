"""Finds mutable state that belongs to a module or a class instead of an object."""

import ast
from collections.abc import Iterator

from tests.source_rules import Module

_MAKERS = frozenset(
    {
        *("frozenset", "tuple", "str", "int", "float", "bool", "bytes", "range", "Decimal", "Path"),
        *("MappingProxyType", "timedelta", "datetime", "date", "time", "timezone"),
        *("getLogger", "compile", "Struct", "TypeVar", "ParamSpec", "NewType", "namedtuple"),
        *("field", "Field", "SettingsConfigDict", "BeforeValidator", "AfterValidator"),
    }
)
"""Calls whose result cannot change, or which only declare something."""

_KEEPERS = frozenset({"resolve", "timezone", "localize", "replace", "join", "strip", "encode", "union"})
"""Methods whose result cannot change either."""


def frozen_classes(modules: tuple[Module, ...]) -> frozenset[str]:
    """Names of the project's frozen dataclasses, named tuples and enumerations."""
    return frozenset(
        node.name
        for each in modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.ClassDef) and _is_frozen(node)
    )


def mutable_state(of: Module, frozen: frozenset[str], allowed: frozenset[str]) -> Iterator[str]:
    """Assignments in the body of a module or class whose value can change, caches, and ``global``.

    ``allowed`` names what may stay, as ``path:name``.
    """
    makers = _MAKERS | frozen | _constant_functions(of.tree, frozen)
    for name, value, line in _assignments(of.tree):
        if name != "__all__" and f"{of.place}:{name}" not in allowed and not _constant(value, makers):
            yield f"{of.place}:{line}: {name} is mutable state"
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Global):
            yield f"{of.place}:{node.lineno}: global {', '.join(node.names)}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            cached = any(_name(each) in {"cache", "lru_cache"} for each in node.decorator_list)
            if cached and f"{of.place}:{node.name}" not in allowed:
                yield f"{of.place}:{node.lineno}: the cache of {node.name} is mutable state"


def _assignments(body: ast.AST) -> Iterator[tuple[str, ast.expr, int]]:
    """Assignments that run at import: in the module and its classes, also inside ``if`` and ``try``."""
    for node in ast.iter_child_nodes(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield ast.unparse(target), node.value, node.lineno
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            if node.value is not None:
                yield ast.unparse(node.target), node.value, node.lineno
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.expr):
            yield from _assignments(node)


def _constant(value: ast.expr, makers: frozenset[str]) -> bool:
    match value:
        case ast.Constant() | ast.Name() | ast.Attribute() | ast.Subscript() | ast.Lambda() | ast.JoinedStr():
            return True
        case ast.Tuple(elts=parts):
            return all(_constant(part, makers) for part in parts)
        case ast.UnaryOp(operand=inner) | ast.Starred(value=inner):
            return _constant(inner, makers)
        case ast.BinOp(left=left, right=right):
            return _constant(left, makers) or _constant(right, makers)
        case ast.Compare():
            return True
        case ast.Call(func=ast.Name(id="MappingProxyType"), args=[ast.Dict(values=values)]):
            return all(_constant(each, makers) for each in values)
        case ast.Call(func=ast.Attribute(attr=method)) if method in _KEEPERS:
            return True
        case ast.Call(func=func):
            return _name(func) in makers
    return False


def _constant_functions(tree: ast.Module, frozen: frozenset[str]) -> frozenset[str]:
    """Functions of the module whose annotation promises a value that cannot change."""
    kinds = ("str", "int", "float", "bool", "bytes", "Decimal", "tuple[", "frozenset[", "MappingProxyType[")
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and node.returns is not None
        and (ast.unparse(node.returns) in frozen or ast.unparse(node.returns).startswith(kinds))
    )


def _is_frozen(node: ast.ClassDef) -> bool:
    if {_name(base) for base in node.bases} & {"Enum", "StrEnum", "IntEnum", "NamedTuple"}:
        return True
    return any(
        isinstance(each, ast.Call)
        and _name(each.func) == "dataclass"
        and any(word.arg == "frozen" and ast.unparse(word.value) == "True" for word in each.keywords)
        for each in node.decorator_list
    )


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
