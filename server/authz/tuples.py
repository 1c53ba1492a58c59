"""Relation tuples in SpiceDB: their value, the writer and the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from authzed.api.v1 import (
    Consistency,
    DeleteRelationshipsRequest,
    ObjectReference,
    ReadRelationshipsRequest,
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
# The definitions of schema.zed that have relations; a shared SpiceDB has other definitions too.
OUR_DEFINITIONS = ("platform", "domain", "node")


@dataclass(frozen=True, slots=True)
class RelationTuple:
    """``resource#relation@subject``, spelled as SpiceDB spells it (``node:<uuid>``, ``agent``)."""

    resource: str
    relation: str
    subject: str


class TuplesRefused(AuthzUnavailable):
    """SpiceDB answered and does not accept these tuples.

    ``for_good`` when it never will; otherwise its schema lacks a name of theirs, and a later schema
    may have it.
    """

    def __init__(self, undecided: Undecided) -> None:
        super().__init__(f"SpiceDB refuses the write: {undecided}")
        self.for_good = undecided.status is grpc.StatusCode.INVALID_ARGUMENT


class TupleWriter:
    """Idempotent writes. Raises AuthzUnavailable, as TuplesRefused where SpiceDB did answer."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def touch(self, tuples: Sequence[RelationTuple], deadline: Deadline) -> str | None:
        """Make sure that they exist; the ZedToken of the last write, None without tuples."""
        return self.write(tuples, (), deadline)

    def delete(self, tuples: Sequence[RelationTuple], deadline: Deadline) -> str | None:
        """Make sure that they do not exist; the ZedToken of the last write, None without tuples."""
        return self.write((), tuples, deadline)

    def write(
        self,
        touched: Sequence[RelationTuple],
        deleted: Sequence[RelationTuple],
        deadline: Deadline,
    ) -> str | None:
        """Both in as few calls as SpiceDB allows; each tuple may occur only once."""
        updates = [_update(relation, RelationshipUpdate.OPERATION_TOUCH) for relation in touched]
        updates += [_update(relation, RelationshipUpdate.OPERATION_DELETE) for relation in deleted]
        token: str | None = None
        for start in range(0, len(updates), MAX_UPDATES):
            request = WriteRelationshipsRequest(updates=updates[start : start + MAX_UPDATES])
            token = str(self._call("WriteRelationships", request, deadline).written_at.token)
        return token

    def purge(self, resource: str, deadline: Deadline) -> str:
        """Delete every tuple of ``resource``; the ZedToken of the deletion."""
        kind, _, object_id = resource.partition(":")
        if not kind or not object_id:
            # SpiceDB reads an empty id as every id.
            raise TuplesRefused(Undecided(grpc.StatusCode.INVALID_ARGUMENT, "no resource"))
        request = DeleteRelationshipsRequest(relationship_filter=_tuples_of(resource))
        return str(self._call("DeleteRelationships", request, deadline).deleted_at.token)

    def _call(self, method: str, request: Any, deadline: Deadline) -> Any:
        try:
            return self._channel.permissions(method, request, deadline)
        except Undecided as undecided:
            raise TuplesRefused(undecided) from undecided


class TupleReader:
    """Reads fully consistent. Raises AuthzUnavailable, and nothing else."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def all_of_ours(self, deadline: Deadline) -> Iterator[RelationTuple]:
        """Every tuple of our definitions, one stream a definition."""
        for kind in OUR_DEFINITIONS:
            yield from self._read(RelationshipFilter(resource_type=kind), deadline)

    def of(self, resource: str, deadline: Deadline) -> Iterator[RelationTuple]:
        """The tuples of one resource."""
        yield from self._read(_tuples_of(resource), deadline)

    def _read(self, selection: RelationshipFilter, deadline: Deadline) -> Iterator[RelationTuple]:
        request = ReadRelationshipsRequest(
            consistency=Consistency(fully_consistent=True), relationship_filter=selection
        )
        try:
            for answer in self._channel.stream("ReadRelationships", request, deadline):
                yield _relation_tuple(answer.relationship)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB refuses the read: {undecided}") from undecided


def object_reference(name: str) -> ObjectReference:
    """``kind:id`` as a part of a request."""
    kind, _, object_id = name.partition(":")
    return ObjectReference(object_type=kind, object_id=object_id)


def _tuples_of(resource: str) -> RelationshipFilter:
    kind, _, object_id = resource.partition(":")
    return RelationshipFilter(resource_type=kind, optional_resource_id=object_id)


def _update(relation: RelationTuple, operation: Any) -> RelationshipUpdate:
    # A schema that serves others too may have "group:admins#member" as a subject.
    subject, _, subject_relation = relation.subject.partition("#")
    relationship = Relationship(
        resource=object_reference(relation.resource),
        relation=relation.relation,
        subject=SubjectReference(
            object=object_reference(subject), optional_relation=subject_relation
        ),
    )
    return RelationshipUpdate(operation=operation, relationship=relationship)


def _relation_tuple(relationship: Relationship) -> RelationTuple:
    resource, subject = relationship.resource, relationship.subject
    name = f"{subject.object.object_type}:{subject.object.object_id}"
    if subject.optional_relation:
        name = f"{name}#{subject.optional_relation}"
    return RelationTuple(
        f"{resource.object_type}:{resource.object_id}", relationship.relation, name
    )
