"""Writes and deletes tuples: for the development stack now, for the ledger's writers later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from authzed.api.v1 import (
    ObjectReference,
    Relationship,
    RelationshipUpdate,
    SubjectReference,
    WriteRelationshipsRequest,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.channel import SpiceDbChannel, Undecided

# SpiceDB's default --write-relationships-max-updates-per-call.
MAX_UPDATES = 1000


@dataclass(frozen=True, slots=True)
class RelationTuple:
    """``resource#relation@subject``, spelled as SpiceDB spells it (``node:<uuid>``, ``agent``)."""

    resource: str
    relation: str
    subject: str


class TupleWriter:
    """Idempotent writes. Raises AuthzUnavailable, and nothing else."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def touch(self, tuples: Sequence[RelationTuple], deadline: Deadline) -> str | None:
        """Make sure they exist; the ZedToken of the last write, None without tuples."""
        return self._write(tuples, RelationshipUpdate.OPERATION_TOUCH, deadline)

    def delete(self, tuples: Sequence[RelationTuple], deadline: Deadline) -> str | None:
        """Make sure they do not exist; the ZedToken of the last write, None without tuples."""
        return self._write(tuples, RelationshipUpdate.OPERATION_DELETE, deadline)

    def _write(
        self, tuples: Sequence[RelationTuple], operation: Any, deadline: Deadline
    ) -> str | None:
        token: str | None = None
        for start in range(0, len(tuples), MAX_UPDATES):
            batch = tuples[start : start + MAX_UPDATES]
            updates = [
                RelationshipUpdate(operation=operation, relationship=_relationship(one))
                for one in batch
            ]
            request = WriteRelationshipsRequest(updates=updates)
            try:
                answer = self._channel.permissions("WriteRelationships", request, deadline)
            except Undecided as undecided:
                raise AuthzUnavailable(f"SpiceDB refuses the write: {undecided}") from undecided
            token = str(answer.written_at.token)
        return token


def _relationship(one: RelationTuple) -> Relationship:
    return Relationship(
        resource=_reference(one.resource),
        relation=one.relation,
        subject=SubjectReference(object=_reference(one.subject)),
    )


def _reference(name: str) -> ObjectReference:
    kind, _, object_id = name.partition(":")
    return ObjectReference(object_type=kind, object_id=object_id)
