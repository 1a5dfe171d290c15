"""The tests notice broken rules: here some of them, with `make mutants` all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.mutants import EQUIVALENT, MUTANTS, Mutant
from tests.mutations.run import run_one
from tests.sizes import SIZES

ROOT = Path(__file__).parents[2]
REAL = [mutant for mutant in MUTANTS if mutant.name not in EQUIVALENT]
CHOSEN = REAL if SIZES.mutants is None else REAL[:: -(-len(REAL) // SIZES.mutants)]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_its_file_exactly_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.path).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_every_mutant_has_a_name_of_its_own_and_an_equivalent_one_has_a_reason() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert EQUIVALENT.keys() <= set(names)
    assert all(EQUIVALENT.values())


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant) -> None:
    verdict = run_one(mutant)
    print(verdict.by, verdict.after, verdict.what)
    assert not verdict.survived, f"nobody noticed {mutant.name}: {mutant.breaks}"
