"""Who may: gates 1a to 3 for each kind of caller, as ``Way`` values.

Gate 2 asks SpiceDB, gate 3 the ledger. A row that carries the ZedToken of a later relationship
write sends the caller through gate 2 once more, at that token.
"""

from __future__ import annotations

from uuid import UUID

from composer.errors import DomainNotFound, NodeNotFound
from composer.identity import (
    PLATFORM,
    AddressedDomain,
    AddressedNode,
    domain_object,
    node_object,
)
from handlers.operation import Address, Request, Way
from handlers.refusals import (
    DOMAIN_NOT_FOUND,
    INVALID_DOMAIN_ID,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
)

NODE_AGENT = "node-agent"
NODE_VIEW = "node-view"
DOMAIN_EDIT = "domain-edit"
DOMAIN_VIEW = "domain-view"
AUDITOR = "auditor"
MANAGE = "manage"

# A manager of the platform has these relations in every Domain and to every Node.
MANAGED = frozenset({DOMAIN_EDIT, DOMAIN_VIEW, NODE_VIEW})

A_NODE = Address("id", INVALID_NODE_ID, NODE_NOT_FOUND, node_object)
A_DOMAIN = Address("domain_id", INVALID_DOMAIN_ID, DOMAIN_NOT_FOUND, domain_object)


def _require(request: Request, resource: str) -> None:
    """Gate 2."""
    if not request.has_relation(resource):
        raise request.insufficient(resource)


def _require_role(request: Request, resource: str) -> None:
    """Gate 2 of a role. A manager of the platform has it also where no relationship says so: on a
    resource that does not exist (gate 3 then says so), or that is not in SpiceDB yet."""
    if request.has_relation(resource):
        return
    relations, principal = request.ports.relations, request.principal
    # The first question is cheap for a stranger who asks again; the second sees a revocation.
    if (
        request.operation.way.relation not in MANAGED
        or not relations.check(principal, MANAGE, PLATFORM, request.deadline)
        or not relations.check_now(principal, MANAGE, PLATFORM, request.deadline)
    ):
        raise request.insufficient(resource)


def _node(request: Request, node_id: UUID) -> AddressedNode:
    """Gate 3 of a Node, and gate 2 at its token."""
    node = request.ports.nodes.get_by_id(node_id, request.deadline)
    if not request.has_relation_at(node_object(node_id), node.authz_token):
        raise request.insufficient(node_object(node_id))
    return node


def _domain(request: Request, domain_id: UUID) -> AddressedDomain:
    """Gate 3 of a Domain, and gate 2 at its token."""
    domain = request.ports.domains.get_by_id(domain_id, request.deadline)
    if not request.has_relation_at(domain_object(domain_id), domain.authz_token):
        raise request.insufficient(domain_object(domain_id))
    return domain


def _as_agent(request: Request, node_id: UUID) -> AddressedNode:
    _require(request, node_object(node_id))
    return _node(request, node_id)


def _as_agent_of_a_write(request: Request, node_id: UUID) -> UUID:
    _require(request, node_object(node_id))
    return node_id


def _as_the_node(request: Request, node_id: UUID) -> AddressedNode:
    _require(request, node_object(node_id))
    if request.principal.subject != node_object(node_id):
        raise request.insufficient(node_object(node_id))
    return _node(request, node_id)


def _as_viewer(request: Request, node_id: UUID) -> AddressedNode:
    resource = node_object(node_id)
    _require_role(request, resource)
    node = _node(request, node_id)
    if request.principal.subject == resource:
        return node
    try:
        token = request.ports.domains.get_by_id(node.domain_id, request.deadline).authz_token
    except DomainNotFound as error:  # deleted with its Nodes since the row was read
        raise NodeNotFound(str(error)) from error
    if not request.has_relation_at(resource, token):
        raise request.insufficient(resource)
    return node


def _as_editor(request: Request, node_id: UUID) -> AddressedNode:
    _require_role(request, node_object(node_id))
    node = _node(request, node_id)
    try:
        _domain(request, node.domain_id)
    except DomainNotFound as error:  # deleted with its Nodes since the row was read
        raise NodeNotFound(str(error)) from error
    return node


def _in_domain(request: Request, domain_id: UUID) -> AddressedDomain:
    _require_role(request, domain_object(domain_id))
    return _domain(request, domain_id)


def _may_manage(request: Request) -> bool:
    """Gate 2 on the platform, which has no row to carry a token: by everything written so far."""
    relations = request.ports.relations
    return relations.check_now(request.principal, MANAGE, PLATFORM, request.deadline)


def _as_manager(request: Request, addressed: None) -> None:
    if not _may_manage(request):
        raise request.insufficient(PLATFORM)


def _managing_domain(request: Request, domain_id: UUID) -> AddressedDomain:
    if not _may_manage(request):
        raise request.insufficient(domain_object(domain_id))
    return request.ports.domains.get_by_id(domain_id, request.deadline)


# The Node's agent, which may be a service or a user that stands in for the Node.
AS_AGENT = Way(NODE_AGENT, A_NODE, _as_agent)
# The same for a body whose statement looks the Node up itself: gate 3 is in the body.
AS_AGENT_OF_A_WRITE = Way(NODE_AGENT, A_NODE, _as_agent_of_a_write)
# The Node itself: a stand-in would keep a credential that outlives its role.
AS_THE_NODE = Way(NODE_AGENT, A_NODE, _as_the_node)
# The Node, or a role in its Domain. The Node's token does not know of a revoked role, so a caller
# that is not the Node passes gate 2 at the Domain's token too.
AS_VIEWER = Way(NODE_VIEW, A_NODE, _as_viewer)
# A role in the Node's Domain, at the Domain's token too.
AS_EDITOR = Way(DOMAIN_EDIT, A_NODE, _as_editor)
# Roles in the addressed Domain.
AS_DOMAIN_VIEWER = Way(DOMAIN_VIEW, A_DOMAIN, _in_domain)
AS_DOMAIN_EDITOR = Way(DOMAIN_EDIT, A_DOMAIN, _in_domain)
AS_AUDITOR = Way(AUDITOR, A_DOMAIN, _in_domain)
# A manager of the platform, about the platform or about a Domain.
AS_MANAGER = Way(MANAGE, None, _as_manager)
MANAGING_DOMAIN = Way(MANAGE, A_DOMAIN, _managing_domain)
