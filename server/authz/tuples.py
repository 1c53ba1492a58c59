"""Relation tuples in SpiceDB: their value, the writer and the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from authzed.api.v1 import (
    Consistency,
    ObjectReference,
    Precondition,
    ReadRelationshipsRequest,
    Relationship,
    RelationshipFilter,
    RelationshipUpdate,
    SubjectFilter,
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


@dataclass(frozen=True, slots=True)
class Fence:
    """The number of the last change of ``object`` in SpiceDB, None before the first change.

    SpiceDB accepts a write only while the number is right, and the write changes it to ``next``. So
    a write that the network delivers after a later one is refused.
    """

    object: str
    last: int | None

    @property
    def next(self) -> int:
        """The number after the write."""
        return 1 if self.last is None else self.last + 1


class TuplesRefused(AuthzUnavailable):
    """SpiceDB answered and does not accept these tuples.

    ``for_good`` when it never will. Otherwise the last change of a Fence is another one, or the
    schema lacks a name of the tuples, and a later schema may have it.
    """

    def __init__(self, undecided: Undecided) -> None:
        super().__init__(f"SpiceDB refuses the write: {undecided}")
        self.for_good = undecided.status is grpc.StatusCode.INVALID_ARGUMENT


class TupleWriter:
    """Idempotent writes. Raises AuthzUnavailable, as TuplesRefused where SpiceDB did answer."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel
        self._reader = TupleReader(channel)

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
        fences: Sequence[Fence] = (),
    ) -> str | None:
        """Write all tuples in as few calls as SpiceDB allows; each tuple may occur only once.

        At most ``MAX_UPDATES / 2`` fences.
        """
        updates = [_update(relation, RelationshipUpdate.OPERATION_TOUCH) for relation in touched]
        updates += [_update(relation, RelationshipUpdate.OPERATION_DELETE) for relation in deleted]
        updates += [update for fence in fences for update in _fence_updates(fence)]
        conditions = [_last_change_is(fence) for fence in fences]
        token: str | None = None
        # The first call takes the remainder and every other is full. So all numbers change in the
        # last call: they tell that all is written, and no condition fails because of an own call.
        first = len(updates) % MAX_UPDATES or MAX_UPDATES
        for end in range(first, len(updates) + 1, MAX_UPDATES):
            request = WriteRelationshipsRequest(
                updates=updates[max(0, end - MAX_UPDATES) : end], optional_preconditions=conditions
            )
            token = str(self._call("WriteRelationships", request, deadline).written_at.token)
        return token

    def tuples_of(self, resource: str, deadline: Deadline) -> list[RelationTuple]:
        """Every tuple of ``resource``, to delete them."""
        return list(self._reader.of_resource(resource, deadline))

    def last_change(self, object: str, deadline: Deadline) -> int | None:
        """The number of the last change of ``object`` that SpiceDB has."""
        request = ReadRelationshipsRequest(
            consistency=Consistency(fully_consistent=True),
            relationship_filter=_fence_tuples(object),
        )
        try:
            answers = list(self._channel.stream("ReadRelationships", request, deadline))
        except Undecided as undecided:
            raise TuplesRefused(undecided) from undecided
        numbers = [int(answer.relationship.subject.object.object_id) for answer in answers]
        return max(numbers, default=None)

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

    def of_resource(self, resource: str, deadline: Deadline) -> Iterator[RelationTuple]:
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


def fence_tuple(object: str, number: int) -> RelationTuple:
    """The tuple that stores the number of an object's last change."""
    return RelationTuple(f"fence:{_fence_id(object)}", "last_change", f"fence:{number}")


def object_reference(name: str) -> ObjectReference:
    """``kind:id`` as a part of a request."""
    kind, _, object_id = name.partition(":")
    return ObjectReference(object_type=kind, object_id=object_id)


def _tuples_of(resource: str) -> RelationshipFilter:
    kind, _, object_id = resource.partition(":")
    return RelationshipFilter(resource_type=kind, optional_resource_id=object_id)


def _fence_id(object: str) -> str:
    return object.replace(":", "/")


def _fence_tuples(object: str, number: int | None = None) -> RelationshipFilter:
    subject = None
    if number is not None:
        subject = SubjectFilter(subject_type="fence", optional_subject_id=str(number))
    return RelationshipFilter(
        resource_type="fence",
        optional_resource_id=_fence_id(object),
        optional_relation="last_change",
        optional_subject_filter=subject,
    )


def _last_change_is(fence: Fence) -> Precondition:
    must_match, must_not = Precondition.OPERATION_MUST_MATCH, Precondition.OPERATION_MUST_NOT_MATCH
    return Precondition(
        operation=must_not if fence.last is None else must_match,
        filter=_fence_tuples(fence.object, fence.last),
    )


def _fence_updates(fence: Fence) -> Iterator[RelationshipUpdate]:
    if fence.last is not None:
        last = fence_tuple(fence.object, fence.last)
        yield _update(last, RelationshipUpdate.OPERATION_DELETE)
    yield _update(fence_tuple(fence.object, fence.next), RelationshipUpdate.OPERATION_TOUCH)


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
