"""Audit rows read back: by an auditor of a Domain, and by people, the newest first or by cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
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
        with self._pool.session(deadline) as session:
            found = session.execute(DOMAIN_AUDIT, {**arguments, "settled": _settled(session)})
        return [AuditRecord(*row) for row in found]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The values that a row must have; None passes every value."""

    relation: str | None = None
    outcome: str | None = None
    subject: str | None = None
    object: str | None = None
    correlation_id: str | None = None
    domain_id: str | None = None
    age: timedelta | None = None  # of the oldest row, by the clock of the ledger


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A row as it was written. ``seq`` is its place and the cursor; gaps are legal."""

    seq: int
    occurred_at: datetime
    domain_id: str | None
    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class AuditCount:
    """The number of rows with a value and an outcome, and the time of the newest."""

    value: str
    outcome: str
    rows: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The number of all rows; the counts by relation, subject and object, the largest first."""

    rows: int
    relations: Sequence[AuditCount]
    subjects: Sequence[AuditCount]
    objects: Sequence[AuditCount]


EVERY_ROW = AuditFilter()
# The order of the columns of audit_unknown_values.
UNKNOWN = ("relation", "outcome", "subject", "object", "domain_id")


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

    def summary(self, limit: int, deadline: Deadline, where: AuditFilter) -> AuditSummary:
        """The rows counted; at most ``limit`` counts of each kind."""
        with self._pool.session(deadline) as session:
            # One line at least, because the number of all rows is one.
            arguments = {**asdict(where), "limit": max(1, limit)}
            rows = session.run(statement("audit_summary"), arguments)
        counts: dict[str, list[AuditCount]] = {"relation": [], "subject": [], "object": []}
        for kind, *columns in rows:
            if kind != "all":
                counts[kind].append(AuditCount(*columns))
        total = next(row[3] for row in rows if row[0] == "all")
        return AuditSummary(
            rows=total,
            relations=counts["relation"][:limit],
            subjects=counts["subject"][:limit],
            objects=counts["object"][:limit],
        )

    def unknown(self, deadline: Deadline, where: AuditFilter) -> list[str]:
        """The fields of the filter whose value no row has, and no Node or Domain."""
        with self._pool.session(deadline) as session:
            (flags,) = session.run(statement("audit_unknown_values"), asdict(where))
        return [name for name, is_unknown in zip(UNKNOWN, flags, strict=True) if is_unknown]

    def _read(
        self, name: str, arguments: dict[str, object], deadline: Deadline
    ) -> list[AuditEntry]:
        with self._pool.session(deadline) as session:
            found = session.run(statement(name), {**arguments, "settled": _settled(session)})
        return [AuditEntry(*row) for row in found]


def _settled(session: ReadSession) -> int:
    """The ``seq`` up to which no row can be added any more."""
    settled: int = session.run(statement("audit_settled"))[0][0]
    return settled
