"""Small fakes of the ports that read Domains, for unit tests only."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from composer.audit import AuditQuery, AuditRecord
from composer.deadline import Deadline
from composer.errors import (
    DatastoreUnavailable,
    DomainNotFound,
)
from composer.identity import (
    NIL,
    AddressedDomain,
    VisibleDomains,
)
from composer.registry import Domain
from tests.fakes import raise_if_late


@dataclass
class FakeDomainRepo:
    """Holds Domains by id."""

    domains: dict[UUID, AddressedDomain] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        self.calls.append(domain_id)
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id not in self.domains:
            raise DomainNotFound(f"domain_id={domain_id}")
        return self.domains[domain_id]


@dataclass
class FakeDomainReader:
    """Holds Domains' rows by id."""

    rows: dict[UUID, Domain] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        self.calls.append(domain_id)
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id not in self.rows:
            raise DomainNotFound(f"domain_id={domain_id}")
        return self.rows[domain_id]

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> list[Domain]:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        above = NIL if after is None else after
        shown = [
            row
            for domain_id, row in sorted(self.rows.items())
            if domain_id > above and (visible.ids is None or domain_id in visible.ids)
        ]
        return shown[:limit]


@dataclass
class FakeDomainAuditReader:
    """Holds the rows of Domains, each in the order of its sequence."""

    rows: dict[UUID, list[AuditRecord]] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[tuple[UUID, AuditQuery, int, int]] = field(default_factory=list)

    def page(
        self, domain_id: UUID, query: AuditQuery, after: int, limit: int, deadline: Deadline
    ) -> list[AuditRecord]:
        self.calls.append((domain_id, query, after, limit))
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        rows = self.rows.get(domain_id, [])
        return [row for row in rows if row.seq > after and _is_asked_for(row, query)][:limit]


def _is_asked_for(row: AuditRecord, query: AuditQuery) -> bool:
    names = ("relation", "outcome", "subject", "object", "correlation_id")
    return (
        all(getattr(query, name) in (None, getattr(row, name)) for name in names)
        and (query.since is None or row.occurred_at >= query.since)
        and (query.until is None or row.occurred_at < query.until)
    )
