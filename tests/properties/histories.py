"""Random histories of one resource: what several replicas did to it, told apart from how it reached the server.

A history is a list of epochs. An epoch is a stretch in which changes arrive; its end is a moment at which replicas may
be shown the state. A change names the epoch it was made on, not a version, since versions differ from one order of
arrival to another. So two deliveries of one history differ in the order inside each epoch, where nobody has seen
anything in between, and keep each replica's own order: exactly the changes that are concurrent change places.

Each field is offered what its rule takes: values, increments, edits of a set, settlements where it is in dispute.

Clocks are real `Clock`s, up to 25 s off either way: within the drift bound, where order independence is promised
(law 2). `wild` histories have clocks that are hours off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from conflict_rules import (
    Change,
    Clock,
    ClockDrift,
    JsonValue,
    Merged,
    Op,
    Rule,
    Stamp,
    State,
    apply_change,
    dispute_of,
    effective_stamp,
)
from conflict_rules.own import Own
from conflict_rules.values import canonical_json

__all__ = [
    "Content",
    "Delivery",
    "History",
    "Made",
    "Server",
    "Step",
    "by_stamps",
    "content",
    "deliver",
    "deliveries",
    "histories",
    "in_order",
    "offers",
]

REPLICAS = ("a", "b", "c")
FIELDS = ("x", "y", "z")
START_MS = 1_764_000_000_000
LATER_MS = START_MS + 86_400_000
"""When the server hears of it all: within the drift bound nothing depends on this."""


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """A change as its replica made it. `shown`: the epoch whose end the person was shown, 0 for nothing."""

    change: Change
    shown: int

    def __repr__(self) -> str:
        change, stamp = self.change, self.change.stamp
        at = f"{stamp.wall_ms - START_MS}.{stamp.count}"
        return f"<{change.replica}{change.n} at {at} on epoch {self.shown}: {change.op} {dict(change.fields)}>"


@dataclass(frozen=True, slots=True)
class History:
    """What was made, by the epoch in which it arrives; inside an epoch in one possible order."""

    epochs: tuple[tuple[Made, ...], ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One way in which a history reaches the server: per epoch the batches, each committed as one version."""

    epochs: tuple[tuple[tuple[Made, ...], ...], ...]


Content = None | str | dict[str, tuple[bytes, Stamp | None]]
"""Canonical content: None, "deleted", or the value of each field as canonical JSON, with its effective stamp where the
later one stands. Versions are not content."""


def content(state: State | None, rule: Rule, promise: str = "") -> Content:
    """What every replica that has caught up must agree on; of fields that declare `promise`, if one is named."""
    if state is None:
        return None
    if state.deleted is not None:
        return "deleted"
    return {
        name: (canonical_json(value), state.marks[name].stamp if by_stamps(rule, name) else None)
        for name, value in state.fields.items()
        if not promise or getattr(rule.field_rule(name).algebra, promise)
    }


def by_stamps(rule: Rule, name: str) -> bool:
    """Whether stamps decide in this field, so that later changes are compared with its stamp."""
    field_rule = rule.field_rule(name)
    return field_rule.replaced_in_sight and not field_rule.algebra.arbitrated


@dataclass(frozen=True, slots=True)
class Step:
    """One change as the server met it."""

    before: State | None
    change: Change
    merged: Merged


@dataclass(slots=True)
class Server:
    """What the engine does with one resource, without the engine: effective stamps, versions, the rule."""

    rule: Rule
    now_ms: int = LATER_MS
    head: int = 0
    state: State | None = None
    heads: list[int] = field(default_factory=lambda: [0])
    last: dict[str, Stamp] = field(default_factory=dict)
    fixed: dict[tuple[str, int], Stamp] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def take(self, batch: Sequence[Made]) -> None:
        """Commit a batch: its changes share the next version."""
        before = self.state
        for made in batch:
            self.apply(made)
        if self.state is not before:
            self.head += 1

    def apply(self, made: Made) -> None:
        change = made.change
        key = (change.replica, change.n)
        if key not in self.fixed:  # once, at first acceptance
            after = self.last.get(change.replica)
            self.fixed[key] = effective_stamp(change.stamp, now_ms=self.now_ms, after=after)
            self.last[change.replica] = self.fixed[key]
        change = replace(change, stamp=self.fixed[key], base=self.heads[made.shown])
        before = self.state
        merged = apply_change(self.rule, before, change, self.head + 1)
        self.state = merged.state
        self.steps.append(Step(before, change, merged))

    def end_epoch(self) -> None:
        """Let the state be shown."""
        self.heads.append(self.head)

    def play(self, delivery: Delivery) -> Iterator[State | None]:
        """Take everything in; the state at the end of each epoch."""
        for epoch in delivery.epochs:
            for batch in epoch:
                self.take(batch)
            self.end_epoch()
            yield self.state


