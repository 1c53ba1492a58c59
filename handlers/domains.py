"""CreateDomain, ListDomains, GetDomain, DeleteDomain and ListDomainNodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from composer.durations import parse_duration
from composer.errors import InvalidReachabilityPolicy
from composer.identity import NIL, AddressedDomain, VisibleDomains, domain_object
from composer.reachability import ReachabilityPolicy, reachability_policy
from composer.registry import DomainPage, NewDomain, mesh_range, node_cursor, node_of_cursor
from handlers.answers import NO_CONTENT, Answer
from handlers.operation import Request
from handlers.refusals import (
    INVALID_CURSOR,
    INVALID_DOMAIN,
    INVALID_REACHABILITY_POLICY,
    Refused,
)
from handlers.wire_registry import domain_page, domain_value, node_page


def new_domain(addressed: None, body: Mapping[str, Any]) -> NewDomain:
    """The Domain to create. No schema can check an address range."""
    try:
        return NewDomain(
            name=body["name"],
            slug=body["slug"],
            mesh_cidr=mesh_range(body["mesh_cidr"]),
            description=body.get("description"),
            region=body.get("region"),
            reachability=_reachability_policy(body.get("reachability", {})),
        )
    except ValueError as error:
        raise Refused(INVALID_DOMAIN, f"mesh_cidr: {error}") from error


def _reachability_policy(durations: Mapping[str, str]) -> ReachabilityPolicy | None:
    names = ("heartbeat_interval", "stale_after", "unreachable_after")
    try:
        texts = (durations.get(name) for name in names)
        return reachability_policy(
            *(None if text is None else parse_duration(text) for text in texts)
        )
    except (ValueError, InvalidReachabilityPolicy) as error:
        raise Refused(INVALID_REACHABILITY_POLICY, f"reachability: {error}") from error


def create_domain(request: Request, addressed: None, parsed: NewDomain) -> Answer:
    """201 with the Domain; 200 where an earlier request with the same Idempotency-Key made it.

    Relationships that cannot be written now stay in the outbox. The same request tries them again.
    """
    ports, deadline = request.ports, request.deadline
    key = request.call.idempotency_key
    created = ports.domain_registry.create(parsed, key, request.write, deadline)
    ports.outbox.deliver(domain_object(created.domain_id), deadline)
    domain = ports.domain_reader.read(created.domain_id, deadline)
    headers = {"Location": f"/v1/domains/{domain.id}"}
    return Answer(201 if created.is_new else 200, domain_value(domain), headers=headers)


def get_domain(request: Request, domain: AddressedDomain) -> Answer:
    """The Domain's row."""
    return Answer(200, domain_value(request.ports.domain_reader.read(domain.id, request.deadline)))


def delete_domain(request: Request, domain: AddressedDomain) -> Answer:
    """204 when the Domain, the roles in it and its relationships are deleted."""
    request.ports.domain_registry.delete(domain.id, request.write, request.deadline)
    request.ports.outbox.deliver(domain_object(domain.id), request.deadline)
    return NO_CONTENT


@dataclass(frozen=True, slots=True)
class DomainsPage:
    """Up to ``limit`` Domains by id, those above ``after`` or from the first."""

    after: UUID | None
    limit: int


def domains_page(addressed: None, limit: int, cursor: str | None = None) -> DomainsPage:
    """The requested page. A cursor of this list is bound to the nil UUID."""
    try:
        return DomainsPage(None if cursor is None else node_of_cursor(cursor, NIL), limit)
    except ValueError as error:
        raise Refused(INVALID_CURSOR, f"cursor: {error}") from error


def list_domains(request: Request, visible: VisibleDomains, parsed: DomainsPage) -> Answer:
    """One page of Domains, and the cursor of the next page where there is one."""
    # One more Domain than requested shows whether another page follows.
    domains = request.ports.domain_reader.page(
        visible, parsed.after, parsed.limit + 1, request.deadline
    )
    items = tuple(domains[: parsed.limit])
    next_cursor = node_cursor(NIL, items[-1].id) if len(domains) > parsed.limit else None
    return Answer(200, domain_page(DomainPage(items, next_cursor)))


@dataclass(frozen=True, slots=True)
class NodesPage:
    """Up to ``limit`` Nodes by id, above ``after`` or from the first."""

    after: UUID | None
    limit: int


def nodes_page(domain_id: UUID, limit: int, cursor: str | None = None) -> NodesPage:
    """The requested page."""
    try:
        return NodesPage(None if cursor is None else node_of_cursor(cursor, domain_id), limit)
    except ValueError as error:
        raise Refused(INVALID_CURSOR, f"cursor: {error}") from error


def list_domain_nodes(request: Request, domain: AddressedDomain, parsed: NodesPage) -> Answer:
    """One page of Nodes, and the cursor of the next page where there is one."""
    # One more Node than requested shows whether another page follows.
    nodes = request.ports.domain_nodes.page(
        domain.id, parsed.after, parsed.limit + 1, request.deadline
    )
    items = nodes[: parsed.limit]
    next_cursor = node_cursor(domain.id, items[-1].id) if len(nodes) > parsed.limit else None
    return Answer(200, node_page(domain.id, items, next_cursor))
