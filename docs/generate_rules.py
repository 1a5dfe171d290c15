"""Writes docs/rules.md from what the rules declare of themselves: `make docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from conflict_rules import Algebra, Change, Kind, Op, RecordRule, Rule, Stamp, apply_change, rule_by_name, rule_names
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.own import ARBITRATED, Own

__all__ = ["PAGE", "built_in", "rules_page"]

PAGE: Final = Path(__file__).parent / "rules.md"

_HEAD: Final = """\
# Rules: what becomes of concurrent changes

<!-- Made by `make docs` from the declarations in conflict_rules: change them there. -->

A type names a rule for its records, and a field may have one of its own. `tests/docs/test_rules_doc.py` holds this page
to the source, `tests/properties/test_algebra.py` each rule to what it declares here, on random histories.

```python
@app.resource(scope="match:{id}", rule=rules.merge, deletes="update_wins")
class Match(Resource):
    note: str = ""  # the rule of the record: by later stamp
    score: Annotated[str, rules.manual] = "0-0"
    likes: Annotated[int, rules.counter] = 0
    tags: Annotated[list[str], rules.set] = []
```

**In sight** means: the change was made by somebody who was shown the value, told by its base; or the replica had set
the value itself (law 1). Seen beats stamped: no clock stands against an edit in sight (law 2). **Concurrently** is the
rest. A field that was never set takes its first value under every rule. One change may win in one field and lose in
another: its outcome is `merged`, and `lost` names the fields; `overruled` if another value stands in all of them.
"""

_RECORDS: Final = """\
## Records

The other rules of the next table may be named for a record too: then every field without a rule of its own has it.

"""

_DELETES: Final = """\
## Deletes

A type chooses, with `deletes=`, which stands of a delete and an edit that have not seen each other:

| `deletes` | the edit | the delete |
| --- | --- | --- |
| `delete_wins` (default) | is overruled (`deleted`), and kept in the history | stands, in either order |
| `update_wins` | brings the resource back, merged, if it changes something | is overruled (`updated_meanwhile`) |

- Under `update_wins`, an edit that would have changed nothing brings nothing back: it is overruled (`deleted`).
- An edit that has seen the delete is rejected (`deleted`). A delete of what is gone is applied (`nothing_to_delete`).
- `restore` brings back what somebody has seen deleted: under `update_wins` as it was, with what the restore brings laid
  over it; under `delete_wins` nothing was kept, so the restore brings the whole (else `nothing_kept`). Edits from
  before the delete stay overruled after it.
- Updating what never was, or was deleted so long ago that nothing is left, is rejected (`unknown_resource`, law 9).
- Under `update_wins`, a restore that brings nothing, of two offers of one extreme the second, and what an author's own
  function has not chosen, are nothing that a delete could have seen: there the order of arrival decides.
"""

_OWN: Final = """\
## An author's own

```python
@rules.own("longer")
def longer(base, mine, theirs):
    if base is None:
        return rules.ASK
    return max(mine, theirs, key=len)
```

`longer` is a rule from then on, for a record or for a field. What it raises, and a value that is not JSON, rejects the
change (`check_failed`). Of this one nothing is declared:

"""

_ORDERLESS: Final = Algebra(commutative=True, associative=True, idempotent=True)
_DECLARED: Final = """\
An author may declare what is true of the function. Commutative and associative, declared together, mean that the order
of arrival does not matter; idempotent, that a value told again changes nothing.

```python
@rules.own("longest", commutative=True, associative=True, idempotent=True)
def longest(base, mine, theirs):
    return max(mine, theirs, key=lambda text: (len(text), text))  # of equals the greater, else arrival decides


def test_longest_is_what_it_declares():
    rules.check_algebra(longest, ["", "a", "b", "ab", "ba"])
```

`check_algebra` plays every pair and triple of the values, and raises `BrokenPromise` with the least case that shows the
declaration to be false. With `key=len` alone: "the rule 'longest' is declared commutative, but "a", then "b", comes to
"b", and "b", then "a", to "a"".

The order can only be without meaning if the function is asked in sight too: under `longest` nobody makes a text
shorter, as nobody lowers a `max`. Where an edit in sight is to take the field, declare neither; or go by the
difference, such as `theirs + mine - base`: then whoever saw what is held gets what he typed. A function that may ask
leaves it to arrival.

Of such a rule, once it is declared:

