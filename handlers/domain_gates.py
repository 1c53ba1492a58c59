"""Gates 1a to 3 of the operations on a Domain, and gate 2 of those on the platform.

In the order of handlers/gates.py, and for its reasons.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from composer.errors import ComposerError, DomainNotFound
from composer.identity import (
    PLATFORM,
    AddressedDomain,
    AddressedNode,
    DomainRepo,
    Principal,
    domain_object,
    node_object,
    parse_canonical_uuid,
)
from handlers.answers import Call
from handlers.gates import (
    NODE_VIEW,
    AccessPorts,
    Asked,
    RelationPorts,
    addressed_node,
    insufficient,
)
from handlers.refusals import (
    DOMAIN_NOT_FOUND,
    INVALID_DOMAIN_ID,
    NODE_NOT_FOUND,
    Refused,
    refusal_for,
)

MANAGE = "manage"
DOMAIN_EDIT = "domain-edit"
DOMAIN_VIEW = "domain-view"
AUDITOR = "auditor"


# What whoever manages the platform holds in every Domain and on every Node.
MANAGED = frozenset({DOMAIN_EDIT, DOMAIN_VIEW, NODE_VIEW})


class DomainAccess(RelationPorts, Protocol):
    """What gates 2 and 3 ask of an operation on a Domain."""

    @property
    def domains(self) -> DomainRepo: ...


class NodeInDomainAccess(AccessPorts, DomainAccess, Protocol):
    """What gates 2 and 3 ask of a Domain role's operation on a Node."""


def canonical_domain_id(text: str) -> UUID:
    """Gate 1a: the id is a UUID in its one spelling."""
    domain_id = parse_canonical_uuid(text)
    if domain_id is None:
        raise Refused(INVALID_DOMAIN_ID, "Domain id is not a canonical UUID")
    return domain_id


def granted_domain(
    ports: DomainAccess, call: Call, principal: Principal, domain_id: UUID, asked: Asked
) -> AddressedDomain:
    """Gates 2 and 3: the relation, the Domain, and the relation once more at the Domain's token."""
    held(ports, call, principal, domain_object(domain_id), asked)
    return addressed_domain(ports, call, principal, domain_id, asked)


def held(
    ports: RelationPorts, call: Call, principal: Principal, resource: str, asked: Asked
) -> None:
    """Gate 2 of a role. A manager of the platform holds it also where no relationship says so: on
    what is not there (and is then told so, in gate 3), or not yet in SpiceDB."""
    try:
        ask = ports.relations.check
        allowed = ask(principal, asked.relation, resource, call.deadline)
        if not allowed and asked.relation in MANAGED:
            # The first is free for a stranger who comes again, the second forgets no revocation.
            allowed = ask(principal, MANAGE, PLATFORM, call.deadline) and (
                ports.relations.check_now(principal, MANAGE, PLATFORM, call.deadline)
            )
    except ComposerError as error:
        raise refusal_for(error) from error
    if not allowed:
        raise insufficient(ports, call, principal, resource, asked)


def addressed_domain(
    ports: DomainAccess, call: Call, principal: Principal, domain_id: UUID, asked: Asked
) -> AddressedDomain:
    """Gate 3, also for a role in the Domain of an Addressed Node."""
    resource = domain_object(domain_id)
    try:
        domain = ports.domains.get_by_id(domain_id, call.deadline)
        allowed = domain.authz_token is None or ports.relations.check_at_least(
            principal, asked.relation, resource, domain.authz_token, call.deadline
        )
    except ComposerError as error:
        raise refusal_for(error) from error
    if not allowed:
        raise insufficient(ports, call, principal, resource, asked)
    return domain


def node_in_domain(
    ports: NodeInDomainAccess, call: Call, principal: Principal, node_id: UUID, asked: Asked
) -> AddressedNode:
    """Gates 2 and 3 of a Domain role on a Node: a role is written about the Domain, so the Node's
    own token does not know of its revocation, and the Domain is asked at its token as well."""
    held(ports, call, principal, node_object(node_id), asked)
    node = addressed_node(ports, call, principal, node_id, asked)
    try:
        addressed_domain(ports, call, principal, node.domain_id, asked)
    except Refused as refused:
        if refused.kind is DOMAIN_NOT_FOUND:  # it went with its Nodes since the row was read
            raise Refused(NODE_NOT_FOUND, refused.inside) from refused
        raise
    return node


def node_viewed(
    ports: NodeInDomainAccess, call: Call, principal: Principal, node_id: UUID, asked: Asked
) -> AddressedNode:
    """Gates 2 and 3 of what a Node's own agent may do, and who holds a role in its Domain: whoever
    is not the Node itself is asked about at the Domain's token as well."""
    about = node_object(node_id)
    held(ports, call, principal, about, asked)
    node = addressed_node(ports, call, principal, node_id, asked)
    if principal.subject == about:
        return node
    try:
        token = ports.domains.get_by_id(node.domain_id, call.deadline).authz_token
        allowed = token is None or ports.relations.check_at_least(
            principal, asked.relation, about, token, call.deadline
        )
    except DomainNotFound as error:  # it went with its Nodes since the row was read
        raise Refused(NODE_NOT_FOUND, str(error)) from error
    except ComposerError as error:
        raise refusal_for(error) from error
    if not allowed:
        raise insufficient(ports, call, principal, about, asked)
    return node


def platform_role(
    ports: RelationPorts, call: Call, principal: Principal, asked: Asked, about: str = PLATFORM
) -> None:
    """Gate 2 on the platform, which has no row to carry a token: by everything written so far.

    ``about`` is what the audit row of a refusal names.
    """
    try:
        allowed = ports.relations.check_now(principal, asked.relation, PLATFORM, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    if not allowed:
        raise insufficient(ports, call, principal, about, asked)
