"""The NodeRepo on Postgres (gate 3)."""

from __future__ import annotations

from uuid import UUID

from composer.deadline import Deadline
from composer.errors import NodeNotFound
from composer.identity import AddressedNode
from db.pool import ReadPool
from db.statements import Prepared

NODE_BY_ID = Prepared("node_by_id")


class PostgresNodeRepo:
    """Implements composer.identity.NodeRepo."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """See composer.identity.NodeRepo."""
        found = self._pool.fetch(NODE_BY_ID, {"node_id": str(node_id)}, deadline)
        if not found:
            raise NodeNotFound(f"node_id={node_id}")
        domain_id, authz_token = found[0]
        return AddressedNode(node_id, UUID(domain_id), authz_token)