def deliver(rule: Rule, delivery: Delivery, promise: str = "", *, now_ms: int = LATER_MS) -> list[Content]:
    """The content at the end of each epoch, if the history arrives in this way at this hour."""
    server = Server(rule, now_ms)
    return [content(state, rule, promise) for state in server.play(delivery)]


def in_order(history: History) -> Delivery:
    """The history change by change, in the order in which it is written down."""
    return Delivery(tuple(tuple((made,) for made in epoch) for epoch in history.epochs))


@st.composite
def deliveries(draw: st.DrawFn, history: History, *, repeats: bool = False) -> Delivery:
    """Any order that keeps each replica's own, any division into batches, and, if asked, any number of repeats.

    A repeat follows its change at once: what comes back later is recognised by its number (law 3), before any rule.
    """
    epochs: list[tuple[tuple[Made, ...], ...]] = []
    for epoch in history.epochs:
        shuffled = list(_own_order_kept(draw(st.permutations(epoch)), epoch))
        if repeats:
            shuffled = [made for made in shuffled for _ in range(draw(st.integers(1, 3)))]
        batches: list[list[Made]] = []
        for made in shuffled:
            if not batches or draw(st.booleans()):
                batches.append([])
            batches[-1].append(made)
        epochs.append(tuple(map(tuple, batches)))
    return Delivery(tuple(epochs))


def _own_order_kept(shuffled: Sequence[Made], epoch: Sequence[Made]) -> Iterator[Made]:
    own = {replica: iter([made for made in epoch if made.change.replica == replica]) for replica in REPLICAS}
    for made in shuffled:
        yield next(own[made.change.replica])


_NAMES = st.lists(st.sampled_from(FIELDS), unique=True, min_size=1, max_size=3)


@dataclass(slots=True)
class Device:
    """A replica while a history is being made up."""

    clock: Clock
    known: int = 0
    made: list[tuple[Made, int]] = field(default_factory=list)
    """Its own changes, each with the epoch in which it arrives."""

    def pending(self) -> list[Made]:
        """What the server had not yet taken in at what this device was shown last."""
        return [made for made, epoch in self.made if epoch > self.known]

    def view(self, rule: Rule, shown: Sequence[State | None], heads: Sequence[int]) -> State | None:
        """What the person sees: the state last shown, with his own pending changes on top."""
        state = shown[self.known]
        for made in self.pending():
            state = apply_change(rule, state, replace(made.change, base=heads[made.shown]), heads[-1] + 1).state
        return state


@st.composite
def histories(
    draw: st.DrawFn, rule: Rule, *, wild: bool = False, deletes: bool = True, restores: bool = True
) -> History:
    """Up to four epochs of up to five changes by three replicas."""
    offset_ms = st.integers(-6, 6).map(lambda hours: hours * 3_600_000) if wild else st.integers(-25_000, 25_000)
    now = [START_MS]
    devices: dict[str, Device] = {}
    for name in REPLICAS:
        device_offset_ms = draw(st.just(0) | offset_ms)
        devices[name] = Device(Clock(name, lambda ms=device_offset_ms: now[0] + ms))  # type: ignore[misc]

    allowed = {op for op in Op if (deletes or op is not Op.DELETE) and (restores or op is not Op.RESTORE)}
    server = Server(rule)
    shown: list[State | None] = [None]
    epochs: list[tuple[Made, ...]] = []
    for epoch in range(1, draw(st.integers(1, 4)) + 1):
        arriving: list[Made] = []
        for _ in range(draw(st.integers(1, 5))):
            now[0] += draw(st.sampled_from([0, 0, 1, 1_000]))
            name = draw(st.sampled_from(REPLICAS))
            made = _make(draw, rule, devices[name], name, epoch, shown, server.heads, allowed)
            if made is not None:
                devices[name].made.append((made, epoch))
                arriving.append(made)
        for made in arriving:
            server.take([made])
        server.end_epoch()
        shown.append(server.state)
        epochs.append(tuple(arriving))
    return History(tuple(epochs))


