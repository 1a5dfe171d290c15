"""The app of the histories: a type for each rule, and one that mixes them. Told to syncd, and to the model as a table.

What the model is told is written out by hand, so that a mistake in how an app is read would show.
"""

from __future__ import annotations

from typing import Annotated, Any

from syncd.app import App, Resource, rules

__all__ = ["ASKING", "DOCUMENTS", "FIELDS", "RULES", "SCOPES", "WRITTEN", "app_of", "rule_of"]

DOCUMENTS: dict[str, Any] = {"body": str, "items": list[Any], "board": dict[str, Any]}
"""Fields that are documents, and what each is read as: a text, a list, a map."""


def by_difference(base: Any, mine: Any, theirs: Any) -> Any:
    """An author's own: what was changed is changed again in what is held now; first values weigh by who came first."""
    return 2 * theirs + mine if base is None else theirs + mine - base


BY_DIFFERENCE = rules.own("by_difference")(by_difference)

RULES: dict[str, dict[str, Any]] = {
    "profile": {"rule": "lww"},
    "preference": {"rule": "merge"},
    "message": {"rule": "append"},
    "slot": {"rule": "server_wins"},
    "game": {"rule": "manual"},
    "tally": {"rule": "counter"},
    "peak": {"rule": "max"},
    "floor": {"rule": "min"},
    "labels": {"rule": "set"},
    "stock": {"rule": by_difference},
    "board": {
        "rule": "merge",
        "fields": {
            "likes": "counter",
            "tags": "set",
            "best": "max",
            "least": "min",
            "place": "server_wins",
        },
    },
    "match": {"rule": "merge", "fields": {"score": "manual", "likes": "counter", "tags": "set"}},
    "plan": {"rule": "merge", "deletes": "update_wins"},
    "roster": {"rule": "manual", "deletes": "update_wins"},
    "cart": {"rule": "set", "deletes": "update_wins"},
    "page": {"rule": "merge", "fields": {**dict.fromkeys(DOCUMENTS, "crdt"), "likes": "counter"}},
    "wall": {
        "rule": "merge",
        "fields": {**dict.fromkeys(DOCUMENTS, "crdt"), "likes": "counter"},
        "deletes": "update_wins",
    },
}
"""By type, in the model's words."""

FIELDS: dict[str, tuple[str, ...]] = {
    name: (*declared["fields"], "text") if "fields" in declared else ("x", "y") for name, declared in RULES.items()
}


WRITTEN = ("page", "wall")
"""Types with documents."""

ASKING = {"game", "match", "roster"}
"""Types with a field whose values become a question."""

SCOPES: dict[str, str] = {name: ("north", "south")[place % 2] for place, name in enumerate(RULES)}


def rule_of(type_name: str, field: str) -> Any:
    """The rule of one field, as the model is told it."""
    return RULES[type_name].get("fields", {}).get(field, RULES[type_name]["rule"])


def app_of(names: list[str]) -> App:
    """An app that declares these types; any two apps of it are alike."""
    app = App("histories")
    for name in names:
        declared = RULES[name]
        annotations: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for field in FIELDS[name]:
            rule = declared.get("fields", {}).get(field)
            read_as = DOCUMENTS[field] if rule == "crdt" else Any
            annotations[field] = Any if rule is None else Annotated[read_as, getattr(rules, rule)]
            defaults[field] = None
        model = type(name.title(), (Resource,), {"__annotations__": annotations, "__module__": __name__, **defaults})
        rule = declared["rule"]
        options = {"deletes": declared["deletes"]} if "deletes" in declared else {}
        chosen = BY_DIFFERENCE if callable(rule) else getattr(rules, rule)
        app.resource(scope=SCOPES[name], rule=chosen, **options)(model)
    return app
