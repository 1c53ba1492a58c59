"""The DomainNodes on Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from composer.deadline import Deadline
from composer.identity import NIL
from composer.registry import NodeSummary
from db.pool import ReadPool
from db.statements import Prepared

DOMAIN_NODES = Prepared("domain_nodes")


class PostgresDomainNodes:
    """Implements composer.registry.DomainNodes."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def page(
        self, domain_id: UUID, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        """See composer.registry.DomainNodes."""
        arguments = {"domain_id": str(domain_id), "after": str(after or NIL), "limit": limit}
        found = self._pool.fetch(DOMAIN_NODES, arguments, deadline)
        return [NodeSummary(UUID(row[0]), *row[1:]) for row in found]
