"""The HeartbeatSink on Postgres: one short statement a heartbeat."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ClockSkew, NodeNotFound
from composer.heartbeat import MAX_CLOCK_SKEW, HeartbeatResult
from db.ahead import Ahead, real_time
from db.statements import Prepared
from db.write_pool import WritePool

NODE_HEARTBEAT = Prepared("node_heartbeat")


class PostgresHeartbeats:
    """Implements composer.heartbeat.HeartbeatSink."""

    def __init__(self, pool: WritePool, ahead: Ahead = real_time) -> None:
        """``ahead`` is how far time is moved; only tests move it."""
        self._pool = pool
        self._ahead = ahead

    def heartbeat(
        self, node_id: UUID, client_now: datetime, decided_at: str | None, deadline: Deadline
    ) -> HeartbeatResult:
        """See composer.heartbeat.HeartbeatSink."""
        arguments = {
            "node_id": str(node_id),
            "client_now": client_now.isoformat(),
            "max_skew": MAX_CLOCK_SKEW,
            "time_offset": self._ahead(),
            "decided_at": decided_at,
        }
        found = self._pool.repeatable(NODE_HEARTBEAT, arguments, deadline)
        at, in_step, is_written, is_there, token = found[0]
        if not is_there:
            raise NodeNotFound(f"node_id={node_id}")
        if not in_step and token in (None, decided_at):
            raise ClockSkew(f"node_id={node_id}")
        return HeartbeatResult(at.astimezone(UTC) if is_written else None, token)
