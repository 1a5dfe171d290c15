"""A client that is not the SDK: it speaks the wire's words itself, and makes what the SDK would not.

Restores, settlements and questions opened again; and bases nobody was shown, numbers left out or used twice, edits of
what never was, settlements of what nobody asked. Each is answered as the reference model has it.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from client_sdk.errors import Unreachable
from tests.reference.stamps import stamp
from tests.reference.types import FIELDS, SCOPES, rule_of

if TYPE_CHECKING:
    from tests.reference.histories import Play

__all__ = ["Stranger"]


class Stranger:
    """Has no copy, only what it saw when it last looked."""

    def __init__(self, play: Play, name: str) -> None:
        self.play = play
        self.name = name
        self.dice: random.Random = play.dice
        self.n = 0
        self.ahead_ms = self.dice.choice([0, 0, -20_000, 20_000, -86_400_000, 86_400_000])
        self.states: dict[tuple[str, str], dict[str, Any]] = {}
        self.unanswered: list[dict[str, Any]] = []

    async def act(self) -> None:
        """Look, perhaps; make something; send it, with whatever had no answer."""
        dice = self.dice
        if dice.random() < 0.6:
            self.states = await self.play.look()
        group = f"g{self.n}" if dice.random() < 0.15 else None
        for _ in range(dice.randint(2, 3) if group else dice.choice([1, 1, 2])):
            self.unanswered.append(self.number(self.make(), group))
        batch = list(self.unanswered)
        if dice.random() < 0.05 and "group" not in (left := dice.choice(batch)):
            batch.remove(left)  # a gap
        if dice.random() < 0.05 and self.n > len(self.unanswered):
            other = {**self.unanswered[0], "n": dice.randint(1, self.n - len(self.unanswered))}
            other.pop("group", None)
            batch.insert(0, other)  # id_reuse
        if not batch or torn(batch):
            return
        body = json.dumps({"replica": self.name, "schema": 1, "changes": batch}).encode()
        try:
            settled = json.loads(await self.play.network.push(body))["settled"]
        except Unreachable:
            return
        self.unanswered = [change for change in self.unanswered if change["n"] > settled]

    async def finish(self) -> None:
        """Everything it made is settled."""
        if self.unanswered:
            body = json.dumps({"replica": self.name, "schema": 1, "changes": self.unanswered}).encode()
            assert json.loads(await self.play.network.push(body))["settled"] == self.n
            self.unanswered = []

    def number(self, change: dict[str, Any], group: str | None) -> dict[str, Any]:
        self.n += 1
        at = stamp(self.play.clock() + self.ahead_ms, self.n, self.name)
        return change | {"n": self.n, "stamp": at} | ({"group": group} if group else {})

    def make(self) -> dict[str, Any]:
        asked = [key for key in self.states if key[0] == "conflict"]
        if asked and self.dice.random() < 0.5:
            return self.about_a_question(*self.dice.choice(asked))
        return self.edit()

    def edit(self) -> dict[str, Any]:
        dice, resource = self.dice, self.dice.choice(self.play.ids)
        kind = resource.partition("-")[0]
        held = self.states.get((kind, resource), {})
        dead, here = bool(held.get("deleted")), bool(held)
        op = dice.choices(["create", "update", "delete", "restore"], [1 + 4 * (not here), 6, 1, 1 + 6 * dead])[0]
        change = {
            "type": kind,
            "id": resource,
            "scope": SCOPES[kind],
            "op": op,
            "base": dice.choice([held.get("version", 0)] * 6 + [0, 0, 9_999]),
        }
        if op == "delete":
            return change
        names = dice.sample(FIELDS[kind], dice.randint(1, 2))
        value = self.play.first_value if op in ("create", "restore") else self.play.next_value
        change["fields"] = {name: value(kind, name) for name in names}
        if op == "restore" and dice.random() < 0.2:
            change["fields"] = {}
        shown = held.get("fields", {})
        asking = [name for name in names if callable(rule_of(kind, name)) or rule_of(kind, name) == "manual"]
        was = {name: shown[name] for name in asking if name in shown and dice.random() < 0.8}
        return change | ({"was": was} if was and op == "update" else {})

    def about_a_question(self, _: str, name: str) -> dict[str, Any]:
        dice, question = self.dice, self.states["conflict", name]
        about, field = question["fields"]["about"], question["fields"]["field"]
        scope = SCOPES[about["type"]]
        what = dice.choices(["settle", "reopen", "meddle"], [8, 3, 1])[0]
        if what == "reopen":
            return {
                "type": "conflict",
                "id": name,
                "scope": scope,
                "op": "settle",
                "base": question["version"],
                "fields": {"status": "open"},
                "conflict": name,
            }
        if what == "meddle":  # law 7
            fields = {"status": "settled"}
            return {"type": "conflict", "id": name, "scope": scope, "op": "update", "base": 0, "fields": fields}
        if dice.random() < 0.05:
            field = dice.choice(FIELDS[about["type"]])
        held = self.states.get((about["type"], about["id"]), {})
        candidates = [each["value"] for each in question["fields"]["candidates"]]
        return {
            **about,
            "scope": scope,
            "op": "settle",
            "base": dice.choice([held.get("version", 0)] * 3 + [0]),
            "fields": {field: dice.choice([*candidates, 7])},
            "conflict": name if dice.random() < 0.95 else "c-nobody-asked",
        }


def torn(batch: list[dict[str, Any]]) -> bool:
    """Whether a group does not stand in one piece: what becomes of that is told elsewhere, and not compared."""
    numbers = [change["n"] for change in batch]
    return numbers != list(range(numbers[0], numbers[0] + len(numbers))) and any("group" in change for change in batch)
