"""The server said a second time, in dictionaries, one change after the other: written from DESIGN.md's laws alone.

It imports nothing of the product (a test reads its imports), so that both must be wrong in the same way for a fault to
hide. It knows no validation of an author's, no stores, no clocks: time is an argument.

A type is a dict: `rule` (the rule of its fields), `fields` (those that have another one), `deletes`. A rule is a name,
or an author's function (base, mine, theirs).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from typing import Any

from tests.reference.field_rules import Answer, Offer, offer, on_top, readable, same, seen
from tests.reference.questions import (
    asked_anew,
    entry_of,
    opened,
    question_id,
    reopened,
    settled,
    widened,
    with_runner_up,
)
from tests.reference.stamps import earlier, effective

__all__ = ["Reference"]

Held = dict[str, Any]
Outcome = dict[str, Any]
Key = tuple[str, str]
RANK = ("rejected", "overruled", "conflict")
"""What brings a whole group down, the worst first."""


class Refused(Exception):
    """The change is rejected with this code, whatever else it says."""


class Reference:
    """Everything that the server remembers. `content()` is what replicas must agree on.

    `met_unseen`: changes that met something they had not seen. `overwrote`: what each took for seen by its base, as
    field and stamp. `vetoes`: what a hook of the author's says of a change, by replica, that has an effect.
    """

    def __init__(
        self,
        types: dict[str, dict[str, Any]],
        max_drift_ms: int = 60_000,
        vetoes: Callable[[str, dict[str, Any]], bool] = lambda replica, change: False,
    ) -> None:
        self.types = types
        self.vetoes = vetoes
        self.max_drift_ms = max_drift_ms
        self.heads: dict[str, int] = {}
        self.resources: dict[Key, Held] = {}
        self.settled: dict[str, int] = {}
        self.stamps: dict[str, str] = {}
        self.ledger: dict[tuple[str, int], tuple[str, Outcome]] = {}
        self.met_unseen: set[tuple[str, int]] = set()
        self.overwrote: dict[tuple[str, int], list[tuple[str, str]]] = {}

    # Numbers and groups

    def push(self, replica: str, changes: list[dict[str, Any]], now_ms: int) -> list[Outcome]:
        """Settle a push that arrives at `now_ms`; an outcome for each change."""
        outcomes: list[Outcome] = []
        for group, neighbours in groupby(changes, key=lambda change: change.get("group")):
            members = list(neighbours)
            for unit in [members] if group is not None else [[member] for member in members]:
                outcomes += self.unit(replica, unit, now_ms)
        return outcomes

    def unit(self, replica: str, unit: list[dict[str, Any]], now_ms: int) -> list[Outcome]:
        expected = self.settled.get(replica, 0) + 1
        if max(change["n"] for change in unit) >= expected + len(unit):  # law 3: a gap
            return [
                self.old(replica, change)
                if change["n"] < expected
                else {"n": change["n"], "outcome": "retry_later", "code": "out_of_order", "expected": expected}
                for change in unit
            ]
        if unit[0]["n"] < expected:  # law 3: settled before
            return [self.old(replica, change) for change in unit]
        return self.settle_unit(replica, unit, now_ms)

    def old(self, replica: str, change: dict[str, Any]) -> Outcome:
        content, outcome = self.ledger[replica, change["n"]]
        if content == content_of(change):  # law 3: a repeat is told what it was told
            return {**outcome, "repeat": True}
        return {"n": change["n"], "outcome": "rejected", "code": "id_reuse"}  # counterexample 7

    def settle_unit(self, replica: str, unit: list[dict[str, Any]], now_ms: int) -> list[Outcome]:
        before = (dict(self.resources), dict(self.heads))
        results = []
        for change in unit:
            kept = (dict(self.resources), dict(self.heads))
            results.append(self.change(replica, change, now_ms, [each["n"] for each in unit]))
            if results[-1][0]["outcome"] in ("rejected", "overruled") and not results[-1][1].get("kept"):
                self.resources, self.heads = kept
        outcomes = [outcome for outcome, _ in results]
        culprit = next((o for kind in RANK for o in outcomes if o["outcome"] == kind), None) if len(unit) > 1 else None
        if culprit is not None:  # groups: applied, rejected or conflicted as a whole
            self.resources, self.heads = before
            kind = culprit["outcome"]
            about = next((change["type"], change["id"]) for change in unit if change["n"] == culprit["n"])
            there = self.resources.get(about, {"version": 0})  # it may have met what its group made, and is no more
            outcomes = [
                {**outcome, "version": min(outcome.get("version", 0), there["version"])}
                if outcome is culprit
                else outcome
                if outcome.get("code") == "built_in_type"  # what nobody may is told him, whatever became of the rest
                else {"n": outcome["n"], "outcome": kind, "version": 0, "code": f"group_{kind}"}
                for outcome in outcomes
            ]
            if kind == "conflict":  # nothing of it is applied; what it failed over is asked, and names the whole group
                change, asked = next(
                    (change, made) for change, (o, made) in zip(unit, results, strict=True) if o is culprit
                )
                if about in self.resources:
                    held = {**self.resources[about], "deleted": None}  # update_wins: what is asked about is there
                    again = held["disputes"] if self.resources[about]["deleted"] else ()
                    news = dict.fromkeys(again, "again") | dict.fromkeys(asked["asks"], "asked")
                    version = self.write(change, asked, held, news, [each["n"] for each in unit])
                    outcomes = [o | {"version": version} if o["n"] == change["n"] else o for o in outcomes]
        for change, outcome in zip(unit, outcomes, strict=True):
            self.settled[replica] = change["n"]
            self.ledger[replica, change["n"]] = (content_of(change), outcome)
        return outcomes

    # One change

    def change(
        self, replica: str, change: dict[str, Any], now_ms: int, group: list[int]
    ) -> tuple[Outcome, dict[str, Any]]:
        """What becomes of it, and the offer that was made of it."""
        n, scope, key = change["n"], change["scope"], (change["type"], change["id"])
        held = self.resources.get(key)
        if change["type"] == "conflict" and change["op"] != "settle":  # law 7
            return {"n": n, "outcome": "rejected", "code": "built_in_type"}, {}
        if held is not None and held["scope"] != scope:
            return {"n": n, "outcome": "rejected", "code": "scope_is_for_life"}, {}
        for name, value in change.get("fields", {}).items():
            if change["type"] in self.types and self.rule(change, name) == "crdt" and not readable(value):  # law 12
                return {"n": n, "outcome": "rejected", "code": "invalid_document_update"}, {}
        stamp = effective(change["stamp"], self.stamps.get(replica), now_ms, self.max_drift_ms)  # law 2: once
        self.stamps[replica] = stamp
        head = self.heads.get(scope, 0)
        made: Offer = {
            "replica": replica,
            "n": n,
            "op": change["op"],
            "stamp": stamp,
            # Law 10: a version that was never reached was shown by another past.
            "base": change["base"] if change["base"] <= head else 0,
            "was": None,
            "wases": change.get("was", {}),
            "group": group if len(group) > 1 else None,
        }
        if held is not None and not self.all_seen(held, made):
            self.met_unseen.add((replica, n))  # a truly concurrent change
        try:
            outcome = self.dispatch(change, made, held)
        except Refused as refused:
            return {"n": n, "outcome": "rejected", "code": refused.args[0]}, made
        if outcome["outcome"] in ("applied", "merged") and self.vetoes(replica, change):
            return {"n": n, "outcome": "rejected", "code": "vetoed"}, made
        return {"n": n, **outcome}, made

    def all_seen(self, held: Held, made: Offer) -> bool:
        if held["version"] <= made["base"]:
            return True
        marks = [(field["version"], field["stamp"]) for field in held["fields"].values()]
        if held["deleted"] is not None:
            marks = [held["deleted"]]
        return all(saw(mark, made) for mark in marks)

    def dispatch(self, change: dict[str, Any], made: Offer, held: Held | None) -> Outcome:
        if change["type"] == "conflict":
            return self.settle_question(change, made, held)
        op, fields = change["op"], change.get("fields", {})
        if held is None:
            if op == "delete":  # nothing to delete
                return {"outcome": "applied", "version": 0}
            if op == "create" or (op == "restore" and fields):
                return self.put_fields(change, made, nothing(change), "applied")
            raise Refused("unknown_resource")  # law 9: never a resurrection
        if held["deleted"] is not None:
            return self.to_the_dead(change, made, held)
        if self.deletes(change) == "delete_wins" and not saw(held["floor"], made):
            # Restored over its delete, which this one has not seen: order must not decide.
            if op == "delete":
                return {"outcome": "applied", "version": held["version"]}
            return {"outcome": "overruled", "version": held["version"], "code": "deleted"}
        if op == "delete":
            return self.delete(change, made, held)
        if op == "settle":
            return self.settle_field(change, made, held)
        return self.put_fields(change, made, held, self.kind(change, made, held))

    def kind(self, change: dict[str, Any], made: Offer, held: Held) -> str:
        if self.all_seen(held, made):
            return "applied"
        if self.types[change["type"]]["rule"] == "append" and change["op"] == "create":
            told = change.get("fields", {})
            if all(name in held["fields"] and same(held["fields"][name]["value"], told[name]) for name in told):
                return "applied"  # the same fact, told by two
        return "merged"

    def deletes(self, change: dict[str, Any]) -> str:
        return str(self.types[change["type"]].get("deletes", "delete_wins"))

    def delete(self, change: dict[str, Any], made: Offer, held: Held) -> Outcome:
        all_seen = self.all_seen(held, made)
        if self.deletes(change) == "update_wins" and not all_seen:
            return {"outcome": "overruled", "version": held["version"], "code": "updated_meanwhile"}
        version = self.next_version(held["scope"])
        kept = held["fields"] if self.deletes(change) == "update_wins" else {}
        disputes = held["disputes"] if self.deletes(change) == "update_wins" else {}
        asked = held["asked"] if self.deletes(change) == "update_wins" else {}
        gone = {
            **held,
            "fields": kept,
            "disputes": disputes,
            "asked": asked,
            "deleted": (version, made["stamp"]),
            "floor": None,
        }
        self.put({**gone, "by": (made["replica"], made["n"])}, version)
        for name in sorted(held["disputes"]):  # there is nothing left to choose for
            self.tell(change, made, held, name, "deleted", [])
        return {"outcome": "applied" if all_seen else "merged", "version": version}

    def to_the_dead(self, change: dict[str, Any], made: Offer, held: Held) -> Outcome:
        op = change["op"]
        if op == "delete":  # gone already
            return {"outcome": "applied", "version": held["version"]}
        knew = saw(held["deleted"], made)
        back = {**held, "deleted": None}
        if op == "restore" and knew:  # explicit restore, of what it saw deleted
            if not held["fields"] and not change.get("fields"):
                raise Refused("nothing_kept")
            back["floor"] = held["deleted"]
            return self.put_fields(change, made, back, "applied", back=True)
        if self.deletes(change) == "update_wins" and not knew and op != "settle":  # the update wins
            return self.put_fields(change, made, back, "merged", back=True)
        if knew:
            raise Refused("deleted")
        return {"outcome": "overruled", "version": held["version"], "code": "deleted"}  # the delete wins

    def put_fields(self, change: dict[str, Any], made: Offer, held: Held, kind: str, *, back: bool = False) -> Outcome:
        """Offer each field to its rule. `back`: the resource comes to life by this, whatever its fields do."""
        version = self.heads.get(held["scope"], 0) + 1
        sent = change.get("fields", {})
        fields, taken, lost, codes = dict(held["fields"]), back or not held["version"], [], []
        news: dict[str, str] = {}
        for name in sent:
            answer = self.offer(change, made, held, name, version)
            if answer[0] == "refused":
                raise Refused(answer[1])
            if answer[0] == "takes":
                fields[name], taken = answer[1], True
                if name in held["disputes"]:
                    news[name] = "answered" if knew_of(held, name, made) else "accepted"
            if answer[0] == "asks":
                news[name] = "asked"
            if answer[0] == "lost":
                lost.append(name)
                codes.append(answer[1])
        if sent and len(lost) == len(sent) and not back:
            return {"outcome": "overruled", "version": held["version"], "code": codes[0] if alike(codes) else None}
        if back and kind == "merged" and not news and fields == held["fields"]:
            # Before the delete it would have changed nothing for the delete to miss: order must not decide.
            return {"outcome": "overruled", "version": held["version"], "code": "deleted"}
        if back:  # what it was asked before its delete is asked again
            news = dict.fromkeys(held["disputes"], "again") | news
        made["asks"] = [name for name, what in news.items() if what == "asked"]
        if taken or made["asks"]:
            self.write(change, made, {**held, "fields": fields}, news, made["group"] or [])
        outcome = {"outcome": kind, "version": version if taken else held["version"]}
        if made["asks"]:
            outcome = {"outcome": "conflict", "version": version}
        lost = sorted([*lost, *made["asks"]])
        return outcome | ({"lost": lost} if lost else {})

    def offer(self, change: dict[str, Any], made: Offer, held: Held, name: str, version: int) -> Answer:
        rule = self.rule(change, name)
        made["was"] = made["wases"].get(name)
        value, field = change["fields"][name], held["fields"].get(name)
        if name in held["disputes"] and same(field["value"], value) and seen(field["version"], field["stamp"], made):
            return ("nothing",)  # law 8: to write back the accepted value chooses nothing
        if field is not None and field["version"] <= made["base"]:  # for whoever knows what the person was shown
            self.overwrote.setdefault((made["replica"], made["n"]), []).append((name, field["stamp"]))
        return offer(rule, field, value, made, version)

    def rule(self, change: dict[str, Any], name: str) -> Any:
        declared = self.types[change["type"]]
        return declared.get("fields", {}).get(name, declared["rule"])

    def write(self, change: dict[str, Any], made: Offer, held: Held, news: dict[str, str], group: list[int]) -> int:
        """Put the resource at the next version of its scope, and tell the questions about it; returns that version."""
        version = self.next_version(held["scope"])
        disputes = dict(held["disputes"])
        for name, what in news.items():
            if what == "asked":
                asked = question_id(held["type"], held["id"], name)
                disputes[name] = {"conflict": asked, "version": version}
                held = {**held, "asked": held["asked"] | {name: asked}}
            if what == "answered":
                del disputes[name]
        self.put({**held, "disputes": disputes, "by": (made["replica"], made["n"])}, version)
        for name in sorted(news):
            made["was"] = made["wases"].get(name)
            self.tell(change, made, held, name, news[name], group)
        return version

    # Conflicts

    def tell(self, change: dict[str, Any], made: Offer, held: Held, name: str, what: str, group: list[int]) -> None:
        """What happened to a field in dispute, told to its question."""
        asked = question_id(held["type"], held["id"], name)
        old = self.resources.get(("conflict", asked))
        value = held["fields"][name]["value"]
        if what == "asked":
            offered = change["fields"][name]
            question = opened(held, name, made, offered, group)
            if old is not None and name in held["disputes"]:
                question = {**widened(reopened(old["question"]), made, offered, group), "accepted": value}
            elif old is not None:
                question = asked_anew(old["question"], question)
        else:
            assert old is not None
            question = old["question"]
        if what == "answered":
            question = settled(question, entry_of(made, value, None), accepted=value)
        if what == "deleted":
            question = settled(question, entry_of(made, None, None), accepted=question["accepted"])
        if what == "again":
            question = reopened(question)
        if what == "accepted":  # an edit by somebody who knows the value and not the question
            question = {**reopened(question), "accepted": value}
        self.put_question(held["scope"], asked, question, made)

    def settle_field(self, change: dict[str, Any], made: Offer, held: Held) -> Outcome:
        """A settlement on the resource: names its conflict, and the value that is to hold (law 8)."""
        if len(change.get("fields", {})) != 1:
            raise Refused("no_such_conflict")
        ((name, value),) = change["fields"].items()
        if change.get("conflict") is None or held["asked"].get(name) != change["conflict"]:
            raise Refused("no_such_conflict")
        asked = self.resources["conflict", change["conflict"]]
        question = asked["question"]
        field = held["fields"][name]
        entry = entry_of(made, value, None)
        unseen = not seen(field["version"], field["stamp"], made)
        if question["status"] == "settled" and unseen and not earlier(field["stamp"], made["stamp"]):
            if same(field["value"], value):
                return {"outcome": "merged", "version": held["version"]}
            self.put_question(held["scope"], asked["id"], with_runner_up(question, entry), made)
            made["kept"] = True  # of two settlements the later one stands, and both are told
            return {"outcome": "overruled", "version": held["version"], "code": "settled_otherwise"}
        kind = "applied" if self.all_seen(held, made) else "merged"
        version = self.next_version(held["scope"])
        disputes = {each: dispute for each, dispute in held["disputes"].items() if each != name}
        fields = held["fields"] | {name: on_top(field, value, made, version)}
        self.put({**held, "fields": fields, "disputes": disputes, "by": (made["replica"], made["n"])}, version)
        self.put_question(held["scope"], asked["id"], settled(question, entry, accepted=value), made)
        return {"outcome": kind, "version": version}

    def settle_question(self, change: dict[str, Any], made: Offer, held: Held | None) -> Outcome:
        """A settlement on the conflict itself: a choice for a hook's question, or the question is opened again."""
        if held is None:
            raise Refused("no_such_conflict")
        question, fields = held["question"], change.get("fields", {})
        kind = "applied" if held["version"] <= made["base"] else "merged"
        if fields == {"status": "open"}:
            if question["status"] == "open":
                return {"outcome": kind, "version": held["version"], "unspecified": True}
            about = self.resources.get((question["about"]["type"], question["about"]["id"]))
            if about is None or about["deleted"] is not None:
                raise Refused("deleted")
            name = question["field"]
            if name is not None and name not in about["fields"]:
                raise Refused("no_such_conflict")  # it was of another life of the resource
            again = reopened(question)
            if name is not None:
                again["accepted"] = about["fields"][name]["value"]  # what stands meanwhile
            version = self.put_question(held["scope"], held["id"], again, made)
            if name is not None:
                at = self.next_version(about["scope"])
                dispute = {"conflict": held["id"], "version": at}
                was_asked = about["asked"] | {name: held["id"]}
                by = (made["replica"], made["n"])
                disputes = about["disputes"] | {name: dispute}
                self.put({**about, "disputes": disputes, "asked": was_asked, "by": by}, at)
            return {"outcome": kind, "version": version, "unspecified": True}
        if set(fields) != {"choice"} or question["field"] is not None:
            raise Refused("no_such_conflict")
        last, entry = question["settlement"], entry_of(made, fields["choice"], fields["choice"])
        if last is not None and not seen(held["settled_at"], last["stamp"], made):
            if same(last["value"], entry["value"]):
                return {"outcome": kind, "version": held["version"]}
            if not earlier(last["stamp"], entry["stamp"]):
                self.put_question(held["scope"], held["id"], with_runner_up(question, entry), made)
                made["kept"] = True
                return {"outcome": "overruled", "version": held["version"], "code": "settled_otherwise"}
        chosen = settled(question, entry, accepted=question["accepted"])
        version = self.put_question(held["scope"], held["id"], chosen, made, settles=True)
        return {"outcome": kind, "version": version}

    def put_question(self, scope: str, id: str, question: dict[str, Any], made: Offer, *, settles: bool = False) -> int:
        old = self.resources.get(("conflict", id), {})
        version = self.next_version(scope)
        by = (made["replica"], made["n"])
        held = {**nothing({"scope": scope, "type": "conflict", "id": id}), "question": question, "by": by}
        self.put({**held, "settled_at": version if settles else old.get("settled_at", 0)}, version)
        return version

    # Versions and content

    def next_version(self, scope: str) -> int:
        self.heads[scope] = self.heads.get(scope, 0) + 1
        return self.heads[scope]

    def put(self, held: Held, version: int) -> None:
        self.resources[held["type"], held["id"]] = {**held, "version": version}

    def content(self) -> dict[Key, dict[str, Any]]:
        """What every replica that has caught up must hold."""
        return {key: shown(held) for key, held in self.resources.items()}


