"""Upgrades: how a change that was made under an older version of the app reads in the words of this one. Pure.

An author's functions lift one change from a version to the next. The server lifts what it is sent before it checks and
merges it, and the SDK what waits on the device, so that both understand the same. Knows of no queue and no store; what
was sent is kept elsewhere, as it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from conflict_rules import CONFLICT_TYPE, Change, JsonValue, Op
from conflict_rules.values import clean_fields, valid_type
from syncd.app.builtin import COMMANDED
from syncd.app.hooks import Veto
from syncd.errors import AppError

__all__ = ["Intent", "Upgrade", "UpgradeFailed", "Upgrades", "concerns"]

_BUILT_IN: Final = frozenset({CONFLICT_TYPE, *COMMANDED})
"""Types that syncd declares itself (law 7): no version of an app changes them."""

Fields = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Intent:
    """What a change asks for: what an upgrade is given, and returns. Each method returns another intent.

    `op`: "create", "update", "delete" or "restore". `fields`: what it sets, as it was sent, so that a counter
    has `{"increment": 1}` in an update. `was`: what the person was shown in some of these fields. `id` and `scope` are
    only there to be looked at.
    """

    type: str
    op: str
    fields: Fields = field(default_factory=dict)
    was: Fields = field(default_factory=dict)
    id: str = ""
    scope: str = ""

    def renamed(self, old: str, new: str) -> Intent:
        """With the field `old` under the name `new`; what the person typed stands in place of a `new` beside it."""
        return self._mapped(old, lambda value: {new: value})

    def converted(self, name: str, convert: Callable[[JsonValue], JsonValue]) -> Intent:
        """With `convert(value)` in the field `name`; null stays null."""
        return self._mapped(name, lambda value: {name: None if value is None else convert(value)})

    def split(self, name: str, divide: Callable[[JsonValue], Fields]) -> Intent:
        """With the fields of `divide(value)` in the place of the field `name`."""
        return self._mapped(name, divide)

    def without(self, *names: str) -> Intent:
        """Without these fields."""
        intent = self
        for name in names:
            intent = intent._mapped(name, lambda value: {})
        return intent

    def with_default(self, name: str, value: JsonValue) -> Intent:
        """With the field `name` set to `value`, if it makes a new resource and does not set the field itself."""
        if self.op != Op.CREATE or name in self.fields:
            return self
        return replace(self, fields={**self.fields, name: value})

    def of_type(self, name: str) -> Intent:
        """About a resource of another type, with the same id and scope."""
        return replace(self, type=name)

    def _mapped(self, name: str, change: Callable[[JsonValue], Fields]) -> Intent:
        def mapped(fields: Fields) -> Fields:
            if name not in fields:
                return fields
            return {**{key: value for key, value in fields.items() if key != name}, **change(fields[name])}

        return replace(self, fields=mapped(self.fields), was=mapped(self.was))


Upgrade = Callable[[Intent], Intent | None]
"""Lifts an intent to the next version; None, or `Veto` with a sentence: it has no meaning there any more."""


def concerns(change: Change) -> bool:
    """Whether versions of the app matter to a change.

    Built-in types are the same in all of them, and a conflict keeps the words in which it was opened.
    """
    return change.type not in _BUILT_IN and change.op is not Op.SETTLE


class UpgradeFailed(Exception):
    """A function of the author's raised, or returned what no change can be; its own exception is the cause."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One function, for changes of `type`; of every type if None."""

    type: str | None
    function: Upgrade


class Upgrades:
    """The upgrades of one app, each from one version to the next."""

    def __init__(self, app_name: str, version: int) -> None:
        self._app_name = app_name
        self._version = version
        self._steps: dict[int, list[_Step]] = {}

    def add(self, from_version: int, type_name: str | None, function: Upgrade) -> None:
        """Declare one; those of a version run in the order of declaration. Raises `AppError` for what cannot be."""
        name = getattr(function, "__name__", repr(function))
        whole = isinstance(from_version, int) and not isinstance(from_version, bool)
        if not whole or not 1 <= from_version < self._version:
            raise AppError(
                f"the upgrade {name!r} leads on from version {from_version!r}, but the app {self._app_name!r} is "
                f"version {self._version}",
                hint=f"Name a version from 1 to {self._version - 1}, or count up the version of the app."
                if self._version > 1
                else "Count up the version of the app: App(name, version=2).",
            )
        if type_name is not None and not valid_type(type_name):
            raise AppError(
                f"the upgrade {name!r} is for the type {type_name!r}, which is no name for a type",
                hint="Name it as it was called in that version: snake_case of the class.",
            )
        self._steps.setdefault(from_version, []).append(_Step(type_name, function))

    @property
    def oldest(self) -> int:
        """The lowest version whose changes can be lifted to the app's own."""
        oldest = self._version
        while oldest - 1 in self._steps:
            oldest -= 1
        return oldest

    def check(self) -> None:
        """Raise `AppError`, with a sentence, if there are upgrades that lead nowhere."""
        oldest = self.oldest
        stranded = sorted(version for version in self._steps if version < oldest)
        if not stranded:
            return
        liftable = f"from version {oldest} on" if oldest < self._version else f"under version {oldest} alone"
        raise AppError(
            f"the app {self._app_name!r} has upgrades from version {_and(stranded)}, but none from version "
            f"{oldest - 1}: only changes made {liftable} could be read",
            hint=f"Add @app.upgrade(from_version={oldest - 1}), or take out those below it.",
        )

    def lift(self, change: Change) -> Change:
        """`change` as it reads under the app's version.

        Raises `Veto` if it has no meaning there, and `UpgradeFailed` if a function fails, or no upgrades lead there.
        """
        if change.schema == self._version or not concerns(change):
            return change
        if not self.oldest <= change.schema <= self._version:
            raise UpgradeFailed(f"no upgrades lead from version {change.schema} to version {self._version}")
        intent = Intent(change.type, change.op.value, change.fields, change.was, change.id, change.scope)
        for version in range(change.schema, self._version):
            # Told apart by the name it had in that version, whatever a function calls it in the next.
            named = intent.type
            for step in self._steps[version]:
                if step.type in (None, named):
                    intent = _run(step.function, version, intent)
        return self._lifted(change, intent)

    def _lifted(self, change: Change, intent: Intent) -> Change:
        try:
            fields, was = clean_fields(intent.fields), clean_fields(intent.was)
        except Exception as error:
            raise UpgradeFailed(
                f"the upgrade from version {change.schema} makes what cannot be kept: {error}"
            ) from error
        if not valid_type(intent.type) or (change.op is Op.DELETE and fields):
            raise UpgradeFailed(f"the upgrade from version {change.schema} makes a change that cannot be")
        return replace(change, type=intent.type, fields=fields, was=was, schema=self._version)


def _run(function: Upgrade, version: int, intent: Intent) -> Intent:
    name = getattr(function, "__name__", repr(function))
    try:
        lifted = function(intent)
    except Veto:
        raise
    except Exception as error:
        raise UpgradeFailed(f"the upgrade {name!r} from version {version} failed: {error!r}") from error
    if lifted is None:
        raise Veto(f"this {intent.type} has no meaning any more in version {version + 1} of the app", code="obsolete")
    if not isinstance(lifted, Intent):
        raise UpgradeFailed(f"the upgrade {name!r} from version {version} returned {lifted!r}, which is no Intent")
    return lifted


def _and(versions: list[int]) -> str:
    *others, last = map(str, versions)
    return f"{', '.join(others)} and {last}" if others else last
