"""`conflict_rules.rule`: the protocol, the declared algebra, the registry. And the package as a whole."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import conflict_rules
from conflict_rules import (
    MERGE,
    Algebra,
    Change,
    Deletes,
    FieldRule,
    Merged,
    Rule,
    State,
    UnknownRule,
    register_rule,
    rule_by_name,
)
from conflict_rules import rule as registry
from tests.conflict_rules.make import RULES, each

each_rule = each(RULES)


class Doubtful:
    """A rule as an author would write one."""

    name = "doubtful"
    algebra = Algebra(commutative=False, associative=False, idempotent=False, arbitrated=True)
    whole_record = False
    deletes = Deletes.DELETE_WINS

    def field_rule(self, name: str) -> FieldRule:
        return MERGE.field_rule(name)

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        raise NotImplementedError


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that the test may change."""
    monkeypatch.setattr(registry, "_rules", dict(registry._rules))


def test_the_rules_of_this_version() -> None:
    assert [rule.name for rule in RULES] == [
        "append",
        "counter",
        "lww",
        "manual",
        "max",
        "merge",
        "min",
        "server_wins",
        "set",
    ]


@each_rule
def test_a_registered_rule_conforms_to_the_protocol_and_is_found_by_its_name(rule: Rule) -> None:
    assert isinstance(rule, Rule)
    assert rule_by_name(rule.name) is rule
    assert isinstance(rule.algebra, Algebra)
    assert isinstance(rule.whole_record, bool)


@each_rule
def test_a_rule_that_lets_arrival_decide_promises_nothing_else(rule: Rule) -> None:
    algebra = rule.algebra
    assert not (algebra.arbitrated and (algebra.commutative or algebra.associative))


@pytest.mark.usefixtures("own_registry")
def test_an_author_registers_a_rule_of_his_own() -> None:
    doubtful = register_rule(Doubtful())
    assert rule_by_name("doubtful") is doubtful
    assert "doubtful" in conflict_rules.rule_names()


@pytest.mark.usefixtures("own_registry")
def test_registering_the_same_rule_twice_is_harmless() -> None:
    doubtful = Doubtful()
    assert register_rule(doubtful) is register_rule(doubtful)


@pytest.mark.usefixtures("own_registry")
def test_a_second_rule_of_one_name_is_refused_and_the_first_stays() -> None:
    first = rule_by_name("merge")
    with pytest.raises(ValueError, match="'merge' is registered already; choose another name"):
        register_rule(replace(MERGE, whole_record=True))
    assert rule_by_name("merge") is first


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownRule, match=r"no rule 'mergee'; there are: append, .*lww, manual"):
        rule_by_name("mergee")


def test_everything_exported_exists_and_the_list_is_in_order() -> None:
    assert all(hasattr(conflict_rules, name) for name in conflict_rules.__all__)
    assert len(set(conflict_rules.__all__)) == len(conflict_rules.__all__)


MODULES = sorted(Path(conflict_rules.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_merging_is_pure_it_imports_only_what_computes_and_reads_no_clock(module: Path) -> None:
    allowed = sys.stdlib_module_names - {
        "asyncio",
        "os",
        "random",
        "secrets",
        "socket",
        "subprocess",
        "threading",
        "time",
    }
    allowed |= {"conflict_rules", "orjson", "pycrdt"}
    imported: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= allowed
