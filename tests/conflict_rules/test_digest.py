"""Digests: equal for equal content whatever the order, and kept up to date change by change."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import Mark, Origin, Stamp, State
from conflict_rules.digest import EMPTY_DIGEST, digest_text, scope_digest, updated_digest

STAMP = Stamp(1000, 0, "a")


def state(name: str, version: int, **fields: object) -> State:
    marks = dict.fromkeys(fields, Mark(version, STAMP))
    return State("main", "note", name, version, fields, marks, Origin("a", version))


def tombstone(name: str, version: int) -> State:
    return replace(state(name, version), deleted=Mark(version, STAMP))


names = st.sampled_from(["x", "y", "z"])
states = st.builds(
    lambda name, version, value, deleted: tombstone(name, version) if deleted else state(name, version, v=value),
    names,
    st.integers(1, 50),
    st.one_of(st.integers(-5, 5), st.text(max_size=3), st.none(), st.lists(st.booleans(), max_size=2)),
    st.booleans(),
)


@given(st.lists(states), st.randoms())
def test_changing_one_resource_after_another_leads_to_the_digest_of_the_whole(
    history: list[State], chance: object
) -> None:
    held: dict[str, State] = {}
    digest = EMPTY_DIGEST
    for newer in history:
        digest = updated_digest(digest, held.get(newer.id), newer)
        held[newer.id] = newer
    shuffled = list(held.values())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest == scope_digest(shuffled)


def test_content_version_and_identity_all_count() -> None:
    one = state("x", 1, v=1)
    others = [
        state("x", 2, v=1),
        state("x", 1, v=True),
        state("x", 1, v="1"),
        state("y", 1, v=1),
        replace(one, type="memo"),
    ]
    assert len({scope_digest([each]) for each in [one, *others]}) == 6


def test_marks_and_tombstones_do_not_count() -> None:
    one = state("x", 1, v=1)
    later = replace(one, marks={"v": Mark(1, STAMP.next("b"))})
    assert scope_digest([one]) == scope_digest([later]) == scope_digest([one, tombstone("y", 2)])
    assert scope_digest([tombstone("y", 2)]) == EMPTY_DIGEST


def test_its_text_is_32_hexadecimal_digits() -> None:
    assert digest_text(EMPTY_DIGEST) == "0" * 32
