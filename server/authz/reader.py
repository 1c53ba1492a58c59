"""Reads tuples back: everything of ours that SpiceDB holds."""

from __future__ import annotations

from collections.abc import Iterator

from authzed.api.v1 import (
    Consistency,
    ReadRelationshipsRequest,
    Relationship,
    RelationshipFilter,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.channel import SpiceDbChannel, Undecided
from server.authz.writer import RelationTuple

# The definitions of schema.zed that have relations; a SpiceDB that serves others too has more.
OURS = ("platform", "domain", "node")


class TupleReader:
    """Raises AuthzUnavailable, and nothing else."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def all_of_ours(self, deadline: Deadline) -> Iterator[RelationTuple]:
        """By everything written so far, one stream a definition."""
        for kind in OURS:
            chosen = RelationshipFilter(resource_type=kind)
            yield from self._read(chosen, deadline)

    def of(self, resource: str, deadline: Deadline) -> Iterator[RelationTuple]:
        """Those of one resource."""
        kind, _, object_id = resource.partition(":")
        chosen = RelationshipFilter(resource_type=kind, optional_resource_id=object_id)
        yield from self._read(chosen, deadline)

    def _read(self, chosen: RelationshipFilter, deadline: Deadline) -> Iterator[RelationTuple]:
        request = ReadRelationshipsRequest(
            consistency=Consistency(fully_consistent=True), relationship_filter=chosen
        )
        try:
            for answer in self._channel.stream("ReadRelationships", request, deadline):
                yield _tuple(answer.relationship)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB refuses to be read: {undecided}") from undecided


def _tuple(found: Relationship) -> RelationTuple:
    resource, subject = found.resource, found.subject
    name = f"{subject.object.object_type}:{subject.object.object_id}"
    if subject.optional_relation:
        name = f"{name}#{subject.optional_relation}"
    return RelationTuple(f"{resource.object_type}:{resource.object_id}", found.relation, name)
