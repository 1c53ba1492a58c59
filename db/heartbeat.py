"""Heartbeats on Postgres: one short statement each."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ClockSkew, NodeNotFound
from composer.heartbeat import MAX_CLOCK_SKEW, HeartbeatResult
from composer.identity import AddressedNode, Principal, node_object
from db.clock import TimeOffset, no_offset
from db.connections import Sessions, WriteSession
from db.statements import Prepared

NODE_HEARTBEAT = Prepared("node_heartbeat")


class PostgresHeartbeats:
    """Implements composer.heartbeat.HeartbeatSink."""

    def __init__(self, pool: Sessions[WriteSession], time_offset: TimeOffset = no_offset) -> None:
        self._pool = pool
        self._time_offset = time_offset

    def heartbeat(
        self,
        principal: Principal,
        node_id: UUID,
        client_now: datetime,
        last_token: str | None,
        deadline: Deadline,
    ) -> HeartbeatResult:
        """See composer.heartbeat.HeartbeatSink."""
        arguments = {
            "node_id": str(node_id),
            "client_now": client_now.isoformat(),
            "max_skew": MAX_CLOCK_SKEW,
            "time_offset": self._time_offset(),
            "last_token": last_token,
            "is_the_node": principal.subject == node_object(node_id),
            "secret_key_digest": principal.credential.secret_key_digest,
            "issued_at": principal.credential.issued_at,
        }
        found = self._pool.fetch(NODE_HEARTBEAT, arguments, deadline)
        at, clocks_agree, is_written, domain_id, token, digests, tokens_not_before = found[0]
        if domain_id is None:
            raise NodeNotFound(f"node_id={node_id}")
        node = AddressedNode(
            id=node_id,
            domain_id=UUID(domain_id),
            authz_token=token,
            secret_key_digests=tuple(map(bytes, digests)),
            tokens_not_before=tokens_not_before,
        )
        if not is_written:
            node.check_credential(principal)
        if not clocks_agree and token in (None, last_token):
            raise ClockSkew(f"node_id={node_id}")
        return HeartbeatResult(at.astimezone(UTC) if is_written else None, token)