def offers(rule: Rule, name: str, op: Op, *, first: bool) -> st.SearchStrategy[JsonValue]:
    """What a change may bring for this field. `first`: nobody is known to have set it."""
    field_rule = rule.field_rule(name)
    example = field_rule.guide.example
    kind = next(iter(example)) if isinstance(example, dict) else ""
    if isinstance(field_rule, Own) and isinstance(example, str):
        kind = "text"
    return _offers(kind, plain=op in (Op.CREATE, Op.RESTORE), first=first)


@cache
def _offers(kind: str, *, plain: bool, first: bool) -> st.SearchStrategy[JsonValue]:
    """Kept, since it takes longer to put one together than to draw from it."""
    if kind == "increment":
        by = st.integers(-3, 3)
        return by.map(lambda k: {"increment": k}) | by if plain else by.map(lambda k: {"increment": k})
    if kind == "add":
        elements = st.lists(st.sampled_from(["a", "b", 1, True]), max_size=2)
        # To begin with something is added: who first sets a set to nothing has done what nobody else can see.
        added = st.lists(st.sampled_from(["a", "b", 1, True]), min_size=1, max_size=2) if first else elements
        edits = st.fixed_dictionaries({"add": added}, optional={"remove": elements})
        if not first:
            edits |= st.fixed_dictionaries({"remove": elements})
        return edits | added if plain else edits
    if kind == "text":
        return st.sampled_from(["", "a", "b", "ab", "ba"])
    return st.integers(0, 3)


def _make(
    draw: st.DrawFn,
    rule: Rule,
    device: Device,
    name: str,
    epoch: int,
    shown: Sequence[State | None],
    heads: Sequence[int],
    allowed: Collection[Op],
) -> Made | None:
    """What the device does next: it may look at something newer first; None if there is nothing it could do."""
    looked_at = draw(st.integers(device.known, epoch - 1))
    for newly_shown in shown[device.known + 1 : looked_at + 1]:
        for mark in newly_shown.marks.values() if newly_shown is not None else ():
            with suppress(ClockDrift):  # which happens in wild histories only
                device.clock.receive(mark.stamp)
    device.known = looked_at

    view = device.view(rule, shown, heads)
    possible = [op for op in _possible(view, shown[device.known], device.pending()) if op in allowed]
    if not possible:
        return None
    op = draw(st.sampled_from(possible))
    # Law 1: an edit over a pending value inherits that change's base, however much was shown since.
    base = draw(st.sampled_from([device.known, *(made.shown for made in device.pending())]))
    change = Change(name, len(device.made) + 1, "s", "thing", "x", op, device.clock.tick())
    return Made(replace(change, **_what(draw, rule, op, view)), base)


def _possible(view: State | None, confirmed: State | None, pending: Sequence[Made]) -> list[Op]:
    """What can be done with what the person sees."""
    if view is None:
        return [Op.CREATE]
    if view.deleted is not None:
        # A restore is of a delete that was shown: of several deletes that nobody has seen yet, arrival names one.
        return [Op.RESTORE] if confirmed is not None and confirmed.deleted is not None and not pending else []
    possible = [Op.UPDATE, Op.UPDATE, Op.UPDATE, Op.DELETE, Op.CREATE]
    if view.rule_data and any(map(dispute_of, view.rule_data.values())):
        possible += [Op.SETTLE, Op.SETTLE]
    return possible


def _what(draw: st.DrawFn, rule: Rule, op: Op, view: State | None) -> dict[str, Any]:
    """The rest of a change: what it brings, what its person was shown, the conflict that it settles."""
    held: dict[str, JsonValue] = dict(view.fields) if view is not None else {}
    if op is Op.DELETE:
        return {}
    if op is Op.SETTLE:
        assert view is not None
        disputed = {name: dispute for name, data in view.rule_data.items() if (dispute := dispute_of(data))}
        name = draw(st.sampled_from(sorted(disputed)))
        return {"fields": {name: draw(st.integers(0, 3))}, "conflict": disputed[name].conflict}
    names = draw(_NAMES)
    fields = {name: draw(offers(rule, name, op, first=name not in held)) for name in names}
    if rule.whole_record:
        fields = {name: value for name, value in held.items() if not isinstance(offered(rule, name), dict)} | fields
    return {
        "fields": fields,
        "was": {name: held[name] for name in fields if rule.field_rule(name).asks and name in held},
    }


def offered(rule: Rule, name: str) -> JsonValue:
    """An offer such as any change may bring for this field; an object where it is an edit rather than a value."""
    return rule.field_rule(name).guide.example
