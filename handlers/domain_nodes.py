"""ListDomainNodes: a Domain's Nodes, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.audit import AuditSink, SilentAudit
from composer.errors import ComposerError
from composer.identity import DomainRepo, RelationChecker, domain_object
from composer.registry import DomainNodes, cursor_after, position
from handlers.answers import Answer, Call
from handlers.domain_gates import DOMAIN_VIEW, canonical_domain_id, granted_domain
from handlers.gates import GRANTED, Asked, audit, known_principal
from handlers.refusals import INVALID_CURSOR, Refused, refusal_for
from handlers.wire_registry import node_page

LIST_NODES = Asked(DOMAIN_VIEW, "domain.list_nodes")


@dataclass(frozen=True, slots=True)
class DomainNodesPorts:
    """Everything the list needs; without it the operation is bound to refuse_domains."""

    relations: RelationChecker
    domains: DomainRepo
    nodes: DomainNodes
    audit: AuditSink = field(default_factory=SilentAudit)


def list_domain_nodes(
    ports: DomainNodesPorts,
    call: Call,
    domain_id: str,
    limit: int,
    cursor: str | None = None,
) -> Answer:
    """One page by id, and the cursor of the next one where there is one."""
    principal = known_principal(call.principal)
    addressed = canonical_domain_id(domain_id)
    try:
        after = None if cursor is None else position(cursor, addressed)
    except ValueError as error:
        raise Refused(INVALID_CURSOR, f"cursor: {error}") from error
    granted_domain(ports, call, principal, addressed, LIST_NODES)
    try:
        # one more than asked for says whether another page follows
        found = ports.nodes.page(addressed, after, limit + 1, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, domain_object(addressed), outcome=GRANTED, asked=LIST_NODES)
    shown = found[:limit]
    following = cursor_after(addressed, shown[-1].id) if len(found) > limit else None
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
    return Answer(200, node_page(addressed, shown, following), headers=headers)
