"""Random histories of one resource: what several replicas did to it, told apart from how it reached the server.

A history is a list of epochs. An epoch is a stretch in which changes arrive; its end is a moment at which replicas may
be shown the state. A change names the epoch it was made on, not a version, since versions differ from one order of
arrival to another. So two deliveries of one history differ in the order inside each epoch, where nobody has seen
anything in between, and keep each replica's own order: exactly the changes that are concurrent change places.

Clocks are real `Clock`s, up to 25 s off either way: within the drift bound, where order independence is promised
(law 2). `wild` histories have clocks that are hours off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from conflict_rules import (
    Change,
    Clock,
    ClockDrift,
    JsonValue,
    Op,
    Rule,
    Stamp,
    State,
    apply_change,
    effective_stamp,
)

__all__ = ["Content", "Delivery", "History", "Made", "content", "deliver", "deliveries", "histories", "in_order"]

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


Content = None | str | dict[str, tuple[JsonValue, Stamp]]
"""Canonical content: None, "deleted", or the value and effective stamp of each field; versions are not content."""


def content(state: State | None) -> Content:
    """What every replica that has caught up must agree on."""
    if state is None:
        return None
    if state.deleted is not None:
        return "deleted"
    return {name: (value, state.marks[name].stamp) for name, value in state.fields.items()}


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
        self.state = apply_change(self.rule, self.state, change, self.head + 1).state

    def end_epoch(self) -> None:
        """Let the state be shown."""
        self.heads.append(self.head)


def deliver(rule: Rule, delivery: Delivery, *, now_ms: int = LATER_MS) -> list[Content]:
    """The content at the end of each epoch, if the history arrives in this way at this hour."""
    server = Server(rule, now_ms)
    shown: list[Content] = []
    for epoch in delivery.epochs:
        for batch in epoch:
            server.take(batch)
        server.end_epoch()
        shown.append(content(server.state))
    return shown


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
def histories(draw: st.DrawFn, rule: Rule, *, wild: bool = False) -> History:
    """Up to four epochs of up to five changes by three replicas."""
    offset_ms = st.integers(-6, 6).map(lambda hours: hours * 3_600_000) if wild else st.integers(-25_000, 25_000)
    now = [START_MS]
    devices: dict[str, Device] = {}
    for name in REPLICAS:
        device_offset_ms = draw(st.just(0) | offset_ms)
        devices[name] = Device(Clock(name, lambda ms=device_offset_ms: now[0] + ms))  # type: ignore[misc]

    server = Server(rule)
    shown: list[State | None] = [None]
    epochs: list[tuple[Made, ...]] = []
    for epoch in range(1, draw(st.integers(1, 4)) + 1):
        arriving: list[Made] = []
        for _ in range(draw(st.integers(1, 5))):
            now[0] += draw(st.sampled_from([0, 0, 1, 1_000]))
            name = draw(st.sampled_from(REPLICAS))
            made = _make(draw, rule, devices[name], name, epoch, shown, server.heads)
            if made is not None:
                devices[name].made.append((made, epoch))
                arriving.append(made)
        for made in arriving:
            server.take([made])
        server.end_epoch()
        shown.append(server.state)
        epochs.append(tuple(arriving))
    return History(tuple(epochs))


def _make(
    draw: st.DrawFn,
    rule: Rule,
    device: Device,
    name: str,
    epoch: int,
    shown: Sequence[State | None],
    heads: Sequence[int],
) -> Made | None:
    """What the device does next: it may look at something newer first; None if there is nothing it could do."""
    looked_at = draw(st.integers(device.known, epoch - 1))
    for newly_shown in shown[device.known + 1 : looked_at + 1]:
        for mark in newly_shown.marks.values() if newly_shown is not None else ():
            with suppress(ClockDrift):  # which happens in wild histories only
                device.clock.receive(mark.stamp)
    device.known = looked_at

    view = device.view(rule, shown, heads)
    if view is not None and view.deleted is not None:
        return None
    ops = [Op.CREATE] if view is None else [Op.UPDATE, Op.UPDATE, Op.UPDATE, Op.DELETE, Op.CREATE]
    op = draw(st.sampled_from(ops))
    fields: dict[str, JsonValue] = {}
    if op is not Op.DELETE:
        fields = draw(st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 3), min_size=1))
        if rule.whole_record and view is not None:
            fields = dict(view.fields) | fields
    # Law 1: an edit over a pending value inherits that change's base, however much was shown since.
    base = draw(st.sampled_from([device.known, *(made.shown for made in device.pending())]))
    change = Change(name, len(device.made) + 1, "s", "thing", "x", op, device.clock.tick(), 0, fields)
    return Made(change, base)