"""


def built_in() -> list[RecordRule]:
    """Every rule that comes with the house, by name."""
    rules: list[Rule] = [rule_by_name(name) for name in rule_names()]
    return [rule for rule in rules if isinstance(rule, RecordRule) and not isinstance(rule.default, Own)]


def rules_page() -> str:
    """The page as it should be now."""
    parts = [_HEAD, _RECORDS + _record_table(), "## Fields\n", _field_table()]
    parts.extend(_section(rule) for rule in _field_rules())
    parts.extend([_OWN + _own_lines(ARBITRATED), _DECLARED + _own_lines(_ORDERLESS), _DELETES])
    return "\n".join(parts)


def _own_lines(algebra: Algebra) -> str:
    return "\n".join(_guide_lines(Own("own", lambda base, mine, theirs: theirs, algebra))) + "\n"


def _field_rules() -> list[RecordRule]:
    own = [rule for rule in built_in() if rule.default is not LATER_STAMP]
    return [rule_by_name("lww"), *own]  # type: ignore[list-item]  # it is one of built_in()


def _record_table() -> str:
    rows = []
    for rule in built_in():
        if rule.good_for:
            carries = "the whole record, as its replica knows it" if rule.whole_record else "what the person touched"
            rows.append(f"| `{rule.name}` | {rule.good_for} | {carries} | {_summary(rule)} |\n")
    return "| rule | for | an update carries | |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _summary(rule: RecordRule) -> str:
    text = (type(rule).__doc__ or "") if type(rule) is not RecordRule else ""
    return text.splitlines()[0] if text else "Each field falls to its own rule, by default to the later stamp."


def _field_table() -> str:
    rows = [f"| [`{rule.name}`](#{_anchor(rule)}) | {rule.default.guide.good_for} |\n" for rule in _field_rules()]
    return "| rule | for |\n| --- | --- |\n" + "".join(rows)


def _anchor(rule: RecordRule) -> str:
    return f"rule-{rule.default.name}"


def _section(rule: RecordRule) -> str:
    return "\n".join([f"### Rule {rule.default.name}", "", *_guide_lines(rule.default), "", _example(rule), ""])


def _guide_lines(rule: object) -> Iterator[str]:
    guide, algebra = rule.guide, rule.algebra  # type: ignore[attr-defined]  # a field rule
    yield f"- For: {guide.good_for}"
    yield f"- A change offers: {guide.offers}"
    yield f"- In sight: {guide.in_sight}"
    yield f"- Concurrently: {guide.concurrently}"
    yield f"- Algebra: {_algebra(algebra)}"
    yield f"- Codes: {', '.join(f'`{code}`' for code in guide.codes)}"


def _algebra(algebra: Algebra) -> str:
    held = [name for name in ("commutative", "associative", "idempotent") if getattr(algebra, name)]
    words = ", ".join(held) or "nothing is promised"
    return f"{words}; arbitrated by arrival." if algebra.arbitrated else f"{words}."


def _example(rule: RecordRule) -> str:
    """Two people who have not seen each other, played by the rule itself."""
    first, second = _offers(rule)
    state = None
    lines = []
    told = [("create", "ann", first[0]), ("update", "ben", first[1]), ("update", "cleo", second)]
    for version, (op, replica, value) in enumerate(told, 1):
        change = Change(
            replica, 1, "s", "t", "x", Op(op), Stamp(10 * version, 0, replica), min(version - 1, 1), {"f": value}
        )
        merged = apply_change(rule, state, change, version)
        state = merged.state
        assert state is not None
        shown = "nothing" if version == 1 else "version 1"
        outcome = merged.outcome.kind.value + (f" ({merged.outcome.code})" if merged.outcome.code else "")
        offered, held = json.dumps(value), json.dumps(state.fields["f"])
        lines.append(f"| {replica}, shown {shown} | `{offered}` | {outcome} | `{held}` |")
        assert merged.outcome.kind is not Kind.REJECTED, merged.outcome
    return "\n".join(["| who | offers | outcome | the field holds |", "| --- | --- | --- | --- |", *lines])


def _offers(rule: RecordRule) -> tuple[list[object], object]:
    example = rule.default.guide.example
    if isinstance(example, dict) and "update" in example:
        return [example, example], example
    if isinstance(example, dict) and "increment" in example:
        return [10, {"increment": 1}], {"increment": 2}
    if isinstance(example, dict):
        return [["a"], {"add": ["a", "b"]}], {"remove": ["a"]}
    if isinstance(example, int):
        return ([9, 7], 8) if rule.name == "min" else ([7, 9], 8)
    return [example, f"{example}, seen"], f"{example}, unseen"


if __name__ == "__main__":
    PAGE.write_text(rules_page(), encoding="utf-8")
