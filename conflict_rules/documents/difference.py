"""Editing one document until it says what another one says, with as little as that takes. Pure, but for the edits.

For what has to be made anew under another Yjs client id, and for what is taken back: the content is what a person
meant, so it is the content that is compared, and what both have in common stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from pycrdt import Array, Map, Text

from conflict_rules.documents.document import Document, MergeFailed

__all__ = ["become", "update_towards"]

_SHARED: Final = (Text, Map, Array)
_MOST_COMPARED: Final = 4_000_000
"""Pairs of letters or items: what differs in more is replaced as a whole, for to compare them could take minutes."""


def become(root: Any, wanted: Any) -> None:
    """Edit `root`, inside of a transaction of its document, until it holds what `wanted`, of the same kind, holds."""
    if isinstance(root, Text):
        _text(root, wanted)
    elif isinstance(root, Map):
        _map(root, wanted)
    else:
        _array(root, wanted)


def update_towards(present: Document, wanted: Document) -> bytes:
    """The update that makes whoever holds `present` hold what `wanted` says; b"" if it says so already. Both stay as
    they are. Raises `MergeFailed`.
    """
    copy = Document.load(present.kind, present.field, present.diff({}))
    made: list[bytes] = []
    subscription = copy.doc.observe(lambda event: made.append(event.update))
    try:
        with copy.doc.transaction():
            become(copy.root, wanted.root)
    except Exception as failure:
        raise MergeFailed("compare", str(failure)) from failure
    copy.doc.unobserve(subscription)
    if len(made) > 1 or copy.view() != wanted.view():
        raise MergeFailed("compare", "it says something else then")
    return made[0] if made else b""


def _text(root: Text, wanted: Text) -> None:
    before, after = _letters(root), _letters(wanted)
    for tag, start, stop, new_start, new_stop in reversed(_steps([_key(one) for one in before], _keys(after))):
        if tag == "equal":
            continue
        place = sum(_width(letter) for letter, _ in before[:start])
        if stop > start:
            del root[place : place + sum(_width(letter) for letter, _ in before[start:stop])]
        for letter, attributes in reversed(_runs(after[new_start:new_stop])):
            if isinstance(letter, str):
                root.insert(place, letter, attributes)
            else:
                root.insert_embed(place, letter, attributes)


def _map(root: Map[Any], wanted: Map[Any]) -> None:
    for name in sorted(root.keys()):
        if name not in wanted:
            del root[name]
    for name in sorted(wanted.keys()):
        one = wanted[name]
        known = root.get(name)
        if isinstance(one, _SHARED) and type(known) is type(one):
            become(known, one)
        elif name not in root or _content(known) != _content(one):
            root[name] = _copy(one)


def _array(root: Array[Any], wanted: Array[Any]) -> None:
    before, after = list(root), list(wanted)
    for tag, start, stop, new_start, new_stop in reversed(
        _steps([_content(one) for one in before], [_content(one) for one in after])
    ):
        if tag == "equal":
            continue
        pairs = list(zip(before[start:stop], after[new_start:new_stop], strict=False))
        if stop - start == new_stop - new_start and all(
            isinstance(one, _SHARED) and type(one) is type(other) for one, other in pairs
        ):
            for one, other in pairs:
                become(one, other)
            continue
        if stop > start:
            del root[start:stop]
        for offset, one in enumerate(after[new_start:new_stop]):
            root.insert(start + offset, _copy(one))


def _letters(text: Text) -> list[tuple[Any, dict[str, Any] | None]]:
    return [
        (letter, attributes) for run, attributes in text.diff() for letter in (run if isinstance(run, str) else [run])
    ]


def _runs(letters: Sequence[tuple[Any, dict[str, Any] | None]]) -> list[tuple[Any, dict[str, Any] | None]]:
    """Letters of the same attributes, joined."""
    runs: list[tuple[Any, dict[str, Any] | None]] = []
    for letter, attributes in letters:
        if runs and isinstance(letter, str) and isinstance(runs[-1][0], str) and runs[-1][1] == attributes:
            runs[-1] = (runs[-1][0] + letter, attributes)
        else:
            runs.append((letter, attributes))
    return runs


def _width(letter: Any) -> int:
    """In UTF-8 bytes, as pycrdt counts; what is embedded counts one."""
    return len(letter.encode()) if isinstance(letter, str) else 1


def _key(letter: tuple[Any, dict[str, Any] | None]) -> str:
    return json.dumps(letter, sort_keys=True, default=repr)


def _keys(letters: Sequence[tuple[Any, dict[str, Any] | None]]) -> list[str]:
    return [_key(letter) for letter in letters]


def _content(value: Any) -> str:
    """What a value holds, in a form to compare."""
    if isinstance(value, Text):
        return "text " + json.dumps(_runs(_letters(value)), sort_keys=True, default=repr)
    if isinstance(value, _SHARED):
        return f"{type(value).__name__} {json.dumps(value.to_py(), sort_keys=True, default=repr)}"
    return json.dumps(value, sort_keys=True, default=repr)


def _copy(value: Any) -> Any:
    """A value of another document, to be put into this one."""
    if isinstance(value, Text):
        return Text(str(value))
    if isinstance(value, Map):
        return Map({name: _copy(value[name]) for name in sorted(value.keys())})
    if isinstance(value, Array):
        return Array([_copy(one) for one in value])
    return value


def _steps(before: Sequence[str], after: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """`SequenceMatcher.get_opcodes`, without what both begin and end with: that makes it quick for what is typed."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    if (len(before) - start - end) * (len(after) - start - end) > _MOST_COMPARED:
        return [("replace", start, len(before) - end, start, len(after) - end)]
    matcher = SequenceMatcher(None, before[start : len(before) - end], after[start : len(after) - end], autojunk=False)
    return [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in matcher.get_opcodes()]
