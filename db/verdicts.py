"""The ReachabilityRepo on Postgres: one Node's liveness columns."""

from __future__ import annotations

from uuid import UUID

from composer.deadline import Deadline
from composer.errors import CorruptLedger, NodeNotFound
from composer.reachability import ReachabilityRow
from db import rows
from db.pool import ReadPool
from db.statements import Prepared

REACHABILITY_OF_NODE = Prepared("reachability_of_node")


class PostgresReachabilityRepo:
    """Implements composer.reachability.ReachabilityRepo."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def of_node(self, node_id: UUID, deadline: Deadline) -> ReachabilityRow:
        """See composer.reachability.ReachabilityRepo."""
        found = self._pool.fetch(REACHABILITY_OF_NODE, {"node_id": str(node_id)}, deadline)
        if not found:
            raise NodeNotFound(f"node_id={node_id}")
        try:
            return rows.reachability_row(found[0][0])
        except rows.UNDECODABLE as cause:
            raise CorruptLedger(f"node_id={node_id} rows=reachability") from cause
