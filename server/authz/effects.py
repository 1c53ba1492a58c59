"""What a run of outbox rows comes to: the last word about each tuple.

SpiceDB refuses a tuple that is twice in one call, and touch, delete, touch is a touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from server.authz.writer import RelationTuple


class Malformed(ValueError):
    """A row that says nothing to SpiceDB; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One operation of a row; a purge has a resource only."""

    operation: str
    tuple: RelationTuple


@dataclass(frozen=True, slots=True)
class Effect:
    """To be done in this order; every tuple is in one of the last two at most."""

    purged: tuple[str, ...]
    touched: tuple[RelationTuple, ...]
    deleted: tuple[RelationTuple, ...]


def changes_in(tuples: object) -> list[Change]:
    """The ``tuples`` column of one row (0006_registry.sql). Raises Malformed."""
    if not isinstance(tuples, list):
        raise Malformed("tuples is no list")
    return [_change(one) for one in tuples]


def effect_of(changes: Iterable[Change]) -> Effect:
    """The changes in their order, and what is left of them at the end."""
    purged: dict[str, None] = {}
    last: dict[RelationTuple, str] = {}
    for change in changes:
        if change.operation == "purge":
            resource = change.tuple.resource
            purged[resource] = None
            last = {one: word for one, word in last.items() if one.resource != resource}
        else:
            last[change.tuple] = change.operation
    touched = tuple(one for one, word in last.items() if word == "touch")
    deleted = tuple(one for one, word in last.items() if word == "delete")
    return Effect(tuple(purged), touched, deleted)


def _change(value: object) -> Change:
    if not isinstance(value, Mapping):
        raise Malformed("a change is no object")
    operation = value.get("operation")
    fields = ("resource",) if operation == "purge" else ("resource", "relation", "subject")
    if operation not in ("touch", "delete", "purge"):
        raise Malformed(f"operation is {operation!r}")
    texts = [value.get(name) for name in fields]
    if not all(isinstance(text, str) and text for text in texts):
        raise Malformed(f"a {operation} lacks one of {', '.join(fields)}")
    resource, relation, subject = (*map(str, texts), "", "")[:3]
    return Change(operation, RelationTuple(resource, relation, subject))
