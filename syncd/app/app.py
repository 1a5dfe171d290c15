"""App: the declarations of one app. The engine and the SDK read them and call what they name; an App does nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from conflict_rules import Deletes, Rule
from conflict_rules.values import valid_type
from syncd.app import rules
from syncd.app.access import DEFAULT_ROLES, UNSAID, USER_SCOPES, Access, ScopeAccess
from syncd.app.builtin import BUILTIN_MODELS, BUILTIN_TYPES
from syncd.app.declaration import declare_type
from syncd.app.hooks import Hook
from syncd.app.personal import Erasure
from syncd.app.resource import Resource, ResourceType
from syncd.app.upgrades import Upgrade, Upgrades
from syncd.app.views import View, ViewFunction
from syncd.errors import AppError

__all__ = ["App"]

R = TypeVar("R", bound=Resource)
E = TypeVar("E", bound=Erasure)
H = TypeVar("H", bound=Hook)
U = TypeVar("U", bound=Upgrade)
V = TypeVar("V", bound=ViewFunction)


class App:
    """What an app module holds: its resource types, views, hooks and upgrades.

    `version` counts up when the shape of the data changes; a change says under which one it was made, and `upgrades`
    lift it to this one.
    """

    open = False
    """Whether it takes types that nobody declared; see `open_app`."""

    def __init__(self, name: str, version: int = 1) -> None:
        if not valid_type(name):
            raise AppError(
                f"{name!r} is no name for an app: lower-case letters, digits and _, a letter first, at most 64"
            )
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise AppError(f"the version of the app {name!r} is {version!r}; it is a whole number from 1")
        self.name = name
        self.version = version
        self.upgrades = Upgrades(name, version)
        self._types: dict[str, ResourceType] = {}
        self._by_model: dict[type[Resource], ResourceType] = {}
        self._views: dict[str, View] = {}
        self._hooks: dict[str, tuple[Hook, ...]] = {}
        self._erasures: dict[str, Erasure] = {}
        self._scopes: dict[str, ScopeAccess] = {USER_SCOPES.prefix: USER_SCOPES}
        self.types: Mapping[str, ResourceType] = MappingProxyType(self._types)
        self.views: Mapping[str, View] = MappingProxyType(self._views)
        self.erasures: Mapping[str, Erasure] = MappingProxyType(self._erasures)

    def scope(
        self,
        prefix: str,
        *,
        roles: Collection[str] = DEFAULT_ROLES,
        public: str | None = None,
        founders: Collection[str] | None = None,
        manages: str | None = None,
        everywhere: Mapping[str, str] | None = None,
    ) -> None:
        """Declare the roles in scopes that begin with this word, the lowest first; see `ScopeAccess`.

        Stands above the resources that live there. Raises `AppError` for what cannot be.
        """
        if prefix in self._scopes or any(each.template.prefix == prefix for each in self._types.values()):
            raise AppError(
                f"the roles of scopes {prefix!r} are told after they were needed, or told twice",
                hint="Put app.scope(…) once, above the resources that live there; those of 'user' are given.",
            )
        self._scopes[prefix] = ScopeAccess.declared(
            prefix, roles=roles, public=public, founders=founders, manages=manages, everywhere=everywhere
        )

    def scope_access(self, prefix: str) -> ScopeAccess:
        """The roles in scopes that begin with this word."""
        return self._scopes.get(prefix) or ScopeAccess.declared(prefix)

    def resource(
        self,
        *,
        scope: str,
        rule: Rule = rules.merge,
        deletes: Literal["delete_wins", "update_wins"] = "delete_wins",
        access: Access = UNSAID,
    ) -> Callable[[type[R]], type[R]]:
        """Declare a `Resource` subclass as a type, named in snake_case after the class.

        `scope`: the template of the scope it lives in. `deletes`: which stands of a delete and an edit that have not
        seen each other. `access`: who may read and write it, `roles(read="viewer", write="scorer")`. A field may have
        a rule of its own: `likes: Annotated[int, rules.counter] = 0`. Raises `AppError` for what cannot be.
        """

        def declare(model: type[R]) -> type[R]:
            if not (isinstance(model, type) and issubclass(model, Resource)):
                raise AppError(f"{model!r} is declared as a resource but is not a subclass of syncd.app.Resource")
            if not isinstance(rule, Rule):
                raise AppError(
                    f"the rule of {model.__name__} is {rule!r}, which is no rule", hint="Name one, such as rules.merge."
                )
            declared = declare_type(model, scope=scope, rule=rule, deletes=Deletes(deletes), access=access)
            self.scope_access(declared.template.prefix).check(model.__name__, access, declared.private)
            other = self._types.get(declared.name)
            if other is not None:
                raise AppError(
                    f"two classes would both be the type {declared.name!r} of the app {self.name!r}",
                    hint=f"Rename one of them: {model.__qualname__} comes second.",
                )
            self._types[declared.name] = declared
            self._by_model[model] = declared
            return model

        return declare

    def view(self, *, scope: str) -> Callable[[V], V]:
        """Declare a view, named after the function; `scope` is the first word of the scopes it is for.

        The resources it reads are declared above it. Raises `AppError` for what cannot be.
        """

        def declare(function: V) -> V:
            name = function.__name__
            _check_function(function, "view", ("resources",), is_async=False)
            if name in self._views:
                raise AppError(f"there are two views {name!r} in the app {self.name!r}; rename one of them")
            prefixes = sorted({declared.template.prefix for declared in self._types.values()})
            if scope not in prefixes:
                raise AppError(
                    f"the view {name!r} is for scopes {scope!r}, but no resource declared above it lives in one",
                    hint=f"The scopes declared so far begin with: {', '.join(prefixes) or 'none'}.",
                )
            self._views[name] = View(name, scope, function)
            return function

        return declare

    def on_change(self, model: type[Resource]) -> Callable[[H], H]:
        """Declare a hook: called for each change to a resource of that type that takes effect, before the commit."""

        def declare(hook: H) -> H:
            _check_function(hook, "hook", ("tx", "change"), is_async=True)
            name = self.type_of(model).name
            self._hooks[name] = (*self._hooks.get(name, ()), hook)
            return hook

        return declare

    def on_erase(self, model: type[Resource]) -> Callable[[E], E]:
        """Declare what is left of each resource of that type when a person is erased: `forget(resource, user)`.

        One that was deleted before, and has or had his id in it, is asked about as it was when it last lived. See
        `Erasure` for what it returns. For what no field says by `personal()`. Raises `AppError` for what cannot be.
        """

        def declare(function: E) -> E:
            _check_function(function, "erasure", ("resource", "user"), is_async=False)
            name = self.type_of(model).name
            if name in self._erasures or name not in self._types:
                raise AppError(
                    f"there cannot be an erasure of the type {name!r}, or not another one",
                    hint="Write one function for each type of the app; built-in types are seen to by the server.",
                )
            self._erasures[name] = function
            return function

        return declare

    def upgrade(self, *, from_version: int, type: str | type[Resource] | None = None) -> Callable[[U], U]:
        """Declare a function that lifts a change from that version of the app to the next: `Intent` to `Intent`.

        `type`: of which type, by the name it had in that version, or by its class; of every type if left out. Pure: it
        runs on the server and on devices, for each change, and more than once. Raises `AppError` for what cannot be.
        """

        def declare(function: U) -> U:
            _check_function(function, "upgrade", ("change",), is_async=False)
            name = type if type is None or isinstance(type, str) else self.type_of(type).name
            self.upgrades.add(from_version, name, function)
            return function

        return declare

    def type_of(self, model: type[Resource]) -> ResourceType:
        """The type that a model was declared as; raises `AppError` if it was not."""
        try:
            return self._by_model.get(model) or BUILTIN_MODELS[model]
        except KeyError:
            raise AppError(
                f"{getattr(model, '__name__', model)!s} is not a resource of the app {self.name!r}",
                hint="Put @app.resource(scope=...) above the class.",
            ) from None

    def view_for(self, name: str, scope: str) -> View | None:
        """The view of that name, if there is one and it is for scopes like this."""
        view = self._views.get(name)
        return view if view is not None and view.covers(scope) else None

    def hooks(self, type_name: str) -> Sequence[Hook]:
        """The hooks on a type, in the order in which they were declared."""
        return self._hooks.get(type_name, ())

    def type(self, name: str) -> ResourceType | None:
        """The type of that name, built-in ones among them; None if the app has none."""
        return self._types.get(name) or BUILTIN_TYPES.get(name)


def _check_function(function: Callable[..., Any], what: str, parameters: tuple[str, ...], *, is_async: bool) -> None:
    name = getattr(function, "__name__", repr(function))
    if inspect.iscoroutinefunction(function) is not is_async:
        form = "async def" if is_async else f"def, not async: {'an' if what[0] in 'aeiou' else 'a'} {what} is pure"
        raise AppError(f"the {what} {name!r} must be written with {form}")
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError:
        raise AppError(
            f"the {what} {name!r} is called with ({', '.join(parameters)}), and does not take that"
        ) from None
