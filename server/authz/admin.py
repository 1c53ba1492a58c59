"""The schema of SpiceDB, and whether SpiceDB decides: for doctor, /readyz and the stack of
``make run``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from uuid import UUID

import grpc
from authzed.api.v1 import (
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckPermissionRequest,
    Consistency,
    ReadSchemaRequest,
    SubjectReference,
    WriteSchemaRequest,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import NIL, node_object
from server.authz.channel import SpiceDbChannel, Undecided
from server.authz.coalesced import YES
from server.authz.tuples import object_reference

_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DEFINITION = re.compile(r"definition\s+([a-z0-9_/]+)\s*\{([^}]*)\}")
_MEMBER = re.compile(r"^\s*(relation|permission)\s+([a-z0-9_]+)\s*[:=]\s*(.+?)\s*$", re.MULTILINE)


def schema_text() -> str:
    """``schema.zed``, which this version of the service needs."""
    return files("server.authz").joinpath("schema.zed").read_text("utf-8")


def schema_members(text: str) -> frozenset[str]:
    """Every relation and permission as one line, without comments, order and extra spaces."""
    return frozenset(
        f"{definition}: {kind} {name} = {' '.join(expression.split())}"
        for definition, body in _DEFINITION.findall(_COMMENTS.sub("", text))
        for kind, name, expression in _MEMBER.findall(body)
    )


def missing_from(text: str) -> list[str]:
    """The members of ``schema.zed`` that ``text`` lacks or defines otherwise.

    More definitions than ours are allowed: a SpiceDB may serve other systems too.
    """
    return sorted(schema_members(schema_text()) - schema_members(text))


def foreign_definitions(text: str) -> list[str]:
    """The definitions of a schema that are not ours."""
    ours = {name for name, _ in _DEFINITION.findall(_COMMENTS.sub("", schema_text()))}
    return sorted({name for name, _ in _DEFINITION.findall(_COMMENTS.sub("", text))} - ours)


class SpiceDbAdmin:
    """Schema and liveness. Every method raises AuthzUnavailable, and nothing else, on failure."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def write_schema(self, text: str, deadline: Deadline) -> str:
        """Replace the schema; the ZedToken of the write. Refused when tuples would be orphaned."""
        try:
            answer = self._channel.schema("WriteSchema", WriteSchemaRequest(schema=text), deadline)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB refuses the schema: {undecided}") from undecided
        return str(answer.written_at.token)

    def read_schema(self, deadline: Deadline) -> str | None:
        """The schema in SpiceDB's own formatting; None before the first schema."""
        try:
            answer = self._channel.schema("ReadSchema", ReadSchemaRequest(), deadline)
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.NOT_FOUND:
                return None
            raise AuthzUnavailable(f"SpiceDB refuses the read: {undecided}") from undecided
        return str(answer.schema_text)

    def ping(self, deadline: Deadline) -> None:
        """One real decision about the nil Node: proves connection, key, datastore and schema."""
        nil_node = object_reference(node_object(NIL))
        request = CheckPermissionRequest(
            # Quantized revisions may be older than the schema; a cached one proves no datastore.
            consistency=Consistency(fully_consistent=True),
            resource=nil_node,
            permission="node_agent",
            subject=SubjectReference(object=nil_node),
        )
        try:
            self._channel.permissions("CheckPermission", request, deadline)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB lacks the schema: {undecided}") from undecided

    def knows_any(self, nodes: Sequence[UUID], deadline: Deadline) -> bool:
        """Whether any of these Nodes is its own agent by now; True for no Nodes, after a ``ping``.

        A SpiceDB that was emptied, or another one, knows none.
        """
        if not nodes:
            self.ping(deadline)
            return True
        objects = [object_reference(node_object(node)) for node in nodes]
        request = CheckBulkPermissionsRequest(
            consistency=Consistency(fully_consistent=True),
            items=[
                CheckBulkPermissionsRequestItem(
                    resource=node, permission="node_agent", subject=SubjectReference(object=node)
                )
                for node in objects
            ],
        )
        try:
            answer = self._channel.permissions("CheckBulkPermissions", request, deadline)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB lacks the schema: {undecided}") from undecided
        if any(pair.HasField("error") for pair in answer.pairs):
            raise AuthzUnavailable("SpiceDB lacks the schema")
        return any(pair.item.permissionship == YES for pair in answer.pairs)