def nothing(change: dict[str, Any]) -> Held:
    """A resource that is not there yet."""
    return {
        "scope": change["scope"],
        "type": change["type"],
        "id": change["id"],
        "version": 0,
        "fields": {},
        "disputes": {},
        "asked": {},
        "deleted": None,
        "floor": None,
        "by": None,
    }


def shown(held: Held) -> dict[str, Any]:
    """A resource as it is compared: what it holds, and the marks and dots by which later changes will be judged."""
    made = {"version": held["version"], "origin": held["by"]}
    if held["deleted"] is not None:
        return made | {"deleted": held["deleted"]}
    if "question" in held:
        return made | {"question": held["question"]}
    return made | {
        "fields": {name: field["value"] for name, field in held["fields"].items()},
        "marks": {name: (field["version"], field["stamp"]) for name, field in held["fields"].items()},
        "dots": {name: field["dots"] for name, field in held["fields"].items() if field.get("dots")},
        "disputes": {name: dispute["conflict"] for name, dispute in held["disputes"].items()},
    }


def knew_of(held: Held, name: str, made: Offer) -> bool:
    """Law 8: whether a change has seen the value of a field, and that it is in dispute."""
    field = held["fields"][name]
    return seen(field["version"], field["stamp"], made) and bool(held["disputes"][name]["version"] <= made["base"])


def saw(mark: tuple[int, str] | None, made: Offer) -> bool:
    return mark is None or seen(mark[0], mark[1], made)


def alike(codes: list[Any]) -> bool:
    return len(set(codes)) == 1


def content_of(change: dict[str, Any]) -> str:
    return json.dumps(change, sort_keys=True)
