"""The reference model shares nothing with what it is compared with: read from its imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MODEL = ("stamps.py", "field_rules.py", "questions.py", "model.py", "written.py")
PRODUCT = {"conflict_rules", "client_sdk", "syncd"}


def imported(source: str) -> set[str]:
    """Every module that a file imports, by its full name; a relative one begins with a dot."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


@pytest.mark.parametrize("name", MODEL)
def test_the_model_imports_the_standard_library_and_itself(name: str) -> None:
    own = {f"tests.reference.{each.removesuffix('.py')}" for each in MODEL}
    for module in imported((HERE / name).read_text()):
        assert module in own or module.partition(".")[0] in sys.stdlib_module_names, module


@pytest.mark.parametrize("name", MODEL)
def test_the_model_loads_nothing_by_name(name: str) -> None:
    text = (HERE / name).read_text()
    assert "importlib" not in imported(text)
    assert "__import__" not in text


@pytest.mark.parametrize("package", sorted(PRODUCT))
def test_an_import_of_the_product_would_be_seen(package: str) -> None:
    assert package in imported(f"def f():\n    import {package}\n")
    assert f"{package}.rule" in imported(f"from {package}.rule import x")
