"""Two schemas of one value, compared in the direction in which the value travels.

What the service sends may only become narrower: a client was written for what was promised. What a
client sends may only be admitted more widely: it was written for what was required. One rule is the
contract's own: a client ignores keys it does not know, so a new key of an open object breaks no
client. Of a closed object it does: a client generated from the earlier file refuses the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from deploy.breaking.documents import Place
from deploy.breaking.findings import Finding, Severity
from deploy.breaking.shapes import ANY, LOWER, NULL, UPPER, Bound, Shape, Shapes
from server.contract.schemas import Direction

# Every value of the first is also a value of the second.
_CONTAINED = {("int32", "int64"), ("float", "double")}
_NONE_BELOW: Bound = (float("-inf"), False)
_NONE_ABOVE: Bound = (float("inf"), False)


LOST_WORD = "enum loses"


class Width(Enum):
    """The way in which a set of values changed."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"  # both, or unknown


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that differs."""

    width: Width
    text: str


def changes(old: Shape, new: Shape) -> Iterator[Change]:
    """Every rule that differs, without the inner schemas: properties, items, alternatives."""
    yield from _types(old.types, new.types)
    if not (old.types & new.types) - {NULL}:
        return  # the other rules are about another kind of value
    yield from _enum(old.enum, new.enum)
    for name in LOWER:
        before, after = (_lower(name, shape) for shape in (old, new))
        if before != after:
            width = Width.NARROWER if after > before else Width.WIDER
            yield Change(width, f"{name} {_bound_text(before)} -> {_bound_text(after)}")
    for name in UPPER:
        before, after = (shape.bounds.get(name, _NONE_ABOVE) for shape in (old, new))
        if before != after:
            narrower = (after[0], not after[1]) < (before[0], not before[1])
            width = Width.NARROWER if narrower else Width.WIDER
            yield Change(width, f"{name} {_bound_text(before)} -> {_bound_text(after)}")
    yield from _set_change("pattern", old.patterns, new.patterns)
    yield from _set_change("format", old.formats, new.formats)
    yield from _multiples(old.multiples, new.multiples)
    if old.unique != new.unique:
        width = Width.NARROWER if new.unique else Width.WIDER
        yield Change(width, f"uniqueItems is now {str(new.unique).lower()}")


def _types(old: frozenset[str], new: frozenset[str]) -> Iterator[Change]:
    # Whether a value may be null is a change of its own.
    before, after = old - {NULL}, new - {NULL}
    if before != after:
        width = _width(gained=bool(after - before), lost=bool(before - after))
        yield Change(width, f"type {_types_text(old)} -> {_types_text(new)}")
    if (NULL in old) != (NULL in new) and ANY not in (old, new):
        gained = NULL in new
        text = "null is now allowed" if gained else "null is no longer allowed"
        yield Change(_width(gained=gained, lost=not gained), text)


def _enum(old: frozenset[str] | None, new: frozenset[str] | None) -> Iterator[Change]:
    if old is None and new is not None:
        yield Change(Width.NARROWER, f"only {_comma_list(new)} from now on")
    elif new is None and old is not None:
        yield Change(Width.WIDER, f"no longer only {_comma_list(old)}")
    elif old is not None and new is not None:
        if new - old:
            yield Change(Width.WIDER, f"enum gains {_comma_list(new - old)}")
        if old - new:
            yield Change(Width.NARROWER, f"{LOST_WORD} {_comma_list(old - new)}")


def _set_change(name: str, old: frozenset[str], new: frozenset[str]) -> Iterator[Change]:
    if old == new:
        return
    gained, lost = new - old, old - new
    width = _width(gained=bool(lost), lost=bool(gained))  # one rule more admits fewer values
    if len(gained) == len(lost) == 1:
        pair = (*lost, *gained)
        if pair in _CONTAINED:
            width = Width.WIDER
        elif pair[::-1] in _CONTAINED:
            width = Width.NARROWER
    yield Change(width, f"{name} {_and_list(old)} -> {_and_list(new)}")


def _multiples(old: frozenset[float], new: frozenset[float]) -> Iterator[Change]:
    if old == new:
        return
    narrower = all(any(after % before == 0 for after in new) for before in old)
    wider = all(any(before % after == 0 for before in old) for after in new)
    width = Width.NARROWER if narrower else Width.WIDER if wider else Width.OTHER
    yield Change(width, f"multipleOf {_and_list(map(str, old))} -> {_and_list(map(str, new))}")


def _lower(name: str, shape: Shape) -> Bound:
    # A length is never below 0, so a limit of 0 has no effect.
    floor = _NONE_BELOW if name == "minimum" else (0.0, False)
    return max(shape.bounds.get(name, floor), floor)


def _width(gained: bool, lost: bool) -> Width:
    return Width.OTHER if gained and lost else Width.WIDER if gained else Width.NARROWER


def _bound_text(bound: Bound) -> str:
    if bound in (_NONE_BELOW, _NONE_ABOVE):
        return "none"
    return f"{bound[0]:.15g}" + (" (exclusive)" if bound[1] else "")


def _types_text(types: frozenset[str]) -> str:
    if types == ANY:
        return "any"
    shown = types - {NULL} - ({"integer"} if "number" in types else set())
    return "|".join(sorted(shown)) or "none"


def _comma_list(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))


def _and_list(texts: Iterable[str]) -> str:
    return " and ".join(sorted(texts)) or "none"


UNDECLARED = "a client may get a value that was never declared"
PROMISED = "what is sent was promised before"
ACCEPTED = "what was accepted still is"


_SEVERITIES = {
    (Direction.ANSWER, Width.WIDER): (Severity.BREAKING, UNDECLARED),
    (Direction.ANSWER, Width.NARROWER): (Severity.HARMLESS, PROMISED),
    (Direction.ANSWER, Width.OTHER): (Severity.BREAKING, UNDECLARED),
    (Direction.REQUEST, Width.WIDER): (Severity.HARMLESS, ACCEPTED),
    (Direction.REQUEST, Width.NARROWER): (
        Severity.BREAKING,
        "a request that was right is now refused",
    ),
    (Direction.REQUEST, Width.OTHER): (
        Severity.BREAKING,
        "a request that was right may now be refused",
    ),
}


def severity_of(direction: Direction, width: Width) -> tuple[Severity, str]:
    """The severity of a change, and the reason."""
    return _SEVERITIES[direction, width]


@dataclass(slots=True)
class SchemaWalk:
    """One walk over a pair of schemas; ``found`` has findings with their places in the value.

    ``enum_elsewhere`` names a top-level property whose enum is compared otherwise: the codes of a
    Problem are compared by ``x-problem-codes``, status by status.
    """

    old: Shapes
    new: Shapes
    direction: Direction
    enum_elsewhere: str | None = None
    seen: set[tuple[int, int, Direction]] = field(default_factory=set)
    found: list[tuple[Finding, str]] = field(default_factory=list)

    def compare(self, old: Place | None, new: Place | None, at: str = "") -> None:
        """Compare two schemas, a pair once: a schema may contain itself. None admits anything."""
        before, after = self.old.of(old), self.new.of(new)
        pair = (id(before), id(after), self.direction)
        if pair in self.seen:
            return
        self.seen.add(pair)
        for change in changes(before, after):
            if not (at == self.enum_elsewhere and change.text.startswith("enum ")):
                self.add_change(change, (after if new else before).pointer, at)
        if "object" in before.types & after.types:
            compare_objects(self, before, after, at)
        if "array" in before.types & after.types:
            self.compare(before.items, after.items, f"{at}[]")
        self._alternatives(before, after, at)
        self._negations(before, after, at)
        self._default(before, after, at)

    def add(self, finding: Finding, at: str) -> None:
        """Add a finding."""
        self.found.append((finding, at))

    def add_change(self, change: Change, pointer: str, at: str) -> None:
        """Add a change; its severity depends on the direction of the value."""
        severity, why = severity_of(self.direction, change.width)
        if self.direction is Direction.ANSWER and change.text.startswith(LOST_WORD):
            severity = Severity.BREAKING
            why = "a client waits for it in vain; a service that still sends it does not start"
        self.add(Finding(severity, pointer, change.text, why), at)

    def _alternatives(self, before: Shape, after: Shape, at: str) -> None:
        left, right = before.alternatives, after.alternatives
        if not left or not right:
            if left or right:
                width = Width.NARROWER if right else Width.WIDER
                text = f"oneOf or anyOf is {'new' if right else 'gone'}"
                self.add_change(Change(width, text), after.pointer, at)
            return
        if before.discriminator != after.discriminator:
            text = f"discriminator {before.discriminator} -> {after.discriminator}"
            self.add_change(Change(Width.OTHER, text), after.pointer, at)
        old_named, new_named = _by_component(left), _by_component(right)
        same = old_named.keys() & new_named.keys()
        for name in sorted(same):
            self.compare(old_named[name], new_named[name], at)
        for new in right:
            if _component(new) in same:
                continue
            if not any(self._fits(Direction.ANSWER, old, new) for old in left):
                text = "an alternative is new, or wider than it was"
                self.add_change(Change(Width.WIDER, text), new.pointer, at)
        for old in left:
            if _component(old) in same:
                continue
            if not any(self._fits(Direction.REQUEST, old, new) for new in right):
                text = "an alternative is gone, or narrower than it was"
                self.add_change(Change(Width.NARROWER, text), old.pointer, at)

    def _negations(self, before: Shape, after: Shape, at: str) -> None:
        gained = lost = False
        if len(before.negated) == len(after.negated):
            for was, now in zip(before.negated, after.negated, strict=True):
                # To exclude fewer values is to admit more.
                gained |= not self._fits(Direction.REQUEST, was, now)
                lost |= not self._fits(Direction.ANSWER, was, now)
        else:
            gained = len(after.negated) < len(before.negated)
            lost = not gained
        if gained or lost:
            width = Width.OTHER if gained and lost else Width.WIDER if gained else Width.NARROWER
            self.add_change(Change(width, "the schema of `not` has changed"), after.pointer, at)

    def _fits(self, direction: Direction, old: Place, new: Place) -> bool:
        """Whether this pair alone would break no client."""
        trial = replace(self, direction=direction, seen=set(self.seen), found=[])
        trial.compare(old, new)
        return not any(finding.severity is Severity.BREAKING for finding, _ in trial.found)

    def _default(self, before: Shape, after: Shape, at: str) -> None:
        if self.direction is Direction.REQUEST and before.default not in (None, after.default):
            text = f"default {before.default} -> {after.default or 'none'}"
            why = "a request without it now means something else"
            self.add(Finding(Severity.BREAKING, after.pointer, text, why), at)


def _component(alternative: Place) -> str:
    """The component that an alternative is a reference to; empty where it is none."""
    is_reference = isinstance(alternative.value, dict) and "$ref" in alternative.value
    return str(alternative.value["$ref"]) if is_reference else ""


def _by_component(alternatives: Sequence[Place]) -> dict[str, Place]:
    """The alternatives that are references: the same component is the same alternative."""
    return {_component(each): each for each in alternatives if _component(each)}


BREAKING, HARMLESS = Severity.BREAKING, Severity.HARMLESS
_REFUSED_WITHOUT = "a request without it is now refused"
_UNKNOWN_KEYS = "agents ignore keys they do not know"
_CLOSED = "the object was closed: clients generated from the file refuse keys it did not list"


def compare_objects(walk: SchemaWalk, before: Shape, after: Shape, at: str) -> None:
    """Properties, which of them are required, their order, and the keys that are not listed."""
    old, new = _visible(walk.old, before, walk.direction), _visible(walk.new, after, walk.direction)
    names = dict.fromkeys([*old, *new, *sorted(before.required | after.required)])
    for name in names:
        inside = f"{at}.{name}" if at else name
        if name in old and name not in new:
            _removed(walk, after, old[name].pointer, name, inside)
        elif name in new and name not in old:
            _added(walk, before, after, name, new[name], inside)
        else:
            pointer = new[name].pointer if name in new else after.pointer
            _required(walk, name in before.required, name in after.required, pointer, name, inside)
            walk.compare(old.get(name), new.get(name), inside)
    _order(walk, [name for name in old if name in new], list(new), after, at)
    _unlisted(walk, before, after, f"{at}.*" if at else "*")


def _visible(shapes: Shapes, shape: Shape, direction: Direction) -> dict[str, Place]:
    """The properties of values in this direction."""
    visible: dict[str, Place] = {}
    for name, place in shape.properties.items():
        inner = shapes.of(place)
        if not (inner.write_only if direction is Direction.ANSWER else inner.read_only):
            visible[name] = place
    return visible


def _removed(walk: SchemaWalk, after: Shape, pointer: str, name: str, at: str) -> None:
    if walk.direction is Direction.ANSWER:
        why = "a client reads it, and an agent applies what is missing as a removal"
    elif after.additional is False:
        why = "a request that has it is now refused"
    else:
        why = "the service now ignores it"
    walk.add(Finding(BREAKING, pointer, f"property {name} is gone", why), at)


def _added(walk: SchemaWalk, before: Shape, after: Shape, name: str, place: Place, at: str) -> None:
    if walk.direction is Direction.ANSWER:
        is_closed = before.additional is False
        severity, why = (BREAKING, _CLOSED) if is_closed else (HARMLESS, _UNKNOWN_KEYS)
        found = Finding(severity, place.pointer, f"property {name} is new", why)
    elif name in after.required - before.required:
        text = f"property {name} is new and required"
        found = Finding(BREAKING, place.pointer, text, _REFUSED_WITHOUT)
    else:
        text, why = f"property {name} is new", "a request without it is accepted as before"
        found = Finding(HARMLESS, place.pointer, text, why)
    walk.add(found, at)
    if before.additional is True or isinstance(before.additional, Place):
        # The key was an unlisted one until now: its values may have changed for its users.
        free = before.additional if isinstance(before.additional, Place) else None
        walk.compare(free, place, at)


def _required(walk: SchemaWalk, was: bool, now: bool, pointer: str, name: str, at: str) -> None:
    if was == now:
        return
    text = f"{name} is {'now' if now else 'no longer'} required"
    if walk.direction is Direction.ANSWER and now:
        found = Finding(HARMLESS, pointer, text, "a client that works without it still does")
    elif walk.direction is Direction.ANSWER:
        why = "agents may ignore unknown keys, not missing ones"
        found = Finding(BREAKING, pointer, text, why)
    elif now:
        found = Finding(BREAKING, pointer, text, _REFUSED_WITHOUT)
    else:
        found = Finding(HARMLESS, pointer, text, ACCEPTED)
    walk.add(found, at)


def _order(walk: SchemaWalk, kept: list[str], now: list[str], after: Shape, at: str) -> None:
    if walk.direction is Direction.ANSWER and kept != [name for name in now if name in kept]:
        text = f"the keys are now in the order {', '.join(now)}"
        why = "keys are sent in this order: the bytes and the ETag change, and no meaning does"
        walk.add(Finding(Severity.BYTES, f"{after.pointer}/properties", text, why), at)


def _unlisted(walk: SchemaWalk, before: Shape, after: Shape, at: str) -> None:
    was, now = before.additional, after.additional
    if was is False and now is not False:
        why = _UNKNOWN_KEYS if walk.direction is Direction.ANSWER else ACCEPTED
        walk.add(Finding(HARMLESS, after.pointer, "unlisted keys are now allowed", why), at)
    elif now is False and was is not False:
        if was is not None and walk.direction is Direction.ANSWER:
            # They were allowed explicitly, so they were part of the answer.
            text, why = "unlisted keys are no longer sent", "a client may read them"
            walk.add(Finding(BREAKING, after.pointer, text, why), at)
        else:
            text = "unlisted keys are no longer allowed"
            walk.add_change(Change(Width.NARROWER, text), after.pointer, at)
    else:
        schemas = [rule if isinstance(rule, Place) else None for rule in (was, now)]
        walk.compare(schemas[0], schemas[1], at)
