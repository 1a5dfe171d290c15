"""`client_sdk.numbered`: in the order of their numbers, whatever the order in which they came and went."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from client_sdk.numbered import Numbered

STEPS = st.lists(st.tuples(st.sampled_from(["put", "drop", "look"]), st.integers(0, 20)), max_size=60)


@given(STEPS)
def test_it_is_a_sorted_dict(steps: list[tuple[str, int]]) -> None:
    numbered: Numbered[str] = Numbered()
    model: dict[int, str] = {}
    for place, (what, number) in enumerate(steps):
        if what == "put":
            model[number] = f"{number} put at {place}"
            numbered.put(number, model[number])
        elif what == "drop" and number in model:
            numbered.drop(number, model.pop(number))
        assert len(numbered) == len(model)
        assert numbered.first() == (model[min(model)] if model else None)
    assert list(numbered) == [model[number] for number in sorted(model)]


def test_what_has_taken_the_number_of_another_stays_when_that_one_goes() -> None:
    numbered: Numbered[str] = Numbered()
    numbered.put(1, "old")
    numbered.put(1, "new")
    numbered.drop(1, "old")
    assert list(numbered) == ["new"]
