"""The audit rows, for people: newest first, and what comes after a cursor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from composer.deadline import Deadline
from db.pool import ReadPool
from db.statements import statement


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What a row must have; None is anything."""

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


EVERYTHING = AuditFilter()


class AuditReader:
    """Reads ``plexsphere.audit_rows``. Raises DatastoreUnavailable."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def newest(
        self, limit: int, deadline: Deadline, where: AuditFilter = EVERYTHING
    ) -> list[AuditEntry]:
        """The last ``limit`` rows, newest first."""
        return self._read("audit_newest", {**asdict(where), "limit": limit}, deadline)

    def after(
        self, seq: int, limit: int, deadline: Deadline, where: AuditFilter = EVERYTHING
    ) -> list[AuditEntry]:
        """The first ``limit`` rows past ``seq``, oldest first; none is ever committed behind it."""
        arguments = {**asdict(where), "after": seq, "limit": limit}
        return self._read("audit_after", arguments, deadline)

    def _read(
        self, name: str, arguments: dict[str, object], deadline: Deadline
    ) -> list[AuditEntry]:
        with self._pool.connection(deadline) as reading:
            return [AuditEntry(*row) for row in reading.run(statement(name), arguments)]
