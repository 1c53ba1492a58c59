"""A Node's entries as they are written: reports by its own agent, metadata and data by editors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from composer.entries import EntryRow
from composer.identity import AddressedNode
from handlers.answers import NO_CONTENT, Answer
from handlers.operation import Request
from handlers.wire_values import instant


def entry_of(kind: str) -> Callable[..., EntryRow]:
    """What makes an entry of this kind from a key and a body."""

    def wanted(node_id: UUID, key: str, body: Mapping[str, Any]) -> EntryRow:
        return EntryRow(kind, key, body["value"], body.get("workload_tag") or None)

    return wanted


def key_of(kind: str) -> Callable[..., tuple[str, str]]:
    """What names an entry of this kind: its kind and its key."""

    def wanted(node_id: UUID, key: str) -> tuple[str, str]:
        return kind, key

    return wanted


def put_entry(request: Request, node: AddressedNode, wanted: EntryRow) -> Answer:
    """Store an entry, or replace it."""
    accepted_at = request.ports.entries.put(node, wanted, request.deadline)
    return Answer(200, {"accepted_at": instant(accepted_at), "key": wanted.key})


def delete_entry(request: Request, node: AddressedNode, wanted: tuple[str, str]) -> Answer:
    """Remove an entry."""
    kind, key = wanted
    request.ports.entries.remove(node, kind, key, request.deadline)
    return NO_CONTENT
