"""Audit rows read back: by an auditor of a Domain, and by people, the newest first or by cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from composer.audit import AuditQuery, AuditRecord
from composer.deadline import Deadline
from db.connections import ReadSession, Sessions
from db.statements import Prepared, statement

DOMAIN_AUDIT = Prepared("domain_audit")


class PostgresDomainAuditReader:
    """Implements composer.audit.DomainAuditReader."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
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


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The values that a row must have; None passes every value."""

    relation: str | None = None
    outcome: str | None = None
    subject: str | None = None
    object: str | None = None
    correlation_id: str | None = None
    domain_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row as it was written. ``seq`` grows in commit order and is the cursor; gaps are legal."""

    seq: int
    occurred_at: datetime
    domain_id: str | None
    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None


EVERY_ROW = AuditFilter()


class AuditReader:
    """Every audit row, for people. Every method raises DatastoreUnavailable."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
        self._pool = pool

    def newest(
        self, limit: int, deadline: Deadline, where: AuditFilter = EVERY_ROW
    ) -> list[AuditEntry]:
        """The last ``limit`` rows, newest first."""
        return self._read("audit_newest", {**asdict(where), "limit": limit}, deadline)

    def after(
        self, seq: int, limit: int, deadline: Deadline, where: AuditFilter = EVERY_ROW
    ) -> list[AuditEntry]:
        """The first ``limit`` rows after ``seq``, oldest first; no row is committed before them."""
        arguments = {**asdict(where), "after": seq, "limit": limit}
        return self._read("audit_after", arguments, deadline)

    def _read(
        self, name: str, arguments: dict[str, object], deadline: Deadline
    ) -> list[AuditEntry]:
        with self._pool.session(deadline) as session:
            return [AuditEntry(*row) for row in session.run(statement(name), arguments)]
