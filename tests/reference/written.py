"""What people write into documents, told from DESIGN.md alone: what must be there in the end, what cannot, and how.

Everything written is made of tokens, each a character that nobody writes twice. Bytes and merging are not known here: a
document is its JSON form, in which a text or a list holds tokens, and a map holds one under each name. A dict that has
an "id" is a part, called by that token, in whose "text" and "list" one writes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

__all__ = ["FIRST", "Place", "Written", "is_token", "places", "tokens_in"]

FIRST = 0x20000
LAST = 0x2A6DF
Doc = tuple[str, str, str]
Number = tuple[str, int]


def is_token(letter: str) -> bool:
    return FIRST <= ord(letter) <= LAST


def tokens_in(text: str) -> list[str]:
    return [letter for letter in text if is_token(letter)]


@dataclass(frozen=True)
class Place:
    """Where a token stands. `inside`: the parts it is in, outermost first; `row`: and in which row of the last of them.
    `name`: in a map, under which.
    """

    inside: tuple[str, ...] = ()
    row: str = ""
    left: str | None = None
    right: str | None = None
    name: str | None = None


def places(content: Any) -> dict[str, Place]:
    """Every token of a document, in order."""
    found: dict[str, Place] = {}
    for token, place in walked(content, ()):
        found.setdefault(token, place)
    return found


def walked(content: Any, inside: tuple[str, ...], row_name: str = "") -> Iterator[tuple[str, Place]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield from one(value, Place(inside, name=name))
        return
    row = tokens_in(content) if isinstance(content, str) else list(content)
    called = [each["id"] if isinstance(each, dict) else each for each in row]
    for place, value in enumerate(row):
        left = called[place - 1] if place else None
        right = called[place + 1] if place + 1 < len(called) else None
        yield from one(value, Place(inside, row_name, left, right))


def one(value: Any, place: Place) -> Iterator[tuple[str, Place]]:
    if not isinstance(value, dict):
        yield value, place
        return
    yield value["id"], place
    for part in ("text", "list"):
        yield from walked(value[part], (*place.inside, value["id"]), part)


def row_of(place: Place) -> tuple[tuple[str, ...], str]:
    return place.inside, place.row


@dataclass
class Token:
    """`place`: as its author saw it. `run`: what he wrote in one go. `needs`: what it cannot be without. `foreign`:
    written elsewhere, and perhaps never brought.
    """

    doc: Doc
    replica: str
    place: Place
    run: tuple[str, ...]
    needs: str | None = None
    gone: list[Number] = field(default_factory=list)
    """The changes by which somebody took it away."""
    foreign: bool = False
    again: bool = False
    """Undone and redone: then it stands where that put it."""


@dataclass
class Life:
    """A document between two deletes. `since`: the version it began at. `whole`: somebody has brought into it all that
    he had of a former one, and with that what he knew to be deleted.
    """

    since: int
    whole: bool = False
    tokens: set[str] = field(default_factory=set)
    numbers: set[Number] = field(default_factory=set)


class Written:
    """All documents of a history."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.lives: dict[Doc, Life] = {}
        self.sent: set[str] = set()
        self.refused: set[str] = set()
        self.troubled: set[tuple[Doc, str]] = set()
        """Who has had an edit of a document refused: what he wrote after it he has written anew, perhaps elsewhere."""
        self.emptied: set[tuple[Doc, tuple[str, ...], str]] = set()
        """The names in a map under which somebody took away what was there, and put nothing."""

    # What happens

    def edited(self, doc: Doc, number: Number, before: Any, after: Any) -> None:
        """Somebody was shown `before`, and `after` he had edited it."""
        had, has = places(before), places(after)
        new = [token for token in has if token not in had]
        for token in new:
            if token in self.tokens:
                self.tokens[token].again = True
            else:
                run = tuple(each for each in new if row_of(has[each]) == row_of(has[token]))
                self.tokens[token] = Token(doc, number[0], has[token], run)
        names = {(place.inside, place.name) for place in has.values() if place.name is not None}
        for token, place in had.items():
            if token in has:
                continue
            self.tokens[token].gone.append(number)
            if place.name is not None and (place.inside, place.name) not in names:
                self.emptied.add((doc, place.inside, place.name))

    def brought(self, doc: Doc, replica: str, text: Iterable[str], needs: str | None = None) -> None:
        """Somebody brings what was written elsewhere, at the beginning of a text, by one who saw nothing of it."""
        run = tuple(text)
        for token in run:
            self.tokens[token] = Token(doc, replica, Place(), run, needs, again=True, foreign=True)

    def arrived(self, doc: Doc, number: Number, tokens: set[str], since: int | None, *, whole: bool) -> None:
        """A change was settled. `since`: at which version the life began that has taken it up; None if none has."""
        self.sent |= tokens
        if since is None:
            self.refused |= tokens
            self.troubled.add((doc, number[0]))
            return
        if doc not in self.lives or self.lives[doc].since != since:
            self.lives[doc] = Life(since)
        self.lives[doc].whole |= whole
        self.lives[doc].tokens |= tokens
        self.lives[doc].numbers.add(number)

    # What must be

    def check(self, doc: Doc, content: Any) -> None:
        """Hold what a document says in the end to what has happened."""
        life, there = self.lives.get(doc, Life(0)), places(content)
        for token, times in Counter(token for token, _ in walked(content, ())).items():
            # Invariant 2. But where a deletion is refused, and that it was undone is not, there are two.
            told = self.tokens[token]
            undone = told.again and any((doc, replica) in self.troubled for replica, _ in told.gone)
            assert times == 1 or undone, f"{token} is there {times} times: {content}"
        for token in there:
            assert token in life.tokens, f"{token} is there, and was not accepted: {doc}"
            needs = self.tokens[token].needs
            known = needs is None or needs in life.tokens or needs in self.refused or self.is_troubled(doc, token)
            assert known, f"{token} is there without what it needs: {doc}"
        for token in life.tokens - there.keys():
            assert self.may_lack(doc, life, token), f"{token} was acknowledged and not deleted, and is not there: {doc}"
        for token in there:
            taken = [number for number in self.tokens[token].gone if self.counts(doc, life, number)]
            assert not taken or self.tokens[token].again or self.is_loose(doc, token), f"{token} is back: {doc}"
        for name, under in self.written_under(doc, life).items():
            lost = any(self.was_emptied(doc, life, token) or token in self.refused for token in under)
            lost = lost or any(self.may_lack(doc, life, part) for part in name[0])
            if life.tokens & set(under) and not lost and name not in self.emptied_in(doc):
                assert any(token in there for token in under), f"nothing is under {name}: {doc}"
        self.check_order(doc, content, there)

    def check_kept(self) -> None:
        """Invariant 5: what was written has reached the server, to stay or into the quarantine, or was taken away."""
        for token, told in self.tokens.items():
            if token not in self.sent and not told.foreign:
                parts = [self.tokens[part] for part in told.place.inside]
                lost = any(part.gone or part.place.name is not None for part in (told, *parts))
                assert lost or self.refused & set(told.place.inside), f"{token} has never arrived: {told}"

    def may_lack(self, doc: Doc, life: Life, token: str) -> bool:
        told = self.tokens[token]
        return (
            self.was_emptied(doc, life, token)
            # What was put under the same name and taken away again, in one change, says nothing and contends for it.
            or (told.place.inside, told.place.name) in self.emptied_in(doc)
            or (told.needs is not None and (told.needs not in life.tokens or self.may_lack(doc, life, told.needs)))
            or any(self.may_lack(doc, life, part) for part in told.place.inside)
            or len(self.written_under(doc, life).get((told.place.inside, told.place.name or ""), ())) > 1
            or (token in self.refused and self.is_troubled(doc, token))
        )

    def was_emptied(self, doc: Doc, life: Life, token: str) -> bool:
        """Whether somebody took it away, as far as that is known of."""
        gone = self.tokens[token].gone
        return any(number in life.numbers or (doc, number[0]) in self.troubled or life.whole for number in gone)

    def counts(self, doc: Doc, life: Life, number: Number) -> bool:
        return number in life.numbers and (doc, number[0]) not in self.troubled

    def is_loose(self, doc: Doc, token: str) -> bool:
        """Whether it may stand elsewhere than its author put it, and as somebody else's."""
        return self.tokens[token].again or self.is_troubled(doc, token)

    def is_troubled(self, doc: Doc, token: str) -> bool:
        return (doc, self.tokens[token].replica) in self.troubled

    def written_under(self, doc: Doc, life: Life) -> dict[tuple[tuple[str, ...], str], list[str]]:
        """By name in a map, what contends for it: in this life, and in those that it may have been told of."""
        found: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for token, told in self.tokens.items():
            if told.doc == doc and told.place.name is not None and (life.whole or token in life.tokens):
                found.setdefault((told.place.inside, told.place.name), []).append(token)
        return found

    def emptied_in(self, doc: Doc) -> set[tuple[tuple[str, ...], str]]:
        return {(inside, name) for each, inside, name in self.emptied if each == doc}

    def check_order(self, doc: Doc, content: Any, there: dict[str, Place]) -> None:
        """What was written in one go stands in its order, with nothing between that was not written into it."""
        rows: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for token, place in there.items():
            if place.name is None:
                rows.setdefault(row_of(place), []).append(token)
        for row in rows.values():
            at = {token: place for place, token in enumerate(row)}
            for run in {self.tokens[token].run for token in row if not self.is_loose(doc, token)}:
                left = [token for token in run if token in at and not self.is_loose(doc, token)]
                assert left == sorted(left, key=at.__getitem__), f"{run} is in another order: {content}"
                for first, last in pairwise(left):
                    for token in row[at[first] + 1 : at[last]]:
                        known = self.is_loose(doc, token) or self.into(token, run, run.index(first), run.index(last))
                        assert known, f"{token} is in the middle of {run}: {content}"

    def into(self, token: str, run: tuple[str, ...], first: int, last: int, past: frozenset[str] = frozenset()) -> bool:
        """Whether it was written between these two of a run, or beside what was."""
        place = self.tokens[token].place
        for neighbour, low, high in ((place.left, first, last - 1), (place.right, first + 1, last)):
            if neighbour is None or neighbour in past:
                continue
            if neighbour in run:
                if low <= run.index(neighbour) <= high:
                    return True
            elif self.tokens[neighbour].again or self.into(neighbour, run, first, last, past | {token}):
                return True
        return False
