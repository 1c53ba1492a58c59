"""Writes and deletes tuples: for the outbox, and to fill a development SpiceDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from authzed.api.v1 import (
    DeleteRelationshipsRequest,
    ObjectReference,
    Relationship,
    RelationshipFilter,
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


class TuplesRefused(AuthzUnavailable):
    """SpiceDB is there and does not take these tuples; ``for_good`` when no later one would.

    Otherwise its schema lacks what they name, which a schema written later mends.
    """

    def __init__(self, undecided: Undecided) -> None:
        super().__init__(f"SpiceDB refuses the write: {undecided}")
        self.for_good = undecided.status is grpc.StatusCode.INVALID_ARGUMENT


class TupleWriter:
    """Idempotent writes. Raises AuthzUnavailable, as TuplesRefused where SpiceDB did answer."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def touch(self, tuples: Sequence[RelationTuple], deadline: Deadline) -> str | None:
        """Make sure they exist; the ZedToken of the last write, None without tuples."""
        return self.write(tuples, (), deadline)

    def delete(self, tuples: Sequence[RelationTuple], deadline: Deadline) -> str | None:
        """Make sure they do not exist; the ZedToken of the last write, None without tuples."""
        return self.write((), tuples, deadline)

    def write(
        self,
        touched: Sequence[RelationTuple],
        deleted: Sequence[RelationTuple],
        deadline: Deadline,
    ) -> str | None:
        """Both in as few calls as SpiceDB allows; no tuple may be in both, or twice in one."""
        updates = [_update(one, RelationshipUpdate.OPERATION_TOUCH) for one in touched]
        updates += [_update(one, RelationshipUpdate.OPERATION_DELETE) for one in deleted]
        token: str | None = None
        for start in range(0, len(updates), MAX_UPDATES):
            request = WriteRelationshipsRequest(updates=updates[start : start + MAX_UPDATES])
            token = str(self._call("WriteRelationships", request, deadline).written_at.token)
        return token

    def purge(self, resource: str, deadline: Deadline) -> str:
        """Delete every tuple of ``resource``; the ZedToken of that."""
        kind, _, object_id = resource.partition(":")
        chosen = RelationshipFilter(resource_type=kind, optional_resource_id=object_id)
        if not kind or not object_id:
            # To SpiceDB an empty id means all of them.
            raise TuplesRefused(Undecided(grpc.StatusCode.INVALID_ARGUMENT, "no resource"))
        request = DeleteRelationshipsRequest(relationship_filter=chosen)
        return str(self._call("DeleteRelationships", request, deadline).deleted_at.token)

    def _call(self, method: str, request: Any, deadline: Deadline) -> Any:
        try:
            return self._channel.permissions(method, request, deadline)
        except Undecided as undecided:
            raise TuplesRefused(undecided) from undecided


def _update(one: RelationTuple, operation: Any) -> RelationshipUpdate:
    return RelationshipUpdate(operation=operation, relationship=_relationship(one))


def _relationship(one: RelationTuple) -> Relationship:
    # A schema that serves others too may have "group:admins#member" for a subject.
    subject, _, relation = one.subject.partition("#")
    return Relationship(
        resource=_reference(one.resource),
        relation=one.relation,
        subject=SubjectReference(object=_reference(subject), optional_relation=relation),
    )


def _reference(name: str) -> ObjectReference:
    kind, _, object_id = name.partition(":")
    return ObjectReference(object_type=kind, object_id=object_id)
