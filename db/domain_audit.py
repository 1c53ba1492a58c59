"""The DomainAuditReader on Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from composer.audit import AuditQuery, AuditRecord
from composer.deadline import Deadline
from db.pool import ReadPool
from db.statements import Prepared

DOMAIN_AUDIT = Prepared("domain_audit")


class PostgresDomainAuditReader:
    """Implements composer.audit.DomainAuditReader."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def page(
        self, domain_id: UUID, query: AuditQuery, after: int, limit: int, deadline: Deadline
    ) -> Sequence[AuditRecord]:
        """See composer.audit.DomainAuditReader."""
        arguments = {
            "domain_id": str(domain_id),
            "after": after,
            "limit": limit,
            "relation": query.relation,
            "outcome": query.outcome,
            "subject": query.subject,
            "object": query.object,
            "correlation_id": query.correlation_id,
            "since": query.since and query.since.isoformat(),
            "until": query.until and query.until.isoformat(),
        }
        return [AuditRecord(*row) for row in self._pool.fetch(DOMAIN_AUDIT, arguments, deadline)]
