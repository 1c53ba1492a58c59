"""What doctor, /readyz and the development stack ask of SpiceDB beside decisions."""

from __future__ import annotations

import grpc
from authzed.api.v1 import (
    CheckPermissionRequest,
    Consistency,
    ObjectReference,
    ReadSchemaRequest,
    SubjectReference,
    WriteSchemaRequest,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import NIL
from server.authz.channel import SpiceDbChannel, Undecided


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
        """The schema in SpiceDB's own formatting; None when none was ever written."""
        try:
            answer = self._channel.schema("ReadSchema", ReadSchemaRequest(), deadline)
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.NOT_FOUND:
                return None
            raise AuthzUnavailable(f"SpiceDB refuses to read: {undecided}") from undecided
        return str(answer.schema_text)

    def ping(self, deadline: Deadline) -> None:
        """One real decision about the nil Node: proves connection, key, datastore and schema."""
        nobody = ObjectReference(object_type="node", object_id=str(NIL))
        request = CheckPermissionRequest(
            # Quantized revisions may lie before the schema; a cached one proves no datastore.
            consistency=Consistency(fully_consistent=True),
            resource=nobody,
            permission="node_agent",
            subject=SubjectReference(object=nobody),
        )
        try:
            self._channel.permissions("CheckPermission", request, deadline)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB lacks the schema: {undecided}") from undecided
