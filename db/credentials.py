"""Credentials of Nodes on Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from composer.audit import AuditedWrite
from composer.credentials import NO_DIGEST
from composer.deadline import Deadline
from composer.errors import NodeNotFound
from db.audit import write_arguments
from db.clock import TimeOffset, no_offset
from db.connections import ReadSession, Sessions, WriteSession
from db.statements import Prepared

SECRET_KEY_DIGESTS = Prepared("secret_key_digests")
ROTATE_SECRET_KEY = Prepared("rotate_secret_key")
RECORD_TOKEN = Prepared("record_token")
REVOKE_CREDENTIALS = Prepared("revoke_credentials")


class PostgresNodeCredentials:
    """Implements composer.credentials.NodeCredentials."""

    def __init__(
        self,
        reads: Sessions[ReadSession],
        writes: Sessions[WriteSession],
        time_offset: TimeOffset = no_offset,
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._time_offset = time_offset

    def secret_key_digests(self, node_id: UUID, deadline: Deadline) -> tuple[bytes, ...]:
        """See composer.credentials.NodeCredentials."""
        arguments = {"node_id": str(node_id), "no_digest": NO_DIGEST}
        ((digests,),) = self._reads.fetch(SECRET_KEY_DIGESTS, arguments, deadline)
        return tuple(map(bytes, digests))

    def rotate_secret_key(
        self, node_id: UUID, digest: bytes, write: AuditedWrite, deadline: Deadline
    ) -> None:
        """See composer.credentials.NodeCredentials."""
        arguments = {"digest": digest, **write_arguments(write)}
        self._write(
            statement=ROTATE_SECRET_KEY, node_id=node_id, arguments=arguments, deadline=deadline
        )

    def record_token(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """See composer.credentials.NodeCredentials."""
        self._write(
            statement=RECORD_TOKEN,
            node_id=node_id,
            arguments=write_arguments(write),
            deadline=deadline,
        )

    def revoke(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """See composer.credentials.NodeCredentials."""
        arguments = {"time_offset": self._time_offset(), **write_arguments(write)}
        self._write(
            statement=REVOKE_CREDENTIALS, node_id=node_id, arguments=arguments, deadline=deadline
        )

    def _write(
        self,
        statement: Prepared,
        node_id: UUID,
        arguments: Mapping[str, Any],
        deadline: Deadline,
    ) -> None:
        arguments = {"node_id": str(node_id), **arguments}
        if not self._writes.fetch(statement, arguments, deadline):
            raise NodeNotFound(f"node_id={node_id}")
