"""Writes of a Node's entries: reports by its agent, metadata and data by editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from composer.entries import EntryRow
from composer.identity import AddressedNode
from handlers.answers import NO_CONTENT, Answer
from handlers.operation import Request
from handlers.wire_values import accepted_entry_value


def entry_of(kind: str) -> Callable[..., EntryRow]:
    """The ``parse`` of an operation that puts an entry of this kind."""

    def entry(node_id: UUID, key: str, body: Mapping[str, Any]) -> EntryRow:
        return EntryRow(
            kind=kind, key=key, value=body["value"], workload_tag=body.get("workload_tag") or None
        )

    return entry


def key_of(kind: str) -> Callable[..., tuple[str, str]]:
    """The ``parse`` of an operation that deletes an entry of this kind."""

    def kind_and_key(node_id: UUID, key: str) -> tuple[str, str]:
        return kind, key

    return kind_and_key


def put_entry(request: Request, node: AddressedNode, parsed: EntryRow) -> Answer:
    """Store an entry, or replace it."""
    accepted_at = request.ports.entries.put(
        node=node, entry=parsed, write=request.write, deadline=request.deadline
    )
    return Answer(200, accepted_entry_value(accepted_at, parsed.key))


def delete_entry(request: Request, node: AddressedNode, parsed: tuple[str, str]) -> Answer:
    """Remove an entry."""
    kind, key = parsed
    request.ports.entries.remove(
        node=node, kind=kind, key=key, write=request.write, deadline=request.deadline
    )
    return NO_CONTENT
