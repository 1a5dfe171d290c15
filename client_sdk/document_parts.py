"""The content of a document as one reads and edits it: a text, a map or a list, and those nested in maps and lists.

    await doc.edit(lambda text: text.insert(3, "नमस्ते"))
    await doc.edit(lambda board: board["columns"].append("done"))

Texts count code points, as Python does, or what `unit` says. A value that the server would refuse is refused here, and
so is an offset that falls inside of a character: pycrdt would put the text elsewhere, in silence. Outside of `edit`
everything can be read and nothing changed. Knows no resource, file or network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pycrdt import Array, Map, Text

from client_sdk.errors import Unfit
from conflict_rules.documents.text_positions import Unit, offset, to_bytes
from conflict_rules.values import JsonValue, clean_value

__all__ = ["ArrayPart", "MapPart", "Part", "TextPart", "as_part", "plain"]

P = TypeVar("P", "ArrayPart", "MapPart", "TextPart")

Editing = Callable[[], bool]
"""Whether an edit is under way."""

_EXACT = float(1 << 53)


class TextPart:
    """A text. `str(text)` is its content, `len(text)` its length in code points."""

    def __init__(self, shared: Text, editing: Editing) -> None:
        self._shared = shared
        self._editing = editing

    def __str__(self) -> str:
        return str(self._shared)

    def __repr__(self) -> str:
        return f"<text {str(self)!r}>"

    def __len__(self) -> int:
        return len(str(self))

    def length(self, unit: Unit = "code_points") -> int:
        """How long it is, counted in `unit`."""
        text = str(self)
        return offset(text, len(text), unit)

    def insert(self, at: int, text: str, *, unit: Unit = "code_points") -> None:
        """Put `text` before what is at `at`.

        Raises `text_positions.InsideCharacter` or `BeyondTheText`, both a ValueError with a sentence.
        """
        _to_edit(self._editing)
        added = str(clean_value(text, "text"))
        place = to_bytes(str(self), at, unit)
        if added:
            self._shared.insert(place, added)

    def append(self, text: str) -> None:
        """Put `text` at the end."""
        self.insert(len(self), text)

    def delete(self, at: int, count: int, *, unit: Unit = "code_points") -> None:
        """Take away `count` from `at` on, both counted in `unit`. Raises as `insert`."""
        _to_edit(self._editing)
        start, stop = self._span(at, count, unit)
        if stop > start:
            del self._shared[start:stop]

    def replace(self, at: int, count: int, text: str, *, unit: Unit = "code_points") -> None:
        """Put `text` in the place of `count` from `at` on."""
        _to_edit(self._editing)
        # All is checked before anything is done.
        self._span(at, count, unit)
        clean_value(text, "text")
        self.delete(at, count, unit=unit)
        self.insert(at, text, unit=unit)

    def format(self, at: int, count: int, attributes: Mapping[str, JsonValue], *, unit: Unit = "code_points") -> None:
        """Give `count` from `at` on these attributes, such as {"bold": True}; None takes one away."""
        _to_edit(self._editing)
        cleaned = clean_value(dict(attributes), "attributes")
        start, stop = self._span(at, count, unit)
        if stop > start and isinstance(cleaned, dict):
            self._shared.format(start, stop, cleaned)

    def to_json(self) -> JsonValue:
        """The text."""
        return str(self)

    def _span(self, at: int, count: int, unit: Unit) -> tuple[int, int]:
        if count < 0:
            raise Unfit(f"{count} characters cannot be taken: name how many, from the first one on")
        text = str(self)
        return to_bytes(text, at, unit), to_bytes(text, at + count, unit)


class MapPart:
    """A map by names. Reading gives JSON values, and parts for what is nested."""

    def __init__(self, shared: Map[Any], editing: Editing) -> None:
        self._shared = shared
        self._editing = editing

    def __repr__(self) -> str:
        return f"<map {self.to_json()!r}>"

    def __len__(self) -> int:
        return len(self._shared)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._shared.keys()))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._shared

    def __getitem__(self, name: str) -> Any:
        if name not in self._shared:
            raise KeyError(name)
        return as_part(self._shared[name], self._editing)

    def get(self, name: str, default: Any = None) -> Any:
        """What is there under `name`, or `default`."""
        return as_part(self._shared.get(name, default), self._editing)

    def __setitem__(self, name: str, value: JsonValue) -> None:
        """Set a value; it replaces what was there as a whole, whoever was editing it."""
        _to_edit(self._editing)
        self._shared[_name(name)] = clean_value(value, name)

    def __delitem__(self, name: str) -> None:
        _to_edit(self._editing)
        if name not in self._shared:
            raise KeyError(name)
        del self._shared[name]

    def new_text(self, name: str, text: str = "") -> TextPart:
        """A text under `name` that several may edit at once."""
        return self._new(name, Text(str(clean_value(text, name))), TextPart)

    def new_map(self, name: str) -> MapPart:
        """A map under `name` that several may edit at once."""
        return self._new(name, Map(), MapPart)

    def new_array(self, name: str) -> ArrayPart:
        """A list under `name` that several may edit at once."""
        return self._new(name, Array(), ArrayPart)

    def to_json(self) -> JsonValue:
        """All of it, as JSON."""
        return plain(self._shared.to_py())

    def _new(self, name: str, shared: Text | Map[Any] | Array[Any], part: Callable[[Any, Editing], P]) -> P:
        _to_edit(self._editing)
        self._shared[_name(name)] = shared
        return part(shared, self._editing)


class ArrayPart:
    """A list. Reading gives JSON values, and parts for what is nested."""

    def __init__(self, shared: Array[Any], editing: Editing) -> None:
        self._shared = shared
        self._editing = editing

    def __repr__(self) -> str:
        return f"<array {self.to_json()!r}>"

    def __len__(self) -> int:
        return len(self._shared)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Any:
        return as_part(self._shared[self._there(index)], self._editing)

    def insert(self, index: int, value: JsonValue) -> None:
        """Put a value before what is at `index`, or at the end."""
        _to_edit(self._editing)
        cleaned = clean_value(value, "value")
        self._shared.insert(self._place(index), cleaned)

    def append(self, value: JsonValue) -> None:
        """Put a value at the end."""
        self.insert(len(self), value)

    def __delitem__(self, index: int) -> None:
        self.delete(self._there(index))

    def delete(self, index: int, count: int = 1) -> None:
        """Take away `count` values from `index` on."""
        _to_edit(self._editing)
        if count < 0:
            raise Unfit(f"{count} values cannot be taken: name how many, from the first one on")
        start, stop = self._place(index), self._place(index + count)
        if stop > start:
            del self._shared[start:stop]

    def new_text(self, index: int, text: str = "") -> TextPart:
        """A text at `index` that several may edit at once."""
        return self._new(index, Text(str(clean_value(text, "text"))), TextPart)

    def new_map(self, index: int) -> MapPart:
        """A map at `index` that several may edit at once."""
        return self._new(index, Map(), MapPart)

    def new_array(self, index: int) -> ArrayPart:
        """A list at `index` that several may edit at once."""
        return self._new(index, Array(), ArrayPart)

    def to_json(self) -> JsonValue:
        """All of it, as JSON."""
        return plain(self._shared.to_py())

    def _new(self, index: int, shared: Text | Map[Any] | Array[Any], part: Callable[[Any, Editing], P]) -> P:
        _to_edit(self._editing)
        self._shared.insert(self._place(index), shared)
        return part(shared, self._editing)

    def _there(self, index: int) -> int:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"there is no value {index} in a list of {length}")
        return index % length

    def _place(self, index: int) -> int:
        if not 0 <= index <= len(self):
            raise IndexError(f"place {index} is not in a list of {len(self)}")
        return index


Part = TextPart | MapPart | ArrayPart


def as_part(value: Any, editing: Editing) -> Any:
    """A shared type as a part, anything else as JSON."""
    if isinstance(value, Text):
        return TextPart(value, editing)
    if isinstance(value, Map):
        return MapPart(value, editing)
    if isinstance(value, Array):
        return ArrayPart(value, editing)
    return plain(value)


def plain(value: Any) -> JsonValue:
    """What pycrdt read, as JSON: it gives whole numbers as floats."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _name(name: str) -> str:
    if not isinstance(name, str):
        raise Unfit(f"the names in a map are text, not {name!r}")
    return str(clean_value(name, "name"))


def _to_edit(editing: Editing) -> None:
    if not editing():
        raise Unfit("a document is changed inside of an edit: await doc.edit(lambda text: text.insert(0, …))")
