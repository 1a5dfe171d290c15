"""Collects the codes that the source can give, from the source itself.

A code is text that reaches something called `code`: a class attribute, a parameter (by keyword, by place, or as its
default), or the key of a dict. What stands there and is not text is listed too, so that a test can say what it becomes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Found", "class_codes", "collect"]


@dataclass(frozen=True, slots=True)
class Found:
    """`codes`: each with the names of the classes and functions it was given to. `made`: expressions that are not
    text, as source, with the modules they are in.
    """

    codes: dict[str, set[str]] = field(default_factory=dict)
    made: dict[str, set[str]] = field(default_factory=dict)


Places = Mapping[str, int]
"""Of what takes a `code` by place: the name, and where among the arguments."""


def collect(root: Path, rooms: Iterable[str]) -> Found:
    """All of these packages, relative to `root`."""
    paths = [path for room in rooms for path in sorted((root / room).rglob("*.py"))]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    own = {path: dict(_places(tree)) for path, tree in trees.items()}
    # What begins with _ is known in its own module only.
    shared = {name: place for places in own.values() for name, place in places.items() if not name.startswith("_")}
    families = [(node.name, _bases(node)) for node in _classes(trees.values())]
    found = Found()
    for path, tree in trees.items():
        places = {**shared, **own[path]}
        # A subclass takes what its parent takes; two rounds are enough for grandchildren.
        for name, bases in families * 2:
            for base in places.keys() & bases:
                places.setdefault(name, places[base])
        for given_to, expression in _expressions(tree, places):
            _note(given_to, expression, path.relative_to(root).as_posix(), found)
    return found


def class_codes(module: Path) -> dict[str, str]:
    """The classes of a module that have a code of their own, and that code."""
    return {
        node.name: statement.value.value
        for node in _classes([ast.parse(module.read_text(encoding="utf-8"))])
        for statement in _code_lines(node.body)
        if isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    }


def _places(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in _classes([tree]):
        annotated = [line.target for line in node.body if isinstance(line, ast.AnnAssign)]
        fields = [target.id for target in annotated if isinstance(target, ast.Name)]
        made_of_fields = [ast.unparse(each) for each in (*node.decorator_list, *node.bases)]
        if any("dataclass" in each or each == "NamedTuple" for each in made_of_fields) and "code" in fields:
            yield node.name, fields.index("code")
    for owner, function in _functions(tree):
        names = [each.arg for each in function.args.posonlyargs + function.args.args]
        if "code" in names:
            bound = names[0] in ("self", "cls")
            yield (owner if function.name == "__init__" else function.name), names.index("code") - bound


def _expressions(tree: ast.Module, places: Places) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in places and len(node.args) > places[name]:
                yield name, node.args[places[name]]
            yield from ((name, keyword.value) for keyword in node.keywords if keyword.arg == "code")
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield "{}", value
    for node in _classes([tree]):
        yield from ((node.name, line.value) for line in _code_lines(node.body) if line.value is not None)
    for owner, function in _functions(tree):
        yield from ((owner or function.name, line.value) for line in _code_lines(function.body) if line.value)
        arguments = function.args
        names = [each.arg for each in arguments.posonlyargs + arguments.args]
        defaults = dict(zip(reversed(names), reversed(arguments.defaults), strict=False))
        if "code" in defaults:
            yield owner or function.name, defaults["code"]


def _classes(trees: Iterable[ast.Module]) -> Iterator[ast.ClassDef]:
    return (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _bases(node: ast.ClassDef) -> list[str]:
    return [base.id for base in node.bases if isinstance(base, ast.Name)]


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function, with the name of its class, empty if it has none."""
    methods = {line: node.name for node in _classes([tree]) for line in node.body}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield methods.get(node, ""), node


def _code_lines(body: Iterable[ast.stmt]) -> Iterator[ast.Assign | ast.AnnAssign]:
    """The statements that set `code`."""
    for line in body:
        if isinstance(line, (ast.Assign, ast.AnnAssign)):
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            if any(isinstance(target, ast.Name) and target.id == "code" for target in targets):
                yield line


def _note(given_to: str, expression: ast.expr, where: str, found: Found) -> None:
    if isinstance(expression, ast.IfExp):
        _note(given_to, expression.body, where, found)
        _note(given_to, expression.orelse, where, found)
    elif isinstance(expression, ast.Constant):
        if isinstance(expression.value, str) and expression.value:
            found.codes.setdefault(expression.value, set()).add(given_to)
    else:
        found.made.setdefault(ast.unparse(expression), set()).add(where)
