"""Edits of the parsed contract, to see what the comparison makes of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.breaking.documents import Document
from deploy.breaking.findings import Finding, Severity
from deploy.breaking.operations import compare

CONTRACT = Path(__file__).resolve().parents[2] / "api" / "plexsphere-v1.yaml"
# The operations that the edits are made in, or that use the component that an edit is made in. All
# of them are compared once for each edit.
COMPARED = (
    "/v1/nodes/{id}/state",
    "/v1/nodes/{id}/events",
    "/v1/nodes/{id}",
    "/v1/nodes/{id}/reachability",
    "/livez",
    "/readyz",
    "/metrics",
    "/v1/version",
)
REAL: dict[str, Any] = yaml.load(CONTRACT.read_bytes(), yaml.CSafeLoader)
REAL["paths"] = {path: REAL["paths"][path] for path in COMPARED}
# Alternatives of the stream's events hold schemas of the snapshot: an edit of one is more findings.
del REAL["paths"]["/v1/nodes/{id}/events"]["get"]["responses"]["200"]

Key = str | int
Edit = Callable[[dict[str, Any]], object]

STATE = ("paths", "/v1/nodes/{id}/state", "get")
PROPERTIES = "properties"


def schema(name: str, *keys: Key) -> tuple[Key, ...]:
    """Where a named schema stands, or something inside it."""
    return ("components", "schemas", name, *keys)


def component(kind: str, name: str, *keys: Key) -> tuple[Key, ...]:
    """Where another component stands, or something inside it."""
    return ("components", kind, name, *keys)


def spot(document: dict[str, Any], keys: tuple[Key, ...]) -> Any:
    """The value at that place."""
    found: Any = document
    for key in keys:
        found = found[key]
    return found


def put(keys: tuple[Key, ...], value: Any) -> Edit:
    """Set a value; it has to be another one than is there, or the edit would test nothing."""

    def edit(document: dict[str, Any]) -> None:
        holder = spot(document, keys[:-1])
        if isinstance(holder, dict):
            assert holder.get(keys[-1]) != value, keys
        holder[keys[-1]] = copy.deepcopy(value)

    return edit


def drop(keys: tuple[Key, ...]) -> Edit:
    """Remove a key or an item."""
    return lambda document: spot(document, keys[:-1]).pop(keys[-1])


def gain(keys: tuple[Key, ...], value: Any) -> Edit:
    """Append to a list."""
    return lambda document: spot(document, keys).append(copy.deepcopy(value))


def lose(keys: tuple[Key, ...], value: Any) -> Edit:
    """Remove a value from a list."""
    return lambda document: spot(document, keys).remove(value)


def rename(keys: tuple[Key, ...], name: str) -> Edit:
    """Give a key another name, in its place."""

    def edit(document: dict[str, Any]) -> None:
        holder = spot(document, keys[:-1])
        pairs = [(name if key == keys[-1] else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(pairs)

    return edit


def reorder(keys: tuple[Key, ...]) -> Edit:
    """Turn the order of an object round."""

    def edit(document: dict[str, Any]) -> None:
        holder = spot(document, keys)
        pairs = list(holder.items())[::-1]
        holder.clear()
        holder.update(pairs)

    return edit


def both(*edits: Edit) -> Edit:
    """One after the other."""
    return lambda document: [edit(document) for edit in edits]


def nothing(document: dict[str, Any]) -> None:
    """No edit."""


@dataclass(frozen=True)
class Row:
    """An edit and what has to be said of it; ``given`` is done to both versions first."""

    name: str
    edit: Edit
    says: str
    given: Edit = nothing

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def findings(row: Row) -> list[Finding]:
    """The findings of the comparison about an edit of the real file."""
    before = copy.deepcopy(REAL)
    row.given(before)
    after = copy.deepcopy(before)
    row.edit(after)
    return list(compare(Document(before, "before"), Document(after, "after")).places)


def assert_breaks(row: Row) -> None:
    """Every finding that breaks is about this edit, and there is one."""
    broken = [finding for finding in findings(row) if finding.severity is Severity.BREAKING]
    assert broken
    assert [finding.change for finding in broken if row.says not in finding.change] == []
    assert all(finding.why and finding.pointer.startswith("#/") for finding in broken)


def assert_harmless(row: Row) -> None:
    """Nothing breaks; what changes the contract is said, what only explains it is not."""
    found = findings(row)
    assert [finding for finding in found if finding.severity is Severity.BREAKING] == []
    if row.says:
        assert [finding.change for finding in found if row.says in finding.change]
    else:
        assert found == []
