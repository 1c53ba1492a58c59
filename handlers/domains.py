"""Domains: created, listed, read, changed and deleted; the lists of Nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from composer.durations import parse_duration
from composer.errors import InvalidReachabilityPolicy
from composer.identity import (
    NIL,
    PLATFORM,
    AddressedDomain,
    VisibleDomains,
    domain_object,
)
from composer.reachability import ReachabilityPolicy, reachability_policy
from composer.registry import (
    EVERY_DOMAIN,
    DomainChange,
    DomainPage,
    NewDomain,
    mesh_range,
    node_cursor,
    node_of_cursor,
)
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
    created = ports.domain_registry.create(
        domain=parsed, key=key, write=request.write, deadline=deadline
    )
    ports.outbox.deliver(domain_object(created.domain_id), deadline)
    domain = ports.domain_reader.read(created.domain_id, deadline)
    headers = {"Location": f"/v1/domains/{domain.id}"}
    return Answer(201 if created.is_new else 200, domain_value(domain), headers=headers)


def get_domain(request: Request, domain: AddressedDomain) -> Answer:
    """The Domain's row."""
    return Answer(200, domain_value(request.ports.domain_reader.read(domain.id, request.deadline)))


def domain_change(domain_id: UUID, body: Mapping[str, Any]) -> DomainChange:
    """The change of a body."""
    return DomainChange(
        name=body.get("name"),
        description=body.get("description"),
        region=body.get("region"),
        reachability=_reachability_policy(body.get("reachability", {})),
        sets_reachability="reachability" in body,
    )


def patch_domain(request: Request, domain: AddressedDomain, parsed: DomainChange) -> Answer:
    """The Domain as it is now."""
    request.ports.domain_registry.update(
        domain_id=domain.id, change=parsed, write=request.write, deadline=request.deadline
    )
    return get_domain(request, domain)


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
        visible=visible, after=parsed.after, limit=parsed.limit + 1, deadline=request.deadline
    )
    items = tuple(domains[: parsed.limit])
    next_cursor = node_cursor(NIL, items[-1].id) if len(domains) > parsed.limit else None
    return Answer(200, domain_page(DomainPage(items, next_cursor)))


@dataclass(frozen=True, slots=True)
class NodesPage:
    """Up to ``limit`` Nodes of a Domain or of all by id, above ``after`` or from the first."""

    domain_id: UUID | None
    after: UUID | None
    limit: int


def nodes_page(domain_id: UUID | None, limit: int, cursor: str | None = None) -> NodesPage:
    """The requested page. A cursor is bound to the Domain, or to the list of all Nodes."""
    try:
        after = None if cursor is None else node_of_cursor(cursor, domain_id or EVERY_DOMAIN)
    except ValueError as error:
        raise Refused(INVALID_CURSOR, f"cursor: {error}") from error
    return NodesPage(domain_id, after, limit)


def all_nodes_page(
    addressed: None, limit: int, domain_id: str | None = None, cursor: str | None = None
) -> NodesPage:
    """The requested page of the Nodes of all Domains, or of one."""
    return nodes_page(None if domain_id is None else UUID(domain_id), limit, cursor)


def list_nodes(request: Request, visible: VisibleDomains, parsed: NodesPage) -> Answer:
    """One page of the Nodes of the visible Domains, or of one of these."""
    if parsed.domain_id is None:
        return _nodes_answer(request, visible, parsed)
    if visible.ids is not None and parsed.domain_id not in visible.ids:
        raise request.insufficient(PLATFORM)
    return _nodes_answer(request, VisibleDomains(frozenset({parsed.domain_id})), parsed)


def list_domain_nodes(request: Request, domain: AddressedDomain, parsed: NodesPage) -> Answer:
    """One page of the Nodes of a Domain."""
    return _nodes_answer(request, VisibleDomains(frozenset({domain.id})), parsed)


def _nodes_answer(request: Request, visible: VisibleDomains, page: NodesPage) -> Answer:
    """One page of Nodes, and the cursor of the next page where there is one."""
    # One more Node than requested shows whether another page follows.
    nodes = request.ports.domain_nodes.page(
        visible=visible, after=page.after, limit=page.limit + 1, deadline=request.deadline
    )
    items = nodes[: page.limit]
    next_cursor = None
    if len(nodes) > page.limit:
        next_cursor = node_cursor(page.domain_id or EVERY_DOMAIN, items[-1].id)
    return Answer(200, node_page(items, next_cursor))
