"""The ways: gates 1a to 3 of each kind of caller.

Gate 2 asks SpiceDB, gate 3 reads the ledger. Where the row has the ZedToken of a relationship
write, gate 2 runs again at that token.
"""

from __future__ import annotations

from uuid import UUID

from composer.enrolment import BootstrapToken
from composer.errors import DomainNotFound, NodeNotFound
from composer.identity import (
    PLATFORM,
    AddressedDomain,
    AddressedNode,
    VisibleDomains,
    domain_object,
    node_object,
)
from handlers.operation import Address, Request, Way
from handlers.refusals import (
    DOMAIN_NOT_FOUND,
    INSUFFICIENT_RELATION,
    INVALID_DOMAIN_ID,
    INVALID_NODE_ID,
    NODE_NOT_FOUND,
    TOKEN_REVOKED,
    Refused,
)

NODE_AGENT = "node-agent"
NODE_VIEW = "node-view"
DOMAIN_EDIT = "domain-edit"
DOMAIN_VIEW = "domain-view"
AUDITOR = "auditor"
MANAGE = "manage"

# A manager of the platform has these relations in every Domain and to every Node.
MANAGER_RELATIONS = frozenset({DOMAIN_EDIT, DOMAIN_VIEW, NODE_VIEW})

NODE_ADDRESS = Address(
    parameter="id", invalid=INVALID_NODE_ID, not_found=NODE_NOT_FOUND, object=node_object
)
DOMAIN_ADDRESS = Address(
    parameter="domain_id",
    invalid=INVALID_DOMAIN_ID,
    not_found=DOMAIN_NOT_FOUND,
    object=domain_object,
)


def _require(request: Request, resource: str) -> None:
    """Gate 2."""
    if not request.has_relation(resource):
        raise request.insufficient(resource)


def _require_role(request: Request, resource: str) -> None:
    """Gate 2 of a role.

    A manager of the platform has the role also on a resource that SpiceDB does not know: it may be
    new, or not exist (gate 3 then refuses).
    """
    if request.has_relation(resource):
        return
    relations, principal = request.ports.relations, request.principal
    # The first check is cheap where a caller without the role repeats it; the second sees a
    # revocation.
    if (
        request.operation.way.relation not in MANAGER_RELATIONS
        or not relations.check(
            principal=principal, relation=MANAGE, resource=PLATFORM, deadline=request.deadline
        )
        or not relations.check_now(
            principal=principal, relation=MANAGE, resource=PLATFORM, deadline=request.deadline
        )
    ):
        raise request.insufficient(resource)


def _node(request: Request, node_id: UUID) -> AddressedNode:
    """Gate 3 of a Node, gate 1 by its row, and gate 2 at its token."""
    node = request.ports.nodes.get_by_id(node_id, request.deadline)
    node.check_credential(request.principal)
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


def _as_pulling_agent(request: Request, node_id: UUID) -> AddressedNode:
    resource = node_object(node_id)
    _require(request, resource)
    presented = request.call.position
    node = request.ports.nodes.get_for_snapshot(node_id, request.deadline, presented)
    node.check_credential(request.principal)
    if not request.has_relation_at(resource, node.authz_token):
        raise request.insufficient(resource)
    return node


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
    """Gate 2 on the platform, fully consistent because no row has a ZedToken of the platform."""
    relations = request.ports.relations
    return relations.check_now(
        principal=request.principal, relation=MANAGE, resource=PLATFORM, deadline=request.deadline
    )


def _as_manager(request: Request, addressed: None) -> None:
    if not _may_manage(request):
        raise request.insufficient(PLATFORM)


def _any_domain(request: Request, addressed: None) -> VisibleDomains:
    """Gate 2 of a list, fully consistent because a list has no row with a ZedToken."""
    if _may_manage(request):
        return VisibleDomains(None)
    relations, relation = request.ports.relations, request.operation.way.relation
    ids = relations.objects_of(
        principal=request.principal, relation=relation, kind="domain", deadline=request.deadline
    )
    if not ids:
        raise request.insufficient(PLATFORM)
    return VisibleDomains(ids)


def _managing_domain(request: Request, domain_id: UUID) -> AddressedDomain:
    if not _may_manage(request):
        raise request.insufficient(domain_object(domain_id))
    return request.ports.domains.get_by_id(domain_id, request.deadline)


def _as_enrolling(request: Request, addressed: None) -> BootstrapToken:
    """Gate 1 by the token's row. Gate 2 of its issuer is fully consistent: no row has a ZedToken of
    the issuer, and a token must not outlive the role."""
    ports, deadline = request.ports, request.deadline
    token = ports.bootstrap_tokens.find(UUID(request.principal.id), deadline)
    token.check_secret(request.principal)
    domain, issuer = domain_object(token.domain_id), token.issuer
    if not (
        ports.relations.check_now(
            principal=issuer, relation=DOMAIN_EDIT, resource=domain, deadline=deadline
        )
        or ports.relations.check_now(
            principal=issuer, relation=MANAGE, resource=PLATFORM, deadline=deadline
        )
    ):
        assert INSUFFICIENT_RELATION.code is not None
        request.record(INSUFFICIENT_RELATION.code, domain)
        raise Refused(TOKEN_REVOKED, f"{issuer.subject} lacks {DOMAIN_EDIT} on {domain}")
    return token


# The Node's agent: the Node, or a service or a user with the same relation.
AS_AGENT = Way(NODE_AGENT, NODE_ADDRESS, _as_agent, takes_secret_key=True)
# The same for the pull, whose snapshot may be read by the statement of gate 3.
AS_PULLING_AGENT = Way(NODE_AGENT, NODE_ADDRESS, _as_pulling_agent, takes_secret_key=True)
# The same without gate 3, for a handler whose statement looks the Node up.
AS_AGENT_WITHOUT_LOOKUP = Way(NODE_AGENT, NODE_ADDRESS, _as_agent_of_a_write, takes_secret_key=True)
# Only the Node itself: another Principal would keep the Node's credential after it lost its role.
AS_THE_NODE = Way(NODE_AGENT, NODE_ADDRESS, _as_the_node, takes_secret_key=True)
# The Node, or a role in its Domain. A role may be revoked after the Node's ZedToken, so gate 2 of a
# caller that is not the Node runs at the Domain's ZedToken too.
AS_VIEWER = Way(NODE_VIEW, NODE_ADDRESS, _as_viewer, takes_secret_key=True)
# A role in the Node's Domain; gate 2 runs at the Domain's ZedToken too.
AS_EDITOR = Way(DOMAIN_EDIT, NODE_ADDRESS, _as_editor)
# Roles in the Addressed Domain.
AS_DOMAIN_VIEWER = Way(DOMAIN_VIEW, DOMAIN_ADDRESS, _in_domain)
AS_DOMAIN_EDITOR = Way(DOMAIN_EDIT, DOMAIN_ADDRESS, _in_domain)
AS_AUDITOR = Way(AUDITOR, DOMAIN_ADDRESS, _in_domain)
# A role in any Domain. The handler shows the Domains on which the caller has it.
AS_VIEWER_OF_ANY_DOMAIN = Way(DOMAIN_VIEW, None, _any_domain)
# A manager of the platform, for the platform or for a Domain.
AS_MANAGER = Way(MANAGE, None, _as_manager)
AS_MANAGER_OF_DOMAIN = Way(MANAGE, DOMAIN_ADDRESS, _managing_domain)
# An agent that has a bootstrap token and no Node yet; the relation is asked of the token's issuer.
AS_ENROLLING = Way(DOMAIN_EDIT, None, _as_enrolling, caller_in_body=True)
