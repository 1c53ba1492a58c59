"""The DomainRegistry on Postgres: one function call a write, so one round trip and one
transaction."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid4

from composer.deadline import Deadline
from composer.errors import (
    ComposerError,
    DomainNotEmpty,
    DomainSlugConflict,
    IdempotencyKeyConflict,
    MeshCidrOverlap,
)
from composer.registry import Created, NewDomain
from db.ahead import Ahead, real_time
from db.statements import Prepared
from db.write_pool import WritePool

CREATE_DOMAIN = Prepared("create_domain")
DELETE_DOMAIN = Prepared("delete_domain")

# What the functions of migration 0009 call their outcomes.
_REFUSED: Mapping[str, type[ComposerError]] = {
    "idempotency_key_conflict": IdempotencyKeyConflict,
    "domain_slug_conflict": DomainSlugConflict,
    "mesh_cidr_overlap": MeshCidrOverlap,
}


class PostgresDomainRegistry:
    """Implements composer.registry.DomainRegistry."""

    def __init__(self, pool: WritePool, ahead: Ahead = real_time) -> None:
        """``ahead`` is how far time is moved; only tests move it."""
        self._pool = pool
        self._ahead = ahead

    def create(self, wanted: NewDomain, key: str | None, deadline: Deadline) -> Created:
        """See composer.registry.DomainRegistry."""
        policy = wanted.reachability
        arguments = {
            "name": wanted.name,
            "slug": wanted.slug,
            "mesh_cidr": wanted.mesh_cidr,
            "description": wanted.description,
            "region": wanted.region,
            "heartbeat_interval": policy and policy.heartbeat_interval,
            "stale_after": policy and policy.stale_after,
            "unreachable_after": policy and policy.unreachable_after,
            # a second run is to find its own Domain, not a conflict; the wire knows no key with a
            # space in it
            "request_key": key or f"once {uuid4()}",
            "request_meaning": wanted.meaning,
            "time_offset": self._ahead(),
        }
        outcome, domain_id = self._pool.repeatable(CREATE_DOMAIN, arguments, deadline)[0]
        error = _REFUSED.get(outcome)
        if error is not None:
            raise error(f"slug={wanted.slug}")
        return Created(UUID(domain_id), is_new=outcome == "created")

    def delete(self, domain_id: UUID, deadline: Deadline) -> None:
        """See composer.registry.DomainRegistry."""
        found = self._pool.repeatable(DELETE_DOMAIN, {"domain_id": str(domain_id)}, deadline)
        outcome, nodes = found[0]
        if outcome == "domain_not_empty":
            raise DomainNotEmpty(f"domain_id={domain_id}", nodes)
