"""What a state brings that is new is told once, from pages and deltas in whatever mixture."""

from __future__ import annotations

from typing import Any

from conflict_rules import Mark, Origin, Stamp, State
from syncd.commands.telling import ScopeTeller, Told


def state(id: str, version: int, *, deleted: bool = False, by: str = "phone", **fields: tuple[int, object]) -> State:
    """A note; each field with the version at which it was set."""

    def mark(at: int) -> Mark:
        return Mark(at, Stamp(1000 * at, 0, by))

    return State(
        "s",
        "note",
        id,
        version,
        {name: value for name, (_, value) in fields.items()},
        {name: mark(at) for name, (at, _) in fields.items()},
        Origin(by, version),
        mark(version) if deleted else None,
    )


def told(teller: ScopeTeller, *states: State) -> list[tuple[str, str, dict[str, Any]]]:
    return [(each.op, each.id, dict(each.fields)) for each in teller.take(states)]


def test_a_state_never_met_is_a_create_with_all_its_fields() -> None:
    (each,) = ScopeTeller("s").take([state("x", 3, text=(2, "a"), done=(3, True))])
    assert each == Told("s", "note", "x", "create", 3, "phone", 3, {"text": "a", "done": True}, 3000)


def test_a_later_one_is_an_update_with_what_was_set_since() -> None:
    teller = ScopeTeller("s")
    told(teller, state("x", 1, text=(1, "a"), done=(1, False)))
    assert told(teller, state("x", 5, text=(1, "a"), done=(5, True))) == [("update", "x", {"done": True})]
    assert told(teller, state("x", 9, text=(7, "b"), done=(5, True))) == [("update", "x", {"text": "b"})]


def test_the_same_state_again_brings_nothing() -> None:
    teller = ScopeTeller("s")
    told(teller, state("x", 1, text=(1, "a")))
    assert told(teller, state("x", 1, text=(1, "a"))) == []


def test_a_delete_and_a_create_after_it() -> None:
    teller = ScopeTeller("s")
    told(teller, state("x", 1, text=(1, "a")))
    assert told(teller, state("x", 2, deleted=True)) == [("delete", "x", {})]
    assert told(teller, state("x", 3, text=(3, "b"))) == [("create", "x", {"text": "b"})]


def test_a_delta_that_a_page_overtook_is_known() -> None:
    teller = ScopeTeller("s")
    told(teller, state("x", 4, text=(4, "a")))
    assert teller.knows([state("x", 3), state("y", 4)])
    assert not teller.knows([state("y", 5)])


def test_after_a_reset_only_what_differs_is_told_and_what_is_not_met_again_is_gone() -> None:
    teller = ScopeTeller("s")
    told(teller, state("same", 1, v=(1, 1)), state("lost", 2, v=(2, 2)), state("back", 3, v=(3, 3)))
    told(teller, state("buried", 4, deleted=True))
    teller.start_over()
    assert told(teller, state("same", 1, v=(1, 1)), state("back", 2, by="other", v=(2, 0))) == [
        ("update", "back", {"v": 0})
    ]
    assert [(each.op, each.id) for each in teller.end_snapshot()] == [("gone", "lost")]
    assert teller.end_snapshot() == []
    assert not teller.knows([state("new", 3)]), "versions count anew"
