"""Domains on Postgres: the look-up of the addressed Domain, Domains read, the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.errors import (
    ComposerError,
    DomainNotEmpty,
    DomainNotFound,
    DomainSlugConflict,
    IdempotencyKeyConflict,
    MeshCidrOverlap,
)
from composer.event_keys import EventKeySource
from composer.identity import NIL, AddressedDomain, VisibleDomains
from composer.reachability import DEFAULT_POLICY, ReachabilityPolicy
from composer.registry import ChildCounts, CreatedDomain, Domain, DomainChange, NewDomain
from db.audit import write_arguments
from db.clock import TimeOffset, no_offset
from db.connections import ReadSession, Sessions, WriteSession
from db.statements import Prepared

DOMAIN_BY_ID = Prepared("domain_by_id")
DOMAIN_READ = Prepared("domain_read")
DOMAIN_PAGE = Prepared("domain_page")
CREATE_DOMAIN = Prepared("create_domain")
NEW_DOMAIN_ID = Prepared("new_domain_id")
UPDATE_DOMAIN = Prepared("update_domain")
DELETE_DOMAIN = Prepared("delete_domain")

# The outcomes of the function of migration 0013 that are refusals.
_REFUSALS: Mapping[str, type[ComposerError]] = {
    "idempotency_key_conflict": IdempotencyKeyConflict,
    "domain_slug_conflict": DomainSlugConflict,
    "mesh_cidr_overlap": MeshCidrOverlap,
}


class PostgresDomainRepo:
    """Implements composer.identity.DomainRepo."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
        self._pool = pool

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        """See composer.identity.DomainRepo."""
        found = self._pool.fetch(DOMAIN_BY_ID, {"domain_id": str(domain_id)}, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        return AddressedDomain(domain_id, found[0][0])


class PostgresDomainReader:
    """Implements composer.registry.DomainReader."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
        self._pool = pool

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        """See composer.registry.DomainReader."""
        found = self._pool.fetch(DOMAIN_READ, {"domain_id": str(domain_id)}, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        return _domain(domain_id, found[0])

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[Domain]:
        """See composer.registry.DomainReader."""
        ids = None if visible.ids is None else [str(domain_id) for domain_id in visible.ids]
        arguments = {"visible": ids, "after": str(after or NIL), "limit": limit}
        found = self._pool.fetch(DOMAIN_PAGE, arguments, deadline)
        return [_domain(UUID(domain_id), row) for domain_id, *row in found]


def _domain(domain_id: UUID, row: Sequence[Any]) -> Domain:
    name, slug, description, region, mesh_cidr, created_at, updated_at, nodes, *durations = row
    return Domain(
        id=domain_id,
        name=name,
        slug=slug,
        description=description,
        region=region,
        mesh_cidr=mesh_cidr,
        created_at=created_at,
        updated_at=updated_at,
        reachability=DEFAULT_POLICY if durations[0] is None else ReachabilityPolicy(*durations),
        child_counts=ChildCounts(nodes),
    )


class PostgresDomainRegistry:
    """Implements composer.registry.DomainRegistry.

    A write is one function call, so one transaction.
    """

    def __init__(
        self,
        pool: Sessions[WriteSession],
        time_offset: TimeOffset = no_offset,
        event_keys: EventKeySource | None = None,
    ) -> None:
        """Without ``event_keys`` a new Domain gets no event key."""
        self._pool = pool
        self._time_offset = time_offset
        self._event_keys = event_keys

    def create(
        self, domain: NewDomain, key: str | None, write: AuditedWrite, deadline: Deadline
    ) -> CreatedDomain:
        """See composer.registry.DomainRegistry."""
        policy = domain.reachability
        arguments = {
            "name": domain.name,
            "slug": domain.slug,
            "mesh_cidr": domain.mesh_cidr,
            "description": domain.description,
            "region": domain.region,
            "heartbeat_interval": policy and policy.heartbeat_interval,
            "stale_after": policy and policy.stale_after,
            "unreachable_after": policy and policy.unreachable_after,
            # A second run must find its own Domain, not a conflict. No client can send a key with a
            # space in it.
            "request_key": key or f"once {uuid4()}",
            "request_meaning": domain.request_hash,
            "time_offset": self._time_offset(),
            **write_arguments(write, repeat=True),
            **self._event_key(deadline),
        }
        outcome, domain_id = self._pool.fetch(CREATE_DOMAIN, arguments, deadline)[0]
        error = _REFUSALS.get(outcome)
        if error is not None:
            raise error(f"slug={domain.slug}")
        return CreatedDomain(UUID(domain_id), is_new=outcome == "created")

    def _event_key(self, deadline: Deadline) -> dict[str, object]:
        """An id for a new Domain, and an event key that is bound to it; all None without keys."""
        names = ("domain_id", "event_key_id", "event_public_key", "event_private_key")
        if self._event_keys is None:
            return dict.fromkeys(names)
        arguments = {"time_offset": self._time_offset()}
        domain_id = self._pool.fetch(NEW_DOMAIN_ID, arguments, deadline)[0][0]
        key = self._event_keys.new(UUID(domain_id))
        return dict(
            zip(names, (domain_id, key.id, key.public_key, key.encrypted_private_key), strict=True)
        )

    def update(
        self, domain_id: UUID, change: DomainChange, write: AuditedWrite, deadline: Deadline
    ) -> None:
        """See composer.registry.DomainRegistry."""
        policy = change.reachability
        arguments = {
            "domain_id": str(domain_id),
            "name": change.name,
            "description": change.description,
            "region": change.region,
            "sets_policy": change.sets_reachability,
            "heartbeat_interval": policy and policy.heartbeat_interval,
            "stale_after": policy and policy.stale_after,
            "unreachable_after": policy and policy.unreachable_after,
            "time_offset": self._time_offset(),
            **write_arguments(write),
        }
        outcome = self._pool.fetch(UPDATE_DOMAIN, arguments, deadline)[0][0]
        if outcome == "domain_not_found":
            raise DomainNotFound(f"domain_id={domain_id}")

    def delete(self, domain_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """See composer.registry.DomainRegistry."""
        arguments = {"domain_id": str(domain_id), **write_arguments(write)}
        outcome, nodes = self._pool.fetch(DELETE_DOMAIN, arguments, deadline)[0]
        if outcome == "domain_not_empty":
            raise DomainNotEmpty(f"domain_id={domain_id}", nodes)
