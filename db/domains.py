"""The DomainRepo and the DomainReader on Postgres."""

from __future__ import annotations

from uuid import UUID

from composer.deadline import Deadline
from composer.errors import DomainNotFound
from composer.identity import AddressedDomain
from composer.reachability import ReachabilityPolicy
from composer.registry import Domain
from db.pool import ReadPool
from db.statements import Prepared

DOMAIN_BY_ID = Prepared("domain_by_id")
DOMAIN_READ = Prepared("domain_read")


class PostgresDomainRepo:
    """Implements composer.identity.DomainRepo."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        """See composer.identity.DomainRepo."""
        found = self._pool.fetch(DOMAIN_BY_ID, {"domain_id": str(domain_id)}, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        return AddressedDomain(domain_id, found[0][0])


class PostgresDomainReader:
    """Implements composer.registry.DomainReader."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        """See composer.registry.DomainReader."""
        found = self._pool.fetch(DOMAIN_READ, {"domain_id": str(domain_id)}, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        row = found[0]
        policy = None if row[7] is None else ReachabilityPolicy(*row[7:])
        return Domain(domain_id, *row[1:7], policy)
