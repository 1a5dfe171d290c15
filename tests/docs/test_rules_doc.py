"""docs/rules.md is what the rules declare now, and leaves none out."""

from __future__ import annotations

import re

from conflict_rules import CRDT, Deletes
from docs.generate_rules import PAGE, built_in, rules_page
from tests.conflict_rules.make import RULES
from tests.docs.source_codes import collect
from tests.docs.test_errors_doc import ROOT


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == rules_page(), "run `make docs`"


def test_every_rule_and_every_choice_for_deletes_has_its_place() -> None:
    page = rules_page()
    assert {rule.name for rule in built_in()} == {rule.name for rule in [*RULES, CRDT]}
    assert [rule.name for rule in [*RULES, CRDT] if f"`{rule.name}`" not in page] == []
    assert [choice for choice in Deletes if f"`{choice}`" not in page] == []


def test_every_code_of_the_page_is_one_that_is_given() -> None:
    told = {
        code for line in re.findall(r"^- Codes: (.*)$", rules_page(), re.MULTILINE) for code in re.findall(r"\w+", line)
    }
    assert told
    assert told - collect(ROOT, ("conflict_rules", "syncd")).codes.keys() == set()
